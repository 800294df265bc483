// `relaycerts renew` and `retire` by the built program, and both cut off at every system
// call that changes files. What openssl and node:crypto read of keys and certificates counts, not what is printed.

import { X509Certificate, createHash, createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openssl } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const day = 86_400_000;
const home = 'mailhost.example.org';
const relay = 'relayhost.example.org';
const tableFile = `hosts/${relay}/relay_clientcerts`;
const homeCertificate = `certs/smtp-client/${home}.crt.pem`;
const oldCertificate = `certs/smtp-client/${home}.old.crt.pem`;
const ledgerFile = 'certs/ca/issued.jsonl';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

/** The command as it runs so many days from now. */
async function inDays(days: number, args: readonly string[]): Promise<Result> {
  const now = new Date(Date.now() + days * day);
  return project.run(args, { now });
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
  expect(result.stderr).not.toMatch(/\bbug\b/u);
  expect([result.status, result.stdout]).toEqual([status, '']);
  expect(treeOf(project.folder)).toEqual(before);
}

const colons = (digest: Buffer): string =>
  digest
    .toString('hex')
    .toUpperCase()
    .replaceAll(/..(?!$)/gu, '$&:');

interface Read {
  readonly x509: X509Certificate;
  readonly serial: string;
  readonly notAfter: number;
  /** SHA-256 of its public key. */
  readonly pin: string;
}

function certificateIn({ folder }: Project, path: string): Read {
  const x509 = new X509Certificate(readFileSync(join(folder, path)));
  const spki = x509.publicKey.export({ type: 'spki', format: 'der' });
  return {
    x509,
    serial: x509.serialNumber.toLowerCase(),
    notAfter: Date.parse(x509.validTo),
    pin: colons(createHash('sha256').update(spki).digest()),
  };
}

const certificate = (path = homeCertificate): Read => certificateIn(project, path);

/** The pins that the relay's bundle lists, as [pin, name]. */
function listed({ folder }: Project = project): readonly (readonly string[])[] {
  return readFileSync(join(folder, tableFile), 'utf8')
    .trimEnd()
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.split(' '));
}

interface Line {
  readonly event: string;
  readonly name: string;
  readonly serial: string;
}

function ledger({ folder }: Project = project): readonly Line[] {
  const text = readFileSync(join(folder, ledgerFile), 'utf8').trimEnd();
  return text.split('\n').map((line) => JSON.parse(line) as Line);
}

const eventsSince = (count: number): readonly (readonly string[])[] =>
  ledger()
    .slice(count)
    .map(({ event, name }) => [event, name]);

interface Row {
  readonly host: string;
  readonly state: string;
  readonly daysLeft: number;
  readonly why: string | null;
}

const rowsOf = ({ stdout }: Result): readonly Row[] => JSON.parse(stdout) as readonly Row[];

function expectVerified(path = homeCertificate, purpose = 'sslclient', days = 0): void {
  const ca = project.path('certs/ca/example.org-ca.crt.pem');
  const at = String(Math.floor(Date.now() / 1000) + days * 86_400);
  openssl(['verify', '-x509_strict', '-attime', at, '-purpose', purpose, '-CAfile', ca, project.path(path)]);
}

