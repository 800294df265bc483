// Proves that a new certificate has the intended contents: every one with certificate.ts and node:crypto, and those
// chosen by x509.ts also with @peculiar/asn1-x509, whose code had no part in making it (@peculiar/x509 reads with the
// same, and loads twice as much). A failure here is a bug in relaycerts, which the user cannot fix. Only x509.ts
// imports it.

import { verify } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { AsnConvert } from '@peculiar/asn1-schema';
import * as reader from '@peculiar/asn1-x509';
import { profiles } from '../certificate/profile.js';
import { type CertificateInfo, parseCertificate } from '../certificate/certificate.js';
import { keyTypeOfSpki } from '../certificate/public-key.js';
import { type Contents, keyUsageOf, signatures } from './x509-build.js';

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
    issuer: info.isSignedBy(ca ?? info),
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

/**
 * The same, and with OpenSSL's and @peculiar/asn1-x509's readers as well; `ca` is undefined if it is the CA's own.
 * @throws Error naming the fields that differ
 */
export function readBack(der: Buffer, contents: Contents, serial: Buffer, ca: CertificateInfo | undefined): void {
  const info = parseCertificate(der);
  const own = differences(info, contents, serial, ca);
  const read = AsnConvert.parse(der, reader.Certificate);
  const { serialNumber, validity, subjectPublicKeyInfo, extensions = [] } = read.tbsCertificate;
  const { subjectPublicKey } = subjectPublicKeyInfo;
  const find = <T>(id: string, type: new () => T): T | undefined => {
    const found = extensions.find(({ extnID }) => extnID === id);
    return found && AsnConvert.parse(found.extnValue, type);
  };
  const isCritical = (id: string): boolean => extensions.some(({ extnID, critical }) => extnID === id && critical);
  const profile = profiles[contents.kind];
  const constraints = find(reader.id_ce_basicConstraints, reader.BasicConstraints);
  const usage = keyUsageOf(contents).reduce<number>((flags, bit) => flags | reader.KeyUsageFlags[bit], 0);
  const authority = find(reader.id_ce_authorityKeyIdentifier, reader.AuthorityKeyIdentifier);
  // Plain arrays from instances of its own classes.
  const purposes = Array.from(find(reader.id_ce_extKeyUsage, reader.ExtendedKeyUsage) ?? []);
  const names = Array.from(find(reader.id_ce_subjectAltName, reader.SubjectAlternativeName) ?? []);
  const theirs = falseIn({
    serial: Buffer.from(serialNumber).equals(serial),
    notBefore: validity.notBefore.getTime().getTime() === contents.notBefore.getTime(),
    notAfter: validity.notAfter.getTime().getTime() === contents.notAfter.getTime(),
    publicKey: contents.spki.subarray(-subjectPublicKey.byteLength).equals(Buffer.from(subjectPublicKey)),
    basicConstraints:
      isCritical(reader.id_ce_basicConstraints) &&
      constraints?.cA === profile.isCa &&
      constraints.pathLenConstraint === profile.pathLength,
    keyUsage: isCritical(reader.id_ce_keyUsage) && find(reader.id_ce_keyUsage, reader.KeyUsage)?.toNumber() === usage,
    extendedKeyUsage: isDeepStrictEqual(purposes, profile.extendedKeyUsage),
    // Undefined for a name of another kind.
    subjectAltName: isDeepStrictEqual(
      names.map(({ dNSName }) => dNSName),
      contents.dnsNames,
    ),
    authorityKeyIdentifier:
      authority?.keyIdentifier !== undefined &&
      Buffer.from(authority.keyIdentifier.buffer).equals(contents.authorityKeyIdentifier),
    signature: isSigned(read, ca ?? info),
  });
  expectNone([...new Set([...own, ...theirs])]);
}

/** With the signed octets as this reader sees them. */
function isSigned(
  { tbsCertificateRaw: signed, signatureValue }: reader.Certificate,
  { spki, publicKey }: CertificateInfo,
) {
  const keyType = keyTypeOfSpki(spki);
  if (keyType === undefined || signed === undefined) return false;
  return verify(signatures[keyType].digest, Buffer.from(signed), publicKey, Buffer.from(signatureValue));
}

function falseIn(wanted: Readonly<Record<string, boolean>>): readonly string[] {
  return Object.keys(wanted).filter((field) => wanted[field] !== true);
}

function expectNone(wrong: readonly string[]): void {
  if (wrong.length > 0) throw new Error(`a new certificate did not read back: ${wrong.join(', ')}`);
}
