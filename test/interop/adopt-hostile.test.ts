// `adopt` of a folder from somebody else: links, pipes, large files, keys that do not fit, names with shell words. What
// will not do is refused in words, and nothing outside the folder is read or run. And every form of an encrypted key.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { findForeignKeys, openForeignKey } from '../../src/issue/foreign-key.js';
import { Secret } from '../../src/secret.js';
import { run as runChild } from '../../src/sys/run.js';
import { answerOf } from '../support/answer.js';
import { caFile, home, relay } from '../support/ca-renewal.js';
import { client, ForeignCa, keyId, makeFlatCa, pair, rootExtensions } from '../support/foreign-folders.js';
import { openssl } from '../support/openssl.js';
import { makeProject, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';
import { expectError } from '../support/untouched.js';

let base: Project;
let made: ForeignCa;
beforeAll(() => {
  base = makeProject(null);
  made = makeFlatCa(join(base.home, 'flat'));
});
afterAll(() => base.remove());

let project: Project;
let ca: ForeignCa;
beforeEach(() => {
  project = makeProject(null);
  cpSync(made.folder, source(), { recursive: true });
  ca = new ForeignCa(source());
});
afterEach(() => project.remove());

const source = (...parts: readonly string[]): string => join(project.home, 'old', ...parts);
const adopt = (...words: readonly string[]): Promise<Result> => project.run(['adopt', source(), '--yes', ...words]);

interface Answer {
  readonly revoked: readonly { readonly host: string }[];
  readonly hosts: readonly { readonly host: string; readonly key: string; readonly why: string | null }[];
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  readonly passedOver: readonly string[];
}

/** Refused, with this error and hint, and nothing is there. */
async function expectRefused(message: RegExp, hint: RegExp, status = 1, ...words: readonly string[]): Promise<void> {
  expectError(await adopt(...words), status, message, hint);
  expect(readdirSync(project.folder).filter((name) => name !== '.relaycerts.lock')).toEqual([]);
}

describe('the folder', () => {
  it('is not left by a link', async () => {
    const outside = join(project.home, 'outside');
    mkdirSync(outside);
    renameSync(source('ca.key'), join(outside, 'ca.key'));
    symlinkSync(join(outside, 'ca.key'), source('ca.key'));
    symlinkSync(outside, source('more'));
    await expectRefused(/the key of the CA "Our CA" .* is not here/u, /--ca-key FILE/u);
    // Named by a person, it is followed.
    succeed(await adopt('--ca-key', source('ca.key')));
  });

  it('may have pipes, large and damaged files, which are passed over', async () => {
    spawnSync('mkfifo', [source('pipe.pem')]);
    writeFileSync(source('large.pem'), '-----BEGIN CERTIFICATE-----');
    truncateSync(source('large.pem'), 2 ** 21);
    ca.write('damaged.crt', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    ca.write('index.txt', 'not an index\n');
    ca.write('.hidden/ca.key', 'nothing');
    const answer = answerOf<Answer>(succeed(await adopt('--json')).stdout);
    const names = ['damaged.crt', 'index.txt', 'large.pem', 'pipe.pem'].map((name) => source(name));
    expect([...answer.passedOver].toSorted((a, b) => a.localeCompare(b))).toEqual(names);
  });

  it('with far too many files is refused', async () => {
    mkdirSync(source('many'));
    for (let count = 0; count <= 10_000; count += 1) writeFileSync(source('many', String(count)), '');
    await expectRefused(/has too many files for the folder of a CA/u, /name the folder that has the CA/u, 2);
  });

  it('without a CA, with two, or with nothing to propose, is refused', async () => {
    rmSync(source('ca.crt'));
    await expectRefused(/no CA certificate among the 2 certificates/u, /--ca-key FILE --ca-cert FILE/u);
    for (const name of ['one', 'two']) ca.root(pair(name), { subject: `/CN=${name}` });
    await expectRefused(/several CAs here: "one" \(.*\), "two"/u, /--ca-key FILE --ca-cert FILE/u);
    rmSync(source('two.crt'));
    for (const name of ['relay', 'home']) rmSync(source(`${name}.crt`));
    await expectRefused(/none of the certificates is for a relay/u, /--relay NAME and --client NAME/u, 2);
    succeed(await adopt('--relay', relay, '--client', home));
  });
});

describe('a key', () => {
  it('that does not match, or is open to others, is noticed', async () => {
    const key = source('home.key');
    rmSync(source('ca.key'));
    const files = ['--ca-key', key, '--ca-cert', source('ca.crt')];
    expectError(
      await project.run(['adopt', ...files, '--yes']),
      1,
      /the key ".*home\.key" does not belong to the CA "Our CA"/u,
      /--ca-key FILE/u,
    );
    copyFileSync(made.path('ca.key'), source('ca.key'));
    chmodSync(source('ca.key'), 0o644);
    expect(succeed(await adopt()).stderr).toMatch(/others can read the CA's key .* \(mode 0644\)/u);
  });

  it('of the CA that is weak or of another kind is refused', async () => {
    for (const words of [
      ['-newkey', 'rsa:1024'],
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    ]) {
      ca.root(pair('ca'), { words });
      for (const name of ['relay', 'home']) rmSync(source(`${name}.crt`), { force: true });
      await expectRefused(/the key of the CA "Our CA" is weak, or of a type/u, /start with a new CA/u);
    }
  });

  it('of a host that is weak, shared, missing or locked is replaced', async () => {
    ca.sign(pair('weak'), pair('ca'), '/CN=weak.example.org', client, { words: ['-newkey', 'rsa:1024'] });
    const csr = join(project.home, 'twin.csr');
    openssl(['req', '-new', '-key', source('home.key'), '-subj', '/CN=twin.example.org', '-out', csr]);
    const ext = ca.write('../twin.ext', 'extendedKeyUsage=clientAuth\n');
    const by = ['-CA', source('ca.crt'), '-CAkey', source('ca.key'), '-set_serial', '77'];
    openssl(['x509', '-req', '-in', csr, ...by, '-extfile', ext, '-out', source('twin.crt')]);
    ca.sign(pair('far'), pair('ca'), '/CN=far.example.org', client);
    rmSync(source('far.key'));
    const answer = answerOf<Answer>(succeed(await adopt('--json')).stdout);
    const why = (name: string): string | null => answer.hosts.find(({ host }) => host.startsWith(name))?.why ?? null;
    expect(why('weak')).toMatch(/its key is weak/u);
    expect([why('twin'), why('mailhost')].join(' ')).toMatch(
      /it has the same key as .*, and every host needs its own/u,
    );
    expect(why('far')).toBe('its key is not here');
    succeed(await project.run(['make']));
    expect(new Set(project.read('hosts', relay, 'relay_clientcerts').match(/^[0-9A-F:]+/gmu)).size).toBe(4);
  });

  it('that is encrypted needs its passphrase, from a terminal or a descriptor', async () => {
    const plain = made.path('ca.key');
    openssl(['pkcs8', '-topk8', '-in', plain, '-out', source('ca.key'), '-passout', 'stdin'], 'the passphrase');
    await expectRefused(
      /ca\.key" is encrypted, and there is no terminal/u,
      /relaycerts adopt \S+ --yes --passphrase-fd 3 3< PASS/u,
      2,
    );
    const words = ['adopt', source(), '--yes', '--passphrase-fd', '0'];
    const homeKey = readFileSync(source('home.key'));
    openssl(
      ['ec', '-aes128', '-out', source('home.key'), '-passout', 'stdin', '-in', made.path('home.key')],
      'another',
    );
    expectError(
      project.spawn(words, { input: 'another' }),
      1,
      /the passphrase does not open the key in ".*ca\.key"/u,
      /that this key was encrypted with/u,
    );
    writeFileSync(source('home.key'), homeKey);
    expect(succeed(project.spawn(words, { input: 'the passphrase\n' })).stdout).not.toContain('the passphrase');
  });
});

/** Of an index.txt. */
const lineOf = (serial: string, name: string, reason = ''): string =>
  `R\t300101000000Z\t250101000000Z${reason}\t${serial}\tunknown\t/CN=${name}\n`;

describe('what was revoked', () => {
  const gone = 'gone.example.org';
  beforeEach(() => {
    ca.write('index.txt', '');
    ca.sign(pair('gone'), pair('ca'), `/CN=${gone}`, client, { more: ['-set_serial', '7'] });
  });

  it('is told from an index with comments, and an odd line is refused', async () => {
    const text = `# ours\nV\t300101000000Z\t\t08\tunknown\t/CN=x\n\n${lineOf('07', gone)}`;
    for (const odd of [text.replaceAll('\t', ' '), text.replace('unknown\t/CN=gone', '/CN=gone')]) {
      ca.write('index.txt', odd);
      await expectRefused(/line \d of ".*index\.txt" is not one of openssl ca: "[VR]/u, /six fields with a tab/u);
    }
    ca.write('index.txt', text.replaceAll('\n', '\r\n'));
    const { hosts, revoked } = answerOf<Answer>(succeed(await adopt('--json')).stdout);
    expect([hosts.map(({ host }) => host), revoked]).toMatchObject([[relay, home], [{ host: gone }]]);
    succeed(await project.run(['make']));
    expect(project.read('hosts', relay, 'relay_clientcerts')).not.toContain(gone);
  });

  it('is told from a list that cannot be read only if it is named', async () => {
    renameSync(source('index.txt'), join(project.home, 'index'));
    writeFileSync(join(project.home, 'index'), lineOf('07', gone));
    symlinkSync(join(project.home, 'index'), source('index.txt'));
    await expectRefused(/index\.txt" may say what is revoked, and was not read/u, /name it with --index FILE/u);
    const { revoked } = answerOf<Answer>(succeed(await adopt('--json', '--index', source('index.txt'))).stdout);
    expect(revoked).toMatchObject([{ host: gone }]);
  });

  it('is told from a CRL, and a damaged one is refused', async () => {
    const config = ca.write('../crl.cnf', '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\n');
    const [cwd, by] = [join(project.home, 'db'), ['-config', config, '-keyfile', source('ca.key')]];
    mkdirSync(cwd);
    writeFileSync(join(cwd, 'index'), '');
    for (const words of [
      ['-revoke', source('gone.crt')],
      ['-gencrl', '-crldays', '30', '-out', source('list.pem')],
    ]) {
      expect(spawnSync('openssl', ['ca', ...by, '-cert', source('ca.crt'), ...words], { cwd }).status).toBe(0);
    }
    const text = readFileSync(source('list.pem'), 'latin1');
    ca.write('list.pem', text.replace(/MI.{30}/u, `MI${'A'.repeat(30)}`));
    await expectRefused(/the list of revoked certificates in ".*list\.pem" is damaged/u, /copy the whole file again/u);
    openssl(['crl', '-outform', 'DER', '-out', source('list.crl')], text);
    rmSync(source('list.pem'));
    expect(answerOf<Answer>(succeed(await adopt('--json')).stdout).revoked).toMatchObject([{ host: gone }]);
  });

  it('of an intermediate does not come back, nor takes a serial of the root with it', async () => {
    ca.sign(pair('int/ca'), pair('ca'), '/CN=Int', [...rootExtensions, ...keyId]);
    const more = ['-set_serial', '7'];
    ca.sign(pair('int/away'), pair('int/ca'), '/CN=away.example.org', client, { more });
    ca.write('int/index.txt', lineOf('07', 'away.example.org'));
    const { hosts, revoked } = answerOf<Answer>(succeed(await adopt('--json')).stdout);
    expect(hosts.map(({ host }) => host)).toEqual([relay, gone, home]);
    expect(revoked).toMatchObject([{ host: 'away.example.org' }]);
  });

  it('keeps its key from a newer certificate, unless that one replaced it', async () => {
    const csr = join(project.home, 'gone.csr');
    openssl(['req', '-new', '-key', source('gone.key'), '-subj', `/CN=${gone}`, '-out', csr]);
    const by = ['-CA', source('ca.crt'), '-CAkey', source('ca.key'), '-set_serial', '8', '-days', '9'];
    openssl(['x509', '-req', '-in', csr, ...by, '-out', source('newer.crt')]);
    ca.write('index.txt', lineOf('07', gone));
    const told = answerOf<Answer>(succeed(await adopt('--json', '--dry-run', '--client', gone)).stdout);
    expect(told.leftOut[0]?.why).toMatch(
      /stays revoked, because its key was revoked: make --again gone\.example\.org/u,
    );
    // As after a CRL, which is read first.
    ca.write('index.txt', lineOf('07', gone) + lineOf('07', gone, ',superseded'));
    const { hosts, revoked } = answerOf<Answer>(succeed(await adopt('--json', '--client', gone)).stdout);
    expect([revoked, hosts.find(({ host }) => host === gone)?.key]).toEqual([[], 'here']);
  });
});

describe('files in other forms', () => {
  it('that hold everything at once are read: a BOM, line ends, several keys', async () => {
    const names = readdirSync(source());
    const all = names.map((name) => `\uFEFFBag Attributes\n    x: y\n${readFileSync(source(name), 'latin1')}`).join('');
    for (const name of names) rmSync(source(name));
    ca.write('all.pem', all.replaceAll('\n', '\r\n'));
    const { hosts } = answerOf<Answer>(succeed(await adopt('--json')).stdout);
    expect(hosts.map(({ key }) => key)).toEqual(['here', 'here']);
  });

  it('that have to be converted are named, with the command', async () => {
    const words = ['-inkey', source('home.key'), '-in', source('home.crt'), '-passout', 'pass:x'];
    openssl(['pkcs12', '-export', ...words, '-out', source('home.p12')]);
    openssl(['pkey', '-in', source('home.key'), '-outform', 'DER', '-out', source('der.key')]);
    const { passedOver } = answerOf<Answer>(succeed(await adopt('--json', '--dry-run')).stdout);
    expect(passedOver).toEqual([source('der.key'), source('home.p12')]);
    await expectRefused(
      /home\.p12" holds nothing/u,
      /^.*openssl pkcs12 -in \S+ -out NEWFILE/u,
      1,
      '--ca-key',
      source('home.p12'),
    );
  });
});

describe('a name', () => {
  it('that two certificates have is given to one host', async () => {
    const shared = 'subjectAltName=DNS:mail.example.org,DNS:relayhost.example.org';
    ca.sign(pair('relay'), pair('ca'), `/CN=${relay}`, ['extendedKeyUsage=serverAuth', shared]);
    ca.sign(pair('home'), pair('ca'), `/CN=${home}`, ['extendedKeyUsage=clientAuth', shared]);
    succeed(await adopt());
    expect(JSON.parse(project.read('settings.json'))).toMatchObject({
      smtpdServers: [{ hostname: 'relayhost', altNames: ['mail.example.org'] }],
      smtpClients: [{ hostname: 'mailhost' }],
    });
  });

  it('with shell words, paths and line ends goes nowhere', async () => {
    const evil = String.raw`$(touch pwned)";\n`;
    ca.root(pair('ca'), { subject: `/O=a\\/CN=b/CN=${evil}` });
    const names = ['../../../x.example.org', '-rf.example.org', '*.example.org', 'a b.example.org', '127.0.0.1', evil];
    for (const [at, name] of names.entries()) {
      ca.sign(pair(`evil${at}`), pair('ca'), `/CN=${name.replaceAll('/', String.raw`\/`)}`, [
        'extendedKeyUsage=clientAuth',
      ]);
    }
    for (const [name, host, use] of [
      ['relay', relay, 'serverAuth'],
      ['home', home, 'clientAuth'],
    ] as const) {
      ca.sign(pair(name), pair('ca'), `/CN=${host}`, [`extendedKeyUsage=${use}`]);
    }
    const answer = answerOf<Answer>(succeed(await adopt('--json')).stdout);
    expect(answer.hosts.map(({ host }) => host)).toEqual([relay, home]);
    expect(answer.leftOut.map(({ why }) => why)).toEqual(names.map(() => 'names no host'));
    succeed(await project.run(['make']));
    const script = succeed(await project.run(['show', 'mailhost', '--format', 'sh'])).stdout;
    expect(script).not.toContain('touch pwned');
    expect(succeed(await project.run(['renew', '--ca'])).stderr).not.toMatch(/\n\n/u);
    expect(openssl(['x509', '-in', project.path(caFile), '-noout', '-subject', '-nameopt', 'utf8,sname'])).toContain(
      'touch pwned',
    );
    expect(
      readdirSync(project.folder, { recursive: true })
        .map(String)
        .filter((name) => /pwned|x\.example/u.test(name)),
    ).toEqual([]);
  });

  it('in settings.mk runs nothing', async () => {
    const touched = join(project.home, 'touched');
    ca.write(
      'settings.mk',
      `DOMAIN := $(shell touch ${touched})\nSMTPD_SERVER = relayhost.example.org $(shell touch ${touched})\nX = $(X)$(X)
SMTP_CLIENT = \`touch ${touched}\`\nPASSPHRASE_FILE = /etc/shadow.gpg\nCOUNTRY = N"L\nORGANIZATION = "};evil\nPORT = 25\n`,
    );
    const text = succeed(await adopt()).stdout;
    expect(JSON.parse(project.read('settings.json'))).toEqual({
      $schema: './settings.schema.json',
      domain: 'example.org',
      smtpdServers: [{ hostname: 'relayhost' }],
      smtpClients: [{ hostname: 'mailhost' }],
      certificates: { keyType: 'ecdsa-p256' },
      ca: { commonName: 'Our CA' },
    });
    expect(text).not.toContain('touch');
    expect(existsSync(touched)).toBe(false);
  });

  it('that is constrained to domains stays so', async () => {
    const constraint = 'nameConstraints=critical,permitted;DNS:example.org';
    ca.root(pair('ca'), { extensions: [...rootExtensions, keyId[0] ?? '', constraint] });
    for (const [name, host, use] of [
      ['relay', relay, 'serverAuth'],
      ['home', home, 'clientAuth'],
    ] as const) {
      ca.sign(pair(name), pair('ca'), `/CN=${host}`, [`extendedKeyUsage=${use}`]);
    }
    succeed(await adopt());
    succeed(await project.run(['make']));
    succeed(await project.run(['renew', '--ca']));
    expect(openssl(['x509', '-in', project.path(caFile), '-noout', '-text'])).toMatch(/Permitted:\s+DNS:example\.org/u);
  });
});

describe('an encrypted key', () => {
  const legacy = ['-provider', 'legacy', '-provider', 'default'];
  const forms: readonly (readonly [string, readonly string[]])[] = [
    ['PKCS#8, PBES2 with AES', ['pkcs8', '-topk8', '-v2', 'aes-256-cbc']],
    ['PKCS#8, PBES2 with 3DES', ['pkcs8', '-topk8', '-v2', 'des3']],
    ['PKCS#8, scrypt', ['pkcs8', '-topk8', '-scrypt']],
    ['PKCS#8, PBES1 of PKCS#12', ['pkcs8', '-topk8', '-v1', 'PBE-SHA1-3DES']],
    ['PKCS#8, PBES1 with MD5 and DES', ['pkcs8', '-topk8', '-v1', 'PBE-MD5-DES', ...legacy]],
    ['traditional EC with AES', ['ec', '-aes128']],
    ['traditional EC with 3DES', ['ec', '-des3']],
    ['traditional EC with DES', ['ec', '-des', ...legacy]],
  ];
  it.each(forms)('in the form %s is opened, by its passphrase only', async (_name, words) => {
    const [command = '', ...options] = words;
    const path = source('encrypted.pem');
    openssl([command, ...options, '-in', source('ca.key'), '-out', path, '-passout', 'stdin'], 'pass wörd');
    const [found] = findForeignKeys(path, readFileSync(path));
    if (found === undefined) throw new Error('no key');
    expect(found.isEncrypted).toBe(true);
    const opened = await openForeignKey(found, new Secret('pass wörd'), runChild);
    const der = { type: 'pkcs8', format: 'pem' } as const;
    expect(String(opened.export(der))).toBe(openssl(['pkey', '-in', source('ca.key')]));
    await expect(openForeignKey(found, new Secret('pass word'), runChild)).rejects.toMatchObject({
      code: 'passphrase',
    });
  });

  it('that asks for endless work is refused', async () => {
    const path = source('costly.pem');
    const cost = ['-v2', 'aes-256-cbc', '-iter', '1000000'];
    openssl(['pkcs8', '-topk8', ...cost, '-in', source('ca.key'), '-out', path, '-passout', 'stdin'], 'x');
    const [found] = findForeignKeys(path, readFileSync(path));
    if (found === undefined) throw new Error('no key');
    await expect(openForeignKey(found, new Secret('x'), runChild)).rejects.toMatchObject({
      code: 'certificate',
      message: expect.stringContaining('more rounds than is safe') as string,
    });
  });
});
