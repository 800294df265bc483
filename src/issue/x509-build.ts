// One certificate's contents as DER: names, extensions and algorithms from the profile in certificate/profile.ts. Parts
// that all certificates of a profile share are encoded once. It does not sign or judge. Only x509.ts and
// x509-read-back.ts import it.

import { hash } from 'node:crypto';
import * as der from '../certificate/der.js';
import { dnsNameTag } from '../certificate/parts.js';
import { keyUsageBits, profiles, type KeyUsageBit, type ProfileName } from '../certificate/profile.js';
import type { KeyType, Subject } from '../settings/settings.js';

/** The contents of one certificate, which it is built from and compared with afterwards. Names and keys are DER. */
export interface Contents {
  readonly kind: ProfileName;
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly spki: Buffer;
  readonly keyType: KeyType;
  readonly authorityKeyIdentifier: Buffer;
  readonly dnsNames: readonly string[];
  readonly permittedDomains: readonly string[];
}

/** `digest` is null if the algorithm includes its own. */
function algorithmOf(digest: string | null, oid: string, ...parameters: readonly Buffer[]) {
  return { digest, algorithm: der.writeSequence(der.writeOid(oid), ...parameters) };
}

const rsaSha256 = algorithmOf('sha256', '1.2.840.113549.1.1.11', der.writeElement(der.derTags.null));

/**
 * How a CA with a key of this type signs.
 * @source RFC 5758 3.2 (ECDSA, no parameters), RFC 4055 5 (RSA, NULL), RFC 8410 3 (Ed25519, no parameters)
 */
export const signatures: Readonly<Record<KeyType, ReturnType<typeof algorithmOf>>> = {
  'ecdsa-p256': algorithmOf('sha256', '1.2.840.10045.4.3.2'),
  'ecdsa-p384': algorithmOf('sha384', '1.2.840.10045.4.3.3'),
  'rsa-2048': rsaSha256,
  'rsa-3072': rsaSha256,
  'rsa-4096': rsaSha256,
  ed25519: algorithmOf(null, '1.3.101.112'),
};

/** [0] { INTEGER 2 }: version 3. */
const version = der.writeElement(0xa0, der.writeInteger(2));

/** The octets to sign (RFC 5280 4.1.1.1 tbsCertificate). `serial` has a positive INTEGER's octets. */
export function buildTbs(contents: Contents, serial: Buffer, algorithm: Buffer): Buffer {
  return der.writeSequence(
    version,
    der.writeElement(der.derTags.integer, serial),
    algorithm,
    contents.issuer,
    der.writeSequence(writeTime(contents.notBefore), writeTime(contents.notAfter)),
    contents.subject,
    contents.spki,
    der.writeElement(0xa3, der.writeSequence(...buildExtensions(contents))),
  );
}

/** RFC 5280 4.1.2.5: UTCTime up to 2049, GeneralizedTime after it; whole seconds. */
function writeTime(time: Date): Buffer {
  const digits = `${time.toISOString().replaceAll(/[^\d]/gu, '').slice(0, 14)}Z`;
  const year = time.getUTCFullYear();
  return year >= 1950 && year < 2050
    ? der.writeElement(der.derTags.utcTime, Buffer.from(digits.slice(2)))
    : der.writeElement(der.derTags.generalizedTime, Buffer.from(digits));
}

/** The keyUsage that the contents ask for, in the order of the bits. */
export function keyUsageOf({ kind, keyType }: Pick<Contents, 'kind' | 'keyType'>): readonly KeyUsageBit[] {
  const { keyUsage, rsaKeyUsage } = profiles[kind];
  const wanted = keyType.startsWith('rsa-') ? [...keyUsage, ...rsaKeyUsage] : keyUsage;
  return keyUsageBits.filter((bit) => wanted.includes(bit));
}

/** Common to every certificate of a kind: basicConstraints and keyUsage, and its extKeyUsage. */
const fixed = new Map<string, readonly [Buffer, Buffer]>();

