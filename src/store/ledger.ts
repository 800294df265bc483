// The ledger, certs/ca/issued.jsonl: one JSON object a line for each certificate that was ever issued, retired or revoked.
// It is a log for people and reports. No decision reads it: what is revoked is in certs/revoked/.

import * as z from 'zod/mini';
import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { writeJson } from '../json-text.js';
import { readFile } from '../sys/files.js';
import type { Layout } from './layout.js';

/** `renewed` is a new certificate for the same key, `rekeyed` one for a new key; `retired` ends a rekey. */
export const ledgerEvents = ['issued', 'renewed', 'rekeyed', 'retired', 'revoked'] as const;

/** One line. Times are ISO 8601 in UTC; fingerprints are SHA-256. */
const entrySchema = z.object({
  time: z.string(),
  event: z.enum(ledgerEvents),
  role: z.enum(['ca', 'smtpd-server', 'smtp-client']),
  /** The host's FQDN; the CA's commonName for the CA. */
  name: z.string(),
  /** It names files. */
  serial: z.string().check(z.regex(/^[0-9a-f]+$/u)),
  certificateSha256: z.string(),
  publicKeySha256: z.string(),
  /** Lower-case hexadecimal: the key of the CA that signed it. */
  authorityKeyIdentifier: z.exactOptional(z.string()),
  notBefore: z.string(),
  notAfter: z.string(),
  /** Of a revocation. */
  reason: z.exactOptional(z.string()),
});
export type LedgerEntry = Readonly<z.infer<typeof entrySchema>>;

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

/** Entries as lines of the file. */
export function renderEntries(entries: readonly LedgerEntry[]): string {
  return entries.map((entry) => `${writeJson(entry)}\n`).join('');
}

/** Octets; a line has about 480, so this is room for over a hundred thousand certificates. */
const ledgerLimit = 64 << 20;
/** Octets; a reason from a command line (128 KiB on Linux) fits, escaped. */
const longestLine = 1 << 20;
/** A file with more lines that are not entries is something else. */
const mostDamaged = 1000;

export interface Ledger {
  readonly entries: readonly LedgerEntry[];
  /** Lines that are not entries. */
  readonly damaged: number;
}

/** What the ledger holds. @throws files - it cannot be read, or is something else */
export async function readLedger(layout: Layout): Promise<Ledger> {
  const { path } = layout.ledger;
  const entries: LedgerEntry[] = [];
  let [damaged, empty] = [0, 0];
  for (const line of linesOf((await readFile(path, { limit: ledgerLimit })) ?? Buffer.alloc(0))) {
    const entry = line.length > longestLine ? undefined : parseEntry(line.toString('utf8'));
    if (entry !== undefined) entries.push(entry);
    else if (line.length === 0) empty += 1;
    else damaged += 1;
    if (damaged + empty > mostDamaged) {
      throw new RelaycertsError('files', `${quotePath(path)} is not a ledger: ${mostDamaged} lines are not entries`, {
        hint: 'restore it from a backup',
      });
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

function parseEntry(line: string): LedgerEntry | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
