// `relaycerts deploy`: does what `show` prints, over ssh or here, in the order that keeps mail flowing, and records
// what each host then has. plan/deployment.ts says who is next, deliver.ts visits one host. The project's lock is held
// throughout, so that keys do not change meanwhile; a host that fails stays as it is, and the others proceed.

import { checkFrom } from '../check/from-home.js';
import { RelaycertsError, listSome } from '../errors.js';
import type { Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import { afterVisit, allVisits, isDone, nextVisits, type Visit } from '../plan/deployment.js';
import type { HostInventory } from '../plan/inventory.js';
import { contradictionsOf } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { isWell, planText, reportText, type Report } from '../render/deployment.js';
import type { Settings } from '../settings/settings.js';
import { withFormerHosts } from '../store/former-hosts.js';
import { readInstalled } from '../store/installed.js';
import { issuedCertificates } from '../store/ledger-report.js';
import { readLedger } from '../store/ledger.js';
import { layoutOf } from '../store/layout.js';
import { readInventory } from '../store/read.js';
import { inParallel } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { deliver } from './deliver.js';
import { deployedHosts } from './deployed-hosts.js';
import { isAgreed, tell, type DeployOptions, type Deployment } from './deployment.js';
import { findHost, findHosts, foundOf, notCertifiedError, revokedError } from './hosts.js';
import { checkRelays } from './live-relays.js';
import { contradiction, locked, noteUnderLock } from './run.js';
import { undoAll } from './undeploy.js';
import { visitNotes } from './visit-notes.js';

/** Exit code 1 if a host failed or waits. @throws usage, settings, permissions, contradiction, lock, tool, files */
export async function deploy(options: DeployOptions, sys: Sys): Promise<void> {
  await locked(options.settings, sys, async (written, lock) => {
    const settings = options.undo ? await withFormerHosts(written, formerWords(options, written)) : written;
    const inventory = await readInventory(settings, sys);
    const problems = contradictionsOf(settings, inventory, sys.now());
    if (problems.length > 0 && !options.undo) throw contradiction(problems);
    const bundles = options.undo ? new Map() : bundlesOf(settings, inventory);
    const { note, end } = visitNotes((seen) => noteUnderLock(settings, sys, lock, seen));
    const canary = options.canary === undefined ? undefined : findHost(settings, options.canary).hostname;
    const deployment = { options, settings, written, inventory, bundles, canary, sys, note };
    const hosts = findHosts(settings, options.hosts);
    const revoked = hosts.find((one) => foundOf(inventory, one).isRevoked);
    if (revoked !== undefined && !options.undo) throw revokedError(revoked, inventory.revoked);
    const wanted = hosts.map(({ hostname }) => hostname);
    let reports: Awaited<ReturnType<typeof installAll>>;
    try {
      reports = await (options.undo ? undoAll : installAll)(deployment, wanted);
    } finally {
      sys.progress.end();
      await end();
    }
    if (reports === undefined) return;
    tell(deployment, reports, reportText(reports, options.undo));
    if (wanted.length > 0 && reports.some(({ outcome }) => outcome === 'waiting')) {
      sys.warn('other hosts have to be installed first', { run: ['deploy'] });
    }
    if (reports.some((one) => !isWell(one))) sys.endWith(1);
  });
}

/** The hosts to undo, named or not; those that left the settings are among them as long as they have something of ours. */
function formerWords({ hosts }: DeployOptions, settings: Settings): readonly string[] {
  return hosts.length > 0 ? hosts : [...readInstalled(layoutOf(settings)).hosts.keys()];
}

/** Findings after which an installation is rolled back. A look that could not be made says nothing about it. */
const unbearable: ReadonlySet<string> = new Set(['client-refused', 'client-bounced', 'open-relay']);

/** Looks at a host that has everything installed and waits: a relay from here, a client's way out from there. */
async function lookAt(deployment: Deployment, found: HostInventory, isAgain = false): Promise<readonly Finding[]> {
  const { settings, inventory, sys } = deployment;
  const { host } = found;
  const work = { settings, inventory, sys, at: sys.now() };
  const reports =
    host.role === 'smtpd-server' ? await checkRelays(work, [found], []) : await checkFrom(settings, host, sys);
  const errors = reports.flatMap(({ findings }) => findings).filter(({ severity }) => severity === 'error');
  // A connection that a busy relay accepts just as it reloads may wait for longer than a look does.
  return !isAgain && errors.some(({ id }) => id === 'no-greeting') ? lookAt(deployment, found, true) : errors;
}

async function installAll(deployment: Deployment, named: readonly HostName[]): Promise<readonly Report[] | undefined> {
  const { options, settings, inventory, canary, sys } = deployment;
  // A named host is visited whatever was last seen there: the script reports if there was nothing to do.
  await leaveOutNewClients(deployment, named);
  const all = deployedHosts(settings, inventory, deployment.bundles).map((host) =>
    named.includes(host.hostname) && isDone(host) ? { ...host, seen: undefined } : host,
  );
  const only = named.length === 0 ? undefined : new Set(named);
  const open = all.filter((host) => only?.has(host.hostname) !== false && !isDone(host));
  if (open.length === 0) {
    tell(deployment, [], 'nothing to deploy: every host is up to date\n');
    return undefined;
  }
  const visits = allVisits(all, only, sys.now());
  if (canary !== undefined && !visits.some(({ hostname }) => hostname === canary)) throw idleCanary(canary, options);
  if (!(await isAgreed(deployment, visits, planText(all, visits)))) return undefined;

  const state = new Map(all.map((host) => [host.hostname, host]));
  const founds = new Map(inventory.hosts.map((found) => [found.host.hostname, found]));
  const reports = new Map<HostName, Report>();
  const failed = new Set<HostName>();
  const visit = async ({ files, hostname }: Visit): Promise<void> => {
    const host = state.get(hostname);
    if (host === undefined || failures(reports) >= options.maxFailures) {
      failed.add(hostname);
      return;
    }
    const found = founds.get(hostname);
    if (found === undefined) throw new TypeError(`the inventory has no ${hostname}`);
    let findings: readonly Finding[] = [];
    const result = await deliver(
      settings,
      found,
      {
        files,
        bundle: deployment.bundles.get(hostname) ?? new Map<string, Buffer>(),
        forceRoutes: options.forceRoutes,
        at: sys.now(),
        look: async () => {
          findings = await lookAt(deployment, found);
          return findings.find((one) => unbearable.has(one.id))?.message;
        },
      },
      sys,
    );
    if (result.kind === 'failed') {
      failed.add(hostname);
      reports.set(hostname, { host: hostname, outcome: 'failed', failure: result });
      sys.warn(result.message, result.hint);
      return;
    }
    for (const text of result.warnings) sys.warn(`${hostname}: ${text}`);
    for (const { message } of findings) sys.warn(message, { run: ['check', hostname] });
    const seen = afterVisit(host, { hostname, files }, sys.now());
    state.set(hostname, { ...host, seen });
    await deployment.note(hostname, seen);
    const before = reports.get(hostname)?.outcome;
    reports.set(hostname, {
      host: hostname,
      outcome: before === 'installed' ? before : result.kind,
      findings: findings.map(({ id, message }) => ({ id, message })),
    });
    sys.say(`${hostname}: ${files === 'all' ? result.kind : `${result.kind} (CA and pins; the rest follows)`}`);
  };
  const counted = async (one: Visit): Promise<void> => {
    await visit(one);
    await sys.progress.add();
  };
  sys.progress.begin('visits', visits.length);
  for (;;) {
    const next = nextVisits([...state.values()], { failed, only });
    if (next.length === 0) break;
    const [first, rest] = withCanary(deployment, next);
    if (first !== undefined) await counted(first);
    // A failure on one host must not be repeated on all others; a host that is only unreachable proves nothing.
    if (first !== undefined && isTelling(reports.get(first.hostname))) {
      for (const { hostname } of rest) failed.add(hostname);
      continue;
    }
    await inParallel(rest, options.parallel, counted);
  }
  for (const { hostname } of open) {
    const host = state.get(hostname);
    if (host !== undefined && !isDone(host) && reports.get(hostname)?.outcome !== 'failed') {
      reports.set(hostname, { host: hostname, outcome: 'waiting' });
    }
  }
  return [...reports.values()];
}

/**
 * A client that never had a certificate holds up no other host, least of all a revocation. If one that had is missing,
 * the relays would lose its pin. @throws contradiction
 */
async function leaveOutNewClients({ settings, inventory, sys }: Deployment, named: readonly HostName[]): Promise<void> {
  const missing = inventory.hosts.filter(({ certificate, isRevoked }) => certificate === undefined && !isRevoked);
  if (missing.length === 0) return;
  const { entries } = await readLedger(layoutOf(settings));
  const known = new Set(issuedCertificates(entries, inventory).map(({ name }) => name));
  const needed = missing.filter(
    ({ host: { role, hostname } }) => role === 'smtpd-server' || known.has(hostname) || named.includes(hostname),
  );
  if (needed.length > 0) throw notCertifiedError(needed.map(({ host }) => host.hostname));
  const names = listSome(missing.map(({ host }) => host.hostname));
  sys.warn(`left out, because there is no certificate yet: ${names}`, { run: ['make'] });
}

/** Without its canary, a deployment would begin on hosts that were not meant to be first. */
function idleCanary(canary: HostName, { hosts }: DeployOptions): RelaycertsError {
  return new RelaycertsError('usage', `the canary ${canary} has nothing to install`, {
    hint: { run: ['deploy', ...hosts] },
  });
}

/** The first visit, by itself, and the others: the canary's if there is one, or one of many. */
function withCanary({ options, canary }: Deployment, visits: readonly Visit[]): [Visit | undefined, readonly Visit[]] {
  const first =
    visits.find(({ hostname }) => hostname === canary) ?? (visits.length > options.parallel ? visits[0] : undefined);
  return [first, visits.filter((visit) => visit !== first)];
}

/** False for a host that is only unreachable, which says nothing about the others. */
function isTelling(report: Report | undefined): boolean {
  const id = report?.failure?.id ?? '';
  return report?.outcome === 'failed' && !id.startsWith('ssh-') && id !== 'no-sudo';
}

function failures(reports: ReadonlyMap<HostName, Report>): number {
  return [...reports.values()].filter(({ outcome }) => outcome === 'failed').length;
}
