// A lock that the kernel keeps: flock(2) on a file that this process holds open. When the process ends, for whatever
// reason, the kernel releases the lock, so it is never stale.
//
// Node has no flock. The lock belongs to the open file and not to a process, so flock(1) can take it for us on a file
// descriptor that it inherits, and exit. BSD and macOS lock when they open a file.

import { closeSync, constants, openSync } from 'node:fs';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';

/** O_EXLOCK of open(2) on BSD and macOS. */
const openLocked = 0x20;

/**
 * Opens a file as a descriptor, makes it if it is missing (mode 0600), and locks it; undefined if another process holds the lock.
 * @throws lock - this file system does not support locks; tool - flock(1) is missing; Node's system error
 */
export async function openWithLock(path: string): Promise<number | undefined> {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  if (process.platform === 'darwin' || process.platform === 'freebsd') {
    try {
      return openSync(path, flags | openLocked | constants.O_NONBLOCK, 0o600);
    } catch (error) {
      if (systemCode(error) === 'EAGAIN') return undefined;
      throw error;
    }
  }
  const file = openSync(path, flags, 0o600);
  try {
    const { status, stderr } = await runFlock(file);
    if (status === 0) return file;
    if (status !== 1) {
      throw new RelaycertsError('lock', `the file system of ${quotePath(path)} keeps no locks: ${stderr.trim()}`, {
        hint: 'keep the project on a local disk; over NFS, the server has to run lockd',
      });
    }
  } catch (error) {
    closeSync(file);
    throw error;
  }
  closeSync(file);
  return undefined;
}

/** It returns at once, and a synchronous call takes half the time of an asynchronous child. */
async function runFlock(fd: number): Promise<{ readonly status: number | null; readonly stderr: string }> {
  // Loaded on demand, because it takes milliseconds and readers take no lock.
  const { spawnSync } = await import('node:child_process');
  const { status, stderr, error } = spawnSync('flock', ['-n', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    // It loads a dozen files of a locale otherwise.
    env: { ...process.env, LC_ALL: 'C' },
    encoding: 'utf8',
  });
  if (error === undefined) return { status, stderr };
  const hint = 'apt-get install util-linux';
  throw systemCode(error) === 'ENOENT'
    ? new RelaycertsError('tool', 'flock is missing', { hint, cause: error })
    : error;
}
