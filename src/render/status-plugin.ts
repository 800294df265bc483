// `status --format nagios`: one line and an exit code, as Nagios, Icinga and similar programs expect from a plugin
// (Monitoring Plugins Development Guidelines). The line has a maximum length, however many hosts there are.

import { howMany, listSome, type Problem } from '../errors.js';
import { needsCare, type CertificateStatus } from '../plan/status.js';
import type { State } from '../plan/states.js';
import { countStates } from './status.js';

export interface PluginResult {
  /** One line: the verdict, and the days left of each certificate as performance data. */
  readonly line: string;
  /** The Monitoring Plugins' codes: 0 OK, 1 WARNING, 2 CRITICAL. */
  readonly status: 0 | 1 | 2;
}

interface Limits {
  readonly warnDays: number;
  readonly criticalDays: number;
}

export function renderPlugin(
  all: readonly CertificateStatus[],
  problems: readonly Problem[],
  warnings: readonly Problem[],
  limits: Limits,
): PluginResult {
  // Problems with the passphrase are among the warnings: no mail waits for it.
  const rows = all.filter(({ role }) => role !== 'passphrase');
  const critical = rows.filter((row) => isCritical(row, limits.criticalDays));
  const others = rows.filter((row) => needsCare(row) && !isCritical(row, limits.criticalDays));
  const status = critical.length > 0 || problems.length > 0 ? 2 : others.length > 0 || warnings.length > 0 ? 1 : 0;
  const next = nextToExpire(rows);
  const inCare = [...critical, ...others];
  const told = [
    ...(inCare.length === 0 ? [] : [listSome(inCare.map(describe))]),
    ...warnings.slice(0, 5).map(({ message }) => message),
  ];
  const what =
    problems[0] !== undefined
      ? problems[0].message
      : told.length > 0
        ? told.join(', ')
        : `${howMany(rows.length, 'certificate')}, the next expires in ${howMany(next?.daysLeft ?? 0, 'day')} (${next?.name ?? 'none'})`;
  const words = ['OK', 'WARNING', 'CRITICAL'][status];
  // A bar begins the performance data, and a CA's name may have one.
  return { line: `RELAYCERTS ${words} - ${what.replaceAll('|', ' ')} | ${performanceData(rows, limits)}\n`, status };
}

/** Days left, one value for each certificate; a monitor keeps a history of each, so a fleet has only its lowest one. */
function performanceData(rows: readonly CertificateStatus[], { warnDays, criticalDays }: Limits): string {
  const borders = `${warnDays}:;${criticalDays}:`;
  if (rows.length <= mostValues) {
    const known = rows.filter(({ daysLeft }) => daysLeft !== undefined);
    return known.map(({ name, daysLeft }) => `'${name.replaceAll(/['=|]/gu, '_')}'=${daysLeft};${borders}`).join(' ');
  }
  const next = nextToExpire(rows);
  const counts = [...countStates(rows)].map(([state, count]) => `'${state}'=${count}`);
  return [...(next === undefined ? [] : [`'days'=${next.daysLeft};${borders}`]), ...counts].join(' ');
}

const mostValues = 50;

function nextToExpire(rows: readonly CertificateStatus[]): CertificateStatus | undefined {
  let next: CertificateStatus | undefined;
  for (const row of rows) {
    if (row.daysLeft !== undefined && row.daysLeft < (next?.daysLeft ?? Infinity)) next = row;
  }
  return next;
}

/** Critical, however many days are left. */
const urgent: readonly State[] = ['expired', 'not-yet-valid', 'mismatched', 'missing'];

/** Also true if it is otherwise ok, because --critical may be above --warn; a revoked host's days do not count. */
function isCritical({ state, daysLeft }: CertificateStatus, criticalDays: number): boolean {
  if (state === 'revoked') return false;
  return urgent.includes(state) || (daysLeft ?? criticalDays) < criticalDays;
}

function describe({ name, state, daysLeft }: CertificateStatus): string {
  if (daysLeft === undefined) return `${name} ${state}`;
  return state === 'ok'
    ? `${name} expires in ${howMany(daysLeft, 'day')}`
    : `${name} ${state} (${howMany(daysLeft, 'day')})`;
}
