// What `deploy` prints: the visits that it will make, and what came of each host, as text and as data. What a host lacks,
// and who is next, is decided in plan/deployment.ts.

import { listSome } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import type { DeployedHost, Visit } from '../plan/deployment.js';
import { judgeInstallation } from '../plan/installed.js';

/** What came of a visit that did not do it. */
export interface Failure {
  readonly kind: 'failed';
  /** As in docs/findings.md. */
  readonly id: string;
  readonly message: string;
  readonly hint: string | undefined;
}

/** What came of a host; `unchanged`: it had it all; `waiting`: nothing was done there, because others come first. */
export interface Report {
  readonly host: HostName;
  readonly outcome: 'installed' | 'unchanged' | 'failed' | 'waiting';
  readonly failure?: Failure;
  /** What was seen to be wrong once it was installed, and stays so. */
  readonly findings?: readonly { readonly id: string; readonly message: string }[];
}

/** Of a host at which nothing is left to do. */
export function isWell({ outcome, findings = [] }: Report): boolean {
  return (outcome === 'installed' || outcome === 'unchanged') && findings.length === 0;
}

const partWords = {
  certificate: 'certificate',
  authorities: 'CA',
  table: 'pins',
  configuration: 'configuration',
} as const;
/** Visits that are listed one by one. */
const mostListed = 40;

/** What will be done, a visit a line. */
export function planText(all: readonly DeployedHost[], visits: readonly Visit[]): string {
  const hosts = new Map(all.map((host) => [host.hostname, host]));
  const lines = visits.slice(0, mostListed).map(({ hostname, files }, index) => {
    const host = hosts.get(hostname);
    const judged = host === undefined ? undefined : judgeInstallation(host.expected, host.seen);
    const differs = judged?.kind === 'differs' ? judged.parts.map((part) => partWords[part]).join(', ') : 'all of it';
    return `  ${index + 1}. ${hostname}: ${files === 'trust' ? 'CA and pins first' : differs}\n`;
  });
  const more = visits.length > mostListed ? `  and ${visits.length - mostListed} more\n` : '';
  return `to install, in this order:\n${lines.join('')}${more}`;
}

/** What came of it: counts, then what has to be done. */
export function reportText(reports: readonly Report[], isUndo: boolean): string {
  const count = (outcome: Report['outcome']): number => reports.filter((one) => one.outcome === outcome).length;
  const done = isUndo ? 'undone' : 'installed';
  const words = [
    [count('installed'), done],
    [count('unchanged'), isUndo ? 'had nothing to undo' : 'had it already'],
    [count('failed'), 'failed, and are as they were'],
    [count('waiting'), 'wait for others'],
  ] as const;
  const text = words.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`])).join(', ');
  const open = reports.filter(({ outcome }) => outcome === 'failed' || outcome === 'waiting').map(({ host }) => host);
  const rest = open.length === 0 ? '' : `not done: ${listSome(open)}\n`;
  return `${isUndo ? 'undo' : 'deploy'}: ${text}\n${rest}`;
}

/** The same as data. */
export function reportsJson(reports: readonly Report[], visits: readonly Visit[] = []): string {
  const hosts = reports.map(({ host, outcome, failure, findings = [] }) => ({
    host,
    outcome,
    failure: failure === undefined ? null : { id: failure.id, message: failure.message, hint: failure.hint ?? null },
    findings,
  }));
  const plan = visits.map(({ hostname: host, files }) => ({ host, files }));
  return writeAnswer('deploy', { plan, hosts });
}
