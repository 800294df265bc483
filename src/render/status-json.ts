// `status` as data: a row for each certificate, how many hosts are in which state, what must be installed, and
// everything ever issued. docs/json.md describes the fields.

import { problemObject, renderHint, type Problem } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { Installation, InstalledPart } from '../plan/installed.js';
import type { IssuedCertificate } from '../plan/inventory.js';
import { issuedState, type CertificateStatus } from '../plan/status.js';
import type { BackupAge } from '../store/backup-record.js';
import { countStates } from './status.js';

interface StatusData {
  readonly program: string;
  readonly issued: readonly IssuedCertificate[];
  /** Problems and warnings. */
  readonly warnings: readonly Problem[];
  /** Undefined if there is nothing to back up. */
  readonly backup: BackupAge | undefined;
  readonly at: Date;
}

/**
 * Times are ISO 8601 in UTC; null means there is none. The CA's row lists everything ever issued, as openssl ca does in
 * its index.
 */
export function renderStatusJson(
  rows: readonly CertificateStatus[],
  { program, issued, warnings, backup, at }: StatusData,
): string {
  const certificates = rows.map(({ name, role, state, daysLeft, expires, serial, pin, why, installation }) => ({
    ...withNulls({ host: name, role, state, daysLeft, expires, serial, pin, why: why && problemText(why, program) }),
    installed: installation === undefined ? null : installation.kind === 'installed',
    seen: seenOf(installation) ?? null,
    ...(role === 'ca' ? { issued: issued.map((one) => issuedObject(one, at)) } : {}),
  }));
  // A table with a new pin has to be installed before the pin is used.
  const relaysFirst = rows.toSorted((a, b) => Number(b.role === 'smtpd-server') - Number(a.role === 'smtpd-server'));
  const install = relaysFirst.flatMap(({ name, installation }) =>
    installation === undefined || installation.kind === 'installed'
      ? []
      : [{ host: name, why: installation.kind === 'differs' ? installation.parts.map(wordOf) : ['never-seen'] }],
  );
  const counts = Object.fromEntries(countStates(rows));
  const said = warnings.map((warning) => problemObject(warning, program));
  return writeAnswer('status', { counts, certificates, install, backup: backup ?? null, warnings: said });
}

/** A problem on one line, with its cure. */
export function problemText({ message, hint }: Problem, program: string): string {
  if (hint === undefined) return message;
  const mark = typeof hint === 'string' || hint.before === undefined ? ':' : ';';
  return `${message}${mark} ${renderHint(hint, program)}`;
}

function wordOf(part: InstalledPart): string {
  return part === 'authorities' ? 'ca' : part;
}

function seenOf(installation: Installation | undefined): Date | undefined {
  return installation === undefined || installation.kind === 'never-seen' ? undefined : installation.seen;
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
