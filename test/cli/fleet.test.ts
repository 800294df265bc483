// A fleet: more hosts than a person reads of. What is printed has a bound, a batch that is interrupted stays, and what was
// noted of verified signatures changes no judgement.

import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { answerOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { copyOf, makeProject, type Project } from '../support/project.js';
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
}, 120_000);
afterAll(() => made.remove());

const noteOf = (project: Project): string => {
  const folder = join(project.home, '.config/relaycerts');
  const [name = ''] = readdirSync(folder).filter((file) => file.endsWith('.verified'));
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
    expect(printed.stdout.split('\n').length).toBeLessThan(10);
    expect(commandsIn(printed.stdout)).toEqual([installs(), 'relaycerts show c0 --section verify']);
  });

  it('of which one client is new prints that one', async () => {
    const project = copyOf(made);
    project.write('c.csv', `hostname\n${names.join('\n')}\nnewcomer\n`);
    const { stdout } = succeed(await project.run(['make']));
    expect(commandsIn(stdout).slice(0, 2)).toEqual([installs('relayhost'), installs('newcomer')]);
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
  it('status shows the most urgent, in 80 columns, and how to see the others', async () => {
    const { status, stdout, stderr } = await made.run(['status']);
    expect([status, stderr]).toEqual([3, '']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(`${count + 1} hosts: ${count + 1} not-installed; CA ok; passphrase ok`);
    expect(lines.length).toBeLessThan(30);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
    const [, rest = ''] = /^581 more not-installed: relaycerts (.*)$/mu.exec(stdout) ?? [];
    expect(rest).toBe('status --state not-installed');
    expect(stdout).toContain('\nall that are not-installed: relaycerts check\n');
    const all = await made.run(rest.split(' '));
    expect(all.stdout.match(/^\S+ +smtp-/gmu)).toHaveLength(count + 1);
    expect((await made.run(['status', 'c7', 'c9?'])).stdout.match(/^ {4}made /gmu)).toHaveLength(11);
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

  it('what is wrong with all bundles at once is not said of each', async () => {
    const project = copyOf(made);
    for (const name of names) writeFileSync(project.path(`hosts/${name}.example.org/${name}.example.org.crt.pem`), '');
    const { status, stderr } = await project.run(['status']);
    expect([status, stderr.split('\n').length < 50]).toEqual([3, true]);
    expect(stderr).toContain('more warnings\nrelaycerts: hint: for all of them: relaycerts status --json\n');
    const { stdout } = await project.run(['status', '--json']);
    expect(answerOf<{ readonly warnings: readonly unknown[] }>(stdout).warnings).toHaveLength(count);
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

describe('what is noted of verified signatures', () => {
  it('is for this user, and for a fleet only', async () => {
    expect(statSync(noteOf(made)).mode & 0o777).toBe(0o600);
    const small = makeProject();
    succeed(await small.run(['make']));
    expect(readdirSync(join(small.home, '.config/relaycerts'))).toEqual(['operator-key.asc']);
    small.remove();
  });

  it('hides no certificate that was changed since, or that another CA signed', async () => {
    const project = copyOf(made);
    const path = ['certs', 'smtp-client', 'c3.example.org.crt.pem'] as const;
    const pem = project.read(...path);
    const der = Buffer.from(pem.replaceAll(/-----.*-----|\s/gu, ''), 'base64');
    der[der.length - 5] = (der[der.length - 5] ?? 0) ^ 1;
    const bent = der.toString('base64').replaceAll(/.{1,64}/gu, '$&\n');
    project.write(path.join('/'), `-----BEGIN CERTIFICATE-----\n${bent}-----END CERTIFICATE-----\n`);
    const { status, stderr } = await project.run(['make']);
    expect([status, stderr]).toEqual([1, expect.stringContaining('c3.example.org.crt.pem" is not signed by this CA')]);
    project.remove();
  });

  it('is not missed if it is damaged', async () => {
    const project = copyOf(made);
    writeFileSync(noteOf(project), 'no digest\n', { mode: 0o600 });
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
    project.remove();
  });
});
