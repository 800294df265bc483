// The limits of the parsers, and the errors beyond them. That the limits are reached soon enough is tested by
// test/property/fuzz.test.ts.

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DerError, readElements } from '../../src/certificate/der.js';
import { listPublicKeys } from '../../src/custody/keyring.js';
import { mostPackets, readArmor, readKeyIds, readPackets } from '../../src/custody/packets.js';
import { readRecipientKeys } from '../../src/custody/recipient-key.js';
import { readOperatorKey } from '../../src/custody/operator-key.js';
import { listSome, quote } from '../../src/errors.js';
import { parseHostName } from '../../src/names.js';
import { Secret } from '../../src/secret.js';
import { parseJsonc } from '../../src/settings/jsonc.js';
import { parseSettings } from '../../src/settings/schema.js';
import { layoutOf } from '../../src/store/layout.js';
import { readLedger } from '../../src/store/ledger.js';
import { parseList } from '../../src/wizard/lists.js';
import { smallest } from '../support/bad-settings.js';
import { refusalOf } from '../support/refusal.js';

const context = {
  file: '/srv/mail/settings.json',
  home: '/home/postmaster',
  program: 'relaycerts',
  command: 'relaycerts',
};
const at = new Date('2026-11-20T12:00:00Z');

test('a quoted value has no format character of Unicode', () => {
  expect(quote('a\u0605b\u{e0001}\u202e')).toBe('"a\\u0605b\\udb40\\udc01\\u202e"');
});

test('a list in a message has five words', () => {
  expect(listSome(['a', 'b'])).toBe('a, b');
  expect(listSome(['a', 'b', 'c', 'd', 'e', 'f', 'g'])).toBe('a, b, c, d, e and 2 more');
});

test('DER: a list of 65536 elements, and no longer one', () => {
  expect(readElements(Buffer.alloc(65_536 * 2, Buffer.of(5, 0)))).toHaveLength(65_536);
  expect(() => readElements(Buffer.alloc(65_537 * 2, Buffer.of(5, 0)))).toThrow(DerError);
});

test('OpenPGP: a block without an end is the last', () => {
  const text = '-----BEGIN PGP MESSAGE-----\n\nAAAA\n-----END PGP MESSAGE-----\n'.concat(
    '-----BEGIN PGP SIGNATURE-----\n'.repeat(2),
  );
  expect(readArmor(Buffer.from(text)).map(({ type, bytes }) => [type, bytes?.length])).toEqual([
    ['MESSAGE', 3],
    ['SIGNATURE', undefined],
  ]);
});

test('OpenPGP: a thousand packets, and no more', () => {
  const packets = Buffer.alloc((mostPackets + 1) * 2, Buffer.of(0xc2, 0));
  expect(readPackets(packets.subarray(2)).flaw).toBeUndefined();
  expect(readPackets(packets)).toMatchObject({ flaw: 'too-many', packets: { length: mostPackets } });
});

test('OpenPGP: a key packet of version 4 over 65535 octets has no IDs', () => {
  const header = Buffer.from([0xc6, 0xff, 0, 1, 0, 0]);
  expect(readKeyIds(Buffer.concat([header, Buffer.of(4), Buffer.alloc(0xffff)]))).toBeUndefined();
});

test('OpenPGP: a key with a thousand signatures is refused, with a fix', async () => {
  const bytes = Buffer.concat([Buffer.from([0xc6, 1, 4]), Buffer.alloc(4000, Buffer.of(0xc2, 0))]);
  await expect(readRecipientKeys(bytes, { from: 'k.asc', at })).rejects.toMatchObject({
    code: 'recipient',
    message: expect.stringContaining('holds over 1000 OpenPGP packets') as string,
    hint: expect.stringContaining('export-minimal') as string,
  });
});

test('OpenPGP: a file of a hundred keys and one more is refused', async () => {
  const bytes = Buffer.alloc(101 * 3, Buffer.from([0xc6, 1, 4]));
  await expect(readRecipientKeys(bytes, { from: 'k.asc', at })).rejects.toThrow('holds over 100 keys');
});

test('OpenPGP: an operator key over 64 KiB is none', async () => {
  await expect(readOperatorKey({ armored: new Secret('\n'.repeat(65_537)), from: 'k.asc' })).rejects.toMatchObject({
    code: 'passphrase',
  });
});

test("gpg's lists: bad dates and names of Object.prototype are ignored", async () => {
  const listing = `pub:u:255:constructor:A:x:99999999999999::u:::E:::::\nfpr:::::::::${'A'.repeat(40)}:\npub:u:1:1:A:1:1::u:::E:::::\nfpr:::::::::\u001b:\n`;
  const result = { status: 0, stdout: Buffer.from(listing), stderr: '', statusText: '' };
  const keys = await listPublicKeys(() => Promise.resolve(result), 'x');
  expect(keys).toMatchObject([{ algorithm: 'algorithm ?', created: undefined, expires: undefined }]);
});

