// DKIM keys: selectors, the stages of a change, and the file that keeps them.

import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readHostKey } from '../../src/certificate/private-key.js';
import { parseHostName } from '../../src/names.js';
import { dkimStage, keyTypeWarnings, newDkimKeys, newSelector, type FoundDkimKey } from '../../src/plan/dkim.js';
import type { SeenHost } from '../../src/plan/installed.js';
import { parseSettings } from '../../src/settings/schema.js';
import { parseSelectors, renderSelectors } from '../../src/store/dkim-keys.js';

const day = 86_400_000;
const at = new Date('2026-11-27T12:00:00Z');
const ago = (days: number): Date => new Date(at.getTime() - days * day);
const domain = parseHostName('example.org');
const relay = parseHostName('relayhost.example.org');
const written = {
  domain,
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [{ hostname: 'mailhost' }],
  dkim: {},
};
const place = { file: '/p/settings.json', home: '/home/o', program: 'relaycerts', command: 'relaycerts' };
const settings = parseSettings(written, place);

function keyOf(state: FoundDkimKey['state'], days: number, selector = `rc20261${days % 10}`): FoundDkimKey {
  return { domain, selector, keyType: 'rsa-2048', state, since: ago(days), keyPath: `/p/${selector}`, key: undefined };
}

function seen(dkim: string, days: number): SeenHost {
  const known = { certificate: '', authorities: [], table: undefined, configuration: undefined };
  return { seen: at, ...known, dkim, dkimSince: ago(days) };
}

const signer = (one: SeenHost | undefined) => [{ hostname: relay, wanted: 'new', seen: one }];

function selectorAfter(...used: readonly string[]): string {
  return newSelector(
    used.map((selector) => ({ domain, selector })),
    [domain],
    at,
  );
}

describe('a selector', () => {
  it('is the month, with a letter if that was used', () => {
    expect(selectorAfter()).toBe('rc202611');
    expect(selectorAfter('rc202611')).toBe('rc202611b');
    expect(selectorAfter('rc202611b', 'rc202611')).toBe('rc202611c');
    const all = ['', ...'bcdefghijklmnopqrstuvwxyz'.split('')].map((letter) => `rc202611${letter}`);
    expect(() => selectorAfter(...all)).toThrow('the DKIM keys were changed too often this month: rc202611z is used');
  });

  it('is the same for a domain that had none, whatever others had', () => {
    const other = parseHostName('example.net');
    expect(newSelector([{ domain: other, selector: 'rc202611' }], [domain], at)).toBe('rc202611');
    expect(newSelector([{ domain: other, selector: 'rc202611' }], [domain, other], at)).toBe('rc202611b');
  });
});

describe('a first key', () => {
  it('is made for a domain that has none', () => {
    expect(newDkimKeys(settings, [], at)).toEqual([{ domain, selector: 'rc202611', keyType: 'rsa-2048' }]);
    expect(newDkimKeys({ dkim: undefined }, [], at)).toEqual([]);
  });
});

describe('a domain with a key of another type than the others have', () => {
  const net = parseHostName('example.net');
  const two = parseSettings({ ...written, dkim: { domains: ['example.net', 'example.org'] } }, place);
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const key = readHostKey('/p/key.pem', Buffer.from(pem));
  const old = { ...keyOf('active', 400, 'rc202511'), domain: net, key };
  const newer = { ...keyOf('active', 9, 'rc202611'), keyType: 'ed25519' as const, key };

  it('comes back: it gets one of their type', () => {
    expect(newDkimKeys(two, [old, newer], at)).toEqual([{ domain: net, selector: 'rc202611', keyType: 'ed25519' }]);
  });

  it('came while they change: it gets its next one first, and all switch together', () => {
    const next = { ...newer, state: 'next' as const };
    const current = keyOf('active', 400, 'rc202510');
    const stage = { kind: 'make', domains: [net], keyType: 'ed25519' };
    expect(dkimStage(two, [old, current, next], [], at)).toEqual(stage);
    const own = { ...next, domain: net };
    expect(dkimStage(two, [old, current, next, own], [], at)).toEqual({ kind: 'switch', keys: [next, own] });
  });
});

