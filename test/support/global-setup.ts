// Runs once, before all tests. A faketime that was killed leaves its semaphore and shared memory, named after its
// process, and the next one that gets that process ID ends with "sem_open: File exists". And temporary folders are in
// memory where there is enough: on a disk, making and removing small files takes two thirds of a test's system time.

import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';

const folder = '/dev/shm';

const enough = 4 * 2 ** 30;

/** Programs can run there, as in /tmp. */
function isRoomy(): boolean {
  const [, options = 'noexec'] = / \/dev\/shm tmpfs (\S+)/u.exec(readFileSync('/proc/mounts', 'utf8')) ?? [];
  const { bavail, bsize } = statfsSync(folder);
  return !options.split(',').includes('noexec') && bavail * bsize > enough;
}

/** The workers inherit the environment. What it returns runs after all tests. */
export function setup(): (() => void) | undefined {
  if (!existsSync(folder)) return undefined;
  for (const name of readdirSync(folder)) {
    const pid = /^(?:sem\.)?faketime_(?:sem|shm)_(\d+)$/u.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(folder, name), { force: true });
  }
  if (process.env['TMPDIR'] !== undefined || !isRoomy()) return undefined;
  const temporary = mkdtempSync(join(folder, 'rc-'));
  chmodSync(temporary, 0o1777);
  process.env['TMPDIR'] = temporary;
  return () => rmSync(temporary, { recursive: true, force: true });
}
