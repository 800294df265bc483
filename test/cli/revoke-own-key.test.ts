// `relaycerts revoke` of a host that made its own key: its request is put away, and it comes back with a new one.

import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { cpSync, readFileSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { openssl } from '../support/openssl.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';
import { expectUntouched } from '../support/untouched.js';

const relay = 'relayhost.example.org';
const two = smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] });

let project: Project;
beforeEach(async () => {
  project = makeProject(two);
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

describe('revoke of a host with its own key', () => {
  it('puts its request away, for good', async () => {
    project.settings({ ...two, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }, { hostname: 'own' }] });
    const key = project.path('../own.key');
    openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', '/CN=own', '-out', project.path('own.csr')]);
    succeed(await run('sign', 'own.csr', '--host', 'own'));
    succeed(await run('make'));
    const { serialNumber } = new X509Certificate(project.read('certs/smtp-client/own.example.org.crt.pem'));
    const serial = serialNumber.toLowerCase();
    expect(succeed(await run('revoke', 'own')).stdout).toContain(
      'To let it relay again, with a new key:\n  relaycerts show own.example.org --section request\n',
    );
    expect((await run('status')).stdout).toContain('make skips it, unless sign --again has its new request\n');
    expect(readdirSync(project.path('certs/revoked'))).toEqual(
      ['crt.pem', 'csr.pem'].map((end) => `own.example.org-${serial}.${end}`),
    );
    await expectUntouched(
      project,
      () => run('sign', 'own.csr', '--host', 'own', '--again'),
      1,
      /the key of the request was revoked/u,
      /--section request/u,
    );
    for (const refused of [
      () => run('show', 'own'),
      () => run('renew', 'own'),
      () => run('retire', 'own'),
      () => run('check', '--from', 'own'),
      () => project.spawn(['export', 'p12', 'own', '--password-fd', '0']),
    ]) {
      await expectUntouched(
        project,
        refused,
        1,
        /own\.example\.org is revoked/u,
        /with a request for a new key: relaycerts sign FILE --host own\.example\.org --again$/u,
      );
    }
  });

  it('prints how to come back with a new key', async () => {
    const there = project.path('../there');
    const own = 'own.example.org';
    const directory = '/etc/postfix/relaycerts/example.org';
    project.settings({ ...two, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'own' }] });
    const makeRequest = async (): Promise<void> => {
      const { stdout } = succeed(await run('show', 'own', '--section', 'request', '--format', 'sh'));
      expect(spawnSync('sh', { input: stdout.replaceAll(directory, there) }).status).toBe(0);
      cpSync(`${there}/${own}.csr.pem`, project.path('own.csr'));
    };
    await makeRequest();
    const keyThere = (): string => readFileSync(`${there}/${own}.key.pem`, 'utf8');
    const key = keyThere();
    await makeRequest();
    expect(keyThere()).toBe(key);
    succeed(await run('sign', 'own.csr', '--host', 'own'));
    succeed(await run('make'));
    const hint = `rm ${directory}/${own}.key.pem, and relaycerts show ${own} --section request`;
    expect((await run('renew', '--rekey', 'own')).stderr).toContain(
      `hint: make a new key and request there: ${hint}\n`,
    );
    succeed(await run('remove', 'own'));
    expect(succeed(await run('add', 'own')).stdout).toBe(`Now run:\n  relaycerts show ${own} --section request\n`);
    await makeRequest();
    expect(keyThere()).not.toBe(key);
    expect((await run('show', 'own', '--section', 'request')).stdout).toContain(
      `relaycerts sign ${own}.csr.pem --host ${own} --again\n`,
    );
    const here = await run('make', '--again', 'own', '--dry-run');
    expect(here.stderr).toContain(
      `warning: ${own} made its own key before, but the new one is made here\nrelaycerts: hint: if it should make that too, this says how: relaycerts revoke ${own}\n`,
    );
    succeed(await run('sign', 'own.csr', '--host', 'own', '--again'));
    expect((await run('make', '--again', 'own')).stderr).not.toContain('made its own key');
    expect(project.read(`hosts/${relay}/relay_clientcerts`)).toContain(` ${own}\n`);
    expect((await run('show', 'own', '--section', 'request')).stdout).not.toMatch(/--again|rm -f/u);
  });
});
