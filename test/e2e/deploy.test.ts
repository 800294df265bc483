// `deploy` on real hosts: from settings to mail in one command, in an order that loses none; a failure changes nothing
// on that host, and the next run continues.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { onlyBusybox } from '../support/other-systems.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { adminAccount } from './lab/accounts.js';
import { programMs, rootAccount, runProcess } from './lab/machine.js';
import { Shell } from './lab/newcomer.js';
import { Desk, contentOf, deliver, servedSerial } from './lab/operator.js';
import { folder } from '../support/folder.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let second: MailHost;
let home: MailHost;
let other: MailHost;

const settings = {
  smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
  smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2', sshUser: 'admin' }],
};
const before = new Map<MailHost, string>();

async function deploy(words = ''): Promise<string> {
  const { code, stdout, stderr } = await desk.run(`relaycerts deploy --yes ${words}`, true);
  expect(code, stdout + stderr).toBe(0);
  return stdout;
}

beforeAll(async () => {
  requireTools('openssl', 'bash', 'busybox');
  lab = await startLab({ relays: 2, homes: 2, faults: ['no-client-certificate'] });
  [relay, second = relay] = lab.relays;
  [home, other = home] = lab.homes;
  desk = new Desk(lab.operator);
  for (const host of [relay, second, home, other]) before.set(host, await contentOf(host));
  // What deploy sends runs with the shell and the tools that a host has; the other two have this release's.
  await second.sh('mount --bind "$(command -v bash)" "$(readlink -f /bin/sh)"');
  await home.sh(`set -e\nmount -t tmpfs none /mnt\n${onlyBusybox}`);
  await desk.make(settings);
});
afterAll(() => lab.stop());

describe('deploy', () => {
  test('asks on a terminal, and without one wants --yes', async () => {
    const { code, stderr } = await desk.run('relaycerts deploy', true);
    expect([code, stderr]).toEqual([2, expect.stringContaining('hint: relaycerts deploy --yes')]);
    expect(await contentOf(relay)).toBe(before.get(relay));
  });

  test('--dry-run lists the relays first, and changes nothing', async () => {
    const { stdout } = await desk.run('relaycerts deploy --dry-run');
    expect([...stdout.matchAll(/\d\. (\w+)\./gu)].map(([, name]) => name)).toEqual([
      'relayhost',
      'relayhost2',
      'mailhost',
      'mailhost2',
    ]);
    expect(await contentOf(relay)).toBe(before.get(relay));
  });

  test('from nothing: all hosts are set up, and mail flows', async () => {
    // Other logins share a connection (lab/accounts.ts).
    const logins = async (): Promise<number> =>
      Number((await other.sh('grep -c "Accepted publickey for admin " /var/log/sshd.log', { anyExit: true })).stdout);
    const earlier = await logins();
    expect(await deploy()).toContain('deploy: 4 installed');
    expect((await logins()) - earlier).toBe(1);
    await deliver(home, lab.outside);
    await deliver(other, lab.outside);
  });

  test('with nothing to do, prints one line', async () => {
    expect(await deploy()).toMatch(/^nothing to deploy: every host is up to date, as last seen .*\n$/u);
  });

  test('leaves keys readable only by root, and nothing temporary', async () => {
    const { stdout } = await home.sh(`stat -c '%a %U %n' ${folder}/*.key.pem ${folder}/*.chain.pem; ls ${folder}`);
    expect(stdout).toMatch(/^600 root \S+key\.pem\n600 root \S+chain\.pem\n/u);
    expect(stdout).not.toMatch(/next|install\.sh/u);
  });

  test('installs a renewal: the relay serves the new certificate', async () => {
    const old = await servedSerial(desk, relay);
    await desk.run('relaycerts renew --force relayhost mailhost');
    expect(await deploy()).toContain('deploy: 2 installed');
    expect(await servedSerial(desk, relay)).not.toBe(old);
    await deliver(home, lab.outside);
  });

  test('gives a client its new key after the relays list it', async () => {
    await desk.run('relaycerts renew --rekey mailhost');
    expect(await deploy()).toContain('deploy: 3 installed');
    await deliver(home, lab.outside);
    await desk.run('relaycerts retire mailhost');
    expect(await deploy()).toContain('deploy: 2 installed');
    await deliver(home, lab.outside);
  });

  test('a failed host is restored, others proceed, the next run finishes', async () => {
    await desk.run('relaycerts renew --force');
    const chain = `${folder}/mailhost.example.org.chain.pem`;
    const old = (await home.exec(['sha256sum', chain])).stdout;
    await home.exec(['postconf', '-M', 'bad/inet=bad inet n - - - - nothing']);
    await home.sh('echo broken >> /etc/postfix/master.cf');
    const { code, stdout, stderr } = await desk.run('relaycerts deploy --yes', true);
    expect([code, stdout]).toEqual([1, expect.stringContaining('3 installed, 1 failed')]);
    expect(stderr).toContain('mailhost.example.org: ');
    expect((await home.exec(['sha256sum', chain])).stdout).toBe(old);
    await home.sh("sed -i '/^broken$/d; /^bad /d' /etc/postfix/master.cf");
    expect(await deploy()).toContain('deploy: 1 installed');
    await deliver(home, lab.outside);
  });

  test('--undo gives everything back byte for byte', async () => {
    // A relay that homes still use is undone after them.
    const { stderr } = await desk.run(`relaycerts deploy --undo relayhost2 --dry-run`);
    const [, hint = ''] =
      /warning: mailhost\S*, mailhost2\S* still send through relayhost2\S*\n.* hint: relaycerts deploy (.*)\n/u.exec(
        stderr,
      ) ?? [];
    expect(await deploy(hint)).toContain('undo: 3 undone');
    expect(await deploy('--undo')).toContain('undo: 1 undone');
    for (const [host, content] of before) expect(await contentOf(host)).toBe(content);
  });
});

