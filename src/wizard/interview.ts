// The wizard's questions, in their order. Each answer is checked as soon as it is typed, by itself and against the ones
// before it. Who asks is ask.ts, and what becomes of the answers is answers.ts.

import { RelaycertsError } from '../errors.js';
import { parseHostName, parseSshUser } from '../names.js';
import { findContradictions, formatPath } from '../settings/contradictions.js';
import { membersOf } from '../settings/jsonc.js';
import { buildSchema } from '../settings/file.js';
import { readKind } from '../settings/kinds.js';
import { keyTypes, type KeyType, type Settings } from '../settings/settings.js';
import { applyAnswers, writtenHosts, type Answers, type Draft } from './answers.js';
import type { Option, SecretKeys } from './gnupg.js';
import { formatList, parseList } from './lists.js';

/** A question; `why` is a line above it, and `initial` is what Enter takes. */
interface Question<Initial> {
  readonly message: string;
  readonly why: string;
  readonly initial: Initial;
}

/** Puts questions to a person. `read` makes a value of an answer, or throws what is wrong with it. */
export interface Asker {
  /** Text for the eye, wrapped at the terminal's width. */
  say(text: string): void;
  /** Text as it is. */
  show(text: string): void;
  /** @throws interrupted */
  askText<Value>(question: Question<string> & { read: (text: string) => Promise<Value> }): Promise<Value>;
  /** @throws interrupted */
  askOne(question: Question<string> & { options: readonly Option[] }): Promise<string>;
  /** @throws interrupted */
  askSeveral<Value>(
    question: Question<readonly string[]> & {
      options: readonly Option[];
      read: (values: readonly string[]) => Promise<Value>;
    },
  ): Promise<Value>;
}

export interface InterviewContext {
  readonly asker: Asker;
  /** Absolute path of the settings file. */
  readonly file: string;
  readonly home: string;
  readonly keys: () => Promise<SecretKeys>;
  /** Finds the keys of one recipient. @throws recipient, tool */
  readonly findRecipient: (recipient: string) => Promise<unknown>;
}

type List = 'smtpdServers' | 'smtpClients';

interface TextQuestion {
  readonly message: string;
  readonly why: string;
  readonly initial: (draft: Draft) => string;
  readonly parse: (text: string) => Partial<Answers>;
  /** Whether one line of text can say it of these settings; if not, they stay as they are. */
  readonly fits?: (settings: Settings) => boolean;
  /** The list that it sets. */
  readonly list?: List;
}

/** More hosts than this are for an editor, not for a line of text. */
const mostHosts = 10;

const sshUser = 'For the commands that copy and install. The default is root.';

const textQuestions: readonly TextQuestion[] = [
  {
    message: 'Mail domain:',
    why: 'The part after the @. Short host names are completed with it.',
    initial: ({ settings }) => settings?.domain ?? '',
    parse: (text) => ({ domain: parseHostName(text.trim()) }),
  },
  {
    message: 'Relay:',
    why: 'The server with a fixed address that sends your mail on. Several: with commas, the first is tried first.',
    initial: (draft) => formatList(writtenHosts(draft.text, 'smtpdServers')) || 'relayhost',
    parse: (text) => ({ relays: parseList(text) }),
    fits: ({ smtpdServers }) => smtpdServers.length <= mostHosts,
    list: 'smtpdServers',
  },
  {
    message: 'Port on the relay:',
    why: 'Not 25: that one stays as it is, and is often blocked at home. The default is 2500.',
    initial: ({ settings }) => String(settings?.smtpdServers[0].port ?? 2500),
    parse: (text) => ({ relayPort: parseNumber(text) }),
    fits: ({ smtpdServers }) => areAlike(smtpdServers.map(({ port }) => port)),
  },
  {
    message: 'ssh user on the relay:',
    why: sshUser,
    initial: ({ settings }) => settings?.smtpdServers[0].ssh.user ?? 'root',
    parse: (text) => ({ relayUser: parseSshUser(text.trim()) }),
    fits: ({ smtpdServers }) => areAlike(smtpdServers.map(({ ssh }) => ssh.user)),
  },
  {
    message: 'Mail server at home:',
    why: 'The Postfix that hands its mail to the relay. Several: with commas.',
    initial: (draft) => formatList(writtenHosts(draft.text, 'smtpClients')) || 'mailhost',
    parse: (text) => ({ clients: parseList(text) }),
    fits: ({ smtpClients }) => smtpClients.length <= mostHosts,
    list: 'smtpClients',
  },
  {
    message: 'ssh user on it:',
    why: sshUser,
    initial: ({ settings }) => settings?.smtpClients[0].ssh.user ?? 'root',
    parse: (text) => ({ clientUser: parseSshUser(text.trim()) }),
    fits: ({ smtpClients }) => areAlike(smtpClients.map(({ ssh }) => ssh.user)),
  },
  {
    message: 'Days a certificate is valid:',
    why: 'The default is 398, a year and a month. A renewal keeps the key and its pin, so it costs little.',
    initial: ({ settings }) => String(settings?.certificates.validDays ?? 398),
    parse: (text) => ({ validDays: parseNumber(text) }),
  },
];

/** A number, or the text as it is for the settings' own parser to refuse. */
function parseNumber(text: string): number | string {
  return /^\s*\d{1,15}\s*$/u.test(text) ? Number(text) : text;
}

function areAlike(values: readonly unknown[]): boolean {
  return values.length <= mostHosts && new Set(values).size === 1;
}

