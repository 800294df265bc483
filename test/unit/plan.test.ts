// The plan of make as a table: what is there -> what is made. No disk: the certificates are issued in memory.

import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../src/certificate/certificate.js';
import { encodeSpki } from '../../src/certificate/public-key.js';
import { encodePrivateKey } from '../../src/issue/keys.js';
import { issueCa, issueLeaf } from '../../src/issue/x509.js';
import type { HostInventory, Inventory } from '../../src/plan/inventory.js';
import { describeStep } from '../../src/plan/describe-step.js';
import { planMake, type Plan } from '../../src/plan/plan.js';
import { bundleWarnings } from '../../src/plan/warnings.js';
import { bundlesOf } from '../../src/render/bundle.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf } from '../../src/settings/settings.js';

const at = new Date('2026-11-20T12:00:00Z');
const settings = parseSettings(
  {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }],
  },
  { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts' },
);

let whole: Inventory;
beforeAll(async () => {
  const keyPair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { commonName, validDays } = settings.ca;
  const caPem = await issueCa({ commonName, subject: settings.subject, keyPair, at, validDays, permittedDomains: [] });
  const hosts: HostInventory[] = [];
  for (const host of hostsOf(settings)) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const ca = { certificatePem: caPem, privateKey: keyPair.privateKey };
    const { role, hostname } = host;
    const pem = await issueLeaf({
      role,
      hostname,
      altNames: [],
      subject: settings.subject,
      publicKey,
      ca,
      at,
      validDays: 398,
    });
    hosts.push(hostInventory(host, privateKey, pem));
  }
  const complete: Inventory = {
    caKeyPath: '/project/certs/ca/example.org-ca.key.pem',
    caKey: Buffer.from('encrypted'),
    caCertificatePath: '/project/certs/ca/example.org-ca.crt.pem',
    caCertificate: { path: '/project/certs/ca/example.org-ca.crt.pem', info: parseCertificate(caPem) },
    nextCa: undefined,
    formerCa: undefined,
    isCaCut: false,
    passphraseFile: Buffer.from('sealed'),
    operatorKeyPath: '/home/operator/.config/relaycerts/operator-key.asc',
    operatorKey: Buffer.from('key'),
    hosts,
    issued: [],
    recorded: new Set([
      parseCertificate(caPem).serial,
      ...hosts.map(({ certificate }) => certificate?.info.serial ?? ''),
    ]),
    revokedKeys: new Set(),
    caRecorded: true,
    damagedLedgerLines: 0,
    problems: [],
    strangers: [],
  };
  const bundles = bundlesOf(settings, complete);
  whole = { ...complete, hosts: hosts.map((one) => ({ ...one, bundle: bundles.get(one.host.hostname) ?? new Map() })) };
});

function hostInventory(host: HostInventory['host'], privateKey: KeyObject, pem: string): HostInventory {
  const { hostname, role } = host;
  const keyPath = `/project/certs/${role}/${hostname}.key.pem`;
  const certificatePath = `/project/certs/${role}/${hostname}.crt.pem`;
  return {
    host,
    keyPath,
    key: { path: keyPath, privateKey, pem: Buffer.from(encodePrivateKey(privateKey).revealBytes()) },
    requestPath: `/project/certs/${role}/${hostname}.csr.pem`,
    request: undefined,
    certificatePath,
    certificate: { path: certificatePath, info: parseCertificate(pem) },
    bundleFolder: `/project/hosts/${hostname}`,
    hasBundle: true,
    bundle: new Map(),
    previous: undefined,
    isRekeyCut: false,
    isRevoked: false,
  };
}

const plan = (inventory: Inventory, when = at): Plan =>
  planMake(settings, inventory, bundlesOf(settings, inventory), '/project/certs/ca/issued.jsonl', when);
const kinds = ({ steps }: Plan): readonly string[] =>
  steps.map((step) => ('hostname' in step ? `${step.kind} ${step.hostname}` : step.kind));
const without = (hostname: string, what: 'key' | 'certificate' | 'both'): Inventory => ({
  ...whole,
  hosts: whole.hosts.map((one) =>
    one.host.hostname.startsWith(hostname)
      ? {
          ...one,
          key: what === 'certificate' ? one.key : undefined,
          certificate: what === 'key' ? one.certificate : undefined,
        }
      : one,
  ),
});

