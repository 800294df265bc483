// Judges whether a certificate is what the settings ask for. Findings are data, never exceptions. Pure: no disk, no clock.
// The same rules apply to a certificate just issued and to one on disk.

import { generationOf } from './ca-name.js';
import { clientAuth, profiles, serverAuth } from './profile.js';
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
  readonly hostname: string;
  readonly altNames: readonly string[];
}

export interface ExpectedCa {
  /** As in the settings; a CA with a later key has a number after it. */
  readonly commonName: string;
  /** Not checked if left out. */
  readonly permittedDomains?: readonly string[];
}

/** Everything that is wrong with a leaf of this CA for this host at this instant; empty if nothing is. */
export function checkLeaf(
  leaf: CertificateInfo,
  ca: CertificateInfo,
  expected: ExpectedLeaf,
  at: Date,
): readonly CertificateFinding[] {
  const findings: CertificateFinding[] = [];
  if (leaf.isCa) findings.push({ code: 'is-ca', expected: 'not a CA', found: 'a CA' });
  if (!isSignedBy(leaf, ca))
    findings.push({ code: 'wrong-issuer', expected: ca.x509.subject, found: leaf.x509.issuer });

  const names = [...new Set([expected.hostname, ...expected.altNames])];
  const isNamed =
    leaf.otherNameCount === 0 &&
    haveSameMembers(names, leaf.dnsNames) &&
    (leaf.commonName === undefined || leaf.commonName === expected.hostname);
  if (!isNamed) {
    const found =
      leaf.otherNameCount === 0 && leaf.dnsNames.length > 0 ? leaf.dnsNames.join(', ') : describeNames(leaf);
    findings.push({ code: 'wrong-name', expected: names.join(', '), found });
  }

  const profile = profiles[expected.role];
  const hasUsage = profile.keyUsage.every((bit) => leaf.keyUsage?.includes(bit) === true);
  if (!hasUsage || !haveSameMembers(profile.extendedKeyUsage, leaf.extendedKeyUsage)) {
    findings.push({
      code: 'wrong-purpose',
      expected: describePurposes(profile.extendedKeyUsage),
      found: describePurposes(leaf.extendedKeyUsage),
    });
  }

  const outside = names.filter((name) => !isPermitted(name, ca.permittedDomains));
  if (outside.length > 0) {
    const expectedDomains = (ca.permittedDomains ?? []).join(', ');
    findings.push({ code: 'outside-constraints', expected: expectedDomains, found: outside.join(', ') });
  }
  if (leaf.notAfter > ca.notAfter) {
    findings.push({ code: 'outlives-ca', expected: ca.notAfter.toISOString(), found: leaf.notAfter.toISOString() });
  }
  return [...findings, ...checkValidity(leaf, at)];
}

/** Everything that is wrong with a CA certificate at this instant; empty if nothing is. */
export function checkCa(ca: CertificateInfo, expected: ExpectedCa, at: Date): readonly CertificateFinding[] {
  const findings: CertificateFinding[] = [];
  if (!ca.isCa) findings.push({ code: 'not-ca', expected: 'a CA', found: 'not a CA' });
  if (!isSignedBy(ca, ca)) findings.push({ code: 'wrong-issuer', expected: ca.x509.subject, found: ca.x509.issuer });
  if (generationOf(expected.commonName, ca.commonName) === undefined) {
    findings.push({ code: 'wrong-name', expected: expected.commonName, found: ca.commonName ?? ca.x509.subject });
  }
  if (ca.extendedKeyUsage.length > 0) {
    findings.push({ code: 'wrong-purpose', expected: '', found: describePurposes(ca.extendedKeyUsage) });
  }
  const { permittedDomains } = expected;
  if (permittedDomains !== undefined && !haveSameMembers(permittedDomains, ca.permittedDomains ?? [])) {
    findings.push({
      code: 'wrong-constraints',
      expected: permittedDomains.join(', '),
      found: (ca.permittedDomains ?? []).join(', '),
    });
  }
  return [...findings, ...checkValidity(ca, at)];
}

/**
 * A finding if the instant is outside the validity. RFC 5280 4.1.2.5 includes both ends, but OpenSSL refuses from notAfter
 * on, and a certificate that Postfix refuses is not valid here.
 */
export function checkValidity(certificate: CertificateInfo, at: Date): readonly CertificateFinding[] {
  const { notBefore, notAfter } = certificate;
  const found = at.toISOString();
  if (at < notBefore) return [{ code: 'not-yet-valid', expected: notBefore.toISOString(), found }];
  return at >= notAfter ? [{ code: 'expired', expected: notAfter.toISOString(), found }] : [];
}

/** True if the CA's name, key identifier and signature are on it (RFC 5280 6.1.3); validity is not considered. */
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

function describePurposes(oids: readonly string[]): string {
  return oids.map((oid) => purposeNames.get(oid) ?? oid).join(', ');
}

function describeNames(certificate: CertificateInfo): string {
  return certificate.x509.subjectAltName ?? certificate.x509.subject;
}

function haveSameMembers(a: readonly string[], b: readonly string[]): boolean {
  const [first, second] = [new Set(a), new Set(b)];
  return first.size === second.size && [...first].every((member) => second.has(member));
}
