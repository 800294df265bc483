// Public keys from outside whose private key can be computed: RSA moduli with a small factor, with one prime or two
// close ones, or from the ROCA generator, and Ed25519 points of small order. request.ts judges type, size and exponent.
// It finds known faults only; a key without findings may still have been made badly.

import { checkPrimeSync } from 'node:crypto';
import type { KeyType } from '../settings/settings.js';
import { derTags, expectTag, readSequence } from './der.js';

/** The rounds of Fermat's method that certificate authorities do (CA/Browser Forum Baseline Requirements 6.1.1.3). */
const fermatRounds = 100;
const trialLimit = 65_536;

/** The primes that identify ROCA moduli (CVE-2017-15361): modulo each, 65537 generates few of the residues. */
const rocaPrimes = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157] as const;

/** RFC 8032 5.1: y coordinates of the Ed25519 points of order 1, 2, 4 and 8, the last two in an encoding above p. */
const smallOrderPoints: ReadonlySet<string> = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/**
 * Why anyone can compute the private key of a DER SubjectPublicKeyInfo of this type; undefined if no fault is known.
 * @throws DerError
 */
export function findKeyWeakness(spki: Buffer, keyType: KeyType): string | undefined {
  const [, bits] = readSequence(spki);
  const key = expectTag(bits, derTags.bitString).contents.subarray(1);
  if (keyType === 'ed25519') {
    const y = Buffer.from(key);
    // The highest bit is the sign of x.
    y[31] = (y[31] ?? 0) & 0x7f;
    return smallOrderPoints.has(y.toString('hex')) ? 'it is a point of small order' : undefined;
  }
  // The other curves have no points of small order: their cofactor is 1 (SEC 2 2.4.2, 2.5.1).
  if (!keyType.startsWith('rsa-')) return undefined;
  const [modulus] = readSequence(key);
  return findModulusWeakness(BigInt(`0x${expectTag(modulus, derTags.integer).contents.toString('hex')}`));
}

function findModulusWeakness(modulus: bigint): string | undefined {
  for (let divisor = 2; divisor < trialLimit; divisor += divisor === 2 ? 1 : 2) {
    if (modulus % BigInt(divisor) === 0n) return `its modulus is a multiple of ${divisor}`;
  }
  if (checkPrimeSync(modulus)) return 'its modulus is a prime';
  if (rocaPrimes.every((prime) => powersOf65537(prime).has(Number(modulus % BigInt(prime))))) {
    return 'it comes from a faulty chip or library (ROCA, CVE-2017-15361)';
  }
  return hasClosePrimes(modulus) ? 'its two primes are too close' : undefined;
}

function powersOf65537(prime: number): ReadonlySet<number> {
  const powers = new Set<number>();
  for (let power = 1; !powers.has(power); power = (power * 65_537) % prime) powers.add(power);
  return powers;
}

/** Fermat's method: n = a² - b² with a near the square root of n, as p and q are near it (one prime twice: b = 0). */
function hasClosePrimes(modulus: bigint): boolean {
  const root = squareRoot(modulus);
  const first = root * root === modulus ? root : root + 1n;
  for (let a = first; a < first + BigInt(fermatRounds); a += 1n) {
    const square = a * a - modulus;
    const b = squareRoot(square);
    if (b * b === square) return true;
  }
  return false;
}

/** The integer square root, by Newton's method from above. */
function squareRoot(value: bigint): bigint {
  if (value < 2n) return value;
  let root = 1n << BigInt((value.toString(2).length >> 1) + 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
