// What an earlier look found out about a fleet's clients, so that ten thousand unchanged ones are not read and judged
// again by every command: for each client whose files were all right, when and where its files last changed, and what
// tables and reports need of its certificate. The file belongs to this user and is named by the CA's key; removing it
// only costs time.
//
// A file counts as unchanged if its inode, size and change time (ctime, which no program can set) are. A file that
// changed only just now is not recorded, because clocks have ticks. Other settings, another CA or other rules make the
// note void.

import { hash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import type { CertificateInfo } from '../certificate/certificate.js';
import type { Settings, SmtpClient } from '../settings/settings.js';
import { readFile, replaceFile } from '../sys/files.js';
import { isOwn } from '../sys/notes.js';
import { statIfThere } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';
import type { Layout } from './layout.js';

/** With fewer clients, reading them takes no longer than this. */
const fewest = 500;
/** Octets. */
const limit = 128 << 20;
/** The version of what is judged. Another number makes every note void. */
const rules = 2;
/** Milliseconds; the kernel's clock for files has up to 10 a tick. */
const tick = 12;

const partsOfClient = ['ca', 'certificate', 'key', 'chain'] as const;
const filesOfClient = partsOfClient.length + 2;
const valuesOfFile = 3;

// A record: digests of the client's names and of its files' stamps, two dates, two digests, the serial's length and
// octets.
const stampsAt = 16;
const datesAt = stampsAt + 16;
const digestsAt = datesAt + 16;
const serialAt = digestsAt + 64;
const recordSize = serialAt + 24;
const headerSize = 32;

type Onlooker = Pick<Sys, 'configHome' | 'uid'>;
type Client = Pick<SmtpClient, 'hostname' | 'altNames'>;

/** When and where a client's files last changed, as 16 octets of a SHA-256: no two states of the files have the same. */
export type Stamps = Buffer;

/** One client's record. */
export class KnownClient {
  /** Records of many clients. */
  readonly bytes: Buffer;
  readonly start: number;

  constructor(bytes: Buffer, start: number) {
    this.bytes = bytes;
    this.start = start;
  }

  get notBefore(): Date {
    return new Date(this.bytes.readDoubleLE(this.start + datesAt));
  }

  get notAfter(): Date {
    return new Date(this.bytes.readDoubleLE(this.start + datesAt + 8));
  }

  /** SHA-256. */
  digest(of: 'public-key' | 'certificate'): Buffer {
    const start = this.start + digestsAt + (of === 'certificate' ? 32 : 0);
    return this.bytes.subarray(start, start + 32);
  }

  get serial(): string {
    const start = this.start + serialAt;
    return this.bytes.toString('hex', start + 1, start + 1 + (this.bytes[start] ?? 0));
  }

  has(stamps: Stamps): boolean {
    return stamps.compare(this.bytes, this.start + stampsAt, this.start + datesAt) === 0;
  }
}

/** The records of one file. */
export class KnownClients {
  readonly #bytes: Buffer;
  readonly #isRight: boolean;
  #next = headerSize;
  #places: Map<string, number> | undefined;
  #digests: Set<string> | undefined;

  constructor(bytes: Buffer = Buffer.alloc(0), basis: Buffer = Buffer.alloc(0)) {
    const isWhole = bytes.length >= headerSize && (bytes.length - headerSize) % recordSize === 0;
    this.#bytes = isWhole ? bytes : Buffer.alloc(0);
    this.#isRight = isWhole && bytes.subarray(0, headerSize).equals(basis);
  }

  get count(): number {
    return this.#isRight ? (this.#bytes.length - headerSize) / recordSize : 0;
  }

  /**
   * What is known of a client; undefined if nothing is or its files have changed. Clients come in the order of the
   * file.
   */
  find(client: Client, stamps: Stamps): KnownClient | undefined {
    if (!this.#isRight) return undefined;
    const name = nameOf(client);
    if (!this.#isAt(this.#next, name)) this.#next = this.#placeOf(name);
    if (this.#next < 0) return undefined;
    const found = new KnownClient(this.#bytes, this.#next);
    this.#next += recordSize;
    return found.has(stamps) ? found : undefined;
  }

  /** True if this CA's signature on the certificate was verified before, whatever the settings were. */
  isVerified(der: Buffer): boolean {
    if (this.#bytes.length <= headerSize) return false;
    if (this.#digests === undefined) {
      this.#digests = new Set();
      for (let at = headerSize; at < this.#bytes.length; at += recordSize) {
        this.#digests.add(this.#bytes.toString('latin1', at + digestsAt + 32, at + digestsAt + 64));
      }
    }
    return this.#digests.has(hash('sha256', der, 'buffer').toString('latin1'));
  }

  #isAt(place: number, name: Buffer): boolean {
    return place >= 0 && place < this.#bytes.length && name.compare(this.#bytes, place, place + stampsAt) === 0;
  }

  #placeOf(name: Buffer): number {
    if (this.#places === undefined) {
      this.#places = new Map();
      for (let at = headerSize; at < this.#bytes.length; at += recordSize) {
        this.#places.set(this.#bytes.toString('latin1', at, at + stampsAt), at);
      }
    }
    return this.#places.get(name.toString('latin1')) ?? -1;
  }
}

/**
 * Where and when a client's files last changed; undefined if one is missing, changed only just now, or was written
 * after `written` (milliseconds).
 */
export function stampsOf(layout: Layout, { hostname }: Client, written = Infinity): Stamps | undefined {
  const before = Date.now() - tick;
  const values = new Float64Array(filesOfClient * valuesOfFile);
  const bundle = layout.bundle(hostname);
  const places = [
    layout.key('smtp-client', hostname),
    layout.certificate('smtp-client', hostname),
    ...partsOfClient.map((part) => bundle[part]),
  ];
  for (const [index, { path }] of places.entries()) {
    const found = statIfThere(path);
    if (found === undefined || !(found.ctimeMs < before && found.mtimeMs < written - tick)) return undefined;
    values.set([found.ino, found.size, found.ctimeMs], index * valuesOfFile);
  }
  return digestOf(Buffer.from(values.buffer));
}

/** Records of clients whose files are all right, many in one piece of memory. */
export class ClientRecords {
  #bytes = Buffer.alloc(0);
  #next = 0;

  /** The files were as in `stamps` before they were read, or after they were written. */
  add(client: Client, stamps: Stamps, info: CertificateInfo): KnownClient {
    if (this.#next === this.#bytes.length) {
      this.#bytes = Buffer.alloc(recordsInPiece * recordSize);
      this.#next = 0;
      unwritten.add(this.#bytes);
    }
    const start = this.#next;
    this.#next += recordSize;
    fillRecord(this.#bytes.subarray(start, this.#next), client, stamps, info);
    return new KnownClient(this.#bytes, start);
  }
}

const recordsInPiece = 250;
const unwritten = new WeakSet<Buffer>();

/** True if the record was not read from a file. */
export function isUnwritten({ bytes }: KnownClient): boolean {
  return unwritten.has(bytes);
}

function fillRecord(record: Buffer, client: Client, stamps: Stamps, info: CertificateInfo): void {
  nameOf(client).copy(record, 0);
  stamps.copy(record, stampsAt);
  record.writeDoubleLE(info.notBefore.getTime(), datesAt);
  record.writeDoubleLE(info.notAfter.getTime(), datesAt + 8);
  info.digest('public-key').copy(record, digestsAt);
  info.digest('certificate').copy(record, digestsAt + 32);
  const serial = Buffer.from(info.serial.padStart(info.serial.length + (info.serial.length % 2), '0'), 'hex');
  record[serialAt] = Math.min(serial.length, 23);
  serial.copy(record, serialAt + 1);
}

export function isFleet({ smtpClients, dkim }: Settings): boolean {
  // The files with which clients sign change with a selector, which is in none of their own files.
  if (dkim?.signAt === 'home') return false;
  return smtpClients.length >= fewest;
}

/** The notes of an earlier look under this CA. */
export function readKnown(
  settings: Settings,
  ca: CertificateInfo | undefined,
  { configHome, uid }: Onlooker,
): KnownClients {
  if (ca === undefined || !isFleet(settings)) return new KnownClients();
  try {
    // Nobody else may have written it.
    let isNote = false;
    const bytes = readFile(fileOf(ca, configHome), { limit, see: (file) => (isNote = isOwn(file, uid)) });
    return isNote ? new KnownClients(bytes, basisOf(settings, ca)) : new KnownClients();
  } catch {
    return new KnownClients();
  }
}

/** Records these clients of a fleet, in the settings' order. It fails silently: without it, only time is lost. */
export async function writeKnown(
  settings: Settings,
  ca: CertificateInfo | undefined,
  clients: readonly KnownClient[],
  { configHome }: Onlooker,
): Promise<void> {
  if (ca === undefined || clients.length < fewest) return;
  const bytes = Buffer.alloc(headerSize + clients.length * recordSize);
  basisOf(settings, ca).copy(bytes);
  for (const [index, one] of clients.entries()) {
    one.bytes.copy(bytes, headerSize + index * recordSize, one.start, one.start + recordSize);
  }
  try {
    mkdirSync(`${configHome}/relaycerts`, { recursive: true, mode: 0o700 });
    await replaceFile(fileOf(ca, configHome), bytes, 0o600);
  } catch {
    // Nobody waits for it.
  }
}

/** What the judgement depends on besides a client's own files and names. */
function basisOf({ folder, domain, subject, ca, certificates, postfix }: Settings, { der }: CertificateInfo): Buffer {
  const text = JSON.stringify([rules, folder, domain, subject, ca, certificates, postfix, der.toString('base64')]);
  return hash('sha256', text, 'buffer');
}

function nameOf({ hostname, altNames }: Client): Buffer {
  return digestOf([hostname, ...altNames].join(' '));
}

function digestOf(what: string | Buffer): Buffer {
  return hash('sha256', what, 'buffer').subarray(0, 16);
}

function fileOf({ spki }: CertificateInfo, configHome: string): string {
  return `${configHome}/relaycerts/${hash('sha256', spki).slice(0, 32)}.known`;
}
