// Tests the lab itself, without our TLS: mail flows, ssh and rsync work as from an operator's machine, hosts are
// separate from each other and from the real machine, and nothing is left of them.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, readdir, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { adminAccount } from './lab/accounts.js';
import { patienceMs } from './lab/machine.js';
import { hasSettled, settle } from './lab/settled.js';

/** How many processes of the real machine live in one of these PID namespaces. */
async function countProcesses(namespaces: readonly string[]): Promise<number> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/pid`).catch(() => '')));
  return found.filter((namespace) => namespaces.includes(namespace)).length;
}

/** The mounts and network interfaces that this process sees. */
async function mountsAndLinks(): Promise<readonly string[]> {
  return [await readFile('/proc/self/mountinfo', 'utf8'), (await readdir('/sys/class/net')).join(' ')];
}

let lab: Lab;
let before: readonly string[];
beforeAll(async () => {
  before = await mountsAndLinks();
  lab = await startLab({ relays: 2, homes: 2 });
  // Each command makes its own connection here.
  await lab.operator.sh('rm .ssh/config');
});
afterAll(() => lab.stop());

describe('the lab', () => {
  test('mail reaches the outside MX through a relay, and no other way', async () => {
    const [relay] = lab.relays;
    const [home] = lab.homes;
    await relay.setMainCf({ mynetworks: `127.0.0.0/8 ${home.address}` });
    await relay.reload();

    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'blocked' });
    expect(await home.waitForDeferred()).toMatch(/mx\.example\.net.*:25: /);
    await home.setMainCf({ relayhost: '[relayhost.example.org]' });
    await home.reload();
    const mail = await lab.outside.waitForFlushed(home, 'blocked');
    expect(mail).toMatch(/^Received: from relayhost\.example\.org \(relayhost\.example\.org \[192\.0\.2\.11\]\)/m);
    expect(mail).toMatch(/^Received: from mailhost\.example\.org \(mailhost\.example\.org \[192\.0\.2\.31\]\)/m);
    expect(await relay.mailLog()).toContain('client=mailhost.example.org[192.0.2.31]');
    await home.waitForEmptyQueue();

    await lab.restore();
    expect((await relay.exec(['postconf', '-h', 'mynetworks'])).stdout).not.toContain(home.address);
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'again' });
    await home.waitForDeferred();
    await home.restorePostfix();
    expect(await home.queue()).toEqual([]);
  });

  test('a mail arrives although home reloads during its delivery', async () => {
    const [relay] = lab.relays;
    const [home] = lab.homes;
    await relay.setMainCf({ mynetworks: home.address });
    await relay.reload();
    await home.setMainCf({ relayhost: '[relayhost.example.org]' });
    await home.reload();
    await home.markLog();
    // The kernel accepts the connection, but nobody greets it.
    await relay.sh('pkill -STOP -x "master|smtpd"');
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'meanwhile' });
    const connections = async (): Promise<string> => (await home.exec(['ss', '-Htn', 'dport = :25'])).stdout;
    await expect.poll(connections, { timeout: patienceMs }).toContain('ESTAB');
    await home.exec(['postfix', 'reload']);
    await home.waitForLog(/: skipped, still being delivered/u);
    expect(await home.queue()).toHaveLength(1);
    await relay.sh('pkill -CONT -x "master|smtpd"');
    await lab.outside.waitForMail('meanwhile');
    await home.waitForEmptyQueue();
    await lab.restore();
  });

  test('a reload is over once who was there before it has ended', async () => {
    const [relay] = lab.relays;
    // master starts postlogd at the first line, and may not do it any more if a reload comes first.
    await relay.exec(['postlog', '-t', 'lab', 'a first line']);
    await relay.waitForLog(/ lab\S* a first line$/mu);
    const processes = async (): Promise<readonly string[]> =>
      (await relay.sh('pgrep -x "qmgr|pickup|smtpd|cleanup"')).stdout.trim().split('\n');
    const old = await processes();
    await relay.sh('pkill -STOP -x master');
    await relay.exec(['postfix', 'reload']);
    expect(await hasSettled(relay.machine)).toBe(false);
    await relay.sh('pkill -CONT -x master');
    await settle(relay.machine);
    const after = await processes();
    expect(old.filter((pid) => after.includes(pid))).toEqual([]);
  });

  test('a stock relay defers strangers, and its chrooted smtpd resolves names', async () => {
    const [relay] = lab.relays;
    const swaks = ['swaks', '--server', relay.hostname, '--from', 'a@example.org', '--to', 'b@example.net'];
    const refused = /connect from (\S+)\[192\.0\.2\.2\]/;
    const { code, stdout } = await lab.operator.exec([...swaks, '--quit-after', 'RCPT'], { anyExit: true });
    expect(code).not.toBe(0);
    expect(stdout).toContain('454 4.7.1 <b@example.net>: Relay access denied');
    expect((await relay.waitForLog(refused))[1]).toBe('operator.example.org');

    // The chroot is where smtpd looks: without a DNS server there, the same client has no name.
    const resolver = '/var/spool/postfix/etc/resolv.conf';
    const text = await relay.readFile(resolver);
    await relay.writeFile(resolver, 'nameserver 127.0.0.9\noptions timeout:1 attempts:1\n');
    await relay.reload();
    await relay.markLog();
    await lab.operator.exec([...swaks, '--quit-after', 'RCPT'], { anyExit: true });
    expect((await relay.waitForLog(refused))[1]).toBe('unknown');
    await relay.writeFile(resolver, text);
    await relay.reload();
  });

  test('ssh and rsync reach every host without a flag, as root and as a sudoer', async () => {
    const hosts = [...lab.relays, ...lab.homes, lab.outside];
    await lab.operator.sh('mkdir -p bundle && echo "for the host" > bundle/file');
    await Promise.all(
      hosts.map(async ({ hostname, machine }) => {
        const { stdout } = await lab.operator.exec(['ssh', `root@${hostname}`, 'id -u; hostname -f']);
        expect(stdout).toBe(`0\n${hostname}\n`);
        await lab.operator.exec(['rsync', '--archive', 'bundle/', `root@${hostname}:/etc/postfix/bundle/`]);
        expect(await machine.readFile('/etc/postfix/bundle/file')).toBe('for the host\n');
        const admin = await lab.operator.exec(['ssh', '-p', '2222', `admin@${hostname}`, 'id -un; sudo id -un']);
        expect(admin.stdout).toBe('admin\nroot\n');
        await lab.operator.exec([
          'rsync',
          '-a',
          '--rsync-path=sudo rsync',
          'bundle/',
          `admin@${hostname}:/root/bundle/`,
        ]);
        expect(await machine.exists('/root/bundle/file')).toBe(true);
      }),
    );
    const { uid } = adminAccount;
    expect((await lab.relays[0].machine.execAs(adminAccount, ['id', '-u'])).stdout).toBe(`${uid}\n`);
  });

  test('a host whose key the operator does not know is refused', async () => {
    await lab.operator.sh('cp .ssh/known_hosts kept && grep -v relayhost2 kept > .ssh/known_hosts');
    const { code, stderr } = await lab.operator.exec(['ssh', 'root@relayhost2.example.org', 'true'], { anyExit: true });
    await lab.operator.sh('mv kept .ssh/known_hosts');
    expect(code).toBe(255);
    expect(stderr).toContain('Host key verification failed');
  });

  test('hosts are apart from each other and from the machine that they run on', async () => {
    const [relay, relay2] = lab.relays;
    await relay.writeFile('/etc/postfix/mine', 'mine');
    await relay.writeFile('/tmp/relaycerts-lab-mine', 'mine');
    expect(await relay2?.machine.exists('/etc/postfix/mine')).toBe(false);
    await expect(readFile('/etc/postfix/mine')).rejects.toThrow('ENOENT');
    await expect(readFile('/tmp/relaycerts-lab-mine')).rejects.toThrow('ENOENT');
    expect((await relay.sh('touch /usr/bin/mine', { anyExit: true })).stderr).toContain('Read-only file system');
    for (const machine of lab.machines) {
      expect((await machine.exec(['ip', '-4', 'route', 'show', 'default'])).stdout).toBe('');
      expect((await machine.exec(['ip', '-6', 'route', 'show', 'default'])).stdout).toBe('');
    }
  });

  test('relaycerts of this checkout can be run by the operator', async () => {
    const { stdout } = await lab.operator.sh('command -v relaycerts; command -v node; node --version');
    expect(stdout).toBe(`/opt/bin/relaycerts\n/opt/bin/node\n${process.version}\n`);
    expect(await lab.operator.readFile('/opt/relaycerts/package.json')).toContain('"name": "relaycerts"');
  });

  test('a failure shows where and why', async () => {
    const [relay] = lab.relays;
    await expect(relay.sh('echo out; echo err >&2; exit 3')).rejects.toThrow(
      /relayhost\.example\.org: exit 3 [^]*out\nerr\n/,
    );
    await expect(relay.sh('sleep 5', { timeoutMs: 100 })).rejects.toThrow('no end after 100 ms');
    await expect(relay.waitForLog(/never logged/, 100)).rejects.toThrow('nothing matched /never logged/');
    await expect(lab.outside.waitForMail('never sent', 100)).rejects.toThrow('no mail "never sent"');
  });
});

describe('nothing is left', () => {
  test('after stop', async () => {
    const namespaces = lab.machines.map(({ namespace }) => namespace);
    expect(await countProcesses(namespaces)).toBeGreaterThan(lab.machines.length);
    await lab.stop();
    expect(await countProcesses(namespaces)).toBe(0);
    expect(await mountsAndLinks()).toEqual(before);
    await lab.stop();
  });

  test('after the test run was killed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'relaycerts-lab-test-'));
    try {
      const outfile = join(folder, 'machine.mjs');
      const source = fileURLToPath(new URL('lab/machine.ts', import.meta.url));
      await build({ entryPoints: [source], outfile, bundle: true, platform: 'node', format: 'esm' });
      const program = `const { bootMachine } = await import(${JSON.stringify(outfile)});
const machine = await bootMachine({ hostname: 'victim.example.org' });
await machine.sh('sleep 1000 > /dev/null 2>&1 & sleep 1000 > /dev/null 2>&1 &');
console.log(machine.namespace);`;
      const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const line: unknown = (await once(createInterface(child.stdout), 'line'))[0];
      const namespace = String(line);
      expect(await countProcesses([namespace])).toBe(4);
      child.kill('SIGKILL');
      await once(child, 'exit');
      await expect.poll(() => countProcesses([namespace]), { timeout: patienceMs }).toBe(0);
      expect(await mountsAndLinks()).toEqual(before);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
