// The proof that a change is all or nothing: it is cut off at every step, by a kill and by a power failure with every
// legal loss (or a sample of them), recovered, cut off again in the recovery, and finally recovered. The result is the
// state before or the state after, to the octet, with nothing of ours left beside it.
//
// Violations are returned, so that a test of the proof itself can expect some (transaction-mutants.test.ts).

import type { Change, Outcome } from '../../src/store/transaction.js';
import type { Disk } from '../../src/sys/disk.js';
import { imageOf, nodeAt, textOf, textOfTree, type DiskImage } from './disk-image.js';
import { lossesOf, type LossLimits } from './power-failure.js';
import { project, type Scenario } from './sample-changes.js';
import { SimulatedDisk, type DiskOptions } from './simulated-disk.js';

/** What src/store/transaction.ts exports, or a mutant of it. */
export interface Transaction {
  stageChange(disk: Disk, project: string, change: Change): Promise<void>;
  commitChange(disk: Disk, project: string, mark?: () => Promise<void>): Promise<Outcome>;
  isCutOff(disk: Disk, project: string): Promise<boolean>;
  recoverChange(disk: Disk, project: string, mark?: () => Promise<void>): Promise<Outcome>;
}

export interface Tally {
  /** Steps at which the machine or the process ended. */
  points: number;
  /** Different disks that were recovered from. */
  states: number;
  /** Recoveries, including those that were cut off. */
  recoveries: number;
  readonly violations: string[];
}

export const newTally = (): Tally => ({ points: 0, states: 0, recoveries: 0, violations: [] });

/** One instant of a run, and what is known of it. */
export interface Point {
  readonly image: DiskImage;
  /** A kill here leaves the journal. */
  readonly isCommitted: boolean;
}

export const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const limits: LossLimits = isDeep ? { all: 512, drawn: 64 } : { all: 48, drawn: 4 };
const innerLimits: LossLimits = isDeep ? { all: 32, drawn: 8 } : { all: 4, drawn: 1, isCoarse: true };

type Expected = 'old' | 'new' | 'either';
/** The result that a recovery must have, if nothing else fails, and if the power fails before. */
interface Verdicts {
  readonly killed: Expected;
  readonly failed: Expected;
}

/** A disk that notes every step into `points`. */
export function recordedDisk(image: DiskImage, options: DiskOptions, points: Point[]): SimulatedDisk {
  return new SimulatedDisk(image, {
    ...options,
    onStep: (disk) => {
      const now = disk.image();
      points.push({ image: now, isCommitted: hasJournal(now) });
    },
  });
}

export const hasJournal = (image: DiskImage): boolean =>
  nodeAt(image, `${project}/.relaycerts.change/journal`) !== undefined;

/** Every step of staging and committing a change, and the disk at the end. */
export async function recordChange(
  transaction: Transaction,
  { before, change, mounts = [] }: Scenario,
): Promise<{ readonly points: readonly Point[]; readonly end: DiskImage; readonly violations: readonly string[] }> {
  const points: Point[] = [];
  const disk = recordedDisk(imageOf(before), { mounts }, points);
  await transaction.stageChange(disk, project, change);
  await transaction.commitChange(disk, project);
  return { points, end: disk.image(), violations: disk.violations };
}

/** Runs the whole proof of crashes for one change. Ends at the first violation. */
export async function proveCrashes(transaction: Transaction, scenario: Scenario, tally: Tally): Promise<void> {
  const { points, end, violations } = await recordChange(transaction, scenario);
  const proof = new CrashProof(transaction, scenario, tally);
  tally.violations.push(...violations);
  proof.expectTree(end, 'new', 'after the commit');
  const isNamed = points.findIndex(({ isCommitted }) => isCommitted);
  for (const [number, image] of [...points.map((point) => point.image), end].entries()) {
    if (tally.violations.length > 0) return;
    tally.points += 1;
    const isEnd = number === points.length;
    const where = `step ${number} of ${points.length}`;
    const failed: Expected = isEnd ? 'new' : number < isNamed ? 'old' : 'either';
    const killed: Expected = number < isNamed ? 'old' : 'new';
    await proof.recover(image, { killed, failed }, `${where}, killed`, 1);
    for (const [index, lost] of lossesOf(image, limits, number).entries()) {
      if (isEnd && hasJournal(lost)) tally.violations.push('after the commit, power failure: the journal is back');
      const depth = isDeep || index < 2 || (index + number) % 16 === 0 ? 1 : 0;
      await proof.recover(lost, { killed: failed, failed }, `${where}, power failure ${index}`, depth);
    }
  }
}

