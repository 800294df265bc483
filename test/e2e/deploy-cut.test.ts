// A deployment to 2 relays and 3 homes that is killed or interrupted, or whose network is cut, at moments throughout its
// run on all of them: the next one completes it, and a relay, with which a separate process does a handshake every 50 ms,
// never serves a key with another's certificate. Three moments each day, 30 with RELAYCERTS_DEEP=1, and two machines.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { patienceMs } from './lab/machine.js';
import { reloadFaults } from './lab/mail-flow.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver, servedSerial } from './lab/operator.js';
import { folder } from '../support/folder.js';

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const moments = isDeep ? 30 : 3;
/** What ends a deployment: a signal to it, or a network that is gone. */
const ends = ['INT', 'cut', 'TERM', ...(isDeep ? ['KILL'] : [])] as const;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let hosts: readonly MailHost[];
let watcher: ChildProcess;
let watching: Promise<unknown>;
let watched = '';
let scratch = '';
/** How many programs the scripts run on the hosts in a deployment, by host. */
const steps = new Map<MailHost, number>();
/** Every serial that the relay was issued. */
const serials = new Set<string>();

/** Replaces the programs that change or read files there, counts them, and waits at the one with this number. */
const step = `#!/bin/sh
exec 8>>/run/steps.lock
flock 8
read -r count </run/steps
count=$((count + 1))
echo "$count" >/run/steps
if [ "$count" = "$(/usr/bin/cat /run/stop-at)" ]; then
  : >/run/stopped
  until [ -e /run/go-on ]; do /usr/bin/sleep 0.02; done
fi
exec 8>&-
PATH=/usr/sbin:/usr/bin:/sbin:/bin
exec "\${0##*/}" "$@"
`;
const stepped = ['tar', 'mkdir', 'rm', 'ln', 'cp', 'mv', 'cmp', 'chmod', 'chown', 'postfix', 'openssl', 'sleep'];

async function countSteps(host: MailHost): Promise<void> {
  await host.sh('mount -t tmpfs -o mode=755 lab /usr/local/sbin');
  await host.writeFile('/usr/local/sbin/step', step, '0755');
  await host.sh(`cd /usr/local/sbin && for name in ${stepped.join(' ')}; do ln step "$name"; done`);
  await stopAt(host, 0);
}

const stopAt = (host: MailHost, number: number) =>
  host.sh(`rm -f /run/stopped /run/go-on; echo 0 >/run/steps; echo ${number} >/run/stop-at`);

const goOn = (host: MailHost) => host.sh(': >/run/go-on');

/** New certificates for all, the relays' with new keys. */
async function renew(at = desk): Promise<void> {
  await at.run("relaycerts renew --rekey 'relayhost*' && relaycerts renew --force 'mailhost*'");
  const show = 'openssl x509 -noout -serial -in certs/smtpd-server/relayhost.example.org.crt.pem';
  serials.add(
    (await at.run(show)).stdout
      .trim()
      .replace(/^serial=/u, '')
      .toLowerCase(),
  );
}

const deploy = (anyExit = false) => desk.run('relaycerts deploy --yes 2>&1', anyExit);

/** The cable of a host, on the wire's side. */
async function plug(host: MailHost, state: 'up' | 'down'): Promise<void> {
  const wire = lab.machines.find(({ hostname }) => hostname === 'wire');
  await wire?.exec(['ip', 'link', 'set', `port${host.address.split('.')[3] ?? ''}`, state]);
}

/** The host and its step at one of the moments, which are evenly spread over all. */
function placeOf(moment: number): readonly [MailHost, number] {
  const total = [...steps.values()].reduce((sum, count) => sum + count, 0);
  let number = Math.floor(((moment + 0.5) * total) / moments) + 1;
  for (const [host, count] of steps) {
    if (number <= count) return [host, number];
    number -= count;
  }
  throw new RangeError(`no moment ${moment}`);
}

/** The key and the certificate in the file that Postfix reads match. */
async function expectPair(host: MailHost): Promise<void> {
  const chain = `${folder}/${host.hostname}.chain.pem`;
  const [key, certificate] = await Promise.all([
    host.exec(['/usr/bin/openssl', 'pkey', '-in', chain, '-pubout']),
    host.exec(['/usr/bin/openssl', 'x509', '-in', chain, '-noout', '-pubkey']),
  ]);
  expect(certificate.stdout).toBe(key.stdout);
}

const named = (some: readonly MailHost[]) => some.map(({ hostname }) => ({ hostname }));

