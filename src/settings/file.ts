// The keys of a settings file, with their limits, defaults and descriptions: the one source of the parser and of
// settings.schema.json. What values say about each other is in contradictions.ts.

import * as z from 'zod/mini';
import { completeHostName, parseAbsolutePath, parseCountryCode, parseHostName } from '../names.js';
import { parseSshHost, parseSshUser, type HostName } from '../names.js';
import { attribute, choice, list, parsed, parsePassphraseFile, parseRecipient, patterns } from './fields.js';
import { say, section, whole } from './fields.js';
import { keyTypes, tableTypes } from './settings.js';

const maxClients = 5000;

const tlsLogLevel = (parameter: string) =>
  z.prefault(whole(0, 4, `postconf(5) ${parameter}: 0 is silent, 1 one line a connection`, 1), 1);
const days = (max: number, what: string, example: number) =>
  z.prefault(whole(1, max, `How many days ${what} is valid`, example), example);

/** The file's schema; labels are completed with `domain`. `places` are the objects that keys stand in, by top-level key. */
export function buildSchema(domain: HostName) {
  const hostLimits = { maxLength: 253, pattern: patterns.hostOrLabel };
  const hostname = (description: string, example: string) =>
    parsed((input) => completeHostName(input, domain), { description, ...hostLimits, examples: [example] }, example);
  const ssh = {
    sshUser: z.prefault(
      parsed(parseSshUser, { description: 'The login name for ssh and rsync', pattern: patterns.sshUser }, 'root'),
      'root',
    ),
    sshHost: z.optional(
      parsed(
        parseSshHost,
        { description: 'What ssh connects to; default: the hostname', maxLength: 253, pattern: patterns.sshHost },
        'relayhost.example.org',
      ),
    ),
    sshPort: z.prefault(whole(1, 65535, 'The TCP port of its sshd', 22), 22),
  };
  const altNames = (example: string) =>
    z.prefault(
      list(hostname('A DNS name', example), { description: 'More names for its certificate' }, `["${example}"]`),
      [],
    );

  const server = section(
    {
      hostname: hostname('The relay: a label, completed with the domain, or a whole DNS name', 'relayhost'),
      port: z.prefault(
        whole(1, 65535, 'The TCP port of the relay service; never 25, which stays as it is', 2500).check(
          z.refine((port) => port !== 25, {
            error: say(
              'must not be 25, which stays as it is for mail from the world: 25',
              'write another port, for example 2500',
            ),
          }),
          z.meta({
            description: 'The TCP port of the relay service; never 25, which stays as it is',
            not: { const: 25 },
          }),
        ),
        2500,
      ),
      altNames: altNames('relay2'),
      ...ssh,
      tlsLogLevel: tlsLogLevel('smtpd_tls_loglevel'),
    },
    'A relay: the Postfix that takes mail from the smtp-clients and sends it to the world',
  );
  const client = section(
    {
      hostname: hostname('The client: a label, completed with the domain, or a whole DNS name', 'mailhost'),
      altNames: altNames('mail2'),
      ...ssh,
      tlsLogLevel: tlsLogLevel('smtp_tls_loglevel'),
    },
    'A client: a Postfix that may send its mail through the relays',
  );
  const subject = section(
    {
      country: z.optional(
        parsed(parseCountryCode, { description: 'Two letters, ISO 3166-1', pattern: patterns.country }, 'NL'),
      ),
      state: z.optional(attribute(128, 'State or province', 'Utrecht')),
      locality: z.optional(attribute(128, 'Town', 'Utrecht')),
      organization: z.optional(attribute(64, 'Organization', 'Example')),
      organizationalUnit: z.optional(attribute(64, 'Part of the organization', 'Mail')),
    },
    "What the certificates' names say besides the host's",
  );
  const ca = section(
    {
      commonName: z.optional(attribute(64, 'Its name; default: "DOMAIN relay CA"', 'example.org relay CA')),
      validDays: days(36500, 'the CA', 3650),
      keyType: z.prefault(choice(keyTypes, 'Its key'), 'ecdsa-p256'),
      permittedDomains: z.prefault(
        list(
          parsed(parseHostName, { maxLength: 253, pattern: patterns.hostName }, 'example.org'),
          { description: 'Name constraints: it can vouch for hosts in these domains only; none: for any' },
          '["example.org"]',
        ),
        [],
      ),
    },
    'The private certification authority',
  );
  const certificates = section(
    {
      validDays: days(3650, "a host's certificate", 398),
      keyType: z.prefault(choice(keyTypes, "A host's key"), 'ecdsa-p256'),
      renewBeforeDays: z.prefault(
        whole(0, 3649, 'How many days before it expires a certificate is due; fewer than validDays', 30),
        30,
      ),
    },
    "The hosts' certificates",
  );
  const passphrase = section(
    {
      file: z.optional(
        parsed(
          parsePassphraseFile,
          {
            description: 'The OpenPGP-encrypted passphrase; default: "~/.DOMAIN-relaycerts-passphrase.gpg"',
            maxLength: 1024,
            pattern: patterns.passphraseFile,
          },
          '~/.example.org-relaycerts-passphrase.gpg',
        ),
      ),
      recipients: z.prefault(
        list(
          parsed(parseRecipient, { maxLength: 1024, pattern: patterns.recipient }, 'postmaster@example.org'),
          {
            description:
              'Who can open it: paths to OpenPGP public keys, or fingerprints, key IDs or addresses in the GnuPG keyring',
            uniqueItems: true,
          },
          '["postmaster@example.org"]',
        ),
        [],
      ),
    },
    "The passphrase of the CA's key",
  );
  const postfix = section(
    {
      directory: z.prefault(
        parsed(
          parseAbsolutePath,
          { description: 'The folder for our files on every host', maxLength: 200, pattern: patterns.directory },
          '/etc/postfix/relaycerts',
        ),
        '/etc/postfix/relaycerts',
      ),
      tableType: z.prefault(choice(tableTypes, 'The map type of relay_clientcerts'), 'texthash'),
      pin: z.prefault(choice(['public-key', 'certificate'], 'What a pin is the digest of'), 'public-key'),
      unlisted: z.prefault(
        choice(['defer', 'reject'], 'What a client without a listed pin gets: a temporary answer, or a bounce'),
        'defer',
      ),
      masterChroot: z.prefault(choice(['y', 'n', '-'], 'The chroot column of the service in master.cf'), 'y'),
    },
    'The configuration of Postfix',
  );
  const file = section(
    {
      $schema: z.optional(z.string({ error: say('must be text', 'write "./settings.schema.json"') })),
      domain: parsed(
        parseHostName,
        { description: 'The mail domain', maxLength: 253, pattern: patterns.hostName, examples: ['example.org'] },
        'example.org',
      ),
      smtpdServers: list(
        server,
        { description: 'The relays, in the order in which clients try them' },
        '[{ "hostname": "relayhost" }]',
      ).check(z.minLength(1, { error: say('must name a relay, is empty', 'write [{ "hostname": "relayhost" }]') })),
      smtpClients: list(client, { description: 'The clients' }, '[{ "hostname": "mailhost" }]').check(
        z.minLength(1, { error: say('must name a client, is empty', 'write [{ "hostname": "mailhost" }]') }),
        z.maxLength(maxClients, {
          error: say(`must name at most ${String(maxClients)} clients`, 'split them over several settings files'),
        }),
      ),
      subject: z.prefault(subject, {}),
      ca: z.prefault(ca, {}),
      certificates: z.prefault(certificates, {}),
      passphrase: z.prefault(passphrase, {}),
      postfix: z.prefault(postfix, {}),
    },
    'What relaycerts makes: a private CA, certificates and Postfix configuration for mutual-TLS relaying',
  );
  return {
    file,
    places: { smtpdServers: server, smtpClients: client, subject, ca, certificates, passphrase, postfix },
  };
}
