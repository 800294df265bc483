// PKCS#12 files as OpenSSL, Java, GnuTLS and NSS open them, without their legacy switches: the same key and
// certificates come out for every key type, and a wrong password opens nothing.

import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync } from 'node:fs';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePkcs12 } from '../../src/issue/pkcs12.js';
import { Secret } from '../../src/secret.js';
import { keyTypes, type KeyType } from '../../src/settings/settings.js';
import { makeCa, makeLeaf, type TestCa, type TestLeaf } from '../support/chain.js';
import { makeScratch, openssl, runTool, type Scratch } from '../support/openssl.js';

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const password = 'correct horse battery';

let scratch: Scratch;
let ca: TestCa;
beforeAll(async () => {
  scratch = makeScratch();
  ca = await makeCa();
});
afterAll(() => {
  scratch.remove();
});

async function encode(leaf: TestLeaf, secret: string | Uint8Array = password, isLegacy = false): Promise<Buffer> {
  return encodePkcs12({
    privateKey: leaf.keyPair.privateKey,
    certificate: leaf.info.der,
    authorities: [ca.info.der],
    friendlyName: 'mailhost.example.org',
    password: new Secret(secret),
    isLegacy,
  });
}

const certificatesIn = (text: string): readonly string[] =>
  text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/gu) ?? [];
const words = (from: string, secret: string): readonly string[] => [
  'pkcs12',
  '-in',
  from,
  '-passin',
  `file:${scratch.write('password', secret)}`,
];

describe.each(keyTypes)('%s', (keyType: KeyType) => {
  let leaf: TestLeaf;
  let file: string;
  beforeAll(async () => {
    leaf = await makeLeaf(ca, { keyType });
    file = scratch.write(`${keyType}.p12`, await encode(leaf));
  });

  it('openssl: the key, both certificates, and no old encryption', () => {
    const { stdout, stderr, status } = runTool('openssl', [...words(file, password), '-info', '-nodes']);
    expect(status, stderr).toBe(0);
    expect(stderr).toBe(`MAC: sha256, Iteration 250000
MAC length: 32, salt length: 16
PKCS7 Encrypted data: PBES2, PBKDF2, AES-256-CBC, Iteration 250000, PRF hmacWithSHA256
Certificate bag
Certificate bag
PKCS7 Data
Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 250000, PRF hmacWithSHA256
`);
    expect(certificatesIn(stdout)).toEqual([leaf.pem, ca.pem]);
    expect(createPrivateKey(stdout).equals(leaf.keyPair.privateKey)).toBe(true);
    // Key and certificate name each other; the CA's certificate has no part in that.
    const ids = [...stdout.matchAll(/localKeyID: ([0-9A-F ]+)$/gmu)].map(([, id]) => id);
    expect(ids).toHaveLength(2);
    expect(new Set(ids).size).toBe(1);
    expect(stdout.match(/friendlyName: mailhost\.example\.org/gu)).toHaveLength(2);
  });

  it('keytool: the key and both certificates', () => {
    const [to, again] = [scratch.path(`${keyType}-java.p12`), 'another password'];
    const copy = ['-importkeystore', '-srckeystore', file, '-srcstoretype', 'PKCS12', '-srcstorepass', password];
    const target = ['-destkeystore', to, '-deststoretype', 'PKCS12', '-deststorepass', again, '-noprompt'];
    const { stdout, stderr, status } = runTool('keytool', [...copy, ...target]);
    expect(status, stdout + stderr).toBe(0);
    const copied = openssl([...words(to, again), '-nodes']);
    expect(createPrivateKey(copied).equals(leaf.keyPair.privateKey)).toBe(true);
    expect(certificatesIn(copied)).toEqual([leaf.pem, ca.pem]);
  });

  it('certtool: the key and both certificates', () => {
    const publicPem = leaf.keyPair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const info = ['--p12-info', '--inder', '--infile', file, '--password'];
    const { stdout, stderr, status } = runTool('certtool', [...info, password]);
    expect(status, stderr).toBe(0);
    expect(certificatesIn(stdout)).toEqual([leaf.pem, ca.pem]);
    expect(stdout + stderr).toContain('Schema: PBES2-AES256-CBC');
    expect(stdout + stderr).not.toContain('unknown');
    const [encrypted = ''] = /-----BEGIN ENCRYPTED[^]*KEY-----\n/u.exec(stdout) ?? [];
    const from = scratch.write('encrypted.pem', encrypted);
    const load = ['--pubkey-info', '--pkcs8', '--password', password, '--load-privkey', from];
    const opened = runTool('certtool', load);
    expect(opened.stdout, opened.stderr).toContain(publicPem);
  });
});

