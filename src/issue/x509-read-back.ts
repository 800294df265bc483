// Proves that a new certificate holds what it should, with @peculiar/x509, whose code had no part in signing it. A failure
// here is a bug in relaycerts, which the user cannot fix. Only x509.ts imports it.

// oxlint-disable-next-line import/no-unassigned-import -- must run before @peculiar/x509 does
import './reflect.js';
import { webcrypto } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import * as reader from '@peculiar/x509';
import { profiles } from '../certificate/profile.js';
import type { KeyType } from '../settings/settings.js';
import { type CertificateInfo, parseCertificate } from '../certificate/certificate.js';
import { isSignedBy } from '../certificate/verify.js';
import { type Contents, keyUsageFlagsOf, serialize } from './x509-build.js';

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

/**
 * Compares a DER certificate with the contents it should have, and verifies its signature. `info` is the CA's certificate,
 * or undefined if this is the CA's own.
 * @throws Error naming the fields that differ
 * @source RFC 5280 4.1 and 4.2
 */
export async function readBack(
  der: Buffer,
  contents: Contents,
  serial: Buffer,
  ca: { readonly verifyKey: CryptoKey; readonly info: CertificateInfo | undefined },
): Promise<void> {
  const info = parseCertificate(der);
  const read = new reader.X509Certificate(Uint8Array.from(der));
  const profile = profiles[contents.kind];
  const constraints = read.getExtension(reader.BasicConstraintsExtension);
  // A plain array from one of a class of its own.
  const purposes = Array.from(read.getExtension(reader.ExtendedKeyUsageExtension)?.usages ?? [], String);
  const authority = read.getExtension(reader.AuthorityKeyIdentifierExtension);
  const names = read.getExtension(reader.SubjectAlternativeNameExtension)?.names.items ?? [];
  const altNames = names.map(({ type, value }) => [type, value]);
  const wanted: Readonly<Record<string, boolean>> = {
    serial: read.serialNumber === serial.toString('hex'),
    issuer: isSignedBy(info, ca.info ?? info),
    subject: info.subject.equals(serialize(contents.subject)),
    notBefore: read.notBefore.getTime() === contents.notBefore.getTime(),
    notAfter: read.notAfter.getTime() === contents.notAfter.getTime() && contents.notAfter > contents.notBefore,
    publicKey: Buffer.from(read.publicKey.rawData).equals(serialize(contents.spki)),
    basicConstraints:
      constraints?.critical === true &&
      constraints.ca === profile.isCa &&
      constraints.pathLength === profile.pathLength,
    keyUsage: Number(read.getExtension(reader.KeyUsagesExtension)?.usages) === keyUsageFlagsOf(contents),
    extendedKeyUsage: isDeepStrictEqual(purposes, profile.extendedKeyUsage),
    subjectAltName: isDeepStrictEqual(
      altNames,
      contents.dnsNames.map((value) => ['dns', value]),
    ),
    authorityKeyIdentifier: authority?.keyId === contents.authorityKeyIdentifier.toString('hex'),
    nameConstraints: isDeepStrictEqual(info.permittedDomains ?? [], contents.permittedDomains),
    signature: await read.verify({ publicKey: ca.verifyKey, signatureOnly: true }),
  };
  const wrong = Object.keys(wanted).filter((field) => wanted[field] !== true);
  if (wrong.length > 0) throw new Error(`a new certificate did not read back: ${wrong.join(', ')}`);
}
