// What is left of hosts that the settings no longer name, or name in the other role. It only looks at names; the files'
// contents are not read.

import { join } from 'node:path';
import { findHostName } from '../names.js';
import { tableName } from '../plan/bundle-names.js';
import type { Stranger } from '../plan/inventory.js';
import { hostsOf, roles, type Role, type Settings } from '../settings/settings.js';
import { lookAt } from '../sys/files.js';
import type { HostPaths } from './host-paths.js';
import type { Layout } from './layout.js';

/** Other files are none of our business. */
export function findStrangers(
  settings: Settings,
  layout: Layout,
  { namesIn }: Pick<HostPaths, 'namesIn'>,
): readonly Stranger[] {
  const known = new Map<string, Role>(hostsOf(settings).map(({ hostname, role }) => [hostname, role]));
  const left = new Map<string, Stranger>();
  const note = (name: string, role: Role, path: string): void => {
    const nowRole = known.get(name);
    const hostname = nowRole === role ? undefined : findHostName(name);
    if (hostname === undefined) return;
    const before = left.get(`${role} ${name}`)?.paths ?? [];
    left.set(`${role} ${name}`, { hostname, role, nowRole, paths: [...before, path] });
  };
  for (const name of namesIn(layout.hostsFolder)) {
    const folder = join(layout.hostsFolder, name);
    if (known.get(name) === 'smtpd-server') continue;
    const hasTable = isThere(`${folder}/${tableName}`);
    // A client's bundle has no table; any folder may have a name like a host, and a bundle holds its host's
    // certificate.
    if ((known.has(name) && !hasTable) || !isThere(`${folder}/${name}.crt.pem`)) continue;
    if (known.has(name)) note(name, 'smtpd-server', join(folder, tableName));
    else note(name, hasTable ? 'smtpd-server' : 'smtp-client', folder);
  }
  for (const role of roles) {
    const folder = layout.roleFolder(role);
    for (const file of namesIn(folder)) {
      note(/^(.+?)(?:\.old)?\.(?:key|crt|csr)\.pem$/u.exec(file)?.[1] ?? '', role, join(folder, file));
    }
  }
  return [...left.values()];
}

function isThere(path: string): boolean {
  try {
    return lookAt(path) !== undefined;
  } catch {
    return false;
  }
}
