// From one state to another as a change: what is written, removed and appended, with which modes. No disk.

import { basename } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { HostInventory, Inventory } from '../../src/plan/inventory.js';
import { bundlesOf } from '../../src/render/bundle.js';
import { entryOf, renderEntries } from '../../src/store/ledger.js';
import { changeTo, isEmpty, type Decision } from '../../src/store/state-change.js';
import type { Change } from '../../src/store/transaction.js';
import { changedHost, changeHost, configHome, makeInventory, threeHosts as settings } from '../support/inventory.js';

const at = new Date('2026-11-20T12:00:00Z');

let whole: Inventory;
let others: Inventory;
beforeAll(async () => {
  whole = await makeInventory(settings, at);
  others = await makeInventory(settings, at);
});

/** The state before anything was made. */
const nothing = (): Inventory => ({
  ...whole,
  caKey: undefined,
  caCertificate: undefined,
  passphraseFile: undefined,
  operatorKey: undefined,
  hasLedger: false,
  hosts: whole.hosts.map((one) =>
    changedHost(one, { key: undefined, certificate: undefined, hasBundle: false, bundle: new Map() }),
  ),
});

const change = (before: Inventory, after: Inventory, decision: Partial<Decision> = {}): Change =>
  changeTo(
    settings,
    configHome,
    before,
    { after, entries: [], keeps: [], removes: [], ...decision },
    bundlesOf(settings, after),
  );
const pathsOf = ({ writes }: Change): readonly string[] => writes.map(({ path }) => path);
const certificateOf = (state: Inventory, label: string): HostInventory['certificate'] =>
  state.hosts.find(({ host }) => host.hostname.startsWith(label))?.certificate;

const certs = '/project/certs';
const hosts = '/project/hosts';
const secondBundle = ['example.org-ca.crt.pem', 'crt.pem', 'key.pem', 'chain.pem'].map(
  (name) => `${hosts}/second.example.org/${name.startsWith('example') ? name : `second.example.org.${name}`}`,
);
const relayTable = `${hosts}/relayhost.example.org/relay_clientcerts`;

describe('the same state', () => {
  it('is no change', () => {
    expect(isEmpty(change(whole, whole))).toBe(true);
    expect(isEmpty(change(nothing(), nothing()))).toBe(true);
  });

  it('in other objects is no change either', () => {
    const copy = changeHost({ ...whole, caKey: Buffer.from(whole.caKey ?? '') }, 'second', ({ bundle }) => ({
      bundle: new Map([...bundle].map(([name, bytes]) => [name, Buffer.from(bytes)])),
    }));
    expect(isEmpty(change(copy, whole))).toBe(true);
    expect(isEmpty(change(whole, copy))).toBe(true);
  });

  it.each<readonly [string, Partial<Decision>]>([
    ['an entry', { entries: [{} as never] }],
    ['a file to keep', { keeps: [{} as never] }],
    ['a path to clear', { removes: ['/x'] }],
  ])('with %s is a change', (_, decision) => {
    expect(isEmpty(change(whole, whole, decision))).toBe(false);
  });
});

describe('a first make', () => {
  it('writes every file, each once, all new but the bundles', () => {
    const made = change(nothing(), whole);
    expect(new Set(pathsOf(made)).size).toBe(made.writes.length);
    // The CA 2, passphrase, operator key, 2 per host, a bundle of 4 per host, the table.
    expect(made.writes).toHaveLength(2 + 1 + 1 + 3 * 2 + 3 * 4 + 1);
    for (const { path, isNew } of made.writes) expect([path, isNew]).toEqual([path, !path.startsWith(hosts)]);
    expect([made.removes, made.empties, made.appends]).toEqual([[], [], []]);
  });

  it('keeps every secret private, in folders that nobody else can enter', () => {
    for (const { path, mode, folderMode } of change(nothing(), whole).writes) {
      const isSecret = /(?:\.key\.pem|\.chain\.pem|\.gpg|\.asc)$/u.test(path);
      expect([path, mode]).toEqual([path, isSecret ? 0o600 : 0o644]);
      expect([path, folderMode]).toEqual([path, path.startsWith(certs) ? 0o755 : 0o700]);
    }
  });
});

