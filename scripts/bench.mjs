// How long the commands take, as ratios within this one run: to `node -e 0`, and for the first make to other programs
// doing the same work. Rounds are interleaved, so that a machine whose speed drifts slows all alike, and each ratio is
// the median of the rounds' ratios.
// Usage: npm run bench [-- ROUNDS]

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { peerFolders, peers } from './bench-peers.mjs';

const rounds = Number(process.argv[2] ?? 15);
const program = resolve('bin/relaycerts.js');
const root = mkdtempSync(join(tmpdir(), 'relaycerts-bench-'));
const keyTypes = ['ecdsa-p256', 'rsa-2048', 'rsa-4096'];
// NODE_EXTRA_CA_CERTS alone doubles Node's start-up time.
const environment = {
  PATH: [process.env.PATH, ...peerFolders].join(':'),
  HOME: join(root, 'home'),
  GNUPGHOME: join(root, 'gnupg'),
};

let folders = 0;
/** Each run has its own project: removing thousands of files would slow the next ones down. */
function freshFolder(keyType) {
  folders += 1;
  const folder = join(root, String(folders));
  mkdirSync(folder);
  const settings = {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    ca: { keyType },
    certificates: { keyType },
    passphrase: { file: 'passphrase.gpg', recipients: ['../recipient.asc'] },
  };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  return folder;
}

/** Milliseconds. */
function run(cwd, command, args, expected = 0) {
  const start = performance.now();
  const result = spawnSync(command, args, { cwd, env: environment });
  const ms = performance.now() - start;
  if (result.status === expected) return ms;
  throw new Error(`${command} ${args.join(' ')} failed: ${String(result.stderr ?? result.error)}`);
}

const relaycerts = (folder, words, expected) => run(folder, 'node', [program, ...words], expected);

function prepareGnuPg() {
  mkdirSync(environment.HOME);
  mkdirSync(environment.GNUPGHOME, { mode: 0o700 });
  const batch = ['--batch', '--quiet', '--passphrase', ''];
  run(root, 'gpg', [...batch, '--quick-gen-key', 'bench@example.org', 'future-default', 'default', 'never']);
  run(root, 'gpg', ['--armor', '--output', 'recipient.asc', '--export', 'bench@example.org']);
}

const succeeds = (command, args) => spawnSync(command, args, { env: environment }).status === 0;
const isInstalled = ({ needs, modules = [] }) =>
  needs.every((tool) => succeeds('sh', ['-c', `command -v ${tool}`])) &&
  modules.every((module) => succeeds('python3', ['-c', `import ${module}`]));

function timeRound(installed, note) {
  note('node -e 0', run(root, 'node', ['-e', '0']));
  note('--version', relaycerts(root, ['--version']));
  note('--help', relaycerts(root, ['--help']));
  note('a usage error', relaycerts(root, ['mkae'], 2));
  for (const keyType of keyTypes) {
    const folder = freshFolder(keyType);
    note(`first make, ${keyType}`, relaycerts(folder, ['make']));
    if (keyType === 'ecdsa-p256') {
      const certificates = readdirSync(join(folder, 'certs/smtp-client')).filter((name) => name.endsWith('.crt.pem'));
      note('fingerprint FILE', relaycerts(folder, ['fingerprint', `certs/smtp-client/${certificates[0]}`]));
      note('show', relaycerts(folder, ['show']));
      note('status', relaycerts(folder, ['status']));
      note('second make', relaycerts(folder, ['make']));
    }
    for (const { name, script } of installed) {
      const text = script(keyType);
      if (text !== undefined) note(`${name}, ${keyType}`, run(freshFolder(keyType), 'sh', ['-euc', text]));
    }
  }
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

function report(times) {
  const ratio = (name, base) => median(times.get(name).map((ms, round) => ms / times.get(base)[round]));
  const column = (name, base) => `${ratio(name, base).toFixed(2).padStart(6)} x ${base}`;
  console.log(`node ${process.version}, ${rounds} rounds, medians`);
  for (const [name, values] of times) {
    const [, keyType] = /^first make, (.*)$/u.exec(name) ?? [];
    const others = peers.map((peer) => `${peer.name}, ${keyType}`).filter((other) => times.has(other));
    const columns = ['node -e 0', ...others].map((base) => column(name, base));
    console.log(`${name.padEnd(34)} ${median(values).toFixed(0).padStart(6)} ms ${columns.join('  ')}`);
  }
}

try {
  prepareGnuPg();
  const installed = peers.filter(isInstalled);
  const missing = peers.filter((peer) => !installed.includes(peer));
  if (missing.length > 0) {
    console.log(`not installed, so not compared: ${missing.map(({ name }) => name).join(', ')}`);
  }
  const times = new Map();
  // Round 0 warms the caches and is not counted.
  timeRound(installed, () => undefined);
  for (let round = 1; round <= rounds; round += 1) {
    timeRound(installed, (name, ms) => times.set(name, [...(times.get(name) ?? []), ms]));
  }
  report(times);
} finally {
  spawnSync('gpgconf', ['--homedir', environment.GNUPGHOME, '--kill', 'all']);
  rmSync(root, { recursive: true, force: true });
}
