// What every command that changes the certificates does around its own work: settle what was cut off, look at what is
// there, refuse to touch what contradicts, and write the bundles that differ afterwards. All of it under the lock.

import { RelaycertsError } from '../errors.js';
import type { Host } from '../host/host.js';
import type { FoundCertificate, HostInventory, Inventory } from '../plan/inventory.js';
import { expiredCaProblem, planMake } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { withLock } from '../store/lock.js';
import { readInventory } from '../store/read.js';
import { settleRekeys } from '../store/rekey.js';
import { settleRevocations } from '../store/revocation.js';
import { sweepTemporaries } from '../store/sweep.js';
import { writeBundles } from './apply-make.js';
import { contradiction } from './make.js';
import { findHost } from './show.js';

/** Runs `work` on an inventory without contradictions; what it returns, with the inventory of afterwards. */
export async function changeCertificates<T>(
  settings: Settings,
  host: Host,
  work: (inventory: Inventory, at: Date) => Promise<T>,
  { mayCaBeExpired = false }: { readonly mayCaBeExpired?: boolean } = {},
): Promise<{ readonly result: T; readonly inventory: Inventory }> {
  const layout = layoutOf(settings);
  return withLock(layout.lock, host, async () => {
    const at = host.now();
    await settleRevocations(settings, host);
    await settleRekeys(settings, host);
    const before = await readInventory(settings, host);
    const plan = planMake(settings, before, bundlesOf(settings, before), layout.ledger.path, at);
    const expired = mayCaBeExpired ? expiredCaProblem(settings, before, at)?.message : undefined;
    const problems = plan.problems.filter(({ message }) => message !== expired);
    if (problems.length > 0) throw contradiction(problems);
    await sweepTemporaries(settings, at);
    const result = await work(before, at);
    const inventory = await readInventory(settings, host);
    if (inventory.problems.length > 0) throw contradiction(inventory.problems);
    await writeBundles(inventory, bundlesOf(settings, inventory), host);
    return { result, inventory };
  });
}

/** The relays that have something to install: all but those that are revoked. */
export function installedRelays({ hosts }: Inventory): readonly SmtpdServer[] {
  return hosts.flatMap(({ host, isRevoked }) => (host.role === 'smtpd-server' && !isRevoked ? [host] : []));
}

/** The hosts that the words on a command line mean, each once. @throws usage */
export function findHosts(settings: Settings, names: readonly string[]): readonly HostSettings[] {
  return [...new Set(names.map((name) => findHost(settings, name)))];
}

/** The CA's certificate. @throws contradiction - there is none yet */
export function certifiedCa({ caCertificate }: Inventory): FoundCertificate {
  if (caCertificate !== undefined) return caCertificate;
  throw new RelaycertsError('contradiction', 'there is no CA yet', { hint: 'relaycerts make' });
}

/** One host's files; it must have a certificate and not be revoked. @throws contradiction */
export function certifiedHost(inventory: Inventory, one: HostSettings): HostInventory {
  const found = inventory.hosts.find(({ host }) => host.hostname === one.hostname);
  if (found?.isRevoked === true) {
    throw new RelaycertsError('contradiction', `${one.hostname} is revoked`, {
      hint: `to let it relay again, with a new key: relaycerts make --again ${one.hostname}`,
    });
  }
  if (found?.certificate === undefined) {
    throw new RelaycertsError('contradiction', `there is no certificate yet for ${one.hostname}`, {
      hint: 'relaycerts make',
    });
  }
  return found;
}
