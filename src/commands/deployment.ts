// What a deployment works with, and its words to the user: warnings and the question before anything is done, and the
// result. What is done on which host is in deploy.ts, or in undeploy.ts for --undo.

import { listSome } from '../errors.js';
import type { HostName } from '../names.js';
import { isDone, type DeployedHost, type Visit } from '../plan/deployment.js';
import type { HostInventory, Inventory } from '../plan/inventory.js';
import { isValidAt } from '../plan/leaf-days.js';
import type { Bundles } from '../plan/plan.js';
import { reportsJson, type Report } from '../render/deployment.js';
import type { Settings } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';
import { agree } from '../sys/agree.js';
import type { GlobalOptions } from './run.js';
import type { VisitNotes } from './visit-notes.js';

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
export interface Deployment {
  readonly options: DeployOptions;
  /** With --undo, also the hosts that left them. */
  readonly settings: Settings;
  /** As they are written. */
  readonly written: Settings;
  readonly inventory: Inventory;
  readonly bundles: Bundles;
  readonly canary: HostName | undefined;
  readonly sys: Sys;
  readonly note: VisitNotes['note'];
}

/** The result as data, or in these words unless --quiet is given. */
export function tell({ options, sys }: Deployment, reports: readonly Report[], words: string): void {
  if (options.json) sys.write(reportsJson(reports));
  else if (!sys.isQuiet) sys.write(words);
}

/** Shows what will be done on which hosts, and asks; false if nothing is to be done now. */
export async function isAgreed(deployment: Deployment, visits: readonly Visit[], plan: string): Promise<boolean> {
  const { options, sys } = deployment;
  if (options.dryRun) {
    sys.write(options.json ? reportsJson([], visits) : plan);
    return false;
  }
  if (!options.json && !sys.isQuiet) sys.write(plan);
  const { hosts, undo, forceRoutes, canary } = options;
  const words = [...(undo ? ['--undo'] : []), ...(forceRoutes ? ['--force-routes'] : [])];
  const length = new Set(visits.map(({ hostname }) => hostname)).size;
  await agree(options, sys, {
    ask: `Do this on ${length === 1 ? 'this host' : `these ${length} hosts`}?`,
    deed: 'deploy changes hosts',
    unasked: { run: ['deploy', ...hosts, ...words, ...(canary === undefined ? [] : ['--canary', canary]), '--yes'] },
    declined: 'no host was changed',
  });
  return true;
}

/** Their hosts refuse them, and do not know whether it is for the clock or a renewal to fix. */
export function warnOfInvalid(hosts: readonly HostInventory[], sys: Sys): void {
  const at = sys.now();
  const invalid = hosts.flatMap(({ host, certificate }) =>
    certificate === undefined || isValidAt(certificate.info, at) ? [] : [host.hostname],
  );
  if (invalid.length === 0) return;
  sys.warn(`by this machine's clock, the certificates here are not valid now: ${listSome(invalid)}`, {
    run: ['status'],
    before: 'what to do about each:',
  });
}

/** They get what `export docker` writes. */
export function warnOfContainers(all: readonly DeployedHost[], containers: ReadonlySet<HostName>, sys: Sys): void {
  const open = all.filter((host) => containers.has(host.hostname) && !isDone(host)).map(({ hostname }) => hostname);
  const [first] = open;
  if (first === undefined) return;
  sys.warn(`deploy installs nothing in containers: ${listSome(open)}`, {
    run: ['export', 'docker', first],
    ...(open.length === 1 ? {} : { after: ', and the same for the others' }),
  });
}
