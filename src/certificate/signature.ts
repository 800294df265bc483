// Verifies the signature on a DER structure of RFC 5280 4.1.1 or RFC 2986 4: the signed part, an algorithm, a BIT
// STRING. node:crypto verifies the octets as they are, so that nothing else of the structure has to be decoded.

import { verify, type KeyObject } from 'node:crypto';
import * as der from './der.js';

/** How to verify; `digest` is null if the algorithm includes one. */
export interface Proof {
  readonly family: 'ecdsa-' | 'rsa-' | 'ed25519';
  readonly digest: 'sha256' | 'sha384' | 'sha512' | null;
}

/** Signature algorithms by OID (RFC 5758 3.2, RFC 4055 5, RFC 8410 3), without SHA-1. */
const proofs: ReadonlyMap<string, Proof> = new Map([
  ['1.2.840.10045.4.3.2', { family: 'ecdsa-', digest: 'sha256' }],
  ['1.2.840.10045.4.3.3', { family: 'ecdsa-', digest: 'sha384' }],
  ['1.2.840.10045.4.3.4', { family: 'ecdsa-', digest: 'sha512' }],
  ['1.2.840.113549.1.1.11', { family: 'rsa-', digest: 'sha256' }],
  ['1.2.840.113549.1.1.12', { family: 'rsa-', digest: 'sha384' }],
  ['1.2.840.113549.1.1.13', { family: 'rsa-', digest: 'sha512' }],
  ['1.3.101.112', { family: 'ed25519', digest: null }],
]);

/** How to verify a signature with this AlgorithmIdentifier; undefined for an unknown one. @throws DerError */
export function proofOf(algorithm: der.DerElement | undefined): Proof | undefined {
  const [oid] = der.readInside(algorithm);
  return proofs.get(der.readOid(oid));
}

/** True if the BIT STRING is a signature of this key over the octets. @throws DerError */
export function holds(
  signed: der.DerElement | undefined,
  signature: der.DerElement | undefined,
  { digest }: Proof,
  publicKey: KeyObject,
): boolean {
  const bits = der.expectTag(signature, der.derTags.bitString).contents;
  const octets = der.expectTag(signed, der.derTags.sequence).raw;
  return bits[0] === 0 && verify(digest, octets, publicKey, bits.subarray(1));
}
