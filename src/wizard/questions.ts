// The wizard's questions as data: what is asked, why, the default, and the parser. They are asked in this order; the
// asking is ask.ts's, and an answers file has the same ids.

import { RelaycertsError } from '../errors.js';
import { parseHostName, parseSshUser, type HostName } from '../names.js';
import { parseRecipient } from '../settings/fields.js';
import { keyTypes, type KeyType, type Settings } from '../settings/settings.js';
import { asObjects, recipientSources, type Answers, type QuestionId, type Start } from './answers.js';
import type { Option, SecretKeys } from './gnupg.js';
import { formatList, parseNumber, parseHostList, parseKeyFingerprints, parseList, parseWord } from './parse.js';

export interface Question {
  readonly id: QuestionId;
  /** A line of text; one of the options; any of the options. */
  readonly kind: 'text' | 'one' | 'several';
  readonly message: string;
  /** One line: why it is asked, and the default. */
  readonly why: string;
  /** The text that Enter takes; '' where there is none. */
  readonly initial: (start: Start | undefined) => string;
  /** Whether it is asked; text says why it is not, and that what is there stays. */
  readonly when: (start: Start | undefined, given: Partial<Answers>) => boolean | string;
  readonly options: (keys: () => Promise<SecretKeys>) => Promise<readonly Option[]>;
  /** @throws name, settings, recipient */
  readonly parse: (text: string, given: Partial<Answers>) => Partial<Answers>;
}

/** More hosts than this are for an editor, not for a line of text. */
const mostHosts = 10;
// Stands in until the domain is answered.
const placeholderDomain = parseHostName('example.org');

const always = (): boolean => true;
const noOptions = (): Promise<readonly Option[]> => Promise.resolve([]);

const keyTypeNotes: Readonly<Record<KeyType, string>> = {
  'ecdsa-p256': 'small, quick, taken everywhere',
  'ecdsa-p384': 'larger, where a rule asks for it',
  'rsa-2048': 'for very old software',
  'rsa-3072': 'RSA as strong as P-256, slower',
  'rsa-4096': 'RSA, slowest',
  ed25519: 'not taken by every TLS library',
};

