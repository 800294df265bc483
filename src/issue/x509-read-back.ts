// Proves that a new certificate holds what it should: every one with certificate.ts and node:crypto, and those that x509.ts
// chooses also with @peculiar/x509, whose code had no part in making it. A failure here is a bug in relaycerts, which
// the user cannot fix. Only x509.ts imports it.

// oxlint-disable-next-line import/no-unassigned-import -- must run before @peculiar/x509 does
import './reflect.js';
import { webcrypto } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as reader from '@peculiar/x509';
import { profiles } from '../certificate/profile.js';
import type { KeyType } from '../settings/settings.js';
import { type CertificateInfo, parseCertificate } from '../certificate/certificate.js';
import { isSignedBy } from '../certificate/verify.js';
import { type Contents, keyUsageOf } from './x509-build.js';

const rsa = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
const webAlgorithms: Readonly<Record<KeyType, Algorithm | EcKeyImportParams | RsaHashedImportParams>> = {
  'ecdsa-p256': { name: 'ECDSA', namedCurve: 'P-256' },
  'ecdsa-p384': { name: 'ECDSA', namedCurve: 'P-384' },
  'rsa-2048': rsa,
  'rsa-3072': rsa,
  'rsa-4096': rsa,
  ed25519: { name: 'Ed25519' },
};

/** The CA's public key as readBack wants it. */
export async function importVerifyKey(spki: Buffer, keyType: KeyType): Promise<CryptoKey> {
  return webcrypto.subtle.importKey('spki', spki, webAlgorithms[keyType], false, ['verify']);
}

/** The CA that signed; `info` is its certificate, or undefined if the new certificate is the CA's own. */
interface Signer {
  readonly verifyKey: CryptoKey;
  readonly info: CertificateInfo | undefined;
}

/**
 * Compares a certificate with the contents it should have, and verifies its signature with node:crypto.
 * @throws Error naming the fields that differ
 * @source RFC 5280 4.1 and 4.2
 */
export function compareContents(
  info: CertificateInfo,
  contents: Contents,
  serial: Buffer,
  ca: CertificateInfo | undefined,
): void {
  expectNone(differences(info, contents, serial, ca));
}

function differences(
  info: CertificateInfo,
  contents: Contents,
  serial: Buffer,
  ca: CertificateInfo | undefined,
): readonly string[] {
  const profile = profiles[contents.kind];
  return falseIn({
    serial: info.serial === serial.toString('hex'),
    issuer: isSignedBy(info, ca ?? info),
    subject: info.subject.equals(contents.subject),
    notBefore: info.notBefore.getTime() === contents.notBefore.getTime(),
    notAfter: info.notAfter.getTime() === contents.notAfter.getTime() && contents.notAfter > contents.notBefore,
    publicKey: info.spki.equals(contents.spki),
    basicConstraints: info.isCa === profile.isCa,
    keyUsage: isDeepStrictEqual(info.keyUsage, keyUsageOf(contents)),
    extendedKeyUsage: isDeepStrictEqual(info.extendedKeyUsage, profile.extendedKeyUsage),
    subjectAltName: info.otherNameCount === 0 && isDeepStrictEqual(info.dnsNames, contents.dnsNames),
    authorityKeyIdentifier: info.authorityKeyIdentifier === contents.authorityKeyIdentifier.toString('hex'),
    nameConstraints: isDeepStrictEqual(info.permittedDomains ?? [], contents.permittedDomains),
  });
}

/** The same with OpenSSL's and @peculiar/x509's readers besides. @throws Error naming the fields that differ */
export async function readBack(der: Buffer, contents: Contents, serial: Buffer, ca: Signer): Promise<void> {
  const own = differences(parseCertificate(der), contents, serial, ca.info);
  const read = new reader.X509Certificate(Uint8Array.from(der));
  const profile = profiles[contents.kind];
  const constraints = read.getExtension(reader.BasicConstraintsExtension);
  // A plain array from one of a class of its own.
  const purposes = Array.from(read.getExtension(reader.ExtendedKeyUsageExtension)?.usages ?? [], String);
  const authority = read.getExtension(reader.AuthorityKeyIdentifierExtension);
  const names = read.getExtension(reader.SubjectAlternativeNameExtension)?.names.items ?? [];
  const altNames = names.map(({ type, value }) => [type, value]);
  const usages = Number(read.getExtension(reader.KeyUsagesExtension)?.usages);
  const usage = keyUsageOf(contents).reduce<number>((flags, bit) => flags | reader.KeyUsageFlags[bit], 0);
  const theirs = falseIn({
    serial: read.serialNumber === serial.toString('hex'),
    notBefore: read.notBefore.getTime() === contents.notBefore.getTime(),
    notAfter: read.notAfter.getTime() === contents.notAfter.getTime(),
    publicKey: Buffer.from(read.publicKey.rawData).equals(contents.spki),
    basicConstraints:
      constraints?.critical === true &&
      constraints.ca === profile.isCa &&
      constraints.pathLength === profile.pathLength,
    keyUsage: usages === usage,
    extendedKeyUsage: isDeepStrictEqual(purposes, profile.extendedKeyUsage),
    subjectAltName: isDeepStrictEqual(
      altNames,
      contents.dnsNames.map((value) => ['dns', value]),
    ),
    authorityKeyIdentifier: authority?.keyId === contents.authorityKeyIdentifier.toString('hex'),
    signature: await read.verify({ publicKey: ca.verifyKey, signatureOnly: true }),
  });
  expectNone([...new Set([...own, ...theirs])]);
}

function falseIn(wanted: Readonly<Record<string, boolean>>): readonly string[] {
  return Object.keys(wanted).filter((field) => wanted[field] !== true);
}

function expectNone(wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(`a new certificate did not read back: ${wrong.join(', ')}`);
}
