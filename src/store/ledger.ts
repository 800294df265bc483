// The ledger, certs/ca/issued.jsonl: one JSON object a line for each certificate ever issued. Lines are only ever
// appended; a serial that stands in it may belong to a certificate that a crash kept from being stored.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { appendFile, readFile } from '../host/files.js';
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
    notBefore: info.notBefore.toISOString(),
    notAfter: info.notAfter.toISOString(),
  };
}

/** Octets; a line is about 480, so this is room for some hundred thousand certificates. */
const ledgerLimit = 256 << 20;

/** Appends entries and makes them durable; a torn last line of a crash is ended first, so that it spoils no other. */
export async function appendLedger(layout: Layout, entries: readonly LedgerEntry[]): Promise<void> {
  if (entries.length === 0) return;
  const { path, mode } = layout.ledger;
  const before = await readFile(path, { limit: ledgerLimit });
  const torn = before !== undefined && before.length > 0 && before.at(-1) !== 0x0a;
  const lines = entries.map((entry) => `${writeLine(entry)}\n`).join('');
  await appendFile(path, `${torn ? '\n' : ''}${lines}`, mode);
}

/** JSON without what a terminal would obey: JSON.stringify leaves C1 controls and marks of direction as they are. */
function writeLine(entry: LedgerEntry): string {
  return JSON.stringify(entry).replaceAll(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** What the ledger holds; `damaged` counts the lines that are no entry (a torn one of a crash). */
export async function readLedger(
  layout: Layout,
): Promise<{ readonly entries: readonly LedgerEntry[]; readonly damaged: number }> {
  const bytes = await readFile(layout.ledger.path, { limit: ledgerLimit });
  const lines = (bytes ?? Buffer.alloc(0))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '');
  const entries = lines.flatMap((line) => parseEntry(line) ?? []);
  return { entries, damaged: lines.length - entries.length };
}

/** The hosts (`ROLE FQDN`) of which the last event is their revocation. */
export function revokedHosts(entries: readonly LedgerEntry[]): ReadonlySet<string> {
  const last = new Map(entries.map(({ role, name, event }) => [`${role} ${name}`, event]));
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
    ['string', 'undefined'].includes(typeof entry.get('reason'))
  );
}
