// The failures that src/log/log-lines.json is about, as one flaw each on the home host's transport or on the relay's
// service, and the kinds that the two logs must then name. log-lines.test.ts causes them all.

import { folder } from '../support/folder.js';

export type Parameters = Readonly<Record<string, string>>;

interface LogCase {
  /** The kinds that name the cause; a symptom may be logged besides. */
  readonly kinds: readonly string[];
  /** For a kind that older releases have no words for, the minor number of the first that has: 6 for 3.6. */
  readonly since?: Readonly<Record<string, number>>;
  /** What its transport and its service set otherwise than `goodHome` and `goodRelay`; '-' leaves a setting out. */
  readonly home?: Parameters;
  readonly relay?: Parameters;
  /** Where the mail goes instead of the service of the case; there is none then. */
  readonly to?: string;
  /** The transport is not there. */
  readonly isMissing?: boolean;
}

const file = (name: string): string => `${folder}/${name}`;
/** The bundle's names; a flawed file has a name of its own. */
export const bundle = {
  ca: 'example.org-ca.crt.pem',
  home: 'mailhost.example.org.chain.pem',
  relay: 'relayhost.example.org.chain.pem',
  table: 'relay_clientcerts',
} as const;
/** The CA of somebody else where Postfix can read it without root's rights. */
export const openAnchor = '/etc/postfix/other-ca.pem';
/** Listens without TLS, and refuses as a provider's proxy does. */
export const proxyPort = 2599;
/** What comes from here is never answered. */
export const unansweredAddress = '192.0.2.131';

export const goodHome: Parameters = {
  smtp_tls_security_level: 'secure',
  smtp_tls_secure_cert_match: 'relayhost.example.org',
  smtp_tls_CAfile: file(bundle.ca),
  smtp_tls_CApath: '',
  tls_append_default_CA: 'no',
  smtp_tls_chain_files: file(bundle.home),
  smtp_tls_loglevel: '1',
  smtp_tls_session_cache_database: '',
};

export const goodRelay: Parameters = {
  smtpd_tls_security_level: 'encrypt',
  smtpd_tls_req_ccert: 'yes',
  smtpd_tls_CAfile: file(bundle.ca),
  smtpd_tls_CApath: '',
  tls_append_default_CA: 'no',
  smtpd_tls_chain_files: file(bundle.relay),
  smtpd_tls_cert_file: '',
  smtpd_tls_key_file: '',
  smtpd_tls_fingerprint_digest: 'sha256',
  smtpd_tls_loglevel: '1',
  relay_clientcerts: `texthash:${file(bundle.table)}`,
  smtpd_relay_restrictions: 'permit_tls_clientcerts,defer',
};

const homeChain = (name: string): Parameters => ({ smtp_tls_chain_files: file(name) });
const homeFiles = (certificate: string, key: string): Parameters => ({
  smtp_tls_chain_files: '',
  smtp_tls_cert_file: file(certificate),
  smtp_tls_key_file: file(key),
});
const relayChain = (name: string): Parameters => ({ smtpd_tls_chain_files: file(name) });

