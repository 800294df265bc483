// `relaycerts sign` by the built program: requests that openssl made, for hosts whose key never comes here. What is
// signed, what is refused, and that make, show, fingerprint and clean know such a host. Requests alone are looked at in
// test/interop/request.test.ts.

import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyTypes } from '../../src/settings/settings.js';
import { blocksOf } from '../support/blocks.js';
import { openssl, verified } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const home = 'mailhost.example.org';
const relay = 'relayhost.example.org';
const request = `${home}.csr.pem`;
const stored = `certs/smtp-client/${request}`;
const certificate = `certs/smtp-client/${home}.crt.pem`;
const homeKey = `certs/smtp-client/${home}.key.pem`;
const caFile = 'certs/ca/example.org-ca.crt.pem';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

/** A key on "another host" and a request for it in the project's folder; gives the key's path. */
function writeRequest(words: readonly string[] = [], { name = request, key = makeKey() } = {}): string {
  openssl(['req', '-new', '-key', key, '-subj', `/CN=${home}`, ...words, '-out', project.path(name)]);
  return key;
}

let keys = 0;
function makeKey(...words: readonly string[]): string {
  const path = join(project.home, `host${++keys}.key`);
  openssl([
    'genpkey',
    ...(words.length > 0 ? words : ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256']),
    '-out',
    path,
  ]);
  return path;
}

const sign = (...words: readonly string[]): Promise<Result> =>
  project.run(['sign', request, '--host', 'mailhost', ...words]);

function expectError(result: Result, status: number, message: RegExp, hint: RegExp): void {
  expect(result.stderr).toMatch(message);
  expect(result.stderr.split('\n').find((line) => line.startsWith('relaycerts: hint: '))).toMatch(hint);
  expect(result.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
  expect([result.status, result.stdout]).toEqual([status, '']);
}

/** Nothing beside the settings has changed, and the error is one. */
async function expectUntouched(
  work: () => Result | Promise<Result>,
  status: number,
  message: RegExp,
  hint: RegExp,
): Promise<void> {
  const before = treeOf(project.folder);
  expectError(await work(), status, message, hint);
  expect(treeOf(project.folder)).toEqual(before);
}

const publicKeyOf = (key: string): string => openssl(['pkey', '-in', key, '-pubout']);
const serials = (): readonly string[] =>
  project
    .read('certs/ca/issued.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => (JSON.parse(line) as { serial: string }).serial);

describe('a host that makes its own key', () => {
  it('gets a certificate for that key, and the settings say the rest; the CA is made where there is none', async () => {
    const key = writeRequest(['-addext', 'subjectAltName=DNS:evil.example.com', '-addext', 'basicConstraints=CA:TRUE']);
    const signed = succeed(await sign());
    expect(signed.stdout).toBe('next: relaycerts make, for the other hosts\n');
    expect(signed.stderr).toContain(
      'the request asks for "evil.example.com": ignored; the settings say mailhost.example.org\n',
    );
    expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(publicKeyOf(key));
    const verify = ['verify', '-x509_strict', '-CAfile', project.path(caFile), '-purpose', 'sslclient'];
    expect(openssl([...verify, project.path(certificate)])).toContain(': OK');
    const text = openssl(['x509', '-in', project.path(certificate), '-noout', '-text']);
    expect(text).toContain('CA:FALSE');
    expect(text).toContain('DNS:mailhost.example.org\n');
    expect(text).not.toContain('evil');
    expect(openssl(['req', '-in', project.path(stored), '-noout', '-pubkey'])).toBe(publicKeyOf(key));
    const requestVerify = ['req', '-in', project.path(stored), '-verify', '-noout'];
    expect(verified(requestVerify)).toBe('Certificate request self-signature verify OK\n');
    expect(modesOf(project.path('certs/smtp-client'))).toEqual({
      [`${home}.crt.pem`]: '0644',
      [`${home}.csr.pem`]: '0644',
    });
  });

  it('make then makes the rest, leaves this host alone, and its pin stands in the table', async () => {
    const key = writeRequest();
    expect(succeed(await sign()).stdout).toBe('next: relaycerts make, for the other hosts\n');
    const before = project.read(certificate);
    const made = succeed(await project.run(['make']));
    expect(made.stderr).not.toContain(`the key of ${home}`);
    expect(project.read(certificate)).toBe(before);
    expect(existsSync(project.path(homeKey))).toBe(false);
    expect(modesOf(project.path('hosts', home))).toEqual({
      'example.org-ca.crt.pem': '0644',
      [`${home}.crt.pem`]: '0644',
    });
    const pin = spawnSync('sh', [
      '-c',
      'openssl pkey -in "$1" -pubout -outform DER | openssl dgst -sha256 -c',
      'sh',
      key,
    ])
      .stdout.toString()
      .trim()
      .replace(/^.*= /u, '')
      .toUpperCase();
    expect(project.read('hosts', relay, 'relay_clientcerts')).toContain(`\n${pin} ${home}\n`);
    expect(succeed(await project.run(['fingerprint'])).stdout).toContain(`\n${pin} ${home}\n`);
    expect(succeed(await project.run(['status'])).stdout).toMatch(new RegExp(`^${home} +smtp-client +ok `, 'mu'));
    const tree = treeOf(project.folder);
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
    expect(succeed(await project.run(['make', '--dry-run'])).stdout).toContain('nothing to make');
    expect(treeOf(project.folder)).toEqual(tree);
    expect(new Set(serials()).size).toBe(3);
    expect(serials()).toHaveLength(3);
  });

  it('added later: the relay, already there, gets its new table', async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    writeRequest();
    const result = succeed(await project.run(['sign', request, '--host', 'second.example.org']));
    expect(result.stderr).toContain(`made the bundle of ${relay} (relay_clientcerts)`);
    expect(result.stderr).toContain('the request asks for "mailhost.example.org": ignored');
    expect(result.stdout).toBe(
      `first, for the table: relaycerts show ${relay}  # copy its bundle and run its script\n` +
        'then: relaycerts show second.example.org  # copy its bundle and run its script\n',
    );
    expect(project.read('hosts', relay, 'relay_clientcerts')).toMatch(/^[0-9A-F:]{95} second\.example\.org$/mu);
    expect(succeed(await project.run(['make', '--dry-run'])).stdout).toContain('nothing to make');
  });

  it('may be a relay', async () => {
    project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }] }));
    writeRequest(['-addext', 'subjectAltName=DNS:relayhost.example.org,DNS:mx.example.org']);
    const result = succeed(await project.run(['sign', request, '--host', 'relayhost']));
    expect(result.stderr).toContain(
      'asks for "mailhost.example.org": ignored; the settings say relayhost.example.org, mx.example.org\n',
    );
    succeed(await project.run(['make']));
    expect(Object.keys(modesOf(project.path('hosts', relay)))).toEqual([
      'example.org-ca.crt.pem',
      'relay_clientcerts',
      `${relay}.crt.pem`,
    ]);
    const own = project.path(`certs/smtpd-server/${relay}.crt.pem`);
    expect(openssl(['verify', '-CAfile', project.path(caFile), '-purpose', 'sslserver', own])).toContain(': OK');
    expect(openssl(['x509', '-in', own, '-noout', '-ext', 'subjectAltName'])).toContain(
      'DNS:relayhost.example.org, DNS:mx.example.org',
    );
  });

  it.each(keyTypes)('%s, by the printed lines, which may be run again', async (keyType) => {
    const folder = join(project.home, 'relaycerts');
    project.settings(smallSettings({ certificates: { keyType }, postfix: { directory: '/etc/postfix/relaycerts' } }));
    const printed = succeed(await project.run(['show', 'mailhost', '--section', 'request']));
    const [onHost, here, ...more] = blocksOf(printed.stdout);
    expect([onHost?.where, here?.where, more]).toEqual(['host', 'here', []]);
    const run = (): void => {
      const script = (onHost?.text ?? '').replaceAll('/etc/postfix/relaycerts', folder);
      const { stdout, status } = spawnSync('sh', ['-c', 'umask 022; exec sh'], { input: script, cwd: project.home });
      expect([status, stdout.toString()]).toEqual([0, '']);
    };
    run();
    expect(modesOf(project.home)).toMatchObject({
      'relaycerts/': '0700',
      [`relaycerts/${home}.key.pem`]: '0600',
      [`relaycerts/${home}.csr.pem`]: '0600',
    });
    const key = readFileSync(join(folder, `${home}.key.pem`));
    run();
    expect(readFileSync(join(folder, `${home}.key.pem`)).equals(key)).toBe(true);
    expect(readdirSync(folder)).toHaveLength(2);
    expect(here?.text).toBe(
      `ssh root@${home} cat /etc/postfix/relaycerts/${request} >${request} &&\n  relaycerts sign ${request} --host ${home}\n`,
    );
    writeFileSync(project.path(request), readFileSync(join(folder, request)));
    succeed(await sign());
    expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(
      publicKeyOf(join(folder, `${home}.key.pem`)),
    );
  });
});

