// `relaycerts sign`: requests made by openssl, for hosts whose key never comes here; what make and renew then do. What
// is refused is in sign-refused.test.ts; test/interop/request.test.ts tests requests by themselves.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { keyTypes } from '../../src/settings/settings.js';
import { blocksOf } from '../support/blocks.js';
import { noteAsInstalled } from '../support/installed.js';
import { openssl, verified } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import {
  certificate,
  home,
  homeKey,
  publicKeyIn,
  relay,
  request,
  serialsOf,
  stored,
  writeRequest,
} from '../support/sign-request.js';
import { succeed } from '../support/succeed.js';
import { expectUntouched } from '../support/untouched.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const sign = (...words: readonly string[]): Promise<Result> =>
  project.run(['sign', request, '--host', 'mailhost', ...words]);

const caFile = 'certs/ca/example.org-ca.crt.pem';

describe('a host that makes its own key', () => {
  it('gets a certificate for that key, with what the settings say', async () => {
    const key = writeRequest(project, [
      '-addext',
      'subjectAltName=DNS:evil.example.com',
      '-addext',
      'basicConstraints=CA:TRUE',
    ]);
    const signed = succeed(await sign());
    expect(signed.stdout).toBe(
      `Now run, for the other hosts:\n  relaycerts make\nAfter what that prints, run:\n  ${installs('mailhost')}\n`,
    );
    expect(signed.stderr).toContain(
      'the request asks for "evil.example.com": ignored; the settings say mailhost.example.org\n',
    );
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', key));
    const verify = ['verify', '-x509_strict', '-CAfile', project.path(caFile), '-purpose', 'sslclient'];
    expect(openssl([...verify, project.path(certificate)])).toContain(': OK');
    const text = openssl(['x509', '-in', project.path(certificate), '-noout', '-text']);
    expect(text).toContain('CA:FALSE');
    expect(text).toContain('DNS:mailhost.example.org\n');
    expect(text).not.toContain('evil');
    expect(openssl(['req', '-in', project.path(stored), '-noout', '-pubkey'])).toBe(publicKeyIn('pkey', key));
    const requestVerify = ['req', '-in', project.path(stored), '-verify', '-noout'];
    expect(verified(requestVerify)).toBe('Certificate request self-signature verify OK\n');
    expect(modesOf(project.path('certs/smtp-client'))).toEqual({
      [`${home}.crt.pem`]: '0644',
      [`${home}.csr.pem`]: '0644',
    });
  });

  it('make makes the rest, and its pin is in the table', async () => {
    const key = writeRequest(project);
    expect(commandsIn(succeed(await sign()).stdout)).toEqual(['relaycerts make', installs('mailhost')]);
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
    await noteAsInstalled(project);
    expect(succeed(await project.run(['status'])).stdout).toMatch(new RegExp(`^${home} +smtp-client +ok `, 'mu'));
    const tree = treeOf(project.folder);
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
    expect(succeed(await project.run(['make', '--dry-run'])).stdout).toContain('nothing to make');
    expect(treeOf(project.folder)).toEqual(tree);
    expect(new Set(serialsOf(project)).size).toBe(3);
    expect(serialsOf(project)).toHaveLength(3);
  });

  it('added later: the relay gets a new table', async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    writeRequest(project);
    const result = succeed(await project.run(['sign', request, '--host', 'second.example.org']));
    expect(result.stderr).toContain(`made the bundle: hosts/${relay}\n`);
    expect(result.stderr).toContain('the request asks for "mailhost.example.org": ignored');
    expect(result.stdout).toBe(`Now run:\n  ${installs('relayhost', 'second')}\n`);
    expect(project.read('hosts', relay, 'relay_clientcerts')).toMatch(/^[0-9A-F:]{95} second\.example\.org$/mu);
    expect(succeed(await project.run(['make', '--dry-run'])).stdout).toContain('nothing to make');
  });

  it('may be a relay', async () => {
    project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }] }));
    writeRequest(project, ['-addext', 'subjectAltName=DNS:relayhost.example.org,DNS:mx.example.org']);
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
    project.settings(
      smallSettings({ certificates: { keyType }, postfix: { directory: '/etc/postfix/relaycerts/example.org' } }),
    );
    const printed = succeed(await project.run(['show', 'mailhost', '--section', 'request']));
    const [onHost, here, ...more] = blocksOf(printed.stdout);
    expect([onHost?.where, here?.where, more]).toEqual(['host', 'here', []]);
    const run = (): void => {
      const script = (onHost?.text ?? '').replaceAll('/etc/postfix/relaycerts/example.org', folder);
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
      `ssh root@${home} cat /etc/postfix/relaycerts/example.org/${request} >${request} &&\n  relaycerts sign ${request} --host ${home}\n`,
    );
    writeFileSync(project.path(request), readFileSync(join(folder, request)));
    succeed(await sign());
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', join(folder, `${home}.key.pem`)));
  });
});