test('JSON: twenty duplicate keys are reported', () => {
  const parsed = parseJsonc(`{${Array.from({ length: 1000 }, () => '"a":1').join(',')}}`);
  expect('flaws' in parsed && parsed.flaws).toHaveLength(20);
});

test('settings: ten thousand items or sixty thousand values are too many', () => {
  const recipients = Array.from({ length: 10_000 }, (_, index) => `r${index}`);
  const { message, problems } = refusalOf(() => parseSettings({ ...smallest, passphrase: { recipients } }, context));
  expect(message).toBe('settings.json: over 10000 items in its lists');
  expect(problems).toHaveLength(1);
  const keys = Object.fromEntries(Array.from({ length: 60_001 }, (_, index) => [`k${index}`, 1]));
  expect(refusalOf(() => parseSettings({ ...smallest, ...keys }, context)).message).toContain('over 60000 values');
});

test('settings: a hundred problems are reported', () => {
  const keys = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, 1]));
  expect(refusalOf(() => parseSettings({ ...smallest, ...keys }, context)).problems).toHaveLength(100);
});

test('wizard: a list of 5000 items, and no longer one', () => {
  const items = Array.from({ length: 5000 }, (_, index) => `h${index}`);
  expect(parseList(items.join(','))).toHaveLength(5000);
  expect(refusalOf(() => parseList([...items, 'x', 'y'].join(','))).message).toContain('over 5000 items');
});

test('ledger: a file with a thousand invalid lines is not a ledger', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-bounds-'));
  try {
    const layout = layoutOf({ folder, domain: parseHostName('example.org') });
    mkdirSync(layout.caFolder, { recursive: true });
    writeFileSync(layout.ledger.path, '{x}\n'.repeat(1000));
    expect(readLedger(layout)).toEqual({ entries: [], damaged: 1000 });
    writeFileSync(layout.ledger.path, '{x}\n'.repeat(1001));
    expect(refusalOf(() => readLedger(layout))).toMatchObject({ code: 'files', hint: 'restore it from a backup' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** Parsers that the fuzz run does not call by their name, and the one of those that it calls which does their work or calls them. */
const calledBy: Readonly<Record<string, string>> = {
  parseSettingsText: 'readSettings',
  readSettingsText: 'readSettings',
  parseWithClients: 'readSettings',
  readClients: 'readClientRows',
  // The first of its results.
  parseCertificate: 'parseCertificates',
  parseSettings: 'readSettings',
  readKind: 'readSettings',
  readCommonName: 'parseCertificates',
  readElement: 'parseCertificates',
  readExtensionList: 'parseCertificates',
  readInside: 'parseCertificates',
  readPemOrDer: 'parseCertificates',
  readSequence: 'parseCertificates',
  readAuthorityKeyIdentifier: 'parseCertificates',
  readIsCa: 'parseSignedCertificate',
  readKeyUsage: 'parseCertificates',
  readPermittedDomains: 'parseCertificates',
  readPlainPem: 'parseSignedCertificate',
  readSerial: 'parseCertificates',
  readTime: 'parseCertificates',
  readOwnKey: 'readOperatorKey',
  // It reads a file descriptor, up to a bound, and this judges what it read.
  readPassphraseFd: 'parsePassphrase',
};

test('the fuzz run has every parser, or one that calls it', () => {
  const folder = join(import.meta.dirname, '../../src');
  const files = ['certificate', 'custody', 'settings'].flatMap((name) =>
    readdirSync(join(folder, name)).map((file) => join(folder, name, file)),
  );
  const parsers = [join(folder, 'names.ts'), ...files].flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/^export (?:async )?function ((?:parse|read)[A-Z]\w*)/gmu)].map(
      ([, name = '']) => name,
    ),
  );
  expect(parsers).toEqual(expect.arrayContaining(['parseHostName', 'readElements', 'readPackets', 'parseSettings']));
  const text = readFileSync(join(import.meta.dirname, '../support/fuzz-parsers.ts'), 'utf8');
  const calls = text.replaceAll(/^import [^;]*;$/gmu, '');
  const isCalled = (name: string): boolean => new RegExp(`\\b${name}\\b`, 'u').test(calls);
  expect(parsers.filter((name) => !isCalled(name)).toSorted()).toEqual(Object.keys(calledBy).toSorted());
  expect(Object.values(calledBy).filter((name) => !isCalled(name))).toEqual([]);
});
