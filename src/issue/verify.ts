// Whether a certificate is what the settings ask for, as data: never an exception. Pure: no disk, no clock. The same
// rules judge what was just issued and what lies on the disk.

import { quote } from '../errors.js';
import { clientAuth, profiles, serverAuth } from '../plan/profile.js';
import type { Role } from '../settings/settings.js';
import type { CertificateInfo } from './certificate.js';

export type CertificateFindingCode =
  | 'wrong-name' // names other than those expected, be it one too many
  | 'wrong-issuer' // another CA signed it, or nobody whose signature holds
  | 'wrong-purpose' // extended key usage or key usage is not the role's
  | 'wrong-constraints' // a CA's permitted domains are not those expected
  | 'outside-constraints' // a leaf's name is outside the CA's permitted domains
  | 'expired'
  | 'not-yet-valid'
  | 'outlives-ca'
  | 'is-ca' // a leaf that could sign
  | 'not-ca'; // a CA that cannot

export interface CertificateFinding {
  readonly code: CertificateFindingCode;
  /** What follows `the certificate FILE ...`; every value from the certificate is quoted in it. */
  readonly text: string;
  /** What mends it, where it is not simply a new certificate. */
  readonly hint?: string;
}

export interface ExpectedLeaf {
  readonly role: Role;
  readonly hostname: string;
  readonly altNames: readonly string[];
}

export interface ExpectedCa {
  readonly commonName: string;
  /** Where left out, not checked. */
  readonly permittedDomains?: readonly string[];
}

/** Everything that is wrong with a leaf of this CA for this host at this instant; empty where nothing is. */
export function checkLeaf(
  leaf: CertificateInfo,
  ca: CertificateInfo,
  expected: ExpectedLeaf,
  at: Date,
): readonly CertificateFinding[] {
  const findings: CertificateFinding[] = [];
  if (leaf.isCa) findings.push({ code: 'is-ca', text: 'is a CA and could sign others' });
  if (!isSignedBy(leaf, ca)) {
    findings.push({
      code: 'wrong-issuer',
      text: `was not signed by ${quote(nameOf(ca))} but by ${quote(leaf.x509.issuer)}`,
    });
  }

  const names = [...new Set([expected.hostname, ...expected.altNames])];
  const isNamed =
    leaf.otherNameCount === 0 &&
    haveSameMembers(names, leaf.dnsNames) &&
    (leaf.commonName === undefined || leaf.commonName === expected.hostname);
  if (!isNamed) {
    const found = leaf.x509.subjectAltName ?? leaf.x509.subject;
    findings.push({ code: 'wrong-name', text: `is for ${quote(found)}, not for ${quote(names.join(', '))}` });
  }

  const profile = profiles[expected.role];
  const hasUsage = profile.keyUsage.every((bit) => leaf.keyUsage?.includes(bit) === true);
  if (!hasUsage || !haveSameMembers(profile.extendedKeyUsage, leaf.extendedKeyUsage)) {
    const found = leaf.extendedKeyUsage.map((oid) => purposeNames.get(oid) ?? oid).join(', ');
    findings.push({
      code: 'wrong-purpose',
      text: `has the purpose ${quote(found)}, which is not that of an ${expected.role}`,
    });
  }

  const outside = names.filter((name) => !isPermitted(name, ca.permittedDomains));
  if (outside.length > 0) {
    findings.push({
      code: 'outside-constraints',
      text: `is for ${quote(outside.join(', '))}, outside what its CA may sign for: ${quote(ca.permittedDomains?.join(', '))}`,
    });
  }
  if (leaf.notAfter > ca.notAfter) {
    findings.push({ code: 'outlives-ca', text: `expires ${day(leaf.notAfter)}, after its CA (${day(ca.notAfter)})` });
  }
  return [...findings, ...checkValidity(leaf, at)];
}

/** Everything that is wrong with a CA certificate at this instant; empty where nothing is. */
export function checkCa(ca: CertificateInfo, expected: ExpectedCa, at: Date): readonly CertificateFinding[] {
  const findings: CertificateFinding[] = [];
  if (!ca.isCa) findings.push({ code: 'not-ca', text: 'is not that of a CA' });
  if (!isSignedBy(ca, ca)) {
    findings.push({ code: 'wrong-issuer', text: `is not self-signed but signed by ${quote(ca.x509.issuer)}` });
  }
  if (ca.commonName !== expected.commonName) {
    const found = ca.commonName ?? ca.x509.subject;
    findings.push({
      code: 'wrong-name',
      text: `is that of the CA ${quote(found)}, not of ${quote(expected.commonName)}`,
      hint: `set ca.commonName in the settings to ${quote(found)}`,
    });
  }
  if (ca.extendedKeyUsage.length > 0) {
    findings.push({ code: 'wrong-purpose', text: 'has an extended key usage, which OpenSSL applies to all it signs' });
  }
  const { permittedDomains } = expected;
  if (permittedDomains !== undefined && !haveSameMembers(permittedDomains, ca.permittedDomains ?? [])) {
    const found = ca.permittedDomains ?? [];
    findings.push({
      code: 'wrong-constraints',
      text: `may sign for ${found.length === 0 ? 'every name' : quote(found.join(', '))}, which is not what ca.permittedDomains says`,
      hint: `set ca.permittedDomains in the settings to ${quote(found)}`,
    });
  }
  return [...findings, ...checkValidity(ca, at)];
}

/**
 * Whether the instant lies inside the validity. RFC 5280 4.1.2.5 counts both ends; OpenSSL refuses from notAfter itself
 * on, and what Postfix refuses is not valid here.
 */
export function checkValidity(certificate: CertificateInfo, at: Date): readonly CertificateFinding[] {
  if (at < certificate.notBefore) {
    const begins = certificate.notBefore.toISOString();
    return [
      { code: 'not-yet-valid', text: `is not valid before ${begins}`, hint: "check this machine's clock: date -u" },
    ];
  }
  return at >= certificate.notAfter ? [{ code: 'expired', text: `expired ${certificate.notAfter.toISOString()}` }] : [];
}

/** Whether the CA's name, key identifier and signature are on it; the validity of either is not looked at. */
export function isSignedBy(certificate: CertificateInfo, ca: CertificateInfo): boolean {
  return (
    certificate.issuer.equals(ca.subject) &&
    (certificate.authorityKeyIdentifier === undefined ||
      certificate.authorityKeyIdentifier === ca.subjectKeyIdentifier) &&
    certificate.x509.verify(ca.publicKey)
  );
}

/** RFC 5280 4.2.1.10: a dNSName is within a subtree that it equals or adds labels to. */
export function isPermitted(name: string, permittedDomains: readonly string[] | undefined): boolean {
  if (permittedDomains === undefined || permittedDomains.length === 0) return true;
  return permittedDomains.some((domain) => name === domain || name.endsWith(`.${domain}`));
}

const purposeNames: ReadonlyMap<string, string> = new Map([
  [serverAuth, 'serverAuth'],
  [clientAuth, 'clientAuth'],
]);

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function nameOf(certificate: CertificateInfo): string {
  return certificate.commonName ?? certificate.x509.subject;
}

function haveSameMembers(a: readonly string[], b: readonly string[]): boolean {
  const [first, second] = [new Set(a), new Set(b)];
  return first.size === second.size && [...first].every((member) => second.has(member));
}
