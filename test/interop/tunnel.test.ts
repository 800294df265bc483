// The tunnel of inbound as other programs read it: ssh-keygen our keys, systemd our units, three shells the scripts of
// both ends.

import { generateKeyPairSync } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { readHostKeys, sshFingerprint, sshKeyOfSpki } from '../../src/certificate/ssh-key.js';
import { renderScript } from '../../src/render/script.js';
import { tunnelFilesOf } from '../../src/render/tunnel.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostsOf } from '../../src/settings/settings.js';
import { requireTools } from '../support/require-tools.js';

const settings = parseSettings(
  {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'second', sshPort: 2222 }],
    smtpClients: [{ hostname: 'mailhost' }],
    inbound: { home: 'mailhost', via: 'tunnel' },
  },
  { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts' },
);

let folder: string;
beforeAll(() => {
  requireTools('ssh-keygen', 'systemd-analyze', 'ssh', 'sshd', 'dash', 'bash', 'busybox');
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-tunnel-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function run(argv: readonly [string, ...string[]], input = ''): readonly [number | null, string] {
  const [program, ...args] = argv;
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8' });
  return [status, stdout + stderr];
}

it.each([
  ['ecdsa-p256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
  ['ecdsa-p384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['rsa-2048', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
] as const)('ssh-keygen sees the same key: %s', (_, makePair) => {
  const { publicKey, privateKey } = makePair();
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const file = join(folder, 'key.pem');
  writeFileSync(file, pem, { mode: 0o600 });
  const [status, said] = run(['ssh-keygen', '-y', '-P', '', '-f', file]);
  const ours = sshKeyOfSpki(publicKey.export({ type: 'spki', format: 'der' })) ?? '';
  expect([status, said]).toEqual([0, `${ours}\n`]);
  expect(run(['ssh-keygen', '-l', '-f', '-'], `${ours}\n`)[1]).toContain(` ${sshFingerprint(ours)} `);
});

it('an Ed25519 key, and host keys, are read as ssh-keygen writes them', () => {
  const file = join(folder, 'ed25519');
  run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'a comment', '-f', file]);
  const line = run(['cat', `${file}.pub`])[1];
  const key = line.split(' ').slice(0, 2).join(' ');
  const raw = Buffer.from(key.split(' ')[1] ?? '', 'base64').subarray(-32);
  const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), raw]);
  expect(sshKeyOfSpki(spki)).toBe(key);
  expect(readHostKeys(`Welcome!\n${line}${line}`)).toEqual([key]);
});

it.each([
  ['an option before it', (key: string) => `command="id" ${key}`],
  ['another type than it has', (key: string) => key.replace('ssh-ed25519', 'ssh-rsa')],
  ['a certificate', (key: string) => key.replace('ssh-ed25519', 'ssh-ed25519-cert-v01@openssh.com')],
  ['something after it without a space', (key: string) => `${key}\u0000x`],
  ['a name before it', (key: string) => `relayhost ${key}`],
])('no host key: one with %s', (_, change) => {
  const blob = Buffer.concat([Buffer.from('0000000b', 'hex'), Buffer.from('ssh-ed25519'), Buffer.alloc(36, 7)]);
  const key = `ssh-ed25519 ${blob.toString('base64')}`;
  expect(readHostKeys(key)).toEqual([key]);
  expect(readHostKeys(change(key))).toEqual([]);
});

it('systemd finds nothing to say about the units of home', () => {
  const [home] = settings.smtpClients;
  const units = tunnelFilesOf(settings, home).filter(({ path }) => path.endsWith('.service'));
  expect(units).toHaveLength(2);
  const files = units.map(({ path, lines }) => {
    const file = join(folder, path.slice(path.lastIndexOf('/') + 1));
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  });
  expect(run(['systemd-analyze', 'verify', '--man=no', ...files])).toEqual([0, '']);
});

it.each(hostsOf(settings).slice(1))('each shell reads the script of $hostname', (host) => {
  const text = renderScript(settings, host, { undo: false, forceRoutes: false, keyPlace: 'here' });
  for (const shell of [['dash'], ['bash', '--posix'], ['busybox', 'sh']] as const) {
    expect(run([...shell, '-n'], text)).toEqual([0, '']);
  }
});

