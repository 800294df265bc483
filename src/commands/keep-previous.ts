// The certificate before: where the certificate itself is pinned, every new one changes the pin, and the old one's stays
// listed until it is retired, as after a rekey.

import { RelaycertsError } from '../errors.js';
import { syncFolder, writeFile } from '../host/files.js';
import type { HostInventory } from '../plan/inventory.js';
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
export function assertNothingPending({ postfix }: Settings, hosts: readonly HostInventory[]): void {
  if (postfix.pin !== 'certificate') return;
  const pending = hosts.find(({ host: { role }, previous }) => role === 'smtp-client' && previous !== undefined);
  if (pending !== undefined) throw stillPending(pending.host.hostname);
}

/** The error for a host whose old pin has to be retired first. */
export function stillPending(hostname: string): RelaycertsError {
  return new RelaycertsError('contradiction', `${hostname} has an old pin that is still listed`, {
    hint: `when its new key is in use: relaycerts retire ${hostname}`,
  });
}
