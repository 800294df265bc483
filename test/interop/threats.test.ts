// SECURITY.md's threats, as far as files by themselves can show them; those that need hosts and mail are in test/e2e.

import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openssl, runTool } from '../support/openssl.js';
import { makeProject, modesOf, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

const [relay, home, second] = ['relayhost.example.org', 'mailhost.example.org', 'second.example.org'];
let project: Project;
let scratch: string;
beforeAll(async () => {
  requireTools('openssl', 'gpg', 'strace');
  project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
  const made = await project.run(['make']);
  if (made.status !== 0) throw new Error(made.stderr);
  scratch = join(project.home, 'scratch');
  mkdirSync(scratch);
});
afterAll(() => {
  project.remove();
});

const inBundle = (host: string, name: string): string => project.path('hosts', host, name);
const caFile = (host: string): string => inBundle(host, 'example.org-ca.crt.pem');
const pinOf = async (host: string): Promise<string> => {
  const { stdout } = await project.run(['fingerprint', `certs/smtp-client/${host}.crt.pem`]);
  const [pin] = /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}/mu.exec(stdout) ?? [];
  if (pin === undefined) throw new Error(`no pin in ${stdout}`);
  return pin;
};

/** openssl's verdict on a certificate for this purpose, with the CAs that this host trusts. */
const verify = (host: string, purpose: string, ...args: readonly string[]): string => {
  const { status, stdout, stderr } = runTool('openssl', [
    'verify',
    '-CAfile',
    caFile(host),
    '-purpose',
    purpose,
    ...args,
  ]);
  return status === 0 ? 'OK' : `${stdout}${stderr}`;
};

/** The public keys of all private keys in a host's bundle. */
const keysIn = (host: string): readonly string[] =>
  readdirSync(project.path('hosts', host))
    .map((name) => inBundle(host, name))
    .filter((path) => readFileSync(path, 'utf8').includes('PRIVATE KEY-----'))
    .map((path) => openssl(['pkey', '-in', path, '-pubout']));

/** A certificate for a name, made by somebody who has this host's bundle, with its key. */
function forge(host: string, usage: string): string {
  const path = (name: string): string => join(scratch, `${host}-${usage}-${name}`);
  const extensions = path('ext');
  spawnSync('sh', [
    '-c',
    `printf '%s\\n' "extendedKeyUsage=${usage}" "subjectAltName=DNS:evil.example.org" >"$1"`,
    'sh',
    extensions,
  ]);
  openssl([
    'req',
    '-new',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=evil.example.org',
    '-keyout',
    path('key'),
    '-out',
    path('csr'),
  ]);
  const signer = [
    '-CA',
    inBundle(host, `${host}.crt.pem`),
    '-CAkey',
    inBundle(host, `${host}.key.pem`),
    '-CAcreateserial',
  ];
  openssl([
    'x509',
    '-req',
    '-in',
    path('csr'),
    ...signer,
    '-CAserial',
    path('serial'),
    '-days',
    '30',
    '-extfile',
    extensions,
    '-out',
    path('crt'),
  ]);
  return path('crt');
}

describe('the relay is taken over', () => {
  it('it has only its own key, and certificates that it signs are worthless', () => {
    const own = openssl(['x509', '-in', inBundle(relay, `${relay}.crt.pem`), '-noout', '-pubkey']);
    expect(new Set(keysIn(relay))).toEqual(new Set([own]));
    const forged = forge(relay, 'clientAuth');
    expect(verify(relay, 'sslclient', '-untrusted', inBundle(relay, `${relay}.crt.pem`), forged)).toMatch(
      /invalid CA certificate/u,
    );
  });

  it("its certificate still works as the relay's, not as a client's", () => {
    const certificate = inBundle(relay, `${relay}.crt.pem`);
    expect(verify(home, 'sslclient', certificate)).toMatch(/(?:unsuitable|unsupported) certificate purpose/u);
    expect(verify(home, 'sslserver', '-verify_hostname', relay, certificate)).toBe('OK');
  });
});

describe('the home host is taken over', () => {
  it('it has only its own key, is not a relay, and signs nobody', () => {
    const own = openssl(['x509', '-in', inBundle(home, `${home}.crt.pem`), '-noout', '-pubkey']);
    expect(new Set(keysIn(home))).toEqual(new Set([own]));
    const certificate = inBundle(home, `${home}.crt.pem`);
    expect(verify(second, 'sslserver', certificate)).toMatch(/(?:unsuitable|unsupported) certificate purpose/u);
    expect(verify(relay, 'sslclient', '-untrusted', certificate, forge(home, 'clientAuth'))).toMatch(
      /invalid CA certificate/u,
    );
  });

  it('it relays until the relay has the table without it; others stay', async () => {
    const copy = makeProject(null);
    try {
      cpSync(project.folder, copy.folder, { recursive: true });
      cpSync(project.home, copy.home, { recursive: true });
      const table = (): string => copy.read('hosts', relay, 'relay_clientcerts');
      expect(table()).toContain(await pinOf(home));
      const revoked = await copy.run(['revoke', 'mailhost']);
      expect(revoked.status, revoked.stderr).toBe(0);
      expect(table()).not.toContain(await pinOf(home));
      expect(table()).toContain(await pinOf(second));
    } finally {
      copy.remove();
    }
  });
});

