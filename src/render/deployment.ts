// What `deploy` prints: the visits it will make, and the result for each host, as text and as data. plan/deployment.ts
// decides what a host lacks, and which host is next.

import { listSome } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { HostName } from '../names.js';
import { agoText } from '../plan/ago.js';
import { isDone, type DeployedHost, type Visit } from '../plan/deployment.js';
import { judgeInstallation } from '../plan/installed.js';

/** The result of a visit that failed. */
export interface Failure {
  readonly kind: 'failed';
  /** As in docs/findings.md. */
  readonly id: string;
  readonly message: string;
  readonly hint: string | undefined;
  /** The connection broke while the new files were tried out, so it is not known which ones the host has. */
  readonly isLost?: true;
}

/**
 * The result for a host; `unchanged`: it had everything; `waiting`: nothing was done there, because others come first.
 */
export interface Report {
  readonly host: HostName;
  readonly outcome: 'installed' | 'unchanged' | 'failed' | 'waiting';
  readonly failure?: Failure;
  /** What was found wrong after the installation, and is still wrong. */
  readonly findings?: readonly { readonly id: string; readonly message: string }[];
}

export function failureCount(reports: readonly Report[]): number {
  return reports.filter(({ outcome }) => outcome === 'failed').length;
}

/** For a host with nothing left to do. */
export function isWell({ outcome, findings = [] }: Report): boolean {
  return (outcome === 'installed' || outcome === 'unchanged') && findings.length === 0;
}

const partWords = {
  certificate: 'certificate',
  authorities: 'CA',
  table: 'pins',
  configuration: 'configuration',
  dkim: 'DKIM key',
} as const;
/** The most visits that are listed one by one. */
const mostListed = 40;

/** What will be done, one visit per line, and the hosts that will wait. */
export function planText(all: readonly DeployedHost[], visits: readonly Visit[], waiting: readonly HostName[]): string {
  const hosts = new Map(all.map((host) => [host.hostname, host]));
  const lines = visits.slice(0, mostListed).map(({ hostname, files }, index) => {
    const host = hosts.get(hostname);
    const judged = host === undefined ? undefined : judgeInstallation(host.expected, host.seen);
    const differs = judged?.kind === 'differs' ? judged.parts.map((part) => partWords[part]).join(', ') : 'everything';
    return `  ${index + 1}. ${hostname}: ${files === 'trust' ? 'CA and pins first' : differs}\n`;
  });
  const more = visits.length > mostListed ? `  and ${visits.length - mostListed} more\n` : '';
  const rest = waiting.length === 0 ? '' : `waiting for other hosts: ${listSome(waiting)}\n`;
  return `to install, in this order:\n${lines.join('')}${more}${rest}`;
}

/** The result if these hosts, of `all`, have what they should have: only a look can show that one was changed there. */
export function nothingText(
  all: readonly DeployedHost[],
  these: ReadonlySet<HostName>,
  at: Date,
  look: string,
): string {
  const others = all.every(isDone) ? '' : 'other ';
  const seen = all.flatMap((host) => (these.has(host.hostname) ? (host.seen?.seen ?? []) : []));
  const oldest = seen.reduce((one, other) => (other < one ? other : one), at);
  const when = seen.length === 0 ? '' : `, as last seen ${agoText(oldest, at)}; to look again: ${look}`;
  return `nothing to deploy: every ${others}host is up to date${when}\n`;
}

/** The result: counts, then what is left to do. */
export function reportText(reports: readonly Report[], isUndo: boolean): string {
  const count = (outcome: Report['outcome']): number => reports.filter((one) => one.outcome === outcome).length;
  const lost = reports.filter(({ failure }) => failure?.isLost === true).length;
  const done = isUndo ? 'undone' : 'installed';
  const words = [
    [count('installed'), done],
    [count('unchanged'), isUndo ? 'had nothing to undo' : 'already up to date'],
    [count('failed') - lost, 'failed and left as before'],
    [lost, 'lost while it was installed'],
    [count('waiting'), 'waiting for other hosts'],
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