describe('signed again', () => {
  it('the same key: nothing changes, and that is said, whatever octets the request has', async () => {
    const key = writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    writeRequest([], { key });
    const tree = treeOf(project.folder);
    const again = succeed(await sign());
    expect(again.stderr).toMatch(
      /^relaycerts: nothing to sign: mailhost\.example\.org has its certificate for this key/u,
    );
    expect(treeOf(project.folder)).toEqual(tree);
    expect(serials()).toHaveLength(3);
  });

  it('another key: refused, and by the hint it goes on', async () => {
    writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    const old = project.read('hosts', relay, 'relay_clientcerts');
    const key = writeRequest();
    await expectUntouched(
      sign,
      1,
      /is for another key than the one that is stored for mailhost\.example\.org/u,
      /rm .*csr\.pem .*crt\.pem, and sign again; the relays need/u,
    );
    const hint = /here: (rm [^,]*), and sign/u.exec((await sign()).stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    succeed(await sign());
    expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(publicKeyOf(key));
    expect(project.read('hosts', relay, 'relay_clientcerts')).not.toBe(old);
  });

  it('--json names what was made', async () => {
    writeRequest();
    const first = JSON.parse(
      succeed(await project.run(['--json', '--quiet', 'sign', request, '--host', home])).stdout,
    ) as {
      made: { kind: string }[];
    };
    expect(first).toMatchObject({
      host: home,
      request: project.path(stored),
      certificate: project.path(certificate),
      serial: serials()[1],
    });
    expect(first.made.map(({ kind }) => kind)).toEqual([
      'operator-key',
      'passphrase',
      'ca-key',
      'ca-certificate',
      'certificate',
    ]);
    expect(JSON.parse(succeed(await project.run(['--json', 'sign', request, '--host', home])).stdout)).toMatchObject({
      made: [],
    });
  });

  it('after a crash between request and certificate, by sign and by make', async () => {
    for (const go of [() => sign(), () => project.run(['make'])]) {
      const key = writeRequest();
      mkdirSync(project.path('certs/smtp-client'), { recursive: true });
      renameSync(project.path(request), project.path(stored));
      writeFileSync(project.path(request), project.read(stored));
      expect((await project.run(['make', '--dry-run'])).stdout).not.toContain(`the key of ${home}`);
      succeed(await go());
      expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(publicKeyOf(key));
      expect(existsSync(project.path(homeKey))).toBe(false);
      succeed(await project.run(['clean', '--yes', '--all']));
      expect(existsSync(project.path(stored))).toBe(false);
    }
  });

  it('an expired certificate, taken away, is issued anew by make for the same key', async () => {
    writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    const pins = succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout;
    rmSync(project.path(certificate));
    succeed(await project.run(['make']));
    expect(succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout).toBe(pins);
  });

  it('renew issues for the same key, and makes no other', async () => {
    const key = writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    const pins = succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout;
    const before = project.read(certificate);
    succeed(await project.run(['renew', home, '--force']));
    expect(project.read(certificate)).not.toBe(before);
    expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(publicKeyOf(key));
    expect(succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout).toBe(pins);
    expect(Object.keys(modesOf(project.path('hosts', home)))).toEqual(['example.org-ca.crt.pem', `${home}.crt.pem`]);
    await expectUntouched(() => project.run(['renew', home, '--rekey']), 1, /keeps its own key/u, /--section request/u);
  });

  it('a certificate whose key went to the host: its request puts all right', async () => {
    await putMade(project);
    renameSync(project.path(homeKey), join(project.home, 'moved.key'));
    expect((await project.run(['make'])).stderr).toContain('but its key');
    const before = project.read(certificate);
    writeRequest([], { key: join(project.home, 'moved.key') });
    const moved = succeed(await sign());
    expect(moved.stderr).toMatch(
      /warning: mailhost\.example\.org keeps its own key, but an older key of it lies in its bundle/u,
    );
    expect(project.read(certificate)).toBe(before);
    const hint = /^relaycerts: hint: (rm .*)$/mu.exec(moved.stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/u);
  });
});

describe('SIGKILL', () => {
  it(
    'at every system call that changes the file system: sign again, or make, goes on',
    { timeout: 300_000 },
    async () => {
      requireTools('strace');
      await putMade(project);
      project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
      const key = writeRequest();
      const backup = join(project.home, 'backup');
      cpSync(project.folder, backup, { recursive: true });
      const words = ['sign', request, '--host', 'second'];
      // One thread for all file work, because strace counts the calls of each thread by itself.
      const env = { UV_THREADPOOL_SIZE: '1' };
      // A process that dies before a sync leaves what it leaves before the call after that.
      const calls = ['link', 'rename', 'mkdir', 'unlink', ...(process.env['RELAYCERTS_DEEP'] === '1' ? ['fsync'] : [])];
      const trace = join(project.home, 'trace');
      succeed(
        project.spawn(words, { env, under: ['strace', '-f', '-qq', '-o', trace, '-e', `trace=${calls.join(',')}`] }),
      );
      const traced = readFileSync(trace, 'utf8');
      let killed = 0;
      for (const call of calls) {
        const count = traced.match(new RegExp(`^\\d+ +${call}\\(`, 'gmu'))?.length ?? 0;
        for (let nth = 1; nth <= count; nth += 1) {
          rmSync(project.folder, { recursive: true });
          cpSync(backup, project.folder, { recursive: true });
          const under = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${call}:signal=SIGKILL:when=${nth}`];
          if (project.spawn(words, { env, under }).status !== 0) killed += 1;
          const isStored = existsSync(project.path('certs/smtp-client/second.example.org.csr.pem'));
          succeed(isStored && nth % 2 === 0 ? await project.run(['make']) : await project.run(words));
          expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/mu);
          const issued = project.path('certs/smtp-client/second.example.org.crt.pem');
          expect(openssl(['x509', '-in', issued, '-noout', '-pubkey'])).toBe(publicKeyOf(key));
          const { serialNumber } = new X509Certificate(readFileSync(issued));
          expect(serials()).toContain(serialNumber.toLowerCase());
          expect(existsSync(project.path('certs/smtp-client/second.example.org.key.pem'))).toBe(false);
        }
      }
      expect(killed).toBeGreaterThan(8);
    },
  );
});

describe('refused, and nothing is touched', () => {
  it('where the key was made here; by the hint, the host gets its own', async () => {
    await putMade(project);
    const key = writeRequest();
    await expectUntouched(
      sign,
      1,
      /has a key that was made here: .*mailhost\.example\.org\.key\.pem/u,
      /rm .*, and sign again; the relays need their new bundles/u,
    );
    const hint = /here: (rm [^,]*), and sign/u.exec((await sign()).stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    succeed(await sign());
    expect(readdirSync(project.path('hosts', home)).toSorted()).toEqual(['example.org-ca.crt.pem', `${home}.crt.pem`]);
    expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(publicKeyOf(key));
    expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/u);
  });

  it('a host that was revoked, without --again, and the revoked key for ever', async () => {
    const key = writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    succeed(await project.run(['revoke', home]));
    await expectUntouched(
      sign,
      1,
      /the key of the request was revoked on ".*", as that of "mailhost\.example\.org"/u,
      /there: rm .*--section request/u,
    );
    await expectUntouched(
      () => sign('--again'),
      1,
      /the key of the request was revoked/u,
      /there: rm .*--section request/u,
    );
    const fresh = writeRequest();
    await expectUntouched(sign, 1, /mailhost\.example\.org is revoked/u, /--again$/u);
    expect(succeed(await project.run(['show', home, '--section', 'request'])).stdout).toContain('openssl genpkey');
    succeed(await sign('--again'));
    expect(openssl(['x509', '-in', project.path(certificate), '-noout', '-pubkey'])).toBe(publicKeyOf(fresh));
    const pins = project.read('hosts', relay, 'relay_clientcerts');
    expect(pins.match(/^[0-9A-F:]{95} /gmu)).toHaveLength(1);
    expect(succeed(await project.run(['status'])).stdout).toMatch(new RegExp(`^${home} +smtp-client +ok `, 'mu'));
    expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/u);
    expect(key).not.toBe(fresh);
  });

  it("another host's key, a signed host's key, the CA's key", async () => {
    project.settings(
      smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }, { hostname: 'third' }] }),
    );
    const own = writeRequest([], { name: 'second.csr' });
    succeed(await project.run(['sign', 'second.csr', '--host', 'second']));
    writeRequest([], { key: own });
    const reused = /is second\.example\.org's: every host has a key of its own/u;
    await expectUntouched(sign, 1, reused, /remove the key on mailhost.*--section request/u);
    writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    const theirs = project.path('certs/smtp-client/third.example.org.key.pem');
    project.settings(
      smallSettings({ smtpClients: ['mailhost', 'second', 'third', 'fourth'].map((hostname) => ({ hostname })) }),
    );
    writeRequest([], { key: theirs });
    const fourth = (): Promise<Result> => project.run(['sign', request, '--host', 'fourth']);
    await expectUntouched(fourth, 1, /is third\.example\.org's/u, /make a new one/u);
    const passphrase = succeed(await project.run(['passphrase', 'show', '--yes'])).stdout;
    const ca = [
      'req',
      '-new',
      '-key',
      project.path('certs/ca/example.org-ca.key.pem'),
      '-passin',
      'stdin',
      '-subj',
      '/CN=x',
    ];
    project.write(request, openssl(ca, passphrase));
    await expectUntouched(fourth, 1, /is the CA's: every host/u, /make a new one/u);
  });

  it('weak and unknown keys, a signature that does not hold, garbage, what is huge, what is not there', async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const second = (): Promise<Result> => project.run(['sign', request, '--host', 'second']);
    const weak = /is weak, or of a type for which no certificate is issued/u;
    for (const words of [
      ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'],
      ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-521'],
    ]) {
      writeRequest([], { key: makeKey(...words) });
      await expectUntouched(second, 1, weak, /ECDSA on P-256 or P-384/u);
    }
    writeRequest();
    const der = spawnSync('openssl', ['req', '-in', project.path(request), '-outform', 'DER']).stdout;
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    project.write(request, der);
    await expectUntouched(second, 1, /the signature of the certificate request in .* does not hold/u, /make it again/u);
    project.write(request, 'hello\n');
    await expectUntouched(second, 1, /holds no certificate request/u, /openssl req -new/u);
    project.write(request, '');
    await expectUntouched(second, 1, /holds no certificate request/u, /openssl req -new/u);
    project.write(request, Buffer.alloc(65 * 1024, '-----BEGIN '));
    await expectUntouched(second, 1, /larger than 65536 octets/u, /ls -ld/u);
    rmSync(project.path(request));
    await expectUntouched(second, 1, /there is no file/u, /--section request/u);
    const piped = await project.run(['sign', '-', '--host', 'second'], { input: Buffer.alloc(65 * 1024) });
    expect(piped.stderr).toBe('relaycerts: error: standard input is larger than 65536 octets\n');
    expect(piped.status).toBe(1);
  });

  it('on a wrong command line', async () => {
    writeRequest();
    await expectUntouched(
      () => project.run(['sign', request]),
      2,
      /required option '--host <name>' not specified/u,
      /--help/u,
    );
    await expectUntouched(
      () => project.run(['sign', request, '--host', 'nobody']),
      2,
      /name no host "nobody"/u,
      /mailhost/u,
    );
    await expectUntouched(
      () => project.run(['sign', '--host', 'mailhost']),
      2,
      /missing required argument 'file'/u,
      /--help/u,
    );
    await expectUntouched(
      () => project.spawn(['sign', '-', '--host', 'mailhost', '--passphrase-fd', '0']),
      2,
      /cannot both come from standard input/u,
      /./u,
    );
  });

  it('with a wrong passphrase: the request is kept, and the next run goes on', async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    writeRequest();
    const words = ['sign', request, '--host', 'second'];
    const wrong = project.spawn([...words, '--passphrase-fd', '0'], { input: 'wrong' });
    expectError(wrong, 1, /the passphrase does not open/u, /./u);
    expect(wrong.stderr).toContain('stored the request');
    expect(serials()).toHaveLength(3);
    const passphrase = succeed(await project.run(['passphrase', 'show', '--yes'])).stdout;
    succeed(project.spawn([...words, '--passphrase-fd', '0'], { input: passphrase }));
    expect(serials()).toHaveLength(4);
  });
});

describe('what contradicts is said by make', () => {
  it('a key beside the request, a certificate of another key, a damaged request', async () => {
    writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    const make = (): Promise<Result> => project.run(['make']);
    writeFileSync(project.path(homeKey), readFileSync(makeKey()), { mode: 0o600 });
    await expectUntouched(
      make,
      1,
      /says that mailhost\.example\.org keeps its own key, but its key .* is here too/u,
      /keep one: rm/u,
    );
    rmSync(project.path(homeKey));
    const good = project.read(stored);
    writeRequest();
    project.write(stored, project.read(request));
    await expectUntouched(make, 1, /is not for the key of the request/u, /mv .*crt\.pem/u);
    project.write(stored, good.slice(0, 200));
    await expectUntouched(make, 1, /csr\.pem" holds a PEM block that does not end/u, /copy the file again/u);
    project.write(stored, good);
    expect(succeed(await make()).stderr).toContain('nothing to make');
  });
});

describe('show for such a host', () => {
  it('begins with its key, copies CA and certificate alone, and lets the host make the chain', async () => {
    writeRequest();
    succeed(await sign());
    succeed(await project.run(['make']));
    const all = succeed(await project.run(['show', home])).stdout;
    const blocks = blocksOf(all);
    expect(blocks.slice(0, 4).map(({ where }) => where)).toEqual(['host', 'here', 'here', 'host']);
    expect(blocks[0]?.text).toContain('openssl genpkey');
    const rsync = blocks[2]?.text ?? '';
    expect(rsync).toContain(`/hosts/${home}/${home}.crt.pem`);
    expect(rsync).toContain(`/hosts/${home}/example.org-ca.crt.pem`);
    expect(rsync).not.toMatch(/key\.pem|chain\.pem/u);
    expect(blocks[3]?.text).toContain(`cat ${home}.key.pem ${home}.crt.pem >${home}.chain.pem.new`);
    expect(succeed(await project.run(['make'])).stdout).toContain(all);
    const json = JSON.parse(succeed(await project.run(['show', home, '--json'])).stdout) as {
      sections: object;
      script: string;
    };
    expect(Object.keys(json.sections)[0]).toBe('request');
    expect(json.script).toBe(succeed(await project.run(['show', home, '--format', 'sh'])).stdout);
    // The relay, whose key is here, is told nothing of this.
    expect(succeed(await project.run(['show', relay])).stdout).not.toMatch(/genpkey|csr\.pem/u);
  });

  it('prints the request lines before anything was made, for any host and as a script', async () => {
    for (const host of ['mailhost', 'relayhost']) {
      const script = succeed(await project.run(['show', host, '--section', 'request', '--format', 'sh'])).stdout;
      expect(script).toMatch(/^#!\/bin\/sh\nset -eu\n\(\n {2}umask 077\n[^]*\n\)\n$/u);
      expect(script).not.toContain('relaycerts sign');
    }
    expectError(await project.run(['show', 'mailhost']), 1, /no certificate yet/u, /make/u);
  });

  it('shellcheck finds nothing, dash and busybox parse it', async () => {
    requireTools('shellcheck', 'dash', 'busybox');
    writeRequest();
    succeed(await sign());
    writeRequest([], { name: 'relay.csr' });
    succeed(await project.run(['sign', 'relay.csr', '--host', 'relayhost']));
    for (const words of [[], ['--undo'], ['--section', 'request'], ['--section', 'rsync'], ['--section', 'verify']]) {
      for (const host of [home, relay]) {
        const { stdout } = succeed(await project.run(['show', host, '--format', 'sh', ...words]));
        for (const check of [
          ['shellcheck', '--shell=sh', '-'],
          ['dash', '-n'],
          ['busybox', 'ash', '-n'],
        ]) {
          const [command = '', ...args] = check;
          const result = spawnSync(command, args, { input: stdout });
          expect([check, result.stdout.toString(), result.stderr.toString()]).toEqual([check, '', '']);
        }
      }
    }
  });

  it('a name over 64 characters: openssl makes the request all the same', async () => {
    const label = 'a'.repeat(60);
    project.settings(smallSettings({ smtpClients: [{ hostname: label }] }));
    const printed = succeed(await project.run(['show', label, '--section', 'request', '--format', 'sh'])).stdout;
    const script = printed.replaceAll('/etc/postfix/relaycerts', join(project.home, 'there'));
    expect(spawnSync('sh', { input: script }).status).toBe(0);
    const file = join(project.home, 'there', `${label}.example.org.csr.pem`);
    succeed(await project.run(['sign', file, '--host', label]));
  });
});

it('export p12 says how to do it there', async () => {
  writeRequest();
  succeed(await sign());
  const result = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: 'x' });
  expectError(
    result,
    1,
    /was made there, and is not here/u,
    /openssl pkcs12 -export -inkey mailhost\.example\.org\.key\.pem/u,
  );
});
