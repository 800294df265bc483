// `relaycerts renew --ca`: the same key at once, and a new key in three stages; every state in between as make, status,
// show, renew, sign and clean find it, and each run cut off at every rename and unlink. openssl says what verifies.

import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeScratch, openssl, runTool } from '../support/openssl.js';
import { copyOf, putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const home = 'mailhost.example.org';
const relay = 'relayhost.example.org';
const caFile = 'certs/ca/example.org-ca.crt.pem';
const caKeyFile = 'certs/ca/example.org-ca.key.pem';
const tableFile = `hosts/${relay}/relay_clientcerts`;
const [nextKey, nextCertificate] = ['certs/ca/example.org-ca.new.key.pem', 'certs/ca/example.org-ca.new.crt.pem'];
const [oldKey, oldCertificate] = ['certs/ca/example.org-ca.old.key.pem', 'certs/ca/example.org-ca.old.crt.pem'];
const passphraseFile = '.example.org-relaycerts-passphrase.gpg';

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

/** The command as it runs so many days from now. */
async function inDays(days: number, ...args: readonly string[]): Promise<Result> {
  const now = new Date(Date.now() + days * 86_400_000);
  return project.run(args, { now });
}

const nextStage = async (): Promise<Result> => succeed(await run('renew', '--ca', '--rekey'));

const withWrongPassphrase = (): Result =>
  project.spawn(['renew', '--ca', '--rekey', '--passphrase-fd', '0'], { input: 'wrong' });

/** The stage that a run says it reached. */
const stageIn = ({ stdout }: Result): number => Number(/stage (\d) of 3/u.exec(stdout)?.[1]);

function certificatesIn(pem: string): readonly X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/gu) ?? []).map(
    (one) => new X509Certificate(one),
  );
}

const nameOf = (certificate: X509Certificate | undefined): string =>
  /^CN=(.*)$/mu.exec(certificate?.subject ?? '')?.[1] ?? '';

/** The commonNames in a host's CA file, in its order. */
function trustedBy(hostname: string): readonly string[] {
  return certificatesIn(project.read('hosts', hostname, 'example.org-ca.crt.pem')).map(nameOf);
}

/** What openssl says of a host's certificate with a host's CA file, both as they are in the bundles. */
function isTaken(leafOf: string, trustOf: string): boolean {
  const file = project.path('hosts', trustOf, 'example.org-ca.crt.pem');
  const leaf = project.path('hosts', leafOf, `${leafOf}.crt.pem`);
  const purpose = leafOf.startsWith('relayhost') ? 'sslserver' : 'sslclient';
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', file];
  return runTool('openssl', ['verify', '-x509_strict', ...trust, '-purpose', purpose, leaf]).status === 0;
}

function issuerOf(hostname: string): string {
  const [leaf] = certificatesIn(project.read('hosts', hostname, `${hostname}.crt.pem`));
  return /^CN=(.*)$/mu.exec(leaf?.issuer ?? '')?.[1] ?? '';
}

interface Entry {
  readonly event: string;
  readonly role: string;
  readonly name: string;
  readonly serial: string;
}

function ledger(): readonly string[] {
  return project
    .read('certs/ca/issued.jsonl')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Entry)
    .map(({ event, name }) => `${event} ${name}`);
}

interface Row {
  readonly host: string;
  readonly role: string;
  readonly state: string;
  readonly why: string | null;
}

async function rows(): Promise<readonly Row[]> {
  return JSON.parse((await run('status', '--json')).stdout) as readonly Row[];
}

const caRow = async (): Promise<Row | undefined> => (await rows()).find(({ role }) => role === 'ca');

/** All is at rest: make has nothing to do and writes nothing, show works, no temporary file is left. */
async function expectAtRest(): Promise<void> {
  const before = treeOf(project.folder);
  expect(succeed(await run('make')).stderr).toContain('nothing to make');
  expect(succeed(await run('show')).stdout).toContain(home);
  expect(treeOf(project.folder)).toEqual(before);
  expect(Object.keys(before).filter((name) => /\.tmp$|\.lock$/u.test(name))).toEqual([]);
}

