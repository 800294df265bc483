// What a change does if a call to the disk fails: every call once, with each of four errors, before it does anything,
// in the middle, and after it did all of it; and a disk that refuses everything from some call on. The user gets a
// RelaycertsError; the state is old, or the next recovery makes it new.

import { imageOf, nodeAt, textOf, textOfTree } from './disk-image.js';
import { lossesOf } from './power-failure.js';
import { project, type Scenario } from './sample-changes.js';
import { SimulatedDisk, type Fault } from './simulated-disk.js';
import { hasJournal, type Tally, type Transaction } from './transaction-proof.js';

const faults: readonly Omit<Fault, 'at'>[] = [
  { code: 'EACCES', effect: 'none' },
  { code: 'EROFS', effect: 'none' },
  { code: 'EROFS', effect: 'none', isLasting: true },
  { code: 'ENOSPC', effect: 'part' },
  { code: 'ENOSPC', effect: 'part', isLasting: true },
  { code: 'EIO', effect: 'none' },
  { code: 'EIO', effect: 'whole' },
];

/** Fails every call of staging and committing a change. */
export async function proveErrors(transaction: Transaction, scenario: Scenario, tally: Tally): Promise<void> {
  const { before, change, mounts = [] } = scenario;
  const whole = new SimulatedDisk(imageOf(before), { mounts });
  await transaction.stageChange(whole, project, change);
  await transaction.commitChange(whole, project);
  for (let at = 0; at < whole.calls && tally.violations.length === 0; at += 1) {
    tally.points += 1;
    for (const fault of faults) await proveError(transaction, scenario, { at, ...fault }, tally);
  }
}

async function proveError(
  transaction: Transaction,
  { before, after, change, mounts = [] }: Scenario,
  fault: Fault,
  tally: Tally,
): Promise<void> {
  const where = `call ${fault.at}, ${fault.code}, ${fault.effect}`;
  const fail = (what: string): void => void tally.violations.push(`${where}: ${what}`);
  const disk = new SimulatedDisk(imageOf(before), { mounts, fault });
  const failed = async (work: () => Promise<unknown>): Promise<boolean> => {
    try {
      await work();
      return false;
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'RelaycertsError') fail(`threw ${String(error)}`);
      return true;
    }
  };
  const hasFailedToStage = await failed(() => transaction.stageChange(disk, project, change));
  if (hasFailedToStage && fault.isLasting !== true && textOf(disk.image()) !== textOfTree(before)) {
    fail('something staged was left');
  }
  const hasFailed = hasFailedToStage || (await failed(() => transaction.commitChange(disk, project)));
  // Without draft and journal, the change was dropped, or it was carried out and the error came after.
  const hasDraft = nodeAt(disk.image(), `${project}/.relaycerts.change/draft`) !== undefined;
  const isDropped = textOf(disk.image()) === textOfTree(before);
  const isNew = !hasFailed || hasJournal(disk.image()) || (!hasFailedToStage && !hasDraft && !isDropped);
  const wanted = textOfTree(isNew ? after : before);
  const next = new SimulatedDisk(disk.image(), { mounts });
  tally.recoveries += 1;
  if (await failed(() => transaction.recoverChange(next, project))) return;
  if (textOf(next.image()) !== wanted) fail(`not ${isNew ? 'new' : 'old'} after the next recovery`);
  for (const lost of isNew ? lossesOf(next.image(), { all: 8, drawn: 2 }, fault.at) : []) {
    tally.states += 1;
    if (hasJournal(lost)) fail('the journal is back');
    // The change folder may be back, empty.
    const last = new SimulatedDisk(lost, { mounts });
    await transaction.recoverChange(last, project);
    if (textOf(last.image()) !== wanted) fail('the next recovery was not durable');
  }
  for (const violation of disk.violations) fail(violation);
}
