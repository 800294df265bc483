// The order of a deployment: at every moment all relays and clients that were seen can talk to each other.

import { describe, expect, test } from 'vitest';

import { parseHostName } from '../../src/names.js';
import { afterVisit, isDone, namesToDeploy, nextVisits, type DeployedHost } from '../../src/plan/deployment.js';
import type { SeenHost } from '../../src/plan/installed.js';

const at = new Date('2027-01-01T00:00:00Z');

interface Has {
  readonly leaf: string;
  readonly cas: readonly string[];
  readonly table?: string;
  /** The names of a home's relays. */
  readonly settings?: string;
}

function seenOf({ leaf, cas, table, settings = 'c' }: Has): SeenHost {
  return { certificate: leaf, authorities: cas, table, configuration: settings, seen: at };
}

/** A host that should have `wanted`, with a certificate of `issuer`, and was seen with `has`. */
function host(name: string, wanted: Has, has: Has | undefined, issuer = 'ca1'): DeployedHost {
  return {
    hostname: parseHostName(`${name}.example.org`),
    role: name.startsWith('relay') ? 'smtpd-server' : 'smtp-client',
    expected: seenOf(wanted),
    issuer,
    seen: has === undefined ? undefined : seenOf(has),
  };
}

interface Choices {
  readonly failed?: readonly string[];
  readonly only?: readonly string[];
}

const namesOf = (names: readonly string[]) => new Set(names.map((name) => parseHostName(`${name}.example.org`)));

/** The visits in waves, as `name` or `name:trust`, if each succeeds; a host in `failed` was tried before. */
function wavesOf(hosts: readonly DeployedHost[], { failed = [], only }: Choices = {}): readonly string[] {
  const state = new Map(hosts.map((one) => [one.hostname, one]));
  const waves: string[] = [];
  for (;;) {
    const visits = nextVisits([...state.values()], {
      failed: namesOf(failed),
      only: only === undefined ? undefined : namesOf(only),
    });
    if (visits.length === 0) return waves;
    for (const visit of visits) {
      const one = state.get(visit.hostname);
      if (one !== undefined) state.set(visit.hostname, { ...one, seen: afterVisit(one, visit, at) });
    }
    waves.push(
      visits.map(({ hostname, files }) => `${hostname.split('.')[0]}${files === 'trust' ? ':trust' : ''}`).join(' '),
    );
  }
}

const old: Has = { leaf: 'old', cas: ['ca1'] };
const relayOf = (wanted: Partial<Has>, has: Partial<Has> | undefined, issuer?: string, name = 'relay') =>
  host(
    name,
    { ...old, table: 't1', ...wanted },
    has === undefined ? undefined : { ...old, table: 't1', ...has },
    issuer,
  );

