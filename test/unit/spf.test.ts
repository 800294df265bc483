// SPF as RFC 7208 evaluates it: records in tables, for one address unless a case names another.

import { describe, expect, it } from 'vitest';
import { evaluateSpf, type SpfCall, type SpfVerdict } from '../../src/dns/spf.js';
import { lookupOf, type Zone } from '../support/dns-answers.js';

const own = '192.0.2.10';
const own6 = '2001:db8::10';

/** What is around every record of example.org. */
const around: Zone = {
  'a.example.org': { a: ['192.0.2.9', own], aaaa: [own6] },
  'near.example.org': { a: ['192.0.2.200'], aaaa: ['2001:db8::ffff'] },
  'far.example.org': { a: ['198.51.100.1'], mx: ['10 near.example.org', '20 a.example.org'] },
  'pass.example.org': { txt: ['v=spf1 ip4:192.0.2.10 -all'] },
  'fail.example.org': { txt: ['v=spf1 -all'] },
  'soft.example.org': { txt: ['v=spf1 ~all'] },
  'text.example.org': { txt: ['v=spf10', 'hello'] },
  'wrong.example.org': { txt: ['v=spf1 ip4:1.2.3'] },
  'broken.example.org': { fails: true },
  'loop.example.org': { txt: ['v=spf1 include:loop.example.org -all'] },
  'null.example.org': { mx: ['0 '] },
  '10.2.0.192.in-addr._spf.example.org': { a: ['127.0.0.2'] },
  'org.example.a.example.org': { a: ['127.0.0.2'] },
  'postmaster.a.example.org': { a: ['127.0.0.2'] },
  [own]: { ptr: ['forged.example.org', 'a.example.org'] },
  [own6]: { ptr: ['a.example.org'] },
  'forged.example.org': { a: ['198.51.100.7'] },
};

async function evaluate(record: string | readonly string[], zone: Zone = {}, call: Partial<SpfCall> = {}) {
  const lookup = lookupOf({
    ...around,
    'example.org': { a: [own], txt: [record].flat(), mx: ['10 a.example.org'] },
    ...zone,
  });
  const whole = {
    address: own,
    domain: 'example.org',
    sender: 'postmaster@example.org',
    helo: 'a.example.org',
    ...call,
  };
  return { verdict: await evaluateSpf(whole, lookup), asked: lookup.asked };
}