beforeAll(async () => {
  requireTools('openssl');
  lab = await startLab({ relays: 2, homes: 3, faults: ['no-client-certificate', ...reloadFaults] });
  [relay] = lab.relays;
  hosts = [...lab.relays, ...lab.homes];
  desk = new Desk(lab.operator);
  // A separate connection for each visit, which notices a cut within seconds.
  const ssh = '#!/bin/sh\nexec /usr/bin/ssh -o ServerAliveInterval=1 -o ControlPath=none "$@"\n';
  await lab.operator.execAs({ ...lab.operator.account, name: 'root', uid: 0 }, [
    'sh',
    '-euc',
    'printf %s "$1" >/opt/bin/ssh; chmod 755 /opt/bin/ssh',
    'sh',
    ssh,
  ]);
  // Each connection is a new process, which reads the files again.
  await relay.setMainCf({ max_use: '1' });
  await relay.reload();
  await desk.make({ smtpdServers: named(lab.relays), smtpClients: named(lab.homes) });
  await deploy();
  await renew();
  await Promise.all(hosts.map(countSteps));
  await deploy();
  for (const host of hosts) steps.set(host, Number((await host.sh('cat /run/steps')).stdout));
  serials.add(await servedSerial(desk, relay));
  scratch = await mkdtemp(join(tmpdir(), 'relaycerts-handshakes-'));
  const program = join(scratch, 'handshakes.mjs');
  const source = fileURLToPath(new URL('lab/handshakes.ts', import.meta.url));
  await build({ entryPoints: [source], outfile: program, bundle: true, platform: 'node', format: 'esm' });
  const ca = `/proc/${lab.operator.pid}/root/home/operator/certs/ca/example.org-ca.crt.pem`;
  const words = [process.execPath, program, relay.hostname, relay.address, '2500', ca];
  const [enter, ...rest] = ['nsenter', '--target', String(relay.machine.pid), '--net', '--', ...words] as const;
  watcher = spawn(enter, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  watching = once(watcher, 'close');
  watcher.stdout?.on('data', (chunk: Buffer) => {
    watched += chunk.toString();
  });
});
afterAll(async () => {
  await lab.stop();
  await rm(scratch, { recursive: true });
});

describe('a deployment', () => {
  test.each(
    Array.from({ length: moments }, (_, moment) => ({ moment: moment + 1, how: ends[moment % ends.length] ?? 'cut' })),
  )(`$how at moment $moment of ${moments}: the next one ends it`, async ({ moment, how }) => {
    const [host, number] = placeOf(moment - 1);
    await renew();
    await stopAt(host, number);
    const running = deploy(true);
    const stopped = async () => (await host.machine.peek('/run/stopped')) === '' && host.machine.exists('/run/stopped');
    await expect.poll(stopped, { timeout: patienceMs, interval: 20 }).toBe(true);
    await expectPair(host);
    if (how === 'cut') await plug(host, 'down');
    else await lab.operator.sh(`pkill -${how} -x node`);
    const ended = await running;
    expect(ended.code).not.toBe(0);
    if (how === 'INT' || how === 'TERM') expect(ended.stdout).toContain('interrupted; nothing is half done');
    if (how === 'cut') await plug(host, 'up');
    await goOn(host);
    const { code, stdout } = await deploy(true);
    expect([code, stdout]).toEqual([
      0,
      expect.stringMatching(/^deploy: .*installed|already up to date|^nothing to deploy/mu),
    ]);
    await expectPair(host);
    expect(await servedSerial(desk, relay)).toBe([...serials].at(-1));
    for (const one of hosts) expect((await one.sh(`ls ${folder}`)).stdout).not.toMatch(/next|part|full/u);
  });

  test('that hangs does not put its old files over those of the next', async () => {
    await renew();
    const running = deploy(true);
    const waits = () => relay.machine.peek(`${folder}/saved/waiting`);
    await expect.poll(waits, { timeout: patienceMs, interval: 5 }).not.toBe('');
    // Like a laptop that sleeps: the connection stays.
    await lab.operator.sh('pkill -STOP -x ssh; pkill -KILL -x node');
    await running;
    await deploy();
    await lab.operator.sh('pkill -CONT -x ssh; pkill -TERM -x ssh', { anyExit: true });
    await relay.sh(`until ! pgrep -f '[n]ext/install.sh'; do sleep 0.1; done`);
    expect(await servedSerial(desk, relay)).toBe([...serials].at(-1));
  });

  // The test above shows each day that a host has one run at a time.
  test.each(isDeep ? ['two machines'] : [])('from %s at once leaves each host with what one of them has', async () => {
    await desk.run('mkdir second && cp -a settings.json certs hosts second');
    const second = new Desk(lab.operator, `${desk.folder}/second`);
    await renew(second);
    await renew();
    await Promise.all([deploy(true), second.run('relaycerts deploy --yes', true)]);
    for (const host of hosts) await expectPair(host);
    // Named hosts are visited, whatever was last seen there.
    await desk.run("relaycerts deploy --yes 'relayhost*' 'mailhost*'");
    expect(await servedSerial(desk, relay)).toBe([...serials].at(-1));
  });

  test('never made the relay serve a key with a certificate of another', async () => {
    watcher.stdin?.end();
    expect(await watching).toEqual([0, null]);
    const lines = watched.trim().split('\n');
    const served = lines.filter((line) => line.startsWith('served '));
    expect(served.length).toBeGreaterThan(moments * 20);
    expect(new Set(served.map((line) => line.slice('served '.length)).filter((one) => !serials.has(one)))).toEqual(
      new Set(),
    );
    // On a reload, Postfix opens its port again, and ends the earlier connections; a busy one still counts some of them.
    const other = lines.filter((line) => !/^(?:served |closed$|error (?:ECONN|EPIPE)|reply 421 )/u.test(line));
    expect(other).toEqual([]);
    for (const host of lab.homes) await deliver(host, lab.outside);
  });
});