describe('for programs that open nothing else', () => {
  let leaf: TestLeaf;
  let file: string;
  beforeAll(async () => {
    leaf = await makeLeaf(ca, { keyType: 'rsa-2048' });
    file = scratch.write('legacy.p12', await encode(leaf, password, true));
  });

  it('openssl: triple DES and SHA-1, with the same key and certificates', () => {
    const { stdout, stderr, status } = runTool('openssl', [...words(file, password), '-info', '-nodes']);
    expect(status, stderr).toBe(0);
    expect(stderr).toBe(`MAC: sha1, Iteration 2048
MAC length: 20, salt length: 8
PKCS7 Encrypted data: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048
Certificate bag
Certificate bag
PKCS7 Data
Shrouded Keybag: pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048
`);
    expect(certificatesIn(stdout)).toEqual([leaf.pem, ca.pem]);
    expect(createPrivateKey(stdout).equals(leaf.keyPair.privateKey)).toBe(true);
    expect(runTool('openssl', [...words(file, 'wrong password'), '-nodes']).status).not.toBe(0);
  });

  it('passwords of any length open it, and node-forge reads it', async () => {
    for (const secret of ['a', 'p\u00e4ssword', 'x'.repeat(100), '\ud83d\udd11 key']) {
      const from = scratch.write('any.p12', await encode(leaf, secret, true));
      expect(certificatesIn(openssl([...words(from, secret), '-nodes']))).toEqual([leaf.pem, ca.pem]);
    }
    const opened = forge.pkcs12.pkcs12FromAsn1(forge.asn1.fromDer(readFileSync(file).toString('latin1')), password);
    expect(opened.getBags({ bagType: forge.pki.oids['certBag'] ?? '' })[forge.pki.oids['certBag'] ?? '']).toHaveLength(
      2,
    );
  });

  it('keytool and NSS import it', () => {
    const list = ['-list', '-keystore', file, '-storetype', 'PKCS12', '-storepass', password];
    expect(runTool('keytool', list).stdout).toContain('PrivateKeyEntry');
    const imported = runTool('pk12util', ['-i', file, '-d', newStore('nss-legacy'), '-W', password]);
    expect(imported.stdout + imported.stderr).toContain('PKCS12 IMPORT SUCCESSFUL');
  });
});

/** A new, empty certificate database of NSS. */
function newStore(name: string): string {
  const folder = scratch.path(name);
  mkdirSync(folder);
  expect(runTool('certutil', ['-N', '-d', `sql:${folder}`, '--empty-password']).status).toBe(0);
  return `sql:${folder}`;
}

// Debian 12's NSS does not accept Ed25519 keys in any file. It needs seconds to open one.
const nssTypes = isDeep ? keyTypes.filter((keyType) => keyType !== 'ed25519') : (['ecdsa-p256', 'rsa-2048'] as const);
describe.each<KeyType>(nssTypes)('NSS: %s', (keyType) => {
  it('pk12util imports key and chain, paired', async () => {
    const leaf = await makeLeaf(ca, { keyType });
    const file = scratch.write(`nss-${keyType}.p12`, await encode(leaf));
    const store = newStore(`nss-${keyType}`);
    const imported = runTool('pk12util', ['-i', file, '-d', store, '-W', password]);
    expect(imported.stdout + imported.stderr).toContain('PKCS12 IMPORT SUCCESSFUL');
    // "u": a certificate whose private key is there.
    expect(runTool('certutil', ['-L', '-d', store]).stdout).toMatch(/^mailhost\.example\.org +u,u,u$/mu);
  });
});

