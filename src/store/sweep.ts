// Temporary files that a relaycerts which died left beside the settings. Call it only while holding the lock: a
// temporary file of another process at work looks the same.

import { join } from 'node:path';
import { isTemporaryName, listFolder, removeFile, statFile } from '../host/files.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { layoutOf } from './layout.js';

/** Removes them, and nothing else, from the folders that make writes to. `at` is now. @throws files */
export async function sweepTemporaries(settings: Settings, at: Date): Promise<void> {
  const layout = layoutOf(settings);
  const locked = [
    layout.caFolder,
    ...roles.map((role) => layout.roleFolder(role)),
    ...hostsOf(settings).map(({ hostname }) => layout.bundleFolder(hostname)),
  ];
  for (const folder of locked) {
    for (const path of await temporariesIn(folder)) await removeFile(path);
  }
  // Here others write before they have the lock (the lock itself, the wizard's settings), for a moment.
  for (const path of await temporariesIn(layout.folder)) {
    const state = await statFile(path);
    if (state !== undefined && at.getTime() - state.changed.getTime() > 3_600_000) await removeFile(path);
  }
}

async function temporariesIn(folder: string): Promise<readonly string[]> {
  return (await listFolder(folder)).filter(isTemporaryName).map((name) => join(folder, name));
}