describe('a key of another type than the settings ask for', () => {
  const other = parseSettings({ ...written, dkim: { keyType: 'ed25519' } }, place);
  it.each([
    ['signs: said', other, [keyOf('active', 9)], ['renew', '--dkim']],
    [
      'signs, and the next has the type: not said',
      other,
      [keyOf('active', 9), { ...keyOf('next', 1), keyType: 'ed25519' as const }],
      undefined,
    ],
    [
      'comes next: said',
      settings,
      [keyOf('active', 9), { ...keyOf('next', 1), keyType: 'ed25519' as const }],
      ['renew', '--dkim'],
    ],
    [
      'signs no more: not said',
      settings,
      [{ ...keyOf('former', 9), keyType: 'ed25519' as const }, keyOf('active', 1)],
      undefined,
    ],
    ['is there without dkim: not said', { dkim: undefined }, [keyOf('active', 9)], undefined],
  ] as const)('%s', (_, one, keys, run) => {
    expect(keyTypeWarnings(one, keys).map(({ hint }) => hint)).toEqual(run === undefined ? [] : [{ run }]);
  });
});

describe('the next stage', () => {
  it('is to make keys, then to switch', () => {
    expect(dkimStage(settings, [keyOf('active', 400)], [], at).kind).toBe('make');
    const next = keyOf('next', 1);
    expect(dkimStage(settings, [keyOf('active', 400), next], [], at)).toEqual({ kind: 'switch', keys: [next] });
  });

  it.each([
    ['a signer that was never seen', undefined, { kind: 'hosts', hosts: [relay] }],
    ['a signer with the former key', seen('old', 30), { kind: 'hosts', hosts: [relay] }],
    ['a signer with the new key since 2 days', seen('new', 2), { kind: 'until', time: ago(-5) }],
    ['a signer with the new key since 7 days', seen('new', 7), undefined],
  ])('is to retire the former key, which waits for %s', (_, one, wait) => {
    const former = keyOf('former', 9);
    expect(dkimStage(settings, [keyOf('active', 9), former], signer(one), at)).toEqual({
      kind: 'retire',
      keys: [former],
      wait,
    });
  });

  it('never comes less than 7 days after the switch', () => {
    const stage = dkimStage(settings, [keyOf('active', 3), keyOf('former', 3)], signer(seen('new', 100)), at);
    expect(stage).toMatchObject({ kind: 'retire', wait: { kind: 'until', time: ago(-4) } });
  });

  it('after a switch with a clock that was ahead, counts from the next look at the signers', () => {
    const keys = [keyOf('active', -365), keyOf('former', -365)];
    const wait = (one: SeenHost) => dkimStage(settings, keys, signer(one), at);
    expect(wait(seen('new', 0))).toMatchObject({ wait: { kind: 'until', time: ago(-7) } });
    expect(wait(seen('new', 7))).toMatchObject({ wait: undefined });
  });
});

const file = (text: string): unknown => parseSelectors(Buffer.from(text));

describe('selectors.json', () => {
  it('is read as it was written', () => {
    const keys = [keyOf('retired', 401), keyOf('former', 3), keyOf('active', 2)];
    const entries = keys.map(({ selector, keyType, state, since }) => ({ domain, selector, keyType, state, since }));
    expect(file(renderSelectors(keys))).toEqual(entries);
  });

  const entry = '"selector":"rc202611","keyType":"rsa-2048","state":"active","since":"2026-11-27T12:00:00.000Z"';
  it.each([
    ['no JSON', '{'],
    ['another version', '{"version":2,"selectors":[]}'],
    ['a name that is no domain', `{"version":1,"selectors":[{"domain":"../x",${entry}}]}`],
    [
      'a selector with a path',
      `{"version":1,"selectors":[{"domain":"example.org",${entry.replace('rc202611', '../rc202611')}}]}`,
    ],
    [
      'two keys that sign for a domain',
      `{"version":1,"selectors":[{"domain":"example.org",${entry}},{"domain":"example.org",${entry.replace('rc202611', 'rc202612')}}]}`,
    ],
    [
      'an entry twice',
      `{"version":1,"selectors":[{"domain":"example.org",${entry}},{"domain":"example.org",${entry}}]}`,
    ],
  ])('is refused with %s', (_, text) => {
    expect(file(text)).toBeUndefined();
  });
});
