// A small DER reader and writer (X.690) for the few structures that need no ASN.1 package: certificates, requests,
// public keys, the PBES2 frame and PKCS#12. Definite lengths and single-octet tags only; anything else is refused. It
// knows no schema; its callers do.

/** The bytes are not the DER that the caller expected. Callers turn it into an error that names the file. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One element: its tag octet, its contents, and both with the header. Views into the input, not copies. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Buffer;
  readonly raw: Buffer;
}

/** The views are made on demand: a certificate has 80 elements, and only 20 of them are opened. */
class FoundElement implements DerElement {
  readonly tag: number;
  readonly source: Buffer;
  readonly start: number;
  readonly begin: number;
  readonly end: number;

  constructor(tag: number, source: Buffer, start: number, begin: number, end: number) {
    this.tag = tag;
    this.source = source;
    this.start = start;
    this.begin = begin;
    this.end = end;
  }

  get contents(): Buffer {
    return this.source.subarray(this.begin, this.end);
  }

  get raw(): Buffer {
    return this.source.subarray(this.start, this.end);
  }
}

/** Tags of the universal class (X.690 8.1.2, X.680 table 1). */
export const derTags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** No list in a certificate or request is that long, though a mebibyte has room for half a million elements. */
const mostElements = 65_536;

/** The elements that fill `bytes` to the last octet. @throws DerError */
export function readElements(bytes: Buffer): readonly DerElement[] {
  return readRange(bytes, 0, bytes.length);
}

function readRange(bytes: Buffer, begin: number, end: number): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let offset = begin; offset < end;) {
    const element = readAt(bytes, offset, end);
    if (elements.length === mostElements) throw new DerError('a list beyond bounds');
    elements.push(element);
    offset = element.end;
  }
  return elements;
}

/** The one element that fills `bytes`, with the expected tag. @throws DerError */
export function readElement(bytes: Buffer, tag: number): DerElement {
  const element = readAt(bytes, 0, bytes.length);
  if (element.end !== bytes.length) throw new DerError('octets after the end');
  return expectTag(element, tag);
}

/** The element, if it is there and has the expected tag. @throws DerError */
export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element === undefined) throw new DerError('an element is missing');
  if (element.tag !== tag) throw new DerError(`tag ${element.tag} instead of ${tag}`);
  return element;
}

/** The elements inside a constructed element with the expected tag. @throws DerError */
export function readInside(element: DerElement | undefined, tag: number = derTags.sequence): readonly DerElement[] {
  const found = expectTag(element, tag);
  return found instanceof FoundElement ? readRange(found.source, found.begin, found.end) : readElements(found.contents);
}

/** The elements of the one SEQUENCE that fills `bytes`. @throws DerError */
export function readSequence(bytes: Buffer): readonly DerElement[] {
  return readInside(readElement(bytes, derTags.sequence));
}

/** An OBJECT IDENTIFIER in dotted form (X.690 8.19). @throws DerError */
export function readOid(element: DerElement | undefined): string {
  const { contents } = expectTag(element, derTags.oid);
  const octets = contents.toString('latin1');
  const known = knownOids.get(octets);
  if (known !== undefined) return known;
  const oid = decodeOid(contents);
  if (knownOids.size < mostOids) knownOids.set(octets, oid);
  return oid;
}

/** The few OIDs that certificates use, by their octets. */
const knownOids = new Map<string, string>();
const mostOids = 64;

function decodeOid(contents: Buffer): string {
  if ((contents.at(-1) ?? 0x80) >= 0x80) throw new DerError('an object identifier that does not end');
  const arcs: number[] = [];
  let arc = 0;
  for (const octet of contents) {
    arc = arc * 128 + (octet & 0x7f);
    if (!Number.isSafeInteger(arc)) throw new DerError('an object identifier beyond bounds');
    if (octet >= 0x80) continue;
    arcs.push(arc);
    arc = 0;
  }
  // The first two arcs share a number.
  const [both = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(both / 40));
  return [first, both - first * 40, ...rest].join('.');
}

/** A non-negative INTEGER below 2^48. @throws DerError */
export function readSmallInteger(element: DerElement | undefined): number {
  const { contents } = expectTag(element, derTags.integer);
  if (contents.length === 0 || contents.length > 6 || (contents[0] ?? 0) >= 0x80) {
    throw new DerError('an integer beyond bounds');
  }
  return contents.readUIntBE(0, contents.length);
}

/** X.690 8.1.2 and 8.1.3: one tag octet, then a short or a long definite length. */
function readAt(bytes: Buffer, start: number, limit: number): FoundElement {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined || start + 2 > limit) throw new DerError('an element is cut short');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several octets');
  let begin = start + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first - 0x80;
    if (octets === 0 || octets > 4 || begin + octets > limit) throw new DerError('a length beyond bounds');
    length = bytes.readUIntBE(begin, octets);
    begin += octets;
  }
  const end = begin + length;
  if (end > limit) throw new DerError('an element is cut short');
  return new FoundElement(tag, bytes, start, begin, end);
}

/** An element with this tag; its contents are the parts, one after the other. */
export function writeElement(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0;
  for (const part of parts) length += part.length;
  const octets = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x1_00_00 ? 2 : length < 0x1_00_00_00 ? 3 : 4;
  const element = Buffer.allocUnsafe(2 + octets + length);
  element[0] = tag;
  element[1] = octets === 0 ? length : 0x80 + octets;
  if (octets > 0) element.writeUIntBE(length, 2, octets);
  let at = 2 + octets;
  for (const part of parts) {
    element.set(part, at);
    at += part.length;
  }
  return element;
}

/** The number in as few octets as possible, the highest first. */
function octetsOf(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** A SEQUENCE of the parts, which are already DER. */
export function writeSequence(...parts: readonly Uint8Array[]): Buffer {
  return writeElement(derTags.sequence, ...parts);
}

/** An OCTET STRING. */
export function writeOctetString(contents: Uint8Array): Buffer {
  return writeElement(derTags.octetString, contents);
}

/** A BIT STRING of whole octets. */
export function writeBitString(contents: Uint8Array): Buffer {
  return writeElement(derTags.bitString, Buffer.of(0), contents);
}

/** A non-negative INTEGER (X.690 8.3): a leading zero octet keeps it positive. */
export function writeInteger(value: number): Buffer {
  const octets = octetsOf(value);
  return writeElement(derTags.integer, (octets[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), octets]) : octets);
}

/** An OBJECT IDENTIFIER from its dotted form (X.690 8.19). */
export function writeOid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) groups.unshift(128 + (high % 128));
    return groups;
  });
  return writeElement(derTags.oid, Buffer.from(octets));
}
