// A small DER reader and writer (X.690) for the few structures that are used without an ASN.1 package: certificates,
// requests, public keys, the PBES2 frame and PKCS#12. Definite lengths and single-octet tags only; anything else is
// refused. It knows no schema; its callers do.

/** The bytes are not the DER that the caller asked for. Callers turn it into an error that names the file. */
export class DerError extends Error {
  override readonly name = 'DerError';
}

/** One element: its tag octet, its contents, and both with the header. Views into the input, not copies. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Buffer;
  readonly raw: Buffer;
}

/** Tags of the universal class (X.690 8.1.2, X.680 table 1). */
export const derTags = {
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

/** No list in a certificate or request is that long; a mebibyte has room for half a million elements. */
const mostElements = 65_536;

/** The elements that fill `bytes` to the last octet. @throws DerError */
export function readElements(bytes: Buffer): readonly DerElement[] {
  const elements: DerElement[] = [];
  for (let offset = 0; offset < bytes.length;) {
    const element = readAt(bytes, offset);
    if (elements.length === mostElements) throw new DerError('a list beyond bounds');
    elements.push(element);
    offset += element.raw.length;
  }
  return elements;
}

/** The one element that fills `bytes`, with the tag expected. @throws DerError */
export function readElement(bytes: Buffer, tag: number): DerElement {
  const element = readAt(bytes, 0);
  if (element.raw.length !== bytes.length) throw new DerError('octets after the end');
  return expectTag(element, tag);
}

/** The element, if it is there and has the tag expected. @throws DerError */
export function expectTag(element: DerElement | undefined, tag: number): DerElement {
  if (element === undefined) throw new DerError('an element is missing');
  if (element.tag !== tag) throw new DerError(`tag ${element.tag} instead of ${tag}`);
  return element;
}

/** The elements inside a constructed element that has the tag expected. @throws DerError */
export function readInside(element: DerElement | undefined, tag: number = derTags.sequence): readonly DerElement[] {
  return readElements(expectTag(element, tag).contents);
}

/** The elements of the one SEQUENCE that fills `bytes`. @throws DerError */
export function readSequence(bytes: Buffer): readonly DerElement[] {
  return readInside(readElement(bytes, derTags.sequence));
}

/** An OBJECT IDENTIFIER in dotted form (X.690 8.19). @throws DerError */
export function readOid(element: DerElement | undefined): string {
  const { contents } = expectTag(element, derTags.oid);
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
function readAt(bytes: Buffer, start: number): DerElement {
  const tag = bytes[start];
  const first = bytes[start + 1];
  if (tag === undefined || first === undefined) throw new DerError('an element is cut short');
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several octets');
  let begin = start + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first - 0x80;
    if (octets === 0 || octets > 4 || begin + octets > bytes.length) throw new DerError('a length beyond bounds');
    length = bytes.readUIntBE(begin, octets);
    begin += octets;
  }
  const end = begin + length;
  if (end > bytes.length) throw new DerError('an element is cut short');
  return { tag, contents: bytes.subarray(begin, end), raw: bytes.subarray(start, end) };
}

/** An element of the tag with the parts, one after the other, as its contents. */
export function writeElement(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const contents = Buffer.concat(parts);
  const octets = octetsOf(contents.length);
  const length = contents.length < 0x80 ? octets : [0x80 + octets.length, ...octets];
  return Buffer.concat([Buffer.of(tag, ...length), contents]);
}

/** The number in as few octets as hold it, the highest first. */
function octetsOf(value: number): Buffer {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** A SEQUENCE of the parts, which are DER themselves. */
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
