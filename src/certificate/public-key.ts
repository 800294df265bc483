// Public keys: their DER, their type, whether two are equal. weak-key.ts judges whether a key is weak.
//
// The type is read from the SPKI, which is safe to export: Node 20 sometimes deadlocks when thousands of fresh EC keys
// have their `asymmetricKeyDetails` read or are exported as JWK.

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { KeyType } from '../settings/settings.js';
import { derTags, expectTag, readInside, readOid, readSequence } from './der.js';

/** The DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7) of a public key, or of a private key's public half. */
export function encodeSpki(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
}

/**
 * The type of the key in a DER SubjectPublicKeyInfo, in the words of the settings; undefined for any other algorithm,
 * curve or size.
 * @throws DerError if it is not a SubjectPublicKeyInfo
 */
export function keyTypeOfSpki(spki: Buffer): KeyType | undefined {
  const [algorithm, bits] = readSequence(spki);
  const [oid, parameters] = readInside(algorithm);
  switch (readOid(oid)) {
    case '1.2.840.10045.2.1': // RFC 5480 id-ecPublicKey
      return parameters?.tag === derTags.oid ? curveTypes.get(readOid(parameters)) : undefined;
    case '1.2.840.113549.1.1.1': {
      // RFC 3279 2.3.1 rsaEncryption
      const rsaKey = expectTag(bits, derTags.bitString).contents.subarray(1);
      const [modulus] = readSequence(rsaKey);
      const hex = expectTag(modulus, derTags.integer).contents.toString('hex');
      return rsaTypes.get(BigInt(`0x0${hex}`).toString(2).length);
    }
    case '1.3.101.112': // RFC 8410 id-Ed25519
      return 'ed25519';
    default:
      return undefined;
  }
}

/** RFC 5480 2.1.1.1 secp256r1, secp384r1. */
const curveTypes: ReadonlyMap<string, KeyType> = new Map([
  ['1.2.840.10045.3.1.7', 'ecdsa-p256'],
  ['1.3.132.0.34', 'ecdsa-p384'],
]);

/** By the bits of the modulus. */
const rsaTypes: ReadonlyMap<number, KeyType> = new Map([
  [2048, 'rsa-2048'],
  [3072, 'rsa-3072'],
  [4096, 'rsa-4096'],
]);

/** True if two keys have the same public half; the DER is compared. */
export function samePublicKey(a: KeyObject, b: KeyObject): boolean {
  return encodeSpki(a).equals(encodeSpki(b));
}
