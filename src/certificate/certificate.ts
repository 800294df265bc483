// Reads certificates: PEM or DER into one typed value, with node:crypto and der.ts only, so that commands that only read
// load no ASN.1 package. node:crypto's own subjectAltName and dates are texts that a hostile certificate can shape; here
// they come from the DER. Whether the values are right is judged in verify.ts.

import { isUtf8 } from 'node:buffer';
import { type KeyObject, X509Certificate } from 'node:crypto';
import type { Serial } from '../names.js';
import { type KeyUsageBit, keyUsageBits } from './profile.js';
import * as der from './der.js';
import { inputError, readPemOrDer, writePem } from './pem.js';

/** Texts (`commonName`, `dnsNames`) are as the certificate has them: unchecked, and not to be printed unquoted. */
export interface CertificateInfo {
  /** One CERTIFICATE block, normalised, with a newline at the end. */
  readonly pem: string;
  readonly der: Buffer;
  readonly x509: X509Certificate;
  /** The last (most specific) commonName of the subject. */
  readonly commonName: string | undefined;
  /** The dNSName entries of the subjectAltName. */
  readonly dnsNames: readonly string[];
  /** How many subjectAltName entries are something else (addresses, URIs, mailboxes). */
  readonly otherNameCount: number;
  readonly serial: Serial;
  readonly notBefore: Date;
  /** The last second that counts (RFC 5280 4.1.2.5). */
  readonly notAfter: Date;
  /** Whether OpenSSL takes it for a CA: basicConstraints, and keyCertSign if there is a keyUsage. */
  readonly isCa: boolean;
  /** Undefined if there is no such extension, which allows everything. */
  readonly keyUsage: readonly KeyUsageBit[] | undefined;
  /** OIDs; empty if there is no such extension. */
  readonly extendedKeyUsage: readonly string[];
  /** The permitted dNSName subtrees of the nameConstraints; undefined if there are none. */
  readonly permittedDomains: readonly string[] | undefined;
  /** DER of the subject and of the issuer. */
  readonly subject: Buffer;
  readonly issuer: Buffer;
  /** Lower-case hexadecimal. */
  readonly subjectKeyIdentifier: string | undefined;
  readonly authorityKeyIdentifier: string | undefined;
  /** OID of the algorithm that its CA signed it with. */
  readonly signatureAlgorithm: string;
  /** DER SubjectPublicKeyInfo, as the certificate has it. */
  readonly spki: Buffer;
  /** @throws RelaycertsError `certificate` if node:crypto does not know the algorithm */
  readonly publicKey: KeyObject;
}

/**
 * The one certificate of a PEM text or DER file (of a chain, the first). `from` names it in errors.
 * @throws RelaycertsError `certificate`
 * @source RFC 5280 4.1
 */
export function parseCertificate(
  bytes: Uint8Array | string,
  { from }: { from: string } = { from: 'the certificate' },
): CertificateInfo {
  return parseCertificates(bytes, { from })[0];
}

/**
 * Every certificate of a PEM text (other blocks are skipped), or the one of a DER file; at least one, at most 1 MiB.
 * `from` names the input in errors.
 * @throws RelaycertsError `certificate`
 */
export function parseCertificates(
  bytes: Uint8Array | string,
  { from }: { from: string },
): readonly [CertificateInfo, ...CertificateInfo[]] {
  const [first, ...others] = readPemOrDer(bytes, from, ['CERTIFICATE']).map((one) => decodeCertificate(one, from));
  if (first !== undefined) return [first, ...others];
  const hint = 'give a file that has a line -----BEGIN CERTIFICATE-----';
  throw inputError(`${from} holds no certificate in PEM or DER form`, hint);
}

function decodeCertificate(bytes: Buffer, from: string): CertificateInfo {
  try {
    // OpenSSL first: anything that it refuses is refused here too, whatever der.ts reads in it.
    return readContents(bytes, new X509Certificate(bytes), from);
  } catch (error) {
    throw inputError(`the certificate in ${from} is damaged`, 'copy the file again, whole', error);
  }
}

