// Settings that must be refused, each with the place and the words of the problem that must be reported. `only` marks
// what only the parser can see (the JSON Schema accepts it): a relation between values, or a rule that no pattern
// expresses.

/** One refused value; `at` is the problem's path and `says` a part of its message. */
export interface BadSettings {
  readonly name: string;
  readonly value: unknown;
  readonly at: string;
  readonly says: string;
  readonly only?: 'cross-check' | 'parser rule';
}

/** The smallest settings that parse. */
export const smallest = {
  domain: 'example.org',
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [{ hostname: 'mailhost' }],
} as const;

function row(name: string, changes: object, at: string, says: string, only?: BadSettings['only']): BadSettings {
  return { name, value: { ...smallest, ...changes }, at, says, ...(only === undefined ? {} : { only }) };
}

function relay(name: string, changes: object, key: string, says: string, only?: BadSettings['only']): BadSettings {
  return row(name, { smtpdServers: [{ hostname: 'relayhost', ...changes }] }, `smtpdServers[0].${key}`, says, only);
}

/** A second client with this hostname. */
function client(name: string, hostname: unknown, says: string, only?: BadSettings['only']): BadSettings {
  return row(name, { smtpClients: [{ hostname: 'mailhost' }, { hostname }] }, 'smtpClients[1].hostname', says, only);
}

const toHome = { inbound: { home: 'mailhost' } };
const tunnelled = { inbound: { home: 'mailhost', via: 'tunnel' } };

const inboundRows = [
  row(
    'a home that is no client',
    { inbound: { home: 'other' } },
    'inbound.home',
    'is not one of smtpClients',
    'cross-check',
  ),
  row(
    'a relay as home',
    { inbound: { home: 'relayhost' } },
    'inbound.home',
    'is not one of smtpClients',
    'cross-check',
  ),
  row(
    'a home without Postfix',
    { smtpClients: [{ hostname: 'mailhost', program: 'exim' }], inbound: { home: 'mailhost' } },
    'inbound.home',
    'has another mail program than Postfix',
    'cross-check',
  ),
  row(
    'a recipient elsewhere',
    { inbound: { home: 'mailhost', recipients: ['ann@example.org', 'bob@example.net'] } },
    'inbound.recipients[1]',
    'is not in inbound.domains: "bob@example.net"',
    'cross-check',
  ),
  ...(
    [
      ['of a signer on a relay', { dkim: { socket: 'inet:127.0.0.1:2500' } }, 'dkim.socket', 'smtpdServers[0].port'],
      [
        'of a signer at home',
        { ...toHome, dkim: { signAt: 'home', socket: 'inet:127.0.0.1:2525' } },
        'dkim.socket',
        'inbound.port',
      ],
      [
        'of a signer and the tunnel',
        { ...tunnelled, dkim: { socket: 'inet:127.0.0.1:2525' } },
        'tunnel.listen',
        'dkim.socket',
      ],
      ['of the tunnel on a relay', { ...tunnelled, tunnel: { listen: 2500 } }, 'tunnel.listen', 'smtpdServers[0].port'],
      [
        'of SRS',
        { smtpdServers: [{ hostname: 'relayhost', port: 10002 }], relayPort25: { srs: true } },
        'smtpdServers[0].port',
        'relayPort25.srs',
      ],
    ] as const
  ).map(([name, changes, at, twin]) =>
    row(`the port ${name}`, changes, at, `is a port of ${twin} on the same host: `, 'cross-check'),
  ),
  row(
    'a key for lists that are not there',
    { relayPort25: { dnsbl: ['bl.example.net'], dqsKeyFile: 'key' } },
    'relayPort25.dqsKeyFile',
    'relayPort25.dnsbl has none',
    'cross-check',
  ),
  row(
    'signing homes, none with Postfix',
    { smtpClients: [{ hostname: 'mailhost', program: 'exim' }], dkim: { signAt: 'home' } },
    'dkim.signAt',
    'nothing would be signed',
    'cross-check',
  ),
  row(
    'a domain twice',
    { dkim: { domains: ['example.org', 'Example.ORG'] } },
    'dkim.domains[1]',
    'is there twice: "Example.ORG"',
    'parser rule',
  ),
  row(
    'a recipient at home twice',
    { inbound: { home: 'mailhost', recipients: ['ann@example.org', 'ann@example.org'] } },
    'inbound.recipients[1]',
    'is there twice',
  ),
  row(
    'a word for recipients',
    { inbound: { home: 'mailhost', recipients: 'all' } },
    'inbound.recipients',
    'must be "verify" or a list of addresses: "all"',
  ),
];