class CrashProof {
  readonly #transaction: Transaction;
  readonly #mounts: readonly string[];
  readonly #old: string;
  readonly #new: string;
  readonly #tally: Tally;
  readonly #seen = new Set<string>();

  constructor(transaction: Transaction, { before, after, mounts = [] }: Scenario, tally: Tally) {
    this.#transaction = transaction;
    this.#mounts = mounts;
    this.#old = textOfTree(before);
    this.#new = textOfTree(after);
    this.#tally = tally;
  }

  /** Recovers; `depth` times more after a crash at every step of the recovery. */
  async recover(image: DiskImage, expected: Verdicts, where: string, depth: number): Promise<void> {
    if (this.#tally.violations.length > 0 || this.#isKnown(image, expected, depth)) return;
    const points: Point[] = [];
    const disk =
      depth > 0
        ? recordedDisk(image, { mounts: this.#mounts }, points)
        : new SimulatedDisk(image, { mounts: this.#mounts });
    this.#tally.recoveries += 1;
    try {
      await this.#transaction.recoverChange(disk, project);
    } catch (error) {
      this.#tally.violations.push(`${where}: the recovery failed: ${String(error)}`);
      return;
    }
    const end = disk.image();
    this.#tally.violations.push(...disk.violations.map((each) => `${where}: ${each}`));
    const found = this.expectTree(end, expected.killed, where);
    if (depth === 0 || found === undefined) return;
    // Once a recovery is over its result stays, and nothing has to be recovered again.
    for (const [index, lost] of lossesOf(end, limits, 0).entries()) {
      await this.recover(lost, { killed: found, failed: found }, `${where}, recovered, power failure ${index}`, 0);
      if (found === 'new' && hasJournal(lost)) this.#tally.violations.push(`${where}, recovered: the journal is back`);
    }
    for (const [number, point] of points.entries()) {
      await this.recover(point.image, expected, `${where}, killed in recovery at step ${number}`, depth - 1);
      for (const [index, lost] of lossesOf(point.image, innerLimits, number).entries()) {
        await this.recover(
          lost,
          { ...expected, killed: expected.failed },
          `${where}, power failure ${index} in recovery at step ${number}`,
          depth - 1,
        );
      }
    }
  }

  expectTree(image: DiskImage, expected: Expected, where: string): 'old' | 'new' | undefined {
    const text = textOf(image);
    const found = text === this.#old ? 'old' : text === this.#new ? 'new' : undefined;
    if (found === undefined) this.#tally.violations.push(`${where}: neither old nor new: ${this.#difference(text)}`);
    else if (expected !== 'either' && found !== expected && this.#old !== this.#new) {
      this.#tally.violations.push(`${where}: ${found} and not ${expected}`);
    }
    return found;
  }

  #difference(text: string): string {
    const lines = new Set(text.split('\n'));
    const wanted = new Set([...this.#old.split('\n'), ...this.#new.split('\n')]);
    const missing = this.#new.split('\n').filter((line) => !lines.has(line));
    return JSON.stringify({ strange: [...lines].filter((line) => !wanted.has(line)), notNew: missing });
  }

  /** The recovery after a crash depends on what can be seen, and a crash in it also on what is durable. */
  #isKnown(image: DiskImage, { killed, failed }: Verdicts, depth: number): boolean {
    const seen = textOf(image);
    const durable = depth === 0 ? '' : textOf({ ...image, names: image.durableNames });
    const key = `${killed} ${failed} ${depth}\n${seen}\n${durable}${durable === seen ? '' : image.pending.length}`;
    if (this.#seen.has(key)) return true;
    this.#seen.add(key);
    this.#tally.states += 1;
    return false;
  }
}
