// Clients of a fleet that are right, recorded for later commands (store/known-clients.ts): when they are read, and after
// a batch is made. In the inventory they take almost no memory from then on.

import { isRight } from '../plan/drift.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import type { Settings } from '../settings/settings.js';
import { ClientRecords, isFleet, isUnwritten, stampsOf, writeKnown, type Stamps } from '../store/known-clients.js';
import { KnownHost } from '../store/known-host.js';
import { layoutOf } from '../store/layout.js';
import { readInventory } from '../store/read.js';
import { readerOf } from '../store/read-host.js';
import { hostsThatDiffer } from '../store/state-change.js';
import type { Sys } from '../sys/sys.js';

/** The state of everything the settings ask for. @throws files - what cannot be looked at at all */
export async function readProject(settings: Settings, sys: Sys): Promise<Inventory> {
  return readInventory(settings, sys, (before) => {
    const know = knowerOf(settings, before, sys.now(), sys);
    return (found, stamps) => know(found, stamps, bundlesOf(settings, before, [found]));
  });
}

/**
 * The inventory after `before`, whose bundles these are, with the clients that are right; `written`: the latest time of
 * writing.
 */
export function withMadeKnown(
  settings: Settings,
  before: Inventory,
  after: Inventory,
  { bundles, written, at }: { readonly bundles: Bundles; readonly written: number; readonly at: Date },
  sys: Sys,
): Inventory {
  if (!isFleet(settings) || after.problems.length > 0) return after;
  const layout = layoutOf(settings);
  const made = new Set(hostsThatDiffer(after, before));
  const know = knowerOf(settings, after, at, sys);
  const hosts = after.hosts.map((found) => {
    const stamps = made.has(found) ? stampsOf(layout, found.host, written) : undefined;
    return stamps === undefined ? found : know(found, stamps, bundles);
  });
  return { ...after, hosts };
}

/** Records the clients that were found right, unless all are recorded. */
export async function noteRead(settings: Settings, inventory: Inventory, sys: Sys): Promise<void> {
  if (inventory.problems.length > 0) return;
  const isNew = inventory.hosts.some((found) => found instanceof KnownHost && isUnwritten(found.known));
  if (isNew) await noteKnown(settings, inventory, sys);
}

/** Records every client that is known to be right. */
export async function noteKnown(settings: Settings, { caCertificate, hosts }: Inventory, sys: Sys): Promise<void> {
  const known = hosts.flatMap((found) => (found instanceof KnownHost ? [found.known] : []));
  await writeKnown(settings, caCertificate?.info, known, sys);
}

/** What a host is in an inventory with these CAs: known if it is a client that is right. */
function knowerOf(
  settings: Settings,
  inventory: Inventory,
  at: Date,
  sys: Sys,
): (found: HostInventory, stamps: Stamps, bundles: Bundles) => HostInventory {
  const ca = inventory.caCertificate?.info;
  if (ca === undefined) return (found) => found;
  const under = { layout: layoutOf(settings), ca, read: readerOf(settings, inventory, sys) };
  const records = new ClientRecords();
  return (found, stamps, bundles) => {
    const { host, certificate } = found;
    if (host.role !== 'smtp-client' || host.isInbound || certificate === undefined) return found;
    if (!isRight(settings, inventory, found, bundles.get(host.hostname), at)) return found;
    return new KnownHost(host, records.add(host, stamps, certificate.info), under);
  };
}
