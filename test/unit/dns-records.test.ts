// The records as data and in their formats, and the readers of what others publish: lists of tags, DKIM, DMARC, names of
// addresses. named reads the zone format in test/interop/dns.test.ts.

import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { dkimRecordValue, judgeDkim, type DkimKey } from '../../src/dns/dkim-record.js';
import { findParentDmarc, parseDmarc } from '../../src/dns/dmarc.js';
import { isQueryName, nibblesOf, reverseName } from '../../src/dns/lookup.js';
import { dnsRecords } from '../../src/dns/records.js';
import { hasVersion, parseTags } from '../../src/dns/tags.js';
import { renderPlain, renderZone } from '../../src/render/dns-records.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostName } from '../support/chain.js';
import { lookupOf } from '../support/dns-answers.js';
import { smallSettings } from '../support/project.js';

const settingsWith = (change: Readonly<Record<string, unknown>>) =>
  parseSettings(smallSettings(change), {
    file: '/p/settings.json',
    home: '/home/u',
    uid: 0,
    program: 'relaycerts',
    command: 'relaycerts',
  });
const der = (type: 'rsa' | 'ed25519'): Buffer => {
  const { publicKey } =
    type === 'rsa' ? generateKeyPairSync('rsa', { modulusLength: 2048 }) : generateKeyPairSync('ed25519');
  return publicKey.export({ type: 'spki', format: 'der' });
};
const rsa: DkimKey = {
  domain: hostName('example.org'),
  selector: 'rc202611',
  publicKeyDer: der('rsa'),
  keyType: 'rsa-2048',
  state: 'active',
};
const ed25519: DkimKey = { ...rsa, publicKeyDer: der('ed25519'), keyType: 'ed25519' };
const relay = hostName('relayhost.example.org');
const facts = new Map([[relay, { addresses: ['192.0.2.11', '2001:db8::11'], keyDigest: Buffer.alloc(32, 7) }]]);

const listOf = (change: Readonly<Record<string, unknown>>, known = facts, keys: readonly DkimKey[] = []) =>
  dnsRecords(settingsWith(change), keys, known).map(
    ({ name, type, value, held }) => `${held === undefined ? '' : 'not '}${name} ${type} ${value ?? '?'}`,
  );

