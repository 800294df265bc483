// Every settings key that takes text, with the alphabet it should have: written down here a second time, by hand, so
// that a parser that accepts more is noticed.

import { RelaycertsError } from '../../src/errors.js';
import { parseHostName } from '../../src/names.js';
import { findContradictions } from '../../src/settings/contradictions.js';
import { buildSchema } from '../../src/settings/file.js';
import { readKind } from '../../src/settings/kinds.js';
import { readSettings } from '../../src/settings/load.js';
import { smallest } from './bad-settings.js';

export interface TextKey {
  readonly key: string;
  /** A valid value; a character is put before, into and after it. */
  readonly filler: string;
  /** A settings file's value with this text at this key. */
  readonly settings: (text: string) => unknown;
  /** The ASCII characters that may come first, inside and last. */
  readonly ascii: readonly [first: RegExp, middle: RegExp, last: RegExp];
  /** The characters beyond ASCII that may occur anywhere, at most. */
  readonly beyond: RegExp;
}

const none = /(?!)/u;
/** Letters, marks and digits; the result is an A-label. */
const idn = /^[\p{L}\p{M}\p{Nd}]$/u;
const printable = /^[^\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]$/u;

const ldh = [/^[A-Za-z0-9]$/, /^[A-Za-z0-9.-]$/, /^[A-Za-z0-9]$/] as const;
const text = [/^[!-~]$/, /^[ -~]$/, /^[!-~]$/] as const;
const login = [/^[A-Za-z_]$/, /^[A-Za-z0-9_.-]$/, /^[A-Za-z0-9_.-]$/] as const;
const sshHost = [/^[A-Za-z0-9]$/, /^[A-Za-z0-9._-]$/, /^[A-Za-z0-9._-]$/] as const;
const nothing = [none, none, none] as const;

const relay = (change: object) => ({ ...smallest, smtpdServers: [{ hostname: 'relayhost', ...change }] });
const client = (change: object) => ({ ...smallest, smtpClients: [{ hostname: 'mailhost', ...change }] });
const within = (section: string, key: string) => (value: unknown) => ({ ...smallest, [section]: { [key]: value } });

function words(section: string, key: string, filler: string, ascii: TextKey['ascii'], beyond = none): TextKey {
  return { key: `${section}.${key}`, filler, settings: within(section, key), ascii, beyond };
}

const [digit, digits] = [/^[0-9]$/, /^[1-9]$/];
const time = [digits, digit, /^[0-9smhdw]$/] as const;
const count = [digits, digit, digit] as const;
const checks = [/^[a-z]$/, /^[A-Za-z0-9._/-]$/, /^[A-Za-z0-9._-]$/] as const;

/** For a relay's service; a value is anything that master.cf accepts. */
const overrides: readonly (readonly [name: string, filler: string, ascii: TextKey['ascii']])[] = [
  ['smtpd_milters', 'unix:abc/d.sock', [none, /^[A-Za-z0-9._/-]$/, /^[A-Za-z0-9._-]$/]],
  ['milter_default_action', 'accept', [none, none, none]],
  ['milter_macro_daemon_name', 'ORIGINATING', [/^[A-Za-z0-9._-]$/, /^[A-Za-z0-9._-]$/, /^[A-Za-z0-9._-]$/]],
  ['content_filter', 'smtp-amavis:', [/^[A-Za-z0-9]$/, /^[A-Za-z0-9_-]$/, /^[A-Za-z0-9]$/]],
  ['header_checks', 'regexp:/etc/checks', checks],
  ['body_checks', 'regexp:/etc/checks', checks],
  ...['connect', 'command', 'content'].map((what) => [`milter_${what}_timeout`, '60', time] as const),
  ...['timeout', 'starttls_timeout'].map((what) => [`smtpd_${what}`, '60', time] as const),
  ...['recipient_limit', 'hard_error_limit', 'junk_command_limit'].map(
    (what) => [`smtpd_${what}`, '60', count] as const,
  ),
  ...['connection_count', 'connection_rate', 'message_rate', 'recipient_rate', 'new_tls_session_rate'].map(
    (what) => [`smtpd_client_${what}_limit`, '60', count] as const,
  ),
  ['message_size_limit', '60', count],
];

