// What every command that changes the certificates does around its own work: settle what was cut off, look at what is
// there, refuse to touch what contradicts, and write the bundles that differ afterwards. All of it under the lock.

import type { CertificateFindingCode } from '../certificate/verify.js';
import { RelaycertsError } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import type { HostName } from '../names.js';
import type { FoundCertificate, HostInventory, Inventory } from '../plan/inventory.js';
import { mendedCaProblems } from '../plan/ca-problems.js';
import { planMake, type Bundles, type Plan } from '../plan/plan.js';
import { bundlesOf, tablesOf } from '../render/bundle.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { guardWriting } from '../store/guard-writing.js';
import { withTurn } from '../store/turn.js';
import { readInventory } from '../store/read.js';
import { settle } from '../store/settle.js';
import { sweepTemporaries } from '../store/sweep.js';
import { forgetToInstall, noteToInstall, readToInstall, type ToInstall } from '../store/to-install.js';
import { isRevokedError } from './again.js';
import { hostsBehind, writeBundles } from './apply-make.js';
import { contradiction } from './make.js';
import { findHost } from './show.js';

export interface Changed<T> {
  /** What the work returned. */
  readonly result: T;
  /** As it is afterwards. */
  readonly inventory: Inventory;
  /** What is in hosts/ now, as it should be. */
  readonly bundles: Bundles;
  /** Whose bundle was written, or was by a run that was cut off before it said so. */
  readonly written: ReadonlySet<HostName>;
  /** For when that has been said of these hosts, or of all of them: then the next run does not say it again. */
  readonly told: (hosts?: readonly HostName[]) => Promise<void>;
}

/**
 * Runs `work` on an inventory without contradictions. `mends`: what may be wrong with the CA's certificate, because the
 * work replaces it. What is urgent goes through all the same: then the contradictions are warnings, and of the bundles the
 * tables alone are written. Whatever needs the CA's passphrase opens it itself.
 */
export async function changeCertificates<T>(
  settings: Settings,
  sys: Sys,
  work: (inventory: Inventory, at: Date, untold: ToInstall) => Promise<T>,
  {
    mends = [],
    isUrgent = false,
    caStage,
  }: {
    readonly mends?: readonly CertificateFindingCode[];
    readonly isUrgent?: boolean;
    /** The stage of the CA's rekey that bundles belong to: those that are behind, and those that the work asks for. */
    readonly caStage?: (inventory: Inventory, result?: T) => ToInstall['caStage'];
  } = {},
): Promise<Changed<T>> {
  const layout = layoutOf(settings);
  await guardWriting(settings, sys);
  return withTurn(settings, sys, async () => {
    const at = sys.now();
    const planFor = (inventory: Inventory): Plan =>
      planMake(settings, inventory, bundlesOf(settings, inventory), layout.ledger.path, at, {
        recipients: { kind: 'same' },
        isGiven: true,
      });
    await settle(settings, sys, { isUrgent });
    const before = await readInventory(settings, sys);
    const mended = new Set(mendedCaProblems(settings, before, at, mends).map(({ message }) => message));
    const plan = planFor(before);
    const problems = plan.problems.filter(({ message }) => !mended.has(message));
    if (problems.length > 0 && !isUrgent) throw contradiction(problems);
    await sweepTemporaries(settings, sys, at);
    let untold = await readToInstall(settings);
    const write = async (found: Inventory, bundles: Bundles, stage: ToInstall['caStage']): Promise<void> => {
      const behind = hostsBehind(found, bundles);
      if (behind.length === 0) return;
      untold = { hosts: new Set([...untold.hosts, ...behind]), caStage: stage ?? untold.caStage };
      await noteToInstall(settings, untold).catch((error: unknown) => {
        // Words may be lost, and a revoked pin may not stay.
        if (!isUrgent || !(error instanceof RelaycertsError)) throw error;
        sys.warn(error.message, error.hint);
      });
      await writeBundles(found, bundles, sys);
    };
    // What a run that was cut off left behind: `work` may refuse, and a table must not go on listing a revoked pin.
    const isBehind = problems.length === 0 && plan.steps.every(({ kind }) => kind === 'bundle');
    if (isBehind) await write(before, bundlesOf(settings, before), caStage?.(before));
    const result = await work(before, at, untold);
    const inventory = await readInventory(settings, sys);
    const left = isUrgent ? planFor(inventory).problems : inventory.problems;
    if (left.length > 0 && !isUrgent) throw contradiction(left);
    // A relay whose certificate is missing has no other part that could be written, and its table must not stay behind.
    const whole: Bundles = left.length > 0 ? new Map() : bundlesOf(settings, inventory);
    const bundles = new Map([...tablesOf(settings, inventory), ...whole]);
    await write(inventory, bundles, caStage?.(inventory, result));
    for (const { message, hint } of left) sys.warn(message, hint);
    const noted = untold;
    const told = async (names: Iterable<HostName> = noted.hosts): Promise<void> => {
      // A stage of the CA's rekey is told by that alone.
      const stage = caStage === undefined ? undefined : noted.caStage;
      await forgetToInstall(settings, noted, { hosts: new Set(names), caStage: stage });
    };
    return { result, inventory, bundles, written: noted.hosts, told };
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
export async function certifiedHost(
  settings: Settings,
  inventory: Inventory,
  one: HostSettings,
): Promise<HostInventory> {
  const found = inventory.hosts.find(({ host }) => host.hostname === one.hostname);
  if (found?.isRevoked === true) throw await isRevokedError(settings, one);
  if (found?.certificate === undefined) throw notCertifiedError(one);
  return found;
}

/** For what needs a certificate that is there. */
export function notCertifiedError({ hostname }: HostSettings): RelaycertsError {
  return new RelaycertsError('contradiction', `there is no certificate yet for ${hostname}`, {
    hint: 'relaycerts make',
  });
}
