// The results of a check in three forms: text, JSON, and the line of a monitoring plugin. Findings with the same cure
// are grouped, so that it is printed once.

import { howMany } from '../errors.js';
import { shorten, type Finding, type Severity } from '../findings/finding.js';
import { cureLines, type CureLine, type NamesToDeploy } from '../render/cure.js';
import type { Settings } from '../settings/settings.js';
import type { Style, Sys } from '../sys/sys.js';
import type { Report } from './report.js';

const styles: Readonly<Record<Severity, Style>> = { error: 'red', warning: 'yellow', unknown: 'cyan' };

/** With more hosts than this, what is right is only counted. */
const mostFine = 60;
/** With more findings than this, the others are only counted: what is known to be wrong is shown first. */
const mostFindings = 40;
const bySeverity: readonly Severity[] = ['error', 'warning', 'unknown'];

interface Counts extends Readonly<Record<Severity, number>> {
  readonly ok: number;
}

function countsOf(reports: readonly Report[]): Counts {
  const findings = reports.flatMap((report) => report.findings);
  const count = (severity: Severity): number => findings.filter((one) => one.severity === severity).length;
  const ok = reports.filter((report) => report.findings.length === 0).length;
  return { ok, error: count('error'), warning: count('warning'), unknown: count('unknown') };
}

/** True if something is wrong; what is not known is not. */
export function hasFault(reports: readonly Report[]): boolean {
  const { error, warning } = countsOf(reports);
  return error + warning > 0;
}

/** As text: a line for each finding with what to do below it, and a last line that sums up. */
export function renderCheck(
  settings: Settings,
  reports: readonly Report[],
  names: NamesToDeploy,
  paint: Sys['paint'],
): string {
  const counts = countsOf(reports);
  const findings = reports.flatMap((report) => report.findings);
  const shown = new Set(
    bySeverity.flatMap((severity) => findings.filter((one) => one.severity === severity)).slice(0, mostFindings),
  );
  const groups = groupsOf(
    settings,
    findings.filter((one) => shown.has(one)),
    names,
  );
  const lines = reports.flatMap((report) => {
    const name = report.host === '' ? 'here' : report.host;
    if (report.findings.length === 0)
      return counts.ok > mostFine ? [] : [`${paint('green', 'ok'.padEnd(8))} ${name}: ${shorten(report.fine)}`];
    // Below the first of those with the same cure are the others.
    return report.findings.flatMap((finding) => {
      const group = groups.get(finding);
      return group === undefined ? [] : groupLines(group, paint);
    });
  });
  const more = findings.length - shown.size;
  if (more > 0) lines.push(`${more} more findings; to see all of them, run it again with --json`);
  return `${[...lines, sumUp(counts)].join('\n')}\n`;
}

function groupLines({ members, cure }: Group, paint: Sys['paint']): readonly string[] {
  return [
    ...members.map(({ id, severity, message }) => `${paint(styles[severity], severity.padEnd(8))} ${message} [${id}]`),
    ...cure.map(({ kind, text }) => (kind === 'words' ? `         fix: ${text}` : `             ${text}`)),
  ];
}

interface Group {
  readonly members: Finding[];
  readonly cure: readonly CureLine[];
}

/** By the first finding of each. */
function groupsOf(settings: Settings, findings: readonly Finding[], names: NamesToDeploy): ReadonlyMap<Finding, Group> {
  const groups = new Map<string, Group>();
  for (const finding of findings) {
    const cure = cureLines(settings, finding, names);
    const key = cure.length === 0 ? `${groups.size}` : JSON.stringify(cure);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { members: [finding], cure });
    else group.members.push(finding);
  }
  return new Map([...groups.values()].flatMap((group) => group.members.slice(0, 1).map((first) => [first, group])));
}

function sumUp({ ok, error, warning, unknown }: Counts): string {
  const parts = [
    ...(error > 0 ? [howMany(error, 'error')] : []),
    ...(warning > 0 ? [howMany(warning, 'warning')] : []),
    ...(unknown > 0 ? [`${unknown} not known`] : []),
    `${ok} ok`,
  ];
  return parts.join(', ');
}

/** What --json adds to its envelope. */
export function checkObject(settings: Settings, reports: readonly Report[], names: NamesToDeploy): object {
  return {
    summary: countsOf(reports),
    findings: reports.flatMap(({ findings }) =>
      findings.map((finding) => ({
        id: finding.id,
        severity: finding.severity,
        host: finding.host === '' ? null : finding.host,
        message: finding.message,
        cure: cureLines(settings, finding, names),
      })),
    ),
    ok: reports.flatMap(({ host, fine, findings }) =>
      findings.length > 0 ? [] : [{ host: host === '' ? null : host, message: shorten(fine) }],
    ),
  };
}

/** For Nagios, Icinga and similar programs (Monitoring Plugins Development Guidelines). */
export function renderCheckPlugin(reports: readonly Report[]): {
  readonly line: string;
  readonly status: 0 | 1 | 2 | 3;
} {
  const counts = countsOf(reports);
  const findings = reports.flatMap((report) => report.findings);
  const told = ['error', 'warning'].flatMap((severity) => findings.filter((one) => one.severity === severity));
  const status = counts.error > 0 ? 2 : counts.warning > 0 ? 1 : counts.ok > 0 || counts.unknown === 0 ? 0 : 3;
  const what = told.length === 0 ? sumUp(counts) : told.slice(0, 5).map(({ id, host }) => `${host} ${id}`.trim());
  const more = told.length > 5 ? ` and ${told.length - 5} more` : '';
  const data = `errors=${counts.error};;0 warnings=${counts.warning};0 unknown=${counts.unknown} ok=${counts.ok}`;
  return {
    line: `RELAYCERTS ${['OK', 'WARNING', 'CRITICAL', 'UNKNOWN'][status]} - ${String(what)}${more} | ${data}\n`,
    status,
  };
}
