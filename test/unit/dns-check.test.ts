// What `dns --check` finds, by tables of answers: from a DNS where everything is right, one thing at a time is made
// wrong, or gets no answer.

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { checkBlockList } from '../../src/check/block-lists.js';
import { checkDns } from '../../src/check/dns.js';
import { dkimRecordValue, type DkimKey } from '../../src/dns/dkim-record.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostName } from '../support/chain.js';
import { lookupOf, type NameRecords, type Zone } from '../support/dns-answers.js';
import { smallSettings } from '../support/project.js';

const key: DkimKey = {
  domain: hostName('example.org'),
  selector: 'rc202611',
  publicKeyDer: generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' }),
  keyType: 'ed25519',
  state: 'active',
};
const keyName = 'rc202611._domainkey.example.org';
const relay = 'relayhost.example.org';
const right: Zone = {
  'example.org': { mx: [`10 ${relay}`], txt: ['v=spf1 mx -all', 'other=text'] },
  [relay]: { a: ['192.0.2.11'], txt: ['v=spf1 a -all'] },
  '192.0.2.11': { ptr: [relay] },
  '_dmarc.example.org': { txt: ['v=DMARC1; p=none; rua=mailto:dmarc@example.org'] },
  '_smtp._tls.example.org': { txt: ['v=TLSRPTv1; rua=mailto:dmarc@example.org'] },
  [keyName]: { txt: [dkimRecordValue(key)] },
};
const asked = { inbound: { home: 'mailhost' }, dns: { dmarc: { reportTo: 'dmarc@example.org' } } };

interface Case {
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly keys?: readonly DkimKey[];
}

async function check(change: Zone, { settings = asked, keys = [key] }: Case = {}) {
  const lookup = lookupOf({ ...right, ...change });
  const place = { file: '/p/settings.json', home: '/h', uid: 0, program: 'relaycerts', command: 'relaycerts' };
  const reports = await checkDns({
    settings: parseSettings(smallSettings(settings), place),
    keys,
    lookup,
    blockLists: [],
  });
  return { reports, ids: reports.flatMap(({ findings }) => findings.map(({ id }) => id)), asked: lookup.asked };
}

it('finds nothing if every record is right', async () => {
  const { reports, ids } = await check({});
  expect(ids).toEqual([]);
  expect(reports.map(({ host, fine }) => `${host} ${fine}`)).toEqual([
    'relayhost.example.org DNS: has the address 192.0.2.11',
    'relayhost.example.org DNS: 192.0.2.11 has the right PTR record',
    'relayhost.example.org DNS: SPF passes for 192.0.2.11',
    'example.org DNS: MX names relayhost.example.org',
    'example.org DNS: DMARC says none, at _dmarc.example.org',
    'example.org DNS: senders report failures of TLS (TLS-RPT)',
    'example.org DNS: SPF passes for 192.0.2.11',
    `example.org DNS: ${keyName} publishes our DKIM key`,
  ]);
});

const apex = (change: NameRecords): Zone => ({ 'example.org': { ...right['example.org'], ...change } });
const own = (change: NameRecords): Zone => ({ [relay]: { ...right[relay], ...change } });
const txt = (name: string, ...values: readonly string[]): Zone => ({ [name]: { txt: values } });
const v6 = '2001:db8::11';