function readContents(bytes: Buffer, x509: X509Certificate, from: string): CertificateInfo {
  const [tbs, algorithm] = der.readSequence(bytes);
  const fields = [...der.readInside(tbs)];
  if (fields[0]?.tag === versionTag) fields.shift();
  const [serial, , issuer, validity, subject, spki, ...optional] = fields;
  const [notBefore, notAfter] = der.readInside(validity);
  const list = optional.find(({ tag }) => tag === extensionsTag);
  const extensions = list && readExtensionList(der.readInside(list, extensionsTag)[0]);
  const read = <T>(oid: string, reader: (value: Buffer) => T): T | undefined => {
    const value = extensions?.get(oid);
    return value && reader(value);
  };
  const names = read('2.5.29.17', der.readSequence) ?? [];
  return {
    pem: writePem('CERTIFICATE', bytes),
    der: bytes,
    x509,
    commonName: readCommonName(subject),
    dnsNames: names.filter(({ tag }) => tag === dnsNameTag).map(({ contents }) => contents.toString('latin1')),
    otherNameCount: names.filter(({ tag }) => tag !== dnsNameTag).length,
    serial: readSerial(serial),
    notBefore: readTime(notBefore),
    notAfter: readTime(notAfter),
    isCa: x509.ca,
    keyUsage: read('2.5.29.15', readKeyUsage),
    // RFC 5280 4.2.1.12: a list of OIDs.
    extendedKeyUsage: read('2.5.29.37', (value) => der.readSequence(value).map(der.readOid)) ?? [],
    permittedDomains: read('2.5.29.30', readPermittedDomains),
    subject: der.expectTag(subject, der.derTags.sequence).raw,
    issuer: der.expectTag(issuer, der.derTags.sequence).raw,
    subjectKeyIdentifier: read('2.5.29.14', (value) => hexOf(der.readElement(value, der.derTags.octetString))),
    authorityKeyIdentifier: read('2.5.29.35', readAuthorityKeyIdentifier),
    signatureAlgorithm: der.readOid(der.readInside(algorithm)[0]),
    spki: der.expectTag(spki, der.derTags.sequence).raw,
    get publicKey() {
      return publicKeyOf(x509, from);
    },
  };
}

/** Context tags of RFC 5280 4.1: TBSCertificate, GeneralName, AuthorityKeyIdentifier, NameConstraints. */
const versionTag = 0xa0;
const extensionsTag = 0xa3;
/** The tag of a dNSName in a GeneralName: [2] IMPLICIT IA5String (RFC 5280 4.2.1.6). */
export const dnsNameTag = 0x82;
const keyIdentifierTag = 0x80;
const permittedSubtreesTag = 0xa0;

function publicKeyOf(x509: X509Certificate, from: string): KeyObject {
  try {
    return x509.publicKey;
  } catch (error) {
    const message = `the public key of the certificate in ${from} is of an unknown kind`;
    throw inputError(message, 'use an ECDSA, RSA or Ed25519 key', error);
  }
}

/** RFC 5280 4.1 Extensions: extnID to the octets of extnValue. @throws DerError */
export function readExtensionList(list: der.DerElement | undefined): ReadonlyMap<string, Buffer> {
  const extensions = new Map<string, Buffer>();
  for (const extension of der.readInside(list)) {
    const parts = der.readInside(extension);
    const oid = der.readOid(parts[0]);
    // RFC 5280 4.2: no more than one instance. With two, each reader would choose its own.
    if (extensions.has(oid)) throw new der.DerError(`extension ${oid} twice`);
    extensions.set(oid, der.expectTag(parts.at(-1), der.derTags.octetString).contents);
  }
  return extensions;
}

