// `relaycerts deploy`: does what `show` prints, over ssh or here, in the order that keeps mail flowing, and records
// what each host then has. plan/deployment.ts says who is next, deliver.ts visits one host. The project's lock is held
// throughout, so that keys do not change meanwhile; a host that fails stays as it is, and the others proceed.

import { factsFrom, judgeLook } from '../check/from-home.js';
import { RelaycertsError, commandText } from '../errors.js';
import { findingOf, type Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import {
  afterVisit,
  allVisits,
  isBehind,
  isDone,
  needsOnlyPins,
  nextVisits,
  unmadeRelay,
  withKept,
  type Visit,
} from '../plan/deployment.js';
import type { HostInventory } from '../plan/inventory.js';
import { contradictionsOf } from '../plan/plan.js';
import { bundlesOf } from '../render/bundle.js';
import { failureCount, isWell, nothingText, planText, reportText, type Report } from '../render/deployment.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { withFormerHosts } from '../store/former-hosts.js';
import { readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import { inParallel } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { deliver } from './deliver.js';
import { deployedHosts } from './deployed-hosts.js';
import { isAgreed, tell, warnOfContainers, warnOfInvalid, type DeployOptions, type Deployment } from './deployment.js';
import {
  findHost,
  findHosts,
  findNewHosts,
  findStandingHosts,
  foundOf,
  leftOutWarning,
  notCertifiedError,
  revokedError,
} from './hosts.js';
import { checkRelays } from './live-relays.js';
import { locked, noteUnderLock } from './locked.js';
import { contradiction } from './run.js';
import { undoAll } from './undeploy.js';
import { visitNotes } from './visit-notes.js';
import { readProject } from './known-clients.js';

/** Exit code 1 if a host failed or waits. @throws usage, settings, permissions, contradiction, lock, tool, files */
export async function deploy(options: DeployOptions, sys: Sys): Promise<void> {
  await locked(options.settings, sys, async (written, lock) => {
    const settings = options.undo ? await withFormerHosts(written, formerWords(options, written)) : written;
    const inventory = await readProject(settings, sys);
    const problems = contradictionsOf(settings, inventory, sys.now());
    if (problems.length > 0 && !options.undo) throw contradiction(problems);
    const bundles = options.undo ? new Map() : bundlesOf(settings, inventory);
    const { note, end } = visitNotes((seen) => noteUnderLock(settings, sys, lock, seen));
    const canary = options.canary === undefined ? undefined : findHost(settings, options.canary).hostname;
    const deployment = { options, settings, written, inventory, bundles, canary, sys, note };
    const hosts = options.undo
      ? findHosts(settings, options.hosts)
      : findStandingHosts(settings, options.hosts, inventory.hosts);
    const revoked = hosts.find((one) => foundOf(inventory, one).isRevoked);
    if (revoked !== undefined && !options.undo) throw revokedError(revoked, inventory.revoked);
    const wanted = hosts.filter(({ container }) => container === undefined).map(({ hostname }) => hostname);
    const [container] = hosts.filter((one) => one.container !== undefined);
    if (container !== undefined) {
      const error = containerError(container, options);
      if (wanted.length === 0) throw error;
      sys.warn(error.message, error.hint);
    }
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
      sys.warn('other hosts must be installed first', { run: ['deploy'] });
    }
    if (reports.some((one) => !isWell(one))) sys.endWith(1);
  });
}

/** The hosts to undo, named or not; those that left the settings are among them as long as they have something of ours. */
function formerWords({ hosts }: DeployOptions, settings: Settings): readonly string[] {
  if (hosts.length > 0) return hosts;
  const { hosts: seen } = readInstalled(layoutOf(settings));
  return [...seen].flatMap(([hostname, { container }]) => (container === undefined ? [hostname] : []));
}

function containerError({ hostname }: HostSettings, { undo }: DeployOptions): RelaycertsError {
  return new RelaycertsError('usage', `${hostname} runs in a container, where deploy installs nothing`, {
    hint: undo ? { run: ['show', hostname, '--undo'] } : { run: ['export', 'docker', hostname] },
  });
}

/** Findings after which an installation is rolled back. A look that could not be made says nothing about it. */
const unbearable: ReadonlySet<string> = new Set(['client-refused', 'client-bounced', 'open-relay', 'relay-tls-off']);

/** What may be over a moment after a reload. */
const passing: ReadonlySet<string> = new Set(['no-greeting', 'relay-tls-off']);

/** Looks at a host that has everything installed and waits: a relay from here; a client's script has looked, and printed what it saw. */
async function lookAt(deployment: Deployment, found: HostInventory, stdout: string): Promise<readonly Finding[]> {
  const { settings, inventory, sys } = deployment;
  const { host } = found;
  if (host.role === 'smtp-client') {
    return errorsIn(judgeLook(settings, host, factsFrom(host, { kind: 'ran', status: 0, stdout, stderr: '' })));
  }
  const look = async () => errorsIn(await checkRelays({ settings, inventory, sys, at: sys.now() }, [found], []));
  const errors = await look();
  // A connection that a busy relay accepts just as it reloads may wait for longer than a look does.
  return errors.some(({ id }) => passing.has(id)) ? look() : errors;
}

function errorsIn(reports: Awaited<ReturnType<typeof checkRelays>>): readonly Finding[] {
  return reports.flatMap(({ findings }) => findings).filter(({ severity }) => severity === 'error');
}

async function installAll(deployment: Deployment, named: readonly HostName[]): Promise<readonly Report[] | undefined> {
  const { options, settings, inventory, canary, sys } = deployment;
  // A named host is visited whatever was last seen there: the script reports if there was nothing to do.
  const unmade = leaveOutNewHosts(deployment, named).map(unmadeRelay);
  const noted = [...deployedHosts(settings, inventory, deployment.bundles), ...unmade];
  const all = noted.map((host) =>
    named.includes(host.hostname) && isDone(host) ? { ...host, seen: undefined } : host,
  );
  const containers = new Set(
    hostsOf(settings).flatMap(({ hostname, container }) => (container === undefined ? [] : [hostname])),
  );
  const untouched = new Set([...containers, ...unmade.map(({ hostname }) => hostname)]);
  // A host that may not be visited counts all the same, so that others wait for it.
  const touched = all.map(({ hostname }) => hostname).filter((hostname) => !untouched.has(hostname));
  const only = new Set(named.length > 0 ? named : touched);
  if (named.length === 0) warnOfContainers(all, containers, sys);
  const open = all.filter((host) => only.has(host.hostname) && !isDone(host));
  if (open.length === 0) {
    tell(deployment, [], nothingText(all, only, sys.now(), commandText(sys.program, ['check'])));
    return undefined;
  }
  const visits = allVisits(all, only, sys.now());
  if (canary !== undefined && !visits.some(({ hostname }) => hostname === canary)) throw idleCanary(canary, options);
  const reached = new Set(visits.map(({ hostname }) => hostname));
  warnOfInvalid(
    inventory.hosts.filter(({ host }) => reached.has(host.hostname)),
    sys,
  );
  const waiting = open.map(({ hostname }) => hostname).filter((hostname) => !reached.has(hostname));
  // With no visit there is nothing to ask about, and the result says what waits.
  if (reached.size > 0 && !(await isAgreed(deployment, visits, planText(all, visits, waiting)))) return undefined;

  const state = new Map(all.map((host) => [host.hostname, host]));
  const before = new Map(noted.map((host) => [host.hostname, host]));
  const founds = new Map(inventory.hosts.map((found) => [found.host.hostname, found]));
  const reports = new Map<HostName, Report>();
  const failed = new Set<HostName>();
  const visit = async ({ files, hostname }: Visit): Promise<void> => {
    const host = state.get(hostname);
    if (host === undefined || failureCount([...reports.values()]) >= options.maxFailures) {
      failed.add(hostname);
      return;
    }
    const found = founds.get(hostname);
    const known = before.get(hostname);
    if (found === undefined || known === undefined) throw new TypeError(`the inventory has no ${hostname}`);
    let findings: readonly Finding[] = [];
    const result = await deliver(
      settings,
      found,
      {
        files,
        bundle: deployment.bundles.get(hostname) ?? new Map<string, Buffer>(),
        forceRoutes: options.forceRoutes,
        at: sys.now(),
        look: async (stdout) => {
          findings = await lookAt(deployment, found, stdout);
          return findings.find((one) => unbearable.has(one.id))?.message;
        },
      },
      sys,
    );
    // Nobody accepts the certificate that is there, so nothing works that the whole bundle could stop.
    if (result.kind === 'failed' && files === 'trust' && result.id === 'expired') {
      state.set(hostname, { ...host, seen: undefined });
      return;
    }
    if (result.kind === 'failed') {
      failed.add(hostname);
      reports.set(hostname, { host: hostname, outcome: 'failed', failure: result });
      sys.warn(result.message, result.hint);
      return;
    }
    for (const text of result.warnings) sys.warn(`${hostname}: ${text}`);
    for (const { message } of findings) sys.warn(message, { run: ['check', hostname] });
    if (isBehind(known, result.kept)) {
      const limited = findingOf('key-limited', hostname);
      sys.warn(limited.message, { run: ['deploy', hostname], before: 'with an ssh key that is not limited:' });
      findings = [...findings, limited];
    }
    const has = withKept(host, result.kept, known.seen);
    const seen = afterVisit(has, { hostname, files }, sys.now());
    state.set(hostname, { ...has, seen });
    // What is not known to be right must not be taken to be.
    if (seen.configuration !== undefined) await deployment.note(hostname, seen);
    const earlier = reports.get(hostname)?.outcome;
    reports.set(hostname, {
      host: hostname,
      outcome: earlier === 'installed' ? earlier : result.kind,
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
    const hosts = next.flatMap(({ hostname }) => state.get(hostname) ?? []);
    const [isCareful, sorted] = withCanary(deployment, next, hosts.every(needsOnlyPins));
    const queue = [...sorted];
    for (let first = isCareful ? queue.shift() : undefined; first !== undefined;) {
      await counted(first);
      const report = reports.get(first.hostname);
      // A failure on one host must not be repeated on all others. If it is only unreachable, that proves nothing.
      if (isTelling(report)) for (const { hostname } of queue.splice(0)) failed.add(hostname);
      first = report?.outcome === 'failed' ? queue.shift() : undefined;
    }
    await inParallel(queue, options.parallel, counted);
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
 * New hosts are left out unless they are named; any relay without a certificate is if only other relays are named, as
 * after a revocation. Returns the relays among them. @throws contradiction - another host has no certificate
 */
function leaveOutNewHosts({ settings, inventory, sys }: Deployment, named: readonly HostName[]): readonly HostName[] {
  const missing = inventory.hosts.filter(({ certificate, isRevoked }) => certificate === undefined && !isRevoked);
  if (missing.length === 0) return [];
  const added = findNewHosts(settings, missing);
  const relays = new Set<HostName>(settings.smtpdServers.map(({ hostname }) => hostname));
  const isForRelays = named.length > 0 && named.every((hostname) => relays.has(hostname));
  const isLeftOut = (hostname: HostName): boolean =>
    !named.includes(hostname) && (added.has(hostname) || (isForRelays && relays.has(hostname)));
  const names = missing.map(({ host }) => host.hostname);
  const needed = names.filter((hostname) => !isLeftOut(hostname));
  if (needed.length > 0) throw notCertifiedError(needed);
  const { message, hint } = leftOutWarning(names);
  sys.warn(message, hint);
  return names.filter((hostname) => relays.has(hostname));
}

/** Without its canary, a deployment would begin on hosts that were not meant to be first. */
function idleCanary(canary: HostName, { hosts }: DeployOptions): RelaycertsError {
  return new RelaycertsError('usage', `the canary ${canary} has nothing to install`, {
    hint: { run: ['deploy', ...hosts] },
  });
}

/** True if the first goes by itself, and the visits: the canary's first, or any of many if they bring more than pins. */
function withCanary(
  { options, canary }: Deployment,
  visits: readonly Visit[],
  onlyPins: boolean,
): [boolean, readonly Visit[]] {
  const first = visits.filter(({ hostname }) => hostname === canary);
  const isCareful = first.length > 0 || (visits.length > options.parallel && !onlyPins);
  return [isCareful, [...first, ...visits.filter((visit) => !first.includes(visit))]];
}

/** False for a host that is only unreachable, which says nothing about the others; one that is lost may be down. */
function isTelling(report: Report | undefined): boolean {
  const { id = '', isLost = false } = report?.failure ?? {};
  return report?.outcome === 'failed' && (isLost || (!id.startsWith('ssh-') && id !== 'no-sudo'));
}
