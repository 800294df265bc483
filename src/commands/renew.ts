// `relaycerts renew`: new certificates for the same keys, so that pins stay; with --rekey for new keys, and then the
// old pin stays listed beside the new one until `relaycerts retire`.

import { RelaycertsError, howMany, listSome, type Problem } from '../errors.js';
import type { Issuer } from '../issue/x509.js';
import type { HostName } from '../names.js';
import { caStageOf, renewCaArgs } from '../plan/ca-rekey.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { hostsIn } from '../plan/install.js';
import { leafDays } from '../plan/leaf-days.js';
import { CertificateStep, KeyStep } from '../plan/host-step.js';
import type { HostStep } from '../plan/plan.js';
import { outsideOf } from '../plan/reissue.js';
import { planRenewals } from '../plan/renew.js';
import { stillListed, toRetire } from '../plan/retirement.js';
import { caWarnings } from '../plan/warnings.js';
import { renderInstallation } from '../render/now-run.js';
import { renewalAnswer } from '../render/renewal.js';
import { newKeyWords } from '../render/request.js';
import { hostsOf } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';
import { warnSome } from '../sys/warn-some.js';
import { openIssuer } from './ca-key.js';
import { certifyInBatches, sayIfSlow } from './certify.js';
import { takeDkimStage } from './dkim-stage.js';
import { certifiedCa, certifiedHost, findStandingHosts } from './hosts.js';
import { changing, type CaOptions, type Work } from './run.js';

export interface RenewOptions extends CaOptions {
  /** As typed; all hosts if empty. */
  readonly hosts: readonly string[];
  /** For cron: do not list certificates that are not due. */
  readonly due: boolean;
  /** Also renew certificates that are not due. */
  readonly force: boolean;
  readonly rekey: boolean;
}

/**
 * Exit code 1 if a host could not be renewed, after all others. @throws settings, usage, contradiction, lock,
 * passphrase, tool, files
 */
export async function renew(options: RenewOptions, sys: Sys): Promise<void> {
  await changing(options, sys, async ({ commit, given, ...work }) => {
    const { settings, inventory, at } = work;
    if (options.rekey && options.hosts.length === 0) {
      throw new RelaycertsError('usage', 'name the hosts that get a new key', {
        hint: { run: ['renew', '--rekey', hostsOf(settings).at(-1)?.hostname ?? 'HOST'] },
      });
    }
    certifiedCa(inventory);
    const named = findStandingHosts(settings, options.hosts, inventory.hosts);
    const chosen =
      named.length === 0 ? allCertified(inventory, sys) : named.map((one) => certifiedHost(inventory, one));
    const { steps: due, blocked } = options.rekey ? planRekeys(work, chosen) : planDue(work, chosen, options);
    const held = new Set(warnHeld(work, chosen, due));
    const steps = due.filter(({ hostname }) => !held.has(hostname));
    const isSigning = options.due && options.hosts.length === 0 && settings.dkim !== undefined;
    const signing = isSigning ? await takeDkimStage(work, { begin: false, force: false }) : undefined;
    const start = signing === undefined ? inventory : { ...inventory, dkim: signing.dkim };
    const issuer = (): Promise<Issuer> => openIssuer(work, given);
    sayIfSlow(steps, work.sys);
    await certifyInBatches(settings, {
      steps,
      at,
      progress: work.sys.progress,
      begin: () => Promise.resolve({ after: start, issuer }),
      commit: async (certified, _, { isFirst, isPart }) =>
        commit({
          ...certified,
          entries: [
            ...(isFirst ? (signing?.entries ?? []) : []),
            ...certified.entries.map((entry) => (options.rekey ? { ...entry, event: 'rekeyed' as const } : entry)),
          ],
          done: [...(isFirst ? (signing?.done ?? []) : []), ...certified.done],
          keeps: [],
          removes: [],
          isPart,
          answer: (install) =>
            renewalAnswer(inventory, certified.after, {
              rekey: options.rekey,
              ca: null,
              install,
              retire: toRetire(certified.after, [...hostsIn(install), ...blocked]),
              next: null,
              ...(signing === undefined ? {} : { dkim: signing.answer }),
            }),
          tell: (install) => `${signing?.text ?? ''}${renderInstallation(settings, certified.after, install, blocked)}`,
        }),
    });
  });
}

