// How long the commands take, in processor time, as ratios within this one run: to `node -e 0` of the same version of Node,
// and for the first make to what others need for the same work, also in wall time, because keys are made in parallel.
// Rounds are interleaved, so that a machine whose speed drifts slows all alike. Each ratio is the median of the rounds'
// own; with RSA keys, which take a random time, it is that of the sums of all rounds.
// Usage: npm run bench [-- ROUNDS [KEYTYPE...]]

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findNodes } from './bench-nodes.mjs';
import { peerFolders, peers } from './bench-peers.mjs';

const [, , rounds = 15, ...named] = process.argv;
const keyTypes = named.length > 0 ? named : ['ecdsa-p256', 'rsa-2048', 'rsa-4096'];
const program = resolve('bin/relaycerts.js');
const root = mkdtempSync(join(tmpdir(), 'relaycerts-bench-'));
// NODE_EXTRA_CA_CERTS alone doubles Node's start-up time.
const environment = {
  PATH: [process.env.PATH, ...peerFolders].join(':'),
  HOME: join(root, 'home'),
  GNUPGHOME: join(root, 'gnupg'),
};

let folders = 0;
/** Each run has its own project: removing thousands of files would slow the next ones down. */
function freshFolder(keyType, recipients = []) {
  folders += 1;
  const folder = join(root, String(folders));
  mkdirSync(join(folder, 'home'), { recursive: true });
  const settings = {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    ca: { keyType },
    certificates: { keyType },
    passphrase: { file: 'passphrase.gpg', recipients },
  };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  return folder;
}

/** Milliseconds of processor time, those of its children too, and of wall time. bash measures to the millisecond. */
function run(cwd, command, args, { expected = 0, env = environment } = {}) {
  const timed = ['-c', 'TIMEFORMAT="%U %S %R"; time "$@" 2>&3', 'bash', command, ...args];
  const stdio = ['pipe', 'pipe', 'pipe', 'pipe'];
  const result = spawnSync('bash', timed, { cwd, stdio, env: { ...env, LC_ALL: 'C' } });
  if (result.status !== expected) {
    throw new Error(`${command} ${args.join(' ')} failed: ${String(result.error ?? result.output[3])}`);
  }
  const [user, system, wall] = String(result.stderr).trim().split(' ').map(Number);
  return { processor: 1000 * (user + system), wall: 1000 * wall };
}

/** In a home of its own, without an operator key. Each kind of project has its own cache of what V8 compiled. */
const relaycerts = (node, folder, words, { kind = 'plain', expected = 0 } = {}) =>
  run(folder, node, [program, ...words], {
    expected,
    env: { ...environment, HOME: join(folder, 'home'), XDG_CACHE_HOME: join(root, `cache-${kind}`) },
  });

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

function timeRound(nodes, installed, note) {
  for (const { version, path } of nodes) {
    const start = freshFolder('ecdsa-p256');
    const noteHere = (name, time) => note(`${version}: ${name}`, time);
    noteHere('node -e 0', run(root, path, ['-e', '0']));
    noteHere('--version', relaycerts(path, start, ['--version']));
    noteHere('--help', relaycerts(path, start, ['--help']));
    noteHere('a usage error', relaycerts(path, start, ['mkae'], { expected: 2 }));
    for (const keyType of keyTypes) {
      timeProject(path, keyType, 'recipient key', noteHere);
      if (keyType === 'ecdsa-p256') timeProject(path, keyType, 'operator key', noteHere);
    }
  }
  for (const keyType of keyTypes) {
    for (const { name, script } of installed) {
      const text = script(keyType);
      if (text !== undefined) note(`${name}, ${keyType}`, run(freshFolder(keyType), 'sh', ['-euc', text]));
    }
  }
}

/** The passphrase is encrypted to a key in GnuPG, or to the operator key that the first make makes. */
function timeProject(node, keyType, kind, note) {
  const folder = freshFolder(keyType, kind === 'recipient key' ? ['../recipient.asc'] : []);
  const time = (name, words, expected) => note(`${name}, ${kind}`, relaycerts(node, folder, words, { kind, expected }));
  time(`first make, ${keyType}`, ['make']);
  if (keyType !== 'ecdsa-p256') return;
  const [certificate] = readdirSync(join(folder, 'certs/smtp-client')).filter((name) => name.endsWith('.crt.pem'));
  time('fingerprint FILE', ['fingerprint', `certs/smtp-client/${certificate}`]);
  time('show', ['show']);
  // Nothing is installed.
  time('first status', ['status'], 3);
  time('second status', ['status'], 3);
  time('second make', ['make']);
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const sum = (values) => values.reduce((total, one) => total + one, 0);

function report(times) {
  const of = (name, kind) => times.get(name).map((time) => time[kind]);
  const ratio = (name, base, kind) =>
    name.includes('rsa-')
      ? sum(of(name, kind)) / sum(of(base, kind))
      : median(of(name, kind).map((ms, round) => ms / of(base, kind)[round]));
  const column = (name, base) => {
    const [processor, wall] = ['processor', 'wall'].map((kind) => ratio(name, base, kind).toFixed(2));
    return `${processor.padStart(6)} (wall ${wall}) x ${base}`;
  };
  console.log(`${rounds} rounds, load ${loadavg()[0].toFixed(1)} at the end`);
  for (const name of times.keys()) {
    const [, version, keyType] = /^(v[^:]*): (?:first make, ([^,]*))?/u.exec(name) ?? [];
    const others = peers.map((peer) => `${peer.name}, ${keyType}`).filter((other) => times.has(other));
    const columns = [...(version === undefined ? [] : [`${version}: node -e 0`]), ...others].map((base) =>
      column(name, base),
    );
    console.log(`${name.padEnd(50)} ${median(of(name, 'processor')).toFixed(0).padStart(6)} ms ${columns.join('  ')}`);
  }
}

try {
  prepareGnuPg();
  const nodes = findNodes();
  const installed = peers.filter(isInstalled);
  const missing = peers.filter((peer) => !installed.includes(peer));
  if (missing.length > 0) {
    console.log(`not installed, so not compared: ${missing.map(({ name }) => name).join(', ')}`);
  }
  const times = new Map();
  // Round 0 warms the caches and is not counted.
  timeRound(nodes, installed, () => undefined);
  for (let round = 1; round <= rounds; round += 1) {
    timeRound(nodes, installed, (name, time) => times.set(name, [...(times.get(name) ?? []), time]));
  }
  report(times);
} finally {
  spawnSync('gpgconf', ['--homedir', environment.GNUPGHOME, '--kill', 'all']);
  rmSync(root, { recursive: true, force: true });
}
