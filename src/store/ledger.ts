// The ledger, certs/ca/issued.jsonl: one JSON object a line for each certificate ever issued. Lines are only ever
// appended; a serial that stands in it may belong to a certificate that a crash kept from being stored.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { RelaycertsError, quote, quotePath } from '../errors.js';
import { appendFile, readFile, syncFolder, writeFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { writeJson } from '../json-text.js';
import type { Layout } from './layout.js';

/**
 * What happened to a certificate: `renewed` is a new one for the same key, `rekeyed` one for a new key; `retired` ends a
 * rekey (the old pin is gone), `revoked` takes a host out for good.
 */
export const ledgerEvents = ['issued', 'renewed', 'rekeyed', 'retired', 'revoked'] as const;
export type LedgerEvent = (typeof ledgerEvents)[number];

/** One line. Times are ISO 8601 in UTC; fingerprints are SHA-256. */
export interface LedgerEntry {
  readonly time: string;
  readonly event: LedgerEvent;
  readonly role: 'ca' | 'smtpd-server' | 'smtp-client';
  /** The host's FQDN; the CA's commonName for the CA. */
  readonly name: string;
  readonly serial: string;
  readonly certificateSha256: string;
  readonly publicKeySha256: string;
  /** Lower-case hexadecimal: the key of the CA that signed it. */
  readonly authorityKeyIdentifier?: string;
  readonly notBefore: string;
  readonly notAfter: string;
  /** Of a revocation. */
  readonly reason?: string;
}

/** The line for an event of a certificate. `time` is when it happened. */
export function entryOf(
  event: LedgerEvent,
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

/** Octets; a line is about 480, so this is room for over a hundred thousand certificates. */
const ledgerLimit = 64 << 20;
/** Octets; a reason of a command line (128 KiB in Linux) fits, escaped. */
const longestLine = 1 << 20;
/** A crash tears one line: a file with more that are no entry is something else. */
const mostDamaged = 1000;

/** Appends entries and makes them durable; a torn last line of a crash is ended first, so that it spoils no other. */
export async function appendLedger(layout: Layout, entries: readonly LedgerEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const { path, mode } = layout.ledger;
  const before = await readFile(path, { limit: ledgerLimit });
  const torn = before !== undefined && before.length > 0 && before.at(-1) !== 0x0a;
  const lines = entries.map((entry) => `${writeJson(entry)}\n`).join('');
  await appendFile(path, `${torn ? '\n' : ''}${lines}`, mode);
}

/** With what every line begins. */
const lineStart = '{"time":"';

/**
 * Ends a last line that is whole, and takes out what a crash has left of one, with a word. Nothing has followed it: the
 * line comes before the certificate. What is no beginning of a line of ours stays. Only while holding the lock.
 * @throws files
 */
export async function mendLedger(layout: Layout, sys: Pick<Sys, 'say'>): Promise<void> {
  const { path, mode } = layout.ledger;
  const bytes = await readFile(path, { limit: ledgerLimit });
  if (bytes === undefined || bytes.length === 0 || bytes.at(-1) === 0x0a) return;
  const start = bytes.lastIndexOf(0x0a) + 1;
  const last = bytes.subarray(start).toString('utf8');
  if (parseEntry(last) !== undefined) {
    await appendFile(path, '\n', mode);
    sys.say(`ended the last line of the ledger, which a crash had left open: ${quotePath(path)}`);
  } else if (last.startsWith(lineStart) || lineStart.startsWith(last) || /^\0+$/u.test(last)) {
    await writeFile(path, bytes.subarray(0, start), mode);
    await syncFolder(layout.caFolder);
    sys.say(`took out of the ledger what a crash had left of its last line: ${quote(last, 500)}`);
  }
}

/**
 * What the ledger holds; `damaged` counts the lines that are no entry (a torn one of a crash).
 * @throws files - cannot be read, or is no ledger at all
 */
export async function readLedger(
  layout: Layout,
): Promise<{ readonly entries: readonly LedgerEntry[]; readonly damaged: number }> {
  const bytes = await readFile(layout.ledger.path, { limit: ledgerLimit });
  const entries: LedgerEntry[] = [];
  let damaged = 0;
  let empty = 0;
  for (const line of linesOf(bytes ?? Buffer.alloc(0))) {
    const entry = line.length > longestLine ? undefined : parseEntry(line.toString('utf8'));
    if (entry !== undefined) entries.push(entry);
    else if (line.length === 0) empty += 1;
    else damaged += 1;
    if (damaged + empty > mostDamaged) {
      throw new RelaycertsError(
        'files',
        `${quotePath(layout.ledger.path)} is no ledger: ${mostDamaged} lines are none`,
        {
          hint: 'restore it from a backup',
        },
      );
    }
  }
  return { entries, damaged };
}

function* linesOf(bytes: Buffer): Generator<Buffer> {
  for (let start = 0; start < bytes.length;) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed === -1 ? bytes.length : feed;
    yield bytes.subarray(start, end);
    start = end + 1;
  }
}

/** The hosts (`ROLE FQDN`) of which the last event is their revocation; that an old pin was retired takes none back. */
export function revokedHosts(entries: readonly LedgerEntry[]): ReadonlySet<string> {
  const counting = entries.filter(({ event }) => event !== 'retired');
  const last = new Map(counting.map(({ role, name, event }) => [`${role} ${name}`, event]));
  return new Set([...last].filter(([, event]) => event === 'revoked').map(([host]) => host));
}

function parseEntry(line: string): LedgerEntry | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  return isEntry(value) ? value : undefined;
}

const textFields = ['time', 'name', 'serial', 'certificateSha256', 'publicKeySha256', 'notBefore', 'notAfter'] as const;

function isEntry(value: unknown): value is LedgerEntry {
  if (typeof value !== 'object' || value === null) return false;
  const entry = new Map<string, unknown>(Object.entries(value));
  return (
    textFields.every((field) => typeof entry.get(field) === 'string') &&
    ledgerEvents.some((event) => event === entry.get('event')) &&
    ['ca', 'smtpd-server', 'smtp-client'].some((role) => role === entry.get('role')) &&
    ['reason', 'authorityKeyIdentifier'].every((field) => ['string', 'undefined'].includes(typeof entry.get(field)))
  );
}
