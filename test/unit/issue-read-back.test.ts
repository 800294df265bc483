// The last check of issuing finds what should not have been issued, and the packages that issuing needs are imported
// nowhere else.

import { generateKeyPairSync, sign } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { writeBitString, writeSequence } from '../../src/certificate/der.js';
import { encodeSpki } from '../../src/certificate/public-key.js';
import { buildName, buildTbs, type Contents, keyIdentifierOf, signatures } from '../../src/issue/x509-build.js';
import { readBack } from '../../src/issue/x509-read-back.js';
import { noSubject } from '../support/chain.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const spki = encodeSpki(publicKey);
const name = buildName(noSubject, 'a CA');
const serial = Buffer.from('0123456789abcdef', 'hex');
const right: Contents = {
  kind: 'ca',
  subject: name,
  issuer: name,
  notBefore: new Date('2026-01-01T00:00:00Z'),
  notAfter: new Date('2027-01-01T00:00:00Z'),
  spki,
  keyType: 'ecdsa-p256',
  authorityKeyIdentifier: keyIdentifierOf(spki),
  dnsNames: [],
  permittedDomains: [],
};

function check(made: Contents, wanted: Contents, bend: (der: Buffer) => Buffer = (der) => der): void {
  const { algorithm } = signatures['ecdsa-p256'];
  const tbs = buildTbs(made, serial, algorithm);
  const der = bend(writeSequence(tbs, algorithm, writeBitString(sign('sha256', tbs, privateKey))));
  readBack(der, wanted, serial, undefined);
}

test('what was asked for passes', () => {
  expect(() => {
    check(right, right);
  }).not.toThrow();
});

test.each([
  ['notAfter', { notAfter: new Date('2027-01-01T00:00:01Z') }],
  ['notBefore', { notBefore: new Date('2025-12-31T23:59:59Z') }],
  ['subject', { subject: buildName(noSubject, 'another CA'), issuer: buildName(noSubject, 'another CA') }],
  ['keyUsage', { kind: 'smtp-client' as const }],
  ['subjectAltName', { dnsNames: ['mailhost.example.org'] }],
  ['nameConstraints', { permittedDomains: ['example.org'] }],
  ['authorityKeyIdentifier', { authorityKeyIdentifier: Buffer.alloc(20) }],
])('another %s is found', (field, difference) => {
  expect(() => {
    check({ ...right, ...difference }, right);
  }).toThrow(field);
});

test('a validity that ends before it begins is found', () => {
  const backwards = { ...right, notAfter: new Date('2025-01-01T00:00:00Z') };
  expect(() => {
    check(backwards, backwards);
  }).toThrow('notAfter');
});

function bendSignature(der: Buffer): Buffer {
  const copy = Buffer.from(der);
  copy[copy.length - 3] = (copy[copy.length - 3] ?? 0) ^ 1;
  return copy;
}

test('a signature that does not hold is found', () => {
  expect(() => {
    check(right, right, bendSignature);
  }).toThrow(/issuer.*signature/u);
});

test('only the build and read-back import @peculiar, only x509.ts those', () => {
  const folder = new URL('../../src/', import.meta.url);
  const importers = new Map<string, string[]>();
  for (const file of readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )) {
    const text = readFileSync(new URL(file, folder), 'utf8');
    for (const [, module = ''] of text.matchAll(/^(?:import|export)(?! type)[^;]*?from '([^']+)'/gmu)) {
      const target = module.startsWith('@peculiar/') ? '@peculiar' : (/\/(x509[a-z-]*)\.js$/u.exec(module)?.[1] ?? '');
      importers.set(target, [...(importers.get(target) ?? []), file.replace(/^.*\//u, '')]);
    }
  }
  expect([...new Set(importers.get('@peculiar'))].toSorted()).toEqual(['x509-read-back.ts']);
  expect([...new Set(importers.get('x509-build'))].toSorted()).toEqual(['x509-read-back.ts', 'x509.ts']);
  expect(importers.get('x509-read-back')).toEqual(['x509.ts']);
  // Static imports of x509.ts would load the packages with every command: it is imported on demand, with import().
  expect(importers.get('x509')).toBeUndefined();
});