describe('what is made', () => {
  it('nothing where everything is there', () => {
    expect(plan(whole)).toEqual({ steps: [], problems: [], warnings: [] });
  });

  it('everything where nothing is there, the passphrase before the key that it opens', () => {
    const empty: Inventory = {
      ...whole,
      caKey: undefined,
      caCertificate: undefined,
      passphraseFile: undefined,
      operatorKey: undefined,
      hosts: whole.hosts.map((one) => ({ ...one, key: undefined, certificate: undefined, bundle: new Map() })),
      recorded: new Set(),
      caRecorded: false,
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

  it('a certificate alone where its key is there', () => {
    expect(kinds(plan(without('relayhost', 'certificate')))).toEqual([
      'certificate relayhost.example.org',
      'bundle relayhost.example.org',
    ]);
  });

  it("the CA's certificate again for its key, where nothing was signed yet", () => {
    const early: Inventory = {
      ...whole,
      caCertificate: undefined,
      hosts: whole.hosts.map((one) => ({ ...one, certificate: undefined, bundle: new Map() })),
    };
    expect(kinds(plan(early)).slice(0, 1)).toEqual(['ca-certificate']);
    expect(kinds(plan(early))).not.toContain('ca-key');
  });

  it('a ledger line for a certificate that the ledger lacks', () => {
    const [, ...others] = whole.recorded;
    expect(kinds(plan({ ...whole, recorded: new Set(others) }))).toEqual(['record']);
  });

  it('no ledger line for a certificate of a revoked host, which would take the revocation back', () => {
    const hosts = whole.hosts.map((one) => ({ ...one, isRevoked: one.host.hostname === 'second.example.org' }));
    const revoked = { ...whole, hosts, recorded: new Set<string>() };
    const names = plan(revoked).steps.flatMap((step) => (step.kind === 'record' ? [step.name] : []));
    expect(names).toEqual(['example.org relay CA', 'relayhost.example.org', 'mailhost.example.org']);
  });

  it('is said in words that name the file', () => {
    for (const step of plan(without('second', 'both')).steps) expect(describeStep(step)).toContain(step.path);
  });
});

const messages = (result: Plan): string => result.problems.map(({ message }) => message).join('\n');

/** What status says of the bundles. */
const said = (inventory: Inventory): readonly string[] =>
  bundleWarnings(settings, inventory, bundlesOf(settings, inventory)).map(({ message }) => message);
/** Without the first file of its bundle. */
const spoil = (one: HostInventory): HostInventory => ({ ...one, bundle: new Map([...one.bundle].slice(1)) });
const spoilt = (): Inventory => ({ ...whole, hosts: whole.hosts.map(spoil) });

describe('what status says of bundles', () => {
  it('nothing where they are right; each host once where they are not, as make would write them', () => {
    expect(said(whole)).toEqual([]);
    expect(said(spoilt())).toEqual(
      ['relayhost', 'mailhost', 'second'].map(
        (name) => `the bundle of ${name}.example.org is not what its certificates say (example.org-ca.crt.pem)`,
      ),
    );
    expect(kinds(plan(spoilt()))).toEqual(
      ['relayhost', 'mailhost', 'second'].map((name) => `bundle ${name}.example.org`),
    );
  });

  it('nothing of a host that is revoked or has no certificate, nor where something could not be read', () => {
    for (const change of [{ isRevoked: true }, { certificate: undefined }, { key: undefined }]) {
      expect(said({ ...whole, hosts: whole.hosts.map((one) => ({ ...spoil(one), ...change })) })).toEqual([]);
    }
    expect(said({ ...spoilt(), problems: [{ message: 'a file cannot be read' }] })).toEqual([]);
  });
});

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
      'a CA that only the ledger remembers',
      () => ({
        ...whole,
        caKey: undefined,
        caCertificate: undefined,
        hosts: whole.hosts.map((one) => ({ ...one, certificate: undefined, bundle: new Map() })),
      }),
      /the ledger names one/u,
    ],
    [
      'no passphrase file where something is to be signed',
      () => ({ ...without('second', 'certificate'), passphraseFile: undefined }),
      /passphrase file .* is missing/u,
    ],
  ])('%s', (_name, change, says) => {
    const result = plan(change());
    expect(messages(result)).toMatch(says);
    for (const { hint } of result.problems) expect(hint).toMatch(/\S/u);
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
      /is valid from .* on, and it is 2026-11-01/u,
    );
  });

  it('a file that could not be read is not taken for a missing one', () => {
    const result = plan({ ...without('second', 'both'), problems: [{ message: 'cannot read it' }] });
    expect(result).toEqual({ steps: [], problems: [{ message: 'cannot read it' }], warnings: [] });
  });
});

/** mailhost's key went to the host, and a request for it is here. */
const signed = (request: HostInventory['request'], change: Partial<HostInventory> = {}): Inventory => ({
  ...whole,
  hosts: whole.hosts.map((one) =>
    one.host.hostname === 'mailhost.example.org'
      ? { ...one, key: undefined, bundle: new Map(), request, ...change }
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

  it('gets a certificate for the request where there is none', () => {
    expect(kinds(plan(signed(requestOf(own()), { certificate: undefined })))).toEqual([
      'certificate mailhost.example.org',
      'bundle relayhost.example.org',
      'bundle mailhost.example.org',
    ]);
  });

  it("contradicts with a key here, another certificate, another host's key and the CA's", () => {
    const here = signed(requestOf(own()), { key: found('mailhost.example.org').key });
    expect(messages(plan(here))).toMatch(/keeps its own key, but its key .* is here too/u);
    const second = requestOf(found('second.example.org').certificate!.info.publicKey);
    expect(messages(plan(signed(second)))).toMatch(/is second\.example\.org's: every host/u);
    expect(messages(plan(signed(second)))).toMatch(/is not for the key of the request/u);
    const ca = requestOf(whole.caCertificate!.info.publicKey);
    expect(messages(plan(signed(ca, { certificate: undefined })))).toMatch(/is the CA's: every host/u);
  });

  it('is warned of where an older key lies in its bundle', () => {
    const { bundle } = found('mailhost.example.org');
    const { warnings, problems } = plan(signed(requestOf(own()), { bundle }));
    expect(problems).toEqual([]);
    expect(warnings.map(({ hint }) => hint)).toEqual([
      'rm /project/hosts/mailhost.example.org/mailhost.example.org.key.pem /project/hosts/mailhost.example.org/mailhost.example.org.chain.pem',
    ]);
  });
});
