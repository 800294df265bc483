// `relaycerts wizard`: asks what the settings need, or takes the answers from a file, and writes settings.json whole or
// not at all. Until that moment nothing is touched. What it does not ask stays as it is in settings that are there.

import { dirname, resolve } from 'node:path';
import { quote, RelaycertsError, type Problem } from '../errors.js';
import { readFile, readNamedFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { nameFile, parseSettings } from '../settings/schema.js';
import { readAnswers, refuseAnswers } from '../wizard/answers-file.js';
import { assertSafeFolder } from '../store/safety.js';
import { applyAnswers, formatSettings, type Answers, type JsonObject } from '../wizard/answers.js';
import { describeMake } from '../wizard/describe.js';
import { gentleRun, readSecretKeys, type Option, type SecretKeys } from '../wizard/gnupg.js';
import { holdInterview, type Asker, type Interview, type Texts } from '../wizard/interview.js';
import { assertWritable, findSettings, writeSchema, writeSettings, type Found } from '../wizard/settings-file.js';
import type { GlobalOptions } from './run.js';

export interface WizardOptions extends GlobalOptions {
  /** A file of answers, `-` for standard input: nothing is asked then. Undefined: a person answers. */
  readonly answers: string | undefined;
  /** Runs make with the settings that were written. */
  readonly runMake: () => Promise<void>;
}

/** Octets; an answers file of thousands of clients is smaller. */
const answersLimit = 1 << 20;

/**
 * Makes or changes the settings file. `answers` is JSON, by the questions' ids: `domain` (needed where there are no
 * settings yet), `relays`, `relayPort`, `relayUser`, `clients`, `clientUser`, `keyType`, `validDays`, `recipientsFrom`
 * ("operator-key", "gnupg" or "typed"), `gnupgKeys` (fingerprints), `recipients` (as passphrase.recipients has them).
 * What is missing is what Enter would take. With `json` the settings go to stdout.
 *
 * @throws usage where nobody can be asked; settings, files; interrupted, and then nothing was written
 */
export async function wizard(options: WizardOptions, sys: Sys): Promise<void> {
  if (options.answers === undefined && !sys.interactive) {
    throw new RelaycertsError('usage', 'the wizard asks, and there is no terminal to ask on', {
      hint: 'relaycerts wizard --answers FILE',
    });
  }
  const found = await findSettings(options.settings, sys);
  await assertWritable(found?.path ?? options.settings);
  await assertSafeFolder(dirname(options.settings), 'project', sys);
  if (options.answers !== undefined) await answerFromFile(options, options.answers, found, sys);
  else await answerOnTerminal(options, found, sys);
}

async function answerFromFile(
  { settings, json }: WizardOptions,
  from: string,
  found: Found | undefined,
  sys: Sys,
): Promise<void> {
  const texts = await readAnswersFile(from, sys);
  const problems: Problem[] = [];
  const visited = new Set<string>();
  const { answers } = await holdInterview(
    {
      ...interviewFor(settings, found, sys),
      ask: async (id, { initial, check }) => {
        visited.add(id);
        const text = texts[id] ?? initial;
        const problem = await check(text);
        if (problem === undefined) return text;
        const isMissing = texts[id] === undefined && initial === '';
        problems.push(
          isMissing
            ? { message: `${id}: is missing`, hint: `add it: "${id}": "..."` }
            : { ...problem, message: `${id}: ${problem.message}` },
        );
        return undefined;
      },
      note: (line) => sys.detail(line),
    },
    texts,
  );
  const unasked = Object.keys(texts).filter((id) => !visited.has(id));
  for (const id of unasked) {
    const source = texts.recipientsFrom ?? 'operator-key';
    problems.push({
      message: `${id}: is not asked where recipientsFrom is ${quote(source)}`,
      hint: 'remove one of them',
    });
  }
  if (problems.length > 0) throw refuseAnswers(from, problems);
  const value = settingsWith(answers, settings, found, sys).value;
  const name = nameFile(settings);
  if (isUnchanged(value, found)) sys.say(`${name} says all this already, and stays as it is`);
  else {
    await writeSettings(settings, formatSettings(value), found);
    sys.say(`wrote ${name}`);
  }
  await writeSchema(settings, value);
  if (json) sys.write(formatSettings(value));
}

async function answerOnTerminal(options: WizardOptions, found: Found | undefined, sys: Sys): Promise<void> {
  const { openAsker } = await import('../wizard/ask.js');
  const asker = await openAsker();
  try {
    const decision = await decide(options, found, sys, asker);
    if (decision === undefined) {
      asker.tell('Nothing was written.');
      return;
    }
    const { value, isMakeWanted } = decision;
    if (!isUnchanged(value, found)) {
      await writeSettings(options.settings, formatSettings(value), found);
      sys.say(`wrote ${nameFile(options.settings)}`);
    }
    await writeSchema(options.settings, value);
    if (options.json) sys.write(formatSettings(value));
    if (!isMakeWanted && !options.json) sys.say('next: relaycerts make');
    if (!isMakeWanted) return;
  } finally {
    asker.close();
  }
  await options.runMake();
}

/** Asks until the person is content; undefined where nothing is to be written. */
async function decide(
  { settings, json }: WizardOptions,
  found: Found | undefined,
  sys: Sys,
  asker: Asker,
): Promise<{ readonly value: JsonObject; readonly isMakeWanted: boolean } | undefined> {
  const name = nameFile(settings);
  asker.tell(
    found === undefined
      ? `This makes ${name}. Enter takes what stands in brackets; Ctrl-C leaves, and nothing is written.`
      : `${name} is there: Enter keeps what it says. What is not asked stays as it is. Ctrl-C leaves it untouched.`,
  );
  const interview: Interview = {
    ...interviewFor(settings, found, sys),
    ask: (_, prompt) => asker.ask(prompt),
    note: (line) => asker.tell(`\n${line}`),
  };
  let texts: Texts = {};
  for (;;) {
    const round = await holdInterview(interview, texts);
    texts = round.texts;
    const { value, meaning } = settingsWith(round.answers, settings, found, sys);
    const unchanged = isUnchanged(value, found);
    const what = unchanged
      ? 'stays as it is:'
      : found === undefined
        ? 'will be:'
        : 'is there, and will be replaced by:';
    asker.tell(`\n${name} ${what}\n`);
    asker.show(formatSettings(value));
    asker.tell(`\n${describeMake(meaning)}`);
    const next = await asker.ask({
      kind: 'one',
      message: unchanged ? 'And now:' : `Write ${name}:`,
      why: '',
      initial: json ? 'write' : 'make',
      options: nextSteps(unchanged, json),
      check: () => Promise.resolve(undefined),
    });
    if (next === 'leave') return undefined;
    if (next !== 'again') return { value, isMakeWanted: next === 'make' };
  }
}

function nextSteps(unchanged: boolean, json: boolean): readonly Option[] {
  return [
    ...(json ? [] : [{ value: 'make', label: unchanged ? 'run make' : 'yes, and run make' }]),
    ...(unchanged && !json
      ? []
      : [{ value: 'write', label: unchanged ? 'print it' : json ? 'yes' : 'yes, nothing more' }]),
    { value: 'again', label: unchanged ? 'ask again' : 'no, ask again' },
    { value: 'leave', label: unchanged ? 'leave' : 'no, leave' },
  ];
}

function interviewFor(
  file: string,
  found: Found | undefined,
  sys: Sys,
): Pick<Interview, 'start' | 'file' | 'home' | 'keys' | 'proveRecipient'> {
  let keys: Promise<SecretKeys> | undefined;
  return {
    start: found?.start,
    file,
    home: sys.home,
    keys: () => (keys ??= readSecretKeys(sys)),
    proveRecipient: async (recipient) => {
      const { findRecipient } = await import('../custody/recipients.js');
      const context = { folder: dirname(file), home: sys.home, at: sys.now(), readFile: readNamedFile };
      return findRecipient(recipient, { ...context, run: await gentleRun(sys.run) });
    },
  };
}

/** @throws settings */
function settingsWith(answers: Partial<Answers>, file: string, found: Found | undefined, sys: Sys) {
  const value = applyAnswers(found?.start, answers);
  return { value, meaning: parseSettings(value, { ...sys, file }) };
}

function isUnchanged(value: JsonObject, found: Found | undefined): boolean {
  return found !== undefined && formatSettings(value) === formatSettings(found.start.value);
}

async function readAnswersFile(from: string, sys: Sys): Promise<Texts> {
  const limit = answersLimit;
  const bytes =
    from === '-' ? await sys.readStdin(limit) : await readFile(resolve(sys.cwd, from), { limit, followLink: true });
  if (bytes !== undefined) return readAnswers(bytes, from);
  throw new RelaycertsError('files', `there is no answers file ${quote(from)}`, {
    hint: 'write one: { "domain": "example.org" }',
  });
}
