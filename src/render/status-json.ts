// `status` as data: a row for each certificate, how many hosts are in which state, what must be installed, and
// everything ever issued. docs/json.md describes the fields.

import { problemObject, renderHint, type Problem } from '../errors.js';
import { answerParts } from '../json-text.js';
import { oneByOne } from '../pieces.js';
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
 * its index. In pieces, because a fleet has much.
 */
export function renderStatusJson(
  rows: readonly CertificateStatus[],
  { program, issued, warnings, backup, at }: StatusData,
): Iterable<string> {
  const rowObject = ({ name, role, state, daysLeft, expires, serial, pin, why, installation }: CertificateStatus) => ({
    ...withNulls({ host: name, role, state, daysLeft, expires, serial, pin, why: why && problemText(why, program) }),
    installed: installation === undefined ? null : installation.kind === 'installed',
    seen: seenOf(installation) ?? null,
    ...(role === 'ca' ? { issued: oneByOne(issued, (one) => issuedObject(one, at)) } : {}),
  });
  // A table with a new pin has to be installed before the pin is used.
  const relaysFirst = rows.toSorted((a, b) => Number(b.role === 'smtpd-server') - Number(a.role === 'smtpd-server'));
  return answerParts('status', {
    counts: Object.fromEntries(countStates(rows)),
    certificates: oneByOne(rows, rowObject),
    install: oneByOne(relaysFirst.filter(isToInstall), ({ name, installation }) => ({
      host: name,
      why: installation?.kind === 'differs' ? installation.parts.map(wordOf) : ['never-seen'],
    })),
    backup: backup ?? null,
    warnings: warnings.map((warning) => problemObject(warning, program)),
  });
}

function isToInstall({ installation }: CertificateStatus): boolean {
  return installation !== undefined && installation.kind !== 'installed';
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
