// Judging certificates: each fault gives its own code, and what issuing itself refuses.

import { createHash, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseCertificate } from '../../src/certificate/certificate.js';
import { generateKey } from '../../src/issue/keys.js';
import { checkCa, checkLeaf, type ExpectedLeaf, isPermitted } from '../../src/certificate/verify.js';
import { issueCa } from '../../src/issue/x509.js';
import { hostName, issuedAt, makeCa, makeLeaf, noSubject, type TestCa, type TestLeaf } from '../support/chain.js';

const expected: ExpectedLeaf = {
  role: 'smtp-client',
  isInbound: false,
  hostname: 'mailhost.example.org',
  altNames: [],
};

let ca: TestCa;
let leaf: TestLeaf;
beforeAll(async () => {
  ca = await makeCa();
  leaf = await makeLeaf(ca);
});

const codes = (findings: readonly { readonly code: string }[]): readonly string[] => findings.map(({ code }) => code);

test('nothing is wrong with what was just issued', () => {
  expect(checkLeaf(leaf.info, ca.info, expected, issuedAt)).toEqual([]);
  expect(checkCa(ca.info, { commonName: 'example.org relay CA', permittedDomains: [] }, issuedAt)).toEqual([]);
});

describe('a leaf', () => {
  test('for another name, an additional name, or a missing name', async () => {
    const other = { ...expected, hostname: 'other.example.org' };
    expect(checkLeaf(leaf.info, ca.info, other, issuedAt)).toEqual([
      { code: 'wrong-name', expected: 'other.example.org', found: 'mailhost.example.org' },
    ]);
    const more = { ...expected, altNames: ['mx.example.org'] };
    expect(codes(checkLeaf(leaf.info, ca.info, more, issuedAt))).toEqual(['wrong-name']);
    const wide = await makeLeaf(ca, { altNames: ['mx.example.org'] });
    expect(codes(checkLeaf(wide.info, ca.info, expected, issuedAt))).toEqual(['wrong-name']);
    // The order of the names does not matter.
    const both = await makeLeaf(ca, { hostname: 'mailhost.example.org', altNames: ['b.example.org', 'a.example.org'] });
    const sorted = { ...expected, altNames: ['a.example.org', 'b.example.org'] };
    expect(checkLeaf(both.info, ca.info, sorted, issuedAt)).toEqual([]);
  });

  test('for the other role', async () => {
    const server = await makeLeaf(ca, { role: 'smtpd-server' });
    expect(checkLeaf(server.info, ca.info, expected, issuedAt)).toEqual([
      { code: 'wrong-purpose', expected: 'clientAuth', found: 'serverAuth' },
    ]);
  });

  test('of another CA with the same name', async () => {
    const impostor = await makeCa();
    expect(codes(checkLeaf(leaf.info, impostor.info, expected, issuedAt))).toEqual(['wrong-issuer']);
  });

  test('of a CA with the same key and another name', async () => {
    const request = { subject: noSubject, keyPair: ca.keyPair, at: issuedAt, validDays: 3650, permittedDomains: [] };
    const renamed = parseCertificate(await issueCa({ ...request, commonName: 'another' }));
    expect(renamed.subjectKeyIdentifier).toBe(ca.info.subjectKeyIdentifier);
    expect(codes(checkLeaf(leaf.info, renamed, expected, issuedAt))).toEqual(['wrong-issuer']);
  });

  test('that is the CA itself', () => {
    expect(codes(checkLeaf(ca.info, ca.info, expected, issuedAt))).toEqual(['is-ca', 'wrong-name', 'wrong-purpose']);
  });

  test('outside of its time', () => {
    const { notBefore, notAfter } = leaf.info;
    const at = (date: Date, milliseconds: number): readonly string[] =>
      codes(checkLeaf(leaf.info, ca.info, expected, new Date(date.getTime() + milliseconds)));
    expect(at(notBefore, -1)).toEqual(['not-yet-valid']);
    expect(at(notBefore, 0)).toEqual([]);
    expect(at(notAfter, -1)).toEqual([]);
    expect(at(notAfter, 0)).toEqual(['expired']);
  });

  test('that outlives a shorter CA, or is outside a narrower one, same key', async () => {
    const request = { commonName: 'example.org relay CA', subject: noSubject, keyPair: ca.keyPair, at: issuedAt };
    const short = await issueCa({ ...request, validDays: 10, permittedDomains: [] });
    expect(codes(checkLeaf(leaf.info, parseCertificate(short), expected, issuedAt))).toEqual(['outlives-ca']);
    const narrow = await issueCa({ ...request, validDays: 3650, permittedDomains: [hostName('example.net')] });
    expect(codes(checkLeaf(leaf.info, parseCertificate(narrow), expected, issuedAt))).toEqual(['outside-constraints']);
  });
});

