// What make, status, show, renew, sign, revoke and clean do between the stages of `relaycerts renew --ca --rekey`.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import {
  caFile,
  certificatesIn,
  expectAtRest,
  home,
  isTaken,
  issuerOf,
  nameOf,
  relay,
  rowsOf,
  tableFile,
  trustedBy,
} from '../support/ca-renewal.js';
import { putMade } from '../support/made-project.js';
import { makeScratch, openssl } from '../support/openssl.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';
import { expectUntouched } from '../support/untouched.js';

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

const [first, second] = ['example.org relay CA', 'example.org relay CA 2'];
const [nextKey, nextCertificate] = ['certs/ca/example.org-ca.new.key.pem', 'certs/ca/example.org-ca.new.crt.pem'];

const serialOf = (path: string): string => certificatesIn(project.read(path))[0]?.serialNumber.toLowerCase() ?? '';

const nextStage = async (): Promise<Result> => succeed(await run('renew', '--ca', '--rekey'));

const withWrongPassphrase = (): Result =>
  project.spawn(['renew', '--ca', '--rekey', '--passphrase-fd', '0'], { input: 'wrong' });

describe('between the stages', () => {
  it('lets hosts come, be renewed, rekeyed and signed for', async () => {
    const add = (...names: readonly string[]): void => {
      project.settings(smallSettings({ smtpClients: ['mailhost', ...names].map((hostname) => ({ hostname })) }));
    };
    await nextStage();
    add('second');
    succeed(await run('make'));
    expect([issuerOf(project, 'second.example.org'), trustedBy(project, 'second.example.org')]).toEqual([
      first,
      [first, second],
    ]);
    succeed(await run('renew', 'mailhost', '--force'));
    expect(issuerOf(project, home)).toBe(first);
    succeed(await run('renew', 'mailhost', '--rekey'));
    await nextStage();
    for (const host of [home, relay, 'second.example.org']) expect(issuerOf(project, host)).toBe(second);
    // The host's old key is still listed, because the key is what is pinned.
    expect(project.read(tableFile).match(/ mailhost\.example\.org$/gmu)).toHaveLength(2);
    add('second', 'third');
    const key = scratch.path('third.key.pem');
    openssl(['genpkey', '-algorithm', 'ED25519', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', '/CN=third.example.org', '-out', scratch.path('third.csr.pem')]);
    succeed(await run('sign', scratch.path('third.csr.pem'), '--host', 'third'));
    expect([issuerOf(project, 'third.example.org'), trustedBy(project, 'third.example.org')]).toEqual([
      second,
      [first, second],
    ]);
    succeed(await run('renew', 'third', '--force'));
    await expectAtRest(project);
    await nextStage();
    for (const host of [home, relay, 'second.example.org', 'third.example.org']) {
      expect(trustedBy(project, host)).toEqual([second]);
      expect(isTaken(project, host, relay)).toBe(true);
    }
    // The previous key was removed with the CA that had signed for it.
    expect(project.read(tableFile).match(/ mailhost\.example\.org$/gmu)).toHaveLength(1);
    await expectAtRest(project);
  });

  it('signs a host that keeps its own key from its request', async () => {
    rmSync(project.path(`certs/smtp-client/${home}.key.pem`));
    rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
    rmSync(project.path(`hosts/${home}`), { recursive: true });
    const key = scratch.path('own.key.pem');
    openssl(['genpkey', '-algorithm', 'ED25519', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', `/CN=${home}`, '-out', scratch.path('own.csr.pem')]);
    succeed(await run('sign', scratch.path('own.csr.pem'), '--host', home));
    for (const stage of [1, 2, 3]) {
      expect((await nextStage()).stdout).toContain(`stage ${stage} of 3`);
      expect(isTaken(project, home, relay)).toBe(true);
      await expectAtRest(project);
    }
    const [leaf] = certificatesIn(project.read('hosts', home, `${home}.crt.pem`));
    expect(leaf?.publicKey.export({ type: 'spki', format: 'pem' })).toBe(openssl(['pkey', '-in', key, '-pubout']));
  });

  it('leaves a revoked host out', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    succeed(await run('make'));
    succeed(await run('revoke', 'second'));
    for (const stage of [1, 2, 3]) {
      const { stdout } = await nextStage();
      expect(stdout).toContain(`stage ${stage} of 3`);
      expect(commandsIn(stdout).slice(0, 1)).toEqual([installs('relayhost', 'mailhost')]);
      expect(stdout).not.toContain('second');
    }
    expect(existsSync(project.path('hosts/second.example.org'))).toBe(false);
  });

  it('refuses to change the passphrase or to renew the CA', async () => {
    await nextStage();
    for (const stage of [1, 2]) {
      await expectUntouched(
        project,
        () => run('passphrase', 'change'),
        1,
        /the CA is getting a new key, and both of its keys have this passphrase/u,
        /renew --ca --rekey$/u,
      );
      await expectUntouched(project, () => run('renew', '--ca'), 1, /getting a new key/u, /renew --ca --rekey$/u);
      expect((await nextStage()).stdout).toContain(`stage ${stage + 1} of 3`);
    }
    succeed(await run('passphrase', 'change'));
    succeed(await run('renew', '--ca'));
    expect(certificatesIn(project.read(caFile)).map(nameOf)).toEqual([second]);
  });

  it.each<readonly [string, () => void]>([
    ['whose key is gone', () => rmSync(project.path(nextKey))],
    ['of another name than the settings ask for', () => project.settings(smallSettings({ ca: { commonName: 'B' } }))],
    [
      'of other domains',
      () => project.settings(smallSettings({ ca: { permittedDomains: ['example.org', 'example.net'] } })),
    ],
  ])('a new CA %s stops nothing, and is made again', async (_name, change) => {
    await nextStage();
    const before = serialOf(nextCertificate);
    change();
    succeed(await run('make'));
    const row = (await rowsOf(project)).find(({ role }) => role === 'ca');
    expect(row?.state).toBe('pending');
    expect(row?.why).toMatch(/to make another: relaycerts renew --ca --rekey$/u);
    const again = await nextStage();
    expect(again.stdout).toContain('stage 1 of 3');
    expect(again.stderr).toMatch(/the earlier new CA could not take over.* put away/u);
    expect(existsSync(project.path(`certs/retired/example.org-ca-${before}.crt.pem`))).toBe(true);
    expect(serialOf(nextCertificate)).not.toBe(before);
    expect((await nextStage()).stdout).toContain('stage 2 of 3');
    expect((await nextStage()).stdout).toContain('stage 3 of 3');
    expect(isTaken(project, home, relay)).toBe(true);
    await expectAtRest(project);
  });

  it('names a key without its certificate, which is in the way', async () => {
    await nextStage();
    rmSync(project.path(nextCertificate));
    await expectUntouched(
      project,
      () => run('renew', '--ca', '--rekey'),
      1,
      /ca\.new\.key\.pem" is in the way of a new file with this name/u,
      /keep it elsewhere: mv .*ca\.new\.key\.pem .*ca\.new\.key\.pem\.away$/u,
    );
  });

  it('changes nothing with a wrong passphrase', async () => {
    await expectUntouched(project, withWrongPassphrase, 1, /passphrase/u, /./u);
    await nextStage();
    await expectUntouched(project, withWrongPassphrase, 1, /passphrase/u, /./u);
  });

  it('has nothing that clean leaves', async () => {
    for (const stage of [1, 2, 3]) {
      expect((await nextStage()).stdout).toContain(`stage ${stage} of 3`);
      const copy = `${project.folder}-${stage}`;
      expect(spawnSync('cp', ['-a', project.folder, copy]).status).toBe(0);
      succeed(await run('--settings', join(copy, 'settings.json'), 'clean', '--yes'));
      expect(readdirSync(copy)).toEqual(['settings.json']);
    }
  });
});