describe('what is wrong has its finding:', () => {
  const rows: readonly (readonly [what: string, change: Zone, ids: readonly string[], on?: Case])[] = [
    ['no address', { ...own({ a: [] }) }, ['relay-no-address', 'mx-no-address']],
    [
      'an alias',
      { [relay]: { cname: 'x.example.net' }, 'x.example.net': right[relay] ?? {} },
      ['relay-alias', 'mx-alias'],
    ],
    ['a private address', { ...own({ a: ['10.0.0.1'] }), '10.0.0.1': { ptr: [relay] } }, ['relay-private-address']],
    ['no PTR', { '192.0.2.11': {} }, ['ptr-missing']],
    ['no PTR for IPv6', { ...own({ aaaa: [v6] }) }, ['ptr-missing']],
    ['a PTR that is no name', { '192.0.2.11': { ptr: ['\u001B[2J', 'a_b.example.org'] } }, ['ptr-no-name']],
    [
      'a PTR of the provider',
      { '192.0.2.11': { ptr: ['vps.example.net'] }, 'vps.example.net': { a: ['192.0.2.11'] } },
      ['ptr-other-name'],
    ],
    [
      'a PTR that does not lead back',
      { '192.0.2.11': { ptr: ['vps.example.net'] }, 'vps.example.net': { a: ['192.0.2.12'] } },
      ['ptr-not-back'],
    ],
    ['several PTR', { '192.0.2.11': { ptr: ['vps.example.net', relay] } }, ['ptr-several']],
    [
      'a domain that is an alias',
      { 'example.org': { cname: 'x.example.net' }, 'x.example.net': right['example.org'] ?? {} },
      ['domain-alias'],
    ],
    ['no MX', { ...apex({ mx: [], txt: ['v=spf1 ip4:192.0.2.11 -all'] }) }, ['mx-missing']],
    ['a null MX', { ...apex({ mx: ['0 '], txt: ['v=spf1 ip4:192.0.2.11 -all'] }) }, ['mx-null']],
    [
      'a null MX of a domain that only sends',
      { ...apex({ mx: ['0 '], txt: ['v=spf1 ip4:192.0.2.11 -all'] }) },
      ['mx-null-sender'],
      { settings: {} },
    ],
    ['an MX that is an address', { ...apex({ mx: ['10 192.0.2.11', `20 ${relay}`] }) }, ['mx-bad-name']],
    [
      'an MX without an address',
      { ...apex({ mx: [`10 ${relay}`, '20 gone.example.org'] }) },
      ['mx-other', 'mx-no-address'],
    ],
    [
      'MX of others',
      {
        ...apex({ mx: ['10 x.example.net'], txt: ['v=spf1 a:relayhost.example.org -all'] }),
        'x.example.net': { a: ['192.0.2.12'] },
      },
      ['mx-no-relay'],
    ],
    ['an MX of a relay without inbound', {}, ['mx-without-inbound'], { settings: {} }],
    [
      'an MX that is a relay under another name, without inbound',
      {
        ...apex({ mx: ['10 mx.example.net'] }),
        ...own({ aaaa: [v6] }),
        [v6]: { ptr: [relay] },
        'mx.example.net': { aaaa: ['2001:DB8:0::11'] },
      },
      ['mx-without-inbound', 'spf-fail'],
      { settings: {} },
    ],
    [
      'an MX that is in altNames, without inbound',
      { ...apex({ mx: ['10 mx.example.org'] }), 'mx.example.org': { a: ['192.0.2.11'] } },
      ['mx-without-inbound'],
      { settings: { smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }] } },
    ],
    ['no SPF', { ...apex({ txt: [] }) }, ['spf-missing']],
    ['no SPF of HELO', { ...own({ txt: [] }) }, ['spf-helo-missing']],
    ['two SPF records', { ...apex({ txt: ['v=spf1 mx -all', 'v=spf1 a -all'] }) }, ['spf-several']],
    ['SPF with an error', { ...apex({ txt: ['v=spf1 mx ipv4:192.0.2.11 -all'] }) }, ['spf-permerror']],
    ['SPF that forbids the relay', { ...apex({ txt: ['v=spf1 ip4:192.0.2.12 -all'] }) }, ['spf-fail']],
    ['SPF that says nothing of the relay', { ...apex({ txt: ['v=spf1 ip4:192.0.2.12 ~all'] }) }, ['spf-no-pass']],
    ['SPF for everybody', { ...apex({ txt: ['v=spf1 mx +all'] }) }, ['spf-open']],
    [
      'SPF for everybody, within another',
      { ...apex({ txt: ['v=spf1 mx include:e.example -all'] }), ...txt('e.example', 'v=spf1 all') },
      ['spf-open'],
    ],
    ['SPF for everybody with IPv6', { ...apex({ txt: ['v=spf1 mx ip6:::/0 -all'] }) }, ['spf-open']],
    [
      'SPF with an error after the relays',
      { ...apex({ txt: ['v=spf1 mx include:none.example -all'] }) },
      ['spf-late-error'],
    ],
    ['no DMARC', { '_dmarc.example.org': {} }, ['dmarc-missing']],
    ['two DMARC records', txt('_dmarc.example.org', 'v=DMARC1; p=none', 'v=DMARC1; p=reject'), ['dmarc-several']],
    ['DMARC cut by the zone file', txt('_dmarc.example.org', 'v=DMARC1'), ['dmarc-flawed']],
    ['DMARC with v= last', txt('_dmarc.example.org', 'p=none; v=DMARC1'), ['dmarc-flawed']],
    [
      'DMARC that is weaker',
      {},
      ['dmarc-weaker'],
      { settings: { ...asked, dns: { dmarc: { policy: 'reject', reportTo: 'dmarc@example.org' } } } },
    ],
    ...(['t=y', 'pct=0'] as const).map(
      (tag) =>
        [
          `DMARC with ${tag}`,
          txt('_dmarc.example.org', `v=DMARC1; p=reject; ${tag}`),
          ['dmarc-exempts'],
          { settings: { ...asked, dns: { dmarc: { policy: 'quarantine', reportTo: 'dmarc@example.org' } } } },
        ] as const,
    ),
    [
      'DMARC reports that nobody accepts',
      txt('_dmarc.example.org', 'v=DMARC1; p=none; rua=mailto:a@other.example'),
      ['dmarc-no-reports'],
    ],
    ['no TLS-RPT', { '_smtp._tls.example.org': {} }, ['tlsrpt-missing']],
    ['TLS-RPT without an address', txt('_smtp._tls.example.org', 'v=TLSRPTv1'), ['tlsrpt-flawed']],
    ['MTA-STS', txt('_mta-sts.example.org', 'v=STSv1; id=1'), ['mta-sts-there']],
    ['no DKIM', { [keyName]: {} }, ['dkim-missing']],
    [
      'no DKIM of the next key',
      { [keyName]: {} },
      ['dkim-not-published'],
      { keys: [{ ...key, state: 'published-next' }] },
    ],
    ['a wildcard in place of DKIM', txt(keyName, 'v=spf1 -all'), ['dkim-missing']],
    ['two DKIM records', txt(keyName, dkimRecordValue(key), 'v=DKIM1; p='), ['dkim-several']],
    ['a DKIM record beside another text', txt(keyName, 'a=b', dkimRecordValue(key)), ['dkim-several']],
    ['another DKIM key', txt(keyName, `v=DKIM1; k=ed25519; p=${'A'.repeat(43)}=`), ['dkim-other']],
    ['a revoked DKIM key', txt(keyName, 'v=DKIM1; p='), ['dkim-revoked']],
    ['a DKIM record in test mode', txt(keyName, `${dkimRecordValue(key)}; t=y`), ['dkim-testing']],
    ['a DKIM record with an error', txt(keyName, 'v=DKIM1; p=*'), ['dkim-flawed']],
    ['a retired DKIM key', {}, ['dkim-not-revoked'], { keys: [{ ...key, state: 'retired' }] }],
  ];
  it.each(rows.map(([what, change, ids, on = {}]) => [what, change, ids, on] as const))(
    '%s',
    async (_, change, ids, on) => {
      expect((await check(change, on)).ids).toEqual(ids);
    },
  );
});

