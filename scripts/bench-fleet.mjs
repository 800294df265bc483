// What a fleet costs, in processor time: each command as a multiple of what Python's cryptography takes to make as many
// keys and certificates, without files, in the same round. It also measures peak memory, and counts the system calls of
// a first make. The machine needs GNU time and python3-cryptography, and strace to count.
// Usage: npm run bench:fleet [-- CLIENTS [ROUNDS]]
//
// Nothing is removed between rounds: after thousands of removals, ext4 makes files at a tenth of the speed.

import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { findNodes } from './bench-nodes.mjs';

const clients = Number(process.argv[2] ?? 10_000);
const rounds = Number(process.argv[3] ?? 3);
const program = resolve('bin/relaycerts.js');
const root = mkdtempSync(join(tmpdir(), 'relaycerts-fleet-'));
// This alone doubles Node's start-up time.
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;

const peer = `
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
ca = ec.generate_private_key(ec.SECP256R1())
issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, 'example.org relay CA')])
authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca.public_key())
now = datetime.datetime(2026, 1, 1)
usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
for number in range(int(sys.argv[1])):
    host = 'c%d.example.org' % number
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])).issuer_name(issuer)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=398))
        .add_extension(x509.BasicConstraints(False, None), True).add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False).add_extension(authority, False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), False).sign(ca, hashes.SHA256()))
    certificate.public_bytes(serialization.Encoding.PEM)
    key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
`;

/** Processor seconds, peak MB, wall seconds and octets of output of one command. */
function run(folder, command, args) {
  const report = join(root, 'time');
  const started = performance.now();
  const result = spawnSync('/usr/bin/time', ['-o', report, '-f', '%U %S %M', command, ...args], {
    cwd: folder,
    maxBuffer: 1 << 30,
    env: { ...environment, HOME: join(folder, 'home'), XDG_CONFIG_HOME: '' },
  });
  // 3: status, because nothing is installed.
  if (result.status !== 0 && result.status !== 3)
    throw new Error(`${command} ${args.join(' ')}: ${result.error ?? String(result.stderr)}`);
  const [user, system, peak] = readFileSync(report, 'utf8').trim().split('\n').at(-1).split(' ').map(Number);
  const wall = (performance.now() - started) / 1000;
  return { cpu: user + system, peak: peak / 1024, wall, text: result.stdout.length + result.stderr.length };
}

let folders = 0;
function freshFolder(count) {
  folders += 1;
  const folder = join(root, String(folders));
  mkdirSync(join(folder, 'home'), { recursive: true });
  const settings = { domain: 'example.org', smtpdServers: [{ hostname: 'relayhost' }], smtpClients: { file: 'c.csv' } };
  writeFileSync(join(folder, 'settings.json'), JSON.stringify(settings));
  writeFileSync(join(folder, 'c.csv'), ['hostname', ...[...Array(count).keys()].map((at) => `c${at}`), ''].join('\n'));
  return folder;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const steps = [
  { name: 'first make', args: ['make'] },
  { name: 'empty make', args: ['make'] },
  { name: 'status', args: ['status'] },
  { name: 'renew --due, nothing due', args: ['renew', '--due'] },
  { name: 'make with one client more', args: ['make'] },
];

/** The calls of a first make by name, of all threads; undefined without strace. */
function countCalls(count) {
  const report = join(root, 'calls');
  const folder = freshFolder(count);
  const traced = ['-f', '-c', '-U', 'name,calls', '-o', report, process.execPath, program, 'make'];
  const { status } = spawnSync('strace', traced, { cwd: folder, env: { ...environment, HOME: join(folder, 'home') } });
  if (status !== 0) return undefined;
  const lines = readFileSync(report, 'utf8').split('\n').slice(2);
  return new Map(lines.map((line) => line.trim().split(/\s+/u)).map(([name, calls]) => [name, Number(calls)]));
}

/** What each client more adds: the difference of two fleets. */
function reportCalls() {
  const [few, many] = [500, 1500];
  const [before, after] = [countCalls(few), countCalls(many)];
  if (before === undefined || after === undefined) return console.log('strace failed, so no calls are counted');
  const each = [...after].map(([name, calls]) => [name, (calls - (before.get(name) ?? 0)) / (many - few)]);
  const often = each.filter(([name, calls]) => name !== 'total' && name !== '' && calls >= 0.05);
  const text = often.toSorted(([, a], [, b]) => b - a).map(([name, calls]) => `${name} ${calls.toFixed(1)}`);
  console.log(`system calls of a first make for each client: ${text.join(', ')}`);
}

try {
  const nodes = findNodes();
  const found = new Map(nodes.flatMap(({ version }) => steps.map(({ name }) => [`${version}: ${name}`, []])));
  for (let round = 0; round < rounds; round += 1) {
    for (const { version, path } of nodes) {
      const folder = freshFolder(clients);
      for (const { name, args } of steps) {
        const { cpu } = run(folder, '/usr/bin/python3', ['-c', peer, String(clients)]);
        if (name.endsWith('more')) appendFileSync(join(folder, 'c.csv'), 'newcomer\n');
        const own = run(folder, path, [program].concat(args));
        found.get(`${version}: ${name}`).push({ ...own, ratio: own.cpu / cpu });
      }
    }
  }
  console.log(`${clients} clients, ${rounds} rounds, medians, load ${loadavg()[0].toFixed(1)} at the end`);
  for (const [name, all] of found) {
    const of = (key) => median(all.map((one) => one[key]));
    const rate = name.endsWith('first make') ? `, ${Math.round(clients / of('wall'))} certificates/s` : '';
    const figures = `${of('cpu').toFixed(2)} s of CPU, ${of('ratio').toFixed(2)} x the peer, ${of('peak').toFixed(0)} MB`;
    console.log(`${name.padEnd(36)} ${figures}, ${(of('text') / 1000).toFixed(0)} kB of text${rate}`);
  }
  reportCalls();
} finally {
  rmSync(root, { recursive: true, force: true });
}
