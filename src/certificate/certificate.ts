// Reads certificates from PEM or DER into one typed value, with node:crypto and der.ts only, so that commands that only
// read load no ASN.1 package. A hostile certificate can shape the texts that node:crypto gives for subjectAltName and
// dates, so here they come from the DER. verify.ts judges whether the values are right.

import { hash, type KeyObject, X509Certificate } from 'node:crypto';
import type { Serial } from '../names.js';
import * as der from './der.js';
import {
  canSign,
  dnsNameTag,
  hexOf,
  namesSerial,
  readAuthorityKeyIdentifier,
  readIsCa,
  readKeyUsage,
  readPermittedDomains,
  readSerial,
  readTime,
} from './parts.js';
import type { PinKind } from './pin-kinds.js';
import type { KeyUsageBit } from './profile.js';
import { readCommonName } from './name-texts.js';
import { inputError, readPemOrDer, readPlainPem, writePem } from './pem.js';
import { holds, proofOf } from './signature.js';

/** Texts (`commonName`, `dnsNames`) are as in the certificate: unchecked, and not to be printed unquoted. */
export interface CertificateInfo {
  /** One CERTIFICATE block, normalised, with a newline at the end. */
  readonly pem: string;
  readonly der: Buffer;
  readonly x509: X509Certificate;
  /** The last (most specific) commonName of the subject. */
  readonly commonName: string | undefined;
  /** The dNSName entries of the subjectAltName. */
  readonly dnsNames: readonly string[];
  /** The number of other subjectAltName entries (addresses, URIs, mailboxes). */
  readonly otherNameCount: number;
  readonly serial: Serial;
  readonly notBefore: Date;
  /** The last valid second (RFC 5280 4.1.2.5). */
  readonly notAfter: Date;
  /** Whether OpenSSL accepts it as a CA: basicConstraints, and keyCertSign if there is a keyUsage. */
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
  /** It names one certificate of its CA, by serial number, so it does not verify with another one for the CA's key. */
  readonly namesCaSerial: boolean;
  /** OID of the algorithm of its CA's signature. */
  readonly signatureAlgorithm: string;
  /** DER SubjectPublicKeyInfo, as in the certificate. */
  readonly spki: Buffer;
  /** @throws RelaycertsError `certificate` if node:crypto does not know the algorithm */
  readonly publicKey: KeyObject;
  /** SHA-256 of the DER, or of its SubjectPublicKeyInfo. */
  digest(of: PinKind): Buffer;
  /** True if the CA's name, key identifier and signature are on it (RFC 5280 6.1.3); validity is not considered. */
  isSignedBy(ca: CertificateInfo): boolean;
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
    // OpenSSL first: anything it refuses is refused here too, whatever der.ts makes of it.
    return new ParsedCertificate(bytes, () => from, new X509Certificate(bytes));
  } catch (error) {
    throw inputError(`the certificate in ${from} is damaged`, 'copy the whole file again', error);
  }
}

/** A CA whose certificates are read; `isKnown` says, by the DER, whether its signature was verified before. */
export interface Signer {
  readonly info: CertificateInfo;
  readonly isKnown: (der: Buffer) => boolean;
}

/**
 * The certificate in a PEM text that holds nothing else, if one of these CAs signed it: then it is unchanged since it
 * was issued, and OpenSSL need not read all of it. Undefined for anything else.
 */
export function parseSignedCertificate(
  pem: Buffer,
  from: () => string,
  signers: readonly Signer[],
): CertificateInfo | undefined {
  const bytes = readPlainPem('CERTIFICATE', pem);
  if (bytes === undefined) return undefined;
  try {
    const found = new ParsedCertificate(bytes, from);
    return signers.some(({ info, isKnown }) => found.isSignedBy(info, isKnown)) ? found : undefined;
  } catch (error) {
    if (error instanceof der.DerError) return undefined;
    throw error;
  }
}

/** Made only when asked for (`pem`, `x509`, `publicKey`), because it costs more than all the rest. */
class ParsedCertificate implements CertificateInfo {
  readonly der: Buffer;
  readonly commonName: string | undefined;
  readonly dnsNames: readonly string[];
  readonly otherNameCount: number;
  readonly serial: Serial;
  readonly notBefore: Date;
  readonly notAfter: Date;
  readonly isCa: boolean;
  readonly keyUsage: readonly KeyUsageBit[] | undefined;
  readonly extendedKeyUsage: readonly string[];
  readonly permittedDomains: readonly string[] | undefined;
  readonly subject: Buffer;
  readonly issuer: Buffer;
  readonly subjectKeyIdentifier: string | undefined;
  readonly authorityKeyIdentifier: string | undefined;
  readonly namesCaSerial: boolean;
  readonly signatureAlgorithm: string;
  readonly spki: Buffer;
  readonly #from: () => string;
  #x509: X509Certificate | undefined;
  #publicKey: KeyObject | undefined;
  /** A CA that signed this, and one that did not, because each is asked many times. */
  #signer: CertificateInfo | undefined;
  #stranger: CertificateInfo | undefined;

