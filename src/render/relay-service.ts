// The relay's services in master.cf, as data: an smtpd on a port of its own, with its own tlsmgr and cleanup. main.cf
// and port 25 stay as they are, and nothing in main.cf may change what this port does. So each parameter of smtpd(8)
// and cleanup(8) (`postconf -d` of 3.7, the manuals up to 3.11) is set here if main.cf could make it
//   - open a lock: another CA, a cipher that hides nothing, a resumed session, a trusted proxy or client host;
//   - refuse or hold the mail of a listed client: restrictions, checks, filters, milters, limits, the TLS handshake;
//   - skip or delay what must be done: switches of cleanup, silent discards, holding many processes.
// Parameters that are still inherited only change logs, or what mail looks like (canonical_maps, always_bcc,
// masquerading...): the admin sets those for all mail, including ours.

import { bundleNames, tableName } from '../plan/bundle-names.js';
import type { OverrideName } from '../settings/overrides.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import { isSigner } from '../plan/dkim.js';
import { dkimMilter, macroName } from './dkim.js';
import { srsOverrides } from './port25.js';
import { overridden, protocols, syslogName, type Parameter, type Service } from './postfix.js';
import { senderLimits } from './senders.js';

const stages = ['client', 'helo', 'sender', 'data', 'end_of_data'];
const empty = (name: string): Parameter => ({ name, value: '' });
const set = (name: string, value: string): Parameter => ({ name, value });
const since = (minor: number, name: string, value: string): Parameter => ({ name, value, since: [3, minor] });
/** The second value applies while strangers hold every process of the service: postconf(5) "stress". */
const unlessStress = (value: string, stressed: string): string => `\${stress?{${stressed}}:{${value}}}`;

/** The table of pins, in the form that Postfix opens. */
const pinTable = ({ postfix: { tableType, directory } }: Settings) => `${tableType}:${directory}/${tableName}`;

/** What the certificates, the CA and the pins are checked with. */
function locks(settings: Settings, server: HostSettings): readonly Parameter[] {
  const { directory, unlisted } = settings.postfix;
  const names = bundleNames(settings.domain, server.hostname);
  return [
    set('syslog_name', syslogName),
    set('smtpd_tls_security_level', 'encrypt'),
    set('smtpd_tls_wrappermode', 'no'),
    set('smtpd_tls_req_ccert', 'yes'),
    set('smtpd_tls_CAfile', `${directory}/${names.ca}`),
    // Any value of main.cf here would let other CAs open the first lock.
    empty('smtpd_tls_CApath'),
    set('tls_append_default_CA', 'no'),
    set('smtpd_tls_chain_files', `${directory}/${names.chain}`),
    // Ignored if there are chain files, but each connection would log a warning.
    ...['cert', 'key', 'eccert', 'eckey', 'dcert', 'dkey'].map((kind) => empty(`smtpd_tls_${kind}_file`)),
    // They would show another certificate, or accept a raw public key from the client.
    empty('tls_server_sni_maps'),
    since(9, 'smtpd_tls_enable_rpk', 'no'),
    set('smtpd_tls_fingerprint_digest', 'sha256'),
    set('smtpd_tls_mandatory_protocols', protocols),
    // A list meant for RSA would leave an ECDSA certificate without a cipher.
    set('smtpd_tls_mandatory_ciphers', 'high'),
    set('tls_high_cipherlist', 'aNULL:-aNULL:HIGH:@STRENGTH'),
    empty('smtpd_tls_mandatory_exclude_ciphers'),
    empty('smtpd_tls_exclude_ciphers'),
    set('smtpd_tls_ccert_verifydepth', '9'),
    set('smtpd_tls_loglevel', String(server.tlsLogLevel)),
    set('relay_clientcerts', pinTable(settings)),
    set('smtpd_relay_restrictions', `permit_tls_clientcerts,${unlisted}`),
    empty('smtpd_authorized_xclient_hosts'),
    empty('smtpd_authorized_xforward_hosts'),
    set('smtpd_sasl_auth_enable', 'no'),
  ];
}

