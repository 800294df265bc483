// Certificate requests by openssl and certtool: every accepted form and key, and those that are refused: weak, damaged
// by one bit, or not from the key's owner.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRequest } from '../../src/certificate/request.js';
import type { RelaycertsError } from '../../src/errors.js';
import type { KeyType } from '../../src/settings/settings.js';
import { makeScratch, openssl, runTool, verified, type Scratch } from '../support/openssl.js';
import { refusalOf } from '../support/refusal.js';

let scratch: Scratch;
beforeAll(() => {
  scratch = makeScratch();
});
afterAll(() => {
  scratch.remove();
});

const options: Readonly<Record<KeyType, readonly string[]>> = {
  'ecdsa-p256': ['EC', 'ec_paramgen_curve:P-256'],
  'ecdsa-p384': ['EC', 'ec_paramgen_curve:P-384'],
  'rsa-2048': ['RSA', 'rsa_keygen_bits:2048'],
  'rsa-3072': ['RSA', 'rsa_keygen_bits:3072'],
  'rsa-4096': ['RSA', 'rsa_keygen_bits:4096'],
  ed25519: ['ED25519'],
};

let count = 0;
/** The path of a new key. */
function makeKey([algorithm = '', ...more]: readonly string[]): string {
  const path = scratch.path(`key${++count}.pem`);
  openssl(['genpkey', '-algorithm', algorithm, ...more.flatMap((one) => ['-pkeyopt', one]), '-out', path]);
  return path;
}

function makeRequest(key: string, ...words: readonly string[]): string {
  return openssl(['req', '-new', '-key', key, '-subj', '/CN=mailhost.example.org', ...words]);
}

const derOf = (pem: string): Buffer => Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/gu, ''), 'base64');
const publicKeyOf = (key: string): Buffer =>
  runTool('openssl', ['pkey', '-in', key, '-pubout', '-outform', 'DER']).bytes;
const refused = (bytes: string | Buffer): RelaycertsError => refusalOf(() => parseRequest(bytes, { from: '"a.csr"' }));

describe('what openssl req makes', () => {
  it.each(Object.entries(options))('%s: PEM and DER give the very key, and what openssl reads', (keyType, words) => {
    const key = makeKey(words);
    const pem = makeRequest(key);
    for (const bytes of [pem, derOf(pem), openssl(['req', '-text'], pem)]) {
      const request = parseRequest(bytes, { from: 'x' });
      expect(request.keyType).toBe(keyType);
      expect(request.spki.equals(publicKeyOf(key))).toBe(true);
      expect(request.names).toEqual(['mailhost.example.org']);
      expect(openssl(['req', '-noout', '-pubkey'], request.pem)).toBe(openssl(['pkey', '-in', key, '-pubout']));
      expect(verified(['req', '-verify', '-noout'], request.pem)).toBe(
        'Certificate request self-signature verify OK\n',
      );
    }
  });

  it('the older label, SHA-384 and SHA-512', () => {
    const key = makeKey(options['ecdsa-p256']);
    const old = makeRequest(key, '-newhdr');
    expect(old).toContain('BEGIN NEW CERTIFICATE REQUEST');
    for (const pem of [old, makeRequest(key, '-sha384'), makeRequest(key, '-sha512')]) {
      expect(parseRequest(pem, { from: 'x' }).spki.equals(publicKeyOf(key))).toBe(true);
    }
  });

  it('names, in any place, are reported and not used', () => {
    const key = makeKey(options.ed25519);
    const pem = makeRequest(
      key,
      '-addext',
      'subjectAltName=DNS:*.example.com,IP:192.0.2.1,DNS:x',
      '-addext',
      'basicConstraints=CA:TRUE',
    );
    expect(parseRequest(pem, { from: 'x' }).names).toEqual([
      'mailhost.example.org',
      '*.example.com',
      'a name of another kind',
      'x',
    ]);
    const nameless = openssl(['req', '-new', '-key', key, '-subj', '/']);
    expect(parseRequest(nameless, { from: 'x' }).names).toEqual([]);
  });

  it("GnuTLS's requests too", () => {
    const key = makeKey(options['ecdsa-p384']);
    const template = scratch.write('template', 'cn = "mailhost.example.org"\ndns_name = "mailhost.example.org"\n');
    const { stdout, status } = runTool('certtool', [
      '--generate-request',
      '--load-privkey',
      key,
      '--template',
      template,
    ]);
    expect(status).toBe(0);
    expect(parseRequest(stdout, { from: 'x' }).spki.equals(publicKeyOf(key))).toBe(true);
  });
});

