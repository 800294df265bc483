// What can go wrong on a host during `deploy`: each failure has its own id, the host is restored, the other host gets
// what it should have, and after the fix the next deploy continues. And the key that may only renew.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver, servedSerial } from './lab/operator.js';
import { folder } from '../support/folder.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let fresh: string;

const settings = { smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] };
const withHome = (more: Readonly<Record<string, unknown>>) => ({
  ...settings,
  smtpClients: [{ hostname: 'mailhost', ...more }],
});

interface Outcome {
  readonly host: string;
  readonly outcome: string;
  readonly failure: { readonly id: string } | null;
}

const done = { host: 'mailhost.example.org', outcome: 'installed', failure: null, findings: [] };

interface Answer {
  readonly code: number;
  readonly hosts: readonly Outcome[];
}

async function deployJson(): Promise<Answer> {
  const { code, stdout, stderr } = await desk.run('relaycerts --json deploy --yes', true);
  expect(stdout, stderr).toMatch(/^\{/u);
  const { hosts } = JSON.parse(stdout) as { readonly hosts: readonly Outcome[] };
  return { code, hosts };
}

beforeAll(async () => {
  requireTools('bash', 'openssl', 'tcsh');
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  fresh = await contentOf(home);
  await desk.make(settings);
});
afterAll(() => lab.stop());

interface Fault {
  readonly id: string;
  readonly what: string;
  /** What is in the message. */
  readonly says?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly break?: () => Promise<unknown>;
  readonly mend?: () => Promise<unknown>;
}

const ssh = '/home/operator/.ssh';
const faults: readonly Fault[] = [
  { id: 'ssh-unreachable', what: 'a port where nobody listens', settings: withHome({ sshPort: 2223 }) },
  { id: 'ssh-unreachable', what: 'a name that does not exist', settings: withHome({ sshHost: 'gone.example.org' }) },
  { id: 'ssh-denied', what: 'a user that may not log in', settings: withHome({ sshUser: 'daemon' }) },
  {
    id: 'ssh-host-key',
    what: 'another host key',
    settings: withHome({ sshPort: 2222 }),
    break: () =>
      desk.run(`cp ${ssh}/known_hosts ${ssh}/kept
key=$(sed -n 's/^relayhost.example.org,[^ ]* //p' ${ssh}/kept | head -n 1)
ssh-keygen -q -t ed25519 -N '' -f ${ssh}/other
sed -i "/^.mailhost/s|ssh-ed25519 .*|$(cut -d ' ' -f 1,2 ${ssh}/other.pub)|" ${ssh}/known_hosts`),
    mend: () => desk.run(`mv ${ssh}/kept ${ssh}/known_hosts`),
  },
  {
    id: 'no-sudo',
    what: 'sudo that wants a password',
    settings: withHome({ sshUser: 'admin' }),
    break: () => home.writeFile('/etc/sudoers.d/admin', 'admin ALL=(ALL:ALL) ALL\n', '0440'),
    mend: () => home.writeFile('/etc/sudoers.d/admin', 'admin ALL=(ALL:ALL) NOPASSWD: ALL\n', '0440'),
  },
  {
    id: 'install-failed',
    what: 'a login shell that does nothing, with success',
    says: 'the login ended with 0, and ran no script',
    break: () => loginShell(home, '/bin/true'),
    mend: () => loginShell(home, '/bin/bash'),
  },
  {
    id: 'disk-full',
    what: 'a full disk',
    says: 'the disk with /etc/postfix/relaycerts/example.org is full',
    break: () => home.sh(`mkdir -p ${folder} && mount -t tmpfs -o size=4k,mode=700 tmpfs ${folder}`),
    mend: () => home.sh(`umount ${folder} && rmdir ${folder}`),
  },
  {
    id: 'disk-full',
    what: 'a full disk on which the folder cannot be made',
    says: 'the disk with /etc/postfix/relaycerts is full',
    break: () =>
      home.sh(`cp -a /etc/postfix /run/kept
mount -t tmpfs -o "mode=755,nr_inodes=$(find /run/kept | wc -l)" tmpfs /etc/postfix
cp -a /run/kept/. /etc/postfix`),
    mend: () => home.sh('umount /etc/postfix && rm -r /run/kept'),
  },
  {
    id: 'postfix-missing',
    what: 'no Postfix',
    break: () => home.sh('mount --bind /dev/null /usr/sbin/postconf'),
    mend: () => home.sh('umount /usr/sbin/postconf'),
  },
  {
    id: 'postfix-old',
    what: 'a Postfix that is too old',
    says: 'Postfix 3.3 is too old',
    break: () =>
      home.sh(`cp -p /usr/sbin/postconf /run/postconf
printf '%s\\n' '#!/bin/sh' '[ "$*" != "-dh mail_version" ] || exec echo 3.3.22' 'exec /run/postconf "$@"' >/run/old
chmod 755 /run/old && mount --bind /run/old /usr/sbin/postconf`),
    mend: () => home.sh('umount /usr/sbin/postconf'),
  },
  ...['tar', 'openssl'].map((program) => ({
    id: 'install-failed',
    what: `no ${program}`,
    says: `${program} is not installed`,
    break: () => home.sh(`mount --bind /dev/null /usr/bin/${program}`),
    mend: () => home.sh(`umount /usr/bin/${program}`),
  })),
  {
    id: 'postfix-check',
    what: 'a configuration that postfix check refuses',
    break: () => home.sh('cp -p /etc/postfix/main.cf /tmp/kept; postconf -e queue_directory=/nowhere'),
    mend: () => home.sh('cp -p /tmp/kept /etc/postfix/main.cf'),
  },
  {
    id: 'route-stops',
    what: 'a route that would stop',
    break: () =>
      home.sh(
        'cp -p /etc/postfix/main.cf /tmp/kept; postconf -e "sender_dependent_relayhost_maps=inline:{@a.example=[b.example]}"',
      ),
    mend: () => home.sh('cp -p /tmp/kept /etc/postfix/main.cf'),
  },
];

/** A new shell for root, whose logins are new connections. */
async function loginShell(host: MailHost, shell: string): Promise<void> {
  await host.sh(`sed -i 's,^\\(root:.*:\\).*,\\1${shell},' /etc/passwd`);
  await lab.operator.writeFile(`${ssh}/config`, 'ControlPath none\n', '0600');
}

const hinted = (id: string): unknown => expect.objectContaining({ id, hint: expect.any(String) as string });

describe('a failure at home', () => {
  test.each(faults)('$id: $what', async ({ id, says = '', settings: own = settings, break: spoil, mend }) => {
    await desk.settings(own);
    await spoil?.();
    const before = await contentOf(home);
    const { code, hosts } = await deployJson();
    expect(await contentOf(home)).toBe(before);
    await mend?.();
    expect(hosts.find(({ host }) => host === 'mailhost.example.org')).toMatchObject({
      outcome: 'failed',
      failure: { id, message: expect.stringContaining(says) as string },
    });
    const isOutOfReach = id.startsWith('ssh-') || id === 'no-sudo';
    if (isOutOfReach) expect(hosts).toContainEqual(expect.objectContaining({ failure: hinted(id) }));
    expect(code).toBe(1);
    // The relay was done in the first of these runs, and is not visited again.
    expect(hosts.filter(({ host, outcome }) => host !== 'mailhost.example.org' && outcome !== 'installed')).toEqual([]);
    expect((await home.sh(`ls ${folder} 2> /dev/null`, { anyExit: true })).stdout).not.toContain('mailhost');
  });

  test('is over once it is fixed: the next deploy continues', async () => {
    await desk.settings(settings);
    expect(await contentOf(home)).toBe(fresh);
    const { code, hosts } = await deployJson();
    expect([code, hosts]).toEqual([0, [done]]);
    await deliver(home, lab.outside);
  });
});

test('logins that print, are no POSIX shell, or are set up for a person', async () => {
  await desk.run('relaycerts renew --force');
  await loginShell(relay, '/bin/bash');
  await relay.writeFile('/root/.bashrc', String.raw`echo hello >&2; printf '\033]0;title\007Welcome '`);
  await loginShell(home, '/usr/bin/tcsh');
  const own =
    'ControlPath none\nRemoteCommand id\nRequestTTY force\nExitOnForwardFailure yes\nLocalForward 1 localhost:25\n';
  await lab.operator.writeFile(`${ssh}/config`, own, '0600');
  expect(await deployJson()).toMatchObject({ code: 0, hosts: [{ outcome: 'installed' }, { outcome: 'installed' }] });
  await desk.run('relaycerts --json check', true).then(({ stdout }) => expect(stdout).not.toContain('"ssh-'));
  await relay.sh('rm /root/.bashrc');
  await loginShell(home, '/bin/bash');
});

describe('a reload that Postfix does not survive', () => {
  test('restores the old bundle even on a full disk, and mail keeps flowing', async () => {
    await desk.run('relaycerts renew --force relayhost');
    const chain = `${folder}/relayhost.example.org.chain.pem`;
    const before = (await relay.exec(['sha256sum', chain])).stdout;
    await relay.sh(`cp -a ${folder} /run/kept && mount -t tmpfs -o size=2m,mode=700 tmpfs ${folder}
cp -a /run/kept/. ${folder}`);
    const { code, hosts } = await relay.withFailingReload(deployJson, `cat /dev/zero >${folder}/filled 2>/dev/null`);
    await relay.sh(`rm ${folder}/filled`);
    expect([code, hosts]).toMatchObject([
      1,
      [{ host: 'relayhost.example.org', outcome: 'failed', failure: { id: 'reload-failed' } }],
    ]);
    expect((await relay.exec(['sha256sum', chain])).stdout).toBe(before);
    await deliver(home, lab.outside);
    expect((await deployJson()).code).toBe(0);
  });
});

const refused = async (): Promise<unknown> => {
  const before = await contentOf(relay);
  const [serial, { code, hosts }] = [await servedSerial(desk, relay), await deployJson()];
  expect(await contentOf(relay)).toBe(before);
  expect(await servedSerial(desk, relay)).toBe(serial);
  expect([code, hosts.find(({ host }) => host === 'relayhost.example.org')?.outcome]).toEqual([1, 'failed']);
  return hosts.find(({ outcome }) => outcome === 'failed')?.failure?.id;
};

describe('a failure at the relay', () => {
  test('port-taken: another program listens on the new port', async () => {
    await desk.settings({ ...settings, smtpdServers: [{ hostname: 'relayhost', port: 2600 }] });
    const listen = `require('node:net').createServer().listen(2600)`;
    await relay.sh(`${process.execPath} -e "${listen}" </dev/null >/dev/null 2>&1 & echo $! >/run/other`);
    await relay.sh('until ss -Hltn sport = :2600 | grep -q .; do sleep 0.02; done');
    expect(await refused()).toBe('port-taken');
    await relay.sh('kill "$(cat /run/other)"');
    await desk.settings(settings);
  });

  test('verdict-bad: the live relay refuses our clients', async () => {
    const overrides = { smtpd_milters: 'inet:127.0.0.1:9' };
    await desk.settings({ ...settings, smtpdServers: [{ hostname: 'relayhost', overrides }] });
    expect(await refused()).toBe('verdict-bad');
    await desk.settings(settings);
  });

  test('verdict-bad: a home that it refuses gets its old certificate back', async () => {
    const chain = ['sha256sum', `${folder}/mailhost.example.org.chain.pem`];
    const before = (await home.exec(chain)).stdout;
    await relay.sh(`cp -p /etc/postfix/master.cf /tmp/kept
postconf -P 2500/inet/smtpd_client_restrictions=defer`);
    await relay.reload();
    await desk.run('relaycerts renew --force mailhost');
    expect(await deployJson()).toMatchObject({
      code: 1,
      hosts: [{ outcome: 'failed', failure: { id: 'verdict-bad' } }],
    });
    expect((await home.exec(chain)).stdout).toBe(before);
    await relay.sh('cp -p /tmp/kept /etc/postfix/master.cf');
    await relay.reload();
    expect(await deployJson()).toMatchObject({ code: 0, hosts: [done] });
  });
});

const logLevel = async (): Promise<string> =>
  (await home.exec(['postconf', '-P', 'relaycerts/unix/smtp_tls_loglevel'])).stdout;

describe('show --section renewal-timer', () => {
  test('an unattended run prints only what is wrong', async () => {
    const [script = ''] =
      /(?<=^# >>> relaycerts: run here\n)[^]*?(?=^# <<<)/mu.exec(await desk.show('--section renewal-timer')) ?? [];
    await desk.run(script);
    await desk.run('relaycerts renew --force mailhost');
    const quiet = await desk.run('sh renewal.sh', true);
    expect([quiet.code, quiet.stdout, quiet.stderr]).toEqual([0, '', '']);
    await deliver(home, lab.outside);

    await desk.run('relaycerts renew --force mailhost');
    await home.sh('mount --bind /dev/null /usr/sbin/postconf');
    const loud = await desk.run('sh renewal.sh', true);
    await home.sh('umount /usr/sbin/postconf');
    expect([loud.code, loud.stdout]).toEqual([1, expect.stringContaining('Postfix is not installed on mailhost')]);
  });

  test('its ssh key renews, and can do nothing else', async () => {
    await desk.run(`ssh-keygen -q -t ed25519 -N '' -f ${ssh}/limited`);
    const key = (await desk.run(`cat ${ssh}/limited.pub`)).stdout.trim();
    const shown = await desk.show('--section renewal-timer');
    const [line = ''] = /(?<=authorized_keys on mailhost\.example\.org\n).*$/mu.exec(shown) ?? [];
    const own = await home.readFile('/root/.ssh/authorized_keys');
    await home.writeFile('/root/.ssh/authorized_keys', `${line.replace('KEY', key)}\n`, '0600');
    const config = (await desk.run(`cat ${ssh}/config`)).stdout;
    const limited = `Host mailhost.example.org\n  ControlPath none\n  IdentityFile ${ssh}/limited\n  IdentitiesOnly yes\n`;
    await lab.operator.writeFile(`${ssh}/config`, `${limited}Host *\n${config}`, '0600');

    const login = await desk.run('ssh root@mailhost.example.org id < /dev/null', true);
    expect([login.code, login.stdout]).toEqual([1, 'relaycerts: outcome: key-limited\n']);
    const silent = await desk.run('sh renewal.sh', true);
    expect([silent.code, silent.stdout, silent.stderr]).toEqual([0, '', '']);
    await deliver(home, lab.outside);
    const { stdout } = await desk.run('relaycerts check mailhost');
    expect(stdout).toContain('log in with an ssh key that is not limited');
    const undone = await desk.run('relaycerts --json deploy --undo mailhost --yes', true);
    expect(undone.stdout).toContain('"id": "key-limited"');
    const other = `cd "$(mktemp -d)" && : >other && tar -cf sent other
{ echo "archive $(wc -c <sent)"; cat sent; } | ssh root@mailhost.example.org`;
    expect((await desk.run(other, true)).stdout).toBe('relaycerts: outcome: key-limited\n');
    // The next run would have taken what the link stands for as its script.
    const link = other.replace(
      ': >other && tar -cf sent other',
      'ln -s ../next/x install.sh && tar -cf sent install.sh',
    );
    expect(await desk.run(link, true)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('has more than files') as string,
    });
    // Settings that the script would change now are not changed with the limited key, and deploy knows it.
    await desk.settings(withHome({ tlsLogLevel: 2 }));
    await desk.run('relaycerts renew --force mailhost');
    const limit = { outcome: 'installed', findings: [{ id: 'key-limited' }] };
    expect(await deployJson()).toMatchObject({ code: 1, hosts: [limit] });
    expect(await logLevel()).toContain('= 1');
    expect(await deployJson()).toMatchObject({ code: 1, hosts: [{ ...limit, outcome: 'unchanged' }] });

    await home.writeFile('/root/.ssh/authorized_keys', own, '0600');
    await lab.operator.writeFile(`${ssh}/config`, config, '0600');
    expect(await deployJson()).toEqual({ code: 0, hosts: [done] });
    expect(await logLevel()).toContain('= 2');
  });
});
