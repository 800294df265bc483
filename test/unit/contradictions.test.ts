// Contradictions, as a table: nothing is made then, and the hint says how to fix it. No disk.

import { beforeAll, describe, expect, it } from 'vitest';
import { fingerprintOf } from '../../src/certificate/fingerprint.js';
import type { CertificateFindingCode } from '../../src/certificate/verify.js';
import { renderHint } from '../../src/errors.js';
import type { Inventory } from '../../src/plan/inventory.js';
import { contradictionsOf, planMake, type Plan } from '../../src/plan/plan.js';
import { bundlesOf } from '../../src/render/bundle.js';
import { changedHost, changeHost, makeInventory, threeHosts as settings } from '../support/inventory.js';

const at = new Date('2026-11-20T12:00:00Z');

let whole: Inventory;
beforeAll(async () => {
  whole = await makeInventory(settings, at);
});

const plan = (inventory: Inventory, when = at): Plan =>
  planMake(settings, inventory, bundlesOf(settings, inventory), when);
const without = (label: string, what: 'key' | 'certificate' | 'both'): Inventory =>
  changeHost(whole, label, ({ key, certificate }) => ({
    key: what === 'certificate' ? key : undefined,
    certificate: what === 'key' ? certificate : undefined,
  }));

const messages = (result: Plan): string => result.problems.map(({ message }) => message).join('\n');

describe('what contradicts', () => {
  it.each([
    ['a certificate without its key', () => without('second', 'key'), /second.* is there, but its key .* is missing/u],
    ['a CA without its key', () => ({ ...whole, caKey: undefined }), /its key .*ca\.key\.pem" is missing/u],
    [
      "leaves without the CA's certificate",
      () => ({ ...whole, caCertificate: undefined }),
      /CA's certificate is missing/u,
    ],
    [
      'a CA that is gone',
      () => ({ ...whole, caKey: undefined, caCertificate: undefined }),
      /key and certificate are missing/u,
    ],
    [
      'a CA that only a ledger is left of',
      () => ({
        ...whole,
        caKey: undefined,
        caCertificate: undefined,
        hosts: whole.hosts.map((one) => changedHost(one, { certificate: undefined, bundle: new Map() })),
      }),
      /issued\.jsonl" shows that there was a CA/u,
    ],
    [
      'no passphrase file where something is to be signed',
      () => ({ ...without('second', 'certificate'), passphraseFile: undefined }),
      /passphrase file .* is missing/u,
    ],
  ])('%s', (_name, change, says) => {
    const result = plan(change());
    expect(messages(result)).toMatch(says);
    for (const { hint = '' } of result.problems) expect(renderHint(hint, 'relaycerts')).toMatch(/\S/u);
  });

  it('an expired CA, and not an expired leaf, which is a warning', () => {
    expect(plan(whole, new Date('2027-12-31T00:00:00Z')).problems).toEqual([]);
    expect(plan(whole, new Date('2027-12-31T00:00:00Z')).warnings).toHaveLength(3);
    expect(plan(whole, new Date('2027-12-05T00:00:00Z')).warnings[0]?.message).toMatch(
      /expires on 2027-12-23, in 18 days/u,
    );
    expect(messages(plan(whole, new Date('2036-12-31T00:00:00Z')))).toMatch(/ca\.crt\.pem" expired/u);
  });

  it('a clock before the certificates', () => {
    expect(messages(plan(whole, new Date('2026-11-01T00:00:00Z')))).toMatch(
      /is not valid before .*, and it is 2026-11-01/u,
    );
  });

  it('a file that could not be read is not taken for a missing one', () => {
    const result = plan({ ...without('second', 'both'), problems: [{ message: 'cannot read it' }] });
    expect(result).toEqual({ steps: [], problems: [{ message: 'cannot read it' }], held: [], warnings: [] });
  });
});

describe('what a command fixes', () => {
  const late = new Date('2036-12-31T00:00:00Z');
  const early = new Date('2026-11-01T00:00:00Z');
  it.each<readonly [string, Date, readonly CertificateFindingCode[], number]>([
    ['an expired CA contradicts', late, [], 1],
    ['renew --ca fixes it', late, ['expired'], 0],
    ['another fix is none', late, ['not-yet-valid', 'wrong-name'], 1],
    ['a CA of the future contradicts', early, [], 1],
    ['it can be fixed too', early, ['not-yet-valid'], 0],
    ['nothing contradicts, nothing to fix', at, ['expired'], 0],
  ])('%s', (_name, when, fixes, count) => {
    expect(contradictionsOf(settings, whole, when, fixes)).toHaveLength(count);
  });

  it('no fix covers a host, a missing key or a file that cannot be read', () => {
    const fixes = ['expired', 'not-yet-valid', 'wrong-name', 'wrong-issuer'] as const;
    const count = (state: Inventory): number => contradictionsOf(settings, state, at, fixes).length;
    expect(count(without('second', 'key'))).toBe(1);
    expect(count({ ...whole, caKey: undefined })).toBe(1);
    expect(count({ ...whole, problems: [{ message: 'cannot read it' }] })).toBe(1);
  });
});

const withRevoked = (label: string): Inventory => {
  const info = whole.hosts.find(({ host }) => host.hostname.startsWith(label))?.certificate?.info;
  const keys = new Set(info === undefined ? [] : [fingerprintOf(info, 'public-key', 'sha256')]);
  return { ...whole, revoked: { ...whole.revoked, keys } };
};

describe('a key that was revoked', () => {
  it('contradicts if it is here again, in any file', () => {
    const state = withRevoked('second');
    const second = whole.hosts.find(({ host }) => host.hostname.startsWith('second'));
    for (const [label, change] of [
      ['second', {}],
      ['second', { certificate: undefined }],
      ['second', { key: undefined }],
      ['mailhost', { previous: second?.certificate }],
    ] as const) {
      const { problems } = plan(changeHost(state, label, () => change));
      expect(problems[0]?.message).toMatch(/was revoked/u);
      expect(renderHint(problems[0]?.hint ?? '', 'relaycerts')).toMatch(/^rm \/project\/certs\//u);
    }
  });

  it('ignores a host that stays revoked', () => {
    const state = changeHost(withRevoked('second'), 'second', () => ({ isRevoked: true }));
    expect(plan(state).problems).toEqual([]);
  });
});