describe('a host that is this machine', () => {
  test.each([
    { what: 'the relay, as root', isRelay: true, account: rootAccount },
    { what: 'home, with sudo', isRelay: false, account: adminAccount },
  ])('$what: two commands, no ssh to it, and mail flows', async ({ isRelay, account }) => {
    const [here, there] = isRelay ? [relay, other] : [other, relay];
    const ssh = ['id_ed25519', 'known_hosts'].map((name) => lab.operator.readFile(`.ssh/${name}`));
    const [key = '', known = ''] = await Promise.all(ssh);
    await here.writeFile(`${account.home}/.ssh/id_ed25519`, key, '0600');
    await here.writeFile(
      `${account.home}/.ssh/known_hosts`,
      known
        .split('\n')
        .filter((line) => !line.includes(here.hostname))
        .join('\n'),
    );
    await here.sh(`chown -R ${account.uid}:${account.uid} ${account.home}`);
    const shell = await Shell.open(here.machine, { ...account, path: `/opt/bin:${account.path}` });
    await shell.run('relaycerts wizard', [
      ['Mail domain:', 'example.org'],
      ['Relay:', relay.hostname],
      ['Mail server at home:', other.hostname],
      ['This machine is:', ''],
      ['Write settings.json:', ''],
    ]);
    await shell.run('relaycerts deploy', [['Do this on these 2 hosts?', 'y']]);
    expect(shell.screen()).toContain(`This machine is: ${here.hostname}\n`);
    expect(shell.screen()).toContain('deploy: 2 installed');
    await deliver(other, lab.outside);
    await shell.run('relaycerts deploy --undo --yes');
    expect(shell.screen()).toContain('undo: 2 undone');
    shell.close();
    for (const host of [here, there]) {
      expect(await contentOf(host)).toBe(before.get(host));
      await host.sh(`rm -rf ${folder}`);
    }
  });
});

// Each in a root of its own (scripts/in-release.sh), whose Postfix, OpenSSL and shells are those of the release.
const releases = process.env['RELAYCERTS_DEEP'] === '1' ? ['bullseye', 'bookworm', 'trixie', 'sid'] : [];
test.each(releases)('all of this on Debian %s', async (release) => {
  const words = ['scripts/in-release.sh', release, 'vitest', 'run', '--project', 'e2e', 'test/e2e/deploy.test.ts'];
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/root' };
  const { code, stdout, stderr } = await runProcess(words, env, { timeoutMs: 4 * programMs });
  expect(code, stdout + stderr).toBe(0);
});