const keyTypeNotes: Readonly<Record<KeyType, string>> = {
  'ecdsa-p256': 'the default; small, fast, works everywhere',
  'ecdsa-p384': 'larger, if a rule asks for it',
  'rsa-2048': 'for very old software',
  'rsa-3072': 'RSA as strong as P-256, slower',
  'rsa-4096': 'RSA, slowest',
  ed25519: 'not every TLS library supports it',
};

/** Asks everything once. @throws interrupted */
export async function holdInterview(draft: Draft, context: InterviewContext): Promise<Answers> {
  const { asker } = context;
  const { settings } = draft;
  const fits = (question: TextQuestion) => settings === undefined || (question.fits?.(settings) ?? true);
  // The first question replaces the domain.
  let answers: Answers = { domain: settings?.domain ?? parseHostName('example.org') };
  for (const [index, question] of textQuestions.entries()) {
    const { message, why, initial, parse } = question;
    if (!fits(question)) {
      asker.say(`\n${message} not asked, because the hosts differ or are many; it stays as it is.`);
      continue;
    }
    const later = textQuestions.slice(index + 1).filter(fits);
    const pending = later.flatMap(({ list }) => list ?? []);
    const before = answers;
    const read = async (text: string): Promise<Answers> => {
      const given = { ...before, ...parse(text) };
      assertGood(draft, given, pending, context);
      return given;
    };
    answers = await asker.askText({ message, why, initial: initial(draft), read });
  }
  const keyType = await asker.askOne({
    message: 'Key type:',
    why: "Of the hosts' certificates. The default is right unless a rule forbids it.",
    initial: settings?.certificates.keyType ?? 'ecdsa-p256',
    options: keyTypes.map((value) => ({ value, label: `${value}: ${keyTypeNotes[value]}` })),
  });
  return askRecipients(draft, { ...answers, keyType: keyTypes.find((each) => each === keyType) }, context);
}

async function askRecipients(draft: Draft, answers: Answers, context: InterviewContext): Promise<Answers> {
  const { asker, keys, findRecipient } = context;
  const { keys: options, problem } = await keys();
  const old = draft.settings?.passphrase.recipients ?? [];
  const isOurs = old.every((recipient) => options.some(({ value }) => value === recipient));
  const read = async (recipients: readonly string[]): Promise<Answers> => {
    const given = { ...answers, recipients };
    assertGood(draft, given, [], context);
    for (const recipient of recipients) await findRecipient(recipient);
    return given;
  };
  const source = await asker.askOne({
    message: 'Who opens the passphrase:',
    why: "The CA's key is encrypted on this machine. Its passphrase is in a file that only these can open.",
    initial: old.length === 0 ? 'operator-key' : isOurs && problem === undefined ? 'gnupg' : 'typed',
    options: [
      { value: 'operator-key', label: 'the operator key (default): relaycerts makes it, and it works everywhere' },
      { value: 'gnupg', label: 'secret keys in GnuPG, also on a card', reason: problem },
      { value: 'typed', label: 'typed: public key files, fingerprints, addresses' },
    ],
  });
  if (source === 'operator-key') return { ...answers, recipients: [] };
  if (source === 'typed') {
    return asker.askText({
      message: 'Recipients:',
      why: 'OpenPGP public key files (paths from the settings file), or fingerprints or addresses that gpg knows; with commas.',
      initial: formatList(old),
      read: (text) => read(parseList(text)),
    });
  }
  return asker.askSeveral({
    message: 'GnuPG keys that open it:',
    why: 'Any one of them can open it. Two are safer than one: if one is lost, the CA is not.',
    initial: old,
    options,
    read: (values) => {
      if (values.length > 0) return read(values);
      throw new RelaycertsError('recipient', 'no key is chosen', { hint: 'mark one with the space bar, then Enter' });
    },
  });
}

/** Throws what the settings' own parser says of the answers. Lists of hosts still `pending` may change: they are left out. */
function assertGood(
  draft: Draft,
  answers: Answers,
  pending: readonly List[],
  context: Pick<InterviewContext, 'file' | 'home'>,
): void {
  const members = Object.entries(membersOf(applyAnswers(draft, answers)));
  const value = Object.fromEntries(members.filter(([key]) => !pending.some((list) => list === key)));
  const read = readKind(buildSchema(answers.domain).file, value);
  const flaw = 'flaws' in read ? read.flaws.find(({ path }) => Object.hasOwn(value, path[0] ?? '')) : undefined;
  if (flaw !== undefined) {
    throw new RelaycertsError('settings', flaw.what, { hint: flaw.hint.replace(' without quotes', '') });
  }
  const [contradiction] = findContradictions(value, answers.domain, context);
  if (contradiction === undefined) return;
  const { path, what, hint } = contradiction;
  if (path.includes('hostname') || path.includes('recipients')) throw new RelaycertsError('settings', what, { hint });
  const place = formatPath(path);
  throw new RelaycertsError('settings', `${place} ${what}`, {
    hint: `give another answer, or change ${place} in the settings file first`,
  });
}

/** Two sentences on what make does with these settings. */
export function describeMake({ ca, certificates, smtpdServers, smtpClients, passphrase }: Settings): string {
  const openers = passphrase.recipients.length === 0 ? 'the operator key' : passphrase.recipients.join(', ');
  return [
    `make brings what is missing of: a private CA (${ca.keyType}, ${count(ca.validDays, 'day')}), certificates for`,
    `${count(smtpdServers.length, 'relay')} and ${count(smtpClients.length, 'mail server')}`,
    `(${certificates.keyType}, ${count(certificates.validDays, 'day')}), and the CA's passphrase in`,
    `${passphrase.file}, for ${openers}. Then it prints what to run on each host; it touches no host.`,
  ].join(' ');
}

function count(number: number, what: string): string {
  return `${String(number)} ${what}${number === 1 ? '' : 's'}`;
}
