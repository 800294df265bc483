// `relaycerts status`: its exit codes and formats.

import { createHash, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf, certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const day = 86_400_000;

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

/** The command run this many days from now. */
async function inDays(days: number, args: readonly string[]): Promise<Result> {
  const now = new Date(Date.now() + days * day);
  return project.run(args, { now });
}

interface Row {
  readonly host: string;
  readonly role: string;
  readonly state: string;
  readonly daysLeft: number | null;
  readonly why: string | null;
  readonly issued?: readonly Readonly<Record<'role' | 'state', string>>[];
}

function rowsOf(result: Result): readonly Row[] {
  return certificatesOf(result);
}

/** Messages about a bundle, on stderr. */
function staleBundle(host: string, files: string): string {
  return (
    `relaycerts: warning: the bundle of ${host} does not match its certificates (${files})\n` +
    'relaycerts: hint: relaycerts make\n'
  );
}

describe('status', () => {
  it('once all is installed: exit 0, one line per certificate', async () => {
    await noteAsInstalled(project);
    const before = treeOf(project.folder);
    const result = await project.run(['status']);
    expect([result.status, result.stderr]).toEqual([0, '']);
    const [counts, empty, ...lines] = result.stdout.trimEnd().split('\n');
    expect([counts, empty]).toEqual(['2 hosts: 2 ok; CA ok; passphrase ok', '']);
    expect(lines[0]).toMatch(/^HOST +ROLE +STATE +DAYS +EXPIRES$/u);
    expect(lines.slice(1).map((line) => line.split(/ {2,}/u).slice(0, 4))).toEqual([
      ['mailhost.example.org', 'smtp-client', 'ok', '397'],
      ['relayhost.example.org', 'smtpd-server', 'ok', '397'],
      ['example.org relay CA', 'ca', 'ok', '3649'],
    ]);
    expect(treeOf(project.folder)).toEqual(before);
  });

  it.each([
    [0, 0, 'ok', 0],
    [360, 0, 'ok', 0],
    [370, 3, 'due', 1],
    [392, 3, 'due', 2],
    [400, 3, 'expired', 2],
  ])('in %d days: exit %d, %s; as a plugin %d', async (days, code, state, plugin) => {
    await noteAsInstalled(project);
    const json = await inDays(days, ['status', '--json']);
    expect(json.status, json.stderr).toBe(code);
    expect(rowsOf(json)[0]).toMatchObject({ state });
    const nagios = await inDays(days, ['status', '--format', 'nagios']);
    expect(nagios.status).toBe(plugin);
    expect(nagios.stdout).toMatch(/^RELAYCERTS (OK|WARNING|CRITICAL) - [^|\n]+ \| ('[^']+'=-?\d+;30:;7: ?){3}\n$/u);
  });

  it('names the command for each state, with --settings if needed', async () => {
    const file = project.path('settings.json');
    for (const [days, state] of [
      [370, 'due'],
      [400, 'expired'],
    ] as const) {
      const words = (rows: readonly Row[]): readonly (string | undefined)[] =>
        rows.filter((row) => row.state === state).map(({ why }) => why?.split(': ')[1]);
      expect(words(rowsOf(await inDays(days, ['status', '--json'])))).toEqual(
        ['mailhost', 'relayhost'].map((name) => `relaycerts renew ${name}.example.org`),
      );
      const elsewhere = { cwd: '/', now: new Date(Date.now() + days * day) };
      const { stdout } = await project.run(['--settings', file, 'status', '--json'], elsewhere);
      expect(words(rowsOf({ stdout, stderr: '', status: 3 }))).toEqual(
        ['mailhost', 'relayhost'].map((name) => `relaycerts --settings ${file.slice(1)} renew ${name}.example.org`),
      );
    }
  });

  it('a CA that cuts what it signs: ok, with what to do about it', async () => {
    const days = 3650 - 390;
    expect((await inDays(days, ['renew'])).status).toBe(0);
    await noteAsInstalled(project);
    const table = await inDays(days, ['status']);
    expect([table.status, table.stderr]).toEqual([0, '']);
    expect(table.stdout).toMatch(
      /^example\.org relay CA .*\n {4}expires in .*:\n {4}relaycerts renew --ca, then install every host\n/mu,
    );
    const ca = rowsOf(await inDays(days, ['status', '--json'])).find(({ role }) => role === 'ca');
    expect(ca).toMatchObject({ state: 'ok' });
    expect(ca?.why).toContain('relaycerts renew --ca');
  });

  it('--warn and --critical move the borders', async () => {
    await noteAsInstalled(project);
    expect((await project.run(['status', '--warn', '397'])).status).toBe(0);
    const early = await project.run(['status', '--warn', '398', '--json']);
    expect(early.status).toBe(3);
    expect(rowsOf(early)[0]?.why).toMatch(/: relaycerts renew mailhost\.example\.org --force$/u);
    expect((await project.run(['status', '--format', 'nagios', '--warn', '398', '--critical', '398'])).status).toBe(2);
    expect((await project.run(['status', '--warn', 'soon'])).status).toBe(2);
    // Above --warn, and also for rows that are ok in the table: the verdict follows the performance data.
    const above = await project.run(['status', '--format', 'nagios', '--warn', '10', '--critical', '400']);
    expect([above.status, above.stdout]).toEqual([
      2,
      expect.stringMatching(
        /^RELAYCERTS CRITICAL - mailhost\.example\.org expires in 397 days, relayhost\.example\.org expires in 397 days \| 'mailhost\.example\.org'=397;10:;400: /u,
      ),
    ]);
    expect((await project.run(['status', '--format', 'nagios', '--warn', '10', '--critical', '397'])).status).toBe(0);
    const mixed = await project.run(['status', '--format', 'nagios', '--warn', '4000', '--critical', '400']);
    expect(mixed.stdout).toMatch(/ due \(397 days\), example\.org relay CA due \(3649 days\) \|/u);
    succeed(await project.run(['revoke', 'mailhost']));
    await noteAsInstalled(project);
    const revoked = await project.run(['status', '--format', 'nagios', '--warn', '10', '--critical', '400']);
    expect(revoked.stdout).toMatch(/^RELAYCERTS CRITICAL - relayhost\.example\.org expires in 397 days \|/u);
  });

  it('one day is not "1 days"', async () => {
    const rows = await inDays(396, ['status']);
    expect(rows.stdout).toMatch(/^ {4}expires in 1 day: /mu);
    expect((await inDays(396, ['make'])).stderr).toMatch(/ expires on \S+, in 1 day\n/u);
    expect((await inDays(396, ['status', '--format', 'nagios'])).stdout).toContain(' due (1 day), ');
  });

  it('--format nagios: a bar in the name of the CA does not begin the performance data', async () => {
    succeed(await project.run(['clean', '--yes']));
    project.settings(smallSettings({ ca: { commonName: "Ann's | CA" } }));
    succeed(await project.run(['make']));
    const { stdout } = await project.run(['status', '--format', 'nagios', '--role', 'ca']);
    expect(stdout).toMatch(/^RELAYCERTS OK - [^|\n]+ \| 'Ann_s _ CA'=\d+;30:;7:\n$/u);
  });

  it('--due: nothing if nothing needs care, otherwise only that', async () => {
    await noteAsInstalled(project);
    const well = await project.run(['status', '--due']);
    expect([well.status, well.stdout, well.stderr]).toEqual([0, '', '']);
    expect(rowsOf(await project.run(['status', '--due', '--json']))).toEqual([]);
    const due = await inDays(380, ['status', '--due']);
    expect(due.status).toBe(3);
    expect(due.stdout).toMatch(
      /^2 hosts: 2 due; CA ok; passphrase ok\n\nHOST [^\n]*\n(?:\S+ +smtp\S+ +due +1\d [^\n]*\n {4}expires in 1\d days:(?: |\n {4})relaycerts renew \S+\n){2}$/u,
    );
    expect(due.stderr).toBe('');
    rmSync(project.path('hosts/mailhost.example.org'), { recursive: true });
    const warned = await project.run(['status', '--due']);
    expect([warned.status, warned.stdout]).toEqual([3, '']);
    expect(warned.stderr).toContain('the bundle of mailhost.example.org');
  });

  it('--json and --format nagios exclude each other, in any order', async () => {
    for (const args of [
      ['status', '--json', '--format', 'nagios'],
      ['--json', 'status', '--format', 'nagios'],
    ]) {
      const [message, hint] = [
        '--json cannot be used with --format nagios, which is one line of text',
        'relaycerts status --json',
      ];
      const result = await project.run(args);
      expect(result).toMatchObject({
        status: 2,
        stderr: `relaycerts: error: ${message}\nrelaycerts: hint: ${hint}\n`,
      });
      expect(answerOf(result.stdout)).toMatchObject({ error: { code: 'usage', message, hint } });
    }
    expect((await project.run(['status', '--json', '--format', 'table'])).status).toBe(3);
  });

  it('reports what is missing, and what does not match', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    project.write(
      'certs/smtp-client/mailhost.example.org.crt.pem',
      project.read('certs/smtpd-server/relayhost.example.org.crt.pem'),
    );
    await noteAsInstalled(project, { hosts: ['relayhost'] });
    const result = await project.run(['status', '--json']);
    expect(result.status).toBe(3);
    expect(rowsOf(result).map(({ host, state }) => [host, state])).toEqual([
      ['mailhost.example.org', 'mismatched'],
      ['second.example.org', 'missing'],
      ['relayhost.example.org', 'ok'],
      ['example.org relay CA', 'ok'],
      ['.example.org-relaycerts-passphrase.gpg', 'ok'],
    ]);
  });

  it('a lost passphrase file needs attention, and make reports it too', async () => {
    rmSync(join(project.home, '.example.org-relaycerts-passphrase.gpg'));
    const lost = /warning: the passphrase file "[^"]*" is missing, and the CA's key cannot be opened without it/u;
    const hint = /^relaycerts: hint: restore it from a backup, .*--passphrase-fd N/mu;
    for (const [args, status] of [
      [['status'], 3],
      [['status', '--json'], 3],
      [['make'], 3],
      [['make', '--dry-run'], 3],
    ] as const) {
      const result = await project.run(args);
      expect(result.stderr, args.join(' ')).toMatch(lost);
      expect(result.stderr, args.join(' ')).toMatch(hint);
      expect(`${result.stdout}${result.stderr}`).not.toContain('is right');
      expect(result.status, args.join(' ')).toBe(status);
    }
    const nagios = await project.run(['status', '--format', 'nagios']);
    expect(nagios.stdout).toMatch(/^RELAYCERTS WARNING - [^|\n]*, the passphrase file [^|\n]* is missing/u);
    expect(nagios.status).toBe(1);
    expect(project.spawn(['make', '--passphrase-fd', '0'], { input: 'kept elsewhere' }).stderr).not.toMatch(lost);
  });

  it('a bundle that does not fit its certificates is named once', async () => {
    const [relay, home] = ['relayhost.example.org', 'mailhost.example.org'];
    const whole = `example.org-ca.crt.pem, ${home}.crt.pem, ${home}.key.pem, ${home}.chain.pem`;
    const cases: readonly (readonly [() => void, string])[] = [
      [() => project.write(`hosts/${relay}/relay_clientcerts`, ''), staleBundle(relay, 'relay_clientcerts')],
      [
        () => {
          const other = project.read(`hosts/${relay}/${relay}.crt.pem`);
          project.write(`hosts/${home}/${home}.crt.pem`, other);
        },
        staleBundle(home, `${home}.crt.pem`),
      ],
      [() => rmSync(project.path('hosts', home), { recursive: true }), staleBundle(home, whole)],
    ];
    await noteAsInstalled(project);
    for (const [spoil, said] of cases) {
      spoil();
      const before = treeOf(project.folder);
      for (const args of [['status'], ['status', '--json']]) {
        const result = await project.run(args);
        expect([result.status, result.stderr]).toEqual([3, said]);
        const states = rowsOf(await project.run(['status', '--json'])).map(({ state }) => state);
        expect(states).toEqual(['ok', 'ok', 'ok', 'ok']);
      }
      const nagios = await project.run(['status', '--format', 'nagios']);
      expect(nagios.status).toBe(1);
      expect(nagios.stdout).toMatch(/^RELAYCERTS WARNING - the bundle of \S+ does not match its certificates \(/u);
      expect(treeOf(project.folder)).toEqual(before);
      succeed(await project.run(['make']));
      expect(await project.run(['status'])).toMatchObject({ status: 0, stderr: '' });
    }
    rmSync(project.path('hosts', home), { recursive: true });
    const file = project.path('settings.json');
    const { stderr } = await project.run(['--settings', file, 'status'], { cwd: '/' });
    expect(stderr).toContain(`hint: relaycerts --settings ${file.slice(1)} make\n`);
  });

  it('reports nothing twice about a bundle, and nothing that is right', async () => {
    const [relay, home] = ['relayhost.example.org', 'mailhost.example.org'];
    rmSync(project.path(`hosts/${home}/${home}.chain.pem`));
    mkdirSync(project.path(`hosts/${home}/${home}.chain.pem`));
    const unreadable = await project.run(['status']);
    expect(unreadable.status).toBe(3);
    expect(unreadable.stderr.match(/warning: .*chain\.pem/gu)).toHaveLength(1);
    expect(unreadable.stderr).not.toContain('the bundle of');
    rmSync(project.path(`hosts/${home}/${home}.chain.pem`), { recursive: true });
    succeed(await project.run(['make']));
    // A host not made yet has no certificate and no bundle, and is in no table; a revoked one no longer has them.
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    expect((await project.run(['status'])).stderr).not.toContain('the bundle of');
    succeed(await project.run(['revoke', 'mailhost']));
    expect((await project.run(['status'])).stderr).not.toContain('the bundle of');
    // Hosts that are no longer in the settings are in no table either.
    succeed(await project.run(['make']));
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }] }));
    expect((await project.run(['status'])).stderr).toContain(`the bundle of ${relay} does not match its certificates`);
  });

  it('before make, everything is missing', async () => {
    rmSync(project.path('certs'), { recursive: true });
    const result = await project.run(['status', '--json']);
    expect(result.status).toBe(3);
    expect(rowsOf(result).map(({ state }) => state)).toEqual(['missing', 'missing', 'missing']);
  });

  it('a CA whose certificate is missing is not one that was never made', async () => {
    const whyOfCa = async (): Promise<string | null | undefined> =>
      rowsOf(await project.run(['status', '--json'])).find(({ role }) => role === 'ca')?.why;
    const bringBack = 'its certificate is missing: relaycerts make says how to restore it';
    rmSync(project.path('certs/ca/example.org-ca.crt.pem'));
    expect(await whyOfCa()).toBe(bringBack);
    const refused = await project.run(['make']);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringMatching(/hint: cp -p .*-ca\.crt\.pem /u)]);
    // Known only from the ledger.
    rmSync(project.path('certs/ca/example.org-ca.key.pem'));
    for (const name of ['certs/smtp-client', 'certs/smtpd-server', 'hosts']) {
      rmSync(project.path(name), { recursive: true });
    }
    expect(await whyOfCa()).toBe(bringBack);
    expect((await project.run(['make'])).stderr).toMatch(/missing, but ".*issued\.jsonl" shows that there was a CA/u);
    rmSync(project.path('certs/ca/issued.jsonl'));
    expect(await whyOfCa()).toBe('there is no CA yet: relaycerts make');
    // A key that has signed nothing gets its certificate.
    succeed(await project.run(['make']));
    rmSync(project.path('certs/ca/example.org-ca.crt.pem'));
    for (const name of ['smtp-client/mailhost', 'smtpd-server/relayhost']) {
      rmSync(project.path(`certs/${name}.example.org.crt.pem`));
    }
    expect(await whyOfCa()).toBe('its certificate is missing: relaycerts make');
    succeed(await project.run(['make']));
    await noteAsInstalled(project);
    expect((await project.run(['status'])).status).toBe(0);
  });

  it('names the CA that is about to end, and a leaf never outlives it', async () => {
    await project.run(['clean', '--yes']);
    project.settings(smallSettings({ ca: { validDays: 100 } }));
    expect((await project.run(['make'])).status).toBe(0);
    const rows = rowsOf(await project.run(['status', '--json']));
    expect(rows.map(({ daysLeft }) => daysLeft)).toEqual([99, 99, 99, null]);
    const later = async (days: number): Promise<readonly unknown[]> =>
      rowsOf(await inDays(days, ['status', '--json'])).map((row) => `${row.state} ${row.daysLeft}`);
    // An hour, and a day and an hour after the end.
    expect(await later(100)).toEqual(['expired 0', 'expired 0', 'expired 0', 'ok null']);
    expect(await later(101)).toEqual(['expired -1', 'expired -1', 'expired -1', 'ok null']);
    expect((await inDays(101, ['status'])).stdout).toMatch(/^mailhost\S* +smtp-client +expired +-1 /mu);
  });
});

