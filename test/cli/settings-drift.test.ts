// Settings that were changed after make: make reports certificates that differ from what it would make now, and the
// command it prints fixes that; then make is silent.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cpSync, rmSync } from 'node:fs';
import { noteAsInstalled } from '../support/installed.js';
import { openssl } from '../support/openssl.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { succeed as succeeded } from '../support/succeed.js';

const home = 'mailhost.example.org';
const relay = 'relayhost.example.org';

let project: Project;
beforeAll(async () => {
  project = makeProject();
  await succeed('make');
  cpSync(project.folder, `${project.folder}-saved`, { recursive: true, preserveTimestamps: true });
});
beforeEach(() => {
  rmSync(project.folder, { recursive: true });
  cpSync(`${project.folder}-saved`, project.folder, { recursive: true, preserveTimestamps: true });
});
afterEach(async () => {
  await noteAsInstalled(project);
  expect((await succeed('status')).stdout).toContain(home);
});
afterAll(() => {
  project.remove();
});

const succeed = async (...words: readonly string[]): Promise<Result> => succeeded(await project.run(words));

/** make's messages, without "nothing to make"; it changes nothing. */
async function said(): Promise<readonly string[]> {
  const before = treeOf(project.folder);
  const lines = (await succeed('make')).stderr.trimEnd().split('\n');
  expect(treeOf(project.folder)).toEqual(before);
  expect(lines.at(-1)).toBe('relaycerts: nothing to make: all is right here (the hosts: relaycerts status)');
  expect((await succeed('make', '--dry-run')).stderr.trimEnd()).toBe(lines.slice(0, -1).join('\n'));
  return lines.slice(0, -1);
}

const textOf = (path: string): string =>
  openssl(['x509', '-noout', '-text', '-nameopt', 'utf8', '-in', project.path(path)]);

it('is empty if nothing was changed, and after a renewal', async () => {
  expect(await said()).toEqual([]);
  await succeed('renew', '--force');
  expect(await said()).toEqual([]);
});

describe.each<readonly [string, Record<string, unknown>, string, string, string, RegExp]>([
  [
    'the key type',
    { certificates: { keyType: 'ecdsa-p384' } },
    'certificates.keyType (ecdsa-p384) is not what 2 certificates have',
    `renew --rekey ${relay} ${home}`,
    `certs/smtp-client/${home}.crt.pem`,
    /Public-Key: \(384 bit\)/u,
  ],
  [
    'the validity',
    { certificates: { validDays: 90 } },
    'certificates.validDays (90) is not what 2 certificates have',
    `renew --force ${relay} ${home}`,
    `certs/smtp-client/${home}.crt.pem`,
    /./u,
  ],
  [
    'the subject',
    {
      subject: {
        country: 'NL',
        state: 'Noord-Holland',
        locality: 'A',
        organization: 'Grüße, "S+öhne"\\',
        organizationalUnit: 'a/b = c',
      },
    },
    'subject is not what 2 certificates have',
    `renew --force ${relay} ${home}`,
    `certs/smtp-client/${home}.crt.pem`,
    /Subject: C ?= ?NL/u,
  ],
  [
    "the CA's validity",
    { ca: { validDays: 5000 } },
    'ca.validDays is 5000, but the CA has 3650',
    'renew --ca',
    'certs/ca/example.org-ca.crt.pem',
    /./u,
  ],
  [
    "the CA's key type",
    { ca: { keyType: 'rsa-2048' } },
    'ca.keyType is rsa-2048, but the CA has ecdsa-p256',
    'renew --ca --rekey',
    'certs/ca/example.org-ca.crt.pem',
    /Public-Key: \(2048 bit\)/u,
  ],
])('%s', (_name, change, what, command, path, shows) => {
  it('is reported, with the command that applies it', async () => {
    project.settings(smallSettings(change));
    expect(await said()).toEqual([`relaycerts: ${what}: relaycerts ${command}`]);
    const before = textOf(path);
    await succeed(...command.split(' '));
    if (command.endsWith('--ca --rekey'))
      for (let stage = 2; stage <= 3; stage += 1) await succeed(...command.split(' '));
    if (command.startsWith('renew --rekey')) await succeed('retire');
    expect(textOf(path)).not.toBe(before);
    expect(textOf(path)).toMatch(shows);
    expect(await said()).toEqual([]);
  });
});

describe("the CA's name and its permitted domains", () => {
  it.each([
    ['name', { commonName: 'Another CA' }, 'renew --ca --rekey', 3, /Subject: CN ?= ?Another CA 2\n/u],
    [
      'domains',
      { permittedDomains: ['example.org'] },
      'renew --ca',
      1,
      /Name Constraints: critical\n +Permitted:\n +DNS:example\.org/u,
    ],
    ['domains of a host', { permittedDomains: [relay, home] }, 'renew --ca', 1, /DNS:mailhost\.example\.org/u],
  ])('%s: stops nothing, and the reported command applies it', async (_name, ca, command, times, shows) => {
    project.settings(smallSettings({ ca }));
    const [line = '', ...more] = await said();
    expect(more).toEqual([]);
    expect(line).toContain(`: relaycerts ${command}`);
    const { status, stdout } = await project.run(['status']);
    expect(status).toBe(3);
    expect(stdout).toContain(`relaycerts ${command}`);
    for (const words of [['renew', '--due'], ['renew', 'mailhost', '--force'], ['retire'], ['show']])
      await succeed(...words);
    for (let time = 0; time < times; time += 1) await succeed(...command.split(' '));
    expect(textOf('certs/ca/example.org-ca.crt.pem')).toMatch(shows);
    expect(await said()).toEqual([]);
  });
});

it('says nothing of a certificate that the same make replaces, except that its key stays', async () => {
  const smtpClients = [{ hostname: 'mailhost', altNames: ['mail'] }];
  project.settings(smallSettings({ smtpClients, certificates: { validDays: 90, keyType: 'ecdsa-p384' } }));
  const { stderr } = await succeed('make');
  expect(stderr.split('\n').filter((line) => line.includes(': relaycerts renew'))).toEqual([
    `relaycerts: certificates.keyType (ecdsa-p384) is not what 2 certificates have: relaycerts renew --rekey ${relay} ${home}`,
    `relaycerts: certificates.validDays (90) is not what a certificate has: relaycerts renew --force ${relay}`,
  ]);
  expect(textOf(`certs/smtp-client/${home}.crt.pem`)).toContain('DNS:mail.example.org');
});

it('ignores leaves that the end of the CA cut short', async () => {
  await succeed('clean', '--yes');
  project.settings(smallSettings({ ca: { validDays: 300 } }));
  await succeed('make');
  expect(await said()).toEqual([]);
});
