// Temporary files that a relaycerts which died left behind.

import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { listFolder, parseTemporaryName, removeFile, statFile, type FileState } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { systemCode } from '../errors.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { layoutOf, operatorKeyPlace } from './layout.js';
import { isClaimName } from './lock.js';

/**
 * Removes them, and nothing else, from the folders that relaycerts writes to. Only while holding the lock: in the folders
 * below certs/ and hosts/ a temporary file of another process at work looks the same. `at` is now. @throws files
 */
export async function sweepTemporaries(
  settings: Settings,
  sys: Pick<Sys, 'configHome' | 'uid'>,
  at: Date,
): Promise<void> {
  const layout = layoutOf(settings);
  const locked = [
    layout.caFolder,
    ...roles.map((role) => layout.roleFolder(role)),
    layout.retiredFolder,
    layout.revokedFolder,
    ...hostsOf(settings).map(({ hostname }) => layout.bundleFolder(hostname)),
  ];
  for (const folder of locked) await sweep(folder, () => true);
  for (const name of await listFolder(layout.folder)) {
    if (isClaimName(name, basename(layout.lock))) await removeFile(join(layout.folder, name));
  }
  // Here others write without this lock (the lock itself, the wizard's settings, another project's passphrase).
  // Where the passphrase file is a link, what it names is what is written.
  const passphrase = await realpath(settings.passphrase.file).catch(() => settings.passphrase.file);
  await sweep(layout.folder, (pid, state) => isOver(pid, state, at));
  const shared = [settings.passphrase.file, passphrase, operatorKeyPlace(sys.configHome).path];
  for (const folder of new Set(shared.map((path) => dirname(path)))) {
    // In a sticky folder like /tmp nobody can remove another user's file, and nobody has to.
    if (folder !== layout.folder) await sweep(folder, (pid, state) => state.uid === sys.uid && isOver(pid, state, at));
  }
}

/**
 * Removes those that were to become this file, wherever it is to lie: no later run knows its folder. Needs no lock. `at`
 * is now. @throws files
 */
export async function sweepTarget(path: string, { uid }: Pick<Sys, 'uid'>, at: Date): Promise<void> {
  await sweep(dirname(path), (pid, state, target) => {
    return target === basename(path) && state.uid === uid && isOver(pid, state, at);
  });
}

async function sweep(folder: string, mayGo: (pid: number, state: FileState, target: string) => boolean): Promise<void> {
  for (const name of await listFolder(folder)) {
    const found = parseTemporaryName(name);
    if (found === undefined) continue;
    const path = join(folder, name);
    const state = await statFile(path);
    if (state?.kind === 'file' && mayGo(found.pid, state, found.target)) await removeFile(path);
  }
}

/** Nobody takes an hour to write a file: a process of that number is then another one. */
function isOver(pid: number, { changed }: FileState, at: Date): boolean {
  return !isRunning(pid) || at.getTime() - changed.getTime() > 3_600_000;
}

/** In a container that shares the folder, another's process looks as if it had ended: it then fails, and loses nothing. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return systemCode(error) !== 'ESRCH';
  }
}
