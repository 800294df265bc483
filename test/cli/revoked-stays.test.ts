// Only `make --again` reverses a revocation: neither a certificate of the host that turns up again nor a lost ledger
// does.

import { chmodSync, cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { openssl } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed as succeeded } from '../support/succeed.js';

const home = 'mailhost.example.org';
const second = 'second.example.org';
const relay = 'relayhost.example.org';
const ledgerFile = 'certs/ca/issued.jsonl';

let project: Project;
beforeEach(async () => {
  project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const succeed = async (...words: readonly string[]): Promise<Result> => succeeded(await project.run(words));

interface Row {
  readonly host: string;
  readonly state: string;
}

/** Once every host is up to date. */
async function stateOf(name: string): Promise<string | undefined> {
  await noteAsInstalled(project);
  return certificatesOf<Row>(await project.run(['status', '--json'])).find(({ host }) => host === name)?.state;
}

const table = (): string => project.read('hosts', relay, 'relay_clientcerts');

/** mailhost's key and certificate, restored from somebody's copy. */
async function withCopy(work: () => void | Promise<void>): Promise<void> {
  const saved = project.path('../saved');
  mkdirSync(saved);
  for (const end of ['key', 'crt']) cpSync(project.path(`certs/smtp-client/${home}.${end}.pem`), `${saved}/${end}`);
  await work();
  for (const end of ['key', 'crt']) {
    cpSync(`${saved}/${end}`, project.path(`certs/smtp-client/${home}.${end}.pem`));
    chmodSync(project.path(`certs/smtp-client/${home}.${end}.pem`), end === 'key' ? 0o600 : 0o644);
  }
}

it('and holds up no other host that a pattern means', async () => {
  await succeed('revoke', 'mailhost');
  expect((await succeed('show', '*', '--section', 'verify')).stdout).not.toContain(home);
  expect((await succeed('renew', '*', '--force')).stderr).toContain('made the certificate of second.example.org');
  expect((await succeed('deploy', '--dry-run', '*')).stdout).toMatch(/relayhost.*\n.*second.*\n$/u);
  expect((await succeed('retire', '*')).stderr).toBe(
    `relaycerts: nothing to retire: no old pin of ${relay}, ${second} is listed\n`,
  );
  // Undoing needs no certificate, and a pattern that means no other host means this one.
  expect((await succeed('show', '*', '--undo')).stdout).toContain(home);
  const { status, stderr } = await project.run(['show', 'mail*']);
  expect([status, stderr]).toEqual([1, expect.stringContaining(`error: ${home} is revoked\n`)]);
});

it('by a certificate that the ledger does not know', async () => {
  await withCopy(async () => {
    await succeed('renew', '--force', 'mailhost');
    await succeed('revoke', 'mailhost');
    // The ledger after a crash, or from a backup: without the first certificate of the host.
    const [ca, ...lines] = project.read(ledgerFile).trimEnd().split('\n');
    const first = lines.find((line) => line.includes(home));
    project.write(ledgerFile, `${[ca, ...lines.filter((line) => line !== first)].join('\n')}\n`);
  });
  for (let times = 0; times < 2; times += 1) {
    await succeed('make');
    expect(await stateOf(home)).toBe('revoked');
    expect(table()).not.toContain(home);
    expect(table()).toContain(second);
  }
});

it('by key and certificate from a copy, with make --again', async () => {
  await withCopy(async () => {
    await succeed('renew', '--force', 'mailhost');
    await succeed('revoke', 'mailhost');
  });
  const key = project.read(`certs/smtp-client/${home}.key.pem`);
  await expectRefused(`the key of ${home} was revoked, and is here again: `);
  expect(project.read(`certs/smtp-client/${home}.key.pem`)).not.toBe(key);
});

/** Asserts that make --again refuses, and works after its hint was followed. */
async function expectRefused(error: string): Promise<void> {
  const refused = await project.run(['make', '--again', 'mailhost']);
  expect([refused.status, refused.stdout]).toEqual([1, '']);
  expect(refused.stderr).toContain(`error: ${error}`);
  expect(table()).not.toContain(home);
  const hint = /hint: rm (.*), then the same command again, for a new key\n/u.exec(refused.stderr)?.[1] ?? '';
  for (const path of hint.split(' ')) rmSync(path);
  await succeed('make', '--again', 'mailhost');
  expect(await stateOf(home)).toBe('ok');
  expect(table()).toContain(home);
}

it('by its old certificate from a copy, after it was made again', async () => {
  const old = project.read(`certs/smtp-client/${home}.crt.pem`);
  await succeed('revoke', 'mailhost');
  await succeed('make', '--again', 'mailhost');
  const path = project.path(`certs/smtp-client/${home}.old.crt.pem`);
  project.write(`certs/smtp-client/${home}.old.crt.pem`, old);
  const refused = await project.run(['make']);
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`error: the certificate "${path}" is for a key that was revoked\n`);
  expect(refused.stderr).toContain(`hint: rm ${path}, then the same command again\n`);
  rmSync(path);
  await succeed('make');
});

it('by its key and its bundle from a copy', async () => {
  const bundle = project.path('../bundle');
  cpSync(project.path('hosts', home), bundle, { recursive: true });
  await withCopy(async () => {
    await succeed('revoke', 'mailhost');
  });
  rmSync(project.path(`certs/smtp-client/${home}.crt.pem`));
  cpSync(bundle, project.path('hosts', home), { recursive: true });
  await succeed('make');
  expect(await stateOf(home)).toBe('revoked');
  expect(table()).not.toContain(home);
  await expectRefused(`the key of ${home} was revoked, and is here again: `);
});

it('by a ledger that was lost', async () => {
  await succeed('renew', '--rekey', 'mailhost');
  await succeed('revoke', 'mailhost');
  rmSync(project.path(ledgerFile));
  // make need not be run first.
  expect(await stateOf(home)).toBe('revoked');
  expect((await project.run(['show', home])).stderr).toContain(`${home} is revoked`);
  expect((await project.run(['make', '--dry-run'])).stdout).not.toContain(home);
  expect((await succeed('make')).stderr).toContain('nothing to make');
  expect(await stateOf(home)).toBe('revoked');
  expect(table()).not.toContain(home);
  await succeed('make', '--again', 'mailhost');
  expect(table()).toContain(home);
});

it('by a ledger from before it, beside a file that is not a certificate', async () => {
  const old = project.read(ledgerFile);
  await succeed('revoke', 'mailhost');
  project.write(ledgerFile, old);
  project.write(`certs/revoked/${second}-00.crt.pem`, 'mine');
  await succeed('make');
  expect(await stateOf(second)).toBe('ok');
  expect(await stateOf(home)).toBe('revoked');
  expect(table()).not.toContain(home);
});

it('beside a certificate of somebody else whose name is not a host name', async () => {
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=x -addext subjectAltName=DNS:*.example.org -addext extendedKeyUsage=clientAuth';
  const made = openssl(words.split(' '));
  for (const folder of ['revoked', 'retired']) {
    mkdirSync(project.path('certs', folder));
    project.write(`certs/${folder}/*.example.org-abcd.crt.pem`, made);
  }
  expect(await stateOf(home)).toBe('ok');
  await succeed('make');
});

it('but a host that was made again stays, even without the ledger', async () => {
  const old = project.read(ledgerFile);
  await succeed('revoke', 'mailhost');
  await succeed('make', '--again', 'mailhost');
  const pins = table();
  for (const lose of [() => rmSync(project.path(ledgerFile)), () => project.write(ledgerFile, old)]) {
    lose();
    expect(await stateOf(home)).toBe('ok');
    expect((await succeed('make')).stderr).toContain('nothing to make');
    expect(table()).toBe(pins);
  }
});

it('but clean removes what was revoked, with and without the ledger', async () => {
  await succeed('revoke', 'mailhost');
  rmSync(project.path(ledgerFile));
  await succeed('clean', '--yes');
  expect(readdirSync(project.folder)).toEqual(['settings.json']);
  await succeed('make');
  expect(await stateOf(home)).toBe('ok');
});
