import { generateKeyPairSync, generatePrimeSync, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { writeBitString, writeElement, writeInteger, writeOid, writeSequence } from '../../src/certificate/der.js';
import { encodeSpki } from '../../src/certificate/public-key.js';
import { findKeyWeakness } from '../../src/certificate/weak-key.js';

const prime = (size: number): bigint => generatePrimeSync(size, { bigint: true });
const hexOf = (value: bigint): string => {
  const hex = value.toString(16);
  return hex.padStart(hex.length + (hex.length % 2), '0');
};

function rsaSpki(modulus: bigint): Buffer {
  const octets = writeElement(0x02, Buffer.from(`00${hexOf(modulus)}`, 'hex'));
  const algorithm = writeSequence(writeOid('1.2.840.113549.1.1.1'), writeElement(0x05));
  return writeSequence(algorithm, writeBitString(writeSequence(octets, writeInteger(65_537))));
}

const ed25519Spki = (point: string): Buffer =>
  writeSequence(writeSequence(writeOid('1.3.101.112')), writeBitString(Buffer.from(point, 'hex')));

const power = (exponent: bigint, modulus: bigint): bigint => {
  let [result, base] = [1n, 2n];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * base) % modulus;
    base = (base * base) % modulus;
  }
  return result;
};

/** The next prime above, by Fermat's test with 2. */
function nextPrime(above: bigint): bigint {
  for (let candidate = above + 2n; ; candidate += 2n) {
    if (power(candidate - 1n, candidate) === 1n) return candidate;
  }
}

/** A modulus with the residues of a ROCA one, free of small factors. */
function rocaModulus(): bigint {
  const primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97];
  const product = [...primes, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167]
    .map(BigInt)
    .reduce((a, b) => a * b, 1n);
  for (;;) {
    const modulus = BigInt(`0x${randomBytes(220).toString('hex')}`) * product + 65_537n ** 7n;
    let divisor = 3n;
    while (divisor < 65_536n && modulus % divisor !== 0n) divisor += 2n;
    if (divisor >= 65_536n) return modulus;
  }
}

describe('weak keys', () => {
  const close = prime(512);
  test.each([
    ['three times a prime', () => 3n * prime(1024), 'its modulus is a multiple of 3'],
    ['a factor of 16 bits', () => 65_521n * prime(1024), 'its modulus is a multiple of 65521'],
    ['a prime', () => prime(1024), 'its modulus is a prime'],
    ['the square of a prime', () => close * close, 'its two primes are too close'],
    ['neighbouring primes', () => close * nextPrime(close), 'its two primes are too close'],
    ['a ROCA modulus', rocaModulus, 'it comes from a faulty chip or library (ROCA, CVE-2017-15361)'],
  ])('RSA: %s', (_, modulus, weakness) => {
    expect(findKeyWeakness(rsaSpki(modulus()), 'rsa-2048')).toBe(weakness);
  });

  test.each(['00', '80'])('Ed25519: points of small order, sign bit %s', (sign) => {
    const end = (octet: number): string => (octet | Number.parseInt(sign, 16)).toString(16).padStart(2, '0');
    for (const point of [
      `01${'00'.repeat(30)}${end(0)}`,
      `ec${'ff'.repeat(30)}${end(0x7f)}`,
      `${'00'.repeat(31)}${end(0)}`,
    ]) {
      expect(findKeyWeakness(ed25519Spki(point), 'ed25519')).toBe('it is a point of small order');
    }
  });

  test('keys made by node:crypto have no known fault', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(findKeyWeakness(encodeSpki(rsa.publicKey), 'rsa-2048')).toBeUndefined();
    expect(findKeyWeakness(encodeSpki(generateKeyPairSync('ed25519').publicKey), 'ed25519')).toBeUndefined();
    const p256 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    expect(findKeyWeakness(encodeSpki(p256.publicKey), 'ecdsa-p256')).toBeUndefined();
  });
});