describe('what is right:', () => {
  it.each<[string, Zone, Case]>([
    ['no MX, without inbound', apex({ mx: [], txt: ['v=spf1 a:relayhost.example.org -all'] }), { settings: {} }],
    [
      'an MX that is a relay under another name',
      { ...apex({ mx: ['10 mx.example.net'] }), 'mx.example.net': { a: ['192.0.2.11'] } },
      {},
    ],
    ['no MX without inbound', apex({ mx: [], txt: ['v=spf1 a:relayhost.example.org -all'] }), { settings: {} }],
    ['IPv6 with its name', { ...own({ aaaa: [v6] }), [v6]: { ptr: [relay] } }, {}],
    [
      'names in capitals',
      { ...apex({ mx: ['10 RELAYHOST.example.org'] }), '192.0.2.11': { ptr: ['Relayhost.Example.ORG'] } },
      {},
    ],
    ['a stricter DMARC policy, also as a test', txt('_dmarc.example.org', 'v=DMARC1; p=reject; t=y'), {}],
    ['a wildcard beside the right DMARC record', txt('_dmarc.example.org', 'v=spf1 -all', 'v=DMARC1; p=none'), {}],
    [
      'reports to another domain that agrees',
      {
        ...txt('_dmarc.example.org', 'v=DMARC1; p=none; rua=mailto:a@other.example!5m'),
        ...txt('example.org._report._dmarc.other.example', 'v=DMARC1;'),
      },
      {},
    ],
    ['a retired DKIM key that is revoked', txt(keyName, 'v=DKIM1; p='), { keys: [{ ...key, state: 'retired' }] }],
    ['a retired DKIM key that is gone', { [keyName]: {} }, { keys: [{ ...key, state: 'retired' }] }],
  ])('%s', async (_, change, on) => {
    expect((await check(change, on)).ids).toEqual([]);
  });

  it('a subdomain under the DMARC record of its parent', async () => {
    const settings = { domain: 'mail.example.org', dns: { spf: 'a' } };
    const name = 'relayhost.mail.example.org';
    const zone: Zone = {
      'mail.example.org': { txt: [`v=spf1 a:${name} -all`] },
      [name]: { a: ['192.0.2.11'], txt: ['v=spf1 a -all'] },
      '192.0.2.11': { ptr: [name] },
      ...txt('_dmarc.example.org', 'v=DMARC1; p=none; sp=reject; rua=mailto:a@other.example'),
      // About the domain that has the record.
      ...txt('example.org._report._dmarc.other.example', 'v=DMARC1'),
    };
    const { ids, reports } = await check(zone, { settings, keys: [] });
    expect(ids).toEqual([]);
    expect(reports.map(({ fine }) => fine)).toContain('DNS: DMARC says reject, at _dmarc.example.org');
  });
});

