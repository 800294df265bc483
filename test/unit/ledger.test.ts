// The ledger as a file: what is appended, what a crash or a foreign hand leaves in it, and the questions that it
// answers, with the very jq lines that the README prints.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { appendLedger, entryOf, readLedger, revokedHosts, type LedgerEntry } from '../../src/store/ledger.js';
import { issuedCertificates } from '../../src/store/issued.js';
import { layoutOf, type Layout } from '../../src/store/layout.js';
import { hostName, makeCa, makeLeaf, type TestCa, type TestLeaf } from '../support/chain.js';
import { openssl } from '../support/openssl.js';

const at = new Date('2026-11-20T12:00:00.000Z');

let ca: TestCa;
let leaf: TestLeaf;
let other: TestLeaf;
beforeAll(async () => {
  ca = await makeCa();
  leaf = await makeLeaf(ca);
  other = await makeLeaf(ca, { hostname: 'second.example.org' });
});

let folder: string;
let layout: Layout;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-ledger-'));
  layout = layoutOf({ folder, domain: hostName('example.org') });
  mkdirSync(layout.caFolder, { recursive: true });
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const text = (): string => readFileSync(layout.ledger.path, 'utf8');
const home = 'mailhost.example.org';
const issued = (): LedgerEntry => entryOf('issued', 'smtp-client', home, leaf.info, at);

describe('a line', () => {
  it('holds what openssl says of the certificate', async () => {
    await appendLedger(layout, [issued()]);
    const read = (...words: readonly string[]): string => openssl(['x509', '-noout', ...words], leaf.pem).trim();
    const spki = openssl(['x509', '-noout', '-pubkey'], leaf.pem);
    const colons = openssl(['dgst', '-sha256', '-c'], Buffer.from(spki.replaceAll(/-----.*-----|\n/gu, ''), 'base64'));
    const [, from = '', until = ''] = /^notBefore=(.*)\nnotAfter=(.*)$/u.exec(read('-dates')) ?? [];
    expect(JSON.parse(text())).toEqual({
      time: '2026-11-20T12:00:00.000Z',
      event: 'issued',
      role: 'smtp-client',
      name: home,
      serial: read('-serial').replace('serial=', '').toLowerCase(),
      certificateSha256: read('-fingerprint', '-sha256').replace(/^.*=/u, ''),
      publicKeySha256: colons.replace(/^.*= /u, '').trim().toUpperCase(),
      authorityKeyIdentifier: read('-ext', 'authorityKeyIdentifier')
        .replace(/^.*\n\s*(?:keyid:)?/u, '')
        .replaceAll(':', '')
        .toLowerCase(),
      notBefore: new Date(from).toISOString(),
      notAfter: new Date(until).toISOString(),
    });
    expect(statSync(layout.ledger.path).mode & 0o7777).toBe(0o644);
  });

  it('is appended: what stands there stays, byte by byte; no entry, no write', async () => {
    await appendLedger(layout, [issued()]);
    const before = text();
    await appendLedger(layout, []);
    expect(text()).toBe(before);
    await appendLedger(layout, [
      entryOf('revoked', 'smtp-client', home, leaf.info, at),
      entryOf('issued', 'ca', 'example.org relay CA', ca.info, at),
    ]);
    expect(text().startsWith(before)).toBe(true);
    expect(text().endsWith('}\n')).toBe(true);
    const { entries, damaged } = await readLedger(layout);
    expect([entries.map(({ event, role }) => [event, role]), damaged]).toEqual([
      [
        ['issued', 'smtp-client'],
        ['revoked', 'smtp-client'],
        ['issued', 'ca'],
      ],
      0,
    ]);
  });

  it('stays one line, of characters that a terminal does not obey, whatever the reason is', async () => {
    const reason = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join('');
    await appendLedger(layout, [{ ...issued(), event: 'revoked', reason }]);
    expect(text().indexOf('\n')).toBe(text().length - 1);
    expect(text().slice(0, -1)).not.toMatch(
      /[\p{Cc}\p{Cf}\u2028\u2029](?<![\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u180E])/u,
    );
    expect((await readLedger(layout)).entries[0]?.reason).toBe(reason);
  });
});