function fixedExtensions({ kind, keyType }: Contents): readonly [Buffer, Buffer] {
  const name = `${kind} ${keyType}`;
  const known = fixed.get(name);
  if (known !== undefined) return known;
  const { isCa, pathLength, extendedKeyUsage } = profiles[kind];
  const constraints = [
    ...(isCa ? [der.writeElement(der.derTags.boolean, Buffer.of(0xff))] : []),
    ...(pathLength === undefined ? [] : [der.writeInteger(pathLength)]),
  ];
  const usage = writeBits(keyUsageOf({ kind, keyType }).map((bit) => keyUsageBits.indexOf(bit)));
  const made = [
    Buffer.concat([
      extension('2.5.29.19', true, der.writeSequence(...constraints)),
      extension('2.5.29.15', true, usage),
    ]),
    extendedKeyUsage.length === 0
      ? Buffer.alloc(0)
      : extension('2.5.29.37', false, der.writeSequence(...extendedKeyUsage.map(der.writeOid))),
  ] as const;
  fixed.set(name, made);
  return made;
}

/** A BIT STRING with these bits set (X.690 11.2.2: no zero bits at its end). */
function writeBits(bits: readonly number[]): Buffer {
  const last = Math.max(...bits);
  const octets = Buffer.alloc((last >> 3) + 1);
  for (const bit of bits) octets[bit >> 3] = (octets[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return der.writeElement(der.derTags.bitString, Buffer.of(7 - (last & 7)), octets);
}

function buildExtensions(contents: Contents): readonly Buffer[] {
  const { kind, dnsNames, permittedDomains, authorityKeyIdentifier: authority } = contents;
  const [before, after] = fixedExtensions(contents);
  // A root is its own authority.
  const own = kind === 'ca' ? authority : keyIdentifierOf(contents.spki);
  const extensions = [
    before,
    extension('2.5.29.14', false, der.writeOctetString(own)),
    // RFC 5280 4.2.1.1: the key identifier only.
    extension('2.5.29.35', false, der.writeSequence(der.writeElement(0x80, authority))),
    after,
  ];
  if (dnsNames.length > 0) {
    // RFC 5280 4.2.1.6: critical if the subject is empty.
    const isCritical = contents.subject.equals(emptyName);
    extensions.push(extension('2.5.29.17', isCritical, der.writeSequence(...dnsNames.map(dnsName))));
  }
  if (permittedDomains.length > 0) {
    // RFC 5280 4.2.1.10: a dNSName subtree has no leading dot; all addresses are 8 or 32 zero octets.
    const all = [8, 32].map((octets) => der.writeElement(0x87, Buffer.alloc(octets)));
    const value = der.writeSequence(subtrees(0xa0, permittedDomains.map(dnsName)), subtrees(0xa1, all));
    extensions.push(extension('2.5.29.30', true, value));
  }
  return extensions;
}

function dnsName(name: string): Buffer {
  return der.writeElement(dnsNameTag, Buffer.from(name, 'latin1'));
}

function subtrees(tag: number, bases: readonly Buffer[]): Buffer {
  return der.writeElement(tag, ...bases.map((base) => der.writeSequence(base)));
}

const oids = new Map<string, Buffer>();
const critical = der.writeElement(der.derTags.boolean, Buffer.of(0xff));

function extension(oid: string, isCritical: boolean, value: Buffer): Buffer {
  const id = oids.get(oid) ?? der.writeOid(oid);
  oids.set(oid, id);
  return der.writeSequence(id, ...(isCritical ? [critical] : []), der.writeOctetString(value));
}

const emptyName = der.writeSequence();

/** One attribute per RDN, the widest first. RFC 5280 4.1.2.4: country is a PrintableString, the others UTF8String. */
export function buildName(subject: Subject, commonName: string | undefined): Buffer {
  const attributes: readonly (readonly [type: string, value: string])[] = [
    ['2.5.4.6', subject.country],
    ['2.5.4.8', subject.state],
    ['2.5.4.7', subject.locality],
    ['2.5.4.10', subject.organization],
    ['2.5.4.11', subject.organizationalUnit],
    ['2.5.4.3', commonName ?? ''],
  ];
  const { printableString, utf8String, set } = der.derTags;
  const names = attributes
    .filter(([, text]) => text !== '')
    .map(([type, text]) => {
      const value = der.writeElement(type === '2.5.4.6' ? printableString : utf8String, Buffer.from(text));
      return der.writeElement(set, der.writeSequence(der.writeOid(type), value));
    });
  return der.writeSequence(...names);
}

/** RFC 7093 2, method 1: the leftmost 160 bits of the SHA-256 of the subjectPublicKey's octets. */
export function keyIdentifierOf(spki: Buffer): Buffer {
  const [, key] = der.readSequence(spki);
  const octets = der.expectTag(key, der.derTags.bitString).contents.subarray(1);
  return hash('sha256', octets, 'buffer').subarray(0, 20);
}
