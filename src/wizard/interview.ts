// The wizard's questions, in order: four, and the rest on request. Each answer is checked as soon as it is typed, by
// itself and against the earlier ones. questions.ts has the words, ask.ts asks, and answers.ts makes settings of the
// answers.

import { RelaycertsError } from '../errors.js';
import { completeHostName, parseHostName, type HostName } from '../names.js';
import { findContradictions } from '../settings/contradictions.js';
import { formatPath } from '../settings/raw-value.js';
import { membersOf } from '../settings/jsonc.js';
import { buildSchema } from '../settings/file.js';
import { readKind } from '../settings/kinds.js';
import { hostsOf, keyTypes, mailPrograms, type KeyType, type MailProgram } from '../settings/settings.js';
import { applyAnswers, writtenHosts, type Answers, type Draft } from './answers.js';
import type { Option, SecretKeys } from './gnupg.js';
import { formatList, parseList } from './lists.js';
import { proposeLocal, type Machine } from './proposals.js';
import { firstQuestions, moreQuestions, mostHosts, type List, type TextQuestion } from './questions.js';

/** A question; `why` is a line above it, and `initial` is the answer if Enter is pressed. */
interface Question<Initial> {
  readonly message: string;
  readonly why: string;
  readonly initial: Initial;
}

/** Asks a person. `read` turns an answer into a value, or throws what is wrong with it. */
export interface Asker {
  /** Text to read, wrapped at the terminal's width. */
  say(text: string): void;
  /** Text, unchanged. */
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
  readonly machine: Machine;
  readonly keys: () => Promise<SecretKeys>;
  /** None if the name does not exist in DNS, undefined if nobody answers. */
  readonly addressesOf: (host: HostName) => Promise<readonly string[] | undefined>;
  /** Finds the keys of one recipient. @throws recipient, tool */
  readonly findRecipient: (recipient: string) => Promise<unknown>;
}

/** The four questions: domain, relay, home, and which of them this machine is. @throws interrupted */
export async function holdInterview(draft: Draft, context: InterviewContext): Promise<Answers> {
  // The first question replaces the domain.
  const first: Answers = { domain: draft.settings?.domain ?? parseHostName('example.org') };
  return askLocal(draft, await askTexts(draft, first, firstQuestions, context), context);
}

/** The questions with a good default. The draft has settings. @throws interrupted */
export async function askMore(draft: Draft, context: InterviewContext): Promise<Answers> {
  const { asker } = context;
  const { settings } = draft;
  if (settings === undefined) throw new TypeError('more is asked of settings that are there');
  let answers = await askTexts(draft, { domain: settings.domain }, moreQuestions, context);
  const [client, ...others] = settings.smtpClients;
  if (others.length === 0 && settings.clientsFile === undefined) {
    const program = await asker.askOne({
      message: 'Mail program at home:',
      why: `Default postfix. The program that ${client.hostname} sends its mail with.`,
      initial: client.program,
      options: mailPrograms.map((value) => ({ value, label: `${value}: ${programNotes[value]}` })),
    });
    answers = { ...answers, program: mailPrograms.find((each) => each === program) };
  }
  const keyType = await asker.askOne({
    message: 'Key type:',
    why: "Default ecdsa-p256: right for the hosts' certificates, unless a policy forbids it.",
    initial: settings.certificates.keyType,
    options: keyTypes.map((value) => ({ value, label: `${value}: ${keyTypeNotes[value]}` })),
  });
  return askRecipients(draft, { ...answers, keyType: keyTypes.find((each) => each === keyType) }, context);
}

const programNotes: Readonly<Record<MailProgram, string>> = {
  postfix: 'the default; has a queue, can use several relays',
  exim: 'as Debian configures it',
  opensmtpd: 'version 7; can use one relay',
  msmtp: 'no queue; can use one relay',
  nullmailer: 'a simple queue',
  nodemailer: 'in your own program; no queue',
};

const keyTypeNotes: Readonly<Record<KeyType, string>> = {
  'ecdsa-p256': 'the default; small, fast, works everywhere',
  'ecdsa-p384': 'larger, if a policy asks for it',
  'rsa-2048': 'for very old software',
  'rsa-3072': 'RSA as strong as P-256, slower',
  'rsa-4096': 'RSA, slowest',
  ed25519: 'not every TLS library supports it',
};

async function askTexts(
  draft: Draft,
  first: Answers,
  questions: readonly TextQuestion[],
  context: InterviewContext,
): Promise<Answers> {
  const { asker, machine } = context;
  const { settings } = draft;
  const skipOf = ({ skip }: TextQuestion) => (settings === undefined ? undefined : skip?.(settings));
  let answers = first;
  for (const [index, question] of questions.entries()) {
    const { message, why, initial, parse } = question;
    const skip = skipOf(question);
    if (skip !== undefined) {
      if (skip !== '') asker.say(`\n${message} not asked, because ${skip}; it stays as it is.`);
      continue;
    }
    const later = questions.slice(index + 1).filter((one) => skipOf(one) === undefined);
    const pending = later.flatMap(({ list }) => list ?? []);
    const before = answers;
    const read = async (text: string): Promise<Answers> => {
      const given = { ...before, ...parse(text) };
      assertGood(draft, given, pending, context);
      return given;
    };
    answers = await asker.askText({ message, why, initial: initial(draft, before, machine), read });
  }
  return answers;
}

/** Prints what DNS has for the relays, and asks which of the hosts this machine is. */
async function askLocal(draft: Draft, answers: Answers, context: InterviewContext): Promise<Answers> {
  const { asker, machine, addressesOf } = context;
  const text = applyAnswers(draft, answers);
  const namesOf = (list: List) => writtenHosts(text, list).map((name) => completeHostName(name, answers.domain));
  const relays = namesOf('smtpdServers');
  const hosts = [...relays, ...namesOf('smtpClients')];
  if (hosts.length > mostHosts) return answers;
  const found = await Promise.all(relays.map(async (relay) => [relay, await addressesOf(relay)] as const));
  for (const [relay, addresses] of found) {
    if (addresses?.length === 0) asker.say(`\n${relay} has no address in DNS yet; it needs one before home can send.`);
    else if (addresses !== undefined) asker.say(`\n${relay} has the address ${addresses.slice(0, 3).join(', ')}.`);
  }
  const known = new Map(found);
  const before = draft.settings && hostsOf(draft.settings);
  const local =
    before?.find(({ ssh, hostname }) => ssh.isLocal && hosts.includes(hostname))?.hostname ??
    (before === undefined ? proposeLocal(machine, hosts, (host) => known.get(host) ?? []) : undefined);
  const answer = await asker.askOne({
    message: 'This machine is:',
    why: 'For the host that relaycerts runs on, commands need no ssh.',
    initial: local ?? 'none',
    options: [
      { value: 'none', label: 'none of them' },
      ...hosts.map((host) => ({ value: host, label: `${host}${relays.includes(host) ? ' (relay)' : ' (home)'}` })),
    ],
  });
  return { ...answers, local: hosts.find((host) => host === answer) ?? null };
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
    message: 'Who can open the passphrase:',
    why: "Default: the operator key. The CA's key is encrypted; its passphrase is in a file that only these can open.",
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
      why: 'OpenPGP public key files (paths from the settings file), or fingerprints or addresses that gpg knows; separate them with commas.',
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

/**
 * Throws the settings parser's errors about the answers. Lists of hosts still `pending` may change, so they are left
 * out.
 */
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