describe('what differs', () => {
  it('a new certificate writes it, its bundle, and the table that lists its pin', () => {
    const after = changeHost(whole, 'second', () => ({
      key: others.hosts[2]?.key,
      certificate: certificateOf(others, 'second'),
    }));
    const made = change(whole, after);
    expect(pathsOf(made).toSorted()).toEqual(
      [
        `${certs}/smtp-client/second.example.org.crt.pem`,
        `${certs}/smtp-client/second.example.org.key.pem`,
        ...secondBundle.slice(1),
        relayTable,
      ].toSorted(),
    );
    expect(made.writes.filter(({ isNew }) => isNew)).toEqual([]);
    expect(made.removes).toEqual([]);
  });

  it('a previous certificate is a separate file; without it, that goes', () => {
    const previous = certificateOf(others, 'second');
    const rekeyed = changeHost(whole, 'second', () => ({ previous }));
    const path = `${certs}/smtp-client/second.example.org.old.crt.pem`;
    const made = change(whole, rekeyed);
    expect(made.writes.find((one) => one.path === path)).toMatchObject({ mode: 0o644, isNew: true });
    expect(pathsOf(made)).toEqual([path, relayTable]);
    expect(change(rekeyed, whole)).toMatchObject({ writes: [], removes: [path] });
  });

  it('every stage of a rekey of the CA has its places', () => {
    const stage = (key: string, certificate = others.caCertificate) =>
      certificate && { keyPath: '', key: Buffer.from(key), certificate };
    const ca = `${certs}/ca/example.org-ca`;
    const first = { ...whole, nextCa: stage('next') };
    expect(pathsOf(change(whole, first)).filter((path) => path.startsWith(ca))).toEqual([
      `${ca}.new.key.pem`,
      `${ca}.new.crt.pem`,
    ]);
    const second = {
      ...whole,
      caKey: Buffer.from('next'),
      caCertificate: others.caCertificate,
      formerCa: stage('encrypted', whole.caCertificate),
    };
    const made = change(first, second);
    expect(pathsOf(made).filter((path) => path.startsWith(ca))).toEqual([
      `${ca}.key.pem`,
      `${ca}.crt.pem`,
      `${ca}.old.key.pem`,
      `${ca}.old.crt.pem`,
    ]);
    expect(made.removes).toEqual([`${ca}.new.key.pem`, `${ca}.new.crt.pem`]);
  });

  it('the passphrase file is written where the settings lead, through links', () => {
    const moved = { ...whole, passphrasePath: '/media/stick/passphrase.gpg' };
    const resealed = { ...moved, passphraseFile: Buffer.from('sealed to others') };
    expect(change(moved, resealed).writes).toEqual([
      {
        path: '/media/stick/passphrase.gpg',
        bytes: Buffer.from('sealed to others'),
        mode: 0o600,
        folderMode: 0o700,
        isNew: false,
      },
    ]);
  });
});

describe('bundles', () => {
  it('only the files that differ are written, also if nothing else changes', () => {
    const spoilt = changeHost(whole, 'second', ({ bundle }) => ({ bundle: new Map([...bundle].slice(1)) }));
    expect(pathsOf(change(spoilt, spoilt))).toEqual(secondBundle.slice(0, 1));
  });

  it('a host without bundles in the state after keeps what it has', () => {
    const { writes, removes } = changeTo(
      settings,
      configHome,
      whole,
      { after: whole, entries: [], keeps: [], removes: [] },
      new Map(),
    );
    expect([writes, removes]).toEqual([[], []]);
  });

  it('a file that no bundle has is a bug', () => {
    const hostname = settings.smtpClients[0].hostname;
    const odd = new Map([[hostname, new Map([['odd.pem', Buffer.from('')]])]]);
    expect(() =>
      changeTo(settings, configHome, whole, { after: whole, entries: [], keeps: [], removes: [] }, odd),
    ).toThrow(TypeError);
  });
});

const revoked = (): Inventory =>
  changeHost(whole, 'second', () => ({ key: undefined, certificate: undefined, isRevoked: true }));

it('removes the files, writes the tables, and drops the folder of the bundle', () => {
  const made = change(whole, revoked(), { removes: secondBundle });
  expect(pathsOf(made)).toEqual([relayTable]);
  expect(made.removes).toEqual([
    `${certs}/smtp-client/second.example.org.key.pem`,
    `${certs}/smtp-client/second.example.org.crt.pem`,
    ...secondBundle,
  ]);
  expect(made.empties).toEqual([`${hosts}/second.example.org`]);
});

describe('a revocation', () => {
  it('names each path once, whoever names it', () => {
    const path = `${certs}/smtp-client/second.example.org.key.pem`;
    const { removes } = change(whole, revoked(), { removes: [path, path] });
    expect(removes.filter((one) => one === path)).toHaveLength(1);
  });

  it('drops no folder that is not there', () => {
    const after = changeHost(revoked(), 'second', () => ({ hasBundle: false }));
    expect(change(whole, after).empties).toEqual([]);
  });
});

describe('a decision', () => {
  it('appends its entries to the ledger', () => {
    const info = certificateOf(whole, 'second')?.info;
    const entries = info === undefined ? [] : [entryOf('revoked', 'smtp-client', 'second.example.org', info, at)];
    expect(change(whole, whole, { entries }).appends).toEqual([
      { path: `${certs}/ca/issued.jsonl`, mode: 0o644, text: renderEntries(entries) },
    ]);
  });

  it('writes what it keeps before what replaces it', () => {
    const keep = {
      path: '/home/operator/kept.gpg.old',
      bytes: Buffer.from('sealed'),
      mode: 0o600,
      folderMode: 0o700,
      isNew: true,
    } as const;
    const made = change(whole, { ...whole, passphraseFile: Buffer.from('other') }, { keeps: [keep] });
    expect(made.writes[0]).toBe(keep);
    expect(pathsOf(made).map((path) => basename(path))).toEqual([
      'kept.gpg.old',
      '.example.org-relaycerts-passphrase.gpg',
    ]);
  });
});