describe('MTA-STS', () => {
  const inbound = { inbound: { home: 'mailhost' } };
  const recordsIn = (mode: 'testing' | 'enforce') => dnsRecords(settingsWith(inbound), [], facts, mode);
  const stsIn = (mode: 'testing' | 'enforce') => recordsIn(mode).filter(({ name }) => name.startsWith('_mta-sts.'));

  it('is a record that waits for a file with the relays', () => {
    const [record, ...more] = stsIn('testing');
    expect(more).toEqual([]);
    expect(record).toMatchObject({ name: '_mta-sts.example.org', type: 'TXT' });
    expect(record?.value).toMatch(/^v=STSv1; id=[0-9a-f]{16}$/u);
    expect(record?.held).toMatch(/^publish it once https:\/\/mta-sts\.example\.org\//u);
    expect(record?.file?.text).toBe(
      'version: STSv1\r\nmode: testing\r\nmx: relayhost.example.org\r\nmax_age: 86400\r\n',
    );
  });

  it('has another id if the file differs, so that senders fetch it', () => {
    expect(stsIn('enforce')[0]?.value).not.toBe(stsIn('testing')[0]?.value);
    expect(stsIn('enforce')[0]?.value).toBe(stsIn('enforce')[0]?.value);
  });

  it('is a comment in a zone, its file too', () => {
    const lines = renderZone(recordsIn('testing')).split('\n');
    const at = lines.findIndex((line) => line.includes('_mta-sts.example.org. 3600 IN TXT'));
    expect(lines[at]).toMatch(/^; _mta-sts/u);
    expect(lines.slice(at + 1, at + 5)).toEqual([
      ';   version: STSv1',
      ';   mode: testing',
      ';   mx: relayhost.example.org',
      ';   max_age: 86400',
    ]);
  });

  it('is nothing for a domain whose mail does not come to the relays', () => {
    expect(dnsRecords(settingsWith({}), [], facts, 'enforce')).toEqual(dnsRecords(settingsWith({}), [], facts));
  });
});

describe('the records', () => {
  it('are those of sending, without inbound', () => {
    expect(listOf({ dns: { spf: 'a' } })).toEqual([
      'example.org TXT v=spf1 a:relayhost.example.org -all',
      '_dmarc.example.org TXT v=DMARC1; p=none',
      'relayhost.example.org A 192.0.2.11',
      'relayhost.example.org AAAA 2001:db8::11',
      'relayhost.example.org TXT v=spf1 a -all',
      '11.2.0.192.in-addr.arpa PTR relayhost.example.org',
      '1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR relayhost.example.org',
      `_2500._tcp.relayhost.example.org TLSA 3 1 1 ${'07'.repeat(32)}`,
      `not _25._tcp.relayhost.example.org TLSA 3 1 1 ${'07'.repeat(32)}`,
    ]);
  });

  it('have MX, reports and keys of every domain that asks for them', () => {
    const inbound = { home: 'mailhost', domains: ['example.org', 'example.net'] };
    const dns = { dmarc: { policy: 'reject', reportTo: 'dmarc@example.com' } };
    const next: DkimKey = {
      ...ed25519,
      domain: hostName('example.net'),
      selector: 'rc202612',
      state: 'published-next',
    };
    const all = listOf({ inbound, dns }, new Map(), [rsa, next, { ...rsa, selector: 'rc202601', state: 'retired' }]);
    expect(all).toEqual([
      'example.org MX 10 relayhost.example.org',
      'example.org TXT v=spf1 mx -all',
      `rc202611._domainkey.example.org TXT v=DKIM1; k=rsa; p=${rsa.publicKeyDer.toString('base64')}`,
      'rc202601._domainkey.example.org TXT v=DKIM1; k=rsa; p=',
      '_dmarc.example.org TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com',
      'example.org._report._dmarc.example.com TXT v=DMARC1',
      '_smtp._tls.example.org TXT v=TLSRPTv1; rua=mailto:dmarc@example.com',
      'example.net MX 10 relayhost.example.org',
      'example.net TXT v=spf1 mx -all',
      `rc202612._domainkey.example.net TXT v=DKIM1; k=ed25519; p=${next.publicKeyDer.subarray(-32).toString('base64')}`,
      '_dmarc.example.net TXT v=DMARC1; p=reject; rua=mailto:dmarc@example.com',
      'example.net._report._dmarc.example.com TXT v=DMARC1',
      '_smtp._tls.example.net TXT v=TLSRPTv1; rua=mailto:dmarc@example.com',
      'not relayhost.example.org A ?',
      'relayhost.example.org TXT v=spf1 a -all',
    ]);
  });

  it('have one SPF record if the relay has the name of the domain', () => {
    const all = listOf({ smtpdServers: [{ hostname: 'example.org' }] }, new Map());
    expect(all.filter((line) => line.includes('spf1'))).toEqual(['example.org TXT v=spf1 mx a -all']);
  });

  it('need no agreement for reports within the organization', () => {
    const dns = { dmarc: { reportTo: 'dmarc@reports.example.org' } };
    expect(listOf({ domain: 'mail.example.org', dns }).filter((line) => line.includes('_report'))).toEqual([]);
  });

  it('say what "mx" presumes without inbound', () => {
    expect(dnsRecords(settingsWith({}), [], facts)[0]?.purpose).toContain('otherwise set dns.spf to "a"');
    expect(dnsRecords(settingsWith({ inbound: { home: 'mailhost' } }), [], facts)[1]?.purpose).not.toContain(
      'otherwise',
    );
  });
});

describe('a format', () => {
  const records = dnsRecords(settingsWith({}), [rsa], facts);

  it('for web forms has each value in one piece and without quotes', () => {
    const lines = renderPlain(records).split('\n');
    expect(lines).toContain(`rc202611._domainkey.example.org${' '.repeat(43)}TXT   ${dkimRecordValue(rsa)}`);
    expect(lines.filter((line) => line.includes('"') && !line.startsWith('#'))).toEqual([]);
    expect(lines.find((line) => line.includes('_25._tcp'))).toMatch(/^# /u);
  });

  it('for a zone quotes strings of at most 255 octets, and leaves out what is of others', () => {
    const lines = renderZone(records).split('\n');
    const key = lines.find((line) => line.includes('_domainkey')) ?? '';
    const strings = [...key.matchAll(/"([^"]*)"/gu)].map(([, text = '']) => text);
    expect(strings.map(({ length }) => length)).toEqual([255, dkimRecordValue(rsa).length - 255]);
    expect(strings.join('')).toBe(dkimRecordValue(rsa));
    expect(lines.filter((line) => /PTR|ADDRESS|_25\./u.test(line)).every((line) => line.startsWith(';'))).toBe(true);
  });

  it('for a zone escapes what has a meaning there', () => {
    const [record] = records;
    if (record === undefined) throw new Error('no records');
    expect(renderZone([{ ...record, value: 'a"\\;\u00e9' }])).toContain(String.raw`IN TXT "a\"\\;\195\169"`);
  });
});

describe('a list of tags', () => {
  it.each([
    ['v=DKIM1; p=ab', { v: 'DKIM1', p: 'ab' }],
    [' v = DKIM1 ;\r\n\tp=a b ;', { v: 'DKIM1', p: 'a b' }],
    ['p=a=b;n=', { p: 'a=b', n: '' }],
  ])('%j', (text, tags) => {
    expect(parseTags(text)).toEqual({ tags: new Map(Object.entries(tags)) });
  });

  it.each(['p=a;;k=b', 'p=a;p=b', 'p', '=a', 'a b=c'])('not %j', (text) => {
    expect(parseTags(text)).toHaveProperty('flaw');
  });

  it('is of a version only if that comes first', () => {
    expect(['v=DMARC1', 'v = DMARC1 ; p=none'].map((text) => hasVersion(text, 'DMARC1'))).toEqual([true, true]);
    const others = ['p=none; v=DMARC1', 'v=DMARC12', 'v=dmarc1', 'x v=DMARC1', ''];
    expect(others.filter((text) => hasVersion(text, 'DMARC1'))).toEqual([]);
  });
});

describe('a DKIM record', () => {
  const p = rsa.publicKeyDer.toString('base64');
  const other = createPublicKey(
    generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    }).publicKey,
  )
    .export({ type: 'spki', format: 'der' })
    .toString('base64');
  it.each([
    [dkimRecordValue(rsa), 'ours'],
    [`p=${p}`, 'ours'],
    [`v=DKIM1; k=rsa; h=sha1:sha256; s=email; n=note; p=${p.replaceAll(/(.{50})/gu, '$1 ')}`, 'ours'],
    [`k=rsa; t=s:y; p=${p}`, 'testing'],
    [`v=DKIM1; p=`, 'revoked'],
    [`v=DKIM1; p=${other}`, 'other'],
    [`v=DKIM1; k=ed25519; p=${ed25519.publicKeyDer.subarray(-32).toString('base64')}`, 'other'],
    [`p=${p}; v=DKIM1`, 'foreign'],
    [`v=DKIM2; p=${p}`, 'foreign'],
    ['v=spf1 -all', 'foreign'],
    ['', 'foreign'],
  ])('%.40s...: %s', (text, verdict) => {
    expect(judgeDkim(text, rsa)).toBe(verdict);
  });

  it.each([
    [`v=DKIM1; p=${p.slice(0, 200)}`, 'p= ends in the middle of the key'],
    [`v=DKIM1; p=${p}; p=${p}`, 'the tag p is there twice'],
    ['v=DKIM1; p=*', 'p= is not base64'],
    ['v=DKIM1; k=rsa', 'it has no p='],
    [`v=DKIM1; k=ed25519; p=${p}`, 'k=ed25519, and the key is rsa'],
    [`v=DKIM1; h=sha1; p=${p}`, 'h= does not allow sha256'],
    [`v=DKIM1; s=tls; p=${p}`, 's= does not allow email'],
  ])('%.30s...: %s', (text, flaw) => {
    expect(judgeDkim(text, rsa)).toEqual({ flaw });
  });

  it('of an Ed25519 key has its 32 octets', () => {
    expect(dkimRecordValue(ed25519)).toMatch(/^v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=$/u);
    expect(judgeDkim(dkimRecordValue(ed25519), ed25519)).toBe('ours');
  });
});

