// Temporary files that a relaycerts which died left beside the settings. Call it only while holding the lock: a
// temporary file of another process at work looks the same.

import { join } from 'node:path';
import { isTemporaryName, listFolder, removeFile } from '../host/files.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { layoutOf } from './layout.js';

/** Removes them, and nothing else, from the folders that make writes to. @throws files */
export async function sweepTemporaries(settings: Settings): Promise<void> {
  const layout = layoutOf(settings);
  const folders = [
    layout.folder,
    layout.caFolder,
    ...roles.map((role) => layout.roleFolder(role)),
    ...hostsOf(settings).map(({ hostname }) => layout.bundleFolder(hostname)),
  ];
  for (const folder of folders) {
    for (const name of await listFolder(folder)) {
      if (isTemporaryName(name)) await removeFile(join(folder, name));
    }
  }
}