/** Nothing beside the settings has changed, and the error is one. */
async function expectUntouched(
  work: () => Result | Promise<Result>,
  status: number,
  message: RegExp,
  hint: RegExp,
): Promise<void> {
  const before = treeOf(project.folder);
  const result = await work();
  expect(result.stderr).toMatch(message);
  expect(result.stderr.split('\n').find((line) => line.startsWith('relaycerts: hint: '))).toMatch(hint);
  expect([result.status, result.stdout]).toEqual([status, '']);
  expect(treeOf(project.folder)).toEqual(before);
}

/** The names of files that are not the same in both trees. */
function changed(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): readonly string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].filter((name) => before[name] !== after[name]).toSorted();
}

describe('renew --ca', () => {
  it('the same key and name: nothing but the CA certificate is new, and every leaf verifies against it', async () => {
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
    expect([isTaken(home, relay), isTaken(relay, home)]).toEqual([true, true]);
    expect(ledger().at(-1)).toBe('renewed example.org relay CA');
    expect(said.stdout).toContain('in any order');
    for (const host of [relay, home]) {
      expect(said.stdout).toContain(`relaycerts show ${host} --section rsync --format sh | sh\n`);
      expect(said.stdout).toContain(`relaycerts show ${host} --format sh | ssh root@${host} sh\n`);
    }
    await expectAtRest();
    expect((await rows()).every(({ state }) => state === 'ok')).toBe(true);
    // A leaf of the new certificate, on a host that has the old one.
    succeed(await run('renew', 'mailhost', '--force'));
    const old = scratch.write('old-ca.pem', before?.toString() ?? '');
    openssl(['verify', '-x509_strict', '-no-CApath', '-CAfile', old, project.path('hosts', home, `${home}.crt.pem`)]);
  });

  it('--json, and the passphrase from a file descriptor', async () => {
    const passphrase = succeed(await run('passphrase', 'show', '--yes')).stdout;
    rmSync(join(project.home, passphraseFile));
    const result = project.spawn(['renew', '--ca', '--json', '--passphrase-fd', '0'], { input: passphrase });
    const { renewed, install } = JSON.parse(succeed(result).stdout) as {
      readonly renewed: readonly { readonly host: string; readonly serial: string }[];
      readonly install: readonly string[];
    };
    const [ca] = certificatesIn(project.read(caFile));
    expect(renewed).toMatchObject([{ host: 'example.org relay CA' }]);
    expect(BigInt(`0x${renewed[0]?.serial ?? ''}`)).toBe(BigInt(`0x${ca?.serialNumber ?? ''}`));
    expect(install).toEqual([relay, home]);
  });

  it('keeps its name where the subject in the settings is another by now', async () => {
    const [before] = certificatesIn(project.read(caFile));
    project.settings(smallSettings({ subject: { organization: 'Another' } }));
    succeed(await run('renew', '--ca'));
    expect(certificatesIn(project.read(caFile))[0]?.subject).toBe(before?.subject);
    expect(isTaken(home, relay)).toBe(true);
  });

  it('mends a CA that has expired, when the leaves are renewed after it', async () => {
    const expired = await inDays(3651, 'make');
    expect(expired.status).toBe(1);
    expect(expired.stderr).toMatch(/expired on .*\nrelaycerts: hint: relaycerts renew --ca\n/u);
    expect((await inDays(3651, 'renew')).status).toBe(1);
    succeed(await inDays(3651, 'renew', '--ca'));
    succeed(await inDays(3651, 'renew'));
    expect((await inDays(3651, 'status')).status).toBe(0);
  });

  it('refuses where a leaf would outlive it, and touches nothing; with the days of the hint it goes', async () => {
    project.settings(smallSettings({ ca: { validDays: 100 } }));
    const before = treeOf(project.folder);
    const refused = await run('renew', '--ca');
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/error: with a new CA certificate, .*longer than its CA/u);
    expect(treeOf(project.folder)).toEqual(before);
    const days = Number(/hint: set ca\.validDays in the settings to (\d+) or more/u.exec(refused.stderr)?.[1]);
    project.settings(smallSettings({ ca: { validDays: days } }));
    succeed(await run('renew', '--ca'));
    expect(isTaken(home, relay)).toBe(true);
    project.settings(smallSettings({ ca: { validDays: days - 1 } }));
    expect((await run('renew', '--ca')).status).toBe(1);
  });

  it('refuses what it cannot do, and touches nothing', async () => {
    await expectUntouched(() => run('renew', '--ca', 'mailhost'), 2, /--ca renews the CA alone/u, /renew --ca$/u);
    await expectUntouched(
      () => run('renew', '--ca', '--rekey', 'mailhost'),
      2,
      /the CA alone/u,
      /renew --ca --rekey$/u,
    );
    await expectUntouched(() => run('renew', '--ca', '--due'), 2, /--ca.*--due/u, /--help/u);
    await expectUntouched(() => run('renew', '--ca', '--force'), 2, /--ca.*--force/u, /--help/u);
    project.settings(smallSettings({ ca: { permittedDomains: ['example.org'] } }));
    await expectUntouched(() => run('renew', '--ca'), 1, /permits the domains/u, /put the settings back/u);
    rmSync(project.path('certs'), { recursive: true });
    rmSync(project.path('hosts'), { recursive: true });
    await expectUntouched(() => run('renew', '--ca'), 1, /there is no CA yet/u, /relaycerts make$/u);
    await expectUntouched(() => run('renew', '--ca', '--rekey'), 1, /there is no CA yet/u, /relaycerts make$/u);
  });
});

