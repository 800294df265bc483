// The plan of make as a table: what exists -> what is made. No disk: the certificates are issued in memory.

import type { KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { encodeSpki } from '../../src/certificate/public-key.js';
import type { HostInventory, Inventory } from '../../src/plan/inventory.js';
import { describeHosts, describeStep } from '../../src/plan/describe-step.js';
import { isHostStep, planMake, type Plan } from '../../src/plan/plan.js';
import { bundleWarnings, tableWarnings } from '../../src/plan/warnings.js';
import { bundlesOf } from '../../src/render/bundle.js';
import { changedHost, changeHost, makeInventory, threeHosts as settings } from '../support/inventory.js';

const at = new Date('2026-11-20T12:00:00Z');

let whole: Inventory;
beforeAll(async () => {
  whole = await makeInventory(settings, at);
});

const plan = (inventory: Inventory, when = at): Plan =>
  planMake(settings, inventory, bundlesOf(settings, inventory), when);
const kinds = ({ steps }: Plan): readonly string[] =>
  steps.map((step) => ('hostname' in step ? `${step.kind} ${step.hostname}` : step.kind));
const without = (label: string, what: 'key' | 'certificate' | 'both'): Inventory =>
  changeHost(whole, label, ({ key, certificate }) => ({
    key: what === 'certificate' ? key : undefined,
    certificate: what === 'key' ? certificate : undefined,
  }));

describe('what is made', () => {
  it('nothing if everything exists', () => {
    expect(plan(whole)).toEqual({ steps: [], problems: [], held: [], warnings: [] });
  });

  it('everything if nothing exists, the passphrase before its key', () => {
    const empty: Inventory = {
      ...whole,
      caKey: undefined,
      caCertificate: undefined,
      passphraseFile: undefined,
      operatorKey: undefined,
      hosts: whole.hosts.map((one) => changedHost(one, { key: undefined, certificate: undefined, bundle: new Map() })),
      hasLedger: false,
    };
    expect(kinds(plan(empty))).toEqual([
      'operator-key',
      'passphrase',
      'ca-key',
      ...['relayhost', 'mailhost', 'second'].map((name) => `key ${name}.example.org`),
      'ca-certificate',
      ...['relayhost', 'mailhost', 'second'].map((name) => `certificate ${name}.example.org`),
      ...['relayhost', 'mailhost', 'second'].map((name) => `bundle ${name}.example.org`),
    ]);
  });

  it("a new client's key, certificate and bundle, and the relay's table", () => {
    const result = plan(without('second', 'both'));
    expect(kinds(result)).toEqual([
      'key second.example.org',
      'certificate second.example.org',
      'bundle relayhost.example.org',
      'bundle second.example.org',
    ]);
    expect(result.steps[2]).toMatchObject({ files: ['relay_clientcerts'] });
  });

  it('only a certificate if its key exists', () => {
    expect(kinds(plan(without('relayhost', 'certificate')))).toEqual([
      'certificate relayhost.example.org',
      'bundle relayhost.example.org',
    ]);
  });

  it("the CA's certificate again for its key, if nothing was signed yet", () => {
    const early: Inventory = {
      ...whole,
      caCertificate: undefined,
      hosts: whole.hosts.map((one) => changedHost(one, { certificate: undefined, bundle: new Map() })),
    };
    expect(kinds(plan(early)).slice(0, 1)).toEqual(['ca-certificate']);
    expect(kinds(plan(early))).not.toContain('ca-key');
  });

  it('nothing for a revoked host', () => {
    const revoked = changeHost(without('second', 'both'), 'second', () => ({ isRevoked: true, bundle: new Map() }));
    // The pin is gone from the table.
    expect(kinds(plan(revoked))).toEqual(['bundle relayhost.example.org']);
  });

  it('a new certificate for a host of the CA before', async () => {
    const next = await makeInventory(settings, at);
    const { caCertificate, caKeyPath, caKey } = whole;
    const rekeyed = {
      ...next,
      hosts: whole.hosts,
      formerCa: caCertificate && { keyPath: caKeyPath, key: caKey, certificate: caCertificate },
    };
    const { steps, problems } = plan(rekeyed);
    expect(problems).toEqual([]);
    expect(steps.filter(({ kind }) => kind === 'certificate').map((step) => 'event' in step && step.event)).toEqual([
      'renewed',
      'renewed',
      'renewed',
    ]);
  });

  it('is put into words; for many hosts, their number', () => {
    const { steps } = plan(without('second', 'both'));
    for (const step of steps) expect(describeStep(step)).toContain('hostname' in step ? step.hostname : 'CA');
    const hosts = steps.filter(isHostStep);
    expect(describeHosts(hosts)).toEqual(['the key and certificate of second.example.org, 398 days']);
    expect(describeHosts(hosts, 0)).toEqual(['the keys and certificates of 1 hosts, 398 days']);
  });
});

const messages = (result: Plan): string => result.problems.map(({ message }) => message).join('\n');

/** What status reports about the bundles. */
const said = (inventory: Inventory): readonly string[] =>
  bundleWarnings(inventory, bundlesOf(settings, inventory)).map(({ message }) => message);
/** Without the first file of its bundle. */
const spoil = (one: HostInventory): HostInventory => changedHost(one, { bundle: new Map([...one.bundle].slice(1)) });
const spoilt = (): Inventory => ({ ...whole, hosts: whole.hosts.map(spoil) });

const warned = (tableType: 'texthash' | 'hash' | 'lmdb' | 'cdb', count: number): number => {
  const [client] = settings.smtpClients;
  const clients = Array.from({ length: count - 1 }, () => client);
  const postfix = { ...settings.postfix, tableType };
  return tableWarnings({ ...settings, postfix, smtpClients: [client, ...clients] }).length;
};

describe('the table of pins', () => {
  it.each([
    ['texthash', 10_000, 10_001],
    ['lmdb', 30_000, 30_001],
  ] as const)('of type %s has room for %i pins without a warning', (type, most, more) => {
    expect([warned(type, most), warned(type, more)]).toEqual([0, 1]);
  });

  it.each(['hash', 'cdb'] as const)('of type %s has no such bound', (type) => {
    expect(warned(type, 100_000)).toBe(0);
  });
});

describe('what status reports about bundles', () => {
  it('nothing if they are right; otherwise each host once', () => {
    expect(said(whole)).toEqual([]);
    expect(said(spoilt())).toEqual(
      ['relayhost', 'mailhost', 'second'].map(
        (name) => `the bundle of ${name}.example.org does not match its certificates (example.org-ca.crt.pem)`,
      ),
    );
    expect(kinds(plan(spoilt()))).toEqual(
      ['relayhost', 'mailhost', 'second'].map((name) => `bundle ${name}.example.org`),
    );
  });

  it('nothing for a revoked host, one without certificate, or unreadable', () => {
    for (const change of [{ isRevoked: true }, { certificate: undefined }, { key: undefined }]) {
      expect(said({ ...whole, hosts: whole.hosts.map((one) => changedHost(spoil(one), change)) })).toEqual([]);
    }
    expect(said({ ...spoilt(), problems: [{ message: 'a file cannot be read' }] })).toEqual([]);
  });
});

/** mailhost's key went to the host, and a request for it is here. */
const signed = (request: HostInventory['request'], change: Partial<HostInventory> = {}): Inventory => ({
  ...whole,
  hosts: whole.hosts.map((one) =>
    one.host.hostname === 'mailhost.example.org'
      ? changedHost(one, { key: undefined, bundle: new Map(), request, ...change })
      : one,
  ),
});
const requestOf = (publicKey: KeyObject): NonNullable<HostInventory['request']> => ({
  path: '/project/certs/smtp-client/mailhost.example.org.csr.pem',
  info: { pem: '', publicKey, spki: encodeSpki(publicKey), keyType: 'ecdsa-p256', names: [] },
});
const found = (hostname: string): HostInventory => {
  const one = whole.hosts.find(({ host }) => host.hostname === hostname);
  if (one?.certificate === undefined) throw new Error(`no ${hostname}`);
  return one;
};
const own = (): KeyObject => found('mailhost.example.org').certificate!.info.publicKey;

describe('a host that keeps its own key', () => {
  it('needs no key, and its bundle has none', () => {
    const inventory = signed(requestOf(own()));
    expect(plan(inventory).problems).toEqual([]);
    expect(kinds(plan(inventory))).toEqual(['bundle mailhost.example.org']);
    expect([
      ...(bundlesOf(settings, inventory).get(found('mailhost.example.org').host.hostname)?.keys() ?? []),
    ]).toEqual(['example.org-ca.crt.pem', 'mailhost.example.org.crt.pem']);
  });

  it('gets a certificate for the request if there is none', () => {
    expect(kinds(plan(signed(requestOf(own()), { certificate: undefined })))).toEqual([
      'certificate mailhost.example.org',
      'bundle relayhost.example.org',
      'bundle mailhost.example.org',
    ]);
  });

  it("contradicts a key here, another certificate, other hosts' keys", () => {
    const here = signed(requestOf(own()), { key: found('mailhost.example.org').key });
    expect(messages(plan(here))).toMatch(/keeps its own key, but its key .* is here too/u);
    const second = requestOf(found('second.example.org').certificate!.info.publicKey);
    expect(messages(plan(signed(second)))).toMatch(/is second\.example\.org's: every host/u);
    expect(messages(plan(signed(second)))).toMatch(/is not for the key of the request/u);
    const ca = requestOf(whole.caCertificate!.info.publicKey);
    expect(messages(plan(signed(ca, { certificate: undefined })))).toMatch(/is the CA's: every host/u);
  });

  it('causes a warning if an older key is in its bundle', () => {
    const { bundle } = found('mailhost.example.org');
    const { warnings, problems } = plan(signed(requestOf(own()), { bundle }));
    expect(problems).toEqual([]);
    expect(warnings.map(({ hint }) => hint)).toEqual([
      'rm /project/hosts/mailhost.example.org/mailhost.example.org.key.pem /project/hosts/mailhost.example.org/mailhost.example.org.chain.pem',
    ]);
  });
});