describe('renew, for the same key', () => {
  beforeEach(async () => {
    await putMade(project);
  });

  it('leaves alone what is not due, and says how long it has', async () => {
    const before = treeOf(project.folder);
    const result = succeed(await run('renew'));
    for (const host of [home, relay]) expect(result.stderr).toContain(`${host} is not due: 397 days left`);
    expect(result.stdout).toBe('');
    expect(treeOf(project.folder)).toEqual(before);
    expect(JSON.parse(succeed(await run('renew', '--json')).stdout)).toEqual({ renewed: [], install: [], retire: [] });
    // From cron, what is not due is no news.
    expect(succeed(await run('renew', '--due'))).toMatchObject({ stdout: '', stderr: '' });
    expect(succeed(await run('renew', '--due', '--verbose')).stderr).toContain(`${home} is not due`);
    for (const other of ['--force', '--rekey']) {
      await expectUntouched(
        () => run('renew', '--due', other, 'mailhost'),
        2,
        /--due.* cannot be used with /u,
        /--help/u,
      );
    }
  });

  it('renews what is due, and only that: the pin and every byte of the table stay', async () => {
    const before = { ...certificate(), table: project.read(tableFile), lines: ledger().length };
    expect((await inDays(366, ['renew'])).stderr).toContain('is not due: 31 days left');
    const result = succeed(await inDays(368, ['renew']));
    expect(result.stderr).not.toContain('not due');
    for (const host of [home, relay]) {
      expect(result.stdout).toMatch(new RegExp(`${host} has a certificate until .*, with the same pin`, 'u'));
      expect(result.stdout).toContain(`now: relaycerts show ${host}  # copy its bundle and run its script\n`);
    }
    const after = certificate();
    expect(after.pin).toBe(before.pin);
    expect(after.serial).not.toBe(before.serial);
    expect(Math.round((after.notAfter - before.notAfter) / day)).toBe(368);
    expect(project.read(tableFile)).toBe(before.table);
    expect(result.stderr).not.toContain('relay_clientcerts');
    expect(new Set(eventsSince(before.lines).map((line) => line.join(' ')))).toEqual(
      new Set([`renewed ${home}`, `renewed ${relay}`]),
    );
    expect(ledger().map(({ serial }) => serial)).toContain(after.serial);
    expect(project.read(`hosts/${home}/${home}.crt.pem`)).toBe(project.read(homeCertificate));
    expect((await inDays(368, ['status'])).status).toBe(0);
    expect((await inDays(368, ['make'])).stderr).toContain('nothing to make');
  });

  it('renews what has expired, too', async () => {
    const pin = certificate().pin;
    expect((await inDays(400, ['status'])).status).toBe(3);
    succeed(await inDays(400, ['renew', 'mailhost']));
    expect(certificate().pin).toBe(pin);
    expect(rowsOf(await inDays(400, ['status', '--json'])).map(({ host, state }) => [host, state])).toEqual([
      [relay, 'expired'],
      [home, 'ok'],
      ['example.org relay CA', 'ok'],
    ]);
  });

  it('--force renews what is not due, by label or FQDN, each once however often it is named', async () => {
    const before = {
      ...certificate(),
      lines: ledger().length,
      relay: project.read(`certs/smtpd-server/${relay}.crt.pem`),
    };
    const result = succeed(await run('renew', '--force', '--json', 'mailhost', home, 'MAILHOST.example.org'));
    const after = certificate();
    expect(JSON.parse(result.stdout)).toEqual({
      renewed: [{ host: home, serial: after.serial, expires: new Date(after.notAfter).toISOString() }],
      install: [home],
      retire: [],
    });
    expect([after.pin, after.serial === before.serial]).toEqual([before.pin, false]);
    expect(eventsSince(before.lines)).toEqual([['renewed', home]]);
    expect(project.read(`certs/smtpd-server/${relay}.crt.pem`)).toBe(before.relay);
    expectVerified();
  });

  it('never outlives the CA, and says the end that it has', async () => {
    succeed(await run('clean', '--yes'));
    project.settings(smallSettings({ ca: { validDays: 500 } }));
    succeed(await run('make'));
    succeed(await inDays(390, ['renew']));
    const ca = certificate('certs/ca/example.org-ca.crt.pem');
    expect(certificate().notAfter).toBe(ca.notAfter);
    expectVerified(homeCertificate, 'sslclient', 390);
    expectVerified(`certs/smtpd-server/${relay}.crt.pem`, 'sslserver', 390);
    expect(rowsOf(await inDays(390, ['status', '--json'])).map(({ state, daysLeft }) => [state, daysLeft])).toEqual([
      ['ok', 109],
      ['ok', 109],
      ['ok', 109],
    ]);
    // Once the CA has ended, there is nothing that a new leaf could be signed with.
    const before = treeOf(project.folder);
    const late = await inDays(501, ['renew']);
    expect(late.status).toBe(1);
    expect(late.stderr).toMatch(/example\.org-ca\.crt\.pem" expired on /u);
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('with a clock a day behind: refuses to sign, and touches nothing', async () => {
    await expectUntouched(
      () => inDays(-1, ['renew', '--force']),
      1,
      /is valid from .* on, and it is .* now/u,
      /timedatectl/u,
    );
    expect((await inDays(-1, ['status'])).status).toBe(3);
  });

  it('a leaf that is renewed with a clock a day ahead is good on a host whose clock is an hour further behind', async () => {
    succeed(await inDays(1, ['renew', '--force', 'mailhost']));
    const ca = project.path('certs/ca/example.org-ca.crt.pem');
    const at = String(Math.floor((Date.now() + day) / 1000) - 3500);
    openssl(['verify', '-attime', at, '-CAfile', ca, project.path(homeCertificate)]);
    const early = rowsOf(await run('status', '--json'))[0];
    expect(early).toMatchObject({ host: home, state: 'not-yet-valid' });
    expect(rowsOf(await inDays(1, ['status', '--json'])).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
  });

  it('of a host that keeps its own key: a certificate for that key, from the request', async () => {
    succeed(await run('clean', '--yes'));
    const key = join(project.home, 'host.key');
    openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', `/CN=${home}`, '-out', project.path('host.csr')]);
    succeed(await run('sign', 'host.csr', '--host', 'mailhost'));
    succeed(await run('make'));
    const before = { ...certificate(), table: project.read(tableFile) };
    const result = succeed(await run('renew', '--force', 'mailhost'));
    expect(result.stdout).toContain(`${home} has a certificate until`);
    const after = certificate();
    expect([after.pin, after.serial === before.serial]).toEqual([before.pin, false]);
    expect(after.x509.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true);
    expect(project.read(tableFile)).toBe(before.table);
    expect(readdirSync(project.path(`hosts/${home}`)).toSorted()).toEqual([
      'example.org-ca.crt.pem',
      `${home}.crt.pem`,
    ]);
    await expectUntouched(() => run('renew', '--rekey', 'mailhost'), 1, /keeps its own key/u, /--section request/u);
  });

  it('refuses what it cannot do, and touches nothing', async () => {
    await expectUntouched(() => run('renew', 'nobody'), 2, /the settings name no host "nobody"/u, /the hosts are: /u);
    await expectUntouched(() => run('renew', '--rekey'), 2, /hosts that are named/u, /renew --rekey mailhost/u);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await expectUntouched(() => run('renew', 'second'), 1, /no certificate yet for second/u, /relaycerts make/u);
    await expectUntouched(
      () => run('renew', '--rekey', 'second'),
      1,
      /no certificate yet for second/u,
      /relaycerts make/u,
    );
  });
});

/** Nothing is renewed or rekeyed, because an old pin comes first. */
async function expectLeft(...args: readonly string[]): Promise<Result> {
  const before = treeOf(project.folder);
  const result = await run(...args);
  expect(result.stderr).toMatch(
    /old pin that is still listed.*\nrelaycerts: hint: when its new certificate .*retire /u,
  );
  expect(result.status).toBe(1);
  expect(treeOf(project.folder)).toEqual(before);
  return result;
}

const certificatePin = (): string => certificate().x509.fingerprint256;

describe('renew, where the certificate is pinned', () => {
  beforeEach(async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    await putMade(project);
  });

  it('lists the old pin beside the new one until it is retired', async () => {
    const before = certificatePin();
    const result = succeed(await run('renew', '--force'));
    expect(result.stdout).toMatch(/mailhost\.example\.org has a certificate until .*, with a new pin/u);
    expect(result.stdout).toMatch(/relayhost\.example\.org has a certificate until .*, with a new pin/u);
    expect(result.stdout).toMatch(
      /first, for the table with both pins: .*relayhost[^]*then: .*mailhost[^]*with the new certificate: .*retire mailhost/u,
    );
    expect(listed()).toEqual([
      [certificatePin(), home],
      [before, home],
    ]);
    const [row] = rowsOf(await run('status', '--json'));
    expect(row).toMatchObject({ host: home, state: 'pending' });
    expect(row?.why).toMatch(
      /before the new certificate .*relays .* first, then mailhost.*: relaycerts retire mailhost/u,
    );
    const again = await expectLeft('renew', '--force', 'mailhost');
    expect(again.stdout).toMatch(/^first, .*relayhost.*\nthen: .*mailhost.*\nwhen .*retire mailhost/u);
    // A new key was asked for and is not there: that is no rekey that goes on.
    await expectLeft('renew', '--rekey', 'mailhost');
    succeed(await run('retire', 'mailhost'));
    expect(listed()).toEqual([[certificatePin(), home]]);
  });

  it('a renewal that could not sign leaves nothing pending', async () => {
    const before = { pins: listed(), serial: certificate().serial };
    const wrong = project.spawn(['renew', '--force', 'mailhost', '--passphrase-fd', '0'], { input: 'wrong' });
    expect(wrong.status).toBe(1);
    expect(rowsOf(succeed(await run('status', '--json'))).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
    await expectUntouched(() => run('retire', 'nobody'), 2, /no host/u, /hosts are/u);
    const none = await run('retire', 'mailhost');
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('has no old pin to retire')]);
    expect([listed(), certificate().serial]).toEqual([before.pins, before.serial]);
    expect(existsSync(project.path(oldCertificate))).toBe(false);
    succeed(await run('renew', '--force', 'mailhost'));
    expect(listed()[1]).toEqual(before.pins[0]);
  });

  it('one pending host is left as it is with a warning, and all others are renewed; the exit code is 1', async () => {
    project.settings(
      smallSettings({
        postfix: { pin: 'certificate' },
        smtpClients: [{ hostname: 'first' }, { hostname: 'mailhost' }],
      }),
    );
    succeed(await run('make'));
    succeed(await run('renew', '--force', 'mailhost'));
    const lines = ledger().length;
    const pins = listed().filter(([, name]) => name === home);
    const result = await inDays(370, ['renew', '--due', '--json']);
    expect(result.stderr).toMatch(
      /mailhost\.example\.org has an old pin .* not renewed\nrelaycerts: hint: .*retire mailhost/u,
    );
    expect(result.status).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({
      renewed: [{ host: relay }, { host: 'first.example.org' }],
      install: [relay, 'first.example.org', home],
      retire: ['first.example.org', home],
    });
    expect(eventsSince(lines).map(([, name]) => name)).toEqual(expect.arrayContaining([relay, 'first.example.org']));
    expect(eventsSince(lines)).toHaveLength(2);
    expect(listed().filter(([, name]) => name === home)).toEqual(pins);
    const row = rowsOf(await inDays(370, ['status', '--json'])).find(({ host }) => host === home);
    expect(row).toMatchObject({ state: 'due' });
    expect(row?.why).toMatch(
      /relaycerts retire mailhost\.example\.org, then relaycerts renew mailhost\.example\.org$/u,
    );
  });
});

describe('renew --rekey and retire', () => {
  beforeEach(async () => {
    await putMade(project);
  });

  it('a new key: both pins are listed, the bundle has the new one alone, and retire ends it', async () => {
    const before = certificate();
    const lines = ledger().length;
    const result = succeed(await run('renew', '--rekey', 'mailhost'));
    const after = certificate();
    expect(after.pin).not.toBe(before.pin);
    expect(listed()).toEqual([
      [after.pin, home],
      [before.pin, home],
    ]);
    expect(result.stdout).toMatch(
      /first, for the table with both pins: .*relayhost[^]*then: .*mailhost[^]*with the new key: .*retire mailhost/u,
    );
    const chain = project.read(`hosts/${home}/${home}.chain.pem`);
    expect(chain).toBe(project.read(`certs/smtp-client/${home}.key.pem`) + project.read(homeCertificate));
    expect(after.x509.checkPrivateKey(createPrivateKey(chain))).toBe(true);
    expect(modesOf(project.folder)).toMatchObject({
      [`certs/smtp-client/${home}.key.pem`]: '0600',
      [oldCertificate]: '0644',
      [`hosts/${home}/${home}.chain.pem`]: '0600',
    });
    expectVerified();
    const [row] = rowsOf(await run('status', '--json'));
    expect(row).toMatchObject({ host: home, state: 'pending' });
    expect(row?.why).toMatch(/before the new key .*relays .* first, then mailhost.*: relaycerts retire mailhost/u);
    expect((await run('status')).status).toBe(3);
    expect(succeed(await run('fingerprint', '--format', 'openssl')).stdout.match(/:/gu)?.length).toBe(62);
    expect(succeed(await run('show', relay, '--section', 'relay_clientcerts')).stdout).toContain(
      `${before.pin} ${home}`,
    );
    expect(succeed(await run('make')).stderr).toContain('nothing to make');

    const tree = treeOf(project.folder);
    const again = succeed(await run('--quiet', 'renew', '--rekey', home));
    const today = new Date(after.x509.validFrom).toISOString().slice(0, 10);
    expect(again.stdout).toMatch(
      new RegExp(
        `^${home} is left as it is: .* under way, with a certificate of ${today}; .*retire ${home} comes before`,
        'u',
      ),
    );
    expect(again.stdout).toMatch(/\nfirst, .*relayhost.*\nthen: .*mailhost.*\nwhen .*retire mailhost/u);
    expect(treeOf(project.folder)).toEqual(tree);

    const retired = succeed(await run('retire', 'mailhost', home));
    expect(retired.stderr).toContain(`the old pin of ${home} is out of the table, serial ${before.serial}`);
    expect(retired.stdout).toBe(`now: relaycerts show ${relay}  # copy its bundle and run its script\n`);
    expect(listed()).toEqual([[after.pin, home]]);
    const kept = `certs/retired/${home}-${before.serial}.crt.pem`;
    expect(certificate(kept).serial).toBe(before.serial);
    expect(existsSync(project.path(oldCertificate))).toBe(false);
    expect(
      ledger()
        .slice(lines)
        .map(({ event, serial }) => [event, serial]),
    ).toEqual([
      ['rekeyed', after.serial],
      ['retired', before.serial],
    ]);
    succeed(await run('status'));
    expect(succeed(await run('make')).stderr).toContain('nothing to make');
  });

  it('a host that is named twice is rekeyed once, so that the pin in use stays listed', async () => {
    const before = certificate();
    const lines = ledger().length;
    const result = succeed(await run('renew', '--rekey', '--json', 'mailhost', home));
    expect(JSON.parse(result.stdout)).toMatchObject({ rekeyed: [{ host: home, serial: certificate().serial }] });
    expect(listed().map(([pin]) => pin)).toEqual([certificate().pin, before.pin]);
    expect(eventsSince(lines)).toEqual([['rekeyed', home]]);
  });

  it('a renewal in between keeps both pins', async () => {
    const before = certificate();
    succeed(await run('renew', '--rekey', 'mailhost'));
    const pins = listed();
    succeed(await run('renew', '--force', 'mailhost'));
    expect(listed()).toEqual(pins);
    expect(certificate(oldCertificate).serial).toBe(before.serial);
  });

  it('of a relay needs no second pin, for clients know it by its name', async () => {
    const path = `certs/smtpd-server/${relay}.crt.pem`;
    const before = { ...certificate(path), table: project.read(tableFile) };
    succeed(await run('renew', '--rekey', 'relayhost'));
    expect(certificate(path).pin).not.toBe(before.pin);
    expect(project.read(tableFile)).toBe(before.table);
    expectVerified(path, 'sslserver');
    succeed(await run('status'));
    await expectUntouched(() => run('retire', 'relayhost'), 1, /has no old pin to retire/u, /relaycerts status/u);
  });

  it('retire by name, a second time: says so, and what to install again', async () => {
    succeed(await run('renew', '--rekey', 'mailhost'));
    const { serial } = certificate(oldCertificate);
    const first = succeed(await run('retire', 'mailhost'));
    expect(first.stdout).toBe(`now: relaycerts show ${relay}  # copy its bundle and run its script\n`);
    const before = treeOf(project.folder);
    const second = succeed(await run('retire', 'mailhost'));
    expect(second.stdout).toBe(first.stdout);
    expect(second.stderr).toBe(
      `relaycerts: nothing to retire: the old pin of ${home} went before, serial ${serial.toLowerCase()}\n`,
    );
    expect(JSON.parse(succeed(await run('retire', 'mailhost', '--json')).stdout)).toEqual({
      retired: [],
      install: [relay],
    });
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('retire with nothing pending', async () => {
    const before = treeOf(project.folder);
    expect(succeed(await run('retire')).stderr).toContain('nothing to retire');
    expect(JSON.parse(succeed(await run('retire', '--json')).stdout)).toEqual({ retired: [], install: [] });
    expect(treeOf(project.folder)).toEqual(before);
    await expectUntouched(() => run('retire', 'mailhost'), 1, /has no old pin to retire/u, /relaycerts status/u);
    await expectUntouched(() => run('retire', 'nobody'), 2, /no host "nobody"/u, /the hosts are/u);
  });

  it('with every other key type, as the settings say now', async () => {
    project.settings(smallSettings({ certificates: { keyType: 'ed25519' } }));
    succeed(await run('renew', '--rekey', 'mailhost'));
    expect(certificate().x509.publicKey.asymmetricKeyType).toBe('ed25519');
    expect(listed()).toHaveLength(2);
  });

  it('clean takes away what a rekey and its end have put aside', async () => {
    succeed(await run('renew', '--rekey', 'mailhost'));
    succeed(await run('retire'));
    succeed(await run('renew', '--rekey', 'mailhost'));
    const cleaned = succeed(await run('clean', '--yes'));
    expect(cleaned.stdout).toMatch(/certs\/retired\/mailhost\.example\.org-[0-9a-f]+\.crt\.pem\n/u);
    expect(cleaned.stdout).toContain(project.path(oldCertificate));
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  it('clean leaves what only looks like it', async () => {
    succeed(await run('renew', '--rekey', 'mailhost'));
    succeed(await run('retire'));
    const mine = `certs/retired/${home}-00.crt.pem`;
    project.write(mine, 'mine');
    succeed(await run('clean', '--yes'));
    expect(readdirSync(project.path('certs/retired'))).toEqual([`${home}-00.crt.pem`]);
  });
});

/** The command, killed at its nth rename. */
function killedAt(nth: number, args: readonly string[]): void {
  requireTools('strace');
  const under = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=rename:signal=SIGKILL:when=${nth}`];
  expect(project.spawn(args, { env: { UV_THREADPOOL_SIZE: '1' }, under }).status).not.toBe(0);
}

/** Done to the last byte, and nobody was told: killed as it is about to take its note of that away. */
function killedBeforeTelling(args: readonly string[]): void {
  const note = project.path('certs/ca/to-install.json');
  const inject = ['-P', note, '-e', 'inject=unlink:signal=SIGKILL'];
  const { status } = project.spawn(args, { under: ['strace', '-f', '-qq', '-o', '/dev/null', ...inject] });
  expect(status).not.toBe(0);
  expect(existsSync(note)).toBe(true);
}

describe('cut off, and the same command again', () => {
  const second = 'second.example.org';
  beforeEach(async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await putMade(project);
  });

  it('renew --rekey: what has its new key gets no other, the rest is rekeyed, and the order is told for all', async () => {
    const before = { pins: listed(), lines: ledger().length };
    killedAt(4, ['renew', '--rekey', 'mailhost', 'second']);
    expect(existsSync(project.path(oldCertificate))).toBe(true);
    const { stdout } = succeed(await run('renew', '--rekey', 'mailhost', 'second'));
    expect(eventsSince(before.lines)).toEqual([
      ['rekeyed', home],
      ['rekeyed', second],
    ]);
    expect(listed()).toHaveLength(4);
    for (const pin of before.pins) expect(listed()).toContainEqual(pin);
    expect(stdout.split('\n').slice(-5)).toEqual([
      `first, for the table with both pins: relaycerts show ${relay}  # copy its bundle and run its script`,
      `then: relaycerts show ${home}  # copy its bundle and run its script`,
      `then: relaycerts show ${second}  # copy its bundle and run its script`,
      `when mail flows with the new key: relaycerts retire ${home} ${second}`,
      '',
    ]);
    expect(succeed(await run('make')).stderr).toContain('nothing to make');
  });

  it('renew: what has its certificate already is not due, and its bundle is to be copied all the same', async () => {
    const before = certificate().serial;
    killedAt(4, ['renew', '--force']);
    expect(certificate().serial).not.toBe(before);
    expect(project.read(`hosts/${home}/${home}.crt.pem`)).not.toBe(project.read(homeCertificate));
    const { stdout, stderr } = succeed(await run('--quiet', 'renew', '--due'));
    expect([stdout, stderr]).toEqual([
      [relay, home, second]
        .map((host) => `now: relaycerts show ${host}  # copy its bundle and run its script\n`)
        .join(''),
      '',
    ]);
    expect(succeed(await run('renew', '--due')).stdout).toBe('');
  });

  it('retire: what is retired already needs its table installed all the same', async () => {
    succeed(await run('renew', '--rekey', 'mailhost'));
    killedAt(2, ['retire']);
    expect(existsSync(project.path(oldCertificate))).toBe(false);
    expect(listed()).toHaveLength(3);
    const { stdout } = succeed(await run('retire'));
    expect(stdout).toBe(`now: relaycerts show ${relay}  # copy its bundle and run its script\n`);
    expect(listed()).toHaveLength(2);
    expect(succeed(await run('retire')).stdout).toBe('');
  });

  it.each([
    ['renew', ['renew', '--force'], ['renew'], [relay, home, second]],
    ['renew, and then another command', ['renew', '--force', 'mailhost'], ['retire'], [home]],
    ['renew --rekey', ['renew', '--rekey', 'mailhost'], ['renew', '--rekey', 'mailhost'], [relay, home]],
    ['renew --rekey of a relay', ['renew', '--rekey', 'relayhost'], ['renew', '--rekey', 'relayhost'], [relay]],
    ['retire', ['retire'], ['retire'], [relay]],
    ['revoke', ['revoke', 'second'], ['renew'], [relay]],
  ])('%s, done but not told: what to install is told once more, and then no more', async (what, args, next, hosts) => {
    requireTools('strace');
    if (what === 'retire') succeed(await run('renew', '--rekey', 'mailhost'));
    killedBeforeTelling(args);
    const before = { lines: ledger().length, pins: listed() };
    const { stdout } = succeed(await run(...next));
    expect(
      [...stdout.matchAll(/^(?:now|first|then)\b.*?: relaycerts show ([\w.]+)/gmu)].map(([, host]) => host),
    ).toEqual(hosts);
    expect([ledger().length, listed()]).toEqual([before.lines, before.pins]);
    expect(existsSync(project.path('certs/ca/to-install.json'))).toBe(false);
    if (next[1] !== '--rekey') expect(succeed(await run(...next)).stdout).toBe('');
  });

  it('a note that somebody spoilt is none', async () => {
    const note = 'certs/ca/to-install.json';
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"hosts":[1,"../x","nobody.example.org"],"caStage":9}',
      '{"hosts":{}}',
    ]) {
      project.write(note, text);
      expect(succeed(await run('renew', '--due')).stdout).toBe('');
    }
    succeed(await run('clean', '--yes'));
    expect(existsSync(project.path('certs'))).toBe(false);
  });
});

