// `relaycerts renew --ca`: a new certificate for the CA's key. openssl says what verifies.

import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { answerOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import {
  caFile,
  certificatesIn,
  expectAtRest,
  home,
  inDays,
  isTaken,
  ledgerOf,
  passphraseFile,
  relay,
  rowsOf,
} from '../support/ca-renewal.js';
import { putMade } from '../support/made-project.js';
import { makeScratch, openssl } from '../support/openssl.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
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

/** The names of files that are not the same in both trees. */
function changed(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).toSorted();
}

describe('renew --ca', () => {
  it('makes a CA certificate only; every leaf verifies against it', async () => {
    const [before] = certificatesIn(project.read(caFile));
    const tree = treeOf(project.folder);
    const said = succeed(await run('renew', '--ca'));
    const [after] = certificatesIn(project.read(caFile));
    expect(after?.subject).toBe(before?.subject);
    expect(after?.publicKey.equals(before?.publicKey ?? after.publicKey)).toBe(true);
    expect(after?.serialNumber).not.toBe(before?.serialNumber);
    expect(changed(tree, treeOf(project.folder))).toEqual([
      caFile,
      'certs/ca/issued.jsonl',
      `hosts/${home}/example.org-ca.crt.pem`,
      `hosts/${relay}/example.org-ca.crt.pem`,
    ]);
    expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
    expect(ledgerOf(project).at(-1)).toBe('renewed example.org relay CA');
    expect(said.stdout).toMatch(/^Now run, before \d{4}-\d{2}-\d{2}; pins and certificates of the hosts stay/u);
    expect(commandsIn(said.stdout)).toEqual([installs()]);
    await expectAtRest(project);
    await noteAsInstalled(project);
    expect((await rowsOf(project)).every(({ state }) => state === 'ok')).toBe(true);
    // A leaf of the new certificate, on a host that has the old one.
    succeed(await run('renew', 'mailhost', '--force'));
    const old = scratch.write('old-ca.pem', before?.toString() ?? '');
    openssl(['verify', '-x509_strict', '-no-CApath', '-CAfile', old, project.path('hosts', home, `${home}.crt.pem`)]);
  });

  it('prints JSON, and reads the passphrase from a descriptor', async () => {
    const passphrase = succeed(await run('passphrase', 'show', '--yes')).stdout;
    rmSync(join(project.home, passphraseFile));
    const result = project.spawn(['renew', '--ca', '--json', '--passphrase-fd', '0'], { input: passphrase });
    const answer = answerOf<{ readonly ca: { readonly serial: string } }>(succeed(result).stdout);
    const [ca] = certificatesIn(project.read(caFile));
    expect(answer).toMatchObject({
      renewed: [],
      rekey: false,
      ca: { commonName: 'example.org relay CA', stage: null },
      install: [relay, home].map((host) => ({ host, why: ['ca'] })),
    });
    expect(BigInt(`0x${answer.ca.serial}`)).toBe(BigInt(`0x${ca?.serialNumber ?? ''}`));
  });

  it('keeps its name if the subject in the settings has changed', async () => {
    const [before] = certificatesIn(project.read(caFile));
    project.settings(smallSettings({ subject: { organization: 'Another' } }));
    succeed(await run('renew', '--ca'));
    expect(certificatesIn(project.read(caFile))[0]?.subject).toBe(before?.subject);
    expect(isTaken(project, home, relay)).toBe(true);
  });

  it('keeps the key identifier of a CA that openssl made', async () => {
    const passphrase = succeed(await run('passphrase', 'show', '--yes')).stdout;
    for (const name of readdirSync(project.path('certs'))) rmSync(project.path('certs', name), { recursive: true });
    rmSync(project.path('hosts'), { recursive: true });
    const [certificate, key] = [project.path(caFile), project.path(caFile.replace('.crt.', '.key.'))];
    mkdirSync(dirname(certificate));
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-subj', '/CN=example.org relay CA'];
    const usage = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-days', '3650'];
    const plain = scratch.path('plain.key.pem');
    openssl(['req', '-x509', ...kind, ...usage, '-nodes', '-keyout', plain, '-out', certificate]);
    openssl(['pkcs8', '-topk8', '-v2', 'aes-256-cbc', '-in', plain, '-out', key, '-passout', 'stdin'], passphrase);
    succeed(await run('make'));
    const identifier = (): string => openssl(['x509', '-in', certificate, '-noout', '-ext', 'subjectKeyIdentifier']);
    const before = [identifier(), certificatesIn(project.read(caFile))[0]?.serialNumber];
    succeed(await run('renew', '--ca'));
    expect(identifier()).toBe(before[0]);
    expect(certificatesIn(project.read(caFile))[0]?.serialNumber).not.toBe(before[1]);
    expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
    await expectAtRest(project);
  });

  it('replaces an expired CA certificate; the leaves are renewed after it', async () => {
    const expired = await inDays(project, 3651, 'make');
    expect(expired.status).toBe(1);
    expect(expired.stderr).toMatch(/expired on .*\nrelaycerts: hint: relaycerts renew --ca\n/u);
    expect((await inDays(project, 3651, 'renew')).status).toBe(1);
    const said = succeed(await inDays(project, 3651, 'renew', '--ca')).stdout;
    // No host would take its expired certificate.
    expect(commandsIn(said)).toEqual(['relaycerts renew --due', 'relaycerts deploy']);
    succeed(await inDays(project, 3651, 'renew', '--due'));
    await noteAsInstalled(project);
    expect((await inDays(project, 3651, 'status')).status).toBe(0);
  });

  it('refuses if a leaf would outlive it, until ca.validDays is as hinted', async () => {
    project.settings(smallSettings({ ca: { validDays: 100 } }));
    const before = treeOf(project.folder);
    const refused = await run('renew', '--ca');
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/error: with a new CA certificate, .*longer than its CA/u);
    expect(treeOf(project.folder)).toEqual(before);
    const days = Number(/hint: set ca\.validDays in the settings to (\d+) or more/u.exec(refused.stderr)?.[1]);
    project.settings(smallSettings({ ca: { validDays: days } }));
    succeed(await run('renew', '--ca'));
    expect(isTaken(project, home, relay)).toBe(true);
    project.settings(smallSettings({ ca: { validDays: days - 1 } }));
    expect((await run('renew', '--ca')).status).toBe(1);
  });

  it('refuses what it cannot do, and touches nothing', async () => {
    await expectUntouched(
      project,
      () => run('renew', '--ca', 'mailhost'),
      2,
      /--ca renews only the CA/u,
      /renew --ca$/u,
    );
    await expectUntouched(
      project,
      () => run('renew', '--ca', '--rekey', 'mailhost'),
      2,
      /only the CA/u,
      /renew --ca --rekey$/u,
    );
    await expectUntouched(project, () => run('renew', '--ca', '--due'), 2, /--ca.*--due/u, /--help/u);
    await expectUntouched(project, () => run('renew', '--ca', '--force'), 2, /--ca.*--force/u, /--help/u);
    rmSync(project.path('certs'), { recursive: true });
    rmSync(project.path('hosts'), { recursive: true });
    await expectUntouched(project, () => run('renew', '--ca'), 1, /there is no CA yet/u, /relaycerts make$/u);
    await expectUntouched(
      project,
      () => run('renew', '--ca', '--rekey'),
      1,
      /there is no CA yet/u,
      /relaycerts make$/u,
    );
  });
});

describe('help', () => {
  it('renew --help shows both', async () => {
    const { stdout } = succeed(await run('renew', '--help'));
    expect(stdout).toContain('relaycerts renew --ca ');
    expect(stdout).toContain('relaycerts renew --ca --rekey');
  });
});
