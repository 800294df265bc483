// Public keys: their DER, their type, their equality. Whether a key is weak is judged in weak-key.ts.
//
// The type is read from the SPKI, whose export is safe: Node 20 deadlocks now and then when thousands of fresh EC keys
// have their `asymmetricKeyDetails` read or are exported as JWK.

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { KeyType } from '../settings/settings.js';
import { derTags, expectTag, readInside, readOid, readSequence } from './der.js';

/** The DER SubjectPublicKeyInfo (RFC 5280 4.1.2.7) of a public key, or of a private key's public half. */
export function encodeSpki(key: KeyObject): Buffer {
  return (key.type === 'private' ? createPublicKey(key) : key).export({ type: 'spki', format: 'der' });
}

/** The key's type in the words of the settings; undefined for any other algorithm, curve or size. */
export function keyTypeOf(publicKey: KeyObject): KeyType | undefined {
  return keyTypeOfSpki(encodeSpki(publicKey));
}

/** The same for a DER SubjectPublicKeyInfo. @throws DerError if it is not one */
export function keyTypeOfSpki(spki: Buffer): KeyType | undefined {
  const [algorithm, bits] = readSequence(spki);
  const [oid, parameters] = readInside(algorithm);
  switch (readOid(oid)) {
    case '1.2.840.10045.2.1': // RFC 5480 id-ecPublicKey
      if (parameters?.tag !== derTags.oid) return undefined;
      if (readOid(parameters) === '1.2.840.10045.3.1.7') return 'ecdsa-p256';
      return readOid(parameters) === '1.3.132.0.34' ? 'ecdsa-p384' : undefined;
    case '1.2.840.113549.1.1.1': {
      // RFC 3279 2.3.1 rsaEncryption
      const rsaKey = expectTag(bits, derTags.bitString).contents.subarray(1);
      const [modulus] = readSequence(rsaKey);
      return rsaTypes.get(bitLength(expectTag(modulus, derTags.integer).contents));
    }
    case '1.3.101.112': // RFC 8410 id-Ed25519
      return 'ed25519';
    default:
      return undefined;
  }
}

const rsaTypes: ReadonlyMap<number, KeyType> = new Map([
  [2048, 'rsa-2048'],
  [3072, 'rsa-3072'],
  [4096, 'rsa-4096'],
]);

function bitLength(integer: Buffer): number {
  const start = integer.findIndex((octet) => octet !== 0);
  return start === -1 ? 0 : (integer.length - start) * 8 - Math.clz32(integer[start] ?? 0) + 24;
}

/** True if two keys have the same public half, compared as DER. */
export function samePublicKey(a: KeyObject, b: KeyObject): boolean {
  return encodeSpki(a).equals(encodeSpki(b));
}