/** All hosts that can be renewed, with a warning about hosts that were never made. */
function allCertified({ hosts }: Inventory, sys: Sys): readonly HostInventory[] {
  const standing = hosts.filter(({ isRevoked }) => !isRevoked);
  const missing = standing.filter(({ certificate }) => certificate === undefined);
  if (missing.length > 0) {
    const names = listSome(missing.map((found) => found.host.hostname));
    sys.warn(`there is no certificate yet for ${names}`, { run: ['make'] });
  }
  return standing.filter(({ certificate }) => certificate !== undefined);
}

/** Messages about hosts that are left as they are. */
const mostLines = 40;

interface Chosen {
  readonly steps: readonly HostStep[];
  /** Their old pin has to be retired first. */
  readonly blocked: readonly HostName[];
}

function planDue(
  work: Work,
  chosen: readonly HostInventory[],
  { force, due }: Pick<RenewOptions, 'force' | 'due'>,
): Chosen {
  const { settings, inventory, sys, at } = work;
  const { info: ca } = certifiedCa(inventory);
  const { steps, notDue, capped, blocked } = planRenewals(chosen, at, { settings, ca, force });
  // For a fleet, that would be too many lines to read.
  const isMany = notDue.length > mostLines;
  if (isMany && !due) sys.say(`${notDue.length} hosts are not due (--force renews them anyway)`);
  for (const { hostname, daysLeft } of notDue) {
    const line = `${hostname} is not due: ${howMany(daysLeft, 'day')} left (--force renews it anyway)`;
    if (due || isMany) sys.detail(line);
    else sys.say(line);
  }
  warnBlocked(work, blocked);
  if (capped.length > 0) {
    sys.warn(
      `not renewed, because the CA ends on ${ca.notAfter.toISOString().slice(0, 10)} and new certificates would end with it: ${listSome(capped)}`,
      caStageOf(inventory) === 0
        ? { run: ['renew', '--ca'], after: ', then install every host, then renew again' }
        : { run: renewCaArgs(inventory), after: ', once every host is installed' },
    );
    sys.endWith(1);
  } else if (steps.length > 0) {
    for (const { message, hint } of caWarnings(settings, inventory, at)) sys.warn(message, hint);
  }
  return { steps, blocked };
}

function planRekeys(work: Work, chosen: readonly HostInventory[]): Chosen {
  const { settings, inventory, at } = work;
  const own = chosen.find(({ request }) => request !== undefined);
  if (own !== undefined) {
    const { hostname } = own.host;
    throw new RelaycertsError('contradiction', `${hostname} makes its own key, so no other can be made here`, {
      hint: `make a new key and request there: ${newKeyWords(settings, hostname)}`,
    });
  }
  const blocked = chosen.filter(({ previous }) => previous !== undefined).map(({ host }) => host.hostname);
  warnBlocked(work, blocked);
  const { keyType } = settings.certificates;
  const validDays = leafDays(settings, inventory.caCertificate?.info, at);
  const steps = chosen
    .filter(({ previous }) => previous === undefined)
    .flatMap((found) => [new KeyStep(found, keyType), new CertificateStep(found, 'renewed', validDays)]);
  return { steps, blocked };
}

/** Those whose present names the CA may not sign for. */
function warnHeld(
  { inventory, sys }: Work,
  chosen: readonly HostInventory[],
  due: readonly HostStep[],
): readonly HostName[] {
  const names = new Set(due.map(({ hostname }) => hostname));
  const held = chosen.flatMap((found) => (names.has(found.host.hostname) ? (outsideOf(inventory, found) ?? []) : []));
  warnNotRenewed(held, sys);
  if (held.length > 0) sys.endWith(1);
  return held.map(({ hostname }) => hostname);
}

function warnBlocked({ settings, sys }: Work, blocked: readonly HostName[]): void {
  const names = new Set(blocked);
  const problems = hostsOf(settings)
    .filter(({ hostname }) => names.has(hostname))
    .map((host) => stillListed(settings, host));
  warnNotRenewed(problems, sys);
  if (blocked.length > 0) sys.endWith(1);
}

function warnNotRenewed(problems: readonly Problem[], sys: Sys): void {
  const notRenewed = problems.map(({ message, ...rest }) => ({ message: `${message}, so it is not renewed`, ...rest }));
  warnSome(notRenewed, sys);
}
