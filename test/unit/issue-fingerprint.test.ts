// Fingerprints as text: the four formats, and what a hostile certificate cannot do to them.

import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import {
  fingerprintOf,
  parsePinned,
  pinnedNameOf,
  pinOf,
  renderPins,
  type Pin,
} from '../../src/certificate/fingerprint.js';
import type { FingerprintFormat } from '../../src/certificate/pin-kinds.js';
import { makeCa, makeLeaf } from '../support/chain.js';

const hexOf = (bytes: Uint8Array, digest = 'sha256'): string => createHash(digest).update(bytes).digest('hex');
const colons = (hex: string): string => hex.toUpperCase().replaceAll(/..(?=.)/gu, '$&:');

const textOf = (pins: readonly Pin[], format: FingerprintFormat): string => [...renderPins(pins, format)].join('');

test('the four formats of one pin', async () => {
  const leaf = await makeLeaf(await makeCa());
  const pin = hexOf(leaf.keyPair.publicKey.export({ type: 'spki', format: 'der' }));
  const other = colons(hexOf(leaf.info.der));
  const pins = [pinOf(leaf.info, 'public-key', 'sha256')];
  const expires = leaf.info.notAfter.toISOString();
  expect(textOf(pins, 'postfix')).toBe(
    `# mailhost.example.org, expires ${expires.replace('.000', '')}, certificate ${other}\n${colons(pin)} mailhost.example.org\n`,
  );
  expect(textOf(pins, 'openssl')).toBe(`sha256 Fingerprint=${colons(pin)}\n`);
  expect(textOf(pins, 'hex')).toBe(`${pin}\n`);
  expect(JSON.parse(textOf(pins, 'json'))).toEqual({
    version: 1,
    command: 'fingerprint',
    pins: [
      {
        name: 'mailhost.example.org',
        of: 'public-key',
        digest: 'sha256',
        fingerprint: colons(pin),
        publicKeyFingerprint: colons(pin),
        certificateFingerprint: other,
        expires,
      },
    ],
  });
  expect(textOf([pinOf(leaf.info, 'certificate', 'sha256')], 'postfix')).toContain(
    `, public key ${colons(pin)}\n${other} `,
  );
});

test('a public key has a pin, no name and no certificate fingerprint', async () => {
  const { keyPair } = await makeCa();
  const pem = keyPair.publicKey.export({ type: 'spki', format: 'pem' });
  const [key] = parsePinned(pem, { from: 'key.pem' });
  if (key === undefined) throw new Error('nothing was read');
  const fingerprint = colons(hexOf(keyPair.publicKey.export({ type: 'spki', format: 'der' }), 'sha512'));
  expect(textOf([pinOf(key, 'public-key', 'sha512')], 'postfix')).toBe(`# unnamed\n${fingerprint} unnamed\n`);
  expect(() => fingerprintOf(key, 'certificate', 'sha256')).toThrow('a public key has no certificate fingerprint');
  expect(() =>
    parsePinned('-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n', { from: 'key.pem' }),
  ).toThrow('the public key in key.pem is damaged');
});

test('certificates count before the public keys of the same file', async () => {
  const { pem, info, keyPair } = await makeCa();
  const both = keyPair.publicKey.export({ type: 'spki', format: 'pem' }) + pem;
  expect(parsePinned(both, { from: 'both.pem' })).toHaveLength(1);
  expect(fingerprintOf(parsePinned(both, { from: 'both.pem' })[0] ?? info, 'certificate', 'md5')).toBe(
    colons(hexOf(info.der, 'md5')),
  );
});

test.each([
  ['evil\n00:11:22 other', 'unnamed'],
  ['a b.example.org', 'unnamed'],
  ['*.example.org', 'unnamed'],
  ['', 'unnamed'],
  ['Host.Example.ORG', 'host.example.org'],
])('the name %j of a foreign certificate is printed as %s', async (commonName, printed) => {
  const { info } = await makeCa({ commonName: commonName === '' ? 'x' : commonName });
  expect(info.commonName).toBe(commonName === '' ? 'x' : commonName);
  const text = textOf([pinOf(info, 'public-key', 'sha256')], 'postfix');
  expect(text.split('\n')).toHaveLength(3);
  expect(text).toMatch(
    new RegExp(`^# ${printed}, expires [^ ]+Z, certificate [0-9A-F:]{95}\n[0-9A-F:]{95} ${printed}\n$`, 'u'),
  );
  expect(pinnedNameOf(info)).toBe(printed === 'unnamed' ? undefined : printed);
});
