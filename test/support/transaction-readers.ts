// Two parties without the lock: a reader while a change is made, and a person who edits a file between a crash and the
// recovery. The reader sees the state before or after; the person's edit is kept.

import type { Outcome } from '../../src/store/transaction.js';
import { imageOf, nodeAt, treeOf, type DiskImage } from './disk-image.js';
import { project, type Scenario } from './sample-changes.js';
import { SimulatedDisk } from './simulated-disk.js';
import { recordChange, recordedDisk, type Point, type Tally, type Transaction } from './transaction-proof.js';

/**
 * A reader that begins and ends at any two steps, and reads each file at any step between. It accepts what it read if
 * there was no committed change at both ends, and the same mark.
 */
export async function proveReader(transaction: Transaction, scenario: Scenario, tally: Tally): Promise<void> {
  const { before, after, change, mounts = [] } = scenario;
  const steps: { readonly image: DiskImage; readonly mark: number }[] = [];
  let mark = 0;
  const disk = new SimulatedDisk(imageOf(before), {
    mounts,
    onStep: (now) => void steps.push({ image: now.image(), mark }),
  });
  await transaction.stageChange(disk, project, change);
  await transaction.commitChange(disk, project, () => {
    mark += 1;
    return Promise.resolve();
  });
  const paths = [...change.writes, ...change.appends].map(({ path }) => path).concat(change.removes);
  const views = [];
  for (const step of steps) {
    const isCutOff = await transaction.isCutOff(new SimulatedDisk(step.image), project);
    const found = treeOf(step.image);
    const isLike = (path: string, tree: typeof before): boolean =>
      (found.get(path)?.bytes ?? none).equals(tree.get(path)?.bytes ?? none);
    const ages = paths.map((path) => ({ isOld: isLike(path, before), isNew: isLike(path, after) }));
    views.push({
      isCutOff,
      mark: step.mark,
      notNew: ages.some(({ isNew }) => !isNew),
      notOld: ages.some(({ isOld }) => !isOld),
    });
  }
  for (const [from, first] of views.entries()) {
    let [notNew, notOld] = [false, false];
    for (const last of views.slice(from)) {
      notNew ||= last.notNew;
      notOld ||= last.notOld;
      tally.points += 1;
      const isTaken = !first.isCutOff && !last.isCutOff && first.mark === last.mark;
      if (isTaken && notNew && notOld) tally.violations.push(`a reader from step ${from} saw old and new`);
    }
  }
}

const none = Buffer.from('none');
const byHand = Buffer.from('edited by hand\n');

/** Edits each file at each step of carrying the change out, and recovers, cut off at every step too. */
export async function proveEdits(transaction: Transaction, scenario: Scenario, tally: Tally): Promise<void> {
  const { points } = await recordChange(transaction, scenario);
  const { before, change } = scenario;
  const paths = [
    ...change.writes.map(({ path }) => path),
    ...change.appends.map(({ path }) => path),
    ...change.removes.filter((path) => before.has(path)),
  ];
  for (const [number, { image, isCommitted }] of points.entries()) {
    if (!isCommitted || tally.violations.length > 0) continue;
    // Each step takes some of the files, in turn.
    for (const path of paths.filter((_, index) => index % 8 === number % 8)) {
      const folder = nodeAt(image, path.slice(0, path.lastIndexOf('/')));
      if (folder === undefined) continue;
      tally.points += 1;
      await proveEdit(transaction, scenario, image, path, `step ${number}, ${path} edited`, tally);
    }
  }
}

async function proveEdit(
  transaction: Transaction,
  { change, after, mounts = [] }: Scenario,
  image: DiskImage,
  path: string,
  where: string,
  tally: Tally,
): Promise<void> {
  const append = change.appends.find((one) => one.path === path);
  const write = change.writes.find((one) => one.path === path);
  const found = treeOf(image).get(path)?.bytes;
  const person = new SimulatedDisk(image);
  await person.writeAt(path, append === undefined ? 0 : (found?.length ?? 0), byHand, 0o600);
  const fail = (what: string): void => void tally.violations.push(`${where}: ${what}`);
  const judge = (disk: SimulatedDisk, { isRecovered, edited }: Outcome): void => {
    const tree = treeOf(disk.image());
    const now = tree.get(path)?.bytes;
    if (now?.includes(byHand) !== true) fail('the edit was lost');
    if (append !== undefined && now?.toString().split(append.text.trim()).length !== 2)
      fail('the line is not there once');
    const wasWritten = write !== undefined && found?.equals(write.bytes) === true;
    const said = edited.find((one) => one.path === path);
    // If it was cut off when the journal was gone, it had already reported everything.
    if (isRecovered && append === undefined && said === undefined && !wasWritten) fail('nothing was said');
    const kept = tree.get(said?.kept ?? `${path}.relaycerts-new`);
    if (write !== undefined && (said !== undefined || !wasWritten)) {
      if (kept?.bytes?.equals(write.bytes) !== true || kept.mode !== write.mode) fail('the new version was not kept');
    }
    const strange = [...tree.keys()].filter(
      (one) => !after.has(one) && one !== path && one !== `${path}.relaycerts-new`,
    );
    const missing = [...after].filter(
      ([one, { bytes }]) => one !== path && bytes?.equals(tree.get(one)?.bytes ?? none) === false,
    );
    if (missing.length > 0) fail(`not written: ${missing.map(([one]) => one).join(' ')}`);
    if (strange.some((one) => !path.startsWith(`${one}/`))) fail(`left behind: ${strange.join(' ')}`);
  };
  const points: Point[] = [];
  const disk = recordedDisk(person.image(), { mounts }, points);
  judge(disk, await transaction.recoverChange(disk, project));
  for (const point of points) {
    tally.recoveries += 1;
    const again = new SimulatedDisk(point.image, { mounts });
    judge(again, await transaction.recoverChange(again, project));
  }
}
