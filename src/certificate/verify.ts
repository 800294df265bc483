// Judges whether a certificate is what the settings ask for. Findings are data, never exceptions. Pure: no disk, no
// clock. The same rules apply to a new certificate and to one on disk.

import { timeText } from '../errors.js';
import { generationOf } from './ca-name.js';
import { clientAuth, profileNameOf, profiles, serverAuth } from './profile.js';
import type { Role } from '../settings/settings.js';
import type { CertificateInfo } from './certificate.js';

export type CertificateFindingCode =
  | 'wrong-name' // names other than those expected, or one too many
  | 'wrong-issuer' // another CA signed it, or its signature is wrong
  | 'wrong-purpose' // extended key usage or key usage is not the role's
  | 'wrong-constraints' // a CA's permitted domains are not those expected
  | 'outside-constraints' // a leaf's name is outside the CA's permitted domains
  | 'expired'
  | 'not-yet-valid'
  | 'outlives-ca'
  | 'weak-signature' // a leaf whose signature is over MD5 or SHA-1, which OpenSSL refuses
  | 'names-ca-serial' // a leaf that a renewed CA would not match
  | 'is-ca' // a leaf that could sign
  | 'not-ca'; // a CA that cannot

/** Put into words in plan/findings.ts. `found` may come from a foreign certificate: quote it before it is printed. */
export interface CertificateFinding {
  readonly code: CertificateFindingCode;
  readonly expected: string;
  readonly found: string;
}

export interface ExpectedLeaf {
  readonly role: Role;
  readonly isInbound: boolean;
  readonly hostname: string;
  readonly altNames: readonly string[];
}

export interface ExpectedCa {
  /** As in the settings; a CA's later keys have a number after the name. */
  readonly commonName: string;
  /** Not checked if undefined. */
  readonly permittedDomains?: readonly string[];
}

/** Everything wrong with a leaf of this CA for this host at this instant; empty if it is valid. */
export function checkLeaf(
  leaf: CertificateInfo,
  ca: CertificateInfo,
  expected: ExpectedLeaf,
  at: Date,
): readonly CertificateFinding[] {
  return [
    ...findIf(!leaf.isSignedBy(ca), 'wrong-issuer', () => [ca.x509.subject, leaf.x509.issuer]),
    ...checkContents(leaf, ca, expected),
    ...checkValidity(leaf, at),
  ];
}

/** The same without the signature, which takes most of the time, and without the validity: only the contents. */
export function checkContents(
  leaf: CertificateInfo,
  ca: CertificateInfo,
  expected: ExpectedLeaf,
): readonly CertificateFinding[] {
  const names = [...new Set([expected.hostname, ...expected.altNames])];
  const hasOnlyNames = leaf.otherNameCount === 0;
  const isNamed =
    hasOnlyNames &&
    haveSameMembers(names, leaf.dnsNames) &&
    (leaf.commonName === undefined || leaf.commonName === expected.hostname);
  const isListed = hasOnlyNames && leaf.dnsNames.length > 0;
  const found = (): string => (isListed ? listWords(leaf.dnsNames) : (leaf.x509.subjectAltName ?? leaf.x509.subject));
  const { keyUsage, extendedKeyUsage } = profiles[profileNameOf(expected)];
  const hasPurpose =
    keyUsage.every((bit) => leaf.keyUsage?.includes(bit) === true) &&
    haveSameMembers(extendedKeyUsage, leaf.extendedKeyUsage);
  const outside = names.filter((name) => !isPermitted(name, ca.permittedDomains));
  return [
    ...findIf(leaf.isCa, 'is-ca', () => ['not a CA', 'a CA']),
    ...findIf(!isNamed, 'wrong-name', () => [listWords(names), found()]),
    ...findIf(!hasPurpose, 'wrong-purpose', () => [extendedKeyUsage, leaf.extendedKeyUsage].map(namePurposes)),
    ...findIf(outside.length > 0, 'outside-constraints', () => [ca.permittedDomains, outside].map(listWords)),
    ...findIf(leaf.notAfter > ca.notAfter, 'outlives-ca', () => [ca, leaf].map(endOf)),
    ...findIf(leaf.namesCaSerial, 'names-ca-serial', () => ['', '']),
    ...findIf(weakDigestOf(leaf) !== undefined, 'weak-signature', () => ['SHA-256', weakDigestOf(leaf) ?? '']),
  ];
}

