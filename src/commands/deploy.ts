// `relaycerts deploy`: does what `show` prints, over ssh or here, in the order that keeps mail flowing, and records
// what each host then has. plan/deployment.ts says who is next, deliver.ts visits one host. The project's lock is held
// throughout, so that keys do not change meanwhile; a host that fails stays as it is, and the others proceed.

import { checkFrom } from '../check/from-home.js';
import { RelaycertsError, listSome } from '../errors.js';
import type { Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import { afterVisit, allVisits, isDone, nextVisits, type Visit } from '../plan/deployment.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { contradictionsOf, type Bundles } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { isWell, planText, reportsJson, reportText, type Report } from '../render/deployment.js';
import type { Settings } from '../settings/settings.js';
import { withFormerHosts } from '../store/former-hosts.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { readInventory } from '../store/read.js';
import { inParallel } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { deliver, takeBack } from './deliver.js';
import { deployedHosts } from './deployed-hosts.js';
import { findHost, findHosts, foundOf, notCertifiedError, revokedError } from './hosts.js';
import { checkRelays } from './live-relays.js';
import { contradiction, locked, noteUnderLock, type GlobalOptions } from './run.js';
import { visitNotes, type VisitNotes } from './visit-notes.js';

export interface DeployOptions extends GlobalOptions {
  /** As typed; all if empty. */
  readonly hosts: readonly string[];
  readonly dryRun: boolean;
  readonly yes: boolean;
  readonly undo: boolean;
  readonly forceRoutes: boolean;
  /** Hosts that are visited in parallel. */
  readonly parallel: number;
  /** The host that goes first, as typed; one of each role if undefined. */
  readonly canary: string | undefined;
  /** After this many failures no further host is started. */
  readonly maxFailures: number;
}

/** What a deployment works with. */
interface Deployment {
  readonly options: DeployOptions;
  readonly settings: Settings;
  readonly inventory: Inventory;
  readonly bundles: Bundles;
  readonly canary: HostName | undefined;
  readonly sys: Sys;
  readonly note: VisitNotes['note'];
}

/** Exit code 1 if a host failed or waits. @throws usage, settings, permissions, contradiction, lock, tool, files */
export async function deploy(options: DeployOptions, sys: Sys): Promise<void> {
  await locked(options.settings, sys, async (named, lock) => {
    const settings = options.undo ? await withFormerHosts(named, formerWords(options, named)) : named;
    const inventory = await readInventory(settings, sys);
    const problems = contradictionsOf(settings, inventory, sys.now());
    if (problems.length > 0 && !options.undo) throw contradiction(problems);
    const bundles = options.undo ? new Map() : bundlesOf(settings, inventory);
    const { note, end } = visitNotes((seen) => noteUnderLock(settings, sys, lock, seen));
    const canary = options.canary === undefined ? undefined : findHost(settings, options.canary).hostname;
    const deployment = { options, settings, inventory, bundles, canary, sys, note };
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

/** The result as data, or in these words unless --quiet is given. */
function tell({ options, sys }: Deployment, reports: readonly Report[], words: string): void {
  if (options.json) sys.write(reportsJson(reports));
  else if (!sys.isQuiet) sys.write(words);
}

/** Shows what will be done on which hosts, and asks; false if nothing is to be done now. */
async function isAgreed(deployment: Deployment, visits: readonly Visit[], plan: string): Promise<boolean> {
  const { options, sys } = deployment;
  if (options.dryRun) {
    sys.write(options.json ? reportsJson([], visits) : plan);
    return false;
  }
  if (!options.json && !sys.isQuiet) sys.write(plan);
  if (options.yes) return true;
  const length = new Set(visits.map(({ hostname }) => hostname)).size;
  if (sys.interactive) {
    if (await sys.confirm(`Do this on ${length === 1 ? 'this host' : `these ${length} hosts`}?`)) return true;
    throw new RelaycertsError('interrupted', 'no host was changed');
  }
  throw new RelaycertsError('usage', 'deploy changes hosts, and there is no terminal to ask on', {
    hint: { run: ['deploy', ...options.hosts, ...(options.undo ? ['--undo'] : []), '--yes'] },
  });
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
  const { options, settings, inventory, sys } = deployment;
  // A named host is visited whatever was last seen there: the script reports if there was nothing to do.
  const standing = inventory.hosts.filter(({ isRevoked }) => !isRevoked);
  const missing = standing.filter(({ certificate }) => certificate === undefined);
  if (missing.length > 0) throw notCertifiedError(missing.map(({ host }) => host.hostname));
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
    const [canary, rest] = withCanary(deployment, next);
    if (canary !== undefined) await counted(canary);
    // A failure on one host must not be repeated on all others; a host that is only unreachable proves nothing.
    if (canary !== undefined && isTelling(reports.get(canary.hostname))) {
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
 * Clients first: mail of a client whose relays are undone waits until it bounces. So relays that are not named stay
 * while a client could not be undone.
 */
async function undoAll(deployment: Deployment, named: readonly HostName[]): Promise<readonly Report[] | undefined> {
  const { settings, inventory, options, sys, note } = deployment;
  const isWanted = (hostname: HostName): boolean => named.length === 0 || named.includes(hostname);
  const hosts = inventory.hosts.filter(({ host }) => isWanted(host.hostname));
  const visits = hosts.map(({ host: { hostname } }) => ({ hostname, files: 'all' }) as const);
  const plan = `to undo: ${listSome(visits.map(({ hostname }) => hostname))}\n`;
  if (!(await isAgreed(deployment, visits, plan))) return undefined;
  sys.progress.begin('hosts', hosts.length);
  const reports: Report[] = [];
  for (const role of ['smtp-client', 'smtpd-server'] as const) {
    const ofRole = hosts.filter(({ host }) => host.role === role);
    if (role === 'smtpd-server' && named.length === 0 && reports.some(({ outcome }) => outcome === 'failed')) {
      const names = ofRole.map(({ host: { hostname } }) => hostname);
      sys.warn('the relays stay, because a client may still need them', {
        run: ['deploy', '--undo', ...names],
        before: 'if none does:',
      });
      return [...reports, ...names.map((host) => ({ host, outcome: 'waiting' }) as const)];
    }
    await inParallel(ofRole, options.parallel, async (found) => {
      const { hostname } = found.host;
      const result = await takeBack(settings, found, sys);
      await sys.progress.add();
      if (result.kind === 'failed') {
        sys.warn(result.message, result.hint);
        reports.push({ host: hostname, outcome: 'failed', failure: result });
        return;
      }
      await note(hostname, undefined);
      for (const text of result.warnings) sys.warn(`${hostname}: ${text}`);
      reports.push({ host: hostname, outcome: result.kind });
    });
  }
  return reports;
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
