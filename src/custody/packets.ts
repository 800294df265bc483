// OpenPGP framing (RFC 9580 4.2 and 6.2): removes armor, splits packets, reads key IDs from session key packets and
// computes them for public keys. That is enough to say what a file is and to whom it is encrypted. It decrypts nothing,
// checks no signature and never throws: anything it cannot follow is reported as a flaw.

import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';

/** RFC 9580 5, table 3: the packet types that identify a file. */
export const packetTag = {
  publicKeySession: 1,
  signature: 2,
  passwordSession: 3,
  onePassSignature: 4,
  secretKey: 5,
  publicKey: 6,
  compressed: 8,
  encrypted: 9,
  literal: 11,
  publicSubkey: 14,
  encryptedProtected: 18,
  encryptedAead: 20,
} as const;

export interface Packet {
  readonly tag: number;
  readonly body: Uint8Array;
}

/** `flaw` is set if the bytes end inside a packet, a packet does not start as it must, or there are over 1000. */
export interface PacketSequence {
  readonly packets: readonly Packet[];
  readonly flaw: 'truncated' | 'not-a-packet' | 'too-many' | undefined;
}

/** A key without other people's signatures has a dozen; each self-signature costs a public-key operation. */
export const mostPackets = 1000;

export interface ArmorBlock {
  /** The words after `BEGIN PGP`: `MESSAGE`, `PUBLIC KEY BLOCK`... */
  readonly type: string;
  /** The binary packets; undefined if the block does not end or is not base64. */
  readonly bytes: Uint8Array | undefined;
}

/** One public key by its IDs. */
export interface KeyIds {
  /** The primary key's, upper-case hex. */
  readonly fingerprint: string;
  /** 16 upper-case hex digits each: the primary key's and all subkeys'. */
  readonly keyIds: readonly string[];
}

/** Tells text from binary OpenPGP: no OpenPGP packet that a file can start with is valid UTF-8 without controls. */
export function isText(bytes: Uint8Array): boolean {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  return isUtf8(bytes) && !/[\u0000-\u0008\u000e-\u001f]/u.test(Buffer.from(bytes).toString('latin1'));
}

/**
 * The armored blocks in a file, in order; none if it is not armored. The optional checksum is ignored. A block without
 * an end is the last one: each end is searched for once, so the time stays proportional to the file's length.
 * @source RFC 9580 6.2
 */
export function readArmor(bytes: Uint8Array): readonly ArmorBlock[] {
  const text = Buffer.from(bytes).toString('latin1').replaceAll('\r\n', '\n');
  const blockStart = /^(?:\u00ef\u00bb\u00bf)?-----BEGIN PGP ([A-Z ]{1,64})-----[ \t]*$/gmu;
  const blocks: ArmorBlock[] = [];
  for (let begin = blockStart.exec(text); begin !== null; begin = blockStart.exec(text)) {
    const type = begin[1] ?? '';
    const end = text.indexOf(`\n-----END PGP ${type}-----`, blockStart.lastIndex);
    if (end < 0) return [...blocks, { type, bytes: undefined }];
    blocks.push({ type, bytes: readBase64(text.slice(blockStart.lastIndex + 1, end + 1)) });
    blockStart.lastIndex = end + 1;
  }
  return blocks;
}

function readBase64(block: string): Uint8Array | undefined {
  // The headers end at the first empty line; some writers leave both out.
  const body = block.replace(/^(?:[A-Za-z]+:.*\n)*[ \t]*\n/u, '');
  const base64 = body.replace(/^=[A-Za-z0-9+/]{4}[ \t]*$/mu, '').replaceAll(/\s/gu, '');
  return /^[A-Za-z0-9+/]+={0,2}$/u.test(base64) ? Uint8Array.from(Buffer.from(base64, 'base64')) : undefined;
}

/**
 * Splits binary OpenPGP into its outermost packets, in the old and the new format, with partial lengths joined.
 * @source RFC 9580 4.2
 */
export function readPackets(bytes: Uint8Array): PacketSequence {
  const packets: Packet[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    if (packets.length === mostPackets) return { packets, flaw: 'too-many' };
    const header = bytes[offset] ?? 0;
    if ((header & 0x80) === 0) return { packets, flaw: 'not-a-packet' };
    const read = (header & 0x40) === 0 ? readOldBody(bytes, offset + 1, header & 3) : readNewBody(bytes, offset + 1);
    if (read === undefined) return { packets, flaw: 'truncated' };
    packets.push({ tag: (header & 0x40) === 0 ? (header >> 2) & 0x0f : header & 0x3f, body: read.body });
    offset = read.next;
  }
  return { packets, flaw: undefined };
}

/**
 * The key ID (16 upper-case hex digits, all zero for a hidden recipient) of a session key packet, versions 3 and 6.
 * @source RFC 9580 5.1
 */
