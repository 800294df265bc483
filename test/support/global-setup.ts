// Runs once, before all tests. A faketime that was killed leaves its semaphore and shared memory, named after its
// process, and the next one that gets that process ID ends with "sem_open: File exists".

import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const folder = '/dev/shm';

export function setup(): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const pid = /^(?:sem\.)?faketime_(?:sem|shm)_(\d+)$/u.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) rmSync(join(folder, name), { force: true });
  }
}
