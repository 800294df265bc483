// The keys of a settings file, with limits, defaults and descriptions: the one source of both the parser and
// settings.schema.json. Contradictions between values are in contradictions.ts.

import { completeHostName, parseAbsolutePath, parseCountryCode, parseHostName } from '../names.js';
import { parseSender, parseSshHost, parseSshUser, type HostName } from '../names.js';
import { attribute, choice, flag, oneOf, textFormats, list, parsed, parsePath, parseRecipient } from './fields.js';
import { buildDomainMail } from './domain-mail.js';
import { oneOrMore, section, whole } from './fields.js';
import { checked, optional, withDefault } from './kinds.js';
import { buildOverrides } from './overrides.js';
import { containers, keyTypes, mailPrograms, tableTypes } from './settings.js';

const about = 'What relaycerts makes: a private CA, certificates and Postfix configuration for mutual-TLS relaying';
const maxClients = 5000;
/** The longest that a CA certificate may be valid. */
export const mostCaDays = 36_500;

const tlsLogLevel = (parameter: string) =>
  whole(0, 4, `postconf(5) ${parameter}: 0 is silent, 1 one line a connection`, 1);
const days = (max: number, what: string, standard: number) => whole(1, max, `How many days ${what} is valid`, standard);

/** The file's schema; labels are completed with `domain`. `places` are the objects that hold keys, by top-level key. */
export function buildSchema(domain: HostName) {
  const hostname = (description: string, example: string) => {
    const format = { ...textFormats.hostOrLabel, examples: [example] };
    return parsed((input) => completeHostName(input, domain), format, example, description);
  };
  const sshUser = parsed(parseSshUser, textFormats.sshUser, 'root', 'The login name for ssh and rsync');
  const sshHost = 'What ssh connects to; default: the hostname';
  const ssh = {
    local: flag('It is the machine that relaycerts runs on: the printed commands use no ssh'),
    sshUser: withDefault(sshUser, 'root'),
    sshHost: optional(parsed(parseSshHost, textFormats.sshHost, 'relayhost.example.org', sshHost)),
    sshPort: whole(1, 65535, 'The TCP port of its sshd', 22),
  };
  const altNames = (example: string) => {
    const meta = { description: 'More names for its certificate' };
    return withDefault(list(hostname('A DNS name', example), meta, `["${example}"]`), []);
  };

  const containerWords = 'The image, if its Postfix runs in a container: relaycerts export docker writes its files';
  const notPort25 = {
    what: 'must not be 25, which stays as it is for mail from the Internet: 25',
    hint: 'write another port, for example 2500',
  };
  const overrides = buildOverrides();
  const server = section(
    'A relay: the Postfix that accepts mail from the smtp-clients and delivers it to the Internet',
    {
      hostname: hostname('The relay: a label, completed with the domain, or a whole DNS name', 'relayhost'),
      port: checked(
        whole(1, 65535, 'The TCP port of the relay service; never 25, which stays as it is', 2500),
        (port) => (port === 25 ? notPort25 : undefined),
        { not: { const: 25 } },
      ),
      altNames: altNames('relay2'),
      ...ssh,
      // mailcow has no way to add a service.
      container: oneOf(['mail-gateway', 'boky', 'docker-mailserver'], containerWords),
      tlsLogLevel: tlsLogLevel('smtpd_tls_loglevel'),
      overrides: withDefault(overrides, {}),
    },
  );
  const programUser =
    'The user that runs the program and reads the key; default: Debian-exim, mail for nullmailer, root for all others';
  const oneSender = '["example.org"]';
  const senders = list(
    parsed(parseSender, textFormats.sender, 'example.org'),
    {
      description:
        'Envelope senders that it may use: addresses, or domains with their subdomains; mail from others waits; default: any sender',
    },
    oneSender,
  );
  const client = section('A client: a mail server or program that may send its mail through the relays', {
    hostname: hostname('The client: a label, completed with the domain, or a whole DNS name', 'mailhost'),
    altNames: altNames('mail2'),
    ...ssh,
    container: oneOf(containers, containerWords),
    tlsLogLevel: tlsLogLevel('smtp_tls_loglevel'),
    program: choice(mailPrograms, 'The program that sends its mail to the relay'),
    programUser: optional(parsed(parseSshUser, textFormats.sshUser, 'www-data', programUser)),
    senders: optional(oneOrMore(senders, 'a sender', `${oneSender}, or remove it: any sender`)),
  });
  const subject = section("What the certificates' names say besides the host's", {
    country: optional(parsed(parseCountryCode, textFormats.country, 'NL', 'Two letters, ISO 3166-1')),
    state: attribute(128, 'State or province', 'Utrecht'),
    locality: attribute(128, 'Town', 'Utrecht'),
    organization: attribute(64, 'Organization', 'Example'),
    organizationalUnit: attribute(64, 'Part of the organization', 'Mail'),
  });
  const permittedDomains = list(
    parsed(parseHostName, textFormats.hostName, 'example.org'),
    { description: 'Name constraints: it can vouch for hosts in these domains only; none: for any' },
    '["example.org"]',
  );
  const ca = section('The private certification authority', {
    commonName: attribute(64, 'Its name; default: "DOMAIN relay CA"', 'example.org relay CA'),
    validDays: days(mostCaDays, 'the CA', 3650),
    keyType: choice(keyTypes, 'Its key'),
    permittedDomains: withDefault(permittedDomains, []),
  });
  const certificates = section("The hosts' certificates", {
    validDays: days(3650, "a host's certificate", 398),
    keyType: choice(keyTypes, "A host's key"),
    renewBeforeDays: whole(0, 3649, 'How many days before it expires a certificate is due; fewer than validDays', 30),
  });
  const passphraseFile = parsed(
    parsePath,
    textFormats.path,
    '~/.example.org-relaycerts-passphrase.gpg',
    'The OpenPGP-encrypted passphrase; default: "~/.DOMAIN-relaycerts-passphrase.gpg"',
  );
  const recipients = list(
    parsed(parseRecipient, textFormats.recipient, 'postmaster@example.org'),
    {
      description:
        'Who can open it: paths to OpenPGP public keys, or fingerprints, key IDs or addresses in the GnuPG keyring',
      uniqueItems: true,
    },
    '["postmaster@example.org"]',
  );
  const passphrase = section("The passphrase of the CA's key", {
    file: optional(passphraseFile),
    recipients: withDefault(recipients, []),
  });
  const directory = parsed(
    parseAbsolutePath,
    textFormats.directory,
    '/etc/postfix/relaycerts/example.org',
    'The folder for our files on every host; default: "/etc/postfix/relaycerts/DOMAIN"',
  );
  const unlisted =
    'What a client without a listed pin gets: a temporary answer, or a bounce; with "reject" every refusal on that port is permanent, whatever the reason';
  const postfix = section('The configuration of Postfix', {
    directory: optional(directory),
    tableType: choice(
      tableTypes,
      'The map type of relay_clientcerts: texthash works everywhere, cdb is for more than 10,000 clients; with hash, Postfix 3.11 of Debian logs that it is deprecated',
    ),
    pin: choice(['public-key', 'certificate'], 'What a pin is the digest of'),
    unlisted: choice(['defer', 'reject'], unlisted),
    masterChroot: choice(['y', 'n', '-'], 'The chroot column of the service in master.cf'),
  });
  const { inbound, tunnel, dkim, dmarc, dns, relayPort25 } = buildDomainMail(domain);
  const domainFormat = { ...textFormats.hostName, examples: ['example.org'] };
  const [oneServer, oneClient] = ['[{ "hostname": "relayhost" }]', '[{ "hostname": "mailhost" }]'];
  const order = 'The relays, in the order in which clients try them';
  const split = {
    what: `must name at most ${String(maxClients)} clients`,
    hint: 'put them into a file of their own, and write { "file": "clients.csv" } there',
  };
  const file = section(about, {
    $schema: optional(parsed(String, {}, './settings.schema.json')),
    domain: parsed(parseHostName, domainFormat, 'example.org', 'The mail domain'),
    smtpdServers: oneOrMore(list(server, { description: order }, oneServer), 'a relay', oneServer),
    smtpClients: checked(
      oneOrMore(list(client, { description: 'The clients' }, oneClient), 'a client', oneClient),
      ({ length }) => (length > maxClients ? split : undefined),
      { maxItems: maxClients },
    ),
    subject: withDefault(subject, {}),
    ca: withDefault(ca, {}),
    certificates: withDefault(certificates, {}),
    passphrase: withDefault(passphrase, {}),
    postfix: withDefault(postfix, {}),
    inbound: optional(inbound),
    tunnel: optional(tunnel),
    dkim: optional(dkim),
    dns: withDefault(dns, {}),
    relayPort25: optional(relayPort25),
  });
  const hosts = { smtpdServers: server, smtpClients: client, overrides };
  const sections = { subject, ca, certificates, passphrase, postfix, inbound, tunnel, dkim, dmarc, dns, relayPort25 };
  return { file, places: { ...hosts, ...sections } };
}