const dmarcRecord = (text: string) => ({ txt: [`v=DMARC1; ${text}`] });

describe('a DMARC record', () => {
  it.each([
    ['v=DMARC1; p=none', { policy: 'none', subdomains: 'none' }],
    ['v=DMARC1;p=REJECT;sp=none;np=reject;pct=50;fo=1', { policy: 'reject', subdomains: 'none' }],
    [
      'v=DMARC1; p=none; rua=mailto:a@b.example!10m , https://c.example/',
      { reportTo: ['mailto:a@b.example!10m', 'https://c.example/'] },
    ],
  ])('%s', (text, record) => {
    expect(parseDmarc(text)).toMatchObject(record);
  });

  it.each([
    'v=DMARC1',
    'v=DMARC1; p=',
    'v=DMARC1; p=block',
    'v=DMARC1; p=none; sp=block',
    'v=DMARC1; p=none; aspf=x',
    'v=DMARC1; p=none; rua=ann@example.org',
    'v=DMARC1; p=none; p=reject',
    'v=DMARC1 p=none',
  ])('not %s', (text) => {
    expect(parseDmarc(text)).toHaveProperty('flaw');
  });

  it.each([
    [
      'of the highest domain that has one',
      { '_dmarc.b.co.uk': dmarcRecord('p=none'), '_dmarc.a.b.co.uk': dmarcRecord('p=reject') },
      '_dmarc.b.co.uk',
    ],
    [
      'of the one below a public suffix',
      { '_dmarc.b.co.uk': dmarcRecord('p=none'), '_dmarc.co.uk': dmarcRecord('p=reject; psd=y') },
      '_dmarc.b.co.uk',
    ],
    ['of a public suffix if there is no other', { '_dmarc.co.uk': dmarcRecord('p=reject; psd=y') }, '_dmarc.co.uk'],
    [
      'of the one that says that it is the highest',
      { '_dmarc.a.b.co.uk': dmarcRecord('p=none; psd=n'), '_dmarc.b.co.uk': dmarcRecord('p=none') },
      '_dmarc.a.b.co.uk',
    ],
    ['not one that is not valid', { '_dmarc.b.co.uk': dmarcRecord('p=x') }, undefined],
  ])('for a domain without is that %s', async (_, zone, at) => {
    const found = await findParentDmarc('mail.a.b.co.uk', lookupOf(zone));
    expect('at' in found ? found.at : undefined).toBe(at);
  });

  it('of a very long name is looked for in eight steps', async () => {
    const lookup = lookupOf({});
    await findParentDmarc(`${'x.'.repeat(100)}example`, lookup);
    expect(lookup.asked).toHaveLength(7);
  });
});