describe('signed again', () => {
  it('the same key in another request: nothing changes', async () => {
    const key = writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    writeRequest(project, [], { key });
    const tree = treeOf(project.folder);
    const again = succeed(await sign());
    expect(again.stderr).toMatch(
      /^relaycerts: nothing to sign: mailhost\.example\.org has its certificate for this key/u,
    );
    expect(treeOf(project.folder)).toEqual(tree);
    expect(serialsOf(project)).toHaveLength(3);
  });

  it('another key: refused, and the hint continues', async () => {
    writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    const old = project.read('hosts', relay, 'relay_clientcerts');
    const key = writeRequest(project);
    await expectUntouched(
      project,
      sign,
      1,
      /is for another key than the one stored for mailhost\.example\.org/u,
      /rm .*csr\.pem .*crt\.pem, and sign again; the relays then need/u,
    );
    const hint = /here: (rm [^,]*), and sign/u.exec((await sign()).stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    succeed(await sign());
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', key));
    expect(project.read('hosts', relay, 'relay_clientcerts')).not.toBe(old);
  });

  it('--json names what was made', async () => {
    writeRequest(project);
    const first = JSON.parse(
      succeed(await project.run(['--json', '--quiet', 'sign', request, '--host', home])).stdout,
    ) as {
      steps: { kind: string }[];
    };
    expect(first).toMatchObject({
      host: home,
      request: project.path(stored),
      certificate: project.path(certificate),
      serial: serialsOf(project)[1],
    });
    expect(first.steps.map(({ kind }) => kind)).toEqual([
      'operator-key',
      'passphrase',
      'ca-key',
      'ca-certificate',
      'certificate',
    ]);
    expect(JSON.parse(succeed(await project.run(['--json', 'sign', request, '--host', home])).stdout)).toMatchObject({
      steps: [],
      install: [],
    });
  });

  it('a stored request without a certificate: sign and make issue for it', async () => {
    for (const go of [() => sign(), () => project.run(['make'])]) {
      const key = writeRequest(project);
      mkdirSync(project.path('certs/smtp-client'), { recursive: true });
      renameSync(project.path(request), project.path(stored));
      writeFileSync(project.path(request), project.read(stored));
      expect((await project.run(['make', '--dry-run'])).stdout).not.toContain(`the key of ${home}`);
      succeed(await go());
      expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', key));
      expect(existsSync(project.path(homeKey))).toBe(false);
      succeed(await project.run(['clean', '--yes', '--all']));
      expect(existsSync(project.path(stored))).toBe(false);
    }
  });

  it('a removed certificate: make issues another for the same key', async () => {
    writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    const pins = succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout;
    rmSync(project.path(certificate));
    succeed(await project.run(['make']));
    expect(succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout).toBe(pins);
  });

  it('renew issues for the same key, and makes no other', async () => {
    const key = writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    const pins = succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout;
    const before = project.read(certificate);
    succeed(await project.run(['renew', home, '--force']));
    expect(project.read(certificate)).not.toBe(before);
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', key));
    expect(succeed(await project.run(['fingerprint', '--format', 'hex'])).stdout).toBe(pins);
    expect(Object.keys(modesOf(project.path('hosts', home)))).toEqual(['example.org-ca.crt.pem', `${home}.crt.pem`]);
    await expectUntouched(
      project,
      () => project.run(['renew', home, '--rekey']),
      1,
      /makes its own key, so no other can be made here/u,
      /--section request/u,
    );
  });

  it('a key that was made here and moved to the host: its request works', async () => {
    await putMade(project);
    renameSync(project.path(homeKey), join(project.home, 'moved.key'));
    writeRequest(project, [], { key: join(project.home, 'moved.key') });
    await expectUntouched(project, sign, 1, /but its key .* is missing/u, /restore the key.*: rm .*crt\.pem/u);
    rmSync(project.path(certificate));
    const moved = succeed(await sign());
    expect(publicKeyIn('x509', project.path(certificate))).toBe(publicKeyIn('pkey', join(project.home, 'moved.key')));
    const hint = /^relaycerts: hint: (rm .*)$/mu.exec(moved.stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', hint]).status, moved.stderr).toBe(0);
    expect(succeed(await project.run(['make'])).stderr).toMatch(/^relaycerts: nothing to make/u);
    expect(readdirSync(project.path('hosts', home)).toSorted()).toEqual(['example.org-ca.crt.pem', `${home}.crt.pem`]);
  });
});