/** The output of a line in docs/files.md, run by a shell. */
function answer(line: string): readonly string[] {
  const shell = `node=$1 program=$2; relaycerts() { "$node" "$program" "$@"; }; ${line}`;
  const { status, stdout, stderr } = project.spawn([], { under: ['sh', '-c', shell, 'sh'] });
  expect([status, stderr]).toEqual([0, '']);
  return stdout.trimEnd().split('\n').toSorted();
}

const read = (name: string): X509Certificate => new X509Certificate(project.read(`certs/${name}.crt.pem`));
const serialOf = (one: X509Certificate): string => one.serialNumber.toLowerCase();
const rowOf = (one: X509Certificate, host: string, state: string): string =>
  [serialOf(one), host, state, new Date(one.validTo).toISOString()].join('\t');

describe('what openssl ca has an index for', () => {
  const page = readFileSync(new URL('../../docs/files.md', import.meta.url), 'utf8');
  const lines = page.split('\n').filter((line) => line.startsWith('relaycerts status --json | jq'));

  it('the commands of docs/files.md list issued and revoked certificates', async () => {
    requireTools('jq');
    const [all = '', revoked = '', ...more] = lines;
    expect(more).toEqual([]);
    const home = 'mailhost.example.org';
    const first = read(`smtp-client/${home}`);
    succeed(await project.run(['renew', 'mailhost', '--force']));
    const second = read(`smtp-client/${home}`);
    succeed(await project.run(['renew', 'mailhost', '--rekey']));
    succeed(await project.run(['retire', 'mailhost']));
    const third = read(`smtp-client/${home}`);
    const others = [
      rowOf(read('ca/example.org-ca'), 'example.org relay CA', 'valid'),
      rowOf(read('smtpd-server/relayhost.example.org'), 'relayhost.example.org', 'valid'),
    ];
    const before = [rowOf(first, home, 'retired'), rowOf(second, home, 'retired')];
    expect(answer(all)).toEqual([...others, ...before, rowOf(third, home, 'valid')].toSorted());

    succeed(await project.run(['revoke', 'mailhost', '--reason', 'lost \u202e\u009b31m "it"']));
    expect(answer(all)).toEqual([...others, ...before, rowOf(third, home, 'revoked')].toSorted());
    const [told = '', ...none] = answer(revoked);
    const [serial, name, time, reason] = told.split('\t');
    expect([serial, name, reason]).toEqual([serialOf(third), home, 'lost \u202e\u009b31m "it"']);
    expect(Math.abs(Date.parse(time ?? '') - Date.now())).toBeLessThan(3_600_000);
    expect(none).toEqual([]);

    // The host's own row says which one it was; and no reason can control the terminal.
    const { stdout } = await project.run(['status', '--json']);
    expect(rowsOf({ status: 0, stdout, stderr: '' }).find(({ host }) => host === home)).toMatchObject({
      state: 'revoked',
      daysLeft: null,
      serial: serialOf(third),
      expires: new Date(third.validTo).toISOString(),
      pin: createHash('sha256')
        .update(third.publicKey.export({ type: 'spki', format: 'der' }))
        .digest('hex')
        .toUpperCase()
        .replaceAll(/(..)(?=.)/gu, '$1:'),
    });
    expect(stdout).not.toMatch(/[\u0080-\u009f\u202e]/u);
  });

  it('expired certificates are reported as expired', async () => {
    const [{ issued = [] } = {}] = rowsOf(await inDays(400, ['status', '--json'])).filter(({ role }) => role === 'ca');
    expect(issued.map(({ role, state }) => `${role} ${state}`).toSorted()).toEqual([
      'ca valid',
      'smtp-client expired',
      'smtpd-server expired',
    ]);
  });
});
