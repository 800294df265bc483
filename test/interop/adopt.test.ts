// `adopt`: folders made by easy-rsa, openssl ca, mkcert and a Makefile like the old one, and what step and XCA leave.
// openssl judges: what was signed goes on verifying, pins stay, and the CA can be renewed at once.

import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { caFile, home, isTaken, relay, rowsOf } from '../support/ca-renewal.js';
import { client, ForeignCa, keyId, makeFlatCa, pair, rootExtensions, server } from '../support/foreign-folders.js';
import { makeGnupg } from '../support/gnupg.js';
import { makeOldProject } from '../support/old-makefile.js';
import { openssl, runTool } from '../support/openssl.js';
import { makeProject, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeEach(() => {
  project = makeProject(null);
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);
/** Of the source, beside the project. */
const source = (...parts: readonly string[]): string => join(project.home, 'old', ...parts);

interface Answer {
  readonly kind: string;
  readonly hosts: readonly { readonly host: string; readonly key: string; readonly certificate: string }[];
  readonly revoked: readonly { readonly host: string }[];
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  readonly next: readonly string[];
  readonly ca: { readonly flaws: readonly string[] };
}

const pinOf = (certificate: string): string => {
  const spki = new X509Certificate(readFileSync(certificate)).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex');
};
const madeFile = (role: string, name: string): string => project.path('certs', role, `${name}.crt.pem`);

/** openssl's verdict on a certificate that was deployed before, with the CA file that hosts get now. */
function stillTaken(leaf: string, purpose: string, ...more: readonly string[]): boolean {
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', project.path(caFile)];
  return runTool('openssl', ['verify', ...trust, '-purpose', purpose, ...more, leaf]).status === 0;
}

/** Adopts, makes and renews the CA: everything verifies strictly, the pins are the old ones, and the source is as it was. */
async function adoptAndRenew(
  adopt: () => Promise<Result> | Result,
  old: Readonly<Record<'relay' | 'home', string>>,
): Promise<Answer> {
  const before = treeOf(source());
  const answer = answerOf<Answer>(succeed(await adopt()).stdout);
  expect(treeOf(source())).toEqual(before);
  for (const line of answer.next) succeed(await run(...line.split(' ').slice(1)));
  const pins = { relay: pinOf(madeFile('smtpd-server', relay)), home: pinOf(madeFile('smtp-client', home)) };
  expect(pins).toEqual({ relay: pinOf(old.relay), home: pinOf(old.home) });
  const made = [
    stillTaken(madeFile('smtp-client', home), 'sslclient'),
    stillTaken(madeFile('smtpd-server', relay), 'sslserver'),
  ];
  expect(made).toEqual([true, true]);
  const name = new X509Certificate(project.read(caFile)).subject;
  const keyIdOf = (): string =>
    openssl(['x509', '-noout', '-ext', 'subjectKeyIdentifier', '-in', project.path(caFile)]);
  const keyIdBefore = keyIdOf();
  succeed(await run('renew', '--ca'));
  expect(new X509Certificate(project.read(caFile)).subject).toBe(name);
  expect(keyIdOf()).toBe(keyIdBefore);
  expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
  succeed(await run('renew', '--force'));
  expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
  expect((await rowsOf(project)).find(({ role }) => role === 'ca')).toMatchObject({ state: 'ok', why: null });
  expect(statSync(project.path('certs/ca/example.org-ca.key.pem')).mode & 0o777).toBe(0o600);
  return answer;
}

describe('a folder of easy-rsa 3', () => {
  it('is adopted: serials, missing names and what was revoked', async () => {
    requireTools('make-cadir');
    const easy = (...words: readonly string[]): void => {
      const name = words[0] === 'build-ca' ? { EASYRSA_REQ_CN: 'Easy CA' } : {};
      const env = { PATH: process.env['PATH'], EASYRSA_BATCH: '1', EASYRSA_PKI: source(), EASYRSA_ALGO: 'ec', ...name };
      const { status, stderr } = spawnSync('/usr/share/easy-rsa/easyrsa', [...words], {
        env: { ...env, EASYRSA_CURVE: 'prime256v1' },
      });
      expect(status, stderr.toString()).toBe(0);
    };
    easy('init-pki');
    easy('build-ca', 'nopass');
    easy('build-server-full', relay, 'nopass');
    for (const name of [home, 'alice', 'gone.example.org']) easy('build-client-full', name, 'nopass');
    easy('revoke', 'gone.example.org');
    const issued = { relay: source('issued', `${relay}.crt`), home: source('issued', `${home}.crt`) };
    const answer = await adoptAndRenew(() => run('adopt', source(), '--yes', '--json'), issued);
    expect(answer).toMatchObject({
      kind: 'easy-rsa',
      hosts: [
        { host: relay, key: 'here', certificate: 'replaced' },
        { host: home, key: 'here', certificate: 'replaced' },
      ],
      revoked: [{ host: 'gone.example.org' }],
      leftOut: [{ name: '"alice"', why: 'names no host' }],
      next: ['relaycerts make'],
    });
    succeed(await run('add', 'gone'));
    succeed(await run('make'));
    expect((await rowsOf(project)).find(({ host }) => host === 'gone.example.org')?.state).toBe('revoked');
    expect(project.read('hosts', relay, 'relay_clientcerts')).not.toContain('gone');
  });
});

describe('a folder of openssl ca', () => {
  it('is adopted with its encrypted key, and its request-only host', async () => {
    const passphrase = 'correct horse battery staple';
    const ca = new ForeignCa(source());
    const root = { key: 'private/cakey.pem', certificate: 'cacert.pem' };
    // The name has a PrintableString, and an IA5String, both of which stay as they are.
    ca.root(root, { subject: '/C=NL/O=Example/CN=Demo CA/emailAddress=ca@example.org' });
    const plain = ca.path('private/plain.pem');
    copyFileSync(ca.path(root.key), plain);
    openssl(
      ['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', plain, '-out', ca.path(root.key), '-passout', 'stdin'],
      passphrase,
    );
    for (const name of ['certs', 'newcerts']) mkdirSync(ca.path(name));
    ca.write('index.txt', '');
    ca.write('serial', '01\n');
    const config = join(project.home, 'ca.cnf');
    ca.write(
      '../ca.cnf',
      `[ca]\ndefault_ca=d\n[d]\ndir=${ca.folder}\ndatabase=$dir/index.txt\nnew_certs_dir=$dir/newcerts\nserial=$dir/serial
default_md=sha256\ndefault_days=365\npolicy=p\nunique_subject=no\nx509_extensions=s\n[p]\ncommonName=supplied
[s]\nbasicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid,issuer:always\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:${relay}
[c]\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\nextendedKeyUsage=clientAuth\nsubjectAltName=DNS:${home}\n`,
    );
    const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    const issue = (name: string, section: string, key: string): void => {
      const csr = ca.path(`certs/${name}.csr`);
      openssl(['req', '-new', ...p256, '-subj', `/CN=${name}`, '-keyout', key, '-out', csr]);
      const signing = [
        '-config',
        config,
        '-extensions',
        section,
        '-cert',
        ca.path(root.certificate),
        '-keyfile',
        plain,
      ];
      openssl(['ca', '-batch', '-notext', ...signing, '-in', csr, '-out', ca.path(`certs/${name}.pem`)]);
    };
    issue(relay, 's', ca.path(`private/${relay}.pem`));
    issue(home, 'c', join(project.home, 'elsewhere.key'));
    rmSync(plain);
    const adopt = (): Result =>
      project.spawn(['adopt', source(), '--yes', '--json', '--passphrase-fd', '0'], { input: passphrase });
    const subject = new X509Certificate(readFileSync(ca.path(root.certificate))).raw;
    const answer = await adoptAndRenew(adopt, {
      relay: ca.path(`certs/${relay}.pem`),
      home: ca.path(`certs/${home}.pem`),
    });
    expect(answer).toMatchObject({
      kind: 'openssl ca',
      hosts: [
        { host: relay, key: 'here', certificate: 'replaced' },
        { host: home, key: 'host', certificate: 'replaced' },
      ],
    });
    // The strings of the name keep their types, octet for octet.
    const nameOctets = Buffer.from([0x16, 14, ...Buffer.from('ca@example.org')]);
    expect(subject.includes(nameOctets)).toBe(true);
    expect(new X509Certificate(project.read(caFile)).raw.includes(nameOctets)).toBe(true);
    // What names only the key of its CA goes on verifying with the renewed one.
    expect(stillTaken(ca.path(`certs/${home}.pem`), 'sslclient')).toBe(true);
    expect(existsSync(project.path('certs/smtp-client', `${home}.key.pem`))).toBe(false);
  });
});

describe('the folder of the old Makefile', () => {
  it('is adopted: its passphrase file opens, pins stay, certificates become real', async () => {
    const gnupg = makeGnupg();
    try {
      const recipient = gnupg.makeKey({ userId: 'ann@example.org' });
      const env = { PATH: process.env['PATH'] ?? '', HOME: project.home, GNUPGHOME: gnupg.home };
      makeOldProject(source(), recipient, env);
      const certificate = (role: string, name: string): string => source('certs', role, `${name}.crt.pem`);
      const old = { relay: certificate('smtpd-server', relay), home: certificate('smtp-client', home) };
      const adopt = (): Promise<Result> =>
        project.run(['adopt', source(), '--yes', '--json'], { env: { GNUPGHOME: gnupg.home } });
      const withGnupg = project;
      project = { ...project, run: (args, input) => withGnupg.run(args, { ...input, env: { GNUPGHOME: gnupg.home } }) };
      const answer = await adoptAndRenew(adopt, old);
      expect(answer).toMatchObject({
        kind: 'Makefile',
        hosts: [relay, home, 'mailhost2.example.org'].map((host) => ({ host, key: 'here' })),
      });
      expect(answer.hosts.every(({ certificate: what }) => what === 'replaced')).toBe(true);
      expect(JSON.parse(project.read('settings.json'))).toMatchObject({
        domain: 'example.org',
        smtpdServers: [{ hostname: 'relayhost' }],
        smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }],
        subject: { country: 'NL', organization: 'Example' },
        ca: { commonName: 'example.org mail CA' },
        passphrase: { recipients: [recipient] },
      });
      // What is deployed goes on verifying: home trusts the new CA file before the relay has its new certificate.
      expect(stillTaken(old.relay, 'sslserver')).toBe(true);
      expect(stillTaken(old.home, 'sslclient')).toBe(true);
    } finally {
      gnupg.dispose();
    }
  });
});