describe("the operator's disk is stolen while off", () => {
  const caKey = 'certs/ca/example.org-ca.key.pem';

  it("the CA's key needs the passphrase, and its file a recipient's key", async () => {
    for (const guess of ['', 'relaycerts', 'example.org']) {
      const opened = runTool(
        'openssl',
        ['pkey', '-in', project.path(caKey), '-passin', 'stdin', '-noout'],
        `${guess}\n`,
      );
      expect(opened.status, guess).not.toBe(0);
    }
    const stolen = makeProject(null);
    try {
      cpSync(project.folder, stolen.folder, { recursive: true });
      cpSync(join(project.home, '.example.org-relaycerts-passphrase.gpg'), join(stolen.home, 'passphrase.gpg'));
      stolen.settings(smallSettings({ passphrase: { file: join(stolen.home, 'passphrase.gpg') } }));
      const shown = await stolen.run(['passphrase', 'show', '--yes']);
      expect(shown.status).toBe(1);
      expect(shown.stdout).toBe('');
      mkdirSync(join(stolen.home, '.gnupg'), { mode: 0o700, recursive: true });
      const gpg = spawnSync('gpg', ['--batch', '--decrypt', join(stolen.home, 'passphrase.gpg')], {
        env: { PATH: process.env['PATH'], HOME: stolen.home },
      });
      expect(gpg.status).not.toBe(0);
      expect(gpg.stdout.length).toBe(0);
    } finally {
      stolen.remove();
    }
  });

  it('the operator key on the same disk opens the passphrase: does not hold', async () => {
    const shown = await project.run(['passphrase', 'show', '--yes']);
    expect(shown.status, shown.stderr).toBe(0);
    const opened = runTool('openssl', ['pkey', '-in', project.path(caKey), '-passin', 'stdin', '-noout'], shown.stdout);
    expect(opened.status, opened.stderr).toBe(0);
  });
});

describe('a colleague reads the project folder', () => {
  it('and finds no key, no passphrase and no bundle', () => {
    // The folders above may well be open.
    for (const path of [project.folder, dirname(project.folder), project.home]) chmodSync(path, 0o755);
    // Tried as another user if the tests run as root; the modes below show the same.
    if (process.geteuid?.() === 0) {
      const nobody = { uid: 65_534, gid: 65_534 };
      const look = (script: string): string =>
        spawnSync('sh', ['-c', script, 'sh', project.folder, project.home], nobody).stdout.toString();
      expect(look('find "$@" -type f -exec grep -l "PRIVATE KEY" {} + 2>/dev/null')).toBe('');
      expect(look('find "$@" -type f -name "*.gpg" -exec cat {} + 2>/dev/null')).toBe('');
      expect(look('find "$1/hosts" -mindepth 2 2>/dev/null')).toBe('');
      expect(look('find "$1/certs" -name "*.crt.pem" -exec cat {} +')).toContain('BEGIN CERTIFICATE');
    }
    const wide = Object.entries({ ...modesOf(project.folder), ...modesOf(project.home) }).filter(
      ([name, mode]) => /\.key\.pem$|\.chain\.pem$|\.gpg$|\.asc$/u.test(name) && mode !== '0600',
    );
    expect(wide).toEqual([]);
    expect(statSync(project.path('hosts', relay)).mode & 0o777).toBe(0o700);
  });
});

describe('the printed text is cut off on its way', () => {
  it.each([home, relay])('the script for %s runs nothing until it has arrived whole', async (host) => {
    const script = (await project.run(['show', host, '--format', 'sh'])).stdout;
    const trace = join(scratch, 'trace');
    /** The programs that sh started, fed with these bytes. */
    const started = (text: string): readonly string[] => {
      rmSync(trace, { force: true });
      spawnSync('/usr/bin/env', ['strace', '-f', '-qq', '-e', 'trace=execve', '-o', trace, 'sh'], {
        input: text,
        cwd: scratch,
      });
      return readFileSync(trace, 'utf8')
        .split('\n')
        .filter((line) => line.includes('execve('))
        .slice(1);
    };
    const end = script.lastIndexOf('}');
    const cuts = [
      ...Array.from({ length: Math.ceil(end / 101) }, (_none, at) => at * 101),
      ...Array.from({ length: 60 }, (_none, at) => end - at),
    ];
    for (const cut of cuts) expect(started(script.slice(0, cut)), `cut at ${cut} of ${script.length}`).toEqual([]);
    // Complete, it does start something, and finds that there is no bundle here.
    const stub = script.replace('PATH=/usr/local/sbin', `PATH=${scratch}/none:/usr/local/sbin`);
    expect(started(stub).length).toBeGreaterThan(0);
    expect(script.slice(end).trim()).toBe('}');
  });
});
