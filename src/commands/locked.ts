// Work under the project's lock, and one change committed there with the words for it. `changing` (run.ts) is the frame
// for commands that judge the whole state first; those that touch only what was seen of hosts, or the settings, use
// `locked` directly.

import { mkdirSync } from 'node:fs';
import type { HostName } from '../names.js';
import type { SeenHost } from '../plan/installed.js';
import { readSettings } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { installedChange, readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { withLock, type Lock } from '../store/lock.js';
import { orNameRoot } from '../store/ownership.js';
import { assertSafe, assertSafeFolder } from '../store/safety.js';
import { recover, sayOutcome } from '../store/state.js';
import { isEmpty } from '../store/state-change.js';
import { commitChange, dropDraft, stageChange, type Change } from '../store/transaction.js';
import { realDisk } from '../sys/disk.js';
import { attempt } from '../sys/file-error.js';
import type { Sys } from '../sys/sys.js';

/** Runs `work` under the lock, after finishing an interrupted change. The settings are read once the lock is held. */
export async function locked<T>(
  file: string,
  sys: Sys,
  work: (settings: Settings, lock: Lock) => Promise<T>,
): Promise<T> {
  return safely(file, sys, (before) => underLock(before, sys, work));
}

/** Runs `work` if the places that the settings name are safe to write to. */
export async function safely<T>(file: string, sys: Sys, work: (settings: Settings) => Promise<T>): Promise<T> {
  const settings = await readSettings(file, sys);
  return orNameRoot(settings, sys, async () => {
    await assertSafe(settings, sys);
    return work(settings);
  });
}

/** The settings are read again: `before` may have changed since. */
export async function underLock<T>(
  before: Settings,
  sys: Sys,
  work: (settings: Settings, lock: Lock) => Promise<T>,
): Promise<T> {
  return withLock(layoutOf(before).lock, sys, async (lock) => {
    const settings = await readSettings(before.file, sys, before);
    await recover(settings, sys, lock);
    return work(settings, lock);
  });
}

/** Runs `work` under the lock of a project whose folder may not be there yet. @throws permissions, lock, files */
export async function inNewProject(settings: Settings, sys: Sys, work: (lock: Lock) => Promise<void>): Promise<void> {
  const { folder } = settings;
  await attempt('make the folder', folder, async () => mkdirSync(folder, { recursive: true, mode: 0o700 }));
  await assertSafeFolder(folder, 'project', sys);
  await assertSafe(settings, sys);
  await withLock(layoutOf(settings).lock, sys, async (lock) => {
    await recover(settings, sys, lock);
    await work(lock);
  });
}

/**
 * Records what hosts were seen to have, and leaves the others as they are; undefined: the host has nothing of ours any
 * more. Contradictions do not matter here: what is on a host is true whatever is wrong here.
 * @throws permissions, lock, files
 */
export async function noteInstalled(
  { settings: file }: { readonly settings: string },
  sys: Sys,
  seen: ReadonlyMap<HostName, SeenHost | undefined>,
): Promise<void> {
  if (seen.size > 0) await locked(file, sys, (settings, lock) => noteUnderLock(settings, sys, lock, seen));
}

/** The same for a caller that holds the lock. */
export async function noteUnderLock(
  settings: Settings,
  sys: Sys,
  lock: Lock,
  seen: ReadonlyMap<HostName, SeenHost | undefined>,
): Promise<void> {
  const layout = layoutOf(settings);
  const { hosts } = readInstalled(layout);
  await commitChangeWithWords(settings, sys, lock, installedChange(layout, hosts, seen, settings), '');
}

/**
 * Stages the change, prints what was made and for what, and commits it: so what to do next is printed last. Returns the
 * time of the commit, before which all its files were written, in milliseconds.
 * @throws files - before the commit nothing has changed
 */
export async function commitChangeWithWords(
  { folder }: Settings,
  sys: Sys,
  lock: Lock | undefined,
  change: Change,
  words: string,
  say: () => void = () => undefined,
): Promise<number> {
  const unsynced = new Set<string>();
  const disk = realDisk(unsynced);
  if (!isEmpty(change)) {
    if (lock === undefined) throw new TypeError('a command with nothing to do changes something');
    await stageChange(disk, folder, change);
  }
  try {
    say();
    // Without words, nothing depends on the output.
    if (words !== '') {
      sys.write(words);
      await sys.flush();
    }
  } catch (error) {
    await dropDraft(disk, folder);
    throw error;
  }
  const written = Date.now();
  if (isEmpty(change) || lock === undefined) return written;
  if (unsynced.size > 0) {
    sys.warn(
      'the file system here cannot make a change durable by itself: after a power failure, check that it is there',
    );
  }
  sayOutcome(await commitChange(disk, folder, () => lock.markChange()), sys);
  return written;
}
