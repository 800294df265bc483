// From one state to another as a change on disk: what differs between two inventories is written or removed. Commands
// describe the new state; only this file decides which files follow from it, bundles included. Pure.

import { basename, dirname } from 'node:path';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import type { Bundles } from '../plan/plan.js';
import { staleFiles } from '../plan/warnings.js';
import type { Settings } from '../settings/settings.js';
import type { FileMode } from '../sys/disk.js';
import { renderSelectors } from './dkim-keys.js';
import { layoutOf, operatorKeyPlace, type Layout, type Place } from './layout.js';
import { renderEntries, type DkimEntry, type LedgerEntry } from './ledger.js';
import type { Change, FileWrite } from './transaction.js';

/** The result of a command. */
export interface Decision {
  /** The new state. The bundles in it follow from `bundles`. */
  readonly after: Inventory;
  /** Lines for the ledger. */
  readonly entries: readonly (LedgerEntry | DkimEntry)[];
  /** Other files: those put away, or kept beside their replacement. */
  readonly keeps: readonly FileWrite[];
  /** Files to remove, whatever the inventory could read of them. */
  readonly removes: readonly string[];
}

/** A file that leaves its place, as it is kept in certs/retired/. */
export function putAway(place: Place, bytes: Buffer | string): FileWrite {
  return { ...place, bytes: Buffer.from(bytes), folderMode: 0o755, isNew: false };
}

/** The change from `before` to the command's result; `bundles` are those of the new state. */
export function changeTo(
  settings: Settings,
  configHome: string,
  before: Inventory,
  { after, entries, keeps, removes }: Decision,
  bundles: Bundles,
): Change {
  const layout = layoutOf(settings);
  const old = filesOf(layout, configHome, { ...before, hosts: hostsThatDiffer(before, after) });
  const now = filesOf(layout, configHome, { ...after, hosts: hostsThatDiffer(after, before) });
  const writes = [...now].flatMap(([path, { bytes, mode }]): readonly FileWrite[] => {
    const found = old.get(path);
    if (found?.bytes.equals(bytes) === true) return [];
    const folderMode = dirname(path).startsWith(layout.certsFolder) ? 0o755 : 0o700;
    return [{ path, bytes, mode, folderMode, isNew: found === undefined }];
  });
  const gone = [...old.keys()].filter((path) => !now.has(path));
  const bundleWrites: FileWrite[] = [];
  for (const found of before.hosts) {
    const { host } = found;
    const wanted = bundles.get(host.hostname);
    if (wanted === undefined) continue;
    const stale = staleFiles(found.bundle, wanted);
    if (stale.length === 0) continue;
    const all = [...Object.values(layout.bundle(host.hostname)), ...layout.signingFiles(host)];
    const places = new Map(all.map((place) => [basename(place.path), place]));
    for (const name of stale) {
      const place = places.get(name);
      const bytes = wanted.get(name);
      if (place === undefined || bytes === undefined) throw new TypeError(`a bundle has no ${name}`);
      bundleWrites.push({ ...place, bytes, folderMode: 0o700, isNew: false });
    }
  }
  const revoked = hostsThatDiffer(after, before).filter(({ isRevoked, hasBundle }) => isRevoked && hasBundle);
  return {
    writes: [...keeps, ...writes, ...bundleWrites],
    appends: entries.length === 0 ? [] : [{ ...layout.ledger, text: renderEntries(entries) }],
    removes: [...new Set([...gone, ...removes])],
    empties: revoked.map(({ bundleFolder }) => bundleFolder),
  };
}

/** True if nothing would change. */
export function isEmpty({ writes, appends, removes, empties }: Change): boolean {
  return writes.length + appends.length + removes.length + empties.length === 0;
}

type Content = { readonly bytes: Buffer; readonly mode: FileMode };

/** The hosts of a state that differ in the other one; an identical value has identical files. */
export function hostsThatDiffer({ hosts }: Inventory, other: Inventory): readonly HostInventory[] {
  return hosts.filter((found, index) => other.hosts[index] !== found);
}

/** Every file of a state except the bundles and the ledger, by path. */
function filesOf(layout: Layout, configHome: string, state: Inventory): ReadonlyMap<string, Content> {
  const files = new Map<string, Content>();
  const add = ({ path, mode }: Place, bytes: Buffer | string | undefined): void => {
    if (bytes !== undefined) files.set(path, { bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes, mode });
  };
  add(layout.caKey, state.caKey);
  add(layout.caCertificate, state.caCertificate?.info.pem);
  add(layout.nextCaKey, state.nextCa?.key);
  add(layout.nextCaCertificate, state.nextCa?.certificate.info.pem);
  add(layout.formerCaKey, state.formerCa?.key);
  add(layout.formerCaCertificate, state.formerCa?.certificate.info.pem);
  add({ path: state.passphrasePath, mode: 0o600 }, state.passphraseFile);
  add(operatorKeyPlace(configHome), state.operatorKey);
  for (const { host, key, request, certificate, previous } of state.hosts) {
    const { role, hostname } = host;
    add(layout.key(role, hostname), key?.pem);
    add(layout.request(role, hostname), request?.info.pem);
    add(layout.certificate(role, hostname), certificate?.info.pem);
    add(layout.previous(role, hostname), previous?.info.pem);
  }
  for (const one of state.dkim) add(layout.dkimKey(one), one.key?.pem);
  if (state.dkim.length > 0) add(layout.dkimSelectors, renderSelectors(state.dkim));
  return files;
}