describe('the name of an address', () => {
  it.each([
    ['192.0.2.11', '11.2.0.192.in-addr.arpa'],
    ['::1', `1.${'0.'.repeat(31)}ip6.arpa`],
    ['2001:DB8::', `${'0.'.repeat(24)}8.b.d.0.1.0.0.2.ip6.arpa`],
    ['::ffff:192.0.2.1', `1.0.2.0.0.0.0.c.f.f.f.f.${'0.'.repeat(20)}ip6.arpa`],
  ])('%s', (address, name) => {
    expect(reverseName(address)).toBe(name);
  });

  it('has 32 digits however the address is written', () => {
    for (const text of ['1:2:3:4:5:6:7:8', '1::8', '::', '1::', '1:2:3:4:5:6:7::', '64:ff9b::192.0.2.33']) {
      expect(nibblesOf(text)).toHaveLength(32);
    }
  });
});

it('a question is a name of sizes that the DNS has', () => {
  expect(['a', 'a.b', '_x.a-b.c', '*.a', `${'x'.repeat(63)}.a`].filter((name) => !isQueryName(name))).toEqual([]);
  const wrong = ['', 'a..b', '.a', 'a.', 'a b', 'a\\.b', 'a\nb', '\u00e9.a', `${'x'.repeat(64)}.a`, 'a.'.repeat(127)];
  expect(wrong.filter(isQueryName)).toEqual([]);
});
