// `relaycerts wizard`: asks for what the settings need, and writes settings.json, all or nothing. Until then nothing is
// touched. In existing settings, what it does not ask about stays as it is, comments included.

import { dirname } from 'node:path';
import { RelaycertsError, commandText } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import { readNamedFile } from '../sys/files.js';
import { shownPath } from '../sys/shown-path.js';
import type { Sys } from '../sys/sys.js';
import { membersOf } from '../settings/jsonc.js';
import { parseSettingsText } from '../settings/load.js';
import { nameFile } from '../settings/schema.js';
import { hostsOf } from '../settings/settings.js';
import { assertSafeFolder } from '../store/safety.js';
import { applyAnswers, emptyDraft, writtenHosts } from '../wizard/answers.js';
import type { Answers, Draft, KnownDraft } from '../wizard/answers.js';
import { gentleRun, readSecretKeys, type Option, type SecretKeys } from '../wizard/gnupg.js';
import { askMore, holdInterview, type Asker, type InterviewContext } from '../wizard/interview.js';
import { assertWritable, findSettings, writeSchema, writeSettings, type Found } from '../wizard/settings-file.js';
import { describeMake, renderDiff } from '../wizard/summary.js';
import type { GlobalOptions } from './run.js';

export interface WizardOptions extends GlobalOptions {
  /** Runs make with the new settings. */
  readonly runMake: () => Promise<void>;
}

/** Settings that make takes. */
const smallest =
  '"domain": "example.org", "smtpdServers": [{ "hostname": "relayhost" }], "smtpClients": [{ "hostname": "mailhost" }]';

/**
 * Makes or changes the settings file. With `json` the settings go to stdout, without comments.
 * @throws usage - there is no terminal to ask on; settings, files; interrupted - then nothing was written
 */
export async function wizard(options: WizardOptions, sys: Sys): Promise<void> {
  if (!sys.interactive || ['', 'dumb'].includes(process.env['TERM'] ?? '')) {
    throw new RelaycertsError('usage', 'the wizard needs a terminal that can move its cursor', {
      hint: `write ${nameFile(options.settings)} yourself: { ${smallest} }`,
    });
  }
  const { settings: file, json } = options;
  const found = await findSettings(file, sys);
  await assertWritable(found?.path ?? file);
  await assertSafeFolder(dirname(file), 'project', sys);
  const { terminalAsker } = await import('../wizard/ask.js');
  const asker = terminalAsker();
  const { text, next, left } = await decide(options, found, sys, asker);
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
  for (const hostname of left) {
    sys.say(`to undo and revoke ${hostname}: ${commandText(sys.program, ['remove', hostname])}`);
  }
  if (next === 'make') await options.runMake();
  else if (!json) sys.say(`next: ${commandText(sys.program, ['make'])}`);
}

interface Decided {
  readonly text: string;
  /** Leave, write, or write and make. */
  readonly next: string;
  /** Hosts that were in the settings and no longer are. */
  readonly left: readonly HostName[];
}

/** Asks until the user is satisfied. */
async function decide(
  { settings: file, json }: WizardOptions,
  found: Found | undefined,
  sys: Sys,
  asker: Asker,
): Promise<Decided> {
  const name = nameFile(file);
  asker.say(
    found === undefined
      ? `This makes ${name}. Enter accepts the value in brackets; Ctrl-C quits and writes nothing.`
      : `${name} exists: Enter keeps its value. What is not asked stays as it is. Ctrl-C leaves it untouched.`,
  );
  const context = await interviewContext(file, asker, sys);
  const draftOf = (text: string): KnownDraft => ({ text, settings: parseSettingsText(text, { ...sys, file }) });
  let draft: Draft = found ?? emptyDraft;
  for (;;) {
    const answers = await holdInterview(draft, context);
    const { kept, left } = await askLeaving(found, draftOf(applyAnswers(draft, answers)), answers, asker);
    let known = draftOf(applyAnswers(draft, kept));
    await sayKeys(known, context);
    for (;;) {
      draft = known;
      const isUnchanged = known.text === found?.text;
      asker.say(`\n${name} ${isUnchanged ? 'stays as it is:' : found === undefined ? 'will be:' : 'will change:'}\n`);
      asker.show(isUnchanged || found === undefined ? known.text : renderDiff(found.text, known.text));
      asker.say(`\n${describeMake(known.settings, shownPath(known.settings.passphrase.file, sys))}`);
      const next = await asker.askOne({
        message: isUnchanged ? 'What next:' : `Write ${name}:`,
        why: '',
        initial: json ? 'write' : 'make',
        options: nextSteps(isUnchanged, json),
      });
      if (next === 'again') break;
      if (next !== 'more') return { text: known.text, next, left };
      known = draftOf(applyAnswers(known, await askMore(known, context)));
    }
  }
}

