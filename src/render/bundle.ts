// The contents of each host's bundle: its own key and certificate, the CA's certificate (two during a CA rekey), and on
// a relay the table of pins; the home of inbound has one too. A host that keeps its own key gets no key and no chain, which would contain it. The CA's
// key and other hosts' keys are never within reach here.

import type { HostName } from '../names.js';
import { bundleNames, tableName } from '../plan/bundle-names.js';
import { trustedPem } from '../plan/ca-rekey.js';
import { inboundFiles, peersName } from '../plan/inbound.js';
import { isKnownRight, type HostInventory, type Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { tunnelFiles } from '../plan/tunnel.js';
import type { Settings } from '../settings/settings.js';
import { signingFilesOf } from './dkim.js';
import { pinsOf, relayPinsOf } from './pin.js';
import { keyedFiles } from './port25.js';
import { renderPeers, renderTable } from './table.js';
import { renderTunnelKeys } from './tunnel.js';

/**
 * Only the tables, of every relay that has a bundle's folder: they can be written whatever else contradicts. A table is
 * written beside the old one and renamed over it, so the old one need not be readable.
 */
export function tablesOf(settings: Settings, inventory: Inventory): Bundles {
  const table = tableOf(settings, inventory);
  const standing = inventory.hosts.filter(({ hasBundle, isRevoked }) => hasBundle && !isRevoked);
  const relays = standing.map(({ host }) => host).filter(({ role }) => role === 'smtpd-server');
  const homes = standing.map(({ host }) => host).filter((host) => inboundFiles(host).length > 0);
  return new Map([
    ...relays.map((relay) => {
      const keys = tunnelFiles(settings, relay).map((name) => [name, tunnelKeysOf(settings, inventory)] as const);
      return [relay.hostname, new Map([[tableName, table], ...keys])] as const;
    }),
    ...homes.map(({ hostname }) => [hostname, new Map([[peersName, peersOf(settings, inventory)]])] as const),
  ]);
}

/**
 * The files of every host (of those in `only`) whose certificate, and key or request, exist, by host and file name;
 * without clients whose bundle is known to be right.
 */
export function bundlesOf(
  settings: Settings,
  inventory: Inventory,
  only: readonly HostInventory[] = inventory.hosts,
): Bundles {
  const bundles = new Map<HostName, ReadonlyMap<string, Buffer>>();
  if (inventory.caCertificate === undefined) return bundles;
  const cas = Buffer.from(trustedPem(inventory));
  for (const found of only) {
    if (isKnownRight(found, inventory)) continue;
    const { host, key, request, certificate, isRevoked } = found;
    if (isRevoked || certificate === undefined || (key === undefined && request === undefined)) continue;
    const names = bundleNames(settings.domain, host.hostname);
    const pem = Buffer.from(certificate.info.pem);
    const files = new Map<string, Buffer>([
      [names.ca, cas],
      [names.certificate, pem],
    ]);
    if (key !== undefined && request === undefined) {
      files.set(names.key, key.pem);
      files.set(names.chain, Buffer.concat([key.pem, pem]));
    }
    if (host.role === 'smtpd-server') {
      files.set(tableName, tableOf(settings, inventory));
      for (const [name, bytes] of keyedFiles(settings, inventory.dqsKey)) files.set(name, bytes);
    }
    for (const name of inboundFiles(host)) files.set(name, peersOf(settings, inventory));
    for (const name of tunnelFiles(settings, host)) files.set(name, tunnelKeysOf(settings, inventory));
    for (const [name, bytes] of signingFilesOf(settings, host, inventory.dkim)) files.set(name, bytes);
    bundles.set(host.hostname, files);
  }
  return bundles;
}

/** The relays that may send inbound mail home. */
function peersOf(settings: Settings, { hosts }: Inventory): Buffer {
  return Buffer.from(renderPeers(settings, relayPinsOf({ hosts })));
}

const tunnelKeysOf = (settings: Settings, inventory: Inventory): Buffer =>
  Buffer.from(renderTunnelKeys(settings, inventory));

/** The same for all relays, and for every call with the same hosts. */
function tableOf(settings: Settings, inventory: Inventory): Buffer {
  const { hosts } = inventory;
  const [forSettings, known] = tables.get(hosts) ?? [];
  if (known !== undefined && forSettings === settings) return known;
  const table = Buffer.from(renderTable(settings, pinsOf(settings, inventory)));
  tables.set(hosts, [settings, table]);
  return table;
}

const tables = new WeakMap<Inventory['hosts'], readonly [Settings, Buffer]>();