const hex = /^[0-9A-Fa-f]$/;
const address = [/^[A-Za-z0-9_+-]$/, /^[A-Za-z0-9._+-]$/, /^[A-Za-z0-9_+-]$/] as const;

/** Keys for mail of the whole domain. */
const domainMail: readonly TextKey[] = [
  {
    key: 'inbound.home',
    filler: 'mailhost',
    settings: (home) => ({ ...smallest, smtpClients: [{ hostname: home }], inbound: { home } }),
    ascii: ldh,
    beyond: idn,
  },
  {
    key: 'inbound.domains',
    filler: 'example.net',
    settings: (name) => ({ ...smallest, inbound: { home: 'mailhost', domains: [name] } }),
    ascii: ldh,
    beyond: idn,
  },
  {
    key: 'inbound.via',
    filler: '',
    settings: (via) => ({ ...smallest, inbound: { home: 'mailhost', via } }),
    ascii: nothing,
    beyond: none,
  },
  {
    key: 'inbound.recipients',
    filler: 'ann',
    settings: (local) => ({ ...smallest, inbound: { home: 'mailhost', recipients: [`${local}@example.org`] } }),
    ascii: address,
    beyond: none,
  },
  words('tunnel', 'user', 'mail-tunnel', login),
  words('dkim', 'signAt', 'home', nothing),
  {
    key: 'dkim.domains',
    filler: 'example.net',
    settings: (name) => within('dkim', 'domains')([name]),
    ascii: ldh,
    beyond: idn,
  },
  words('dkim', 'keyType', 'ed25519', nothing),
  words('dkim', 'socket', 'inet:127.0.0.1:889', [none, none, digit]),
  words('dns', 'spf', 'mx', nothing),
  words('dns', 'resolver', 'db8::53', [hex, hex, hex]),
  {
    key: 'dns.dmarc.policy',
    filler: 'reject',
    settings: (policy) => within('dns', 'dmarc')({ policy }),
    ascii: nothing,
    beyond: none,
  },
  {
    key: 'dns.dmarc.reportTo',
    filler: 'dmarc',
    settings: (local) => within('dns', 'dmarc')({ reportTo: `${local}@example.org` }),
    ascii: address,
    beyond: none,
  },
  {
    key: 'relayPort25.dnsbl',
    filler: 'example.net',
    settings: (name) => within('relayPort25', 'dnsbl')([name]),
    ascii: ldh,
    beyond: idn,
  },
  {
    key: 'relayPort25.dqsKeyFile',
    filler: 'dir/file',
    settings: (file) => ({ ...smallest, relayPort25: { dnsbl: ['zen.spamhaus.org'], dqsKeyFile: file } }),
    ascii: [/^[ -#%-}]$/, /^[ -~]$/, /^[ -.0-~]$/],
    beyond: printable,
  },
  words('relayPort25', 'spf', 'mark', nothing),
];

/** All keys of the schema that take text; choices are texts without other characters than their words'. */
export const textKeys: readonly TextKey[] = [
  { key: 'domain', filler: 'example.org', settings: (domain) => ({ ...smallest, domain }), ascii: ldh, beyond: idn },
  ...([relay, client] as const).flatMap((host, at): TextKey[] => {
    const list = at === 0 ? 'smtpdServers' : 'smtpClients';
    return [
      {
        key: `${list}.hostname`,
        filler: 'newhost',
        settings: (hostname) => host({ hostname }),
        ascii: ldh,
        beyond: idn,
      },
      { key: `${list}.sshUser`, filler: 'admin', settings: (sshUser) => host({ sshUser }), ascii: login, beyond: none },
      {
        key: `${list}.altNames`,
        filler: 'other',
        settings: (name) => host({ altNames: [name] }),
        ascii: ldh,
        beyond: idn,
      },
      {
        key: `${list}.sshHost`,
        filler: 'alias',
        settings: (name) => host({ sshHost: name }),
        ascii: sshHost,
        beyond: idn,
      },
    ];
  }),
  ...overrides.map(([name, filler, ascii]): TextKey => ({
    key: `smtpdServers.overrides.${name}`,
    filler,
    settings: (value) => relay({ overrides: { [name]: value } }),
    ascii,
    beyond: none,
  })),
  { key: 'smtpClients.program', filler: '', settings: (program) => client({ program }), ascii: nothing, beyond: none },
  ...(['smtpdServers', 'smtpClients'] as const).map((key) => ({
    key: `${key}.container`,
    filler: '',
    settings: (container: string) => (key === 'smtpdServers' ? relay({ container }) : client({ container })),
    ascii: nothing,
    beyond: none,
  })),
  {
    key: 'smtpClients.programUser',
    filler: 'www-data',
    settings: (programUser) => client({ programUser }),
    ascii: login,
    beyond: none,
  },
  {
    key: 'smtpClients.senders',
    filler: 'example.org',
    settings: (domain) => client({ senders: [domain] }),
    // With an @ inside, it is an address.
    ascii: [ldh[0], /^[A-Za-z0-9.@-]$/, ldh[2]],
    beyond: idn,
  },
  {
    key: 'smtpClients.senders',
    filler: 'example.org',
    settings: (domain) => client({ senders: [`ann@${domain}`] }),
    ascii: ldh,
    beyond: idn,
  },
  {
    key: 'smtpClients.senders',
    filler: 'ann',
    settings: (local) => client({ senders: [`${local}@example.org`] }),
    ascii: [/^[A-Za-z0-9_+-]$/, /^[A-Za-z0-9._+-]$/, /^[A-Za-z0-9_+-]$/],
    beyond: none,
  },
  words('subject', 'country', 'N', [/^[A-Za-z]$/, /^[A-Za-z]$/, /^[A-Za-z]$/]),
  words('subject', 'state', 'Utrecht', text, printable),
  words('subject', 'locality', 'Utrecht', text, printable),
  words('subject', 'organization', 'Example', text, printable),
  words('subject', 'organizationalUnit', 'Mail', text, printable),
  words('ca', 'commonName', 'The CA', text, printable),
  words('ca', 'keyType', 'ed25519', nothing),
  {
    key: 'ca.permittedDomains',
    filler: 'example.net',
    settings: (name) => within('ca', 'permittedDomains')(['example.org', name]),
    ascii: ldh,
    beyond: idn,
  },
  words('certificates', 'keyType', 'rsa-2048', nothing),
  words('passphrase', 'file', 'dir/file.gpg', [/^[ -#%-}]$/, /^[ -~]$/, /^[ -.0-~]$/], printable),
  {
    key: 'passphrase.recipients',
    filler: 'alice@example.org',
    settings: (name) => within('passphrase', 'recipients')([name]),
    ascii: [/^[!-#%-,.-}]$/, /^[ -~]$/, /^[!-~]$/],
    beyond: printable,
  },
  words('postfix', 'directory', '/etc/relaycerts', [none, /^[A-Za-z0-9._/-]$/, /^[A-Za-z0-9._/-]$/]),
  words('postfix', 'tableType', 'hash', nothing),
  words('postfix', 'pin', 'certificate', nothing),
  words('postfix', 'unlisted', 'defer', nothing),
  words('postfix', 'masterChroot', '', [/^[yn-]$/, /^[yn-]$/, /^[yn-]$/]),
  ...domainMail,
];

const context = {
  file: '/srv/mail/settings.json',
  home: '/home/postmaster',
  program: 'relaycerts',
  command: 'relaycerts',
};

// Made once, because parseSettings makes one per call.
const domain = parseHostName(smallest.domain);
const { file } = buildSchema(domain);

/** True if a settings file with this value is accepted. */
export function isTaken(value: unknown): boolean {
  return 'value' in readKind(file, value) && findContradictions(value, domain, context).length === 0;
}

/** True if a settings file may have this path, as far as its characters go. */
export async function isPathTaken(path: string): Promise<boolean> {
  try {
    await readSettings(path, context);
    return true;
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    return !error.message.includes('control character');
  }
}