describe('what has no answer is not known, and never wrong:', () => {
  it.each<[string, Zone]>([
    [
      'everything',
      Object.fromEntries(
        [...Object.keys(right), 'rc', '_mta-sts.example.org', 'org', '_dmarc.org'].map((name) => [
          name,
          { fails: true },
        ]),
      ),
    ],
    ['the domain', { 'example.org': { fails: true } }],
    ['the relay', { [relay]: { fails: true } }],
    ['the name of the address', { '192.0.2.11': { fails: true } }],
    ['the way back', { '192.0.2.11': { ptr: ['vps.example.net'] }, 'vps.example.net': { fails: true } }],
    ['DMARC', { '_dmarc.example.org': { fails: true } }],
    ['a parent', { '_dmarc.example.org': {}, '_dmarc.org': { fails: true } }],
    ['TLS-RPT', { '_smtp._tls.example.org': { fails: true } }],
    ['DKIM', { [keyName]: { fails: true } }],
    ['a part of SPF', { ...apex({ txt: ['v=spf1 include:x.example -all'] }), 'x.example': { fails: true } }],
    ['another MX', { ...apex({ mx: [`10 ${relay}`] }), ...own({ fails: ['aaaa'] }) }],
  ])('%s', async (_, change) => {
    const { ids, reports } = await check(change);
    expect(new Set(ids)).toEqual(new Set(['dns-unknown']));
    expect(reports.flatMap(({ findings }) => findings).every(({ severity }) => severity === 'unknown')).toBe(true);
  });
});

