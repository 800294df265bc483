// The hosts with what they should have and what they were last seen to have: what `deploy` plans with, and what a printed
// cure needs, because a host that has to wait for others cannot be installed by itself.

import { hash } from 'node:crypto';
import type { HostName } from '../names.js';
import { signerOf } from '../plan/ca-rekey.js';
import { namesToDeploy, type DeployedHost } from '../plan/deployment.js';
import { seenHostOf } from '../plan/installed.js';
import type { Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import type { NamesToDeploy } from '../render/cure.js';
import { expectedContents } from '../render/installed.js';
import type { Settings } from '../settings/settings.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';

/** Those that can be installed: not revoked, and with a certificate. */
export function deployedHosts(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles = bundlesOf(settings, inventory),
): readonly DeployedHost[] {
  const expectedOf = expectedContents(settings, inventory, bundles);
  const { hosts: seen } = readInstalled(layoutOf(settings));
  return inventory.hosts.flatMap((found) => {
    const expected = expectedOf(found);
    const leaf = found.certificate?.info;
    if (expected === undefined || leaf === undefined) return [];
    const issuer = signerOf(leaf, inventory);
    const { hostname, role } = found.host;
    return [
      {
        hostname,
        role,
        expected,
        issuer: issuer === undefined ? '' : hash('sha256', issuer.info.der),
        seen: seenHostOf(seen, found.host),
      },
    ];
  });
}

/** What a cure names to install a host, by what was last noted; read when it is first asked for. */
export function deployNames(settings: Settings, inventory: Inventory): NamesToDeploy {
  let all: readonly DeployedHost[] | undefined;
  const names = new Map<HostName, readonly HostName[]>();
  return (hostname) => {
    all ??= deployedHosts(settings, inventory);
    const known = names.get(hostname) ?? namesToDeploy(all, hostname);
    names.set(hostname, known);
    return known;
  };
}
