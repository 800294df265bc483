// `relaycerts make`: makes everything that the settings ask for and is missing, leaves what is right unchanged, and
// prints the instructions for every host. The plan decides; make-ca.ts and certify.ts carry it out.

import { recipientContext, recipientsOfSettings } from '../custody/passphrase-file.js';
import { findRecipientChange } from '../custody/recipient-change.js';
import { commandText, listSome, problemObject, quotePath, renderHint } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import { describeStep } from '../plan/describe-step.js';
import { driftOf } from '../plan/drift.js';
import { describeFinding } from '../plan/findings.js';
import { hostsIn, installOf, type Install } from '../plan/install.js';
import { isKnownRight, type Inventory, type Opening, type RecipientChange } from '../plan/inventory.js';
import { isHostStep, type Plan, planMake, type Step, type StepOf } from '../plan/plan.js';
import { curedByMake } from '../plan/reissue.js';
import { toRetire } from '../plan/retirement.js';
import { returnWarnings } from '../plan/restored.js';
import { custodyWarnings } from '../plan/warnings.js';
import { bundlesOf } from '../render/bundle.js';
import { renderInstallation, renderNowRun } from '../render/now-run.js';
import type { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';
import { dkimEntry } from '../store/ledger.js';
import { assertKeepsKeys } from '../store/safety.js';
import { shownPath } from '../sys/shown-path.js';
import type { Sys } from '../sys/sys.js';
import { warnSome } from '../sys/warn-some.js';
import { certifyInBatches, sayIfSlow } from './certify.js';
import { isShut, judgeOpening } from './custody.js';
import { findHost, foundOf, withHosts } from './hosts.js';
import { withNewKeys } from './dkim-keys.js';
import { madeStep, prepareCa, type PreparedCa } from './make-ca.js';
import { changing, contradiction, reading, type CaOptions, type Changing, type Work } from './run.js';
import { readProject } from './known-clients.js';

export interface MakeOptions extends CaOptions {
  readonly dryRun: boolean;
  /** Like dryRun, with exit code 3 if there is anything to do. */
  readonly check: boolean;
  /** A revoked host, as typed, that should relay again. */
  readonly again: string | undefined;
}

/** Hosts about which something is said one by one. */
const mostSaid = 5;

/**
 * Exit code 1 if a host has to wait, after all others. @throws settings, permissions, contradiction, lock, passphrase,
 * recipient, tool, files
 */
export async function make(options: MakeOptions, sys: Sys): Promise<void> {
  const { again, passphraseFd } = options;
  const isGiven = passphraseFd !== undefined;
  if (options.dryRun || options.check) {
    const { settings, found, at } = await reading(options, sys, (one) => readProject(one, sys));
    await assertKeepsKeys(settings);
    const work = { settings, inventory: reinstate(settings, found, again, sys), sys, at };
    const plan = await planFor(work, isGiven);
    sayPlan(work, plan);
    const { steps, held } = plan;
    // What the passphrase would be encrypted to has to be usable: a plan that cannot be carried out is none.
    if (steps.some(({ kind }) => kind === 'passphrase' || kind === 'reseal')) await recipientsOfSettings(work);
    const opening = isGiven ? undefined : await foreseeOpening(work, steps, undefined);
    const answer = { isDryRun: true, plan, install: installFor(settings, steps), retire: [] };
    sys.write(options.json ? renderAnswer(answer, sys) : renderPlan(plan, opening, sys));
    if (options.check && steps.length + held.length > 0) sys.endWith(3);
    return;
  }
  /** By state, because it is planned once more under the lock only if the state has changed meanwhile. */
  const plans = new WeakMap<Inventory, Plan>();
  const isDone = async (work: Work): Promise<boolean> => {
    // The host that should relay again is missing its files.
    if (again !== undefined) return false;
    const plan = await planFor(work, isGiven);
    plans.set(work.inventory, plan);
    // What is refused needs no lock either.
    return plan.steps.length === 0 || plan.problems.length > 0;
  };
  const carryOut = async ({ commit, given, ...frame }: Changing): Promise<void> => {
    const { settings, at } = frame;
    const work = { ...frame, inventory: reinstate(settings, frame.inventory, again, sys) };
    const plan = plans.get(work.inventory) ?? (await planFor(work, isGiven));
    sayPlan(work, plan);
    const { steps, held } = plan;
    const opening = await foreseeOpening(work, steps, given);
    sayIfSlow(steps, work.sys);
    const ca = await certifyInBatches(settings, {
      steps: steps.filter(isHostStep),
      at,
      progress: work.sys.progress,
      begin: async () => prepareKeys(work, steps, given),
      commit: async ({ after, entries, done }, begun, { isFirst, isPart }) =>
        commit({
          after,
          entries: isFirst ? [...begun.entries, ...entries] : entries,
          keeps: isFirst ? begun.keeps : [],
          removes: [],
          isPart,
          answer: (install) => {
            const retire = toRetire(after, hostsIn(install));
            return renderAnswer({ isDryRun: false, plan, install, retire }, sys);
          },
          tell: (install) => `${publishText(settings, steps)}${renderInstallation(settings, after, install)}`,
          done: isFirst ? [...begun.done, ...done] : done,
        }),
    });
    for (const { message, hint } of ca.warnings) sys.warn(message, hint);
    if (steps.length === 0) sys.say(nothingToMake(plan, opening, sys.program));
    if (held.length > 0) sys.endWith(1);
  };
  await changing(options, sys, carryOut, { isDone });
}

/** What comes before any host: DKIM keys, and the CA. */
async function prepareKeys(work: Work, steps: readonly Step[], given: Secret | undefined): Promise<PreparedCa> {
  const { inventory, at } = work;
  const signing = steps.filter((step) => step.kind === 'dkim-key');
  const dkim = await withNewKeys(inventory, signing, 'active', at);
  const begun = await prepareCa({ ...work, inventory: { ...inventory, dkim } }, steps, given);
  await proveNewKey(work, begun);
  const entries = dkim.slice(inventory.dkim.length).map((key) => dkimEntry('made', key, at));
  return { ...begun, entries: [...begun.entries, ...entries], done: [...begun.done, ...signing.map(madeStep)] };
}

/** The state as if this host had never been revoked: its files are then missing, and are made. @throws usage */
function reinstate(settings: Settings, inventory: Inventory, again: string | undefined, sys: Sys): Inventory {
  if (again === undefined) return inventory;
  const one = findHost(settings, again);
  const { hostname } = one;
  if (foundOf(inventory, one).isRevoked && inventory.revoked.ownKey.has(hostname)) {
    sys.warn(`${hostname} made its own key before, but the new one is made here`, {
      run: ['revoke', hostname],
      before: 'if it should make that too, this says how:',
    });
  }
  return withHosts(inventory, [hostname], { isRevoked: false });
}

async function planFor(work: Work, isGiven: boolean): Promise<Plan> {
  const { settings, inventory, at } = work;
  const recipients = await compareWithSettings(work);
  return planMake(settings, inventory, bundlesOf(settings, inventory), at, { recipients, isGiven });
}

/** What a person should know before it is carried out. @throws contradiction */
function sayPlan({ settings, inventory, sys }: Work, plan: Plan): void {
  warnSome([...returnWarnings(inventory), ...plan.warnings], sys);
  if (plan.problems.length > 0) throw contradiction(plan.problems);
  warnSome(plan.held, sys, ['make', '--dry-run', '--json']);
  const held = new Set(plan.held.map(({ hostname }) => hostname));
  const cured = inventory.hosts.flatMap((found) => {
    const { host, certificate } = found;
    if (isKnownRight(found, inventory) || certificate === undefined || held.has(host.hostname)) return [];
    return curedByMake(found, inventory).map((one) => describeFinding(one, host.hostname, certificate.path).message);
  });
  for (const message of cured.slice(0, mostSaid)) sys.say(`${message}: it gets a new one for the same key`);
  if (cured.length > mostSaid) sys.say(`${cured.length - mostSaid} more get a new one for the same key`);
  const issued = plan.steps.flatMap((step) => (step.kind === 'certificate' ? [step.hostname] : []));
  for (const { message, hint } of driftOf(settings, inventory, new Set(issued))) {
    sys.say(`${message}: ${renderHint(hint, sys.program)}`);
  }
}

/** Without recipients in the settings, a passphrase file is right whatever it is encrypted to. */
async function compareWithSettings(work: Work): Promise<RecipientChange> {
  const { passphraseFile, problems } = work.inventory;
  const { file, recipients } = work.settings.passphrase;
  if (passphraseFile === undefined || recipients.length === 0 || problems.length > 0) return { kind: 'same' };
  return findRecipientChange(passphraseFile, recipients, { ...recipientContext(work), from: file });
}

/** A first DKIM key signs as soon as it is installed, so its record comes first. */
function publishText({ program }: Settings, steps: Plan['steps']): string {
  const isNew = steps.some(({ kind }) => kind === 'dkim-key');
  const words = 'First publish the DNS record of the new DKIM key, which this prints:';
  return renderNowRun({ words, run: isNew ? [commandText(program, ['dns'])] : [] });
}

/** What a plan would require to be installed. */
function installFor(settings: Settings, steps: Plan['steps']): readonly Install[] {
  const bundles = steps.filter((step): step is StepOf<'bundle'> => step.kind === 'bundle');
  return installOf(settings, new Map(bundles.map(({ hostname, files }) => [hostname, files])));
}

interface Answer {
  readonly isDryRun: boolean;
  readonly plan: Pick<Plan, 'steps' | 'held'>;
  readonly install: readonly Install[];
  readonly retire: readonly HostName[];
}

/** The same with and without --dry-run: what is made, what waits, and what to install. */
function renderAnswer({ isDryRun: dryRun, plan, install, retire }: Answer, sys: Sys): string {
  const held = plan.held.map((one) => ({ host: one.hostname, ...problemObject(one, sys.program) }));
  return writeAnswer('make', { dryRun, steps: plan.steps, held, install, retire });
}

/**
 * A make that needs no passphrase reports on the next one, which will: if the passphrase does not open, something is
 * wrong whatever this make does, and the exit code is 3.
 */
async function foreseeOpening(
  work: Work,
  steps: Plan['steps'],
  given: Secret | undefined,
): Promise<Opening | undefined> {
  if (steps.some((step) => step.kind !== 'bundle' && step.kind !== 'dkim-key')) return undefined;
  const opening = await judgeOpening(work, given === undefined ? 'unasked' : { given });
  const source = given === undefined ? `in ${quotePath(work.settings.passphrase.file)}` : 'that was given';
  for (const { message, hint } of custodyWarnings(opening, source)) work.sys.warn(message, hint);
  if (isShut(opening)) work.sys.endWith(3);
  return opening;
}

/** A new operator key is proven to open the new CA before either is kept, and noted, so that the next status need not. */
async function proveNewKey(work: Work, { after, isOperatorKeyNew }: PreparedCa): Promise<void> {
  if (!isOperatorKeyNew || after.caKey === undefined || after.caKey === work.inventory.caKey) return;
  const opening = await judgeOpening({ ...work, inventory: after }, 'unasked');
  if (opening?.kind !== 'opened') throw new Error('the new operator key does not open the new CA');
}

function nothingToMake({ held, warnings }: Plan, opening: Opening | undefined, program: string): string {
  if (held.length > 0) return `nothing to make yet: ${listSome(held.map(({ hostname }) => hostname))} waits`;
  if (isShut(opening)) return "nothing to make, but the CA's passphrase cannot be opened";
  if (warnings.length > 0) return 'nothing to make, but see the warnings';
  // The settings may have changed what hosts should have beside their bundles, such as a port.
  const hosts = commandText(program, ['status']);
  return `nothing to make: all is right here (the hosts: ${hosts})`;
}

function renderPlan(plan: Plan, opening: Opening | undefined, sys: Sys): string {
  const { steps } = plan;
  if (steps.length === 0) return `${nothingToMake(plan, opening, sys.program)}\n`;
  const lines = steps.slice(0, mostListed).map((step) => `  ${describeStep(step)}: ${shownPath(step.path, sys)}`);
  const all = commandText(sys.program, ['make', '--dry-run', '--json']);
  const more = steps.length > mostListed ? [`  and ${steps.length - mostListed} more; all of them: ${all}`] : [];
  return ['would make, in this order:', ...lines, ...more, ''].join('\n');
}

/** The most steps that are listed one by one. */
const mostListed = 40;