it('shows nothing of an answer that a terminal acts on', async () => {
  const bad = '\u001B]0;x\u0007\u009B2J\u202E';
  const { reports } = await check({
    ...apex({ mx: [`10 ${bad}`, `20 ${relay}`], txt: [`v=spf1 ${bad} -all`] }),
    ...own({ txt: [bad.repeat(500)] }),
    ...txt('_dmarc.example.org', `v=DMARC1; p=${bad}`),
    ...txt(keyName, bad.repeat(999), `v=DKIM1; k=${bad}; p=AAAA`),
    '192.0.2.11': { ptr: [bad] },
  });
  const messages = reports.flatMap(({ fine, findings }) => [fine, ...findings.map(({ message }) => message)]);
  expect(messages.filter((text) => /[\p{Cc}\p{Cf}]/u.test(text) || text.length > 500)).toEqual([]);
});

it('follows only so many of a thousand records', async () => {
  const many = Array.from({ length: 1000 }, (_, at) => `h${at}.example.net`);
  const { ids, asked: questions } = await check({
    ...apex({ mx: many.map((name) => `10 ${name}`) }),
    ...own({ a: many.map((_, at) => `198.51.${at >> 8}.${at & 255}`) }),
    ...txt('_dmarc.example.org', `v=DMARC1; p=none; rua=${many.map((name) => `mailto:a@${name}.example`).join(',')}`),
    '192.0.2.11': { ptr: many },
  });
  expect(ids).toContain('mx-no-relay');
  expect(questions.length).toBeLessThan(500);
});

describe('a block list', () => {
  const list = 'zen.example';
  const works: Zone = { [`2.0.0.127.${list}`]: { a: ['127.0.0.2'] } };
  const ask = async (zone: Zone, name = list) =>
    (await checkBlockList(name, relay, ['192.0.2.11', '2001:db8::1'], lookupOf(zone))).findings.map(
      ({ id, message }) => `${id} ${message}`,
    );
  const listed = (code: string): Zone => ({ ...works, [`11.2.0.192.${list}`]: { a: [code] } });

  it('has the address, or not', async () => {
    expect(await ask(works)).toEqual([]);
    expect(await ask(listed('127.0.0.3'))).toEqual([
      expect.stringMatching(/^dnsbl-listed 192\.0\.2\.11 .*127\.0\.0\.3/u),
    ]);
    const six = `${'1.'.padEnd(48, '0.')}8.b.d.0.1.0.0.2.${list}`;
    expect(await ask({ ...works, [six]: { a: ['127.0.0.4'] } })).toEqual([expect.stringContaining('2001:db8::1')]);
  });

  it('counts only answers that the settings name', async () => {
    const name = `${list}=127.0.[0;1].[2..4;11]`;
    const found = await Promise.all(
      ['127.0.0.3', '127.0.1.11', '127.0.0.10', '127.0.2.3'].map((code) => ask(listed(code), name)),
    );
    expect(found.map(({ length }) => length)).toEqual([1, 1, 0, 0]);
  });

  it.each<[string, Zone]>([
    ['a public resolver', listed('127.255.255.254')],
    ['a wrong name', listed('127.255.255.252')],
    ['too many questions', { [`2.0.0.127.${list}`]: { a: ['127.255.255.255'] } }],
    ['an answer for every name', listed('203.0.113.1')],
    ['a list that lists everything', { ...works, [`1.0.0.127.${list}`]: { a: ['127.0.0.2'] } }],
    ['a list that has ended', {}],
    ['no answer', { ...works, [`11.2.0.192.${list}`]: { fails: true } }],
    ['no answer to the test', { [`2.0.0.127.${list}`]: { fails: true } }],
  ])('is not known to have it: %s', async (_, zone) => {
    const found = await ask(zone);
    expect(found.length).toBeGreaterThan(0);
    expect(found.filter((one) => !one.startsWith('dnsbl-unknown '))).toEqual([]);
  });
});