/** A resumed session shows no certificate: neither an expired one nor one whose pin was removed would be noticed. */
function noResumption(tlsmgr: string): readonly Parameter[] {
  return [empty('tls_session_ticket_cipher'), set('tlsmgr_service_name', tlsmgr)];
}

/** Nothing is rejected permanently, and only the locks reject. */
function answers(settings: Settings, cleanup: string): readonly Parameter[] {
  // Each relay has the names of all: home tries the next one, and that one's mail to the first would wait or bounce there.
  const relays = settings.smtpdServers.flatMap(({ hostname, altNames }) => [hostname, ...altNames]);
  return [
    // Without TLS the answer would be 530, which is a bounce. With `unlisted: "reject"` the user asks for bounces.
    set('soft_bounce', settings.postfix.unlisted === 'reject' ? 'no' : 'yes'),
    // An inherited blocklist check would stop the dynamic addresses that this port is for.
    ...stages.map((stage) => empty(`smtpd_${stage}_restrictions`)),
    // Mail for a domain whose MX is a relay, but which it does not accept mail for, would loop and bounce.
    set(
      'smtpd_recipient_restrictions',
      `permit_auth_destination,check_recipient_mx_access,inline:{${relays.map((name) => `${name}=DEFER`).join(',')}}`,
    ),
    set('smtpd_etrn_restrictions', 'permit_tls_clientcerts,reject'),
    set('smtpd_reject_unlisted_recipient', 'no'),
    set('smtpd_reject_unlisted_sender', 'no'),
    set('smtpd_delay_reject', 'yes'),
    set('smtpd_helo_required', 'no'),
    set('strict_rfc821_envelopes', 'no'),
    set('allow_untrusted_routing', 'no'),
    since(11, 'smtpd_reject_filter_maps', ''),
    // Milters of port 25 judge strangers: the home's address and mail that is not yet signed would fail there.
    empty('smtpd_milters'),
    empty('smtpd_milter_maps'),
    set('milter_default_action', 'tempfail'),
    empty('content_filter'),
    empty('smtpd_proxy_filter'),
    empty('smtpd_upstream_proxy_protocol'),
    empty('receive_override_options'),
    set('cleanup_service_name', cleanup),
    empty('smtpd_command_filter'),
    empty('smtpd_noop_commands'),
    set('smtpd_forbidden_commands', 'CONNECT,GET,POST'),
    // Without STARTTLS, 8BITMIME or SIZE, mail from home would bounce or wait.
    set('smtpd_discard_ehlo_keywords', 'silent-discard,etrn'),
    empty('smtpd_discard_ehlo_keyword_address_maps'),
    set('disable_vrfy_command', 'yes'),
    // "yes" means "normalize"; older releases know no other word for it.
    since(9, 'smtpd_forbid_bare_newline', 'yes'),
    since(9, 'smtpd_forbid_bare_newline_exclusions', ''),
    since(9, 'smtpd_forbid_unauth_pipelining', 'yes'),
    // A notice for each stranger's mistake would flood the postmaster.
    set('notify_classes', 'resource,software'),
    // Keeps the home's address out of Received.
    since(10, 'smtpd_hide_client_session', 'yes'),
  ];
}

/** Our signer comes last, so that it signs what other milters of this port have changed. */
function milters(settings: Settings, server: SmtpdServer): readonly Parameter[] {
  const { dkim } = settings;
  if (dkim === undefined || !isSigner(settings, server)) return [];
  return [set('smtpd_milters', dkimMilter(dkim)), set('milter_macro_daemon_name', macroName(server))];
}

/** Strangers can hold only a few processes for a short time; nothing in main.cf holds up a client with a key. */
function limits(): readonly Parameter[] {
  return [
    set('smtpd_client_connection_count_limit', '10'),
    set('smtpd_client_connection_rate_limit', '0'),
    set('smtpd_client_message_rate_limit', '0'),
    set('smtpd_client_recipient_rate_limit', '0'),
    set('smtpd_client_new_tls_session_rate_limit', '0'),
    empty('smtpd_client_event_limit_exceptions'),
    since(8, 'smtpd_client_ipv4_prefix_length', '32'),
    since(8, 'smtpd_client_ipv6_prefix_length', '64'),
    set('smtpd_timeout', `${unlessStress('60', '10')}s`),
    set('smtpd_starttls_timeout', `${unlessStress('30', '10')}s`),
    since(7, 'smtpd_per_request_deadline', 'yes'),
    since(7, 'smtpd_min_data_rate', '500'),
    set('smtpd_hard_error_limit', unlessStress('3', '1')),
    set('smtpd_error_sleep_time', '0'),
    set('smtpd_junk_command_limit', unlessStress('10', '1')),
    set('smtpd_recipient_limit', '1000'),
    set('smtpd_recipient_overshoot_limit', '1000'),
  ];
}