it.each([
  ['the settings of another program', 'Match Group sftp\n', 1],
  ['ours', '# Made by relaycerts; changes are lost.\n', 0],
  ['keys of ours', '# relaycerts example.org: the keys\n', 0],
  ['a link to nowhere', undefined, 1],
])('a file outside our folder is replaced only if it is ours: %s', (_, there, wanted) => {
  const path = join(folder, 'sftp.conf');
  rmSync(path, { force: true });
  if (there === undefined) symlinkSync('/nonexistent/file', path);
  else writeFileSync(path, there);
  const text = [
    'host=x folder=/nonexistent saved=x',
    `end_files() { echo '${path} x'; echo /nonexistent/relayhost.known_hosts x; }`,
    'fail() { echo "$1"; exit 1; }',
    '. src/render/tunnel.sh',
    'check_tunnel_files',
  ].join('\n');
  const said = wanted === 0 ? '' : `${path} on x is not ours; nothing was changed\n`;
  expect(run(['sh', '-eu', '-c', text])).toEqual([wanted, said]);
});

it.each([
  ['a key', 'ecdsa-sha2-nistp256 AAAA=', 'restrict,x="1" ecdsa-sha2-nistp256 AAAA='],
  ['none, because home is revoked', undefined, undefined],
])('what a relay lets in is replaced by what its bundle has: %s', (_, key, line) => {
  writeFileSync(join(folder, 'tunnel_keys'), ['# the keys', key, ''].filter((one) => one !== undefined).join('\n'));
  const values = 'host folder saved copy_hint tunnel_comment tunnel_listen tunnel_home'
    .split(' ')
    .map((name) => `${name}=x`);
  const text = [
    ...values,
    `bundle=${folder} tunnel_user=tunnel tunnel_limits='restrict,x="1"'`,
    'all_tunnel_files() { :; }',
    '. src/render/tunnel.sh',
    '. src/render/tunnel-relay.sh',
    'tunnel_text /etc/ssh/tunnel.keys',
  ].join('\n');
  const lines = ['# the keys', line, ''].filter((one) => one !== undefined);
  expect(run(['sh', '-eu', '-c', text])).toEqual([0, lines.join('\n')]);
});

it('sshd uses every setting of the account, also if it is hardened for others', () => {
  const [relay] = settings.smtpdServers;
  const [file] = tunnelFilesOf(settings, relay);
  const lines = file?.lines ?? [];
  const hardened = 'PubkeyAcceptedAlgorithms ssh-ed25519\nAllowUsers root\nDisableForwarding yes\n';
  const name = join(folder, 'sshd_config');
  const key = join(folder, 'host');
  run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', key]);
  writeFileSync(name, `${lines.join('\n')}\nMatch all\nHostKey ${key}\n${hardened}`);
  const text = [
    `host=x bundle=x saved=x copy_hint=x tunnel_comment=x tunnel_listen=x tunnel_home=x tunnel_limits=x`,
    `tunnel_user=${settings.tunnel.user}`,
    `sshd_program=$(command -v sshd)`,
    '. src/render/tunnel-relay.sh',
    `tunnel_text() { sed '/^Match all/,$d' ${name}; }`,
    `sshd() { "$sshd_program" -f ${name} "$@"; }`,
    'sshd=sshd',
    'sshd_ignores',
    `sshd -T -C user=${settings.tunnel.user},host=localhost,addr=127.0.0.1 | sed -n 's/^pubkeyaccepted[a-z]* //p'`,
  ].join('\n');
  const types = 'ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ssh-ed25519,rsa-sha2-512,rsa-sha2-256';
  expect(run(['sh', '-eu', '-c', text])).toEqual([0, `${types}\n`]);
});

it.each([
  ['stays open', 'relayhost', 'is-active', '', ''],
  ['has no host keys yet', 'second', '', '', ''],
  ['ends', 'relayhost', '', 'Host key verification failed.', 'Host key verification failed.'],
  [
    'has a user without a name',
    'relayhost',
    '',
    'No user exists for uid 61300',
    'No user exists for uid 61300; install libnss-systemd',
  ],
])('home says why a tunnel that was just installed ends: one that %s', (_, relay, active, journal, wanted) => {
  writeFileSync(join(folder, 'relayhost.known_hosts'), 'a key\n');
  const values = 'host bundle arrived saved key tunnel_relays tunnel_hint tunnel_steps_hint'.split(' ');
  const text = [
    ...values.map((name) => `${name}=x`),
    `folder=${folder} tunnel_user=tunnel`,
    'has_systemd() { :; }',
    `systemctl() { [ "$1" = "${active}" ]; }`,
    `journalctl() { echo "${journal}"; }`,
    'warn() { echo "$1"; }',
    '. src/render/tunnel-home.sh',
    `warn_of_ended_tunnel ${relay}`,
  ].join('\n');
  const said = wanted === '' ? '' : `ssh does not keep the tunnel to ${relay} open: ${wanted}\n`;
  expect(run(['sh', '-eu', '-c', text])).toEqual([0, said]);
});