const rows: readonly (readonly [record: string, result: SpfVerdict['result'], call?: Partial<SpfCall>])[] = [
  ['v=spf1 all', 'pass'],
  ['v=spf1 +all', 'pass'],
  ['v=spf1 -all', 'fail'],
  ['v=spf1 ~ALL', 'softfail'],
  ['V=SPF1 ?all', 'neutral'],
  ['v=spf1', 'neutral'],
  ['v=spf1  ', 'neutral'],
  ['v=spf10 -all', 'none'],
  ['v=spf1\t-all', 'none'],
  ['spf2.0/pra -all', 'none'],
  ['v=spf1 -all:foo', 'permerror'],
  ['v=spf1 -all.', 'permerror'],
  ['v=spf1 --all', 'permerror'],
  ['v=spf1 -al\u001Bl', 'permerror'],
  ['v=spf1 all ip4:nonsense', 'permerror'],
  // Addresses.
  ['v=spf1 ip4:192.0.2.10 -all', 'pass'],
  ['v=spf1 ip4:192.0.2.0/28 -all', 'pass'],
  ['v=spf1 ip4:192.0.2.0/29 -all', 'fail'],
  ['v=spf1 ip4:10.0.0.0/0 -all', 'pass'],
  ['v=spf1 ip4:192.0.2.10/33 -all', 'permerror'],
  ['v=spf1 ip4:192.0.2.10/032 -all', 'permerror'],
  ['v=spf1 ip4:192.0.2.10/ -all', 'permerror'],
  ['v=spf1 ip4:192.0.2 -all', 'permerror'],
  ['v=spf1 ip4 -all', 'permerror'],
  ['v=spf1 ip4:2001:db8::1 -all', 'permerror'],
  ['v=spf1 ip6:2001:db8::/64 -all', 'pass', { address: own6 }],
  ['v=spf1 ip6:2001:db8::11 -all', 'fail', { address: own6 }],
  ['v=spf1 ip6:::/0 ?all', 'neutral'],
  ['v=spf1 ip6:2001:db8::/129 -all', 'permerror'],
  ['v=spf1 ip4:0.0.0.0/0 -all', 'fail', { address: own6 }],
  ['v=spf1 ip4:192.0.2.10 -all', 'pass', { address: '::ffff:192.0.2.10' }],
  // Names.
  ['v=spf1 a -all', 'pass'],
  ['v=spf1 a:a.example.org -all', 'pass', { address: own6 }],
  ['v=spf1 a:near.example.org -all', 'fail'],
  ['v=spf1 a:near.example.org/24 -all', 'pass'],
  ['v=spf1 a:near.example.org//64 -all', 'pass', { address: own6 }],
  ['v=spf1 a:near.example.org/24//128 -all', 'fail', { address: own6 }],
  ['v=spf1 a/33 -all', 'permerror'],
  ['v=spf1 a//129 -all', 'permerror'],
  ['v=spf1 a:/24 -all', 'permerror'],
  ['v=spf1 a: -all', 'permerror'],
  ['v=spf1 a:example -all', 'permerror'],
  ['v=spf1 a:192.0.2.10 -all', 'permerror'],
  ['v=spf1 a:example.org:8080 -all', 'permerror'],
  ['v=spf1 a:a.example.org. -all', 'pass'],
  ['v=spf1 mx -all', 'pass'],
  ['v=spf1 mx:far.example.org -all', 'pass'],
  ['v=spf1 mx:null.example.org -all', 'fail'],
  ['v=spf1 mx/33 -all', 'permerror'],
  ['v=spf1 a:broken.example.org -all', 'temperror'],
  ['v=spf1 ip4:192.0.2.10 a:broken.example.org -all', 'pass'],
  ['v=spf1 ptr -all', 'pass'],
  ['v=spf1 ptr:a.example.org -all', 'pass', { address: own6 }],
  ['v=spf1 ptr:forged.example.org -all', 'fail'],
  ['v=spf1 ptr/24 -all', 'permerror'],
  // Other records.
  ['v=spf1 include:pass.example.org -all', 'pass'],
  ['v=spf1 -include:pass.example.org all', 'fail'],
  ['v=spf1 include:fail.example.org ?all', 'neutral'],
  ['v=spf1 include:soft.example.org -all', 'fail'],
  ['v=spf1 include:text.example.org -all', 'permerror'],
  ['v=spf1 include:none.example.org -all', 'permerror'],
  ['v=spf1 include:wrong.example.org -all', 'permerror'],
  ['v=spf1 include:broken.example.org -all', 'temperror'],
  ['v=spf1 include -all', 'permerror'],
  ['v=spf1 include:loop.example.org -all', 'permerror'],
  ['v=spf1 redirect=pass.example.org', 'pass'],
  ['v=spf1 redirect=fail.example.org ip4:192.0.2.10', 'pass'],
  ['v=spf1 redirect=pass.example.org ~all', 'softfail'],
  ['v=spf1 redirect=none.example.org', 'permerror'],
  ['v=spf1 redirect=', 'permerror'],
  ['v=spf1 redirect=pass.example.org redirect=pass.example.org', 'permerror'],
  ['v=spf1 redirect:pass.example.org', 'permerror'],
  // Modifiers.
  ['v=spf1 x-y_z.1=%{c}anything -all', 'fail'],
  ['v=spf1 x=% -all', 'permerror'],
  ['v=spf1 4x=y -all', 'permerror'],
  ['v=spf1 =y -all', 'permerror'],
  ['v=spf1 exp=why.example.org -all', 'fail'],
  ['v=spf1 exp= -all', 'permerror'],
  ['v=spf1 exp=a.example.org exp=a.example.org -all', 'permerror'],
  ['v=spf1 mail:example.org -all', 'permerror'],
  // Macros.
  ['v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all', 'pass'],
  ['v=spf1 exists:%{ir}.%{v}._spf.%{D2} -all', 'pass', { sender: 'ann@EXAMPLE.org' }],
  ['v=spf1 exists:%{dr}.%{h} -all', 'pass'],
  ['v=spf1 exists:%{l}.%{p} -all', 'pass'],
  ['v=spf1 exists:%{l}.%{o} -all', 'fail'],
  ['v=spf1 exists:%{i}.a.example.org -all', 'fail'],
  ['v=spf1 a:%{d1r-}.example.org -all', 'fail'],
  ['v=spf1 exists:%{x}.example.org -all', 'permerror'],
  ['v=spf1 exists:%{t}.example.org -all', 'permerror'],
  ['v=spf1 exists:%{d0}.example.org -all', 'permerror'],
  ['v=spf1 exists:%(d).example.org -all', 'permerror'],
  ['v=spf1 exists:%.example.org -all', 'permerror'],
  ['v=spf1 exists:%%%_%-.example.org -all', 'fail'],
  ['v=spf1 exists -all', 'permerror'],
];