describe('the order of a deployment', () => {
  test('from nothing: relays, then clients', () => {
    expect(wavesOf([host('home', old, undefined), relayOf({}, undefined)])).toEqual(['relay', 'home']);
  });

  test('a host that has only made its key is as one never seen', () => {
    const keyOnly: Has = { leaf: 'none', cas: [] };
    expect(wavesOf([host('home', old, keyOnly), relayOf({}, undefined)])).toEqual(['relay', 'home']);
    expect(wavesOf([host('home', old, old), relayOf({}, keyOnly)])).toEqual(['relay']);
  });

  test('with nothing to do is empty', () => {
    expect(wavesOf([host('home', old, old), relayOf({}, {})])).toEqual([]);
  });

  test('a new pin is at every relay before the client has its key', () => {
    const relays = [relayOf({ table: 't2' }, {}), relayOf({ table: 't2' }, {}, 'ca1', 'relay2')];
    expect(wavesOf([host('home', { ...old, leaf: 'new' }, old), ...relays])).toEqual(['relay relay2', 'home']);
  });

  test('home knows the relays before they hand it mail from the world', () => {
    const both = { ...old, leaf: 'both', table: 'relays' };
    const relay = relayOf({ leaf: 'both' }, {});
    expect(wavesOf([host('home', both, old), relay])).toEqual(['home', 'relay']);
    expect(wavesOf([host('home', both, undefined), relay])).toEqual(['relay', 'home']);
    expect(wavesOf([host('home', both, old), relay], { failed: ['home'] })).toEqual(['relay']);
  });

  test('a new CA is everywhere before anybody shows a certificate of it', () => {
    const both = ['ca1', 'ca2'];
    const next = { leaf: 'new', cas: both };
    expect(wavesOf([host('home', next, old, 'ca2'), relayOf(next, {}, 'ca2')])).toEqual([
      'relay:trust',
      'home',
      'relay',
    ]);
  });

  test('an old CA is removed once nobody uses a certificate of it', () => {
    const both = ['ca1', 'ca2'];
    const next = { leaf: 'new', cas: ['ca2'] };
    const half = { leaf: 'old', cas: both };
    const waves = wavesOf([
      host('home', { leaf: 'new', cas: ['ca2'] }, half, 'ca2'),
      relayOf(next, { ...half, leaf: 'new' }, 'ca2'),
    ]);
    expect(waves).toEqual(['home', 'relay']);
  });

  test('a different CA goes to the relays first: nobody can trust it before', () => {
    const next = { leaf: 'new', cas: ['ca9'] };
    expect(wavesOf([host('home', next, old, 'ca9'), relayOf(next, {}, 'ca9')])).toEqual(['relay', 'home']);
  });

  // The CA has a new certificate for its key: ca2 verifies the same leaves.
  describe('a relay that is new in the settings, with a new CA certificate', () => {
    const renewed = { cas: ['ca2'], table: 't1' };
    const home = host('home', { ...old, ...renewed, settings: 'new relay' }, { ...old, table: 't1' }, 'ca2');
    const added = relayOf(renewed, undefined, 'ca2', 'relay2');

    test('is installed before a home hears of it', () => {
      expect(wavesOf([home, added])).toEqual(['relay2', 'home']);
      expect(wavesOf([home, relayOf(renewed, {}, 'ca2'), added])).toEqual(['relay2', 'relay:trust', 'home']);
    });

    test('and while it cannot be, home keeps the one that it has', () => {
      expect(wavesOf([home, added], { failed: ['relay2'] })).toEqual([]);
      expect(wavesOf([home, added], { only: ['home'] })).toEqual([]);
    });

    test('waits for homes that know it already', () => {
      const knows = host('home', { ...old, cas: ['ca2'] }, old, 'ca2');
      expect(wavesOf([knows, added])).toEqual(['home:trust', 'relay2']);
    });
  });

  test('nobody waits for a host that failed', () => {
    const relays = [relayOf({ table: 't2' }, {}), relayOf({ table: 't2' }, {}, 'ca1', 'relay2')];
    const home = host('home', { ...old, leaf: 'new' }, old);
    expect(wavesOf([home, ...relays], { failed: ['relay2'] })).toEqual(['relay', 'home']);
  });

  test('a client waits while no relay can be reached', () => {
    expect(wavesOf([host('home', old, undefined), relayOf({}, undefined)], { failed: ['relay'] })).toEqual([]);
  });

  test('only hosts that were named are visited, and they wait for the others', () => {
    const hosts = [host('home', { ...old, leaf: 'new' }, old), relayOf({ table: 't2' }, {})];
    expect(wavesOf(hosts, { only: ['home'] })).toEqual([]);
    expect(wavesOf(hosts, { only: ['relay'] })).toEqual(['relay']);
  });

  test('those that are named are all that is open: they wait for no others', () => {
    const next = { leaf: 'new', cas: ['ca9'] };
    const hosts = [host('home', next, old, 'ca9'), relayOf(next, {}, 'ca9')];
    expect(wavesOf(hosts, { only: ['relay'] })).toEqual([]);
    expect(wavesOf(hosts, { only: ['relay', 'home'] })).toEqual(['relay', 'home']);
  });

  test('a host with its CA and pins only is not done', () => {
    const relay = relayOf({ leaf: 'new', table: 't2' }, {});
    const visited = { ...relay, seen: afterVisit(relay, { hostname: relay.hostname, files: 'trust' }, at) };
    expect([isDone(visited), visited.seen.table]).toEqual([false, 't2']);
  });
});

const namesFor = (name: string, ...hosts: readonly DeployedHost[]): readonly string[] =>
  namesToDeploy(hosts, parseHostName(`${name}.example.org`)).map((one) => one.split('.')[0] ?? '');

describe('the names that make deploy install a host', () => {
  const done = host('home', old, old);
  const open = host('home2', { ...old, leaf: 'new' }, old);
  test.each([
    ['its own, if nothing else is open', 'home2', [open, done, relayOf({}, {})], ['home2']],
    ['its own, if it was seen to be right', 'home', [done, relayOf({}, {})], ['home']],
    ['none, if several are open', 'home2', [open, relayOf({ table: 't2' }, {})], []],
    ['those before it, if it was seen to be right', 'home', [done, relayOf({ table: 't2' }, {})], ['relay', 'home']],
    ['its own, if it waits for none of those', 'relay', [open, relayOf({}, {})], ['relay']],
  ])('%s', (_, name, hosts, names) => {
    expect(namesFor(name, ...hosts)).toEqual(names);
    const choices = names.length === 0 ? {} : { only: names };
    const asked = hosts.map((one) =>
      one.hostname.startsWith(`${name}.`) && isDone(one) ? { ...one, seen: undefined } : one,
    );
    expect(wavesOf(asked, choices).join(' ').split(' ')).toContain(name);
  });
});
