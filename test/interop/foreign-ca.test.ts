// A CA made by another program, in place of ours: `status` reports what it lacks, which stops nothing; what keeps it
// from working is a separate state, and the printed command fixes it. openssl judges the result.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { caFile, caKeyFile, home, isTaken, relay, rowsOf, type Row } from '../support/ca-renewal.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeScratch, openssl } from '../support/openssl.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';
import { expectError } from '../support/untouched.js';

const scratch = makeScratch();
afterAll(() => {
  scratch.remove();
});

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);
const caRow = async (): Promise<Row | undefined> => (await rowsOf(project)).find(({ role }) => role === 'ca');

/** Replaces our CA, whose leaves are removed; the new key is sealed with our passphrase. */
async function putCa(certificate: string, plainKey: string): Promise<void> {
  const passphrase = succeed(await run('passphrase', 'show', '--yes')).stdout;
  rmSync(project.path('certs'), { recursive: true });
  rmSync(project.path('hosts'), { recursive: true });
  for (const folder of ['ca', 'smtpd-server', 'smtp-client'])
    mkdirSync(project.path('certs', folder), { recursive: true });
  copyFileSync(certificate, project.path(caFile));
  const sealed = ['-topk8', '-v2', 'aes-256-cbc', '-passout', 'stdin', '-out', project.path(caKeyFile)];
  openssl(['pkcs8', '-in', plainKey, ...sealed], passphrase);
}

let count = 0;
/** A CA of `openssl req -x509` with these extensions only. */
async function putOpensslCa(
  extensions: readonly string[],
  words: readonly string[] = [],
  name = 'Our CA',
): Promise<void> {
  const [key, certificate] = [scratch.path(`ca${++count}.key`), scratch.path(`ca${count}.crt`)];
  const config = scratch.write(
    `ca${count}.cnf`,
    `[req]\ndistinguished_name=dn\nx509_extensions=ext\n[dn]\n[ext]\n${extensions.join('\n')}\n`,
  );
  const kind = words.some((word) => word.startsWith('rsa') || word === 'ec') ? [] : [...p256];
  const subject = ['-subj', `/CN=${name}`, '-days', '3650', '-config', config];
  openssl(['req', '-x509', '-nodes', ...kind, ...words, ...subject, '-keyout', key, '-out', certificate]);
  await putCa(certificate, key);
}

const p256 = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
const [constraints, usage] = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const [pathLength, identifier] = ['basicConstraints=critical,CA:TRUE,pathlen:1', 'subjectKeyIdentifier=hash'];

/** Runs a command named in a text, at each of its stages. */
async function runNamed(why: string): Promise<void> {
  const command = /relaycerts (renew --ca(?: --rekey)?)/u.exec(why)?.[1] ?? '';
  expect(command, why).not.toBe('');
  for (let stage = command.endsWith('--rekey') ? 1 : 3; stage <= 3; stage += 1)
    succeed(await run(...command.split(' ')));
}

const bothTaken = (): readonly boolean[] => [isTaken(project, home, relay), isTaken(project, relay, home)];

describe('a CA that works', () => {
  it.each<readonly [string, readonly string[], readonly string[], string]>([
    ["with step's extensions", [pathLength, usage, identifier], [], ''],
    ["with openssl's defaults", [constraints, identifier], [], 'no keyUsage, no path length'],
    [
      'with nothing critical',
      ['basicConstraints=CA:TRUE,pathlen:0', 'keyUsage=keyCertSign', identifier],
      [],
      'non-critical basicConstraints and keyUsage',
    ],
    ['without a key identifier', [pathLength, usage, 'subjectKeyIdentifier=none'], [], 'no subjectKeyIdentifier'],
    ['signed with SHA-1', [pathLength, usage, identifier], ['-newkey', 'rsa:2048', '-sha1'], 'a signature with SHA-1'],
  ])('%s: what it lacks is said, and cured', async (_name, extensions, words, lacks) => {
    project.settings(smallSettings({ ca: { commonName: 'Our CA' } }));
    await putOpensslCa(extensions, words);
    succeed(await run('make'));
    const row = await caRow();
    expect(row?.state).toBe('ok');
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    expect(row?.why ?? '').toContain(lacks);
    if (lacks === '') {
      expect(row?.why).toBeNull();
    } else {
      expect((await run('status')).stdout).toContain('relaycerts renew --ca, then install every host\n');
      await runNamed(row?.why ?? '');
    }
    expect((await caRow())?.why).toBeNull();
    expect(bothTaken()).toEqual([true, true]);
  });

  it('of another name than the settings ask for stops nothing', async () => {
    await putOpensslCa([pathLength, usage, identifier]);
    const made = succeed(await run('make'));
    expect(made.stderr).toContain(
      `is for "Our CA", but the settings ask for "example.org relay CA": relaycerts renew --ca --rekey`,
    );
    expect(bothTaken()).toEqual([true, true]);
    const row = await caRow();
    expect(row?.state).toBe('pending');
    await runNamed(row?.why ?? '');
    expect((await caRow())?.state).toBe('ok');
  });

  it('with the name of a host is reported, and a new key gets another', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }] }));
    await putOpensslCa([pathLength, usage, identifier], [], home);
    succeed(await run('make'));
    const row = await caRow();
    expect(row?.state).toBe('pending');
    await runNamed(row?.why ?? '');
    expect(bothTaken()).toEqual([true, true]);
  });
});

