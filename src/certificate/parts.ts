// The parts of a certificate as der.ts returns them, each read into a plain value: extensions, serial numbers, times.
// The certificate as a whole is in certificate.ts.

import type { Serial } from '../names.js';
import * as der from './der.js';
import { type KeyUsageBit, keyUsageBits } from './profile.js';

/** The tag of a dNSName in a GeneralName: [2] IMPLICIT IA5String (RFC 5280 4.2.1.6). */
export const dnsNameTag = 0x82;
const keyIdentifierTag = 0x80;
const permittedSubtreesTag = 0xa0;

/** RFC 5280 4.2.1.3: a BIT STRING whose first octet counts the unused bits. */
export function readKeyUsage(value: Buffer): readonly KeyUsageBit[] {
  const octets = der.readElement(value, der.derTags.bitString).contents.subarray(1);
  return keyUsageBits.filter((_, bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

/** RFC 5280 4.2.1.9: the cA flag. */
export function readIsCa(value: Buffer): boolean {
  const [flag] = der.readSequence(value);
  return flag?.tag === der.derTags.boolean && flag.contents[0] !== 0;
}

/** RFC 5280 4.2.1.3: without a keyUsage, every use is allowed. */
export function canSign(keyUsage: readonly KeyUsageBit[] | undefined): boolean {
  return keyUsage === undefined || keyUsage.includes('keyCertSign');
}

/** RFC 5280 4.2.1.10. */
export function readPermittedDomains(value: Buffer): readonly string[] | undefined {
  const permitted = der.readSequence(value).find(({ tag }) => tag === permittedSubtreesTag);
  const bases = der.readElements(permitted?.contents ?? Buffer.alloc(0)).map((subtree) => der.readInside(subtree)[0]);
  const domains = bases.flatMap((base) => (base?.tag === dnsNameTag ? [base.contents.toString('latin1')] : []));
  return domains.length === 0 ? undefined : domains;
}

/** RFC 5280 4.2.1.1: the keyIdentifier is one of three optional parts. */
export function readAuthorityKeyIdentifier(value: Buffer): string | undefined {
  const part = der.readSequence(value).find(({ tag }) => tag === keyIdentifierTag);
  return part && hexOf(part);
}

/** RFC 5280 4.2.1.1: the other two parts are the issuer and serial number of the CA's certificate. */
export function namesSerial(value: Buffer): boolean {
  return der.readSequence(value).some(({ tag }) => tag !== keyIdentifierTag);
}

export function hexOf({ contents }: der.DerElement): string {
  return contents.toString('hex');
}

export function readSerial(element: der.DerElement | undefined): Serial {
  const hex = hexOf(der.expectTag(element, der.derTags.integer)).replace(/^00(?=.)/u, '');
  // Not through parseSerial: foreign certificates may have serials (0) that ours never have.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- hexadecimal octets by construction
  return hex as Serial;
}

/** UTCTime (1950 to 2049) or GeneralizedTime, in the only forms that RFC 5280 4.1.2.5 allows. */
export function readTime(element: der.DerElement | undefined): Date {
  const text = element?.contents.toString('latin1') ?? '';
  let digits: string;
  if (element?.tag === der.derTags.utcTime && /^\d{12}Z$/u.test(text)) digits = (text < '5' ? '20' : '19') + text;
  else if (element?.tag === der.derTags.generalizedTime && /^\d{14}Z$/u.test(text)) digits = text;
  else throw new der.DerError('not a time');
  const part = (start: number): number => Number(digits.slice(start, start + 2));
  const [year, month, day, hour, minute, second] = [
    Number(digits.slice(0, 4)),
    part(4),
    part(6),
    part(8),
    part(10),
    part(12),
  ];
  const time = new Date(0);
  time.setUTCFullYear(year, month - 1, day);
  time.setUTCHours(hour, minute, second);
  // With a month or day out of range, Date would return another date.
  const isDate = time.getUTCFullYear() === year && time.getUTCMonth() === month - 1 && time.getUTCDate() === day;
  if (!isDate || hour > 23 || minute > 59 || second > 59) throw new der.DerError('not a time');
  return time;
}