  constructor(bytes: Buffer, from: () => string, x509?: X509Certificate) {
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
    this.der = bytes;
    this.commonName = readCommonName(subject);
    this.dnsNames = names.filter(({ tag }) => tag === dnsNameTag).map(({ contents }) => contents.toString('latin1'));
    this.otherNameCount = names.length - this.dnsNames.length;
    this.serial = readSerial(serial);
    this.notBefore = readTime(notBefore);
    this.notAfter = readTime(notAfter);
    this.keyUsage = read('2.5.29.15', readKeyUsage);
    this.isCa = x509 === undefined ? read('2.5.29.19', readIsCa) === true && canSign(this.keyUsage) : x509.ca;
    // RFC 5280 4.2.1.12: a list of OIDs.
    this.extendedKeyUsage = read('2.5.29.37', (value) => der.readSequence(value).map(der.readOid)) ?? [];
    this.permittedDomains = read('2.5.29.30', readPermittedDomains);
    this.subject = der.expectTag(subject, der.derTags.sequence).raw;
    this.issuer = der.expectTag(issuer, der.derTags.sequence).raw;
    this.subjectKeyIdentifier = read('2.5.29.14', (value) => hexOf(der.readElement(value, der.derTags.octetString)));
    this.authorityKeyIdentifier = read('2.5.29.35', readAuthorityKeyIdentifier);
    this.namesCaSerial = read('2.5.29.35', namesSerial) ?? false;
    this.signatureAlgorithm = der.readOid(der.readInside(algorithm)[0]);
    this.spki = der.expectTag(spki, der.derTags.sequence).raw;
    this.#from = from;
    this.#x509 = x509;
  }

  get pem(): string {
    return writePem('CERTIFICATE', this.der);
  }

  get x509(): X509Certificate {
    this.#x509 ??= new X509Certificate(this.der);
    return this.#x509;
  }

  get publicKey(): KeyObject {
    this.#publicKey ??= publicKeyOf(this.x509, this.#from());
    return this.#publicKey;
  }

  digest(of: PinKind): Buffer {
    return hash('sha256', of === 'certificate' ? this.der : this.spki, 'buffer');
  }

  isSignedBy(ca: CertificateInfo, isKnown: Signer['isKnown'] = () => false): boolean {
    // There may be two values of one CA, read at different times.
    if (this.#signer === ca || this.#signer?.der.equals(ca.der) === true) return true;
    if (this.#stranger === ca) return false;
    const isSigned =
      this.issuer.equals(ca.subject) &&
      areAlike(this.authorityKeyIdentifier, ca.subjectKeyIdentifier) &&
      (isKnown(this.der) || this.#hasSignatureOf(ca)) &&
      this.#fits(ca);
    if (isSigned) this.#signer = ca;
    else this.#stranger = ca;
    return isSigned;
  }

  /** A leaf that also names its CA's serial does not match a renewed CA. */
  #fits(ca: CertificateInfo): boolean {
    if (this === ca) return true;
    if (this.#x509 === undefined && (this.namesCaSerial || !ca.isCa)) throw new der.DerError('an unusual authority');
    return this.#x509?.checkIssued(ca.x509) ?? true;
  }

  #hasSignatureOf(ca: CertificateInfo): boolean {
    const [tbs, algorithm, signature] = der.readSequence(this.der);
    const [first, ...fields] = der.readInside(tbs);
    const inner = first?.tag === versionTag ? fields[1] : fields[0];
    const proof = proofOf(algorithm);
    // RFC 5280 4.1.1.2: the algorithm is in the signed part too. OpenSSL judges anything unusual.
    if (proof === undefined || algorithm === undefined || inner?.raw.equals(algorithm.raw) !== true) {
      if (this.#x509 === undefined) throw new der.DerError('an unusual signature');
      return this.#x509.verify(ca.publicKey);
    }
    return holds(tbs, signature, proof, ca.publicKey);
  }
}

/** Key identifiers are compared only if both are there. */
function areAlike(authority: string | undefined, subject: string | undefined): boolean {
  return authority === undefined || subject === undefined || authority === subject;
}

/** Context tags of RFC 5280 4.1: TBSCertificate. */
const versionTag = 0xa0;
const extensionsTag = 0xa3;

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
    // RFC 5280 4.2: no more than one instance. With two, readers could differ in which they use.
    if (extensions.has(oid)) throw new der.DerError(`extension ${oid} twice`);
    extensions.set(oid, der.expectTag(parts.at(-1), der.derTags.octetString).contents);
  }
  return extensions;
}
