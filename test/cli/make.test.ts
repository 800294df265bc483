// `relaycerts make`, the whole program on a real disk: what it leaves and prints.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { installs } from '../support/now-run.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project } from '../support/project.js';

const relay = 'relayhost.example.org';
const home = 'mailhost.example.org';

/** The bodies of the private keys in a PEM text. */
function secretsOf(pem: string): string[] {
  return pem.match(/-----BEGIN[^-]*PRIVATE KEY-----[^-]+/gu) ?? [];
}

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

describe('a first make', () => {
  it('leaves just the files of the design, each with its mode', async () => {
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(modesOf(project.folder)).toEqual({
      'settings.json': '0644',
      '.relaycerts.lock': '0600',
      'certs/': '0755',
      'certs/ca/': '0755',
      'certs/ca/example.org-ca.key.pem': '0600',
      'certs/ca/example.org-ca.crt.pem': '0644',
      'certs/ca/issued.jsonl': '0644',
      'certs/smtpd-server/': '0755',
      [`certs/smtpd-server/${relay}.key.pem`]: '0600',
      [`certs/smtpd-server/${relay}.crt.pem`]: '0644',
      'certs/smtp-client/': '0755',
      [`certs/smtp-client/${home}.key.pem`]: '0600',
      [`certs/smtp-client/${home}.crt.pem`]: '0644',
      'hosts/': '0755',
      [`hosts/${relay}/`]: '0700',
      [`hosts/${relay}/example.org-ca.crt.pem`]: '0644',
      [`hosts/${relay}/${relay}.crt.pem`]: '0644',
      [`hosts/${relay}/${relay}.key.pem`]: '0600',
      [`hosts/${relay}/${relay}.chain.pem`]: '0600',
      [`hosts/${relay}/relay_clientcerts`]: '0644',
      [`hosts/${home}/`]: '0700',
      [`hosts/${home}/example.org-ca.crt.pem`]: '0644',
      [`hosts/${home}/${home}.crt.pem`]: '0644',
      [`hosts/${home}/${home}.key.pem`]: '0600',
      [`hosts/${home}/${home}.chain.pem`]: '0600',
    });
    expect(modesOf(project.home)).toEqual({
      '.config/': '0700',
      '.config/relaycerts/': '0700',
      '.config/relaycerts/operator-key.asc': '0600',
      '.example.org-relaycerts-passphrase.gpg': '0600',
    });
  });

  it('prints what to run now on stdout, and progress on stderr', async () => {
    const made = await project.run(['make']);
    expect(made.stdout).toBe(`Now run:
  ${installs()}
Then check that mail flows:
  relaycerts show mailhost --section verify
`);
    expect(made.stderr).toContain('made the CA');
    const text = (await project.run(['show'])).stdout;
    expect(text).toContain('permit_tls_clientcerts,defer');
    expect(text).toContain('[relayhost.example.org]:2500');
    // Expiry warnings are printed on demand only.
    expect(text).not.toMatch(/crontab|check-expiry/u);
    expect((await project.run(['show', '--section', 'monitor'])).stdout).toContain('check-expiry');
  });

  it('--quiet leaves nothing but data', async () => {
    expect(await project.run(['make', '--quiet'])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await project.run(['--quiet', 'renew', '--force'])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(await project.run(['--quiet', 'revoke', 'mailhost'])).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(answerOf((await project.run(['--quiet', 'make', '--again', 'mailhost', '--json'])).stdout)).toMatchObject({
      install: [{ host: relay }, { host: home }],
    });
  });

  it.each([
    ['half a line', (ledger: string) => `${ledger}{"time":"2026-11-20T12:00:00.000Z","event":"issu`, 1],
    ['what a disk leaves of one', (ledger: string) => `${ledger}\0\0\0\0`, 1],
    ['a whole line without its end', (ledger: string) => ledger.trimEnd(), 0],
  ])('leaves %s at the end of the ledger, and appends after it', async (_what, tear, damaged) => {
    await putMade(project);
    const torn = tear(project.read('certs/ca/issued.jsonl'));
    project.write('certs/ca/issued.jsonl', torn);
    const nothing = await project.run(['make']);
    expect(nothing.stderr).toBe('relaycerts: nothing to make: all is right here (the hosts: relaycerts status)\n');
    expect(project.read('certs/ca/issued.jsonl')).toBe(torn);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    expect((await project.run(['make'])).status).toBe(0);
    expect(project.read('certs/ca/issued.jsonl').startsWith(`${torn}\n{"time":"`)).toBe(true);
    await noteAsInstalled(project);
    const { status, stderr } = await project.run(['status']);
    const warned = stderr.includes('issued.jsonl" has damaged lines, which are skipped: 1\n') ? 1 : 0;
    expect([status, warned], stderr).toEqual(damaged === 1 ? [3, 1] : [0, 0]);
  });

  it('writes one ledger line for each certificate', async () => {
    await putMade(project);
    const lines = project.read('certs/ca/issued.jsonl').trimEnd().split('\n');
    const entries = lines.map((line) => JSON.parse(line) as Record<string, string>);
    expect(entries.map(({ event, role, name }) => [event, role, name])).toEqual([
      ['issued', 'ca', 'example.org relay CA'],
      ['issued', 'smtpd-server', relay],
      ['issued', 'smtp-client', home],
    ]);
    expect(new Set(entries.map(({ serial }) => serial)).size).toBe(3);
  });

  it('makes a CA key that openssl opens with the passphrase that gpg gives', async () => {
    await putMade(project);
    const gnupg = join(project.home, 'gnupg');
    mkdirSync(gnupg, { mode: 0o700 });
    const env = { ...process.env, GNUPGHOME: gnupg, HOME: project.home };
    const gpg = (args: readonly string[]) => spawnSync('gpg', ['--batch', ...args], { env });
    try {
      expect(gpg(['--import', join(project.home, '.config/relaycerts/operator-key.asc')]).status).toBe(0);
      const opened = gpg(['--decrypt', join(project.home, '.example.org-relaycerts-passphrase.gpg')]);
      expect(opened.status, opened.stderr.toString()).toBe(0);
      const key = project.path('certs/ca/example.org-ca.key.pem');
      const args = ['pkey', '-in', key, '-passin', 'stdin', '-pubout'];
      const fromKey = spawnSync('openssl', args, { input: opened.stdout });
      const certificate = project.path('certs/ca/example.org-ca.crt.pem');
      const fromCertificate = spawnSync('openssl', ['x509', '-in', certificate, '-noout', '-pubkey']);
      expect(fromKey.stderr.toString()).toBe('');
      expect(fromKey.stdout.toString()).toBe(fromCertificate.stdout.toString());
      const wrong = spawnSync('openssl', args, { input: 'wrong' });
      expect(wrong.status).not.toBe(0);
    } finally {
      spawnSync('gpgconf', ['--kill', 'all'], { env });
    }
  });

  it('keeps the CA key out of every bundle, and each key to its host', async () => {
    await putMade(project);
    const [ca] = secretsOf(project.read('certs/ca/example.org-ca.key.pem'));
    const [relayKey] = secretsOf(project.read(`certs/smtpd-server/${relay}.key.pem`));
    const [homeKey] = secretsOf(project.read(`certs/smtp-client/${home}.key.pem`));
    for (const [host, own] of [
      [relay, relayKey],
      [home, homeKey],
    ] as const) {
      const all = readdirSync(project.path('hosts', host)).flatMap((name) =>
        secretsOf(project.read('hosts', host, name)),
      );
      expect(new Set(all)).toEqual(new Set([own]));
      expect(all).not.toContain(ca);
    }
  });

  it("puts a host's altNames into its certificate, on both sides", async () => {
    project.settings(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }],
        smtpClients: [{ hostname: 'mailhost', altNames: ['mail.example.net'] }],
      }),
    );
    await project.run(['make']);
    const namesOf = (path: string) =>
      spawnSync('openssl', ['x509', '-in', project.path(path), '-noout', '-ext', 'subjectAltName']).stdout.toString();
    expect(namesOf(`certs/smtpd-server/${relay}.crt.pem`)).toContain(`DNS:${relay}, DNS:mx.example.org`);
    expect(namesOf(`certs/smtp-client/${home}.crt.pem`)).toContain(`DNS:${home}, DNS:mail.example.net`);
    expect((await project.run(['make'])).stderr).toContain('nothing to make');
  });

  it('puts the key first into the chain', async () => {
    await putMade(project);
    const key = project.read(`certs/smtp-client/${home}.key.pem`);
    const certificate = project.read(`certs/smtp-client/${home}.crt.pem`);
    expect(project.read(`hosts/${home}/${home}.chain.pem`)).toBe(key + certificate);
  });

  it('works through a pipe that closes early', async () => {
    await putMade(project);
    const piped = project.spawn(['show'], { under: ['sh', '-c', '"$@" | head -n 1', 'sh'] });
    expect(piped.status).toBe(0);
    expect(piped.stderr).toBe('');
  });
});

