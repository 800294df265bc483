// What this process must not leave behind when it is interrupted: temporary files and folders, and its lock.

import { rmSync } from 'node:fs';

/** Paths that are this process's own for the moment. */
export const leftovers = new Set<string>();

/** Removes them at once, the oldest last, which is the lock; for the way out at Ctrl-C. */
export function dropLeftovers(): void {
  for (const path of [...leftovers].toReversed()) {
    try {
      rmSync(path, { force: true, recursive: true });
    } catch {
      // What cannot be removed now is swept away by a later run, which says why where it cannot either.
    }
  }
}