export const logCases: Readonly<Record<string, LogCase>> = {
  good: { kinds: [] },

  // The relay's certificate, judged at home.
  otherca: { kinds: ['untrusted-issuer'], home: { smtp_tls_CAfile: file('other-ca.pem') } },
  anchor: { kinds: ['untrusted-issuer'], home: { smtp_tls_trust_anchor_file: openAnchor } },
  selfsigned: { kinds: ['untrusted-issuer'], to: '[relayhost.example.org]:25' },
  namesake: { kinds: ['other-ca-same-name'], home: { smtp_tls_CAfile: file('namesake-ca.pem') } },
  othername: { kinds: ['other-name'], since: { 'other-name': 6 }, relay: relayChain('other-name.pem') },
  address: {
    kinds: ['other-name'],
    since: { 'other-name': 6 },
    home: { smtp_tls_secure_cert_match: 'nexthop' },
    to: '[192.0.2.11]:2500',
  },
  relayexpired: { kinds: ['expired'], relay: relayChain('expired.pem') },
  relayfuture: { kinds: ['not-yet-valid'], relay: relayChain('future.pem') },
  relaypurpose: { kinds: ['other-purpose'], relay: relayChain('for-clients.pem') },

  // The home host's certificate, judged on the relay.
  nocertificate: { kinds: ['no-client-certificate'], home: { smtp_tls_chain_files: '' } },
  clientotherca: { kinds: ['untrusted-issuer'], home: homeChain('of-other-ca.pem') },
  clientnamesake: { kinds: ['other-ca-same-name'], relay: { smtpd_tls_CAfile: file('namesake-ca.pem') } },
  clientexpired: { kinds: ['expired'], home: homeChain('expired.pem') },
  clientfuture: { kinds: ['not-yet-valid'], home: homeChain('future.pem') },
  clientpurpose: { kinds: ['other-purpose'], home: homeChain('for-servers.pem') },
  unlisted: { kinds: ['pin-not-listed'], home: homeChain('unlisted.pem') },
  rejected: {
    kinds: ['pin-not-listed'],
    home: homeChain('unlisted.pem'),
    relay: { smtpd_relay_restrictions: 'permit_tls_clientcerts,reject' },
  },
  sender: {
    kinds: ['sender-refused'],
    relay: { smtpd_sender_restrictions: 'check_sender_access,static:DEFER,defer', access_map_defer_code: '450' },
  },
  neverasked: { kinds: ['never-asked', 'pin-not-listed'], relay: { smtpd_tls_req_ccert: 'no' } },
  md5: {
    kinds: ['pin-not-listed', 'md5-pins'],
    since: { 'md5-pins': 6 },
    relay: { compatibility_level: '2', smtpd_tls_fingerprint_digest: '-' },
  },

  // Files and tables.
  homeca: { kinds: ['ca-file'], home: { smtp_tls_CAfile: 'relaycerts/example.org-ca.crt.pem' } },
  relayca: { kinds: ['ca-file'], relay: { smtpd_tls_CAfile: file('missing.pem') } },
  relayemptyca: { kinds: ['ca-file'], relay: { smtpd_tls_CAfile: '/dev/null' } },
  trustanchor: { kinds: ['trust-anchor'], home: { smtp_tls_trust_anchor_file: file(bundle.ca) } },
  homechain: { kinds: ['chain-file', 'no-client-certificate'], home: homeChain('missing.pem') },
  relaychain: { kinds: ['chain-file'], relay: relayChain('missing.pem') },
  relaynopem: { kinds: [], relay: relayChain(bundle.table) },
  keynotfirst: { kinds: ['key-not-first'], home: homeChain('key-last.pem') },
  relaykeynotfirst: { kinds: ['key-not-first'], relay: relayChain('key-last.pem') },
  mismatch: { kinds: ['key-mismatch'], home: homeChain('other-key-chain.pem') },
  mismatchfiles: { kinds: ['key-mismatch'], home: homeFiles('certificate.pem', 'other-key.pem') },
  mismatchtypes: { kinds: ['key-mismatch'], home: homeFiles('certificate.pem', 'rsa-key.pem') },
  encrypted: { kinds: ['encrypted-key', 'key-not-first'], home: homeChain('encrypted.pem') },
  encryptedfiles: { kinds: ['encrypted-key'], home: homeFiles('certificate.pem', 'encrypted.pem') },
  legacy: { kinds: ['legacy-files'], relay: { smtpd_tls_cert_file: file(bundle.relay) } },
  maptype: { kinds: ['map-type'], relay: { relay_clientcerts: `mysql:${file(bundle.table)}` } },
  nopostmap: {
    kinds: ['map-file', 'hash-deprecated'],
    since: { 'hash-deprecated': 11 },
    relay: { relay_clientcerts: `hash:${file(bundle.table)}` },
  },
  notable: { kinds: ['map-file'], relay: { relay_clientcerts: `texthash:${file('missing')}` } },

  notransport: { kinds: ['service-missing'], isMissing: true },

  // Ports, protocols, and what is in between.
  portsmtp: { kinds: ['port-25'], home: { smtp_tls_security_level: 'may' }, to: '[relayhost.example.org]:25' },
  notoffered: { kinds: ['tls-not-offered'], relay: { smtpd_tls_security_level: 'none' } },
  plaintext: { kinds: ['no-starttls'], home: { smtp_tls_security_level: 'none' } },
  plaintextsoft: { kinds: ['no-starttls'], home: { smtp_tls_security_level: 'none' }, relay: { soft_bounce: 'yes' } },
  wrapper: { kinds: ['wrapper-mode'], home: { smtp_tls_wrappermode: 'yes' } },
  relaywrapper: { kinds: ['no-greeting'], relay: { smtpd_tls_wrappermode: 'yes' }, home: { smtp_helo_timeout: '3s' } },
  protocol: {
    kinds: ['protocol'],
    relay: { smtpd_tls_mandatory_protocols: '!SSLv2,!SSLv3,!TLSv1,!TLSv1.1,!TLSv1.2' },
    home: { smtp_tls_mandatory_protocols: 'TLSv1.2' },
  },
  refused: { kinds: ['connection-refused'], to: '[relayhost.example.org]:2598' },
  timedout: {
    kinds: ['no-connection'],
    home: { smtp_bind_address: unansweredAddress, smtp_connect_timeout: '1s' },
  },
  noroute: { kinds: ['no-connection'], to: '[192.0.2.98]:2500' },
  unreachable: { kinds: ['no-connection'], to: '[203.0.113.9]:2500' },
  nohost: { kinds: ['name-not-found'], to: '[nohost.example.org]:2500' },
  proxyheader: {
    kinds: ['proxy-protocol', 'greeting-refused'],
    relay: { smtpd_upstream_proxy_protocol: 'haproxy', smtpd_upstream_proxy_timeout: '1s' },
  },
  proxy: {
    kinds: ['dsn-disabled'],
    home: { smtp_tls_security_level: 'none' },
    to: `[relayhost.example.org]:${proxyPort}`,
  },
};