describe('a CA that does not work', () => {
  it.each<readonly [string, readonly string[], readonly string[], RegExp]>([
    ['is not a CA', ['basicConstraints=CA:FALSE', identifier], [], /is not the certificate of a CA/u],
    ['may not sign', [pathLength, 'keyUsage=critical,cRLSign', identifier], [], /is not the certificate of a CA/u],
    ['is for servers', [pathLength, usage, identifier, 'extendedKeyUsage=serverAuth'], [], /is for another purpose/u],
    ['has a weak key', [pathLength, usage, identifier], ['-newkey', 'rsa:1024'], /its key type signs nothing here/u],
    [
      'has an odd curve',
      [pathLength, usage, identifier],
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521'],
      /its key type signs nothing here/u,
    ],
  ])('because it %s: said, and cured by the command', async (_name, extensions, words, says) => {
    project.settings(smallSettings({ ca: { commonName: 'Our CA' } }));
    await putOpensslCa(extensions, words);
    const refused = await run('make');
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/hint: .*relaycerts renew --ca/u);
    const row = await caRow();
    expect(row?.state).toBe('mismatched');
    expect(row?.why).toMatch(says);
    expect((await run('status')).status).toBe(3);
    await runNamed(row?.why ?? '');
    succeed(await run('make'));
    expect(bothTaken()).toEqual([true, true]);
    expect((await caRow())?.state).toBe('ok');
  });

  it('because another CA signed it: a correct one has the same key', async () => {
    project.settings(smallSettings({ ca: { commonName: 'Our CA' } }));
    const [root, rootKey] = [scratch.path('root.crt'), scratch.path('root.key')];
    openssl(['req', '-x509', '-nodes', ...p256, '-subj', '/CN=Root', '-keyout', rootKey, '-out', root]);
    const [request, key, certificate] = ['middle.csr', 'middle.key', 'middle.crt'].map(scratch.path);
    openssl(['req', '-new', '-nodes', ...p256, '-subj', '/CN=Our CA', '-keyout', key ?? '', '-out', request ?? '']);
    const extensions = scratch.write('middle.ext', [pathLength, usage, identifier, ''].join('\n'));
    const signed = ['-CA', root, '-CAkey', rootKey, '-CAcreateserial', '-extfile', extensions, '-days', '3000'];
    openssl(['x509', '-req', '-in', request ?? '', ...signed, '-out', certificate ?? '']);
    await putCa(certificate ?? '', key ?? '');
    expectError(await run('make'), 1, /is not signed with its own key/u, /relaycerts renew --ca, then install/u);
    await runNamed((await caRow())?.why ?? '');
    succeed(await run('make'));
    expect(bothTaken()).toEqual([true, true]);
  });
});

describe('a CA of easy-rsa with its leaves', () => {
  it('works: make adds subjectAltNames and replaces serials', async () => {
    requireTools('make-cadir');
    project.settings(smallSettings({ ca: { commonName: 'Easy CA' } }));
    const pki = scratch.path('pki');
    const easy = (...words: readonly string[]): void => {
      const name = words[0] === 'build-ca' ? { EASYRSA_REQ_CN: 'Easy CA' } : {};
      const env = { PATH: process.env['PATH'], EASYRSA_BATCH: '1', EASYRSA_PKI: pki, ...name };
      const { status, stderr } = spawnSync('/usr/share/easy-rsa/easyrsa', [...words], { env });
      expect(status, stderr.toString()).toBe(0);
    };
    easy('init-pki');
    easy('build-ca', 'nopass');
    easy(`--subject-alt-name=DNS:${relay}`, 'build-server-full', relay, 'nopass');
    easy('build-client-full', home, 'nopass');
    await putCa(join(pki, 'ca.crt'), join(pki, 'private/ca.key'));
    for (const [role, name] of [
      ['smtpd-server', relay],
      ['smtp-client', home],
    ] as const) {
      const key = project.path('certs', role, `${name}.key.pem`);
      openssl(['pkcs8', '-topk8', '-nocrypt', '-in', join(pki, `private/${name}.key`), '-out', key]);
      copyFileSync(join(pki, `issued/${name}.crt`), project.path('certs', role, `${name}.crt.pem`));
    }
    const key = openssl(['pkey', '-in', project.path(`certs/smtp-client/${home}.key.pem`), '-pubout']);
    const waiting = (await rowsOf(project)).find(({ host }) => host === home);
    expect(waiting?.state).toBe('pending');
    expect(waiting?.why).toMatch(/: relaycerts make$/u);
    // openssl looks for the serial of the CA's certificate, and finds no issuer behind a renewed one.
    const refused = await run('renew', '--ca');
    expectError(refused, 1, /relayhost/u, /so first: relaycerts make, and install relayhost\.example\.org/u);
    succeed(await run('make'));
    expect(openssl(['x509', '-in', project.path(`certs/smtp-client/${home}.crt.pem`), '-noout', '-pubkey'])).toBe(key);
    const row = await caRow();
    expect(row?.state).toBe('ok');
    expect(row?.why).toContain('no path length, non-critical basicConstraints and keyUsage: relaycerts renew --ca');
    succeed(await run('renew', '--ca'));
    expect(bothTaken()).toEqual([true, true]);
    expect((await caRow())?.why).toBeNull();
  });
});