/** What cleanup(8) would refuse, discard or hold because of main.cf. */
const unchecked: readonly Parameter[] = [
  set('syslog_name', `${syslogName}_cleanup`),
  ...['header', 'mime_header', 'nested_header', 'body', 'milter_header'].map((what) => empty(`${what}_checks`)),
  empty('message_reject_characters'),
  ...['7bit_headers', '8bitmime', '8bitmime_body', 'mime_encoding_domain'].map((what) => set(`strict_${what}`, 'no')),
  set('hopcount_limit', '50'),
];

/** A session cache belongs to tlsmgr(8), so the smtpd has its own tlsmgr, without a cache. */
const uncached: readonly Parameter[] = [
  set('syslog_name', `${syslogName}_tlsmgr`),
  ...['smtpd', 'smtp', 'lmtp'].map((client) => empty(`${client}_tls_session_cache_database`)),
  // Tickets are a cache that the clients keep.
  set('smtpd_tls_session_cache_timeout', '0'),
];

const cleanupNames: ReadonlySet<string> = new Set<OverrideName>(['header_checks', 'body_checks']);
/** Read by both smtpd and cleanup. */
const sharedNames: ReadonlySet<string> = new Set<OverrideName>(['message_size_limit']);

/** What makes one service with both locks different from another. */
export interface Guarded {
  readonly host: HostSettings;
  readonly port: number;
  /** The first column of master.cf: the port, or an address and the port. */
  readonly place: string;
  /** Parameters of smtpd(8) and of cleanup(8) that differ; the last one of a name counts. */
  readonly own: readonly Parameter[];
  readonly ownCleanup: readonly Parameter[];
}

/** An smtpd with both locks, then the services that only it uses, which are named after the port. */
export function guardedServices(settings: Settings, guarded: Guarded): readonly [Service, ...Service[]] {
  const { host, port, place, own, ownCleanup } = guarded;
  const { masterChroot: chroot } = settings.postfix;
  const [tlsmgr, cleanup] = [`relaycerts-${port}-tlsmgr`, `relaycerts-${port}-cleanup`];
  const parameters = [...locks(settings, host), ...noResumption(tlsmgr), ...answers(settings, cleanup), ...limits()];
  return [
    {
      id: `${place}/inet`,
      line: `${place} inet n - ${chroot} - - smtpd`,
      overrides: overridden(parameters, own),
    },
    { id: `${tlsmgr}/unix`, line: `${tlsmgr} unix - - ${chroot} 1000? 1 tlsmgr`, overrides: uncached },
    {
      id: `${cleanup}/unix`,
      line: `${cleanup} unix n - ${chroot} - 0 cleanup`,
      overrides: overridden(unchecked, ownCleanup),
    },
  ];
}

/** The relay's services. */
export function relayServices(settings: Settings, server: SmtpdServer): readonly [Service, ...Service[]] {
  const signer = settings.dkim?.signAt === 'relay' ? dkimMilter(settings.dkim) : undefined;
  const own = Object.entries(server.overrides).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const isBeside = name === 'smtpd_milters' && signer !== undefined;
    return [set(name, isBeside ? [value, signer].filter((one) => one !== '').join(',') : value)];
  });
  return guardedServices(settings, {
    host: server,
    port: server.port,
    place: String(server.port),
    own: [
      ...milters(settings, server),
      ...senderLimits(settings, pinTable(settings)),
      ...own.filter(({ name }) => !cleanupNames.has(name)),
    ],
    ownCleanup: [
      ...srsOverrides(settings),
      ...own.filter(({ name }) => cleanupNames.has(name) || sharedNames.has(name)),
    ],
  });
}
