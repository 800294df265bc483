// What is missing from a CA that verifies nevertheless: one made by openssl or easy-rsa with their defaults, or made
// long ago. What keeps a CA from working is in verify.ts. Pure; plan/findings.ts has the words.

import type { CertificateInfo } from './certificate.js';
import { derTags, expectTag, readInside, readOid, readSequence, type DerElement } from './der.js';
import { weakDigestOf } from './verify.js';

/** `found` is used in messages; '' if there is nothing to add. */
export interface CaFlaw {
  readonly code: 'no-key-usage' | 'no-path-length' | 'not-critical' | 'no-key-identifier' | 'weak-signature';
  readonly found: string;
}

interface Extension {
  readonly isCritical: boolean;
  readonly value: Buffer;
}

/**
 * What else a CA certificate should have, in the order of the profile (certificate/profile.ts).
 * @source RFC 5280 4.2.1.2 (subjectKeyIdentifier), 4.2.1.3 (keyUsage), 4.2.1.9 (basicConstraints)
 */
export function caFlaws(ca: CertificateInfo): readonly CaFlaw[] {
  const extensions = extensionsOf(ca);
  const constraints = extensions.get('2.5.29.19');
  const usage = extensions.get('2.5.29.15');
  const hasPathLength =
    constraints !== undefined && readSequence(constraints.value).some(({ tag }) => tag === derTags.integer);
  const loose = [
    ...(constraints?.isCritical === false ? ['basicConstraints'] : []),
    ...(usage?.isCritical === false ? ['keyUsage'] : []),
  ];
  const digest = weakDigestOf(ca);
  const flaws: readonly (CaFlaw | false)[] = [
    usage === undefined && { code: 'no-key-usage', found: '' },
    !hasPathLength && { code: 'no-path-length', found: '' },
    loose.length > 0 && { code: 'not-critical', found: loose.join(' and ') },
    ca.subjectKeyIdentifier === undefined && { code: 'no-key-identifier', found: '' },
    digest !== undefined && { code: 'weak-signature', found: digest },
  ];
  return flaws.filter((flaw) => flaw !== false);
}

/** RFC 5280 4.1: the last field of a TBSCertificate, [3] EXPLICIT, which a certificate without extensions lacks. */
function extensionsOf({ der }: CertificateInfo): ReadonlyMap<string, Extension> {
  const [tbs] = readSequence(der);
  const field = readInside(tbs).find(({ tag }) => tag === 0xa3);
  const list = field === undefined ? [] : readInside(readInside(field, 0xa3)[0]);
  return new Map(list.map((one) => readExtension(readInside(one))));
}

function readExtension(parts: readonly DerElement[]): [string, Extension] {
  const { contents } = expectTag(parts.at(-1), derTags.octetString);
  return [readOid(parts[0]), { isCritical: parts.length === 3 && parts[1]?.contents[0] === 0xff, value: contents }];
}
