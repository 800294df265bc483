// What this process must not leave behind when it is interrupted: temporary files and folders, and its lock.

import { rmSync } from 'node:fs';

/** Paths that are this process's own for the moment. */
export const leftovers = new Set<string>();

/** Removes them at once; for the way out at Ctrl-C. */
export function dropLeftovers(): void {
  for (const path of leftovers) rmSync(path, { force: true, recursive: true });
}