describe('a root with an intermediate, as step makes it', () => {
  it('the root is adopted; chains that are deployed still verify', async () => {
    const ca = new ForeignCa(source());
    const root = { key: 'secrets/root_ca_key', certificate: 'certs/root_ca.crt' };
    const middle = { key: 'secrets/intermediate_ca_key', certificate: 'certs/intermediate_ca.crt' };
    ca.root(root, {
      extensions: ['basicConstraints=critical,CA:TRUE,pathlen:1', ...rootExtensions.slice(1), keyId[0] ?? ''],
    });
    ca.sign(middle, root, '/CN=Middle', [
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      ...rootExtensions.slice(1),
      ...keyId,
    ]);
    ca.sign(pair('relay'), middle, `/CN=${relay}`, server);
    ca.sign(pair('home'), middle, `/CN=${home}`, client);
    const plain = ca.path(root.key);
    // OpenSSL's traditional form, as step writes it.
    openssl(['ec', '-in', plain, '-aes256', '-passout', 'stdin', '-out', `${plain}.new`], 'a passphrase of step');
    copyFileSync(`${plain}.new`, plain);
    rmSync(`${plain}.new`);
    const adopt = (): Result =>
      project.spawn(['adopt', source(), '--yes', '--json', '--passphrase-fd', '0'], {
        input: 'a passphrase of step\n',
      });
    const answer = await adoptAndRenew(adopt, { relay: ca.path('relay.crt'), home: ca.path('home.crt') });
    expect(answer).toMatchObject({ kind: 'step', hosts: [{ certificate: 'new' }, { certificate: 'new' }] });
    expect(answer.leftOut).toMatchObject([
      { name: '"Middle"', why: expect.stringContaining('hosts trust the root') as string },
    ]);
    rmSync(project.path('certs'), { recursive: true });
    rmSync(project.path('hosts'), { recursive: true });
    rmSync(ca.path(root.key));
    const refused = await run('adopt', source(), '--yes');
    expect(refused.stderr).toMatch(/the key of the CA "Our CA" .* is not here/u);
    expect(refused.stderr).toMatch(/hint: .*--ca-key FILE; the key of an intermediate CA will not do/u);
  });
});