export function readSessionKeyId(packet: Packet): string | undefined {
  const { body } = packet;
  const hex = (from: number, to: number): string =>
    Buffer.from(body.subarray(from, to)).toString('hex').toUpperCase().padEnd(16, '0');
  if (body[0] === 3 && body.length > 9) return hex(1, 9);
  if (body[0] !== 6 || body.length < 2) return undefined;
  // Version 6 names a fingerprint: a version 4 key ID is its end, a version 6 key ID its beginning.
  const length = body[1] ?? 0;
  if (length === 0) return '0'.repeat(16);
  return body[2] === 6 ? hex(3, 11) : hex(2 + length - 8, 2 + length);
}

/**
 * The public keys in armored or binary bytes by their IDs, with signatures ignored; undefined if anything in the bytes
 * is not a whole public key of version 4 or 6.
 * @source RFC 9580 5.5.4: key IDs and fingerprints
 */
export function readKeyIds(bytes: Uint8Array): readonly KeyIds[] | undefined {
  const blocks = readArmor(bytes);
  const parts = blocks.length === 0 ? [bytes] : blocks.map((block) => block.bytes);
  const keys: { fingerprint: string; keyIds: string[] }[] = [];
  for (const part of parts) {
    const { packets, flaw } = readPackets(part ?? new Uint8Array([0]));
    if (flaw !== undefined) return undefined;
    for (const { tag, body } of packets) {
      if (tag === packetTag.secretKey) return undefined;
      if (tag !== packetTag.publicKey && tag !== packetTag.publicSubkey) continue;
      const id = identify(body);
      if (id === undefined) return undefined;
      if (tag === packetTag.publicKey) keys.push({ fingerprint: id.fingerprint, keyIds: [id.keyId] });
      else keys.at(-1)?.keyIds.push(id.keyId);
    }
  }
  return keys.length === 0 ? undefined : keys;
}

function identify(body: Uint8Array): { readonly fingerprint: string; readonly keyId: string } | undefined {
  const version = body[0];
  if (version !== 4 && version !== 6) return undefined;
  // A longer key has no fingerprint, because the hash covers its length in two octets.
  if (version === 4 && body.length > 0xffff) return undefined;
  const [digest, prefix, octets] = version === 4 ? (['sha1', 0x99, 2] as const) : (['sha256', 0x9b, 4] as const);
  const header = Buffer.alloc(1 + octets, prefix);
  header.writeUIntBE(body.length, 1, octets);
  const fingerprint = createHash(digest).update(header).update(body).digest('hex').toUpperCase();
  return { fingerprint, keyId: version === 4 ? fingerprint.slice(-16) : fingerprint.slice(0, 16) };
}

interface Read {
  readonly body: Uint8Array;
  readonly next: number;
}

/** RFC 9580 4.2.2: length types 0 to 2 have 1, 2 or 4 octets of length; type 3 runs to the end. */
function readOldBody(bytes: Uint8Array, offset: number, lengthType: number): Read | undefined {
  if (lengthType === 3) return { body: bytes.subarray(offset), next: bytes.length };
  const octets = 1 << lengthType;
  return slice(bytes, offset + octets, readNumber(bytes, offset, octets));
}

/** RFC 9580 4.2.1: one, two or five octets of length, or a power of two for a part that others follow. */
function readNewBody(bytes: Uint8Array, start: number): Read | undefined {
  const parts: Uint8Array[] = [];
  let offset = start;
  for (;;) {
    const first = bytes[offset];
    if (first === undefined) return undefined;
    const isPartial = first >= 224 && first < 255;
    const part = isPartial
      ? slice(bytes, offset + 1, 2 ** (first & 0x1f))
      : first < 192
        ? slice(bytes, offset + 1, first)
        : first < 224
          ? slice(bytes, offset + 2, ((first - 192) << 8) + (bytes[offset + 1] ?? Number.NaN) + 192)
          : slice(bytes, offset + 5, readNumber(bytes, offset + 1, 4));
    if (part === undefined) return undefined;
    parts.push(part.body);
    if (!isPartial) return { body: parts.length === 1 ? part.body : Buffer.concat(parts), next: part.next };
    offset = part.next;
  }
}

function readNumber(bytes: Uint8Array, offset: number, octets: number): number {
  let value = 0;
  for (let i = 0; i < octets; i += 1) value = value * 256 + (bytes[offset + i] ?? Number.NaN);
  return value;
}

/** undefined if the bytes end inside the body, or inside its length (NaN). */
function slice(bytes: Uint8Array, offset: number, length: number): Read | undefined {
  if (!(offset + length <= bytes.length)) return undefined;
  return { body: bytes.subarray(offset, offset + length), next: offset + length };
}
