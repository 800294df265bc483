// A fleet: more hosts than a person reads of. What is printed has a bound, a batch that is interrupted stays, and what was
// noted of verified signatures changes no judgement.

import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
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
