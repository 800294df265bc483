// `relaycerts status`: what the hosts have of what was made, which rows are shown, and how wide and long the output
// gets.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf, certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { home, relay } from '../support/refusals.js';
import { succeed } from '../support/succeed.js';
import { expectError } from '../support/untouched.js';

const clients = ['mailhost', 'laptop', 'shop1', 'shop2'];
const day = 86_400_000;

let project: Project;
beforeEach(async () => {
  project = makeProject(smallSettings({ smtpClients: clients.map((hostname) => ({ hostname })) }));
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

interface Row {
  readonly host: string;
  readonly role: string;
  readonly state: string;
  readonly why: string | null;
  readonly installed: boolean | null;
  readonly seen: string | null;
}

interface Answer {
  readonly counts: Readonly<Record<string, number>>;
  readonly install: readonly { readonly host: string; readonly why: readonly string[] }[];
  readonly warnings: readonly { readonly message: string; readonly hint: string | null }[];
}

const rowOf = async (host: string, now = new Date()): Promise<Row | undefined> =>
  certificatesOf<Row>(await project.run(['status', '--json'], { now })).find((row) => row.host === host);
const answer = async (): Promise<Answer> => answerOf<Answer>((await run('status', '--json')).stdout);

/** The first words of the lines of the table. */
function hostsIn({ stdout }: Result): readonly string[] {
  const lines = stdout.split('\n');
  const table = lines.slice(lines.findIndex((line) => line.startsWith('HOST ')) + 1);
  return table.filter((line) => /^\S+ +smtp/u.test(line)).map((line) => line.split(' ')[0] ?? '');
}

describe('what was made', () => {
  it('is not installed until the hosts are seen with it', async () => {
    const before = await run('status');
    expect([before.status, before.stderr]).toEqual([3, '']);
    expect(before.stdout).toMatch(/^5 hosts: 5 not-installed; CA ok; passphrase ok\n/u);
    expect(before.stdout).toMatch(
      new RegExp(
        `^${home} .* +not-installed +397 .*\n${relay} .*\n.*\n.*\n {4}made just now, but not seen on the host: relaycerts deploy$`,
        'mu',
      ),
    );
    expect((await answer()).install[0]).toEqual({ host: relay, why: ['never-seen'] });
    expect(await rowOf(home)).toMatchObject({ state: 'not-installed', installed: false, seen: null });
    expect((await rowOf('example.org relay CA'))?.installed).toBeNull();
    await noteAsInstalled(project, { hosts: ['mailhost'], seen: new Date('2026-11-01T00:00:00Z') });
    expect(await rowOf(home)).toMatchObject({ state: 'ok', installed: true, seen: '2026-11-01T00:00:00.000Z' });
    expect((await answer()).counts).toEqual({ 'not-installed': 4, ok: 1 });
    expect((await run('status')).status).toBe(3);
    await noteAsInstalled(project);
    expect(await run('status')).toMatchObject({ status: 0, stderr: '' });
    expect((await answer()).install).toEqual([]);
  });

  it('says how long ago it was made', async () => {
    for (const [milliseconds, said] of [
      [1000, 'just now'],
      [61_000, '1 minute ago'],
      [7_300_000, '2 hours ago'],
      [3 * day, '3 days ago'],
      [-day / 100, 'just now'],
    ] as const) {
      const row = await rowOf(home, new Date(Date.now() + milliseconds));
      expect(row?.why).toMatch(new RegExp(`^made ${said}, but not seen on the host: relaycerts deploy$`, 'u'));
    }
  });

  it.each<[string, readonly string[], Readonly<Record<string, readonly string[]>>]>([
    ['renew', ['renew', 'laptop', '--force'], { 'laptop.example.org': ['certificate'] }],
    ['another client', ['revoke', 'laptop'], { [relay]: ['table'] }],
    [
      'another CA certificate',
      ['renew', '--ca'],
      Object.fromEntries([relay, ...clients.map((name) => `${name}.example.org`)].map((name) => [name, ['ca']])),
    ],
  ])('after %s is not what the hosts have', async (_, args, differs) => {
    await noteAsInstalled(project, { seen: new Date(Date.now() - 3 * day) });
    succeed(await run(...args));
    const { install } = await answer();
    expect(Object.fromEntries(install.map(({ host, why }) => [host, why]))).toEqual(differs);
    expect((await run('status')).status).toBe(3);
    expect((await run('status', '--format', 'nagios')).status).toBe(1);
    const [host = ''] = Object.keys(differs);
    expect((await rowOf(host))?.why).toMatch(/; seen 3 days ago with another .*: relaycerts deploy$/u);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
  });

  it('with other settings is not what the hosts have: the port', async () => {
    await noteAsInstalled(project);
    const port = { smtpdServers: [{ hostname: 'relayhost', port: 2525 }] };
    project.settings(smallSettings({ smtpClients: clients.map((hostname) => ({ hostname })), ...port }));
    expect((await answer()).counts).toEqual({ 'not-installed': 5 });
    expect((await rowOf(relay))?.why).toContain('with another configuration');
  });

  it('of a relay that has an older table, names who may still relay', async () => {
    await noteAsInstalled(project, { seen: new Date(Date.now() - 1000) });
    succeed(await run('revoke', 'laptop'));
    expect((await rowOf(relay))?.why).toContain('so revoked clients may still relay (laptop.example.org)');
    // Once the relays have the table, it is over.
    await noteAsInstalled(project, { hosts: ['relayhost'] });
    await noteAsInstalled(project);
    expect(await run('status')).toMatchObject({ status: 0, stderr: '' });
    expect((await run('status')).stdout).toMatch(/^5 hosts: 1 revoked, 4 ok; /u);
    expect((await run('status', '--due')).stdout).toBe('');
    expect((await run('status', '--format', 'nagios')).status).toBe(0);
  });

  it('between two pins prints the order until the hosts have both', async () => {
    await noteAsInstalled(project);
    succeed(await run('renew', '--rekey', 'laptop'));
    const laptop = 'laptop.example.org';
    const order = `key change in progress, both pins listed; install the relays first, then ${laptop}: relaycerts deploy`;
    expect((await rowOf(laptop))?.why).toBe(order);
    // Mail flows, but with the old key.
    await noteAsInstalled(project, { hosts: ['relayhost'] });
    expect((await rowOf(laptop))?.why).toBe(order);
    await noteAsInstalled(project);
    expect((await rowOf(laptop))?.why).toBe(
      `key change in progress, both pins listed; when mail flows with the new key: relaycerts retire ${laptop}`,
    );
  });

  it('of a host that left the settings is still reported', async () => {
    await noteAsInstalled(project, { seen: new Date(Date.now() - 2 * day) });
    succeed(await run('remove', 'laptop'));
    await noteAsInstalled(project);
    const { status, stderr } = await run('status');
    expect(stderr).toContain(
      'laptop.example.org is no longer in the settings, but was seen installed 2 days ago: relaycerts deploy --undo laptop.example.org\n',
    );
    expect(status).toBe(0);
    succeed(await run('show', 'laptop.example.org', '--undo'));
  });

  it('is unknown if the file is damaged, which is reported', async () => {
    await noteAsInstalled(project);
    project.write('certs/installed.json', '{');
    const { status, stderr } = await run('status');
    expect([status, stderr]).toEqual([3, expect.stringMatching(/warning: ".*installed\.json" is damaged\n/u)]);
    expect((await answer()).counts).toEqual({ 'not-installed': 5 });
    expect((await answer()).warnings.map(({ hint }) => hint)).toEqual([
      'to look at every host again: relaycerts check',
    ]);
  });
});

describe('what is asked for', () => {
  it.each<[readonly string[], readonly string[]]>([
    [['mailhost'], [home]],
    [
      ['shop1.example.org', 'mailhost'],
      [home, 'shop1.example.org'],
    ],
    [['shop*'], ['shop1.example.org', 'shop2.example.org']],
    [['SHOP?'], ['shop1.example.org', 'shop2.example.org']],
    [['*.example.org', '--role', 'smtpd-server'], [relay]],
    [['*o*.org', 'l*p'], [...clients.map((name) => `${name}.example.org`), relay].toSorted()],
    [['--role', 'smtpd-server'], [relay]],
    [['--state', 'ok'], ['laptop.example.org']],
    [
      ['--state', 'not-installed', 's*'],
      ['shop1.example.org', 'shop2.example.org'],
    ],
    [['--due', '--role', 'smtpd-server'], [relay]],
  ])('%j', async (args, hosts) => {
    await noteAsInstalled(project, { hosts: ['laptop'] });
    const result = await run('status', ...args);
    expect(hostsIn(result).toSorted()).toEqual(hosts);
    expect(result.stdout).toMatch(new RegExp(`^${hosts.length} hosts?: `, 'u'));
    const rows = certificatesOf<Row>(await run('status', '--json', ...args));
    const named = rows.filter(({ role }) => role.startsWith('smtp'));
    expect(named.map(({ host }) => host).toSorted()).toEqual(hosts);
  });

  it('by name leaves out the CA, the passphrase and what is wrong elsewhere', async () => {
    await noteAsInstalled(project, { hosts: ['laptop'] });
    project.write('hosts/shop1.example.org/shop1.example.org.crt.pem', 'other');
    expect(await run('status', 'laptop')).toMatchObject({ status: 0, stderr: '' });
    expect((await run('status', 'laptop')).stdout).toMatch(/^1 host: 1 ok\n/u);
    expect((await run('status')).stderr).toContain('the bundle of shop1.example.org');
    expect((await run('status', 'shop*')).stderr).toContain('the bundle of shop1.example.org');
  });

  it('and is not there is an error', async () => {
    for (const word of ['nobody', 'x*', '?', '../*', '*'.repeat(200).concat('x')]) {
      const { status, stdout, stderr } = await run('status', word);
      expect([status, stdout], word).toEqual([2, '']);
      expect(stderr).toMatch(/^relaycerts: error: the settings have no host (?:like )?"/u);
    }
    expect((await run('status', '--role', 'relay')).stderr).toContain('smtpd-server, smtp-client, ca, passphrase');
    expect((await run('status', '--state', 'fine')).status).toBe(2);
  });

  it('of the CA or the passphrase', async () => {
    expect((await run('status', '--role', 'ca')).stdout).toMatch(/^CA ok\n\nHOST .*\nexample\.org relay CA +ca +ok /u);
    expect(await run('status', '--role', 'passphrase')).toMatchObject({ status: 0, stdout: 'passphrase ok\n' });
  });

  it('--wide has serial and pin', async () => {
    const { stdout } = await run('status', 'mailhost', '--wide');
    expect(stdout).toMatch(
      new RegExp(`^HOST .* EXPIRES +SERIAL +PIN\n${home} .* [0-9a-f]{32,40} +(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\n`, 'mu'),
    );
  });
});

const widest = ({ stdout }: Result): number => Math.max(...stdout.split('\n').map((line) => line.length));

describe('80 columns', () => {
  it('hold a host whose name is longer', async () => {
    const long = `${'a-very-long-label-'.repeat(3)}x.${'another-long-label-'.repeat(3)}x.example.org`;
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: long }] }));
    succeed(await run('make'));
    const { stdout } = await run('status');
    expect(stdout).toContain(`\n${long}\n`);
    const lines = stdout.split('\n').filter((line) => !line.includes(long));
    expect(widest({ status: 0, stderr: '', stdout: lines.join('\n') })).toBeLessThanOrEqual(80);
    expect(lines.some((line) => /^ +smtp-client +not-installed +397 /u.test(line))).toBe(true);
  });

  it('hold every state that a year brings', async () => {
    for (const days of [0, 380, 400, 3640, 3660]) {
      const now = new Date(Date.now() + days * day);
      expect(widest(await project.run(['status'], { now })), `${days}`).toBeLessThanOrEqual(80);
    }
    succeed(await run('renew', '--rekey', 'laptop'));
    succeed(await run('revoke', 'shop1'));
    succeed(await run('renew', '--ca', '--rekey'));
    expect(widest(await run('status'))).toBeLessThanOrEqual(80);
  });
});