const named = (): readonly string[] => {
  const files = ['relay.crt', 'relay.key', 'home.cer', 'home.key'].map((name) => source(name));
  return ['adopt', '--ca-key', source('ca.key'), '--ca-cert', source('ca.crt'), '--certificate', ...files];
};

describe('files', () => {
  let made: ForeignCa;
  let base: Project;
  beforeAll(() => {
    base = makeProject(null);
    made = makeFlatCa(join(base.home, 'flat'));
  });
  afterAll(() => base.remove());
  beforeEach(() => {
    cpSync(made.folder, source(), { recursive: true });
  });
  it('as XCA exports them are adopted, DER too, and certificates that are right stay', async () => {
    openssl(['x509', '-in', source('home.crt'), '-outform', 'DER', '-out', source('home.cer')]);
    const answer = await adoptAndRenew(() => run(...named(), '--yes', '--json'), {
      relay: source('relay.crt'),
      home: source('home.crt'),
    });
    expect(answer.hosts.map(({ certificate }) => certificate)).toEqual(['kept', 'kept']);
    expect(stillTaken(source('relay.crt'), 'sslserver', '-x509_strict')).toBe(true);
  });

  it('are shown and not touched with --dry-run, and asked about without --yes', async () => {
    const before = treeOf(project.folder);
    const shown = succeed(await run('adopt', source(), '--dry-run')).stdout;
    expect(shown).toContain(`relay     ${relay} keeps its key and its certificate\n`);
    expect(shown).toContain('"ca": { "commonName": "Our CA" }');
    expect(answerOf<Answer>(succeed(await run('adopt', source(), '--dry-run', '--json')).stdout).kind).toBe('files');
    expect(treeOf(project.folder)).toEqual(before);
    const refused = await run('adopt', source());
    expect([refused.status, Object.keys(treeOf(project.folder))]).toEqual([2, ['.relaycerts.lock']]);
    expect(refused.stderr).toContain(`hint: to adopt without asking: relaycerts adopt ${source()} --yes\n`);
  });

  it('go into settings that exist, which keep their comments', async () => {
    project.write(
      'settings.json',
      '{ // ours\n  "domain": "example.org",\n  "smtpdServers": [{ "hostname": "relayhost" }],\n  "smtpClients": [{ "hostname": "other" }] }\n',
    );
    const answer = answerOf<Answer>(succeed(await run('adopt', source(), '--yes', '--json')).stdout);
    expect(answer.hosts).toMatchObject([{ certificate: 'kept' }, { host: 'other.example.org', key: 'new' }]);
    expect(answer.leftOut).toMatchObject([
      { name: `"${home}"`, why: expect.stringContaining('not in the settings') as string },
    ]);
    expect(project.read('settings.json')).toMatch(/^\{ \/\/ ours\n[^]*"commonName": "Our CA"/u);
    succeed(await run('make'));
    expect((await run('make')).stderr).not.toMatch(/--rekey/u);
  });

  it('are not adopted twice, nor over another CA', async () => {
    succeed(await run('adopt', source(), '--yes'));
    const after = treeOf(project.folder);
    expect(succeed(await run('adopt', source(), '--yes')).stderr).toContain('this CA is adopted already');
    expect(treeOf(project.folder)).toEqual(after);
    rmSync(source(), { recursive: true });
    makeFlatCa(source(), '/CN=Another CA');
    const refused = await run('adopt', source(), '--yes');
    expect([refused.status, treeOf(project.folder)]).toEqual([1, after]);
    expect(refused.stderr).toMatch(/has a CA already, and nothing is replaced\n.*hint: adopt into another folder/u);
    const inside = await project.run(['adopt', '.', '--yes'], { cwd: source() });
    expect(inside.stderr).toMatch(/in the folder of the new project/u);
  });

  it('without a purpose need a word about what relays', async () => {
    const ca = new ForeignCa(source());
    for (const [name, host] of [
      ['relay', relay],
      ['home', home],
    ] as const) {
      ca.sign(pair(name), pair('ca'), `/CN=${host}`, []);
    }
    const refused = await run('adopt', source(), '--dry-run');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(/cannot tell whether .* is a relay or a home host\n.*--relay NAME/u);
    const words = ['--relay', 'relayhost', '--client', home];
    const answer = answerOf<Answer>(succeed(await run('adopt', source(), '--yes', '--json', ...words)).stdout);
    expect(answer.hosts.map(({ host }) => host)).toEqual([relay, home]);
  });
});

it('a CA and certificates that last longer than any that we make', async () => {
  const ca = new ForeignCa(source());
  const more = ['-days', '36600'];
  ca.root(pair('ca'), { more });
  ca.sign(pair('relay'), pair('ca'), `/CN=${relay}`, server, { more });
  ca.sign(pair('home'), pair('ca'), `/CN=${home}`, client, { more });
  await adoptAndRenew(() => run('adopt', source(), '--yes', '--json'), {
    relay: source('relay.crt'),
    home: source('home.crt'),
  });
});

describe('a root of version 1', () => {
  it('is renewed first, as it says', async () => {
    const ca = new ForeignCa(source());
    ca.root(pair('ca'), { extensions: [] });
    for (const [name, extensions] of [
      ['relay', server],
      ['home', client],
    ] as const) {
      ca.sign(pair(name), pair('ca'), `/CN=${name === 'home' ? home : relay}`, extensions.slice(0, 3));
    }
    const answer = await adoptAndRenew(() => run('adopt', source(), '--yes', '--json'), {
      relay: source('relay.crt'),
      home: source('home.crt'),
    });
    expect(answer.next).toEqual(['relaycerts renew --ca', 'relaycerts make']);
  });

  it('is renewed also with certificates that last as long as it, which make replaces', async () => {
    const ca = new ForeignCa(source());
    ca.root(pair('ca'), { extensions: [] });
    for (const [name, host] of [
      ['relay', relay],
      ['home', home],
    ] as const) {
      ca.sign(pair(name), pair('ca'), `/CN=${host}`, [], { more: ['-days', '3650'] });
    }
    const words = ['adopt', source(), '--yes', '--json', '--relay', relay, '--client', home];
    const old = { relay: source('relay.crt'), home: source('home.crt') };
    const answer = await adoptAndRenew(() => run(...words), old);
    expect(answer.next).toEqual(['relaycerts renew --ca', 'relaycerts make']);
  });

  it('that signed nothing yet is taken if it is named', async () => {
    new ForeignCa(source()).root(pair('ca'), { extensions: [] });
    const hosts = ['--relay', relay, '--client', home];
    expect((await run('adopt', source(), ...hosts, '--yes')).status).toBe(1);
    const files = ['--ca-key', source('ca.key'), '--ca-cert', source('ca.crt')];
    succeed(await run('adopt', ...files, ...hosts, '--yes'));
    succeed(await run('renew', '--ca'));
    succeed(await run('make'));
  });
});

it('a CA of mkcert is adopted', async () => {
  requireTools('mkcert');
  mkdirSync(source());
  const env = { PATH: process.env['PATH'] ?? '', HOME: project.home, CAROOT: source() };
  for (const [words, host] of [
    [[], relay],
    [['-client'], home],
  ] as const) {
    const files = ['-ecdsa', '-cert-file', source(`${host}.pem`), '-key-file', source(`${host}-key.pem`)];
    const { status, stderr } = spawnSync('mkcert', [...words, ...files, host], { env });
    expect(status, stderr.toString()).toBe(0);
  }
  const adopt = (): Promise<Result> => run('adopt', source(), '--yes', '--json', '--client', home);
  const answer = await adoptAndRenew(adopt, { relay: source(`${relay}.pem`), home: source(`${home}.pem`) });
  expect(answer.kind).toBe('mkcert');
});