export const questions: readonly Question[] = [
  {
    id: 'domain',
    kind: 'text',
    message: 'Mail domain:',
    why: 'What stands after the @. Short host names are completed with it.',
    initial: (start) => start?.settings.domain ?? '',
    when: always,
    options: noOptions,
    parse: (text) => ({ domain: parseHostName(text.trim()) }),
  },
  {
    id: 'relays',
    kind: 'text',
    message: 'Relay:',
    why: 'The server with a fixed address that sends your mail on. Several: with commas, first tried first.',
    initial: (start) => writtenHosts(start, 'smtpdServers') ?? 'relayhost',
    when: (start) => fewHosts(start, 'smtpdServers', 'relays'),
    options: noOptions,
    parse: (text, given) => ({ relays: parseHostList(text, domainOf(given)) }),
  },
  {
    id: 'relayPort',
    kind: 'text',
    message: 'Port on the relay:',
    why: 'A port of its own (default 2500): 25 stays as it is, and is often blocked at home.',
    initial: (start) => String(shared(start, ({ smtpdServers }) => smtpdServers.map(({ port }) => port)) ?? 2500),
    when: (start) => alike(start, ({ smtpdServers }) => smtpdServers.map(({ port }) => port), 'relays', 'ports'),
    options: noOptions,
    parse: (text) => ({ relayPort: parseNumber(text, ({ smtpdServers }) => smtpdServers.shape.port) }),
  },
  {
    id: 'relayUser',
    kind: 'text',
    message: 'ssh user on the relay:',
    why: 'For the commands that copy and install (default root).',
    initial: (start) => shared(start, ({ smtpdServers }) => smtpdServers.map(({ ssh }) => ssh.user)) ?? 'root',
    when: (start) => alike(start, ({ smtpdServers }) => smtpdServers.map(({ ssh }) => ssh.user), 'relays', 'ssh users'),
    options: noOptions,
    parse: (text) => ({ relayUser: parseSshUser(text.trim()) }),
  },
  {
    id: 'clients',
    kind: 'text',
    message: 'Mail server at home:',
    why: 'The Postfix that hands its mail to the relay. Several: with commas.',
    initial: (start) => writtenHosts(start, 'smtpClients') ?? 'mailhost',
    when: (start) => fewHosts(start, 'smtpClients', 'clients'),
    options: noOptions,
    parse: (text, given) => ({ clients: parseHostList(text, domainOf(given)) }),
  },
  {
    id: 'clientUser',
    kind: 'text',
    message: 'ssh user on it:',
    why: 'For the commands that copy and install there (default root).',
    initial: (start) => shared(start, ({ smtpClients }) => smtpClients.map(({ ssh }) => ssh.user)) ?? 'root',
    when: (start) => alike(start, ({ smtpClients }) => smtpClients.map(({ ssh }) => ssh.user), 'clients', 'ssh users'),
    options: noOptions,
    parse: (text) => ({ clientUser: parseSshUser(text.trim()) }),
  },
  {
    id: 'keyType',
    kind: 'one',
    message: 'Key type:',
    why: "Of the hosts' certificates. The default is right unless something forbids it.",
    initial: (start) => start?.settings.certificates.keyType ?? 'ecdsa-p256',
    when: always,
    options: () =>
      Promise.resolve(
        keyTypes.map((value) => ({
          value,
          label: `${value}${value === 'ecdsa-p256' ? ' (default)' : ''}: ${keyTypeNotes[value]}`,
        })),
      ),
    parse: (text) => ({ keyType: parseWord(text, keyTypes) }),
  },
  {
    id: 'validDays',
    kind: 'text',
    message: 'Days a certificate is valid:',
    why: 'A year and a month (default 398): a renewal keeps the key and its pin, so it costs little.',
    initial: (start) => String(start?.settings.certificates.validDays ?? 398),
    when: always,
    options: noOptions,
    parse: (text) => ({ validDays: parseNumber(text, ({ certificates }) => certificates.shape.validDays) }),
  },
  {
    id: 'recipientsFrom',
    kind: 'one',
    message: 'Who opens the passphrase:',
    why: "The CA's key lies encrypted on this machine. Its passphrase is in a file that only these can open.",
    initial: (start) => ((start?.settings.passphrase.recipients.length ?? 0) > 0 ? 'typed' : 'operator-key'),
    when: always,
    options: async (keys) => {
      const { problem } = await keys();
      return [
        { value: 'operator-key', label: 'the operator key (default): made by relaycerts, works everywhere' },
        {
          value: 'gnupg',
          label: 'secret keys that GnuPG has, cards too',
          ...(problem === undefined ? {} : { reason: problem }),
        },
        { value: 'typed', label: 'typed: public key files, fingerprints, addresses' },
      ];
    },
    parse: (text) => ({ recipientsFrom: parseWord(text, recipientSources) }),
  },
  {
    id: 'gnupgKeys',
    kind: 'several',
    message: 'GnuPG keys that open it:',
    why: 'Each of them can open it alone. Two are safer than one: a lost key is then no lost CA.',
    initial: (start) => formatList((start?.settings.passphrase.recipients ?? []).filter(isFingerprint)),
    when: (_, { recipientsFrom }) => recipientsFrom === 'gnupg',
    options: async (keys) => (await keys()).keys,
    parse: (text) => ({ gnupgKeys: parseKeyFingerprints(text) }),
  },
  {
    id: 'recipients',
    kind: 'text',
    message: 'Recipients:',
    why: 'OpenPGP public key files (paths start at the settings file), fingerprints or addresses that gpg knows; with commas.',
    initial: (start) => formatList(start?.settings.passphrase.recipients ?? []),
    when: (_, { recipientsFrom }) => recipientsFrom === 'typed',
    options: noOptions,
    parse: (text) => ({ recipients: parseRecipients(text) }),
  },
];

function parseRecipients(text: string): readonly string[] {
  const items = parseList(text);
  if (items.length > 0) return items.map((item) => parseRecipient(item));
  throw new RelaycertsError('recipient', 'a recipient is needed', {
    hint: 'write a file, a fingerprint or an address',
  });
}

function isFingerprint(text: string): boolean {
  return /^[0-9A-F]{40}$/u.test(text);
}

function domainOf({ domain }: Partial<Answers>): HostName {
  return domain ?? placeholderDomain;
}

/** The hosts as they are written; undefined where there are no settings. */
function writtenHosts(start: Start | undefined, key: 'smtpdServers' | 'smtpClients'): string | undefined {
  return start && formatList(asObjects(start.value[key]).map(({ hostname }) => String(hostname)));
}

function fewHosts(start: Start | undefined, key: 'smtpdServers' | 'smtpClients', what: string): boolean | string {
  const count = start?.settings[key].length ?? 0;
  return count <= mostHosts || `the settings have ${count} ${what}: they stay as they are`;
}

/** The value that all of them have; undefined where they differ. */
function shared<Value>(start: Start | undefined, pick: (settings: Settings) => readonly Value[]): Value | undefined {
  const [first, ...others] = start === undefined ? [] : pick(start.settings);
  return others.every((each) => each === first) ? first : undefined;
}

function alike(
  start: Start | undefined,
  pick: (settings: Settings) => readonly unknown[],
  hosts: string,
  what: string,
): boolean | string {
  if (start === undefined || shared(start, pick) !== undefined) return true;
  return `the ${hosts} have ${what} of their own: they stay as they are`;
}
