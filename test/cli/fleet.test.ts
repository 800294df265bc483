// A fleet: more hosts than a person can read about. The output is limited, completed batches survive an interruption,
// and notes about clients that are right change no judgement.

import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeVisitors } from '../../src/check/trials.js';
import { changing } from '../../src/commands/run.js';
import { changeHost } from '../../src/plan/inventory.js';
import { readSettings } from '../../src/settings/load.js';
import { readInventory } from '../../src/store/read.js';
import type { Sys } from '../../src/sys/sys.js';
import { commandsIn, installs } from '../support/now-run.js';
import { answerOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { copyOf, makeProject, program, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

const count = 600;
const names = Array.from({ length: count }, (_, index) => `c${index}`);
let made: Project;
let printed: { readonly stdout: string; readonly stderr: string };
beforeAll(async () => {
  made = makeProject(null);
  const hosts = { domain: 'example.org', smtpdServers: [{ hostname: 'relayhost' }], smtpClients: { file: 'c.csv' } };
  made.write('settings.json', JSON.stringify(hosts));
  made.write('c.csv', `hostname\n${names.join('\n')}\n`);
  printed = succeed(await made.run(['make']));
});
afterAll(() => made.remove());

const noteOf = (project: Project): string => {
  const folder = join(project.home, '.config/relaycerts');
  const [name = ''] = readdirSync(folder).filter((file) => file.endsWith('.known'));
  return join(folder, name);
};

describe('a fleet', () => {
  it('is made whole, and the second make has nothing to do', async () => {
    for (const name of ['relayhost', 'c0', `c${count - 1}`]) {
      expect(made.read('hosts', `${name}.example.org`, `${name}.example.org.chain.pem`)).toContain('CERTIFICATE');
    }
    const table = made.read('hosts/relayhost.example.org/relay_clientcerts');
    expect(table.match(/^[0-9A-F]{2}:/gmu)).toHaveLength(count);
    const again = succeed(await made.run(['make']));
    expect([again.stdout, again.stderr]).toEqual(['', expect.stringContaining('nothing to make')]);
  });

  it('prints no more than a person reads, and one command for all', () => {
    expect(printed.stderr.split('\n').length).toBeLessThan(20);
    expect(printed.stderr).toContain(`made the keys and certificates of ${count + 1} hosts, 398 days\n`);
    expect(printed.stderr.match(/made the bundles? .*/gu)).toEqual([`made the bundles of ${count + 1} hosts: hosts`]);
    expect(printed.stdout.split('\n').length).toBeLessThan(10);
    expect(commandsIn(printed.stdout)).toEqual([installs(), 'relaycerts show c0 --section verify']);
  });

  it('prints only the client that is new', async () => {
    const project = copyOf(made);
    project.write('c.csv', `hostname\n${names.join('\n')}\nnewcomer\n`);
    const { stdout } = succeed(await project.run(['make']));
    expect(commandsIn(stdout).slice(0, 1)).toEqual([installs('relayhost', 'newcomer')]);
    expect(stdout).not.toContain('c7');
    project.remove();
  });

  it('is not listed host by host if nothing is due', async () => {
    const { stderr } = succeed(await made.run(['renew']));
    expect(stderr).toContain(`${count + 1} hosts are not due`);
    expect(stderr.split('\n').length).toBeLessThan(5);
  });
});

describe('of a fleet', () => {
  it('status shows the most urgent, and how to see the others', async () => {
    const { status, stdout, stderr } = await made.run(['status']);
    expect([status, stderr]).toEqual([3, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(`${count + 1} hosts: ${count + 1} not-installed; CA ok; passphrase ok`);
    expect(lines.length).toBeLessThan(30);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    const [, rest = ''] = /^581 more not-installed: relaycerts (.*)$/mu.exec(stdout) ?? [];
    expect(rest).toBe('status --state not-installed');
    expect(stdout).toContain('\nall that are not-installed: relaycerts deploy\n');
    const all = await made.run(rest.split(' '));
    expect(all.stdout.match(/^\S+ +smtp/gmu)).toHaveLength(count + 1);
    const named = (await made.run(['status', 'c7', 'c9?'])).stdout;
    expect(named.match(/^c\d+\.example\.org /gmu)).toHaveLength(11);
    expect(named.match(/^ {4}made /gmu), 'the same reason, once').toHaveLength(1);
    expect((await made.run([])).stdout.trimEnd().split('\n').length).toBeLessThan(30);
  });

  it('status is short if all is well, and a monitor gets one short line', async () => {
    const project = copyOf(made);
    await noteAsInstalled(project);
    const well = succeed(await project.run(['status']));
    expect(well.stdout).toBe(`${count + 1} hosts: ${count + 1} ok; CA ok; passphrase ok\n`);
    const { stdout } = await project.run(['status', '--format', 'nagios']);
    expect(stdout).toMatch(/^RELAYCERTS OK - 602 certificates, .* \| 'days'=397;30:;7: 'ok'=601\n$/u);
    expect((await made.run(['status', '--format', 'nagios'])).stdout).toMatch(
      /^RELAYCERTS WARNING - (?:\S+ not-installed \(397 days\),? ){5}and 596 more \| 'days'=397;30:;7: 'not-installed'=601\n$/u,
    );
    project.remove();
  });

  it('a fault of all bundles is not repeated for each', async () => {
    const project = copyOf(made);
    for (const name of names) writeFileSync(project.path(`hosts/${name}.example.org/${name}.example.org.crt.pem`), '');
    writeFileSync(project.path('certs/ca/issued.jsonl'), 'not a line\n', { flag: 'a' });
    const { status, stderr } = await project.run(['status']);
    expect([status, stderr.split('\n').length < 50]).toEqual([3, true]);
    expect(stderr).toContain('issued.jsonl" has damaged lines, which are skipped: 1\n');
    expect(stderr).toContain('more like this\nrelaycerts: hint: for all of them: relaycerts status --json\n');
    const { stdout } = await project.run(['status', '--json']);
    expect(answerOf<{ readonly warnings: readonly unknown[] }>(stdout).warnings).toHaveLength(count + 1);
    project.remove();
  });

  it('what is due does not hide that a revoked client comes back', async () => {
    const project = copyOf(made);
    const paths = ['key', 'crt'].map((part) => project.path(`certs/smtp-client/c5.example.org.${part}.pem`));
    const saved = paths.map((path) => readFileSync(path));
    succeed(await project.run(['revoke', 'c5']));
    rmSync(project.path('certs/revoked'), { recursive: true });
    for (const [at, path] of paths.entries()) writeFileSync(path, saved[at] ?? '', { mode: 0o600 });
    const now = new Date(Date.now() + 380 * 86_400_000);
    const { stderr } = await project.run(['make', '--dry-run'], { now });
    expect(stderr).toContain('warning: c5.example.org comes back: ');
    expect((await project.run(['check', '--offline'], { now })).stdout).toContain('c5.example.org comes back: ');
    expect(stderr).toContain(' more like this\n');
    project.remove();
  });

  it.each([
    ['make', 25],
    ['make --dry-run', 25],
    ['status', 30],
    ['check --offline', 100],
  ])('what is due is not said of each by %s', async (words, most) => {
    const now = new Date(Date.now() + 380 * 86_400_000);
    const { stdout, stderr } = await made.run(words.split(' '), { now });
    expect((stdout + stderr).split('\n').length).toBeLessThanOrEqual(most);
    if (words === 'status') return;
    const named = /for all of them: relaycerts (.*)$/mu.exec(stderr)?.[1];
    expect(named ?? stdout).toMatch(/^status --json$|more findings; to see all of them, run it again with --json$/mu);
    const all = await made.run((named ?? `${words} --json`).split(' '), { now });
    expect(JSON.stringify(answerOf(all.stdout))).toContain(`c${count - 1}.example.org`);
  });

  it('what waits, or is made for one reason, is not said of each', async () => {
    const project = copyOf(made);
    const some = names.slice(0, 30);
    succeed(await project.run(['renew', '--rekey', ...some]));
    const blocked = await project.run(['renew', '--rekey', ...some]);
    expect([blocked.status, blocked.stderr.split('\n').length < 30]).toEqual([1, true]);
    expect(blocked.stderr).toContain('warning: 20 more like this\n');
    project.write('c.csv', `hostname,altNames\n${names.map((name) => `${name},m-${name}`).join('\n')}\n`);
    const { stdout, stderr } = await project.run(['make', '--dry-run']);
    expect(stderr.split('\n').length).toBeLessThan(30);
    expect(stdout.split('\n').length).toBeLessThan(50);
    const [, every = ''] = /\n {2}and \d{3,} more; all of them: relaycerts (.*)\n$/u.exec(stdout) ?? [];
    expect(succeed(await project.run(every.split(' '))).stdout).toContain(`c${count - 1}.example.org.crt.pem`);
    expect(succeed(await project.run(['retire', ...names.slice(30)])).stderr).toMatch(
      /nothing to retire: no old pin of .* and 565 more is listed\n$/u,
    );
    expect(stderr).toContain(' more get a new one for the same key\n');
    for (const name of names) project.write(`certs/smtp-client/${name}.example.org.crt.pem`, '');
    const broken = await project.run(['make']);
    expect([broken.status, broken.stderr.split('\n').length]).toEqual([1, 203]);
    expect(broken.stderr).toContain(`error: ${count - 100} more like this\nrelaycerts: hint: for all of them, run it`);
    project.remove();
  });

  it('show says who there is, and prints what is named', async () => {
    const { stdout } = succeed(await made.run(['show']));
    expect(stdout.split('\n')).toHaveLength(6);
    expect(stdout).toMatch(
      /^there are 601 hosts, .*\n1 smtpd-server: relayhost\S*\n600 smtp-client: .* and 595 more\n/u,
    );
    const [one = [], all = []] = [...stdout.matchAll(/^for \w+: relaycerts (.*)$/gmu)].map(([, words = '']) =>
      words.replaceAll("'", '').split(' '),
    );
    expect(succeed(await made.run(one)).stdout).toContain('relayhost.example.org: smtpd-server');
    const each = succeed(await made.run([...all, '--section', 'verify'])).stdout;
    expect(each.match(/^# >>> relaycerts: /gmu)?.length).toBeGreaterThan(count);
    expect(succeed(await made.run(['show', 'c1?'])).stdout.match(/^c1\d\.example\.org: smtp-client/gmu)).toHaveLength(
      10,
    );
    const asked = await made.run(['show', '--json']);
    expect([asked.status, asked.stderr]).toEqual([2, expect.stringContaining("relaycerts show '*' --json\n")]);
  });
});

/** In place, to other bytes of the same length; doing it again undoes it. */
function bend(project: Project, path: string, at: number): void {
  const file = openSync(join(project.folder, path), 'r+');
  const octet = Buffer.alloc(1);
  readSync(file, octet, 0, 1, at);
  writeSync(file, Buffer.from([(octet[0] ?? 0) ^ 1]), 0, 1, at);
  closeSync(file);
}

it('says what the parts before a failure have made', async () => {
  const project = copyOf(made);
  const said: unknown[] = [];
  const sys = Object.create(project.sys(), { say: { value: (...words: unknown[]) => said.push(words) } }) as Sys;
  rmSync(project.path('hosts/c5.example.org'), { recursive: true });
  const failing = changing({ settings: project.path('settings.json'), json: false }, sys, async (frame) => {
    const { inventory, commit } = frame;
    const hosts = inventory.hosts.map((one) => (one.bundle.size === 0 ? changeHost(one, {}) : one));
    const nothing = { entries: [], keeps: [], removes: [], done: [], tell: () => '', answer: () => '' };
    await commit({ ...nothing, after: { ...inventory, hosts }, isPart: true });
    throw new Error('the next part fails');
  });
  await expect(failing).rejects.toThrow('the next part fails');
  expect(said).toEqual([['made the bundle', project.path('hosts/c5.example.org')]]);
  project.remove();
});

describe('Ctrl-C', () => {
  it('keeps completed batches, and the next command continues', async () => {
    let project = beginFleet();
    await untilInTime(async (isFirst) => {
      if (!isFirst) {
        project.remove();
        project = beginFleet();
      }
      return interruptAfterBatch(project, ['make']);
    });
    const listed = (): readonly string[] => readdirSync(project.path('certs/smtp-client')).filter(isCertificate);
    // A batch that was committed is carried out by the next command, if the signal came in the middle of it.
    await project.run(['status']);
    const first = listed();
    expect(wholeBatches).toContain(first.length);
    const before = project.read('certs/smtp-client/c7.example.org.crt.pem');
    succeed(await project.run(['make']));
    expect(listed()).toHaveLength(750);
    expect(project.read('certs/smtp-client/c7.example.org.crt.pem')).toBe(before);
    const table = project.read('hosts/relayhost.example.org/relay_clientcerts');
    expect(table.match(/^[0-9A-F]{2}:/gmu)).toHaveLength(750);

    const certificates = (): readonly string[] => listed().map((name) => project.read('certs/smtp-client', name));
    let old: readonly string[] = [];
    await untilInTime(async () => {
      old = certificates();
      return interruptAfterBatch(project, ['renew', '--force']);
    });
    await project.run(['status']);
    const renewed = certificates().filter((certificate, index) => certificate !== old[index]);
    expect(wholeBatches).toContain(renewed.length);
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
    project.remove();
  });
});

/** Clients after each batch of 250 hosts, the first of which is the relay. */
const wholeBatches = [249, 499, 749, 750];

const isCertificate = (name: string): boolean => name.endsWith('.crt.pem');

function beginFleet(): Project {
  const empty = makeProject(null);
  empty.write('settings.json', made.read('settings.json'));
  empty.write('c.csv', `hostname\n${Array.from({ length: 750 }, (_, index) => `c${index}`).join('\n')}\n`);
  return empty;
}

/** Again if the command was done first: the signal of a busy process comes too late sometimes. */
async function untilInTime(interrupt: (isFirst: boolean) => Promise<number | null>): Promise<void> {
  let code = await interrupt(true);
  for (let more = 10; code === 0 && more > 0; more -= 1) code = await interrupt(false);
  expect(code).toBe(130);
}

/** Interrupts a command when it prints a detail of the second batch, so that the first is done; returns its exit code. */
async function interruptAfterBatch(project: Project, words: readonly string[]): Promise<number | null> {
  const child = spawn(process.execPath, [program, ...words, '--verbose'], {
    cwd: project.folder,
    env: { PATH: process.env['PATH'], HOME: project.home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    if (said.includes('the bundle of c300.')) child.kill('SIGINT');
  });
  // It ends by the signal, which a shell shows as 130.
  return new Promise((resolve) => child.once('close', (code, signal) => resolve(signal === 'SIGINT' ? 130 : code)));
}

describe('what is noted of clients that are right', () => {
  // A pin of the first record: header, name, six files, two dates.
  const pinAt = 32 + 16 + 16 + 16;
  let project: Project;
  beforeAll(async () => {
    project = copyOf(made);
    // A copy is another file, and old enough after a tick of the clock.
    for (let run = 0; run < 2; run += 1) succeed(await project.run(['make']));
  });
  afterAll(() => project.remove());

  it('is for this user, and for a fleet only', async () => {
    expect(statSync(noteOf(made)).mode & 0o777).toBe(0o600);
    const small = makeProject();
    succeed(await small.run(['make']));
    expect(readdirSync(join(small.home, '.config/relaycerts'))).toEqual(['operator-key.asc']);
    small.remove();
  });

  it('spares reading their files, unless others could have written it', async () => {
    const note = readFileSync(noteOf(project));
    const bent = Buffer.from(note);
    for (const digest of [pinAt, pinAt + 32]) bent[digest] = (bent[digest] ?? 0) ^ 1;
    await noteAsInstalled(project);
    const pins = succeed(await project.run(['fingerprint'])).stdout;
    writeFileSync(noteOf(project), bent);
    expect(succeed(await project.run(['fingerprint'])).stdout).not.toBe(pins);
    expect((await project.run(['status', 'c0', '--json'])).stdout).toContain('with another certificate');
    expect(succeed(await project.run(['make', '--dry-run'])).stdout).toContain('relay_clientcerts');
    chmodSync(noteOf(project), 0o660);
    expect(succeed(await project.run(['fingerprint'])).stdout).toBe(pins);
    expect(succeed(await project.run(['make', '--dry-run'])).stdout).toContain('nothing to make');
    writeFileSync(noteOf(project), note);
    chmodSync(noteOf(project), 0o600);
  });

  it('hides nothing that was changed in place, in the same length', async () => {
    const certificate = 'certs/smtp-client/c3.example.org.crt.pem';
    bend(project, certificate, 300);
    const { status, stderr } = await project.run(['make']);
    expect([status, stderr]).toEqual([1, expect.stringContaining('c3.example.org.crt.pem')]);
    bend(project, certificate, 300);
    const chain = 'hosts/c4.example.org/c4.example.org.chain.pem';
    const before = project.read(chain);
    bend(project, chain, 40);
    expect(succeed(await project.run(['make'])).stderr).toMatch(/made the bundle: \S*c4\.example\.org/u);
    expect(project.read(chain)).toBe(before);
  });

  it('hides no key that others may read since', async () => {
    const key = join(project.folder, 'certs/smtp-client/c5.example.org.key.pem');
    chmodSync(key, 0o644);
    expect((await project.run(['make'])).stderr).toContain('c5.example.org.key.pem" can be read or changed by others');
    chmodSync(key, 0o600);
  });

  it('is void under other settings, and for a client with other names', async () => {
    const settings = project.read('settings.json');
    const other: object = { ...(JSON.parse(settings) as object), certificates: { validDays: 90 } };
    project.write('settings.json', JSON.stringify(other));
    const { stderr } = succeed(await project.run(['make', '--dry-run']));
    expect(stderr).toContain(`certificates.validDays (90) is not what ${count + 1} certificates have`);
    project.write('settings.json', settings);
    const rows = names.map((name) => `${name},${name === 'c6' ? 'other.example.org' : ''}`);
    project.write('c.csv', `hostname,altNames\n${rows.join('\n')}\n`);
    const { stdout } = succeed(await project.run(['make', '--dry-run']));
    expect(stdout).toContain('c6.example.org');
    expect(stdout).not.toContain('c7.example.org');
    project.write('c.csv', `hostname\n${names.join('\n')}\n`);
  });

  it('changes nothing that a command prints', async () => {
    const withNote = await allSay(project, true);
    expect(await allSay(project, false)).toEqual(withNote);
  });

  it('keeps no client from trying a relay', async () => {
    const sys = project.sys();
    const settings = await readSettings(project.path('settings.json'), sys);
    const inventory = await readInventory(settings, sys);
    const { clients, absent } = await makeVisitors(settings, inventory, undefined, new Date());
    expect([clients.length, absent]).toEqual([count, []]);
    expect(String(clients[7]?.shown.key)).toContain('PRIVATE KEY');
  });

  it('is not missed if it is damaged', async () => {
    writeFileSync(noteOf(project), 'no record\n', { mode: 0o600 });
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
  });

  it('keeps no client that gets another certificate, or is revoked', async () => {
    succeed(await project.run(['renew', 'c8', '--force']));
    succeed(await project.run(['renew', 'c9', '--rekey']));
    succeed(await project.run(['revoke', 'c10']));
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
    const table = project.read('hosts/relayhost.example.org/relay_clientcerts');
    expect([table.includes(' c10.example.org'), table.match(/ c9\.example\.org\n/gu)?.length]).toEqual([false, 2]);
  });
});

async function allSay(project: Project, hasNote: boolean): Promise<readonly unknown[]> {
  const said = [];
  for (const command of [
    ['status', '--json'],
    ['renew', '--due'],
    ['show', 'c9', '--json'],
    ['fingerprint'],
    ['make', '--dry-run'],
  ]) {
    if (!hasNote) rmSync(noteOf(project));
    said.push(await project.run(command));
    if (!hasNote) succeed(await project.run(['make']));
  }
  return said;
}