test('a CA with another name, other domains, or which is none', async () => {
  expect(checkCa(ca.info, { commonName: 'another' }, issuedAt)).toEqual([
    {
      code: 'wrong-name',
      expected: 'another',
      found: 'example.org relay CA',
    },
  ]);
  const domains = { commonName: 'example.org relay CA', permittedDomains: ['example.org'] };
  expect(codes(checkCa(ca.info, domains, issuedAt))).toEqual(['wrong-constraints']);
  expect(codes(checkCa((await makeCa({ permittedDomains: ['example.org'] })).info, domains, issuedAt))).toEqual([]);
  const found = codes(checkCa(leaf.info, { commonName: 'mailhost.example.org' }, issuedAt));
  expect(found).toEqual(['not-ca', 'wrong-issuer', 'wrong-purpose']);
  expect(codes(checkCa(ca.info, { commonName: 'example.org relay CA' }, ca.info.notAfter))).toEqual(['expired']);
});

test.each([
  ['example.org', true],
  ['a.b.example.org', true],
  ['notexample.org', false],
  ['example.org.example.com', false],
  ['org', false],
])('example.org permits %s: %s', (name, is) => {
  expect(isPermitted(name, ['example.net', 'example.org'])).toBe(is);
});

describe('issuing', () => {
  test('cuts a leaf to its CA, at both ends', async () => {
    const late = await makeLeaf(ca, { at: new Date(ca.info.notAfter.getTime() - 86_400_000) });
    expect(late.info.notAfter).toEqual(ca.info.notAfter);
    const early = await makeLeaf(ca, { at: issuedAt });
    expect(early.info.notBefore).toEqual(ca.info.notBefore);
  });

  test('refuses after the CA expired, outside its domains, or a wrong key', async () => {
    await expect(makeLeaf(ca, { at: ca.info.notAfter })).rejects.toMatchObject({ code: 'certificate' });
    const narrow = await makeCa({ permittedDomains: ['example.org'] });
    await expect(makeLeaf(narrow, { hostname: 'a.example.com' })).rejects.toMatchObject({
      code: 'contradiction',
      message: '"a.example.com" is outside the domains that the CA may sign for',
    });
    const other = { ...ca, keyPair: await generateKey('ecdsa-p256') };
    await expect(makeLeaf(other)).rejects.toMatchObject({ code: 'certificate' });
  });

  test('refuses a CA commonName over 64 characters, counted as characters', async () => {
    await expect(makeCa({ commonName: 'é'.repeat(65) })).rejects.toMatchObject({ code: 'settings' });
    expect((await makeCa({ commonName: '🔑'.repeat(64) })).info.commonName).toBe('🔑'.repeat(64));
  });

  test('the key identifiers are the leftmost 160 bits of a SHA-256 (RFC 7093)', () => {
    expect(leaf.info.subjectKeyIdentifier).toBe(keyIdentifier(leaf.keyPair.publicKey));
    expect(ca.info.subjectKeyIdentifier).toBe(keyIdentifier(ca.keyPair.publicKey));
    expect(leaf.info.authorityKeyIdentifier).toBe(ca.info.subjectKeyIdentifier);
  });
});

/** A P-256 point is the last 65 octets of its SPKI. */
function keyIdentifier(key: KeyObject): string {
  const point = key.export({ type: 'spki', format: 'der' }).subarray(-65);
  return createHash('sha256').update(point).digest('hex').slice(0, 40);
}
