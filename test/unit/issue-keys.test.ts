// Keys without any other program: what is refused, and that no secret leaks into messages.

import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { encodePrivateKey, generateKey } from '../../src/issue/keys.js';
import { decryptPrivateKey, encryptPrivateKey } from '../../src/issue/pbes2.js';
import { readPemBlocks, writePem } from '../../src/certificate/pem.js';
import { parsePrivateKey } from '../../src/certificate/private-key.js';
import { encodeSpki, keyTypeOfSpki, samePublicKey } from '../../src/certificate/public-key.js';
import { Secret } from '../../src/secret.js';
import { keyTypes } from '../../src/settings/settings.js';
import { openssl } from '../support/openssl.js';

test.each(keyTypes)('a key of %s reports its type, and survives PEM', async (keyType) => {
  const { privateKey, publicKey } = await generateKey(keyType);
  expect(keyTypeOfSpki(encodeSpki(publicKey))).toBe(keyType);
  expect(keyTypeOfSpki(encodeSpki(privateKey))).toBe(keyType);
  const encoded = encodePrivateKey(privateKey);
  expect(encoded.toString() + inspect(encoded) + JSON.stringify(encoded)).not.toContain('PRIVATE');
  expect(encoded.revealText()).toMatch(/^-----BEGIN PRIVATE KEY-----\n[^]*\n-----END PRIVATE KEY-----\n$/u);
  expect(samePublicKey(parsePrivateKey(encoded.revealBytes()), publicKey)).toBe(true);
});

test('two keys of one type are not the same', async () => {
  const [a, b] = await Promise.all([generateKey('ed25519'), generateKey('ed25519')]);
  expect(samePublicKey(a.publicKey, b.publicKey)).toBe(false);
  expect(samePublicKey(a.privateKey, a.publicKey)).toBe(true);
});

