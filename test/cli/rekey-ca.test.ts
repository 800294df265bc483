// `relaycerts renew --ca --rekey`: a CA with a new key in three stages, and what make, status, show, renew, sign and
// clean do in every state between them. openssl says what verifies.

import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import {
  caFile,
  caKeyFile,
  expectAtRest,
  home,
  inDays,
  isTaken,
  issuerOf,
  ledgerOf,
  passphraseFile,
  relay,
  rowsOf,
  tableFile,
  trustedBy,
  type Row,
} from '../support/ca-renewal.js';
import { putMade } from '../support/made-project.js';
import { makeScratch, openssl, runTool } from '../support/openssl.js';
import { makeProject, modesOf, smallSettings, type Project, type Result } from '../support/project.js';
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
const oldKey = 'certs/ca/example.org-ca.old.key.pem';

const nextStage = async (): Promise<Result> => succeed(await run('renew', '--ca', '--rekey'));

const caRow = async (): Promise<Row | undefined> => (await rowsOf(project)).find(({ role }) => role === 'ca');

describe('renew --ca --rekey', () => {
  it('trusts both CAs while leaves change; keys, pins and tables stay', async () => {
    const hostKeys = (): readonly string[] =>
      [home, relay].map((name) => project.read('hosts', name, `${name}.key.pem`));
    const [keys, pins] = [hostKeys(), (await run('fingerprint', '--format', 'hex')).stdout];
    const caKey = project.read(caKeyFile);
    const oldLeaf = scratch.write('old-leaf.pem', project.read('hosts', home, `${home}.crt.pem`));
    const tableLines = (): readonly string[] => project.read(tableFile).match(/^[0-9A-F:]+ .*$/gmu) ?? [];
    const lines = tableLines();

    const one = await nextStage();
    expect(one.stdout).toBe(`A new key for the CA, stage 1 of 3:
"${second}" now exists beside "${first}", but signs nothing yet.
Now run:
  ${installs()}
When every host is installed, stage 2 has the new CA sign every certificate:
  relaycerts renew --ca --rekey
`);
    expect([trustedBy(project, home), trustedBy(project, relay)]).toEqual([
      [first, second],
      [first, second],
    ]);
    expect([issuerOf(project, home), issuerOf(project, relay)]).toEqual([first, first]);
    expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
    expect(project.read(nextKey)).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/u);
    expect(modesOf(project.folder)[nextKey]).toBe('0600');
    expect(ledgerOf(project).at(-1)).toBe(`rekeyed ${second}`);
    expect(await caRow()).toMatchObject({ host: first, state: 'pending' });
    expect((await caRow())?.why).toContain('renew --ca --rekey');
    await expectAtRest(project);

    const two = await nextStage();
    expect(two.stdout).toContain(`stage 2 of 3:\n"${second}" has signed every certificate again, for the same keys.\n`);
    expect(two.stdout).toMatch(/\n {2}relaycerts renew --ca --rekey\n$/u);
    expect([trustedBy(project, home), trustedBy(project, relay)]).toEqual([
      [first, second],
      [first, second],
    ]);
    expect([issuerOf(project, home), issuerOf(project, relay)]).toEqual([second, second]);
    expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
    openssl(['verify', '-CAfile', project.path('hosts', relay, 'example.org-ca.crt.pem'), oldLeaf]);
    expect([existsSync(project.path(nextKey)), existsSync(project.path(nextCertificate))]).toEqual([false, false]);
    expect(project.read(oldKey)).toBe(caKey);
    expect(modesOf(project.folder)[oldKey]).toBe('0600');
    expect(modesOf(project.folder)[caKeyFile]).toBe('0600');
    expect(ledgerOf(project).slice(-2).toSorted()).toEqual([`renewed ${home}`, `renewed ${relay}`]);
    expect(await caRow()).toMatchObject({ host: second, state: 'pending' });
    expect((await caRow())?.why).toContain('--ca --rekey');
    await noteAsInstalled(project);
    expect((await rowsOf(project)).filter(({ state }) => state !== 'ok')).toHaveLength(1);
    await expectAtRest(project);

    const three = await nextStage();
    expect(three.stdout).toContain(`stage 3 of 3:\n"${second}" is the CA; the old one is put away`);
    expect(commandsIn(three.stdout)).toEqual([installs()]);
    expect([trustedBy(project, home), trustedBy(project, relay)]).toEqual([[second], [second]]);
    expect([isTaken(project, home, relay), isTaken(project, relay, home)]).toEqual([true, true]);
    const alone = ['-no-CApath', '-CAfile', project.path(caFile)];
    expect(runTool('openssl', ['verify', ...alone, oldLeaf]).status).not.toBe(0);
    const retired = readdirSync(project.path('certs/retired')).toSorted();
    expect(retired).toEqual([
      expect.stringMatching(/^example\.org-ca-[0-9a-f]+\.crt\.pem$/u),
      expect.stringMatching(/^example\.org-ca-[0-9a-f]+\.key\.pem$/u),
    ]);
    expect(modesOf(project.folder)[`certs/retired/${retired[1] ?? ''}`]).toBe('0600');
    expect(project.read('certs/retired', retired[1] ?? '')).toBe(caKey);
    expect(readdirSync(project.path('certs/ca')).filter((name) => /\.(?:old|new)\./u.test(name))).toEqual([]);
    expect(ledgerOf(project).at(-1)).toBe(`retired ${first}`);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    await expectAtRest(project);

    expect(hostKeys()).toEqual(keys);
    expect((await run('fingerprint', '--format', 'hex')).stdout).toBe(pins);
    expect(tableLines()).toEqual(lines);
    expect(project.read(tableFile)).not.toContain('before its new key');

    // And again, years later.
    expect((await nextStage()).stdout).toContain('"example.org relay CA 3" now exists beside "example.org relay CA 2"');
    for (const stage of [2, 3]) {
      await noteAsInstalled(project);
      expect((await nextStage()).stdout).toContain(`stage ${stage} of 3`);
    }
    expect(trustedBy(project, home)).toEqual(['example.org relay CA 3']);
    expect(isTaken(project, home, relay)).toBe(true);
    await expectAtRest(project);
  });

  it('refuses a stage before every host was seen with the last one', async () => {
    await noteAsInstalled(project);
    for (const stage of [1, 2]) {
      await nextStage();
      for (const missing of [`${relay}, ${home}`, home]) {
        await expectUntouched(
          project,
          () => run('renew', '--ca', '--rekey'),
          1,
          new RegExp(`stage ${stage} of 3 was not seen installed on ${missing}\n`, 'u'),
          /first: relaycerts deploy, or check if it is$/u,
        );
        await noteAsInstalled(project, missing === home ? {} : { hosts: [relay] });
      }
    }
    expect((await nextStage()).stdout).toContain('stage 3 of 3');
  });

  it('keeps the passphrase; the new key has the type in the settings', async () => {
    project.settings(smallSettings({ ca: { keyType: 'rsa-2048' } }));
    await nextStage();
    const pass = `file:${scratch.write('passphrase', succeed(await run('passphrase', 'show', '--yes')).stdout)}`;
    for (const file of [caKeyFile, nextKey]) openssl(['pkey', '-in', project.path(file), '-passin', pass, '-noout']);
    expect(openssl(['x509', '-in', project.path(nextCertificate), '-noout', '-text'])).toContain('(2048 bit)');
  });

  it('prints each stage as data with --json', async () => {
    const stages: unknown[] = [];
    while (stages.length < 3) {
      stages.push(JSON.parse(succeed(await run('renew', '--ca', '--rekey', '--json')).stdout));
    }
    const next = 'relaycerts renew --ca --rekey';
    const [old, middle, last] = [
      { renewed: [], commonName: first, trusted: [first, second], why: 'ca', next },
      {
        renewed: [{ host: relay }, { host: home }],
        commonName: second,
        trusted: [first, second],
        why: 'certificate',
        next,
      },
      { renewed: [], commonName: second, trusted: [second], why: 'ca', next: null },
    ];
    expect(stages).toMatchObject(
      [old, middle, last].map(({ renewed, commonName, trusted, why, next: then }, at) => ({
        renewed,
        rekey: true,
        ca: { commonName, trusted, stage: at + 1 },
        install: [relay, home].map((host) => ({ host, why: [why] })),
        retire: [],
        next: then,
      })),
    );
  });

  it('lists both pins in stage 2 if certificates are pinned', async () => {
    const settings = smallSettings({ postfix: { pin: 'certificate' } });
    project.settings(settings);
    succeed(await run('make'));
    const pins = (): readonly string[] => project.read(tableFile).match(/^[0-9A-F:]+(?= )/gmu) ?? [];
    const [before] = pins();
    await nextStage();
    expect(pins()).toEqual([before]);
    // The relays first, because of the table with both pins.
    expect(commandsIn((await nextStage()).stdout).slice(0, 1)).toEqual([installs()]);
    expect(pins()).toHaveLength(2);
    expect(pins()[1]).toBe(before);
    const [now] = pins();
    await expectAtRest(project);
    expect((await nextStage()).stderr).toContain(`the old pin of ${home} is out of the table`);
    expect(pins()).toEqual([now]);
    expect(ledgerOf(project).slice(-2)).toEqual([`retired ${first}`, `retired ${home}`]);
    await expectAtRest(project);
  });

  it('names the way on if the CA has expired; mail waits for stage 2', async () => {
    await noteAsInstalled(project);
    const begun = await inDays(project, 3660, 'renew', '--ca', '--rekey');
    expect(begun.stdout).toContain('stage 1 of 3');
    expect(begun.stdout).toContain(`"${first}" is not valid now: mail waits until stage 2 is installed everywhere.\n`);
    // `deploy` refuses such a CA.
    expect(commandsIn(begun.stdout)).toEqual(['relaycerts renew --ca --rekey']);
    for (const args of [['make'], ['renew'], ['renew', '--ca']]) {
      const { status, stderr } = await inDays(project, 3660, ...args);
      expect([status, /hint: (?:to continue: )?relaycerts renew --ca( --rekey)?\n/u.exec(stderr)?.[1]]).toEqual([
        1,
        ' --rekey',
      ]);
    }
    const ca = certificatesOf<Row>(await inDays(project, 3660, 'status', '--json')).find(({ role }) => role === 'ca');
    expect(ca).toMatchObject({ state: 'expired' });
    expect(ca?.why).toMatch(/a new CA waits beside it: relaycerts renew --ca --rekey$/u);
    expect(succeed(await inDays(project, 3660, 'renew', '--ca', '--rekey')).stdout).toContain('stage 2 of 3');
    await noteAsInstalled(project);
    expect(succeed(await inDays(project, 3660, 'renew', '--ca', '--rekey')).stdout).toContain('stage 3 of 3');
    await noteAsInstalled(project);
    expect((await inDays(project, 3660, 'status')).status).toBe(0);
  });

  it('of an expired CA waits for an old pin, which retire takes out', async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    succeed(await run('make'));
    succeed(await run('renew', '--force', 'mailhost'));
    succeed(await inDays(project, 3660, 'renew', '--ca', '--rekey'));
    const waits = await inDays(project, 3660, 'renew', '--ca', '--rekey');
    expect([waits.status, waits.stderr]).toEqual([1, expect.stringContaining(`relaycerts retire ${home}\n`)]);
    // No host would take the new certificate, which has expired.
    expect((await inDays(project, 3660, 'status')).stdout).toContain(`relaycerts retire ${home}, then`);
    succeed(await inDays(project, 3660, 'retire', 'mailhost'));
    expect(succeed(await inDays(project, 3660, 'renew', '--ca', '--rekey')).stdout).toContain('stage 2 of 3');
  });

  it('refuses stage 3 while a certificate is of the old CA; make signs it', async () => {
    const leaf = `certs/smtp-client/${home}.crt.pem`;
    const before = project.read(leaf);
    await nextStage();
    await nextStage();
    // Restored from a backup; or a host that was not in the settings during stage 2.
    writeFileSync(project.path(leaf), before);
    expect((await rowsOf(project)).find(({ host }) => host === home)).toMatchObject({ state: 'pending' });
    expect((await caRow())?.why).toMatch(/relaycerts make$/u);
    await expectUntouched(
      project,
      () => run('renew', '--ca', '--rekey'),
      1,
      /the certificate of mailhost\.example\.org is still signed by the old CA/u,
      /relaycerts make, then install what it prints$/u,
    );
    succeed(await run('make'));
    expect(issuerOf(project, home)).toBe(second);
    await expectAtRest(project);
    expect((await nextStage()).stdout).toContain('stage 3 of 3');
    expect(isTaken(project, home, relay)).toBe(true);
  });

  it('restores a CA file of a bundle with the next stage', async () => {
    const file = `hosts/${home}/example.org-ca.crt.pem`;
    const alone = project.read(file);
    await nextStage();
    writeFileSync(project.path(file), alone);
    await nextStage();
    expect(trustedBy(project, home)).toEqual([first, second]);
    rmSync(project.path(file));
    await nextStage();
    expect(trustedBy(project, home)).toEqual([second]);
  });

  it('reads the passphrase from a descriptor, without its file', async () => {
    const input = succeed(await run('passphrase', 'show', '--yes')).stdout;
    rmSync(join(project.home, passphraseFile));
    for (const stage of [1, 2]) {
      const { stdout } = succeed(project.spawn(['renew', '--ca', '--rekey', '--passphrase-fd', '0'], { input }));
      expect(stdout).toContain(`stage ${stage} of 3`);
    }
    expect(issuerOf(project, home)).toBe(second);
  });

  it('refuses stage 2 while an old pin is listed for a certificate', async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    succeed(await run('make'));
    succeed(await run('renew', 'mailhost', '--force'));
    await nextStage();
    await expectUntouched(
      project,
      () => run('renew', '--ca', '--rekey'),
      1,
      /the old pin of mailhost\.example\.org is still listed/u,
      /retire mailhost\.example\.org$/u,
    );
    succeed(await run('retire'));
    expect((await nextStage()).stdout).toContain('stage 2 of 3');
  });
});