/** RFC 5280 4.2.1.3: a BIT STRING whose first octet counts the unused bits. */
function readKeyUsage(value: Buffer): readonly KeyUsageBit[] {
  const octets = der.readElement(value, der.derTags.bitString).contents.subarray(1);
  return keyUsageBits.filter((_, bit) => ((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0);
}

/** RFC 5280 4.2.1.10. */
function readPermittedDomains(value: Buffer): readonly string[] | undefined {
  const permitted = der.readSequence(value).find(({ tag }) => tag === permittedSubtreesTag);
  const bases = der.readElements(permitted?.contents ?? Buffer.alloc(0)).map((subtree) => der.readInside(subtree)[0]);
  const domains = bases.flatMap((base) => (base?.tag === dnsNameTag ? [base.contents.toString('latin1')] : []));
  return domains.length === 0 ? undefined : domains;
}

/** RFC 5280 4.2.1.1: the keyIdentifier is one of three optional parts. */
function readAuthorityKeyIdentifier(value: Buffer): string | undefined {
  const part = der.readSequence(value).find(({ tag }) => tag === keyIdentifierTag);
  return part && hexOf(part);
}

function hexOf({ contents }: der.DerElement): string {
  return contents.toString('hex');
}

function readSerial(element: der.DerElement | undefined): Serial {
  const hex = hexOf(der.expectTag(element, der.derTags.integer)).replace(/^00(?=.)/u, '');
  // Not through parseSerial: certificates from elsewhere may have serials (0) that ours never have.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- hexadecimal octets by construction
  return hex as Serial;
}

/** The last (most specific) commonName of a Name; undefined if it has none. @throws DerError */
export function readCommonName(subject: der.DerElement | undefined): string | undefined {
  return textsIn(der.readInside(subject), '2.5.4.3').at(-1);
}

/** The texts of one type of attribute in a DER Name, such as a certificate's `subject`; `type` is its OID. */
export function nameTexts(name: Buffer, type: string): readonly (string | undefined)[] {
  return textsIn(der.readSequence(name), type);
}

function textsIn(sets: readonly der.DerElement[], type: string): readonly (string | undefined)[] {
  const attributes = sets.flatMap((set) => der.readInside(set, der.derTags.set)).map((one) => der.readInside(one));
  return attributes.filter(([oid]) => der.readOid(oid) === type).map(([, text]) => readText(text));
}

/** RFC 5280 4.1.2.4 DirectoryString; undefined for other types, or if it is malformed. */
function readText(element: der.DerElement | undefined): string | undefined {
  if (element === undefined) return undefined;
  const { tag, contents } = element;
  switch (tag) {
    case der.derTags.utf8String:
      return isUtf8(contents) ? contents.toString('utf8') : undefined;
    case der.derTags.printableString:
    case der.derTags.ia5String:
    case der.derTags.teletexString:
      return contents.toString('latin1');
    case der.derTags.bmpString:
      return contents.length % 2 === 0 ? Buffer.from(contents).swap16().toString('utf16le') : undefined;
    default:
      return undefined;
  }
}

/** UTCTime (1950 to 2049) or GeneralizedTime, in the only forms that RFC 5280 4.1.2.5 allows. */
function readTime(element: der.DerElement | undefined): Date {
  const text = element?.contents.toString('latin1') ?? '';
  let digits: string;
  if (element?.tag === der.derTags.utcTime && /^\d{12}Z$/u.test(text)) digits = (text < '5' ? '20' : '19') + text;
  else if (element?.tag === der.derTags.generalizedTime && /^\d{14}Z$/u.test(text)) digits = text;
  else throw new der.DerError('not a time');
  const iso = digits.replace(/^(....)(..)(..)(..)(..)(..)Z$/u, '$1-$2-$3T$4:$5:$6.000Z');
  const time = new Date(iso);
  if (Number.isNaN(time.getTime()) || time.toISOString() !== iso) throw new der.DerError('not a time');
  return time;
}