describe('renew --ca --rekey', () => {
  const [first, second] = ['example.org relay CA', 'example.org relay CA 2'];

  it('three stages: both CAs are trusted while the leaves change, and no key of a host, pin or table does', async () => {
    const hostKeys = (): readonly string[] =>
      [home, relay].map((name) => project.read('hosts', name, `${name}.key.pem`));
    const [keys, pins] = [hostKeys(), (await run('fingerprint', '--format', 'hex')).stdout];
    const caKey = project.read(caKeyFile);
    const oldLeaf = scratch.write('old-leaf.pem', project.read('hosts', home, `${home}.crt.pem`));
    const tableLines = (): readonly string[] => project.read(tableFile).match(/^[0-9A-F:]+ .*$/gmu) ?? [];
    const lines = tableLines();

    const one = await nextStage();
    expect(one.stdout).toContain(`stage 1 of 3: a new CA "${second}" is there beside "${first}"`);
    expect(one.stdout).toContain(`ssh root@${home} grep -c BEGIN /etc/postfix/relaycerts/example.org-ca.crt.pem\n`);
    expect(one.stdout).toMatch(/\n {2}relaycerts renew --ca --rekey\n$/u);
    expect([trustedBy(home), trustedBy(relay)]).toEqual([
      [first, second],
      [first, second],
    ]);
    expect([issuerOf(home), issuerOf(relay)]).toEqual([first, first]);
    expect([isTaken(home, relay), isTaken(relay, home)]).toEqual([true, true]);
    expect(project.read(nextKey)).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/u);
    expect(modesOf(project.folder)[nextKey]).toBe('0600');
    expect(ledger().at(-1)).toBe(`rekeyed ${second}`);
    expect(await caRow()).toMatchObject({ host: first, state: 'pending' });
    expect((await caRow())?.why).toContain('renew --ca --rekey');
    await expectAtRest();

    const two = await nextStage();
    expect(two.stdout).toContain(`stage 2 of 3: "${second}" has signed a new certificate for every host`);
    expect(two.stdout).toContain('in any order');
    expect([trustedBy(home), trustedBy(relay)]).toEqual([
      [first, second],
      [first, second],
    ]);
    expect([issuerOf(home), issuerOf(relay)]).toEqual([second, second]);
    expect([isTaken(home, relay), isTaken(relay, home)]).toEqual([true, true]);
    openssl(['verify', '-CAfile', project.path('hosts', relay, 'example.org-ca.crt.pem'), oldLeaf]);
    expect([existsSync(project.path(nextKey)), existsSync(project.path(nextCertificate))]).toEqual([false, false]);
    expect(project.read(oldKey)).toBe(caKey);
    expect(modesOf(project.folder)[oldKey]).toBe('0600');
    expect(modesOf(project.folder)[caKeyFile]).toBe('0600');
    expect(ledger().slice(-2).toSorted()).toEqual([`renewed ${home}`, `renewed ${relay}`]);
    expect(await caRow()).toMatchObject({ host: second, state: 'pending' });
    expect((await caRow())?.why).toContain('--ca --rekey');
    expect((await rows()).filter(({ state }) => state !== 'ok')).toHaveLength(1);
    await expectAtRest();

    const three = await nextStage();
    expect(three.stdout).toContain(`stage 3 of 3: the old CA is out of every host's CA file; "${second}" is the CA`);
    expect([trustedBy(home), trustedBy(relay)]).toEqual([[second], [second]]);
    expect([isTaken(home, relay), isTaken(relay, home)]).toEqual([true, true]);
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
    expect(ledger().at(-1)).toBe(`retired ${first}`);
    expect((await run('status')).status).toBe(0);
    await expectAtRest();

    expect(hostKeys()).toEqual(keys);
    expect((await run('fingerprint', '--format', 'hex')).stdout).toBe(pins);
    expect(tableLines()).toEqual(lines);
    expect(project.read(tableFile)).not.toContain('before its new key');

    // And again, years later.
    expect((await nextStage()).stdout).toContain(
      'a new CA "example.org relay CA 3" is there beside "example.org relay CA 2"',
    );
    for (const stage of [2, 3]) expect((await nextStage()).stdout).toContain(`stage ${stage} of 3`);
    expect(trustedBy(home)).toEqual(['example.org relay CA 3']);
    expect(isTaken(home, relay)).toBe(true);
    await expectAtRest();
  });

  it('the passphrase opens the old and the new key alike, and the new one is of the type in the settings', async () => {
    project.settings(smallSettings({ ca: { keyType: 'rsa-2048' } }));
    await nextStage();
    const pass = `file:${scratch.write('passphrase', succeed(await run('passphrase', 'show', '--yes')).stdout)}`;
    for (const file of [caKeyFile, nextKey]) openssl(['pkey', '-in', project.path(file), '-passin', pass, '-noout']);
    expect(openssl(['x509', '-in', project.path(nextCertificate), '-noout', '-text'])).toContain('(2048 bit)');
  });

  it('with --json each stage is data', async () => {
    const stages: unknown[] = [];
    while (stages.length < 3) {
      stages.push(JSON.parse(succeed(await run('renew', '--ca', '--rekey', '--json')).stdout));
    }
    const install = [relay, home];
    const next = 'relaycerts renew --ca --rekey';
    expect(stages).toEqual([
      { stage: 1, stages: 3, resumed: false, trusted: [first, second], install, next },
      { stage: 2, stages: 3, resumed: false, trusted: [first, second], install, next },
      { stage: 3, stages: 3, resumed: false, trusted: [second], install, next: null },
    ]);
  });

  it('where certificates are pinned, stage 2 lists both pins, the relays first, and stage 3 the new ones alone', async () => {
    const settings = smallSettings({ postfix: { pin: 'certificate' } });
    project.settings(settings);
    succeed(await run('make'));
    const pins = (): readonly string[] => project.read(tableFile).match(/^[0-9A-F:]+(?= )/gmu) ?? [];
    const [before] = pins();
    await nextStage();
    expect(pins()).toEqual([before]);
    expect((await nextStage()).stdout).toContain('the relays first');
    expect(pins()).toHaveLength(2);
    expect(pins()[1]).toBe(before);
    const [now] = pins();
    await expectAtRest();
    expect((await nextStage()).stderr).toContain(`the old pin of ${home} is out of the table`);
    expect(pins()).toEqual([now]);
    expect(ledger().slice(-2)).toEqual([`retired ${first}`, `retired ${home}`]);
    await expectAtRest();
  });

  it('where the CA has expired in the first stage, everything names the way on, and no mail flows before the second', async () => {
    const begun = await inDays(3660, 'renew', '--ca', '--rekey');
    expect(begun.stdout).toContain('stage 1 of 3');
    expect(begun.stdout).toContain(`"${first}" has expired: mail waits in the queue until stage 2`);
    expect(begun.stdout).not.toContain('mail flows as before');
    for (const args of [['make'], ['renew'], ['renew', '--ca']]) {
      const { status, stderr } = await inDays(3660, ...args);
      expect([status, /hint: (?:go on with it: )?relaycerts renew --ca( --rekey)?\n/u.exec(stderr)?.[1]]).toEqual([
        1,
        ' --rekey',
      ]);
    }
    const ca = (JSON.parse((await inDays(3660, 'status', '--json')).stdout) as readonly Row[]).find(
      ({ role }) => role === 'ca',
    );
    expect(ca).toMatchObject({ state: 'expired' });
    expect(ca?.why).toMatch(/a new CA waits beside it; .*: relaycerts renew --ca --rekey$/u);
    expect(succeed(await inDays(3660, 'renew', '--ca', '--rekey')).stdout).toMatch(
      /stage 2 of 3[^]*mail flows as before/u,
    );
    expect(succeed(await inDays(3660, 'renew', '--ca', '--rekey')).stdout).toContain('stage 3 of 3');
    expect((await inDays(3660, 'status')).status).toBe(0);
  });

  it('a second stage that was cut off goes on with the passphrase that is given, without its file', async () => {
    const leaf = `certs/smtp-client/${home}.crt.pem`;
    const before = project.read(leaf);
    await nextStage();
    await nextStage();
    writeFileSync(project.path(leaf), before);
    const input = succeed(await run('passphrase', 'show', '--yes')).stdout;
    rmSync(join(project.home, passphraseFile));
    const { stdout } = succeed(project.spawn(['renew', '--ca', '--rekey', '--passphrase-fd', '0'], { input }));
    expect(stdout).toContain('stage 2 of 3, which was cut off and is finished now');
    expect(issuerOf(home)).toBe(second);
  });

  it('where certificates are pinned, an old pin that is still listed comes first', async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    succeed(await run('make'));
    succeed(await run('renew', 'mailhost', '--force'));
    await nextStage();
    await expectUntouched(
      () => run('renew', '--ca', '--rekey'),
      1,
      /old pin that is still listed/u,
      /retire mailhost/u,
    );
    succeed(await run('retire'));
    expect((await nextStage()).stdout).toContain('stage 2 of 3');
  });

  it('hosts come, are renewed, rekeyed and signed for between the stages', async () => {
    const add = (...names: readonly string[]): void => {
      project.settings(smallSettings({ smtpClients: ['mailhost', ...names].map((hostname) => ({ hostname })) }));
    };
    await nextStage();
    add('second');
    succeed(await run('make'));
    expect([issuerOf('second.example.org'), trustedBy('second.example.org')]).toEqual([first, [first, second]]);
    succeed(await run('renew', 'mailhost', '--force'));
    expect(issuerOf(home)).toBe(first);
    succeed(await run('renew', 'mailhost', '--rekey'));
    await nextStage();
    for (const host of [home, relay, 'second.example.org']) expect(issuerOf(host)).toBe(second);
    // The host's old key is listed still, for the key is what is pinned.
    expect(project.read(tableFile).match(/ mailhost\.example\.org$/gmu)).toHaveLength(2);
    add('second', 'third');
    const key = scratch.path('third.key.pem');
    openssl(['genpkey', '-algorithm', 'ED25519', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', '/CN=third.example.org', '-out', scratch.path('third.csr.pem')]);
    succeed(await run('sign', scratch.path('third.csr.pem'), '--host', 'third'));
    expect([issuerOf('third.example.org'), trustedBy('third.example.org')]).toEqual([second, [first, second]]);
    succeed(await run('renew', 'third', '--force'));
    await expectAtRest();
    await nextStage();
    for (const host of [home, relay, 'second.example.org', 'third.example.org']) {
      expect(trustedBy(host)).toEqual([second]);
      expect(isTaken(host, relay)).toBe(true);
    }
    // The key before went with the CA that had signed for it.
    expect(project.read(tableFile).match(/ mailhost\.example\.org$/gmu)).toHaveLength(1);
    await expectAtRest();
  });

  it('a host that keeps its own key has its certificate signed anew from its request', async () => {
    rmSync(project.path(`certs/smtp-client/${home}.key.pem`));
    rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
    rmSync(project.path(`hosts/${home}`), { recursive: true });
    const key = scratch.path('own.key.pem');
    openssl(['genpkey', '-algorithm', 'ED25519', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', `/CN=${home}`, '-out', scratch.path('own.csr.pem')]);
    succeed(await run('sign', scratch.path('own.csr.pem'), '--host', home));
    for (const stage of [1, 2, 3]) {
      expect((await nextStage()).stdout).toContain(`stage ${stage} of 3`);
      expect(isTaken(home, relay)).toBe(true);
      await expectAtRest();
    }
    const [leaf] = certificatesIn(project.read('hosts', home, `${home}.crt.pem`));
    expect(leaf?.publicKey.export({ type: 'spki', format: 'pem' })).toBe(openssl(['pkey', '-in', key, '-pubout']));
  });

  it('a revoked host stays out of it', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    succeed(await run('make'));
    succeed(await run('revoke', 'second'));
    for (const stage of [1, 2, 3]) {
      const { stdout } = await nextStage();
      expect(stdout).toContain(`stage ${stage} of 3`);
      expect(stdout).not.toContain('second.example.org');
    }
    expect(existsSync(project.path('hosts/second.example.org'))).toBe(false);
  });

  it('between the stages the passphrase stays, and the CA is not renewed', async () => {
    await nextStage();
    for (const stage of [1, 2]) {
      await expectUntouched(() => run('passphrase', 'change'), 1, /the CA is being rekeyed/u, /renew --ca --rekey$/u);
      await expectUntouched(() => run('renew', '--ca'), 1, /getting a new key/u, /renew --ca --rekey$/u);
      expect((await nextStage()).stdout).toContain(`stage ${stage + 1} of 3`);
    }
    succeed(await run('passphrase', 'change'));
    succeed(await run('renew', '--ca'));
    expect(certificatesIn(project.read(caFile)).map(nameOf)).toEqual([second]);
  });

  it('a new key that is gone is said, and the hint gives the new CA up', async () => {
    await nextStage();
    rmSync(project.path(nextKey));
    await expectUntouched(
      () => run('renew', '--ca', '--rekey'),
      1,
      /its key .* is missing/u,
      /to give the new CA up: rm -f /u,
    );
    const { stderr } = await run('make');
    const command = /to give the new CA up: (rm -f [^,]*), relaycerts make/u.exec(stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-c', command]).status).toBe(0);
    succeed(await run('make'));
    expect(trustedBy(home)).toEqual([first]);
    expect((await nextStage()).stdout).toContain('stage 1 of 3');
  });

  it('a passphrase that opens nothing changes nothing, in each stage that needs it', async () => {
    await expectUntouched(withWrongPassphrase, 1, /passphrase/u, /./u);
    await nextStage();
    await expectUntouched(withWrongPassphrase, 1, /passphrase/u, /./u);
  });

  it('clean takes every file of every stage', async () => {
    for (const stage of [1, 2, 3]) {
      expect((await nextStage()).stdout).toContain(`stage ${stage} of 3`);
      const copy = `${project.folder}-${stage}`;
      expect(spawnSync('cp', ['-a', project.folder, copy]).status).toBe(0);
      succeed(await run('--settings', join(copy, 'settings.json'), 'clean', '--yes'));
      expect(readdirSync(copy)).toEqual(['settings.json']);
    }
  });
});

describe('cut off', () => {
  const env = { UV_THREADPOOL_SIZE: '1' };

  it('between the certificates of stage 2: make and the same command both finish it', async () => {
    const leaf = `certs/smtp-client/${home}.crt.pem`;
    const before = project.read(leaf);
    await nextStage();
    await nextStage();
    for (const finish of [['make'], ['renew', '--ca', '--rekey']]) {
      writeFileSync(project.path(leaf), before);
      expect((await rows()).find(({ host }) => host === home)).toMatchObject({ state: 'pending' });
      expect(await caRow()).toMatchObject({ state: 'pending' });
      expect((await caRow())?.why).toMatch(/relaycerts make$/u);
      const { stdout } = succeed(await run(...finish));
      if (finish[0] === 'renew') expect(stdout).toContain('stage 2 of 3, which was cut off and is finished now');
      expect(issuerOf(home)).toBe('example.org relay CA 2');
      expect(isTaken(home, relay)).toBe(true);
      expect([existsSync(project.path(oldKey)), existsSync(project.path(oldCertificate))]).toEqual([true, true]);
      await expectAtRest();
    }
    expect((await nextStage()).stdout).toContain('stage 3 of 3');
  });

  it('before the bundles of a stage: the same stage is told again', async () => {
    const file = `hosts/${home}/example.org-ca.crt.pem`;
    const alone = project.read(file);
    await nextStage();
    const both = project.read(file);
    writeFileSync(project.path(file), alone);
    expect((await nextStage()).stdout).toContain('stage 1 of 3, which was cut off');
    expect(project.read(file)).toBe(both);
    await nextStage();
    rmSync(project.path(file));
    expect((await nextStage()).stdout).toContain('stage 2 of 3, which was cut off');
    await nextStage();
    writeFileSync(project.path(file), both);
    expect((await nextStage()).stdout).toContain('stage 3 of 3, which was cut off');
    expect(trustedBy(home)).toEqual(['example.org relay CA 2']);
    expect(existsSync(project.path(nextKey))).toBe(false);
  });

  it('a dry run says what was cut off, and does not mend it', async () => {
    mkdirSync(project.path('certs/ca'), { recursive: true });
    writeFileSync(project.path(nextKey), project.read(caKeyFile), { mode: 0o600 });
    const tree = treeOf(project.folder);
    expect((await run('make', '--dry-run')).stderr).toContain('the rekey of the CA was cut off');
    expect(await caRow()).toMatchObject({ state: 'pending' });
    expect((await caRow())?.why).toMatch(/cut off: relaycerts make$/u);
    expect(treeOf(project.folder)).toEqual(tree);
    expect(succeed(await run('make')).stderr).toContain('removed the key of a new CA that was cut off');
    await expectAtRest();
  });

  it.each([
    ['renew --ca', 0, ['renew', '--ca']],
    ['stage 1', 0, ['renew', '--ca', '--rekey']],
    ['stage 2', 1, ['renew', '--ca', '--rekey']],
    ['stage 3', 2, ['renew', '--ca', '--rekey']],
  ] as const)(
    'at every rename and unlink of %s: what is there works, and the same command goes on',
    { timeout: 600_000 },
    async (...row) => {
      const [, done, command] = row;
      requireTools('strace');
      project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
      succeed(await run('make'));
      for (let stage = 0; stage < done; stage++) await nextStage();
      const calls = 'rename,unlink,fsync';
      const whole = copyOf(project);
      const trace = join(whole.home, 'trace');
      succeed(whole.spawn(command, { env, under: ['strace', '-f', '-qq', '-o', trace, '-e', `trace=${calls}`] }));
      const counts = new Map<string, number>();
      const points = readFileSync(trace, 'utf8')
        .split('\n')
        .flatMap((line) => {
          const call = /^\d+ +(\w+)\(/u.exec(line)?.[1];
          if (call === undefined) return [];
          const nth = (counts.get(call) ?? 0) + 1;
          counts.set(call, nth);
          return [{ call, nth }];
        });
      whole.remove();
      expect(points.filter(({ call }) => call === 'rename').length).toBeGreaterThan(2);
      // Every rename and unlink in the daily run, every call on request.
      const chosen = points.filter(({ call }) => process.env['RELAYCERTS_DEEP'] === '1' || call !== 'fsync');
      const original = project;
      for (const { call, nth } of chosen) {
        project = copyOf(original);
        try {
          const inject = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${call}:signal=SIGKILL:when=${nth}`];
          const cut = project.spawn(command, { env, under: inject });
          expect([call, nth, cut.status]).not.toEqual([call, nth, 0]);
          // Nothing that is there contradicts; what was installed before and what is in the bundles now verify.
          expect((await rows()).filter(({ state }) => !['ok', 'pending'].includes(state))).toEqual([]);
          // Nobody was told of a stage for sure while its note is there, so however far it came, it is the same stage.
          const isTold = stageIn(cut) === done + 1 && !existsSync(project.path('certs/ca/to-install.json'));
          if (command.length === 2) succeed(await run(...command));
          else {
            if (!isTold) expect([call, nth, stageIn(succeed(await run(...command)))]).toEqual([call, nth, done + 1]);
            expect(readdirSync(project.path('certs/ca'))).not.toContain('to-install.json');
            while ((await caRow())?.state === 'pending') await nextStage();
            expect(trustedBy(home)).toEqual(['example.org relay CA 2']);
          }
          expect([call, nth, isTaken(home, relay), isTaken(relay, home)]).toEqual([call, nth, true, true]);
          expect(project.read(tableFile).match(/^[0-9A-F:]+ /gmu)).toHaveLength(1);
          expect(Object.keys(modesOf(project.path('certs'))).filter((name) => /\.(?:new|old)\./u.test(name))).toEqual(
            [],
          );
          expect((await run('status')).status).toBe(0);
          expect((await run('make')).stderr).toContain('nothing to make');
        } finally {
          project.remove();
          project = original;
        }
      }
      process.stderr.write(`crash points of ${row[0]}: ${points.length}, tried ${chosen.length}\n`);
    },
  );
});

describe('help', () => {
  it('renew --help shows both', async () => {
    const { stdout } = succeed(await run('renew', '--help'));
    expect(stdout).toContain('relaycerts renew --ca ');
    expect(stdout).toContain('relaycerts renew --ca --rekey');
  });
});
