// Keys and fingerprints against OpenSSL: it opens what we encrypt, we read what it writes, and the digests agree.

import { createPublicKey } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { parseCertificate, parseCertificates } from '../../src/certificate/certificate.js';
import { fingerprintOf, parsePinned, pinOf, renderPins } from '../../src/certificate/fingerprint.js';
import { digests } from '../../src/certificate/pin-kinds.js';
import { encodePrivateKey, generateKey } from '../../src/issue/keys.js';
import { decryptPrivateKey, encryptPrivateKey } from '../../src/issue/pbes2.js';
import { parsePrivateKey } from '../../src/certificate/private-key.js';
import { encodeSpki, keyTypeOfSpki, samePublicKey } from '../../src/certificate/public-key.js';
import { Secret } from '../../src/secret.js';
import { type KeyType, keyTypes } from '../../src/settings/settings.js';
import { makeCa, makeLeaf } from '../support/chain.js';
import { makeScratch, openssl, runTool } from '../support/openssl.js';

const scratch = makeScratch();
afterAll(() => {
  scratch.remove();
});

const genpkeyArguments: Readonly<Record<KeyType, readonly [string, ...string[]]>> = {
  'ecdsa-p256': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'ecdsa-p384': ['EC', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'rsa-2048': ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  'rsa-3072': ['RSA', '-pkeyopt', 'rsa_keygen_bits:3072'],
  'rsa-4096': ['RSA', '-pkeyopt', 'rsa_keygen_bits:4096'],
  ed25519: ['ED25519'],
};

describe.each(keyTypes)('%s', (keyType) => {
  test('openssl reads our key, plain and encrypted, and returns the same key', async () => {
    const { privateKey, publicKey } = await generateKey(keyType);
    const spki = encodeSpki(publicKey).toString('hex');
    const plain = encodePrivateKey(privateKey).revealText();
    const publicDer = runTool('openssl', ['pkey', '-pubout', '-outform', 'DER'], plain);
    expect(publicDer.bytes.toString('hex')).toBe(spki);

    const passphrase = 'k7Zq-ünïcode and spaces';
    const secretFile = scratch.write('passphrase', `${passphrase}\n`);
    for (const strength of ['random', 'typed'] as const) {
      const pem = await encryptPrivateKey(privateKey, new Secret(passphrase), strength);
      const opened = runTool('openssl', ['pkey', '-passin', `file:${secretFile}`, '-pubout', '-outform', 'DER'], pem);
      expect(opened.stderr).toBe('');
      expect(opened.bytes.toString('hex')).toBe(spki);
      const structure = openssl(['asn1parse'], pem);
      const [n, p] = strength === 'random' ? ['0400', '01'] : ['4000', '05'];
      expect(structure).toMatch(
        new RegExp(`PBES2[^]*scrypt[^]*INTEGER +:${n}\\n[^]*INTEGER +:08\\n[^]*INTEGER +:${p}\\n[^]*aes-256-cbc`, 'u'),
      );
      expect(runTool('openssl', ['pkey', '-passin', 'pass:wrong', '-noout'], pem).status).not.toBe(0);
    }
  });

  test('we tell the type of the key that openssl makes', () => {
    const [algorithm, ...options] = genpkeyArguments[keyType];
    const key = parsePrivateKey(openssl(['genpkey', '-algorithm', algorithm, ...options]));
    expect(keyTypeOfSpki(encodeSpki(createPublicKey(key)))).toBe(keyType);
  });
});

test.each([
  ['P-521', ['EC', '-pkeyopt', 'ec_paramgen_curve:P-521']],
  ['secp256k1', ['EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1']],
  ['RSA of 1024 bits', ['RSA', '-pkeyopt', 'rsa_keygen_bits:1024']],
  ['RSA of 2047 bits', ['RSA', '-pkeyopt', 'rsa_keygen_bits:2047']],
  ['RSA-PSS', ['RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048']],
  ['Ed448', ['ED448']],
  ['X25519', ['X25519']],
] as const)('%s is none of our key types', (_name, args) => {
  const key = parsePrivateKey(openssl(['genpkey', '-algorithm', ...args]));
  expect(keyTypeOfSpki(encodeSpki(createPublicKey(key)))).toBeUndefined();
});

test.each([
  ['scrypt', ['-scrypt']],
  ['PBKDF2 and AES-256', ['-v2', 'aes-256-cbc']],
  ['PBKDF2 with SHA-512 and AES-128', ['-v2', 'aes-128-cbc', '-v2prf', 'hmacWithSHA512', '-iter', '4000']],
])('we open what openssl pkcs8 -topk8 encrypts with %s', async (_name, args) => {
  const { privateKey, publicKey } = await generateKey('ecdsa-p384');
  const file = scratch.write('pass', 'correct horse\n');
  const plain = encodePrivateKey(privateKey).revealText();
  const pem = openssl(['pkcs8', '-topk8', ...args, '-passout', `file:${file}`], plain);
  const opened = await decryptPrivateKey(pem, new Secret('correct horse'));
  expect(samePublicKey(opened, publicKey)).toBe(true);
  await expect(decryptPrivateKey(pem, new Secret('wrong'), { from: 'ca.key' })).rejects.toMatchObject({
    code: 'passphrase',
    message: 'the passphrase does not open ca.key',
  });
});

test.each([
  ['PBES1', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-3DES', '-passout', 'pass:x'], 'is not encrypted with PBES2'],
  ['the traditional encryption', ['rsa', '-aes256', '-traditional', '-passout', 'pass:x'], 'is not encrypted PKCS#8'],
])('%s is refused in words', async (_name, args, words) => {
  const plain = openssl(['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']);
  const opening = decryptPrivateKey(openssl(args, plain), new Secret('x'));
  await expect(opening).rejects.toMatchObject({ code: 'certificate' });
  await expect(opening).rejects.toThrow(words);
});

test("we read openssl's SEC 1 and PKCS#1 keys, with the text around them", () => {
  const ec = openssl(['ecparam', '-name', 'prime256v1', '-genkey']);
  expect(ec).toContain('BEGIN EC PARAMETERS');
  expect(keyTypeOfSpki(encodeSpki(parsePrivateKey(`some text\n${ec}`)))).toBe('ecdsa-p256');
  const rsa = openssl(['genrsa', '-traditional', '2048']);
  expect(rsa).toContain('BEGIN RSA PRIVATE KEY');
  expect(keyTypeOfSpki(encodeSpki(parsePrivateKey(Buffer.from(rsa.replaceAll('\n', '\r\n')))))).toBe('rsa-2048');
  const encrypted = openssl(['ec', '-aes256', '-passout', 'pass:x'], ec);
  expect(() => parsePrivateKey(encrypted, { from: 'a.key' })).toThrow('the private key in a.key is encrypted');
});

const iso = (date: Date): string => date.toISOString().replace('T', ' ').replace('.000', '');

test('we read what openssl req -x509 writes', () => {
  const key = scratch.path('req.key');
  const pem = openssl([
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    key,
    '-subj',
    '/C=DE/O=Example, Inc./CN=host.example.org',
    '-days',
    '10',
    '-utf8',
    '-addext',
    'subjectAltName=DNS:host.example.org,DNS:other.example.org,IP:192.0.2.1,email:a@example.org',
    '-addext',
    'extendedKeyUsage=serverAuth,clientAuth',
    '-addext',
    'keyUsage=critical,digitalSignature,keyCertSign',
  ]);
  const info = parseCertificate(pem);
  expect(info).toMatchObject({
    commonName: 'host.example.org',
    dnsNames: ['host.example.org', 'other.example.org'],
    otherNameCount: 2,
    extendedKeyUsage: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    keyUsage: ['digitalSignature', 'keyCertSign'],
    isCa: true,
  });
  expect(info.pem).toBe(pem);
  expect(openssl(['x509', '-noout', '-serial'], pem).trim()).toBe(`serial=${info.serial.toUpperCase()}`);
  const dates = openssl(['x509', '-noout', '-dates', '-dateopt', 'iso_8601'], pem);
  expect(dates).toBe(`notBefore=${iso(info.notBefore)}\nnotAfter=${iso(info.notAfter)}\n`);
  const der = runTool('openssl', ['x509', '-outform', 'DER'], pem).bytes;
  expect(parseCertificates(der, { from: 'x.der' })[0].der.equals(info.der)).toBe(true);
});

test.each([
  ['a comma and a prefix', 'a.example.org, DNS:evil.example.org'],
  ['a quote', 'a.example.org", DNS:"evil.example.org'],
  ['a line end', 'a.example.org\nevil.example.org'],
  ['a NUL', 'mailhost.example.org\0.example.com'],
])('a subjectAltName entry with %s stays one entry, and is not a name', (_what, hostile) => {
  const entry = Buffer.from(hostile, 'latin1');
  const value = Buffer.concat([Buffer.of(0x30, entry.length + 2, 0x82, entry.length), entry]);
  const hex = value.toString('hex').replaceAll(/..(?=.)/gu, '$&:');
  const pem = openssl([
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-keyout',
    scratch.path('h.key'),
    '-subj',
    '/CN=mailhost.example.org',
    '-days',
    '10',
    '-addext',
    `subjectAltName=DER:${hex}`,
  ]);
  const info = parseCertificate(pem);
  expect(info.dnsNames).toEqual([hostile]);
  expect(info.otherNameCount).toBe(0);
  const pin = pinOf(info, 'public-key', 'sha256');
  expect(pin.name).toBeUndefined();
  expect([...renderPins([pin], 'postfix')].join('')).toMatch(/^# unnamed, .*\n\S+ unnamed\n$/u);
});

test('certificates without extensions, and with odd names, are read', () => {
  const key = scratch.write('v1.key', openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521']));
  const config = scratch.write('v1.cnf', '[req]\ndistinguished_name=dn\n[dn]\n');
  // Later releases of OpenSSL make version 3 by default; earlier ones never do without extensions.
  const { stdout, stderr } = runTool('openssl', ['req', '-help']);
  const version = `${stdout}${stderr}`.includes('-x509v1') ? ['-x509v1'] : [];
  const name = ['-subj', '/O=Example/CN=first/CN=Zweiter Näme', '-utf8'];
  const made = ['-config', config, '-x509', ...version, '-days', '5', '-set_serial', '0x8000000001'];
  const v1 = openssl(['req', ...made, '-key', key, ...name]);
  expect(openssl(['x509', '-noout', '-text'], v1)).toContain('Version: 1 (0x0)');
  expect(parseCertificate(v1)).toMatchObject({
    commonName: 'Zweiter Näme',
    dnsNames: [],
    serial: '8000000001',
    keyUsage: undefined,
    extendedKeyUsage: [],
    subjectKeyIdentifier: undefined,
  });
});

describe('fingerprints', () => {
  test.each(keyTypes.filter((keyType) => keyType !== 'rsa-4096'))(
    'of %s agree with openssl for every digest',
    async (keyType) => {
      const ca = await makeCa();
      const { pem, info } = await makeLeaf(ca, { keyType });
      const publicPem = openssl(['x509', '-noout', '-pubkey'], pem);
      const spki = runTool('openssl', ['pkey', '-pubin', '-outform', 'DER'], publicPem).bytes;
      const [alone] = parsePinned(publicPem, { from: 'public.pem' });
      for (const digest of digests) {
        const printed = openssl(['x509', '-noout', '-fingerprint', `-${digest}`], pem);
        expect([...renderPins([pinOf(info, 'certificate', digest)], 'openssl')].join('').toLowerCase()).toBe(
          printed.toLowerCase(),
        );
        const piped = openssl(['dgst', `-${digest}`, '-c'], spki)
          .trim()
          .replace(/^.*= /u, '');
        expect(fingerprintOf(info, 'public-key', digest).toLowerCase()).toBe(piped);
        if (alone === undefined) throw new Error('no public key was read');
        expect(fingerprintOf(alone, 'public-key', digest).toLowerCase()).toBe(piped);
      }
      expect([...renderPins([pinOf(info, 'certificate', 'sha256')], 'openssl')].join('')).toBe(
        openssl(['x509', '-noout', '-fingerprint', '-sha256'], pem),
      );
    },
  );
});