describe('a second make', () => {
  it('changes not one byte, and says so', async () => {
    await putMade(project);
    const before = [treeOf(project.folder), treeOf(project.home)];
    const again = await project.run(['make']);
    expect(again.status).toBe(0);
    expect(again.stderr).toBe('relaycerts: nothing to make: all is right here (the hosts: relaycerts status)\n');
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    expect(again.stdout).toBe('');
  });

  it('needs no passphrase, and warns that the next one will lack it', async () => {
    await putMade(project);
    rmSync(join(project.home, '.config'), { recursive: true });
    const { status, stdout, stderr } = await project.run(['make']);
    expect([status, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/operator-key\.asc" is missing\n/u);
  });

  it("makes only the new client, and adds its pin to the relays' tables", async () => {
    await putMade(project);
    const before = treeOf(project.folder);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const again = await project.run(['make']);
    expect(again.status, again.stderr).toBe(0);
    const after = treeOf(project.folder);
    const changed = Object.keys(after).filter((name) => after[name] !== before[name]);
    expect(changed.toSorted()).toEqual(
      [
        'settings.json',
        'certs/ca/issued.jsonl',
        'certs/smtp-client/second.example.org.key.pem',
        'certs/smtp-client/second.example.org.crt.pem',
        `hosts/${relay}/relay_clientcerts`,
        'hosts/second.example.org/',
        'hosts/second.example.org/example.org-ca.crt.pem',
        'hosts/second.example.org/second.example.org.crt.pem',
        'hosts/second.example.org/second.example.org.key.pem',
        'hosts/second.example.org/second.example.org.chain.pem',
      ].toSorted(),
    );
    const table = project.read(`hosts/${relay}/relay_clientcerts`);
    const pins = table.split('\n').filter((line) => /^[0-9A-F]{2}:/u.test(line));
    expect(pins.map((line) => line.split(' ')[1])).toEqual([home, 'second.example.org']);
  });

  it('issues a certificate for the key that is there', async () => {
    await putMade(project);
    const key = project.read(`certs/smtp-client/${home}.key.pem`);
    const pin = (await project.run(['fingerprint', '--format', 'hex'])).stdout;
    rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
    expect((await project.run(['make'])).status).toBe(0);
    expect(project.read(`certs/smtp-client/${home}.key.pem`)).toBe(key);
    expect((await project.run(['fingerprint', '--format', 'hex'])).stdout).toBe(pin);
  });

  it('reads a table of thousands of clients, larger than 1 MiB', async () => {
    await putMade(project);
    const table = project.read('hosts', relay, 'relay_clientcerts');
    project.write(`hosts/${relay}/relay_clientcerts`, `${table}${`# ${'x'.repeat(70)}\n`.repeat(20_000)}`);
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(project.read('hosts', relay, 'relay_clientcerts')).toBe(table);
  });

  it('repairs a damaged bundle', async () => {
    await putMade(project);
    const chain = project.read(`hosts/${home}/${home}.chain.pem`);
    project.write(`hosts/${home}/${home}.chain.pem`, 'damaged');
    rmSync(project.path(`hosts/${relay}/relay_clientcerts`));
    const again = await project.run(['make']);
    expect(again.status, again.stderr).toBe(0);
    expect(project.read(`hosts/${home}/${home}.chain.pem`)).toBe(chain);
    expect(project.read(`hosts/${relay}/relay_clientcerts`)).toContain(` ${home}\n`);
  });
});

describe('--dry-run', () => {
  it('prints the plan and writes nothing', async () => {
    const before = [treeOf(project.folder), treeOf(project.home)];
    const planned = await project.run(['make', '--dry-run']);
    expect(planned.status, planned.stderr).toBe(0);
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    for (const part of ['operator key', 'passphrase', "CA's key", "CA's certificate", relay, home, 'bundle']) {
      expect(planned.stdout).toContain(part);
    }
  });

  it('is empty after make', async () => {
    await putMade(project);
    expect((await project.run(['make', '--dry-run'])).stdout).toMatch(/^nothing to make/u);
    expect(JSON.parse((await project.run(['make', '--dry-run', '--json'])).stdout)).toMatchObject({
      dryRun: true,
      steps: [],
      install: [],
    });
  });
});

describe('--passphrase-fd', () => {
  it('gives the passphrase of a new CA, and opens it again', () => {
    const first = project.spawn(['make', '--passphrase-fd', '0'], { input: 'correct horse battery staple\n' });
    expect(first.status, first.stderr).toBe(0);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    rmSync(join(project.home, '.config'), { recursive: true });
    const wrong = project.spawn(['make', '--passphrase-fd', '0'], { input: 'wrong\n' });
    expect(wrong.status).toBe(1);
    expect(wrong.stderr).toMatch(/passphrase does not open/u);
    expect(wrong.stderr + wrong.stdout).not.toContain('wrong\n');
    const right = project.spawn(['make', '--passphrase-fd', '0'], { input: 'correct horse battery staple' });
    expect(right.status, right.stderr).toBe(0);
  });
});
