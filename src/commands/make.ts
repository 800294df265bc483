// `relaycerts make`: brings everything that the settings ask for into being, leaves alone what is there and right, then
// prints the instructions for every host.

import { readPassphraseFd } from '../custody/passphrase.js';
import { findRecipientChange } from '../custody/recipient-change.js';
import { RelaycertsError } from '../errors.js';
import { readNamedFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { describeStep } from '../plan/describe-step.js';
import { describeDrift } from '../plan/drift.js';
import { leftProblems } from '../plan/host-problems.js';
import { planMake, type Plan } from '../plan/plan.js';
import { custodyWarnings } from '../plan/warnings.js';
import { pinsOf } from '../render/pin.js';
import { bundlesOf } from '../render/bundle.js';
import { renderHost } from '../render/host.js';
import { readSettings } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { guardWriting } from '../store/guard-writing.js';
import { guardReading } from '../store/look.js';
import { settle } from '../store/settle.js';
import type { HostName } from '../names.js';
import { findHost } from './show.js';
import { sweepTemporaries } from '../store/sweep.js';
import { withTurn } from '../store/turn.js';
import { readInventory } from '../store/read.js';
import { assertRoom, workOf } from '../store/room.js';
import { readSteadily } from '../store/steady.js';
import type { HostInventory, Inventory, RecipientChange } from '../plan/inventory.js';
import { applyMake, writeBundles } from './apply-make.js';
import type { Secret } from '../secret.js';
import type { GlobalOptions } from './options.js';
import { custodianOf, endPendingChange } from './passphrase-open.js';

export interface MakeOptions extends GlobalOptions {
  readonly dryRun: boolean;
  /** A revoked host, as typed, that is to be made again. */
  readonly again: string | undefined;
  /** A file descriptor to read the CA's passphrase from. */
  readonly passphraseFd: number | undefined;
}

/** @throws settings, contradiction, lock, passphrase, recipient, tool, files */
export async function make(options: MakeOptions, sys: Sys): Promise<void> {
  const settings = await readSettings(options.settings, sys);
  const again = options.again === undefined ? undefined : findHost(settings, options.again).hostname;
  if (options.dryRun) {
    await guardReading(settings, sys);
    const { plan, inventory } = await planFor(settings, sys, options.passphraseFd !== undefined, again, (read) =>
      readSteadily(settings, sys, read),
    );
    if (options.json) sys.write(`${JSON.stringify({ plan: plan.steps }, undefined, 2)}\n`);
    else sys.write(renderPlan(plan, settings, inventory));
    return;
  }
  await guardWriting(settings, sys);
  const passphrase = await readGivenPassphrase(options.passphraseFd);
  const { plan, inventory } = await withTurn(settings, sys, async () => {
    await settle(settings, sys);
    const before = await planFor(settings, sys, passphrase !== undefined, again);
    await sweepTemporaries(settings, sys, before.at);
    if (before.plan.steps.length === 0) {
      await endPendingChange(custodianOf(settings, sys, before.inventory));
      return before;
    }
    await assertRoom(settings, sys, workOf(before.plan.steps));
    await applyMake({ ...before, settings, sys, at: before.at, passphrase });
    const after = await readInventory(settings, sys);
    if (after.problems.length > 0) throw contradiction(after.problems);
    await writeBundles(after, bundlesOf(settings, after), sys);
    await endPendingChange(custodianOf(settings, sys, after));
    return { plan: before.plan, inventory: after };
  });
  if (plan.steps.length === 0) sys.say(nothingToMake(settings, inventory));
  const pins = pinsOf(settings, inventory);
  const shown = inventory.hosts.filter(({ isRevoked }) => !isRevoked);
  const render = ({ host: one, request }: HostInventory, format: 'json' | 'text'): string =>
    renderHost(settings, one, pins, {
      format,
      undo: false,
      isRevoked: false,
      keyPlace: request === undefined ? 'here' : 'host',
    });
  if (options.json) {
    const hosts = shown.map((found) => JSON.parse(render(found, 'json')) as unknown);
    sys.write(`${JSON.stringify({ made: plan.steps, hosts }, undefined, 2)}\n`);
    return;
  }
  for (const found of shown) sys.write(render(found, 'text'));
}

async function planFor(
  settings: Settings,
  sys: Sys,
  isGiven: boolean,
  again: HostName | undefined,
  steadily: (read: () => Promise<Inventory>) => Promise<Inventory> = (read) => read(),
): Promise<{ readonly plan: Plan; readonly inventory: Inventory; readonly at: Date }> {
  const at = sys.now();
  const found = await steadily(() => readInventory(settings, sys));
  const inventory = reinstate(found, again);
  const recipients = await compareWithSettings(settings, inventory, sys, at);
  const ledger = layoutOf(settings).ledger.path;
  const plan = planMake(settings, inventory, bundlesOf(settings, inventory), ledger, at, { recipients, isGiven });
  const left = found.hosts.filter((one) => one.host.hostname === again).flatMap((one) => leftProblems(one));
  for (const { message, hint } of plan.warnings) sys.warn(message, hint);
  for (const line of plan.problems.length > 0 ? [] : describeDrift(settings, inventory)) sys.say(line);
  if (plan.problems.length > 0) throw contradiction(plan.problems);
  if (left.length > 0) throw contradiction(left);
  return { plan, inventory, at };
}

/** The inventory as if this host had never been revoked: then its files are missing, and are made. */
function reinstate(inventory: Inventory, again: HostName | undefined): Inventory {
  const hosts = inventory.hosts.map((one) =>
    one.isRevoked && one.host.hostname === again ? { ...one, isRevoked: false, isRekeyCut: false } : one,
  );
  return { ...inventory, hosts };
}

/** With no recipients in the settings, a passphrase file is right whoever it is encrypted to. */
async function compareWithSettings(
  { passphrase, folder }: Settings,
  { passphraseFile, problems }: Inventory,
  { home, run }: Sys,
  at: Date,
): Promise<RecipientChange> {
  const { file, recipients } = passphrase;
  if (passphraseFile === undefined || recipients.length === 0 || problems.length > 0) return { kind: 'same' };
  return findRecipientChange(passphraseFile, recipients, {
    from: file,
    folder,
    home,
    at,
    run,
    readFile: readNamedFile,
  });
}

/** The error that tells all problems of a plan or an inventory. */
export function contradiction(problems: Plan['problems']): RelaycertsError {
  return new RelaycertsError('contradiction', problems.map(({ message }) => message).join('; '), { problems });
}

function nothingToMake(settings: Settings, inventory: Inventory): string {
  if (custodyWarnings(settings, inventory).length > 0) return 'nothing to make, but the passphrase file is missing';
  return 'nothing to make: everything that the settings ask for is there and right';
}

function renderPlan({ steps }: Plan, settings: Settings, inventory: Inventory): string {
  if (steps.length === 0) return `${nothingToMake(settings, inventory)}\n`;
  return ['make would make, in this order:', ...steps.map((step) => `  ${describeStep(step)}`), ''].join('\n');
}

/** The passphrase from --passphrase-fd; undefined where none is given. @throws usage, passphrase */
export async function readGivenPassphrase(fd: number | undefined): Promise<Secret | undefined> {
  if (fd === undefined) return undefined;
  return readPassphraseFd(fd);
}
