// The certificate before: where the certificate itself is pinned, every new one changes the pin, and the old one's stays
// listed until it is retired, as after a rekey.

import { RelaycertsError, type Problem } from '../errors.js';
import { syncFolder, writeFile } from '../sys/files.js';
import type { HostName } from '../names.js';
import type { HostInventory } from '../plan/inventory.js';
import { isBlocked } from '../plan/renew.js';
import { newThing } from '../plan/retirement.js';
import type { Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';

/** Keeps the certificates of these hosts that a new one is about to replace, durably. @throws contradiction, files */
export async function keepPrevious(settings: Settings, hosts: readonly HostInventory[]): Promise<void> {
  if (settings.postfix.pin !== 'certificate') return;
  assertNothingPending(settings, hosts);
  const layout = layoutOf(settings);
  for (const { host, certificate } of hosts) {
    if (host.role !== 'smtp-client' || certificate === undefined) continue;
    const { path, mode } = layout.previous(host.role, host.hostname);
    await writeFile(path, certificate.info.pem, mode);
    await syncFolder(layout.roleFolder(host.role));
  }
}

/** The table has room for one old pin of a host. @throws contradiction - one is listed already, and would be lost */
export function assertNothingPending(settings: Settings, hosts: readonly HostInventory[]): void {
  const pending = hosts.find((found) => isBlocked(found, settings));
  if (pending === undefined) return;
  const { message, hint } = stillPending(settings, pending.host.hostname);
  throw new RelaycertsError('contradiction', message, { hint });
}

/** That a host's old pin has to be retired first. */
export function stillPending(settings: Settings, hostname: HostName): Required<Problem> {
  return {
    message: `${hostname} has an old pin that is still listed`,
    hint: `when its new ${newThing(settings)} is in use: relaycerts retire ${hostname}`,
  };
}