/** Everything wrong with a CA certificate at this instant; empty if it is valid. */
export function checkCa(
  ca: CertificateInfo,
  { commonName, permittedDomains: domains = ca.permittedDomains }: ExpectedCa,
  at: Date,
): readonly CertificateFinding[] {
  const isNamed = generationOf(commonName, ca.commonName) !== undefined;
  const isConstrained = haveSameMembers(domains ?? [], ca.permittedDomains ?? []);
  return [
    ...findIf(!ca.isCa, 'not-ca', () => ['a CA', 'not a CA']),
    ...findIf(!ca.isSignedBy(ca), 'wrong-issuer', () => [ca.x509.subject, ca.x509.issuer]),
    ...findIf(!isNamed, 'wrong-name', () => [commonName, ca.commonName ?? ca.x509.subject]),
    ...findIf(ca.extendedKeyUsage.length > 0, 'wrong-purpose', () => ['', namePurposes(ca.extendedKeyUsage)]),
    ...findIf(!isConstrained, 'wrong-constraints', () => [domains, ca.permittedDomains].map(listWords)),
    ...checkValidity(ca, at),
  ];
}

/**
 * A finding if the instant is outside the validity. RFC 5280 4.1.2.5 includes both ends, but OpenSSL refuses from
 * notAfter on, and a certificate that Postfix refuses is not valid here.
 */
function checkValidity(certificate: CertificateInfo, at: Date): readonly CertificateFinding[] {
  const { notBefore, notAfter } = certificate;
  if (at < notBefore) return findIf(true, 'not-yet-valid', () => [timeText(notBefore), timeText(at)]);
  return findIf(at >= notAfter, 'expired', () => [timeText(notAfter), timeText(at)]);
}

const none: readonly CertificateFinding[] = [];

/** What was expected and what was found, worded only if it is wrong. */
function findIf(
  isWrong: boolean,
  code: CertificateFindingCode,
  words: () => readonly string[],
): readonly CertificateFinding[] {
  if (!isWrong) return none;
  const [expected = '', found = ''] = words();
  return [{ code, expected, found }];
}

function endOf({ notAfter }: CertificateInfo): string {
  return timeText(notAfter);
}

/** RFC 3279 2.2, RFC 5758 3.2: signature algorithms that OpenSSL and GnuTLS refuse by default. */
const weakDigests: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.1.1.2', 'MD2'],
  ['1.2.840.113549.1.1.4', 'MD5'],
  ['1.2.840.113549.1.1.5', 'SHA-1'],
  ['1.2.840.10045.4.1', 'SHA-1'],
  ['1.2.840.10040.4.3', 'SHA-1'],
]);

/** The digest of a certificate's signature, if verifiers refuse it today. */
export function weakDigestOf({ signatureAlgorithm }: CertificateInfo): string | undefined {
  return weakDigests.get(signatureAlgorithm);
}

/** RFC 5280 4.2.1.10: a dNSName is within a subtree if it equals it or adds labels to it. */
export function isPermitted(name: string, permittedDomains: readonly string[] | undefined): boolean {
  if (permittedDomains === undefined || permittedDomains.length === 0) return true;
  return permittedDomains.some((domain) => name === domain || name.endsWith(`.${domain}`));
}

const purposeNames: ReadonlyMap<string, string> = new Map([
  [serverAuth, 'serverAuth'],
  [clientAuth, 'clientAuth'],
]);

function namePurposes(oids: readonly string[]): string {
  return listWords(oids.map((oid) => purposeNames.get(oid) ?? oid));
}

function listWords(words: readonly string[] | undefined): string {
  return (words ?? []).join(', ');
}

function haveSameMembers(a: readonly string[], b: readonly string[]): boolean {
  if (a.length === b.length && a.every((member, index) => member === b[index])) return true;
  const [first, second] = [new Set(a), new Set(b)];
  return first.size === second.size && [...first].every((member) => second.has(member));
}
