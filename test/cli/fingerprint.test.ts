// `relaycerts fingerprint`: what openssl says of the same files.

import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project } from '../support/project.js';

const certificate = 'certs/smtp-client/mailhost.example.org.crt.pem';

let project: Project;
let publicKeyPin: string;
let certificatePin: string;
beforeAll(async () => {
  project = makeProject();
  expect((await project.run(['make'])).status).toBe(0);
  const openssl = (script: string): string =>
    spawnSync('sh', ['-c', script, 'sh', project.path(certificate)])
      .stdout.toString()
      .trim();
  publicKeyPin = openssl(
    'openssl x509 -in "$1" -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 -c',
  )
    .replace(/^.*= /u, '')
    .toUpperCase();
  certificatePin = openssl('openssl x509 -in "$1" -noout -fingerprint -sha256').replace(/^.*=/u, '');
});
afterAll(() => {
  project.remove();
});

describe('fingerprint', () => {
  it('prints lines for relay_clientcerts, with expiry and the other pin', async () => {
    const { stdout, stderr, status } = await project.run(['fingerprint']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      new RegExp(
        `^# mailhost\\.example\\.org, expires \\d{4}-\\d\\d-\\d\\dT[\\d:]{8}Z, certificate ${certificatePin}\\n${publicKeyPin} mailhost\\.example\\.org\\n$`,
        'u',
      ),
    );
    const table = project.read('hosts/relayhost.example.org/relay_clientcerts');
    expect(table).toContain(`\n${publicKeyPin} mailhost.example.org\n`);
  });

  it('reads PEM, DER, a chain and standard input, without settings', async () => {
    const elsewhere = makeProject(null);
    const der = spawnSync('openssl', ['x509', '-in', project.path(certificate), '-outform', 'DER']).stdout;
    elsewhere.write('client.der', der);
    const chain = project.path('hosts/mailhost.example.org/mailhost.example.org.chain.pem');
    const publicKey = spawnSync('openssl', ['x509', '-in', project.path(certificate), '-noout', '-pubkey']).stdout;
    const hex = ['--format', 'hex'];
    const expected = `${publicKeyPin.replaceAll(':', '').toLowerCase()}\n`;
    expect((await elsewhere.run(['fingerprint', project.path(certificate), ...hex])).stdout).toBe(expected);
    expect((await elsewhere.run(['fingerprint', 'client.der', ...hex])).stdout).toBe(expected);
    expect((await elsewhere.run(['fingerprint', chain, ...hex])).stdout).toBe(expected);
    expect((await elsewhere.run(['fingerprint', '-', ...hex], { input: der })).stdout).toBe(expected);
    expect((await elsewhere.run(['fingerprint', '-', ...hex], { input: publicKey })).stdout).toBe(expected);
    elsewhere.remove();
  });

  it.each(['sha256', 'sha1', 'sha512', 'md5'])('agrees with openssl on %s', async (digest) => {
    const theirs = spawnSync('openssl', [
      'x509',
      '-in',
      project.path(certificate),
      '-noout',
      '-fingerprint',
      `-${digest}`,
    ]);
    const ours = await project.run(['fingerprint', '--of', 'certificate', '--digest', digest, '--format', 'openssl']);
    expect(ours.stdout).toBe(theirs.stdout.toString());
  });

  it('follows postfix.pin in the settings', async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    expect((await project.run(['fingerprint'])).stdout).toContain(`\n${certificatePin} mailhost.example.org\n`);
    project.settings(smallSettings());
  });

  it('leaves out a client that never had a certificate, but not one that lost it', async () => {
    const other = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'shop' }] }));
    const early = await other.run(['fingerprint']);
    expect([early.status, early.stdout]).toEqual([1, '']);
    other.settings(smallSettings());
    expect((await other.run(['make'])).status).toBe(0);
    expect((await other.run(['add', 'shop'])).status).toBe(0);
    const warning =
      'relaycerts: warning: left out, because there is no certificate yet: shop.example.org\nrelaycerts: hint: relaycerts make\n';
    for (const words of [['fingerprint'], ['show'], ['show', 'relayhost']]) {
      const { status, stdout, stderr } = await other.run(words);
      expect([status, stderr]).toEqual([0, warning]);
      expect(stdout).toContain('mailhost.example.org');
      expect(stdout).not.toContain('shop');
    }
    expect((await other.run(['show', 'shop'])).status).toBe(1);
    rmSync(other.path(certificate));
    for (const words of [['fingerprint'], ['show'], ['show', 'relayhost']]) {
      const { status, stdout } = await other.run(words);
      expect([status, stdout]).toEqual([1, '']);
    }
    other.remove();
  });

  it('gives JSON', async () => {
    expect(JSON.parse((await project.run(['fingerprint', '--json'])).stdout)).toMatchObject({
      pins: [{ name: 'mailhost.example.org', of: 'public-key', digest: 'sha256', fingerprint: publicKeyPin }],
    });
  });

  it.each([
    [['fingerprint', 'no-such-file'], 1, /there is no file "no-such-file"/u],
    [['fingerprint', 'settings.json'], 1, /"settings\.json" holds no certificate/u],
    [['fingerprint', '.'], 1, /it is a folder/u],
    [['fingerprint', '/dev/zero'], 1, /it is not a regular file/u],
    [['fingerprint', '--digest', 'sha3'], 2, /sha3/u],
    [['fingerprint', '--settings', 'nowhere.json'], 2, /nowhere\.json/u],
  ])('%j: exit %d and one clear error', async (args, status, says) => {
    const result = await project.run(args);
    expect(result.status).toBe(status);
    expect(result.stderr).toMatch(says);
    expect(result.stderr).toMatch(/relaycerts: hint: \S/u);
    expect(result.stdout).toBe('');
  });
});
