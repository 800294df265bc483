// Whatever the DNS says, its readers answer, soon, and nothing of it reaches a terminal as it is.

import { describe, expect, it } from 'vitest';
import { parseDmarc } from '../../src/dns/dmarc.js';
import { evaluateSpf } from '../../src/dns/spf.js';
import { isSpf, parseSpf } from '../../src/dns/spf-record.js';
import { parseTags } from '../../src/dns/tags.js';
import { nibblesOf } from '../../src/dns/lookup.js';
import { lookupOf } from '../support/dns-answers.js';
import * as fc from '../support/fast-check.js';

const parts = [
  'v=spf1',
  ' ',
  'a',
  'mx',
  'ptr',
  'ip4:',
  'ip6:',
  'include:',
  'exists:',
  'redirect=',
  'exp=',
  'x=',
  '-',
  '~',
];
const pieces = fc.constantFrom(
  ...parts,
  '%{d}',
  '%{ir}',
  '%{l1r-}',
  '%',
  '%%',
  '/24',
  '//64',
  '.',
  ':',
  'a.example',
  '192.0.2.1',
  '\u0000',
  '\u00ff',
);
const record = fc.array(pieces, { maxLength: 30 }).map((list) => `v=spf1 ${list.join('')}`);

describe('SPF', () => {
  it('has a result for every record, in a bounded number of questions', async () => {
    await fc.assert(
      fc.asyncProperty(record, record, async (one, other) => {
        const lookup = lookupOf({
          'a.example': { txt: [one], a: ['192.0.2.9'], mx: ['1 a.example'] },
          'b.example': { txt: [other] },
        });
        const call = { address: '192.0.2.1', domain: 'b.example', sender: 'postmaster@b.example', helo: 'a.example' };
        const { result } = await evaluateSpf(call, lookup);
        expect(['pass', 'fail', 'softfail', 'neutral', 'none', 'permerror', 'temperror']).toContain(result);
        expect(lookup.asked.length).toBeLessThan(150);
      }),
    );
  });

  it.each([
    ['many terms', 'v=spf1 a '.padEnd(65_000, 'a ')],
    ['one long name', `v=spf1 a:${'a.'.repeat(32_000)}`],
    ['many macros', `v=spf1 a:${'%{d}'.repeat(16_000)}`],
    ['many percent signs', `v=spf1 x=${'%'.repeat(65_000)}`],
    ['many delimiters', `v=spf1 x=%{d${'-'.repeat(65_000)}`],
    ['many digits', `v=spf1 ip4:${'1'.repeat(65_000)}`],
    ['many slashes', `v=spf1 a${'/'.repeat(65_000)}`],
    ['many blanks', `v=spf1 ${' '.repeat(65_000)}x`],
  ])('is read in little time: %s', (_, text) => {
    const before = process.cpuUsage();
    expect(isSpf(text)).toBe(true);
    parseSpf(text);
    const { user } = process.cpuUsage(before);
    expect(user).toBeLessThan(2_000_000);
  });
});

it('lists of tags are read in little time', () => {
  const before = process.cpuUsage();
  for (const text of [' '.repeat(65_000), ';'.repeat(65_000), `v=${' '.repeat(65_000)}x`, `v${' '.repeat(65_000)}x`]) {
    parseTags(text);
    parseDmarc(`v=DMARC1; p=none; rua=${text}`);
  }
  expect(process.cpuUsage(before).user).toBeLessThan(4_000_000);
});

it('an IPv6 address has 32 digits', () => {
  fc.assert(fc.property(fc.ipV6(), (address) => nibblesOf(address).length === 32));
});