const label63 = 'a'.repeat(63);
const octets254 = `${label63}.${label63}.${label63}.${'b'.repeat(58)}.org`;

export const badHostNames: readonly (readonly [name: string, hostname: unknown, says: string, only?: 'parser rule'])[] =
  [
    ['a command substitution', '$(id)', 'a character that no DNS name has'],
    ['backticks', '`id`', 'a character that no DNS name has'],
    ['a semicolon', 'a;b', 'a character that no DNS name has'],
    ['a double quote', 'a"b', 'a character that no DNS name has'],
    ['a single quote', "a'b", 'a character that no DNS name has'],
    ['a backslash', 'a\\b', 'a character that no DNS name has'],
    ['a space', 'mail host', 'a character that no DNS name has'],
    ['a leading space', ' mailhost', 'a character that no DNS name has'],
    ['a line feed at the end', 'mailhost\n', 'a character that no DNS name has'],
    ['a line feed', 'mail\nhost', 'a character that no DNS name has'],
    ['NUL', 'mail\0host', 'a character that no DNS name has'],
    ['percent-encoding', 'm%61il.example.org', 'a character that no DNS name has'],
    ['a path', '../etc/passwd', 'a URL, a path or has a port'],
    ['a parent folder', '..', 'ends with a dot'],
    ['a port', 'mailhost:25', 'a URL, a path or has a port'],
    ['a URL', 'https://mailhost.example.org', 'a URL, a path or has a port'],
    ['an option of ssh', '-oProxyCommand=x', 'a character that no DNS name has'],
    ['a leading hyphen', '-mailhost', 'begins or ends with a hyphen'],
    ['a trailing hyphen', 'mailhost-.example.org', 'begins or ends with a hyphen'],
    ['an underscore', 'mail_host', 'an underscore'],
    ['a wildcard', '*.example.org', 'a wildcard'],
    ['a trailing dot', 'mailhost.example.org.', 'ends with a dot'],
    ['an empty label', 'mailhost..example.org', 'an empty label'],
    ['an empty name', '', 'it is empty'],
    ['an IPv4 address', '192.0.2.1', 'an address'],
    ['a short IPv4 address', '127.1', 'an address'],
    ['a hexadecimal IPv4 address', '0x7f.0.0.0x1', 'an address'],
    ['an IPv6 address', '2001:db8::1', 'an address'],
    ['a bracketed IPv6 address', '[2001:db8::1]', 'an address'],
    ['a label of 64 octets', `${'a'.repeat(64)}.example.org`, 'over 63 octets'],
    ['254 octets', octets254, 'over 253 octets'],
    ['a label that the domain makes too long', `${label63}.${label63}.${label63}.${label63}`, 'over 253 octets'],
    ['a soft hyphen', 'mail\u00adhost', 'a character that no DNS name has'],
    ['a zero-width joiner', 'mail\u200dhost', 'a character that no DNS name has'],
    ['a right-to-left override', 'mail\u202ehost', 'a character that no DNS name has'],
    ['an ideographic full stop', 'mailhost\u3002example\u3002org', 'a character that no DNS name has'],
    ['a full-width full stop', 'mailhost\uff0eexample\uff0eorg', 'a character that no DNS name has'],
    ['an emoji', '\u{1f4a9}.example.org', 'a character that no DNS name has'],
    ['a lone surrogate', 'mail\ud800host', 'a character that no DNS name has'],
    ['full-width digits', '\uff11\uff12\uff17.example.org', 'only looks like another', 'parser rule'],
    ['full-width letters', '\uff4d\uff41\uff49\uff4c', 'only looks like another', 'parser rule'],
    ['a Kelvin sign', '\u212aelvin.example.org', 'only looks like another', 'parser rule'],
    ['a ligature', 'o\ufb03ce.example.org', 'only looks like another', 'parser rule'],
    ['an A-label that decodes to nothing', 'xn--a.example.org', 'internationalised label', 'parser rule'],
    ['an A-label without a rest', 'xn--0.example.org', 'internationalised label', 'parser rule'],
    ['an A-label that decodes to ASCII', 'xn--abc-1.example.org', 'internationalised label', 'parser rule'],
    ['a label that begins with a combining mark', '\u0300a.example.org', 'internationalised label', 'parser rule'],
    ['an IDN label over 63 octets', `${'\u00fc'.repeat(60)}.example.org`, 'over 63 octets', 'parser rule'],
    ['a number', 7, 'must be text'],
    ['null', null, 'must be text'],
    ['a list', ['mailhost'], 'must be text'],
  ];

