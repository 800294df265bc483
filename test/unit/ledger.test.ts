// The ledger: its lines, what a crash or an edit leaves in the file, and the questions it answers, with the very jq
// line in docs/files.md. Appending is the transaction's.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { issuedCertificates } from '../../src/store/ledger-report.js';
import { entryOf, readLedger, renderEntries, type LedgerEntry } from '../../src/store/ledger.js';
import { layoutOf, type Layout } from '../../src/store/layout.js';
import { hostName, makeCa, makeLeaf, type TestCa, type TestLeaf } from '../support/chain.js';
import { refusalOf } from '../support/refusal.js';
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

const home = 'mailhost.example.org';
const issued = (): LedgerEntry => entryOf('issued', 'smtp-client', home, leaf.info, at);
const line = (): string => renderEntries([issued()]);
const write = (content: string): void => writeFileSync(layout.ledger.path, content, 'latin1');
/** The events in it, and how many lines are damaged. */
const found = async (): Promise<readonly [readonly string[], number]> => {
  const { entries, damaged } = readLedger(layout);
  return [entries.map(({ event }) => event), damaged];
};

describe('a line', () => {
  it('matches what openssl says about the certificate', () => {
    const read = (...words: readonly string[]): string => openssl(['x509', '-noout', ...words], leaf.pem).trim();
    const spki = openssl(['x509', '-noout', '-pubkey'], leaf.pem);
    const colons = openssl(['dgst', '-sha256', '-c'], Buffer.from(spki.replaceAll(/-----.*-----|\n/gu, ''), 'base64'));
    const [, from = '', until = ''] = /^notBefore=(.*)\nnotAfter=(.*)$/u.exec(read('-dates')) ?? [];
    expect(JSON.parse(line())).toEqual({
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
  });

  it('ends with a line feed, and no entries are no text', () => {
    expect(renderEntries([])).toBe('');
    expect(renderEntries([issued(), issued()])).toBe(line() + line());
    expect(line().indexOf('\n')).toBe(line().length - 1);
  });

  it('is read as it was written', async () => {
    const entries = [
      entryOf('issued', 'ca', 'example.org relay CA', ca.info, at),
      issued(),
      { ...entryOf('revoked', 'smtp-client', home, leaf.info, at), reason: 'lost' },
    ];
    write(renderEntries(entries));
    expect(readLedger(layout)).toEqual({ entries, damaged: 0 });
  });

  it('is one line, harmless to a terminal, whatever the reason', async () => {
    const reason = Array.from({ length: 0x3000 }, (_, code) => String.fromCharCode(code)).join('');
    const text = renderEntries([{ ...issued(), event: 'revoked', reason }]);
    writeFileSync(layout.ledger.path, text);
    expect(text.indexOf('\n')).toBe(text.length - 1);
    expect(text.slice(0, -1)).not.toMatch(
      /[\p{Cc}\p{Cf}\u2028\u2029](?<![\u0600-\u0605\u06DD\u070F\u0890\u0891\u08E2\u180E])/u,
    );
    expect(readLedger(layout).entries[0]?.reason).toBe(reason);
  });
});

describe('reading', () => {
  it('gives no entries if there is no file', async () => {
    expect(readLedger(layout)).toEqual({ entries: [], damaged: 0 });
  });

  it('counts and skips a line that was torn anywhere', async () => {
    const torn = line().trimEnd();
    for (const length of [1, 17, torn.length >> 1, torn.length - 1]) {
      write(`${line()}${torn.slice(0, length)}\n${line()}`);
      expect(await found()).toEqual([['issued', 'issued'], 1]);
    }
  });

  it('accepts a last line without its line feed', async () => {
    write(line().trimEnd());
    expect(await found()).toEqual([['issued'], 0]);
  });

  it.each([
    ['text', 'hello'],
    ['null', 'null'],
    ['a list', '[]'],
    ['an empty object', '{}'],
    ['an unknown event', () => JSON.stringify({ ...issued(), event: 'forgotten' })],
    ['an unknown role', () => JSON.stringify({ ...issued(), role: 'admin' })],
    ['a serial that is a number', () => JSON.stringify({ ...issued(), serial: 17 })],
    ['a reason that is a list', () => JSON.stringify({ ...issued(), reason: ['a'] })],
    ['bytes that are not UTF-8', '\u00FF\u00FE'],
    ['zeros, as a power failure leaves them', '\0'.repeat(480)],
    ['more than a mebibyte', () => JSON.stringify({ ...issued(), reason: 'a'.repeat(1 << 20) })],
  ])('counts and skips a line of %s', async (_what, one) => {
    write(`${line()}${typeof one === 'string' ? one : one()}\n${line()}`);
    expect(await found()).toEqual([['issued', 'issued'], 1]);
  });

  it('skips empty lines, and bears unknown keys and __proto__', async () => {
    const later = JSON.stringify({ ...issued(), comment: 'later' });
    write(`\n${later}\n\n${later.replace('{', '{"__proto__":{"event":"revoked"},')}\n`);
    expect(await found()).toEqual([['issued', 'issued'], 0]);
  });

  it('reads a file of any size, whose lines are cut anywhere', async () => {
    const long = `${JSON.stringify({ ...issued(), reason: 'x'.repeat(1_000_000) })}\n`;
    write(long.repeat(70));
    const { entries, damaged } = readLedger(layout);
    expect([entries.length, damaged]).toEqual([70, 0]);
    write(`${long}${'y'.repeat(3 << 20)}\n${long.trim()}`);
    expect(await found()).toEqual([['issued', 'issued'], 1]);
  });

  it('refuses a file that is something else', async () => {
    write('hello\n'.repeat(1001));
    expect(() => readLedger(layout)).toThrow('is not a ledger');
  });

  it('does not follow a link', async () => {
    const target = join(folder, 'target');
    writeFileSync(target, '');
    symlinkSync(target, layout.ledger.path);
    expect(refusalOf(() => readLedger(layout))).toMatchObject({ code: 'files' });
  });
});

it('docs/files.md has a jq line for the history of one certificate', () => {
  const entries = [
    issued(),
    entryOf('issued', 'smtp-client', 'second.example.org', other.info, at),
    { ...entryOf('revoked', 'smtp-client', 'second.example.org', other.info, at), reason: 'lost' },
  ];
  // It skips a torn line.
  write(`${renderEntries(entries)}{"time":"2026-1`);
  const page = readFileSync(new URL('../../docs/files.md', import.meta.url), 'utf8');
  const [asked = '', ...more] = page.split('\n').filter((each) => each.startsWith('jq ') && each.includes('.jsonl'));
  expect(more).toEqual([]);
  const command = asked.replace('SERIAL', other.info.serial);
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
  const nothing = { caCertificate: undefined, hosts: [] };
  const report = (...entries: readonly LedgerEntry[]) => issuedCertificates(entries, nothing);

  it('has one row per certificate, whatever happened to it', () => {
    const rows = report(issued(), entryOf('retired', 'smtp-client', home, leaf.info, at));
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      program: 'postfix',
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
    });
  });

  it('is revoked with every other certificate for its key', async () => {
    const later = await makeLeaf(ca, { keyPair: leaf.keyPair });
    const renewed = entryOf('renewed', 'smtp-client', home, later.info, at);
    const second = entryOf('issued', 'smtp-client', home, other.info, at);
    const revoked = { ...entryOf('revoked', 'smtp-client', home, later.info, at), reason: 'lost' };
    const time = at.toISOString();
    const rows = report(issued(), renewed, revoked, second);
    expect(rows.map((one) => [one.serial, one.revokedAt, one.retiredAt, one.reason])).toEqual([
      [leaf.info.serial, time, undefined, 'lost'],
      [later.info.serial, time, undefined, 'lost'],
      [other.info.serial, undefined, undefined, undefined],
    ]);
  });

  it('is retired with the last one for its key, and not with one before', async () => {
    const later = await makeLeaf(ca, { keyPair: leaf.keyPair });
    const renewed = entryOf('renewed', 'smtp-client', home, later.info, at);
    const states = (retired: TestLeaf): readonly boolean[] =>
      report(issued(), renewed, entryOf('retired', 'smtp-client', home, retired.info, at)).map(
        ({ retiredAt }) => retiredAt !== undefined,
      );
    expect(states(leaf)).toEqual([true, false]);
    expect(states(later)).toEqual([true, true]);
  });

  it('is retired with the CA that signed it, and not with another one', async () => {
    const next = await makeCa();
    const after = await makeLeaf(next);
    const rows = report(
      entryOf('issued', 'ca', 'a CA', ca.info, at),
      issued(),
      entryOf('issued', 'ca', 'a CA 2', next.info, at),
      entryOf('issued', 'smtp-client', home, after.info, at),
      entryOf('retired', 'ca', 'a CA', ca.info, at),
    );
    expect(rows.map(({ retiredAt }) => retiredAt !== undefined)).toEqual([true, true, false, false]);
  });

  it('has what is here and not in the ledger, since its notBefore', () => {
    const here = (info: typeof leaf.info) => ({ path: '/p', info });
    const host = { role: 'smtp-client', hostname: hostName(home) } as never;
    const hosts = [
      { host, certificate: here(leaf.info) },
      { host, certificate: undefined },
    ] as never;
    const state = { caCertificate: here(ca.info), hosts };
    const rows = issuedCertificates([entryOf('issued', 'ca', 'a CA', ca.info, at)], state);
    expect(rows.map(({ name, issuedAt }) => [name, issuedAt])).toEqual([
      ['a CA', at.toISOString()],
      [home, leaf.info.notBefore.toISOString()],
    ]);
    expect(issuedCertificates([issued()], state).map(({ name }) => name)).toEqual([home, ca.info.commonName]);
  });

  it('was issued at its notBefore if the ledger has only its end', () => {
    expect(report(entryOf('revoked', 'smtp-client', home, leaf.info, at))[0]).toMatchObject({
      issuedAt: leaf.info.notBefore.toISOString(),
      revokedAt: at.toISOString(),
    });
  });

  it('has no end if the ledger has no date there', () => {
    expect(report({ ...issued(), notAfter: 'tomorrow' })[0]?.notAfter).toBeUndefined();
  });
});
