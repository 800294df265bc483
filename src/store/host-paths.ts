// What is in the folders of hosts: three listings show which files and bundles exist. Names are kept by folder, because
// whole paths would take a fleet twice the memory.

import { roles } from '../settings/settings.js';
import { listFolder } from '../sys/files.js';
import type { Layout } from './layout.js';

export interface HostPaths {
  readonly has: (path: string) => boolean;
  /** Sorted. */
  readonly namesIn: (folder: string) => Iterable<string>;
}

/** @throws files */
export async function listHostPaths(layout: Layout): Promise<HostPaths> {
  const names = new Map<string, ReadonlySet<string>>();
  for (const folder of [...roles.map(layout.roleFolder), layout.hostsFolder]) {
    names.set(folder, new Set(await listFolder(folder)));
  }
  return {
    has: (path) => {
      const end = path.lastIndexOf('/');
      return names.get(path.slice(0, end))?.has(path.slice(end + 1)) === true;
    },
    namesIn: (folder) => names.get(folder) ?? [],
  };
}
