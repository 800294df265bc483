// Temporary files that a relaycerts which died left behind. Call it only while holding the lock: in the folders below
// certs/ and hosts/ a temporary file of another process at work looks the same.

import { realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { listFolder, parseTemporaryName, removeFile, statFile, type FileState } from '../host/files.js';
import type { Host } from '../host/host.js';
import { systemCode } from '../errors.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { layoutOf, operatorKeyPlace } from './layout.js';
import { isClaimName } from './lock.js';

/** Removes them, and nothing else, from the folders that relaycerts writes to. `at` is now. @throws files */
export async function sweepTemporaries(
  settings: Settings,
  host: Pick<Host, 'configHome' | 'uid'>,
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
  const isOver = (pid: number, { changed }: FileState): boolean =>
    !isRunning(pid) || at.getTime() - changed.getTime() > 3_600_000;
  await sweep(layout.folder, isOver);
  const shared = [settings.passphrase.file, passphrase, operatorKeyPlace(host.configHome).path];
  for (const folder of new Set(shared.map((path) => dirname(path)))) {
    // In a sticky folder like /tmp nobody can remove another user's file, and nobody has to.
    if (folder !== layout.folder) await sweep(folder, (pid, state) => state.uid === host.uid && isOver(pid, state));
  }
}

async function sweep(folder: string, isOver: (pid: number, state: FileState) => boolean): Promise<void> {
  for (const name of await listFolder(folder)) {
    const pid = parseTemporaryName(name)?.pid;
    if (pid === undefined) continue;
    const path = join(folder, name);
    const state = await statFile(path);
    if (state?.kind === 'file' && isOver(pid, state)) await removeFile(path);
  }
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
