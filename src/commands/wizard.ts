// `relaycerts wizard`: asks for what the settings need, and writes settings.json whole or not at all. Until then nothing
// is touched. In settings that are there, what it does not ask stays as it is, comments too.

import { dirname } from 'node:path';
import { RelaycertsError, commandText } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { readNamedFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { membersOf } from '../settings/jsonc.js';
import { parseSettingsText } from '../settings/load.js';
import { nameFile } from '../settings/schema.js';
import { assertSafeFolder } from '../store/safety.js';
import { applyAnswers, emptyDraft, type Draft } from '../wizard/answers.js';
import { gentleRun, readSecretKeys, type Option, type SecretKeys } from '../wizard/gnupg.js';
import { describeMake, holdInterview, type Asker, type InterviewContext } from '../wizard/interview.js';
import { assertWritable, findSettings, writeSchema, writeSettings, type Found } from '../wizard/settings-file.js';
import type { GlobalOptions } from './run.js';

export interface WizardOptions extends GlobalOptions {
  /** Runs make with the settings that were written. */
  readonly runMake: () => Promise<void>;
}

/**
 * Makes or changes the settings file. With `json` the settings go to stdout, without comments.
 * @throws usage - there is no terminal to ask on; settings, files; interrupted - then nothing was written
 */
export async function wizard(options: WizardOptions, sys: Sys): Promise<void> {
  if (!sys.interactive || ['', 'dumb'].includes(process.env['TERM'] ?? '')) {
    throw new RelaycertsError('usage', 'the wizard needs a terminal that can move its cursor', {
      hint: 'copy settings.example.json to settings.json and edit it',
    });
  }
  const { settings: file, json } = options;
  const found = await findSettings(file, sys);
  await assertWritable(found?.path ?? file);
  await assertSafeFolder(dirname(file), 'project', sys);
  const { terminalAsker } = await import('../wizard/ask.js');
  const asker = terminalAsker();
  const { text, next } = await decide(options, found, sys, asker);
  if (next === 'leave') {
    asker.say('Nothing was written.');
    return;
  }
  if (text !== found?.text) {
    await writeSettings(file, text, found);
    sys.say(`wrote ${nameFile(file)}`);
  }
  const value = membersOf(text);
  await writeSchema(file, value['$schema']);
  if (json) sys.write(writeAnswer('wizard', { settings: value }));
  if (next === 'make') await options.runMake();
  else if (!json) sys.say(`next: ${commandText(sys.program, ['make'])}`);
}

/** Asks until the person is content, and what is next: to leave, to write, or to write and make. */
async function decide(
  { settings: file, json }: WizardOptions,
  found: Found | undefined,
  sys: Sys,
  asker: Asker,
): Promise<{ readonly text: string; readonly next: string }> {
  const name = nameFile(file);
  asker.say(
    found === undefined
      ? `This makes ${name}. Enter takes what is in brackets; Ctrl-C leaves, and nothing is written.`
      : `${name} exists: Enter keeps what it says. What is not asked stays as it is. Ctrl-C leaves it untouched.`,
  );
  const context = interviewContext(file, asker, sys);
  let draft: Draft = found ?? emptyDraft;
  for (;;) {
    const text = applyAnswers(draft, await holdInterview(draft, context));
    const settings = parseSettingsText(text, { ...sys, file });
    draft = { text, settings };
    const isUnchanged = text === found?.text;
    asker.say(`\n${name} ${isUnchanged ? 'stays as it is:' : found === undefined ? 'will be:' : 'will become:'}\n`);
    asker.show(text);
    asker.say(`\n${describeMake(settings)}`);
    const next = await asker.askOne({
      message: isUnchanged ? 'And now:' : `Write ${name}:`,
      why: '',
      initial: json ? 'write' : 'make',
      options: nextSteps(isUnchanged, json),
    });
    if (next !== 'again') return { text, next };
  }
}

function nextSteps(isUnchanged: boolean, json: boolean): readonly Option[] {
  const leave = [
    { value: 'again', label: isUnchanged ? 'ask again' : 'no, ask again' },
    { value: 'leave', label: isUnchanged ? 'leave' : 'no, leave' },
  ];
  if (json) return [{ value: 'write', label: isUnchanged ? 'print it' : 'yes' }, ...leave];
  if (isUnchanged) return [{ value: 'make', label: 'run make' }, ...leave];
  return [{ value: 'make', label: 'yes, and run make' }, { value: 'write', label: 'yes, nothing more' }, ...leave];
}

function interviewContext(file: string, asker: Asker, sys: Sys): InterviewContext {
  let keys: Promise<SecretKeys> | undefined;
  return {
    asker,
    file,
    home: sys.home,
    keys: () => (keys ??= readSecretKeys(sys)),
    findRecipient: async (recipient) => {
      const { findRecipient } = await import('../custody/recipients.js');
      const context = { folder: dirname(file), home: sys.home, at: sys.now(), readFile: readNamedFile };
      return findRecipient(recipient, { ...context, run: await gentleRun(sys.run) });
    },
  };
}