describe('refused', () => {
  it.each([
    ['RSA of 1024 bits', ['RSA', 'rsa_keygen_bits:1024']],
    ['RSA of 2047 bits', ['RSA', 'rsa_keygen_bits:2047']],
    // With four primes, which are quickly found.
    ['RSA of 5120 bits', ['RSA', 'rsa_keygen_bits:5120', 'rsa_keygen_primes:4']],
    ['P-521', ['EC', 'ec_paramgen_curve:P-521']],
    ['secp256k1', ['EC', 'ec_paramgen_curve:secp256k1']],
    ['explicit curve parameters', ['EC', 'ec_paramgen_curve:P-256', 'ec_param_enc:explicit']],
    ['Ed448', ['ED448']],
    ['RSA-PSS', ['RSA-PSS', 'rsa_keygen_bits:2048']],
  ])('a key that is %s', (_name, words) => {
    expect(refused(makeRequest(makeKey(words))).message).toMatch(
      /^the key in the certificate request "a.csr" is weak/u,
    );
  });

  it('an RSA key with the exponent 3', () => {
    const key = makeKey(['RSA', 'rsa_keygen_bits:2048', 'rsa_keygen_pubexp:3']);
    expect(refused(makeRequest(key)).message).toContain('has an unusual RSA exponent');
  });

  it('a compressed point', () => {
    const compressed = openssl(['ec', '-in', makeKey(options['ecdsa-p256']), '-conv_form', 'compressed']);
    const request = makeRequest(scratch.write('compressed.pem', compressed));
    expect(refused(request).message).toContain('is in a form that not every program reads');
  });

  it('SHA-1 and RSA-PSS signatures', () => {
    const key = makeKey(options['rsa-2048']);
    for (const words of [['-sha1'], ['-sigopt', 'rsa_padding_mode:pss']]) {
      expect(refused(makeRequest(key, ...words)).message).toContain('signed with an unknown algorithm');
    }
  });

  it("another's public key: the request of one, signed by another", () => {
    const [mine, theirs] = [makeKey(options['ecdsa-p256']), makeKey(options['ecdsa-p256'])];
    const request = derOf(makeRequest(mine));
    const at = request.indexOf(publicKeyOf(mine));
    expect(at).toBeGreaterThan(0);
    publicKeyOf(theirs).copy(request, at);
    expect(refused(request)).toMatchObject({ code: 'certificate' });
    expect(refused(request).message).toContain('the signature of the certificate request in "a.csr" does not hold');
  });

  it('every request with one bit turned, whichever it is', () => {
    for (const words of [options['ecdsa-p256'], options.ed25519]) {
      const request = derOf(makeRequest(makeKey(words)));
      for (let bit = 0; bit < request.length * 8; bit += 1) {
        const turned = Buffer.from(request);
        turned[bit >> 3] = (turned[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect([bit, refused(turned).code]).toEqual([bit, 'certificate']);
      }
    }
  });

  it('every request that is cut short, or has octets after it', () => {
    const request = derOf(makeRequest(makeKey(options['ecdsa-p256'])));
    for (let length = 0; length < request.length; length += 1) refused(request.subarray(0, length));
    refused(Buffer.concat([request, Buffer.of(0)]));
  });

  it('two requests, a certificate, a key, garbage, nothing', () => {
    const key = makeKey(options['ecdsa-p256']);
    const pem = makeRequest(key);
    expect(refused(pem + pem).message).toContain('holds several certificate requests');
    const certificate = openssl(['req', '-x509', '-key', key, '-subj', '/CN=x']);
    for (const other of [
      certificate,
      derOf(certificate),
      openssl(['pkey', '-in', key]),
      'hello',
      '',
      Buffer.alloc(9000, 0x30),
    ]) {
      expect(refused(other)).toMatchObject({ code: 'certificate' });
    }
    expect(refused(Buffer.alloc(2 << 20)).message).toContain('octets, more than');
  });
});
