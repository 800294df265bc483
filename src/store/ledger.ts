// The ledger, certs/ca/issued.jsonl: one JSON object per line for each certificate ever issued, retired or revoked. It
// is a log for people and reports. No decision reads it: what is revoked is in certs/revoked/.

import { hash } from 'node:crypto';
import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { writeJson } from '../json-text.js';
import type { FoundDkimKey } from '../plan/dkim.js';
import type { HostSettings } from '../settings/settings.js';
import { readInPieces } from '../sys/files.js';
import { fieldsOf, parseJson } from './json-fields.js';
import type { Layout } from './layout.js';

/** `renewed` is a new certificate for the same key, `rekeyed` one for a new key; `retired` ends a rekey. */
export const ledgerEvents = ['issued', 'renewed', 'rekeyed', 'retired', 'revoked'] as const;

const ledgerRoles = ['ca', 'smtpd-server', 'smtp-client'] as const;

/** One line. Times are ISO 8601 in UTC; fingerprints are SHA-256. */
export interface LedgerEntry {
  readonly time: string;
  readonly event: (typeof ledgerEvents)[number];
  readonly role: (typeof ledgerRoles)[number];
  /** The host's FQDN; the CA's commonName for the CA. */
  readonly name: string;
  /** Lower-case hexadecimal; used in file names. */
  readonly serial: string;
  readonly certificateSha256: string;
  readonly publicKeySha256: string;
  /** Lower-case hexadecimal: the key of the CA that signed it. */
  readonly authorityKeyIdentifier?: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** For a client with a mail program other than Postfix: how to undo it when the settings no longer name it. */
  readonly program?: string;
  /** For a revocation. */
  readonly reason?: string;
}

/** The line for an event of a certificate that happened at `time`. */
export function entryOf(
  event: LedgerEntry['event'],
  role: LedgerEntry['role'],
  name: string,
  info: CertificateInfo,
  time: Date,
): LedgerEntry {
  return {
    time: time.toISOString(),
    event,
    role,
    name,
    serial: info.serial,
    certificateSha256: fingerprintOf(info, 'certificate', 'sha256'),
    publicKeySha256: fingerprintOf(info, 'public-key', 'sha256'),
    ...(info.authorityKeyIdentifier === undefined ? {} : { authorityKeyIdentifier: info.authorityKeyIdentifier }),
    notBefore: info.notBefore.toISOString(),
    notAfter: info.notAfter.toISOString(),
  };
}

/** The line for an event of a host's certificate. */
export function hostEntry(
  event: LedgerEntry['event'],
  host: HostSettings,
  info: CertificateInfo,
  time: Date,
): LedgerEntry {
  const program = host.role === 'smtp-client' && host.program !== 'postfix' ? { program: host.program } : {};
  return { ...entryOf(event, host.role, host.hostname, info, time), ...program };
}

/** One line about a DKIM key. */
export interface DkimEntry {
  readonly time: string;
  readonly event: 'made' | 'switched' | 'retired';
  readonly role: 'dkim';
  /** The domain. */
  readonly name: string;
  readonly selector: string;
  /** Undefined if the key is gone. */
  readonly publicKeySha256?: string;
}

/** The line for an event of a DKIM key: it was made, or from now on it signs, or its record is emptied. */
export function dkimEntry(event: DkimEntry['event'], found: FoundDkimKey, time: Date): DkimEntry {
  const { domain: name, selector, key } = found;
  const pin = key === undefined ? {} : { publicKeySha256: hash('sha256', key.spki) };
  return { time: time.toISOString(), event, role: 'dkim', name, selector, ...pin };
}

/** Entries as lines of the file. */
export function renderEntries(entries: readonly (LedgerEntry | DkimEntry)[]): string {
  return entries.map((entry) => `${writeJson(entry)}\n`).join('');
}

/** Octets; a reason from a command line (128 KiB on Linux) fits, escaped. */
const longestLine = 1 << 20;
/** A file with more invalid lines than this is not a ledger. */
const mostDamaged = 1000;

export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  /** Invalid lines. */
  readonly damaged: number;
}

/** The contents of the ledger, which may be of any size. @throws files - it cannot be read, or is something else */
export function readLedger(layout: Layout): Ledger {
  const { path } = layout.ledger;
  const entries: LedgerEntry[] = [];
  let [damaged, empty] = [0, 0];
  const take = (line: Buffer): void => {
    const entry = line.length > longestLine ? undefined : parseEntry(line);
    if (entry === 'dkim') return;
    if (entry !== undefined) entries.push(sharing(entry, entries.at(-1)));
    else if (line.length === 0) empty += 1;
    else damaged += 1;
    if (damaged + empty > mostDamaged) {
      throw new RelaycertsError('files', `${quotePath(path)} is not a ledger: ${mostDamaged} lines are not entries`, {
        hint: 'restore it from a backup',
      });
    }
  };
  let rest = Buffer.alloc(0);
  readInPieces(path, (piece) => {
    const bytes = Buffer.concat([rest, piece]);
    const end = bytes.lastIndexOf(0x0a) + 1;
    for (const line of linesOf(bytes.subarray(0, end))) take(line);
    // No more of a line is needed to see that it is too long.
    rest = bytes.subarray(end, end + longestLine + 1);
  });
  if (rest.length > 0) take(rest);
  return { entries, damaged };
}

const repeated = ['time', 'role', 'authorityKeyIdentifier', 'notBefore', 'notAfter'] as const;

/** Texts that are the same as in the entry before are kept once: in a fleet's ledger that is half of them. */
function sharing(entry: LedgerEntry, before: LedgerEntry | undefined): LedgerEntry {
  for (const key of repeated) {
    const text = before?.[key];
    if (text !== undefined && text === entry[key]) Object.assign(entry, { [key]: text });
  }
  return entry;
}

function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0x0a, start);
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

/** Lines about DKIM keys are for people: no report reads them. */
function parseEntry(line: Buffer): LedgerEntry | 'dkim' | undefined {
  const value = parseJson(line);
  if (isDkimEntry(value)) return 'dkim';
  return isEntry(value) ? value : undefined;
}

const texts = ['time', 'name', 'certificateSha256', 'publicKeySha256', 'notBefore', 'notAfter'] as const;
const optionalTexts = ['authorityKeyIdentifier', 'program', 'reason'] as const;

function isDkimEntry(value: unknown): boolean {
  const given = fieldsOf(value);
  return (
    given.get('role') === 'dkim' && ['time', 'name', 'selector'].every((key) => typeof given.get(key) === 'string')
  );
}

function isEntry(value: unknown): value is LedgerEntry {
  const given = fieldsOf(value);
  const isText = (key: string): boolean => typeof given.get(key) === 'string';
  return (
    ledgerEvents.some((event) => event === given.get('event')) &&
    ledgerRoles.some((role) => role === given.get('role')) &&
    isText('serial') &&
    /^[0-9a-f]+$/u.test(String(given.get('serial'))) &&
    texts.every(isText) &&
    optionalTexts.every((key) => !given.has(key) || isText(key))
  );
}
