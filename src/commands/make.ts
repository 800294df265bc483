// `relaycerts make`: makes everything that the settings ask for and is missing, leaves alone what is right, and prints the
// instructions for every host. The plan decides; make-ca.ts and certify.ts carry it out.

import { recipientContext } from '../custody/passphrase-file.js';
import { findRecipientChange } from '../custody/recipient-change.js';
import { renderHint } from '../errors.js';
import { describeStep } from '../plan/describe-step.js';
import { driftOf } from '../plan/drift.js';
import type { Inventory, RecipientChange } from '../plan/inventory.js';
import { type HostStep, isHostStep, type Plan, planMake } from '../plan/plan.js';
import { custodyWarnings } from '../plan/warnings.js';
import { bundlesOf } from '../render/bundle.js';
import { renderHost } from '../render/host.js';
import { pinsOf } from '../render/pin.js';
import type { Settings } from '../settings/settings.js';
import { readInventory } from '../store/read.js';
import type { Sys } from '../sys/sys.js';
import { certify, generateKeys } from './certify.js';
import type { HostName } from '../names.js';
import { findHost, withHost } from './hosts.js';
import { prepareCa } from './make-ca.js';
import { changing, contradiction, reading, type CaOptions, type Work } from './run.js';

export interface MakeOptions extends CaOptions {
  readonly dryRun: boolean;
  /** A revoked host, as typed, that is to relay again. */
  readonly again: string | undefined;
}

/** Hosts that are made in one change: Ctrl-C keeps the batches before. */
const batchSize = 1000;

/** @throws settings, permissions, contradiction, lock, passphrase, recipient, tool, files */
export async function make(options: MakeOptions, sys: Sys): Promise<void> {
  const { again, passphraseFd } = options;
  if (options.dryRun) {
    const { settings, found, at } = await reading(options, sys, (one) => readInventory(one, sys));
    const work = { settings, inventory: reinstate(settings, found, again), sys, at };
    const { steps } = await planFor(work, passphraseFd !== undefined);
    sys.write(options.json ? `${JSON.stringify({ plan: steps }, undefined, 2)}\n` : renderPlan(steps, work));
    return;
  }
  await changing(options, sys, async ({ commit, given, ...frame }) => {
    const { settings, at } = frame;
    const work = { ...frame, inventory: reinstate(settings, frame.inventory, again) };
    const { steps } = await planFor(work, given !== undefined);
    const batches = batchesOf(steps.filter(isHostStep));
    let keys = generateKeys(batches[0] ?? []);
    const ca = await prepareCa(work, steps, given);
    let state = ca.after;
    for (const [index, batch] of batches.entries()) {
      const certified = await certify(settings, state, batch, { issuer: ca.issuer, keys: await keys, at });
      keys = generateKeys(batches[index + 1] ?? []);
      const { after } = certified;
      const isLast = index === batches.length - 1;
      state = await commit({
        after,
        entries: index === 0 ? [...ca.entries, ...certified.entries] : certified.entries,
        keeps: index === 0 ? ca.keeps : [],
        removes: [],
        isPart: !isLast,
        tell: () => (isLast ? renderMade(work.settings, after, steps, options.json) : ''),
        done: index === 0 ? [...ca.done, ...certified.done] : certified.done,
      });
    }
    for (const { message, hint } of ca.warnings) sys.warn(message, hint);
    if (steps.length === 0) sys.say(nothingToMake(work));
  });
}

/** At least one, because bundles may have to be made without any certificate. */
function batchesOf(steps: readonly HostStep[]): readonly (readonly HostStep[])[] {
  const batches: HostStep[][] = [[]];
  const batchOf = new Map<HostName, HostStep[]>();
  for (const step of steps) {
    let batch = batchOf.get(step.hostname);
    if (batch === undefined) {
      if (batchOf.size > 0 && batchOf.size % batchSize === 0) batches.push([]);
      batch = batches.at(-1) ?? [];
      batchOf.set(step.hostname, batch);
    }
    batch.push(step);
  }
  return batches;
}

/** The state as if this host had never been revoked: then its files are missing, and are made. @throws usage */
function reinstate(settings: Settings, inventory: Inventory, again: string | undefined): Inventory {
  if (again === undefined) return inventory;
  return withHost(inventory, findHost(settings, again), { isRevoked: false });
}

async function planFor(work: Work, isGiven: boolean): Promise<Plan> {
  const { settings, inventory, at, sys } = work;
  const recipients = await compareWithSettings(work);
  const plan = planMake(settings, inventory, bundlesOf(settings, inventory), at, { recipients, isGiven });
  for (const { message, hint } of plan.warnings) sys.warn(message, hint);
  if (plan.problems.length > 0) throw contradiction(plan.problems);
  for (const { message, hint } of driftOf(settings, inventory)) {
    sys.say(`${message}: ${renderHint(hint, sys.program)}`);
  }
  return plan;
}

/** With no recipients in the settings, a passphrase file is right for whoever it is encrypted to. */
async function compareWithSettings(work: Work): Promise<RecipientChange> {
  const { passphraseFile, problems } = work.inventory;
  const { file, recipients } = work.settings.passphrase;
  if (passphraseFile === undefined || recipients.length === 0 || problems.length > 0) return { kind: 'same' };
  return findRecipientChange(passphraseFile, recipients, { ...recipientContext(work), from: file });
}

/** Instructions for every host; of a fleet for those that have something new, and of many of those for the first. */
function renderMade(settings: Settings, after: Inventory, steps: Plan['steps'], asJson: boolean): string {
  const standing = after.hosts.filter(({ isRevoked }) => !isRevoked);
  const touched = new Set(steps.flatMap((step) => ('hostname' in step ? [step.hostname] : [])));
  const chosen = standing.length <= mostShown ? standing : standing.filter(({ host }) => touched.has(host.hostname));
  const shown = chosen.slice(0, mostShown);
  const pins = pinsOf(settings, after);
  const render = (format: 'json' | 'text'): readonly string[] =>
    shown.map(({ host, request }) => {
      const keyPlace = request === undefined ? 'here' : 'host';
      return renderHost(settings, host, pins, { format, undo: false, isRevoked: false, keyPlace });
    });
  if (asJson) {
    const hosts = render('json').map((text) => JSON.parse(text) as unknown);
    return `${JSON.stringify({ made: steps, hosts }, undefined, 2)}\n`;
  }
  const left = chosen.length - shown.length;
  const more =
    left === 0 ? '' : `# ${left} more hosts have something new; for each of them: ${settings.program} show HOST\n`;
  return `${render('text').join('')}${more}`;
}

/** Hosts whose instructions are printed without being asked for. */
const mostShown = 20;

function nothingToMake({ settings, inventory }: Work): string {
  if (custodyWarnings(settings, inventory).length > 0) return 'nothing to make, but the passphrase file is missing';
  return 'nothing to make: everything that the settings ask for is there and right';
}

function renderPlan(steps: Plan['steps'], work: Work): string {
  if (steps.length === 0) return `${nothingToMake(work)}\n`;
  return ['make would make, in this order:', ...steps.map((step) => `  ${describeStep(step)}`), ''].join('\n');
}