describe('relaycerts with no command', () => {
  it('lists what needs attention, and the next command', async () => {
    const before = await run();
    expect(before.status).toBe(3);
    expect(before.stdout).toMatch(/^5 hosts: 5 not-installed; [^]*\nnext: relaycerts deploy\n$/u);
    await noteAsInstalled(project);
    expect(await run()).toEqual({
      status: 0,
      stdout: '5 hosts: 5 ok; CA ok; passphrase ok\nall commands: relaycerts --help\n',
      stderr: '',
    });
    const due = await project.run([], { now: new Date(Date.now() + 380 * day) });
    expect(due.stdout).toMatch(/\nnext: relaycerts renew --due\n$/u);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'other' }] }));
    const missing = await run();
    const next = /\nnext: relaycerts (.*)\n$/u.exec(missing.stdout)?.[1] ?? '';
    succeed(await run(...next.split(' ')));
    expect((await run('make', '--check')).status).toBe(0);
  });

  it('is the help before there are settings, and an error if they are wrong', async () => {
    const bare = makeProject(null);
    expect(await bare.run([])).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('Usage: relaycerts') as string,
    });
    expectError(await bare.run(['--settings', 'missing.json']), 2, /no settings file ".*missing\.json"/u, /wizard/u);
    bare.write('settings.json', '{');
    expect((await bare.run([])).status).toBe(2);
    bare.remove();
  });
});