describe('a record', () => {
  it.each(rows.map(([record, result, call = {}]) => [record, result, call] as const))(
    '%s: %s',
    async (record, result, call) => {
      const { verdict } = await evaluate(record, {}, call);
      expect(verdict).toMatchObject({ result });
    },
  );

  it('is none if the name is no domain, or the DNS has no such text', async () => {
    expect((await evaluate([])).verdict.result).toBe('none');
    expect((await evaluate('v=spf1 -all', {}, { domain: 'localhost' })).verdict.result).toBe('none');
    expect((await evaluate('v=spf1 -all', {}, { domain: `${'x'.repeat(64)}.org` })).verdict.result).toBe('none');
    expect((await evaluate('', { 'example.org': { fails: ['txt'] } })).verdict.result).toBe('temperror');
  });

  it('does not count if there is another one', async () => {
    expect((await evaluate(['v=spf1 +all', 'other', 'v=spf1 -all'])).verdict).toEqual({
      result: 'permerror',
      why: 'example.org has 2 SPF records',
    });
  });

  it('says which term matched', async () => {
    expect((await evaluate('v=spf1 ip4:10.0.0.1 a:a.example.org -all')).verdict.why).toBe('a:a.example.org');
  });

  it('has a macro name cut on the left, and is not asked for an impossible one', async () => {
    const long = `${'x'.repeat(60)}.`.repeat(5);
    const { verdict, asked } = await evaluate(`v=spf1 exists:${long}%{d} a:${'y'.repeat(64)}.example.org -all`);
    expect(verdict.result).toBe('fail');
    expect(asked.filter((one) => one.startsWith('a '))).toEqual([`a ${`${'x'.repeat(60)}.`.repeat(3)}example.org`]);
  });
});

const includes = (count: number): Zone =>
  Object.fromEntries(
    Array.from({ length: count }, (_, at) => [
      `i${at}.example.org`,
      { txt: [at + 1 < count ? `v=spf1 include:i${at + 1}.example.org -all` : 'v=spf1 ip4:192.0.2.10 -all'] },
    ]),
  );
const mx = (count: number) => Array.from({ length: count }, (_, at) => `${at} far.example.org`);

describe('the limits', () => {
  it('are ten look-ups, the nested ones too', async () => {
    expect((await evaluate('v=spf1 include:i0.example.org -all', includes(10))).verdict.result).toBe('pass');
    const { verdict } = await evaluate('v=spf1 include:i0.example.org -all', includes(11));
    expect(verdict).toEqual({ result: 'permerror', why: 'it needs more than 10 DNS look-ups' });
    const wide = Array.from({ length: 11 }, () => 'a:far.example.org').join(' ');
    expect((await evaluate(`v=spf1 ${wide} -all`)).verdict.result).toBe('permerror');
  });

  it('do not count what needs no DNS', async () => {
    const many = Array.from({ length: 50 }, (_, at) => `ip4:198.51.100.${at}`).join(' ');
    expect((await evaluate(`v=spf1 ${many} ip4:192.0.2.10 -all`)).verdict.result).toBe('pass');
  });

  it('are two names that do not exist', async () => {
    expect((await evaluate('v=spf1 a:x.example.org a:y.example.org ?all')).verdict.result).toBe('neutral');
    const { verdict } = await evaluate('v=spf1 a:x.example.org mx:y.example.org exists:z.example.org ?all');
    expect(verdict).toEqual({
      result: 'permerror',
      why: 'more than 2 of its names do not exist, the last one z.example.org',
    });
  });

  it('are two names that do not exist, that of the address included', async () => {
    const record = 'v=spf1 ptr a:x.example.org a:y.example.org ?all';
    expect((await evaluate(record)).verdict.result).toBe('pass');
    expect((await evaluate(record, { [own]: { ptr: ['forged.example.org'] } })).verdict.result).toBe('neutral');
    expect((await evaluate(record, { [own]: {} })).verdict.result).toBe('permerror');
  });

  it('are ten MX records, and ten names of the address', async () => {
    expect((await evaluate('v=spf1 mx:m.example.org ?all', { 'm.example.org': { mx: mx(10) } })).verdict.result).toBe(
      'neutral',
    );
    expect((await evaluate('v=spf1 mx:m.example.org ?all', { 'm.example.org': { mx: mx(11) } })).verdict.result).toBe(
      'permerror',
    );
    const ptr = [...Array.from({ length: 10 }, () => 'forged.example.org'), 'a.example.org'];
    expect((await evaluate('v=spf1 ptr -all', { [own]: { ptr } })).verdict.result).toBe('fail');
  });

  it('make an error of the DNS no match for ptr', async () => {
    expect((await evaluate('v=spf1 ptr -all', { [own]: { fails: true } })).verdict.result).toBe('fail');
  });
});
