// What a relay's table of pins costs Postfix, by type and size: making the table, looking up a pin with postmap(1), and
// starting an smtpd, from the connection to its greeting, with its private memory. Each figure is a median. Runs as
// root in its own network namespace, with its own Postfix beside the system's.
// Usage: unshare -n node scripts/bench-tables.mjs [SIZE...]

import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const sizes = process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, 1000, 10_000, 100_000];
const types = ['texthash', 'hash', 'lmdb', 'cdb'];
const starts = 15;
const root = mkdtempSync(join(tmpdir(), 'relaycerts-tables-'));
const config = join(root, 'etc');

const pin = (number) => createHash('sha256').update(String(number)).digest('hex').toUpperCase().match(/../gu).join(':');
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const run = (command, args) => execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

const inMs = (value) => `${value.toFixed(1).padStart(7)} ms`;

function timed(work) {
  const start = performance.now();
  work();
  return performance.now() - start;
}

function setUp() {
  for (const folder of [config, join(root, 'queue'), join(root, 'data')]) mkdirSync(folder);
  for (const name of readdirSync('/etc/postfix')) {
    if (name.startsWith('dynamicmaps') || name.startsWith('postfix-files')) {
      cpSync(join('/etc/postfix', name), join(config, name), { recursive: true });
    }
  }
  run('chown', ['postfix', join(root, 'data')]);
  run('chmod', ['755', root]);
  const settings = {
    compatibility_level: '3.4',
    queue_directory: join(root, 'queue'),
    data_directory: join(root, 'data'),
    inet_interfaces: '127.0.0.1',
    inet_protocols: 'ipv4',
    mydestination: '',
    maillog_file: '/dev/stdout',
    smtpd_relay_restrictions: 'permit_tls_clientcerts, reject',
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key} = ${value}\n`);
  writeFileSync(join(config, 'main.cf'), lines.join(''));
  // One connection per process: every greeting comes from a new smtpd.
  const services = [
    '127.0.0.1:2599 inet n - n - - smtpd -o max_use=1',
    'anvil unix - - n - 1 anvil',
    'postlog unix-dgram n - n - 1 postlogd',
    'rewrite unix - - n - - trivial-rewrite',
    'cleanup unix n - n - 0 cleanup',
    'qmgr unix n - n 300 1 qmgr',
    'proxymap unix - - n - - proxymap',
  ];
  writeFileSync(join(config, 'master.cf'), `${services.join('\n')}\n`);
  run('ip', ['link', 'set', 'lo', 'up']);
}

/** The private memory of the running smtpd, in kB. */
function memoryOfSmtpd() {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/u.test(name))) {
    try {
      if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() !== 'smtpd') continue;
      if (!readFileSync(`/proc/${pid}/environ`, 'latin1').includes(config)) continue;
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      const parts = [...rollup.matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB/gmu)];
      return parts.reduce((sum, [, kilobytes]) => sum + Number(kilobytes), 0);
    } catch {
      // It ended meanwhile.
    }
  }
  return Number.NaN;
}

function greet() {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const socket = connect(2599, '127.0.0.1');
    socket.on('error', reject);
    socket.once('data', () => {
      const ms = performance.now() - start;
      const kilobytes = memoryOfSmtpd();
      socket.end('QUIT\r\n');
      socket.on('close', () => resolve({ ms, kilobytes }));
      socket.resume();
    });
  });
}

async function measure(type, size) {
  const file = join(root, `pins-${type}-${size}`);
  const lines = Array.from({ length: size }, (_, number) => `${pin(number)} c${number}.example.org\n`);
  writeFileSync(file, lines.join(''));
  const table = `${type}:${file}`;
  const make = type === 'texthash' ? 0 : timed(() => run('postmap', ['-c', config, table]));
  const key = pin(size - 1);
  let isFound = true;
  const lookUp = () => {
    isFound &&= spawnSync('postmap', ['-c', config, '-q', key, table]).status === 0;
  };
  const lookups = Array.from({ length: starts }, () => timed(lookUp));
  run('postconf', ['-c', config, '-e', `relay_clientcerts=${table}`]);
  const reload = timed(() => run('postfix', ['-c', config, 'reload']));
  const greetings = [];
  await greet();
  for (let count = 0; count < starts; count += 1) greetings.push(await greet());
  const made = readdirSync(root).filter((name) => name.startsWith(`pins-${type}-${size}`));
  return {
    isFound,
    make,
    lookup: median(lookups),
    reload,
    start: median(greetings.map(({ ms }) => ms)),
    memory: median(greetings.map(({ kilobytes }) => kilobytes)) / 1024,
    disk: made.reduce((sum, name) => sum + statSync(join(root, name)).size, 0) / 1e6,
  };
}

setUp();
const master = spawnSync('postfix', ['-c', config, 'start'], { encoding: 'utf8', stdio: ['ignore', 'ignore', 'pipe'] });
if (master.status !== 0) throw new Error(`postfix start: ${master.stderr}`);
try {
  const known = new Set(run('postconf', ['-c', config, '-m']).split('\n'));
  const missing = types.filter((type) => !known.has(type));
  if (missing.length > 0) console.log(`this Postfix has no ${missing.join(', ')} (packages postfix-lmdb, postfix-cdb)`);
  console.log(`Postfix ${run('postconf', ['-c', config, '-d', '-h', 'mail_version']).trim()}, medians of ${starts}`);
  for (const size of sizes) {
    for (const type of types.filter((one) => known.has(one))) {
      const found = await measure(type, size);
      const figures = `made in ${inMs(found.make)}, postmap -q ${inMs(found.lookup)}, smtpd ${inMs(found.start)}`;
      console.log(
        `${String(size).padStart(6)} ${type.padEnd(8)} ${figures}, ${found.memory.toFixed(1)} MB of its own, ${found.disk.toFixed(1)} MB on disk, reload ${inMs(found.reload)}${found.isFound ? '' : ': NOTHING FOUND in it'}`,
      );
    }
  }
} finally {
  run('postfix', ['-c', config, 'stop']);
  rmSync(root, { recursive: true, force: true });
}
