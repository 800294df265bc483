// The state beside the settings as a reader sees it: before a change or after it, never between. A reader takes no
// lock. It notes the last change, reads, and reads again if there was another one meanwhile. An interrupted change is
// finished first.

import { setTimeout as sleep } from 'node:timers/promises';
import { RelaycertsError, quotePath } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { realDisk } from '../sys/disk.js';
import { followLinks } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';
import { layoutOf, operatorKeyPlace } from './layout.js';
import { readMark, withLock, type Lock } from './lock.js';
import { changeFolder } from './journal.js';
import { findElsewhere, isCutOff, recoverChange, type Outcome } from './transaction.js';

type Reader = Pick<Sys, 'say' | 'warn' | 'lockWait' | 'pid' | 'machine' | 'configHome'>;

/** Seconds that a reader waits for a change in progress. */
const patience = 10;

/** The result of `read`, which may be called several times. @throws whatever read throws; files, lock */
export async function readState<T>(settings: Settings, sys: Reader, read: () => Promise<T>): Promise<T> {
  const { lock, folder } = layoutOf(settings);
  const disk = realDisk();
  const begun = process.uptime();
  for (;;) {
    const mark = readMark(lock);
    if (await isCutOff(disk, folder)) {
      await finishChange(settings, sys, begun);
      continue;
    }
    // A read that fails in the middle of a change succeeds after it.
    const [outcome] = await Promise.allSettled([Promise.resolve().then(read)]);
    if (!(await isCutOff(disk, folder)) && readMark(lock) === mark) {
      if (outcome.status === 'rejected') throw outcome.reason;
      return outcome.value;
    }
  }
}

/** A state, and the mark of the last change before it. */
export interface Glimpse<T> {
  readonly found: T;
  readonly mark: string;
}

/** What `read` finds without the lock; undefined before the first change, during one, after one that was cut off. */
export async function glimpseState<T>(settings: Settings, read: () => Promise<T>): Promise<Glimpse<T> | undefined> {
  const { lock, folder } = layoutOf(settings);
  const isQuiet = async (): Promise<boolean> => !(await realDisk().has(changeFolder(folder)));
  try {
    const mark = readMark(lock);
    if (mark === '' || !(await isQuiet())) return undefined;
    const found = await read();
    return (await isQuiet()) && readMark(lock) === mark ? { found, mark } : undefined;
  } catch {
    // A change under way may be the reason; under the lock the error comes again, or not.
    return undefined;
  }
}

/** Finishes the change of a process that ended, or waits for the process that is carrying it out. */
async function finishChange(settings: Settings, sys: Reader, begun: number): Promise<void> {
  const { lock } = layoutOf(settings);
  try {
    await withLock(lock, { ...sys, lockWait: 0 }, (held) => recover(settings, sys, held));
  } catch (error) {
    const isWaiting = error instanceof RelaycertsError && error.code === 'lock';
    if (!isWaiting || process.uptime() - begun > Math.max(patience, sys.lockWait)) throw error;
    await sleep(20);
  }
}

/** Finishes an interrupted change and says so; drops one that was only staged. @throws files, permissions */
export async function recover(settings: Settings, sys: Reader, lock: Lock): Promise<void> {
  const { folder } = settings;
  const passphrase = followLinks(settings.passphrase.file);
  const own = [passphrase, operatorKeyPlace(sys.configHome).path];
  const strange = (await findElsewhere(realDisk(), folder)).find(
    (path) =>
      !own.some((one) => path === one || one.startsWith(`${path}/`) || /^\.old\d*$/u.test(path.replace(one, ''))),
  );
  if (strange !== undefined) {
    const message = `an interrupted change names ${quotePath(strange)}, which is not a file of this project`;
    throw new RelaycertsError('permissions', message, {
      hint: `if passphrase.file is another one now, set it back and run the same command again; to give the change up: rm -r ${shellWord(changeFolder(folder))}`,
    });
  }
  sayOutcome(await recoverChange(realDisk(), folder, () => lock.markChange()), sys);
}

/** What a person should know about a change that was carried out. */
export function sayOutcome({ isRecovered, edited }: Outcome, sys: Pick<Sys, 'say' | 'warn'>): void {
  if (isRecovered) sys.say('finished an interrupted change');
  for (const { path, kept } of edited) {
    if (kept === undefined) sys.warn(`${quotePath(path)} was edited since, so it was not removed`);
    else sys.warn(`${quotePath(path)} was edited since, so it was not replaced; the new version is ${quotePath(kept)}`);
  }
}