describe('without the passphrase file', () => {
  it('the passphrase that is given is enough, and retire needs none', async () => {
    await putMade(project);
    const input = succeed(await run('passphrase', 'show', '--yes')).stdout;
    rmSync(join(project.home, '.example.org-relaycerts-passphrase.gpg'));
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    for (const args of [
      ['renew', '--force', 'mailhost'],
      ['renew', '--rekey', 'mailhost'],
      ['renew', '--ca'],
    ]) {
      await expectUntouched(() => run(...args), 1, /passphrase file .* does not exist/u, /--passphrase-fd N$/u);
      succeed(project.spawn([...args, '--passphrase-fd', '0'], { input }));
    }
    succeed(await run('retire', 'mailhost'));
    expect(listed()).toHaveLength(1);
  });
});

describe('the wrong folder, and the end of the CA', () => {
  it('renew where nothing was made is an error, and a client that was not made is named', async () => {
    await expectUntouched(() => run('renew', '--due'), 1, /there is no CA yet/u, /relaycerts make$/u);
    succeed(await run('make'));
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    expect(succeed(await run('renew', '--due')).stderr).toBe(
      'relaycerts: warning: there is no certificate yet for second.example.org\nrelaycerts: hint: relaycerts make\n',
    );
  });

  it('a certificate that would end no later is not made; renew --ca comes first', async () => {
    await putMade(project);
    const first = succeed(await inDays(3640, ['renew', '--due']));
    expect(first.stderr).toMatch(/warning: the CA expires on .*\nrelaycerts: hint: relaycerts renew --ca/u);
    const lines = ledger().length;
    for (const days of [3641, 3642]) {
      const result = await inDays(days, ['renew', '--due']);
      expect(result.stderr).toMatch(
        /warning: not renewed, because the CA ends on \d{4}-\d\d-\d\d and they with it: .*\nrelaycerts: hint: relaycerts renew --ca,/u,
      );
      expect([result.status, result.stdout, ledger().length]).toEqual([1, '', lines]);
    }
    const rows = rowsOf(await inDays(3642, ['status', '--json']));
    expect(rows.map(({ state, why }) => [state, why?.split(': ')[1]])).toEqual([
      ['due', `relaycerts renew --ca, then install every host`],
      ['due', `relaycerts renew --ca, then relaycerts renew ${home}`],
      ['due', `relaycerts renew --ca, then relaycerts renew ${relay}`],
    ]);
    succeed(await inDays(3642, ['renew', '--ca']));
    succeed(await inDays(3642, ['renew', '--due']));
    expect((await inDays(3642, ['status'])).status).toBe(0);
  });
});