function catchError(work: () => unknown): RelaycertsError {
  try {
    work();
  } catch (error) {
    if (error instanceof RelaycertsError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

const body = randomBytes(48).toString('base64');

test.each([
  ['nothing', '', 'holds no private key'],
  ['a certificate', writePem('CERTIFICATE', randomBytes(60)), 'holds no private key'],
  ['a public key', writePem('PUBLIC KEY', randomBytes(60)), 'holds no private key'],
  ['random DER', writePem('PRIVATE KEY', randomBytes(60)), 'is damaged'],
  ['an encrypted key', writePem('ENCRYPTED PRIVATE KEY', randomBytes(60)), 'is encrypted'],
  [
    'RFC 1421 headers',
    `-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n${body}\n-----END RSA PRIVATE KEY-----`,
    'is encrypted',
  ],
  ['an OpenSSH key', writePem('OPENSSH PRIVATE KEY', randomBytes(60)), 'which TLS does not use'],
  ['no end', `-----BEGIN PRIVATE KEY-----\n${body}\n`, 'does not end'],
  ['another end', `-----BEGIN PRIVATE KEY-----\n${body}\n-----END CERTIFICATE-----`, 'does not end'],
  ['no base64', '-----BEGIN PRIVATE KEY-----\n$%&/\n-----END PRIVATE KEY-----', 'is not base64'],
  ['an empty block', '-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----', 'is not base64'],
  ['two mebibytes', 'x'.repeat(2 * 2 ** 20), 'more than 1048576'],
])('a key file with %s is refused', (_name, text, words) => {
  const caught = catchError(() => parsePrivateKey(text, { from: 'host.key.pem' }));
  expect(caught.code).toBe('certificate');
  expect(caught.hint).toBeTruthy();
  expect(caught.message).toContain(words);
  expect(caught.message).toContain('host.key.pem');
  expect(inspect(caught)).not.toContain(body);
});

test('the private key is found behind other blocks, and the first one counts', async () => {
  const [a, b] = await Promise.all([generateKey('ecdsa-p256'), generateKey('ecdsa-p256')]);
  const text = writePem('CERTIFICATE', randomBytes(9)) + encodePrivateKey(a.privateKey).revealText();
  expect(samePublicKey(parsePrivateKey(text + encodePrivateKey(b.privateKey).revealText()), a.publicKey)).toBe(true);
});

test('hostile PEM costs no more than its length', () => {
  const text = '-----BEGIN '.repeat(90_000);
  const { user } = process.cpuUsage();
  expect(() => readPemBlocks(Buffer.from(text), 'x')).toThrow('does not end');
  // This process's time, in microseconds: the machine may be busy with other work.
  expect(process.cpuUsage().user - user).toBeLessThan(1_000_000);
});

describe('the encrypted key', () => {
  test('opens only with its passphrase, and differs each time', async () => {
    const { privateKey, publicKey } = await generateKey('ecdsa-p256');
    const passphrase = new Secret(randomBytes(32).toString('base64url'));
    const pem = await encryptPrivateKey(privateKey, passphrase, 'random');
    expect(pem).toMatch(
      /^-----BEGIN ENCRYPTED PRIVATE KEY-----\n(?:[A-Za-z0-9+/=]{1,64}\n)+-----END ENCRYPTED PRIVATE KEY-----\n$/u,
    );
    expect(await encryptPrivateKey(privateKey, passphrase, 'random')).not.toBe(pem);
    expect(samePublicKey(await decryptPrivateKey(Buffer.from(pem), passphrase), publicKey)).toBe(true);
  });

  test('a wrong passphrase gives a passphrase error, which does not quote it', async () => {
    const { privateKey } = await generateKey('ecdsa-p256');
    const pem = await encryptPrivateKey(privateKey, new Secret('the right one'), 'random');
    for (const wrong of ['a wrong one', 'the right one\n', 'THE RIGHT ONE', 'x'.repeat(1024)]) {
      const error: unknown = await decryptPrivateKey(pem, new Secret(wrong), { from: 'ca.key' }).catch(
        (e: unknown) => e,
      );
      expect(error).toMatchObject({ code: 'passphrase', message: 'the passphrase does not open ca.key' });
      expect(inspect(error, { depth: 9 })).not.toContain(wrong.trim());
    }
  });

  test.each([
    ['', 'the passphrase is empty'],
    ['x'.repeat(1025), 'longer than 1024'],
  ])('is not made or opened with a passphrase that openssl cannot use', async (text, words) => {
    const { privateKey } = await generateKey('ed25519');
    const sealing = encryptPrivateKey(privateKey, new Secret(text), 'typed');
    await expect(sealing).rejects.toMatchObject({ code: 'passphrase' });
    await expect(sealing).rejects.toThrow(words);
    const pem = await encryptPrivateKey(privateKey, new Secret('x'), 'typed');
    await expect(decryptPrivateKey(pem, new Secret(text))).rejects.toThrow(words);
  });

  test('opens with the most PBKDF2 rounds allowed, and refuses one more', async () => {
    const { privateKey } = await generateKey('ecdsa-p256');
    const pem = encodePrivateKey(privateKey).revealText();
    const withRounds = (rounds: number): string =>
      openssl(['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-iter', String(rounds), '-passout', 'pass:x'], pem);
    expect((await decryptPrivateKey(withRounds(600_000), new Secret('x'))).equals(privateKey)).toBe(true);
    await expect(decryptPrivateKey(withRounds(600_001), new Secret('x'))).rejects.toThrow('asks for more rounds');
  });

  test('is damaged, not locked, if its frame is cut or bent', async () => {
    const { privateKey } = await generateKey('ecdsa-p256');
    const pem = await encryptPrivateKey(privateKey, new Secret('x'), 'typed');
    const der = readPemBlocks(Buffer.from(pem), 'x')[0]?.der ?? Buffer.alloc(0);
    const damaged = [der.subarray(0, -1), der.subarray(0, 40), Buffer.concat([der, Buffer.of(0)]), randomBytes(200)];
    // N = 2^14 made 2^30.
    damaged.push(Buffer.from(der.toString('hex').replace('02024000', '0202ffff'), 'hex'));
    for (const bytes of damaged) {
      const written = writePem('ENCRYPTED PRIVATE KEY', bytes);
      await expect(decryptPrivateKey(written, new Secret('x'))).rejects.toMatchObject({ code: 'certificate' });
    }
    for (const bent of [
      // p = 5 made 127, PBES2's OID another, AES-256's OID another, and scrypt's.
      ['020108020105', '02010802017f', 'more scrypt work'],
      ['2a864886f70d01050d', '2a864886f70d010501', 'not encrypted with PBES2'],
      ['60864801650304012a', '608648016503040101', 'not encrypted with AES-CBC'],
      ['2b06010401da47040b', '2b06010401da47040c', 'neither scrypt nor PBKDF2'],
    ] as const) {
      const hex = der.toString('hex');
      expect(hex).toContain(bent[0]);
      const written = writePem('ENCRYPTED PRIVATE KEY', Buffer.from(hex.replace(bent[0], bent[1]), 'hex'));
      const opening = decryptPrivateKey(written, new Secret('x'));
      await expect(opening).rejects.toMatchObject({ code: 'certificate' });
      await expect(opening).rejects.toThrow(bent[2]);
    }
    for (const text of ['', 'garbage', encodePrivateKey(privateKey).revealText()]) {
      await expect(decryptPrivateKey(text, new Secret('x'))).rejects.toMatchObject({ code: 'certificate' });
    }
  });
});
