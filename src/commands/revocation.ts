// What revoking a host takes, for the commands that do it: the lines for the ledger, the files that are put away, and
// the new state. It decides nothing, prints nothing and writes nothing.

import { parseCertificate } from '../certificate/certificate.js';
import { RelaycertsError } from '../errors.js';
import { bundleNames } from '../plan/bundle-names.js';
import { isFormer } from '../plan/former-hosts.js';
import { changeHost, type HostInventory, type Inventory } from '../plan/inventory.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { hostEntry, readLedger, type LedgerEntry } from '../store/ledger.js';
import { planRevocation } from '../store/revoked.js';
import type { Decision } from '../store/state-change.js';
import { foundOf, withHosts } from './hosts.js';
import type { Changing } from './run.js';

export interface Revocation {
  /** The host before. */
  readonly found: HostInventory;
  /** The lines of the ledger about it. */
  readonly its: readonly LedgerEntry[];
  /** The lines to append; none if there never was a certificate. */
  readonly lines: readonly LedgerEntry[];
  readonly files: Pick<Decision, 'keeps' | 'removes'>;
  readonly after: Inventory;
  /** True if it is revoked already, and none of its files are left to put away. */
  readonly isDone: boolean;
}

/** @throws files */
export async function planRevocationOf(
  { settings, named, inventory, at }: Pick<Changing, 'settings' | 'named' | 'inventory' | 'at'>,
  one: HostSettings,
): Promise<Revocation> {
  const layout = layoutOf(settings);
  const found = foundOf(inventory, one);
  const { entries: log } = readLedger(layout);
  const its = log.filter(({ role, name }) => role === one.role && name === one.hostname);
  const lines = revokedLines(one, withBundleCertificate(settings, found), its, at);
  const files = await planRevocation(layout, one, lines.at(-1)?.serial);
  const gone = { key: undefined, request: undefined, certificate: undefined, previous: undefined };
  return {
    found,
    its,
    lines,
    files,
    after: withHosts(inventory, [one.hostname], { ...gone, isRevoked: true, bundle: new Map() }),
    // A host that was made again and then lost its certificate counts as revoked, but has a key to put away.
    isDone: files.keeps.length === 0 && (found.isRevoked || (isFormer(named, one) && its.at(-1)?.event === 'revoked')),
  };
}

/** If its own files are gone, a bundle still has the certificate. */
function withBundleCertificate({ domain }: Settings, found: HostInventory): HostInventory {
  const bytes = found.bundle.get(bundleNames(domain, found.host.hostname).certificate);
  if (found.certificate !== undefined || bytes === undefined) return found;
  try {
    return changeHost(found, { certificate: { path: found.certificatePath, info: parseCertificate(bytes) } });
  } catch (error) {
    if (error instanceof RelaycertsError) return found;
    throw error;
  }
}

/** For the certificates that can be read, otherwise for the last one issued. */
function revokedLines(
  host: HostSettings,
  { previous, certificate }: HostInventory,
  log: readonly LedgerEntry[],
  at: Date,
): readonly LedgerEntry[] {
  const lines = [previous, certificate].flatMap((found) =>
    found === undefined ? [] : [hostEntry('revoked', host, found.info, at)],
  );
  const last = log.at(-1);
  if (certificate !== undefined || last === undefined) return lines;
  return [...lines, { ...last, event: 'revoked', time: at.toISOString() }];
}