describe('what is there already', () => {
  it('nothing: no entries', async () => {
    expect(await readLedger(layout)).toEqual({ entries: [], damaged: 0 });
  });

  it('a line torn anywhere is ended, counted and skipped, and spoils no other', async () => {
    await appendLedger(layout, [issued()]);
    const line = text();
    for (const length of [1, 17, line.length >> 1, line.length - 2]) {
      writeFileSync(layout.ledger.path, line + line.slice(0, length));
      expect((await readLedger(layout)).damaged).toBe(1);
      await appendLedger(layout, [entryOf('renewed', 'smtp-client', home, other.info, at)]);
      const { entries, damaged } = await readLedger(layout);
      expect([entries.map(({ event }) => event), damaged]).toEqual([['issued', 'renewed'], 1]);
      expect(text().startsWith(line + line.slice(0, length))).toBe(true);
    }
  });

  it('a last line without its newline alone is whole', async () => {
    await appendLedger(layout, [issued()]);
    writeFileSync(layout.ledger.path, text().trimEnd());
    expect((await readLedger(layout)).entries).toHaveLength(1);
    await appendLedger(layout, [issued()]);
    expect(await readLedger(layout)).toMatchObject({ entries: [{}, {}], damaged: 0 });
  });

  it.each([
    ['text', 'hello'],
    ['null', 'null'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['an unknown event', () => JSON.stringify({ ...issued(), event: 'forgotten' })],
    ['an unknown role', () => JSON.stringify({ ...issued(), role: 'admin' })],
    ['a serial that is a number', () => JSON.stringify({ ...issued(), serial: 17 })],
    ['a reason that is none', () => JSON.stringify({ ...issued(), reason: ['a'] })],
    ['octets that are no UTF-8', '\u00FF\u00FE'],
  ])('a foreign line (%s) is counted and skipped', async (_what, line) => {
    await appendLedger(layout, [issued()]);
    appendFileSync(layout.ledger.path, `${typeof line === 'string' ? line : line()}\n`, 'latin1');
    await appendLedger(layout, [issued()]);
    expect(await readLedger(layout)).toMatchObject({ entries: [{}, {}], damaged: 1 });
  });

  it('keys that a later release may add do no harm, and neither do __proto__ and empty lines', async () => {
    const line = JSON.stringify({ ...issued(), comment: 'later' });
    writeFileSync(layout.ledger.path, `\n${line}\n\n${line.replace('{', '{"__proto__":{"event":"revoked"},')}\n`);
    const { entries, damaged } = await readLedger(layout);
    expect([entries.length, damaged, revokedHosts(entries).size]).toEqual([2, 0, 0]);
  });

  it('a link is not followed, to read or to write', async () => {
    const target = join(folder, 'target');
    writeFileSync(target, '');
    symlinkSync(target, layout.ledger.path);
    await expect(readLedger(layout)).rejects.toThrow(RelaycertsError);
    await expect(appendLedger(layout, [issued()])).rejects.toMatchObject({ code: 'files' });
    expect(readFileSync(target, 'utf8')).toBe('');
  });
});

describe('revokedHosts', () => {
  const line = (event: LedgerEntry['event'], name = home, role: LedgerEntry['role'] = 'smtp-client'): LedgerEntry => ({
    time: at.toISOString(),
    event,
    role,
    name,
    serial: '17',
    certificateSha256: '',
    publicKeySha256: '',
    notBefore: at.toISOString(),
    notAfter: at.toISOString(),
  });
  it.each<[string, readonly LedgerEntry[], readonly string[]]>([
    ['nothing', [], []],
    ['issued', [line('issued')], []],
    ['revoked', [line('issued'), line('revoked')], [`smtp-client ${home}`]],
    ['revoked twice, as a rekey has two', [line('rekeyed'), line('revoked'), line('revoked')], [`smtp-client ${home}`]],
    ['made again', [line('revoked'), line('issued')], []],
    ['made again, and revoked again', [line('revoked'), line('issued'), line('revoked')], [`smtp-client ${home}`]],
    ['another host', [line('revoked'), line('issued', 'second.example.org')], [`smtp-client ${home}`]],
    [
      'the same name in the other role',
      [line('revoked'), line('issued', home, 'smtpd-server')],
      [`smtp-client ${home}`],
    ],
  ])('%s', (_what, entries, expected) => {
    expect([...revokedHosts(entries)]).toEqual(expected);
  });
});

it('what became of one certificate, as the README asks for it', async () => {
  await appendLedger(layout, [
    issued(),
    entryOf('issued', 'smtp-client', 'second.example.org', other.info, at),
    { ...entryOf('revoked', 'smtp-client', 'second.example.org', other.info, at), reason: 'lost' },
  ]);
  // A torn line is nothing that a question stumbles over.
  appendFileSync(layout.ledger.path, '{"time":"2026-1');
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
  const [line = '', ...more] = readme.split('\n').filter((each) => each.startsWith('jq ') && each.includes('.jsonl'));
  expect(more).toEqual([]);
  const command = line.replace('SERIAL', other.info.serial);
  const { status, stdout, stderr, error } = spawnSync('sh', ['-c', command], { cwd: folder, encoding: 'utf8' });
  if (error !== undefined || status === 127) throw new Error('jq cannot be run: apt-get install jq', { cause: error });
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toBe(
    [`${at.toISOString()}\tissued\tsecond.example.org\n`, `${at.toISOString()}\trevoked\tsecond.example.org\n`].join(
      '',
    ),
  );
});

describe('what was issued', () => {
  const ofHome = (): readonly (string | undefined)[][] =>
    issuedCertificates(entries).map((one) => [one.serial, one.revokedAt, one.retiredAt, one.reason]);
  let entries: readonly LedgerEntry[] = [];

  it('is a certificate a row, whatever happened to it', () => {
    entries = [issued(), entryOf('retired', 'smtp-client', home, leaf.info, at)];
    expect(issuedCertificates(entries)).toEqual([
      {
        serial: leaf.info.serial,
        role: 'smtp-client',
        name: home,
        certificateSha256: issued().certificateSha256,
        publicKeySha256: issued().publicKeySha256,
        authorityKeyIdentifier: leaf.info.authorityKeyIdentifier,
        event: 'issued',
        issuedAt: at.toISOString(),
        notAfter: leaf.info.notAfter,
        retiredAt: at.toISOString(),
        revokedAt: undefined,
        reason: undefined,
      },
    ]);
  });

  it('is revoked with every other certificate for its key, and not with one for another key', async () => {
    const later = await makeLeaf(ca, { keyPair: leaf.keyPair });
    const renewed = entryOf('renewed', 'smtp-client', home, later.info, at);
    const second = entryOf('issued', 'smtp-client', home, other.info, at);
    const revoked = { ...entryOf('revoked', 'smtp-client', home, later.info, at), reason: 'lost' };
    entries = [issued(), renewed, revoked, second];
    const time = at.toISOString();
    expect(ofHome()).toEqual([
      [leaf.info.serial, time, undefined, 'lost'],
      [later.info.serial, time, undefined, 'lost'],
      [other.info.serial, undefined, undefined, undefined],
    ]);
  });

  it('is retired with the last one for its key, and not with one before', async () => {
    const later = await makeLeaf(ca, { keyPair: leaf.keyPair });
    const renewed = entryOf('renewed', 'smtp-client', home, later.info, at);
    const retired = (one: TestLeaf): LedgerEntry => entryOf('retired', 'smtp-client', home, one.info, at);
    const states = (): readonly boolean[] =>
      issuedCertificates(entries).map(({ retiredAt }) => retiredAt !== undefined);
    entries = [issued(), renewed, retired(leaf)];
    expect(states()).toEqual([true, false]);
    entries = [issued(), renewed, retired(later)];
    expect(states()).toEqual([true, true]);
  });

  it('is retired with the CA that signed it, and not with another one', async () => {
    const next = await makeCa();
    const after = await makeLeaf(next);
    entries = [
      entryOf('issued', 'ca', 'a CA', ca.info, at),
      issued(),
      entryOf('issued', 'ca', 'a CA 2', next.info, at),
      entryOf('issued', 'smtp-client', home, after.info, at),
      entryOf('retired', 'ca', 'a CA', ca.info, at),
    ];
    expect(issuedCertificates(entries).map(({ retiredAt }) => retiredAt !== undefined)).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  it('was issued at its notBefore where the ledger only has its end', () => {
    entries = [entryOf('revoked', 'smtp-client', home, leaf.info, at)];
    expect(issuedCertificates(entries)[0]).toMatchObject({
      issuedAt: leaf.info.notBefore.toISOString(),
      revokedAt: at.toISOString(),
    });
  });

  it('has no end where the ledger has no date there', () => {
    entries = [{ ...issued(), notAfter: 'tomorrow' }];
    expect(issuedCertificates(entries)[0]?.notAfter).toBeUndefined();
  });
});
