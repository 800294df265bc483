// Which clients of a fleet are right, recorded for later commands (store/known-clients.ts): after the state is judged,
// and after a batch is made. In the inventory it returns, those clients take almost no memory.

import type { CertificateInfo } from '../certificate/certificate.js';
import { isRight } from '../plan/drift.js';
import { isKnownRight, type HostInventory, type Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import type { Settings, SmtpClient } from '../settings/settings.js';
import { isFleet, clientRecords, stampsNoted, stampsOf, writeKnown, type Stamps } from '../store/known-clients.js';
import { KnownHost } from '../store/known-host.js';
import { layoutOf } from '../store/layout.js';
import { readerOf } from '../store/read-host.js';
import { hostsThatDiffer } from '../store/state-change.js';
import type { Sys } from '../sys/sys.js';

/** Records the clients that were read and are right. */
export async function noteRead(settings: Settings, inventory: Inventory, at: Date, sys: Sys): Promise<void> {
  if (!isFleet(settings) || inventory.problems.length > 0) return;
  const read = inventory.hosts.filter((found) => stampsNoted(found) !== undefined);
  const bundles = bundlesOf(settings, inventory, read);
  const hosts = withKnown(settings, inventory, bundles, at, sys, stampsNoted);
  if (hosts !== inventory.hosts) await noteKnown(settings, { ...inventory, hosts }, sys);
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
  const stamps = (found: HostInventory) => (made.has(found) ? stampsOf(layout, found.host, written) : undefined);
  return { ...after, hosts: withKnown(settings, after, bundles, at, sys, stamps) };
}

/** Records every client that is known to be right. */
export async function noteKnown(settings: Settings, { caCertificate, hosts }: Inventory, sys: Sys): Promise<void> {
  const known = hosts.flatMap((found) => (found instanceof KnownHost ? [found.known] : []));
  await writeKnown(settings, caCertificate?.info, known, sys);
}

function withKnown(
  settings: Settings,
  inventory: Inventory,
  bundles: Bundles,
  at: Date,
  sys: Sys,
  stampsFor: (found: HostInventory) => Stamps | undefined,
): readonly HostInventory[] {
  const ca = inventory.caCertificate?.info;
  if (ca === undefined) return inventory.hosts;
  const under = { layout: layoutOf(settings), ca, read: readerOf(settings, inventory, sys) };
  const right: { found: HostInventory; client: SmtpClient; stamps: Stamps; info: CertificateInfo }[] = [];
  for (const found of inventory.hosts) {
    const { host, certificate } = found;
    if (isKnownRight(found, inventory) || host.role !== 'smtp-client' || host.isInbound || certificate === undefined)
      continue;
    const stamps = stampsFor(found);
    if (stamps === undefined || !isRight(settings, inventory, found, bundles.get(host.hostname), at)) continue;
    right.push({ found, client: host, stamps, info: certificate.info });
  }
  if (right.length === 0) return inventory.hosts;
  const records = clientRecords(right);
  const known = new Map(
    right.flatMap(({ found, client }, index) => {
      const record = records[index];
      return record === undefined ? [] : [[found, new KnownHost(client, record, under)] as const];
    }),
  );
  return inventory.hosts.map((found) => known.get(found) ?? found);
}