const manyClients = Array.from({ length: 5001 }, (_, index) => ({ hostname: `client${String(index)}` }));

export const badSettings: readonly BadSettings[] = [
  { name: 'a list', value: [], at: '', says: 'must be an object, is a list' },
  { name: 'null', value: null, at: '', says: 'must be an object, is null' },
  { name: 'text', value: 'example.org', at: '', says: 'must be an object, is text' },
  { name: 'a number', value: 1, at: '', says: 'must be an object, is a number' },
  { name: 'nothing in it', value: {}, at: 'domain', says: 'is missing' },
  { name: 'no relays', value: { domain: 'example.org' }, at: 'smtpdServers', says: 'is missing' },
  row('an empty list of relays', { smtpdServers: [] }, 'smtpdServers', 'must name a relay'),
  row('an empty list of clients', { smtpClients: [] }, 'smtpClients', 'must name a client'),
  row('5001 clients', { smtpClients: manyClients }, 'smtpClients', 'at most 5000'),
  row('an object for the clients', { smtpClients: { hostname: 'mailhost' } }, 'smtpClients', 'a list, is an object'),
  row('a text for a client', { smtpClients: ['mailhost'] }, 'smtpClients[0]', 'must be an object, is text'),
  row('a list for the subject', { subject: [] }, 'subject', 'must be an object, is a list'),
  row('null for the CA', { ca: null }, 'ca', 'must be an object, is null'),
  row('a number for $schema', { $schema: 1 }, '$schema', 'must be text'),

  row('a domain of one label', { domain: 'localhost' }, 'domain', 'it has one label only'),
  row('a domain with a shell word', { domain: 'example.org;id' }, 'domain', 'a character that no DNS name has'),
  row('an address for a domain', { domain: '192.0.2.1' }, 'domain', 'an address'),
  row('no text for a domain', { domain: 1 }, 'domain', 'must be text'),
  row('a wildcard domain', { domain: '*.example.org' }, 'domain', 'a wildcard'),
  ...badHostNames.map(([name, hostname, says, only]) => client(`a hostname with ${name}`, hostname, says, only)),
  row('a client without a hostname', { smtpClients: [{}] }, 'smtpClients[0].hostname', 'is missing'),
  relay('a wildcard among altNames', { altNames: ['ok', '*.example.org'] }, 'altNames[1]', 'a wildcard'),
  row(
    "a wildcard among a client's altNames",
    { smtpClients: [{ hostname: 'mailhost', altNames: ['*.example.org'] }] },
    'smtpClients[0].altNames[0]',
    'a wildcard',
  ),
  relay('text for altNames', { altNames: 'relay2' }, 'altNames', 'must be a list, is text'),
  row(
    'a label that is too long with its domain',
    { domain: `${label63}.${label63}.${label63}.org`, smtpClients: [{ hostname: label63 }] },
    'smtpClients[0].hostname',
    'over 253 octets',
    'cross-check',
  ),

  relay('port 0', { port: 0 }, 'port', 'from 1 to 65535: 0'),
  relay('port 65536', { port: 65536 }, 'port', 'from 1 to 65535: 65536'),
  relay('port 25', { port: 25 }, 'port', 'must not be 25, which stays as it is'),
  relay('a port as text', { port: '2500' }, 'port', 'whole number from 1 to 65535: "2500"'),
  relay('half a port', { port: 2500.5 }, 'port', 'whole number from 1 to 65535: 2500.5'),
  relay('port 1e9', { port: 1e9 }, 'port', 'from 1 to 65535: 1000000000'),
  relay('a negative port', { port: -1 }, 'port', 'from 1 to 65535: -1'),
  relay('null for a port', { port: null }, 'port', 'from 1 to 65535: null'),
  relay('ssh port 0', { sshPort: 0 }, 'sshPort', 'from 1 to 65535: 0'),
  relay('local in words', { local: 'yes' }, 'local', 'must be true or false: "yes"'),
  row(
    'a relay and a home on this machine',
    {
      smtpdServers: [{ hostname: 'relayhost', local: true }],
      smtpClients: [
        { hostname: 'mailhost', local: true },
        { hostname: 'other', program: 'msmtp', local: true },
      ],
    },
    'smtpClients[0].local',
    'is true already at smtpdServers[0].local, and this machine has one Postfix',
    'cross-check',
  ),
  relay('local as a number', { local: 1 }, 'local', 'must be true or false: 1'),
  relay('log level 5', { tlsLogLevel: 5 }, 'tlsLogLevel', 'from 0 to 4: 5'),
  ...[
    ['white space', 'smtpd_milters', 'inet:127.0.0.1:8891 unix:/x'],
    ['a new line', 'milter_macro_daemon_name', 'ORIGINATING\n2501 inet n - n - - smtpd'],
    ['another option', 'content_filter', 'smtp:[127.0.0.1] -o mynetworks=0.0.0.0/0'],
    ['a macro', 'message_size_limit', '$mynetworks'],
    ['a table that runs something', 'header_checks', 'pipemap:{x}'],
    ['a limit of nothing', 'smtpd_hard_error_limit', '0'],
    ['no value', 'smtpd_milters', ''],
  ].map(([name = '', key = '', value]) =>
    relay(
      `${name} in an override`,
      { overrides: { [key]: value } },
      `overrides.${key}`,
      'not a value that this can have',
    ),
  ),
  relay(
    'a number for an override',
    { overrides: { smtpd_timeout: 60 } },
    'overrides.smtpd_timeout',
    'must be text: 60',
  ),
  // Each of these would open the relay, or a lock.
  ...['relay_clientcerts', 'smtpd_relay_restrictions', 'smtpd_tls_req_ccert', 'smtpd_tls_CAfile', 'mynetworks'].map(
    (key) => relay(`an override of ${key}`, { overrides: { [key]: 'yes' } }, 'overrides', `unknown key "${key}"`),
  ),
  relay('an option for sshHost', { sshHost: '-oProxyCommand=x' }, 'sshHost', 'not an ssh host'),
  relay('a zone in sshHost', { sshHost: 'fe80::1%eth0' }, 'sshHost', 'a zone'),
  relay('brackets around sshHost', { sshHost: '[2001:db8::1]' }, 'sshHost', 'a character that no host has'),
  relay('half an address for sshHost', { sshHost: '127.1' }, 'sshHost', 'half an address', 'parser rule'),
  relay('a user in sshHost', { sshHost: 'root@relay' }, 'sshHost', 'a character that no host has'),
  relay('an option for sshUser', { sshUser: '-l' }, 'sshUser', 'not a login name: "-l"'),
  relay('a shell word for sshUser', { sshUser: '$(id)' }, 'sshUser', 'not a login name'),
  relay('a sshUser of 33 characters', { sshUser: 'a'.repeat(33) }, 'sshUser', 'not a login name'),
  relay('a line feed in sshUser', { sshUser: 'root\n' }, 'sshUser', 'not a login name: "root\\n"'),

  row('three letters for a country', { subject: { country: 'NLD' } }, 'subject.country', 'not a country code: "NLD"'),
  row('a dotless i for a country', { subject: { country: '\u0131T' } }, 'subject.country', 'not a country code'),
  row('an empty state', { subject: { state: '' } }, 'subject.state', 'must not be empty'),
  row(
    'a state of 129',
    { subject: { state: 'a'.repeat(129) } },
    'subject.state',
    'at most 128 characters long, is 129',
  ),
  row(
    'an organization of 65',
    { subject: { organization: '\u{20000}'.repeat(65) } },
    'subject.organization',
    'at most 64',
  ),
  row(
    'a space before a locality',
    { subject: { locality: ' Utrecht' } },
    'subject.locality',
    'begin or end with a space',
  ),
  row('a tab in a state', { subject: { state: 'a\tb' } }, 'subject.state', 'no control, invisible'),
  row(
    'an override in a unit',
    { subject: { organizationalUnit: 'a\u202eb' } },
    'subject.organizationalUnit',
    '\\u202e',
  ),
  row('a line separator in a name', { ca: { commonName: 'a\u2028b' } }, 'ca.commonName', 'no control, invisible'),
  row('a CA name of 65', { ca: { commonName: 'a'.repeat(65) } }, 'ca.commonName', 'at most 64 characters long, is 65'),
  row('a CA of 0 days', { ca: { validDays: 0 } }, 'ca.validDays', 'from 1 to 36500: 0'),
  row('a CA of 36501 days', { ca: { validDays: 36501 } }, 'ca.validDays', 'from 1 to 36500: 36501'),
  row('a weak key', { ca: { keyType: 'rsa-1024' } }, 'ca.keyType', 'must be one of "ecdsa-p256"'),
  row(
    'a permitted domain with a dot before',
    { ca: { permittedDomains: ['.example.org'] } },
    'ca.permittedDomains[0]',
    'empty label',
  ),
  row('certificates of 3651 days', { certificates: { validDays: 3651 } }, 'certificates.validDays', 'from 1 to 3650'),
  row('renewal before -1 days', { certificates: { renewBeforeDays: -1 } }, 'certificates.renewBeforeDays', 'from 0 to'),

  row('text for the passphrase', { passphrase: 'hunter2' }, 'passphrase', 'must be an object, is text'),
  row('NUL in a path', { passphrase: { file: 'a\0b' } }, 'passphrase.file', "not a file's path"),
  row('a line feed in a path', { passphrase: { file: 'a\nb' } }, 'passphrase.file', "not a file's path"),
  row("another user's home", { passphrase: { file: '~root/x' } }, 'passphrase.file', "not a file's path"),
  row('a folder for a file', { passphrase: { file: '~/' } }, 'passphrase.file', "not a file's path"),
  row('a variable in a path', { passphrase: { file: '$HOME/x' } }, 'passphrase.file', "not a file's path"),
  row('an empty path', { passphrase: { file: '' } }, 'passphrase.file', "not a file's path"),
  row(
    'an option for a recipient',
    { passphrase: { recipients: ['--yes'] } },
    'passphrase.recipients[0]',
    'not a recipient',
  ),
  row(
    'a variable in the path of a recipient',
    { passphrase: { recipients: ['$HOME/me.asc'] } },
    'passphrase.recipients[0]',
    'not a recipient',
  ),
  row(
    "another user's home in the path of a recipient",
    { passphrase: { recipients: ['~root/me.asc'] } },
    'passphrase.recipients[0]',
    'not a recipient',
  ),
  row('an empty recipient', { passphrase: { recipients: [''] } }, 'passphrase.recipients[0]', 'not a recipient'),
  row(
    'a recipient twice',
    { passphrase: { recipients: ['a', 'b', 'a'] } },
    'passphrase.recipients[2]',
    'is there twice',
  ),

  row('a relative directory', { postfix: { directory: 'relaycerts' } }, 'postfix.directory', 'begin with a slash'),
  row('a shell word in a directory', { postfix: { directory: '/etc/$(id)' } }, 'postfix.directory', 'only letters'),
  row('a space in a directory', { postfix: { directory: '/etc/my certs' } }, 'postfix.directory', 'only letters'),
  row('the parent folder', { postfix: { directory: '/etc/postfix/../x' } }, 'postfix.directory', '. or .. component'),
  row('a hyphen in front', { postfix: { directory: '/etc/-rf' } }, 'postfix.directory', 'begins with a hyphen'),
  row('the root folder', { postfix: { directory: '/' } }, 'postfix.directory', 'holds other things'),
  row('a system folder', { postfix: { directory: '/etc' } }, 'postfix.directory', 'holds other things'),
  row(
    "Postfix's own folder",
    { postfix: { directory: '/etc/postfix/' } },
    'postfix.directory',
    'holds other things',
    'parser rule',
  ),
  row(
    'a folder below /tmp',
    { postfix: { directory: '/tmp/x' } },
    'postfix.directory',
    'holds other things',
    'parser rule',
  ),
  row('an unknown map type', { postfix: { tableType: 'btree' } }, 'postfix.tableType', 'must be one of "texthash"'),
  row('an unknown pin', { postfix: { pin: 'publickey' } }, 'postfix.pin', 'must be one of "public-key"'),
  row(
    'an unknown answer',
    { postfix: { unlisted: true } },
    'postfix.unlisted',
    'must be one of "defer", "reject": true',
  ),

  row('an unknown key', { smtpClient: [] }, '', 'unknown key "smtpClient", did you mean "smtpClients"?'),
  row('an unknown key in a section', { postfix: { Directory: '/x/y' } }, 'postfix', 'did you mean "directory"?'),
  row(
    'an unknown key in a host',
    { smtpdServers: [{ hostname: 'a', sshuser: 'x' }] },
    'smtpdServers[0]',
    'did you mean "sshUser"?',
  ),
  row(
    'a mail program that nobody has',
    { smtpClients: [{ hostname: 'a', program: 'Exim4' }] },
    'smtpClients[0].program',
    'must be one of "postfix", "exim"',
  ),
  row(
    'a container image that nobody knows',
    { smtpClients: [{ hostname: 'a', container: 'postfix' }] },
    'smtpClients[0].container',
    'must be one of "mail-gateway", "boky"',
  ),
  relay('mailcow as a relay', { container: 'mailcow' }, 'container', 'must be one of "mail-gateway"'),
  ...(
    [
      ['another mail program', { smtpClients: [{ hostname: 'a', container: 'boky', program: 'exim' }] }, 'not "exim"'],
      [
        'inbound mail',
        { smtpClients: [{ hostname: 'a', container: 'boky' }], inbound: { home: 'a' } },
        'cannot pass on inbound mail',
      ],
      [
        'a signing home',
        { smtpClients: [{ hostname: 'a', container: 'boky' }], dkim: { signAt: 'home' } },
        'is not set up to sign',
      ],
    ] as const
  ).map(([name, changes, says]) =>
    row(`a container with ${name}`, changes, 'smtpClients[0].container', says, 'cross-check'),
  ),
  ...(
    [
      ['a signing relay', { dkim: {} }, 'is not set up to sign'],
      ['port 25', { relayPort25: {} }, 'has no port 25 to set up'],
      ['inbound mail through it', { inbound: { home: 'mailhost' } }, 'cannot pass on inbound mail'],
    ] as const
  ).map(([name, changes, says]) =>
    row(
      `a container with ${name}`,
      { smtpdServers: [{ hostname: 'relayhost', container: 'boky' }], ...changes },
      'smtpdServers[0].container',
      says,
      'cross-check',
    ),
  ),
  row(
    'a shell word for programUser',
    { smtpClients: [{ hostname: 'a', program: 'msmtp', programUser: 'mail;id' }] },
    'smtpClients[0].programUser',
    'not a login name: "mail;id"',
  ),
  ...(
    [
      ['a label', 'localhost'],
      ['an empty text', ''],
      ['the null sender', '<>'],
      ['white space', 'ann @example.org'],
      ['a quote', '"ann"@example.org'],
      ['a variable', '$ann@example.org'],
      ['a brace', 'ann}@example.org'],
      ['a comma', 'ann,eve@example.org'],
      ['an equals sign', 'ann=ok@example.org'],
      ['two at signs', 'ann@example.net@example.org'],
      ['no local part', '@example.org'],
      ['a dot at the end', 'ann.@example.org'],
      ['an address literal', 'ann@[192.0.2.1]'],
      ['a line feed', 'example.org\n'],
    ] as const
  ).map(([name, sender]) =>
    row(
      `a sender with ${name}`,
      { smtpClients: [{ hostname: 'a', senders: ['example.org', sender] }] },
      'smtpClients[0].senders[1]',
      'not a sender',
    ),
  ),
  row(
    'a local part of 65 characters',
    { smtpClients: [{ hostname: 'a', senders: [`${'a'.repeat(65)}@example.org`] }] },
    'smtpClients[0].senders[0]',
    'not a sender',
    'parser rule',
  ),
  row(
    'no sender at all',
    { smtpClients: [{ hostname: 'a', senders: [] }] },
    'smtpClients[0].senders',
    'must name a sender, is empty',
  ),
  row(
    'more senders than an argument of a program holds',
    { smtpClients: [{ hostname: 'a', senders: Array.from({ length: 2000 }, (_, at) => `${at}user@example.org`) }] },
    'smtpClients',
    'over 25000 octets of senders',
    'cross-check',
  ),
  row('a port for a client', { smtpClients: [{ hostname: 'a', port: 1 }] }, 'smtpClients[0]', 'unknown key "port"'),
  row('a prototype', Object.fromEntries([['__proto__', { polluted: true }]]), '', 'unknown key "__proto__"'),
  row('a constructor', { constructor: { prototype: { polluted: true } } }, '', 'unknown key "constructor"'),

  row(
    'a relay twice',
    { smtpdServers: [{ hostname: 'a' }, { hostname: 'A.example.org' }] },
    'smtpdServers[1].hostname',
    'is already at smtpdServers[0].hostname: "a.example.org"',
    'cross-check',
  ),
  row(
    'a client twice',
    { smtpClients: [{ hostname: 'a' }, { hostname: 'a' }] },
    'smtpClients[1].hostname',
    'is already at smtpClients[0]',
    'cross-check',
  ),
  row(
    'a client that is a relay',
    { smtpClients: [{ hostname: 'relayhost' }] },
    'smtpClients[0].hostname',
    'is already at smtpdServers[0]',
    'cross-check',
  ),
  row(
    'an IDN twice',
    { smtpClients: [{ hostname: 'b\u00fccher' }, { hostname: 'xn--bcher-kva' }] },
    'smtpClients[1].hostname',
    'is already at',
    'cross-check',
  ),
  relay(
    'an altName that is a client',
    { altNames: ['mailhost'] },
    'altNames[0]',
    'is already at smtpClients[0].hostname',
    'cross-check',
  ),
  relay('an altName that is the relay', { altNames: ['relayhost'] }, 'altNames[0]', 'is already at', 'cross-check'),
  relay(
    'an altName twice',
    { altNames: ['a', 'a'] },
    'altNames[1]',
    'is already at smtpdServers[0].altNames[0]',
    'cross-check',
  ),
  row(
    "a client's altName that is a relay",
    { smtpClients: [{ hostname: 'mailhost', altNames: ['relayhost'] }] },
    'smtpClients[0].altNames[0]',
    'is already at smtpdServers[0].hostname',
    'cross-check',
  ),
  row(
    "a client's altName that is another client's",
    {
      smtpClients: [
        { hostname: 'a', altNames: ['c'] },
        { hostname: 'b', altNames: ['c'] },
      ],
    },
    'smtpClients[1].altNames[0]',
    'is already at smtpClients[0].altNames[0]',
    'cross-check',
  ),
  row(
    "a client's altName outside the permitted domains",
    {
      smtpClients: [{ hostname: 'mailhost', altNames: ['mail.example.net'] }],
      ca: { permittedDomains: ['example.org'] },
    },
    'smtpClients[0].altNames[0]',
    'is outside ca.permittedDomains: "mail.example.net"',
    'cross-check',
  ),
  row(
    'a host outside the permitted domains',
    { ca: { permittedDomains: ['example.net'] } },
    'smtpClients[0].hostname',
    'is outside ca.permittedDomains: "mailhost.example.org"',
    'cross-check',
  ),
  row(
    'a domain that only ends alike',
    { ca: { permittedDomains: ['ample.org'] } },
    'smtpdServers[0].hostname',
    'is outside',
    'cross-check',
  ),
  row(
    'a CA named like a host',
    { ca: { commonName: 'Mailhost.example.org' } },
    'ca.commonName',
    'is the name of a host',
    'cross-check',
  ),
  row(
    'a renewal before its own issue',
    { certificates: { validDays: 30 } },
    'certificates.renewBeforeDays',
    'less than certificates.validDays (30): 30',
    'cross-check',
  ),
  row(
    'the settings for a passphrase file',
    { passphrase: { file: './settings.json' } },
    'passphrase.file',
    'is the settings file itself',
    'cross-check',
  ),
  ...inboundRows,
  row('root at the end of the tunnel', { tunnel: { user: 'root' } }, 'tunnel.user', 'must not be root'),
  row('port 25 at home', { inbound: { home: 'mailhost', port: 25 } }, 'inbound.port', 'must not be 25'),
  row('no domain for home', { inbound: { home: 'mailhost', domains: [] } }, 'inbound.domains', 'must name a domain'),
  row('a socket elsewhere', { dkim: { socket: 'inet:192.0.2.1:8891' } }, 'dkim.socket', 'not a socket on 127.0.0.1'),
  row(
    'a port of no socket',
    { dkim: { socket: 'inet:127.0.0.1:99999' } },
    'dkim.socket',
    'not a socket',
    'parser rule',
  ),
  row('no address', { dns: { resolver: '192.0.2.256' } }, 'dns.resolver', 'not an IP address', 'parser rule'),
  row('an address with a zone', { dns: { resolver: 'fe80::1%eth0' } }, 'dns.resolver', 'not an IP address'),
  row('a domain for reports', { dns: { dmarc: { reportTo: 'example.org' } } }, 'dns.dmarc.reportTo', 'not an address'),
  row('a list for reports', { dns: { dmarc: { reportTo: 'a,b@c.org' } } }, 'dns.dmarc.reportTo', 'not an address'),
  row(
    'a list with a shell word',
    { relayPort25: { dnsbl: ['a.example.org;id'] } },
    'relayPort25.dnsbl[0]',
    'block list',
  ),
  row(
    'answers that no list gives',
    { relayPort25: { dnsbl: ['a.example.org=10.0.0.1'] } },
    'relayPort25.dnsbl[0]',
    'list',
  ),
];
