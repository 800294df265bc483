// What a deployment works with, and its two words to the user: the question before anything is done, and the result. What
// is done on which host is in deploy.ts, or in undeploy.ts for --undo.

import type { HostName } from '../names.js';
import type { Visit } from '../plan/deployment.js';
import type { Inventory } from '../plan/inventory.js';
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

/** Shows what will be done on which hosts, and asks if there are any; false if nothing is to be done now. */
export async function isAgreed(deployment: Deployment, visits: readonly Visit[], plan: string): Promise<boolean> {
  const { options, sys } = deployment;
  if (options.dryRun) {
    sys.write(options.json ? reportsJson([], visits) : plan);
    return false;
  }
  if (!options.json && !sys.isQuiet) sys.write(plan);
  if (visits.length === 0) return true;
  const length = new Set(visits.map(({ hostname }) => hostname)).size;
  await agree(options, sys, {
    ask: `Do this on ${length === 1 ? 'this host' : `these ${length} hosts`}?`,
    deed: 'deploy changes hosts',
    unasked: { run: ['deploy', ...options.hosts, ...(options.undo ? ['--undo'] : []), '--yes'] },
    declined: 'no host was changed',
  });
  return true;
}