/** Names each host that the answers leave out, and asks whether that is intended: its name may have been overtyped. */
async function askLeaving(
  found: Found | undefined,
  next: KnownDraft,
  answers: Answers,
  asker: Asker,
): Promise<{ readonly kept: Answers; readonly left: readonly HostName[] }> {
  const stays = new Set(hostsOf(next.settings).map(({ hostname }) => hostname));
  const leaving = (found === undefined ? [] : hostsOf(found.settings)).filter(({ hostname }) => !stays.has(hostname));
  let kept = answers;
  const left: HostName[] = [];
  for (const { hostname, role, ssh } of leaving) {
    const isRelay = role === 'smtpd-server';
    const answer = await asker.askOne({
      message: 'Remove it:',
      why: `${hostname} is in the settings, but not in your answer. If you remove it, ${isRelay ? 'no client uses it any more' : 'it can no longer relay'}.`,
      initial: 'no',
      options: [
        { value: 'no', label: 'no, keep it' },
        { value: 'yes', label: 'yes, remove it' },
      ],
    });
    const [key, list] = isRelay ? (['relays', 'smtpdServers'] as const) : (['clients', 'smtpClients'] as const);
    if (answer === 'yes') {
      left.push(hostname);
      continue;
    }
    // "This machine is: none of them" was answered without it.
    const local = kept.local === null && ssh.isLocal ? hostname : kept.local;
    kept = { ...kept, local, [key]: [...(kept[key] ?? writtenHosts(next.text, list)), hostname] };
  }
  return { kept, left };
}

/** Mentions that GnuPG could open the passphrase, if only the operator key would. */
async function sayKeys({ settings }: KnownDraft, { asker, keys }: InterviewContext): Promise<void> {
  if (settings.passphrase.recipients.length > 0) return;
  const usable = (await keys()).keys.filter(({ reason }) => reason === undefined);
  const [first] = usable;
  if (first === undefined) return;
  const who = `${first.label}${usable.length > 1 ? ` and ${usable.length - 1} more` : ''}`;
  asker.say(`\nGnuPG has a secret key here: ${who}. To let it open the CA's passphrase, choose "more".`);
}

function nextSteps(isUnchanged: boolean, json: boolean): readonly Option[] {
  const others = [
    { value: 'more', label: 'more: port, ssh users, program, validity, key type, passphrase' },
    { value: 'again', label: isUnchanged ? 'ask again' : 'no, ask again' },
    { value: 'leave', label: isUnchanged ? 'quit' : 'no, quit' },
  ];
  if (json) return [{ value: 'write', label: isUnchanged ? 'print it' : 'yes' }, ...others];
  if (isUnchanged) return [{ value: 'make', label: 'run make' }, ...others];
  return [
    { value: 'make', label: 'yes, and run make' },
    { value: 'write', label: 'yes, but do not run make' },
    ...others,
  ];
}

async function interviewContext(file: string, asker: Asker, sys: Sys): Promise<InterviewContext> {
  let keys: Promise<SecretKeys> | undefined;
  const { readOwnAddresses, readOwnName, resolveAddresses } = await import('../sys/network.js');
  return {
    asker,
    file,
    home: sys.home,
    machine: { name: await readOwnName(sys), addresses: readOwnAddresses() },
    addressesOf: resolveAddresses,
    keys: () => (keys ??= readSecretKeys(sys)),
    findRecipient: async (recipient) => {
      const { findRecipient } = await import('../custody/recipients.js');
      const context = { folder: dirname(file), home: sys.home, at: sys.now(), readFile: readNamedFile };
      return findRecipient(recipient, { ...context, run: await gentleRun(sys.run) });
    },
  };
}
