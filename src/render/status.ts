// `status` in its three forms: a table for eyes, JSON, and the line of a monitoring plugin. What the states are and when
// they hold is in plan/status.ts.

import type { Problem } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { IssuedCertificate } from '../plan/inventory.js';
import { issuedState, states, type CertificateStatus, type State } from '../plan/status.js';

/** Columns padded with spaces; the pin last, whole. */
export function renderStatusTable(rows: readonly CertificateStatus[]): string {
  const header = ['HOST', 'ROLE', 'STATE', 'DAYS', 'EXPIRES', 'SERIAL', 'PIN'];
  const cells = rows.map(({ name, role, state, daysLeft, expires, serial, pin }) => [
    name,
    role,
    state,
    daysLeft === undefined ? '-' : String(daysLeft),
    expires?.toISOString().slice(0, 10) ?? '-',
    serial ?? '-',
    pin ?? '-',
  ]);
  const widths = header.map((word, at) => Math.max(word.length, ...cells.map((row) => row[at]?.length ?? 0)));
  const lines = [header, ...cells].map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return `${lines.join('\n')}\n`;
}

/**
 * One object for each certificate; times are ISO 8601 in UTC, what there is none of is null. The CA's has everything that was ever
 * issued, as openssl ca keeps it in its index.
 */
export function renderStatusJson(
  rows: readonly CertificateStatus[],
  issued: readonly IssuedCertificate[],
  at: Date,
): string {
  const objects = rows.map(({ name, role, state, daysLeft, expires, serial, pin, why }) => ({
    ...withNulls({ host: name, role, state, daysLeft, expires, serial, pin, why }),
    ...(role === 'ca' ? { issued: issued.map((one) => issuedObject(one, at)) } : {}),
  }));
  return writeAnswer('status', { certificates: objects });
}

function issuedObject(one: IssuedCertificate, at: Date): object {
  return withNulls({
    serial: one.serial,
    host: one.name,
    role: one.role,
    state: issuedState(one, at),
    issued: one.issuedAt,
    expires: one.notAfter,
    retired: one.retiredAt,
    revoked: one.revokedAt,
    reason: one.reason,
    certificateSha256: one.certificateSha256,
    publicKeySha256: one.publicKeySha256,
    authorityKeyIdentifier: one.authorityKeyIdentifier,
  });
}

function withNulls(object: object): object {
  return Object.fromEntries(Object.entries(object).map(([key, value]: [string, unknown]) => [key, value ?? null]));
}

export interface PluginResult {
  /** One line: the verdict, and the days left of each certificate as performance data. */
  readonly line: string;
  /** The Monitoring Plugins' codes: 0 OK, 1 WARNING, 2 CRITICAL. */
  readonly status: 0 | 1 | 2;
}

/** What Nagios, Icinga and their like take (Monitoring Plugins Development Guidelines). */
export function renderPlugin(
  all: readonly CertificateStatus[],
  problems: readonly Problem[],
  warnings: readonly Problem[],
  { warnDays, criticalDays }: { readonly warnDays: number; readonly criticalDays: number },
): PluginResult {
  // What is wrong with the passphrase is among the warnings: no mail waits for it.
  const rows = all.filter(({ role }) => role !== 'passphrase');
  const critical = rows.filter((row) => isCritical(row, criticalDays));
  const others = rows.filter((row) => needsCare(row) && !isCritical(row, criticalDays));
  const status = critical.length > 0 || problems.length > 0 ? 2 : others.length > 0 || warnings.length > 0 ? 1 : 0;
  const next = rows
    .filter(({ daysLeft }) => daysLeft !== undefined)
    .toSorted((a, b) => (a.daysLeft ?? 0) - (b.daysLeft ?? 0))[0];
  const told = [
    ...[...critical, ...others].slice(0, 5).map(describe),
    ...warnings.slice(0, 5).map(({ message }) => message.replaceAll('|', ' ')),
  ];
  const what =
    problems[0] !== undefined
      ? problems[0].message.replaceAll('|', ' ')
      : told.length > 0
        ? told.join(', ')
        : `${rows.length} certificates, the next expires in ${next?.daysLeft ?? 0} days (${next?.name ?? 'none'})`;
  const data = rows.flatMap(({ name, daysLeft }) =>
    daysLeft === undefined ? [] : [`'${name.replaceAll(/['=|]/gu, '_')}'=${daysLeft};${warnDays}:;${criticalDays}:`],
  );
  return { line: `RELAYCERTS ${['OK', 'WARNING', 'CRITICAL'][status]} - ${what} | ${data.join(' ')}\n`, status };
}

/** Critical however many days are left. */
const urgent: readonly State[] = ['expired', 'not-yet-valid', 'mismatched', 'missing'];

/** True also of what is ok otherwise, for --critical may be above --warn; a revoked host's days do not count. */
function isCritical({ state, daysLeft }: CertificateStatus, criticalDays: number): boolean {
  if (state === 'revoked') return false;
  return urgent.includes(state) || (daysLeft ?? criticalDays) < criticalDays;
}

function describe({ name, state, daysLeft }: CertificateStatus): string {
  if (daysLeft === undefined) return `${name} ${state}`;
  return state === 'ok' ? `${name} expires in ${daysLeft} days` : `${name} ${state} (${daysLeft} days)`;
}

/** True where somebody should look: everything but ok and revoked. */
export function needsCare({ state }: CertificateStatus): boolean {
  return states.indexOf(state) < states.indexOf('revoked');
}