describe('a wrong password opens nothing', () => {
  let leaf: TestLeaf;
  let file: string;
  beforeAll(async () => {
    leaf = await makeLeaf(ca);
    file = scratch.write('closed.p12', await encode(leaf));
  });

  it('with openssl', () => {
    for (const wrong of ['wrong password', `${password} `, password.toUpperCase()]) {
      const { status, stdout, stderr } = runTool('openssl', [...words(file, wrong), '-nodes']);
      expect(status).not.toBe(0);
      expect(stdout).toBe('');
      expect(stderr).toContain('invalid password');
    }
  });

  it('with keytool, and the right one shows one entry with its chain', () => {
    const list = ['-list', '-v', '-storetype', 'PKCS12', '-keystore', file, '-storepass'];
    const { stdout, stderr, status } = runTool('keytool', [...list, password]);
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain('Your keystore contains 1 entry');
    expect(stdout).toMatch(
      /Alias name: mailhost\.example\.org\n.*\nEntry type: PrivateKeyEntry\nCertificate chain length: 2/u,
    );
    expect(stdout).toContain(leaf.info.x509.fingerprint256);
    expect(stdout).toContain(ca.info.x509.fingerprint256);
    expect(runTool('keytool', [...list, 'wrong password'])).toMatchObject({ status: 1 });
  });

  it('with certtool', () => {
    const info = ['--p12-info', '--inder', '--infile', file, '--password', 'wrong password'];
    const { stdout, stderr, status } = runTool('certtool', info);
    expect(status).not.toBe(0);
    expect(certificatesIn(stdout)).toEqual([]);
    expect(stdout + stderr).toContain('Message Authentication Code verification failed');
  });

  it('with NSS', () => {
    const store = newStore('nss-closed');
    expect(runTool('pk12util', ['-i', file, '-d', store, '-W', 'wrong password']).status).not.toBe(0);
  });
});

describe('the password', () => {
  it.each([
    ['Latin letters with accents', 'pässwörd'],
    ['another alphabet', 'пароль'],
    ['outside the BMP', 'key \u{1f511} and \u{1d7d8}'],
    ['one character', 'x'],
    ['31 characters, with their zero a whole block', 'a'.repeat(31)],
    ['32 characters', 'b'.repeat(32)],
    ['200 characters', 'long '.repeat(40)],
  ])('%s: openssl and certtool open it', async (_name, secret) => {
    const leaf = await makeLeaf(ca);
    const file = scratch.write('password.p12', await encode(leaf, secret));
    const { stdout, stderr, status } = runTool('openssl', [...words(file, `${secret}\n`), '-nodes']);
    expect(status, stderr).toBe(0);
    expect(createPrivateKey(stdout).equals(leaf.keyPair.privateKey)).toBe(true);
    const gnutls = runTool('certtool', ['--p12-info', '--inder', '--infile', file, '--password', secret]);
    expect(gnutls.status, gnutls.stderr).toBe(0);
    expect(certificatesIn(gnutls.stdout)).toEqual([leaf.pem, ca.pem]);
  });

  it('empty, or not UTF-8, is refused', async () => {
    const leaf = await makeLeaf(ca);
    await expect(encode(leaf, '')).rejects.toMatchObject({ code: 'passphrase', message: 'the password is empty' });
    await expect(encode(leaf, Buffer.from([0x70, 0xe4, 0x73]))).rejects.toMatchObject({
      code: 'passphrase',
      message: 'the password is not text in UTF-8',
    });
  });

  it('the same twice gives other salts, keys and octets', async () => {
    const leaf = await makeLeaf(ca);
    const [one, two] = [await encode(leaf), await encode(leaf)];
    expect(one.length).toBe(two.length);
    let alike = 0;
    for (const [at, octet] of one.entries()) if (two[at] === octet) alike += 1;
    expect(alike).toBeLessThan(one.length / 3);
    expect(one.includes(leaf.keyPair.privateKey.export({ type: 'pkcs8', format: 'der' }).subarray(-32))).toBe(false);
  });
});

it('DER: openssl writes the very same octets again', async () => {
  const file = scratch.write('der.p12', await encode(await makeLeaf(ca)));
  const parsed = runTool('openssl', [
    'asn1parse',
    '-inform',
    'DER',
    '-in',
    file,
    '-noout',
    '-out',
    scratch.path('again'),
  ]);
  expect(parsed.status, parsed.stderr).toBe(0);
  expect(readFileSync(scratch.path('again')).equals(readFileSync(file))).toBe(true);
});

it('pkcs12.ts is loaded only when a file is made', () => {
  const folder = new URL('../../src/', import.meta.url);
  const importing = (what: RegExp): readonly string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))
      .filter((path) => what.test(readFileSync(new URL(path, folder), 'utf8')));
  expect(importing(/from '[^']*\/pkcs12\.js'/u)).toEqual([]);
});
