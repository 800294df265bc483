// `relaycerts renew` for the same key, whose pin stays: what is due, what is not, and what is refused.

import { createPrivateKey } from 'node:crypto';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { noteAsInstalled } from '../support/installed.js';
import { openssl } from '../support/openssl.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import {
  certificateIn,
  day,
  eventsFrom,
  expectVerified,
  home,
  homeCertificate,
  inDays,
  ledgerOf,
  pinsListed,
  relay,
  rowsOf,
  tableFile,
} from '../support/renewals.js';
import { succeed } from '../support/succeed.js';
import { expectError, expectUntouched } from '../support/untouched.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

describe('renew, for the same key', () => {
  beforeEach(async () => {
    await putMade(project);
  });

  it('skips what is not due, and reports how long it has', async () => {
    const before = treeOf(project.folder);
    const result = succeed(await run('renew'));
    for (const host of [home, relay]) expect(result.stderr).toContain(`${host} is not due: 397 days left`);
    expect(result.stdout).toBe('');
    expect(treeOf(project.folder)).toEqual(before);
    expect(JSON.parse(succeed(await run('renew', '--json')).stdout)).toMatchObject({
      renewed: [],
      install: [],
      retire: [],
    });
    // With cron's option, certificates that are not due are not mentioned.
    expect(succeed(await run('renew', '--due'))).toMatchObject({ stdout: '', stderr: '' });
    expect(succeed(await run('renew', '--due', '--verbose')).stderr).toContain(`${home} is not due`);
    for (const other of ['--force', '--rekey']) {
      await expectUntouched(
        project,
        () => run('renew', '--due', other, 'mailhost'),
        2,
        /--due.* cannot be used with /u,
        /--help/u,
      );
    }
  });

  it('renews only what is due; the pin and the table stay as they are', async () => {
    const before = { ...certificateIn(project), table: project.read(tableFile), lines: ledgerOf(project).length };
    expect((await inDays(project, 366, ['renew'])).stderr).toContain('is not due: 31 days left');
    const result = succeed(await inDays(project, 368, ['renew']));
    expect(result.stderr).not.toContain('not due');
    for (const host of [home, relay]) {
      expect(result.stderr).toContain(`made the certificate of ${host}, 398 days, for the same key\n`);
    }
    // The pins are the same, so no old one has to be retired.
    expect(result.stdout).toBe(`Now run:\n  ${installs()}\n`);
    const after = certificateIn(project);
    expect(after.pin).toBe(before.pin);
    expect(after.serial).not.toBe(before.serial);
    expect(Math.round((after.notAfter - before.notAfter) / day)).toBe(368);
    expect(project.read(tableFile)).toBe(before.table);
    expect(result.stderr).not.toContain('relay_clientcerts');
    expect(new Set(eventsFrom(project, before.lines).map((line) => line.join(' ')))).toEqual(
      new Set([`renewed ${home}`, `renewed ${relay}`]),
    );
    expect(ledgerOf(project).map(({ serial }) => serial)).toContain(after.serial);
    expect(project.read(`hosts/${home}/${home}.crt.pem`)).toBe(project.read(homeCertificate));
    // Made is not installed.
    expect((await inDays(project, 368, ['status'])).status).toBe(3);
    await noteAsInstalled(project);
    expect((await inDays(project, 368, ['status'])).status).toBe(0);
    expect((await inDays(project, 368, ['make'])).stderr).toContain('nothing to make');
  });

  it('renews what has expired, too', async () => {
    const pin = certificateIn(project).pin;
    expect((await inDays(project, 400, ['status'])).status).toBe(3);
    succeed(await inDays(project, 400, ['renew', 'mailhost']));
    expect(certificateIn(project).pin).toBe(pin);
    await noteAsInstalled(project);
    expect(rowsOf(await inDays(project, 400, ['status', '--json'])).map(({ host, state }) => [host, state])).toEqual([
      [relay, 'expired'],
      [home, 'ok'],
      ['example.org relay CA', 'ok'],
    ]);
  });

  it('--force renews what is not due, once however often it is named', async () => {
    const before = {
      ...certificateIn(project),
      lines: ledgerOf(project).length,
      relay: project.read(`certs/smtpd-server/${relay}.crt.pem`),
    };
    const result = succeed(await run('renew', '--force', '--json', 'mailhost', home, 'MAILHOST.example.org'));
    const after = certificateIn(project);
    expect(JSON.parse(result.stdout)).toEqual({
      version: 1,
      command: 'renew',
      renewed: [{ host: home, serial: after.serial, expires: new Date(after.notAfter).toISOString() }],
      rekey: false,
      ca: null,
      install: [{ host: home, why: ['certificate'] }],
      retire: [],
      next: null,
    });
    expect([after.pin, after.serial === before.serial]).toEqual([before.pin, false]);
    expect(eventsFrom(project, before.lines)).toEqual([['renewed', home]]);
    expect(project.read(`certs/smtpd-server/${relay}.crt.pem`)).toBe(before.relay);
    expectVerified(project);
  });

  it('never outlives the CA, and reports its own end', async () => {
    succeed(await run('clean', '--yes'));
    project.settings(smallSettings({ ca: { validDays: 500 } }));
    succeed(await run('make'));
    succeed(await inDays(project, 390, ['renew']));
    const ca = certificateIn(project, 'certs/ca/example.org-ca.crt.pem');
    expect(certificateIn(project).notAfter).toBe(ca.notAfter);
    expectVerified(project, homeCertificate, 'sslclient', 390);
    expectVerified(project, `certs/smtpd-server/${relay}.crt.pem`, 'sslserver', 390);
    await noteAsInstalled(project);
    expect(
      rowsOf(await inDays(project, 390, ['status', '--json'])).map(({ state, daysLeft }) => [state, daysLeft]),
    ).toEqual([
      ['ok', 109],
      ['ok', 109],
      ['ok', 109],
    ]);
    // Once the CA has expired, it cannot sign a new leaf.
    const before = treeOf(project.folder);
    const late = await inDays(project, 501, ['renew']);
    expect(late.status).toBe(1);
    expect(late.stderr).toMatch(/example\.org-ca\.crt\.pem" expired on /u);
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('is what make names, which calls nothing right that has expired', async () => {
    const { stderr } = succeed(await inDays(project, 400, ['make']));
    expect(stderr).toMatch(/hint: relaycerts renew .*\nrelaycerts: nothing to make, but see the warnings\n$/u);
  });

  it('with a clock a day behind: refuses to sign, and touches nothing', async () => {
    await expectUntouched(
      project,
      () => inDays(project, -1, ['renew', '--force']),
      1,
      /is not valid before .*, and it is .* now/u,
      /timedatectl/u,
    );
    expect((await inDays(project, -1, ['status'])).status).toBe(3);
  });

  it('a new leaf is valid on a host whose clock is an hour behind', async () => {
    succeed(await inDays(project, 1, ['renew', '--force', 'mailhost']));
    const ca = project.path('certs/ca/example.org-ca.crt.pem');
    const at = String(Math.floor((Date.now() + day) / 1000) - 3500);
    openssl(['verify', '-attime', at, '-CAfile', ca, project.path(homeCertificate)]);
    await noteAsInstalled(project);
    const early = rowsOf(await run('status', '--json'))[0];
    expect(early).toMatchObject({ host: home, state: 'not-yet-valid' });
    expect(rowsOf(await inDays(project, 1, ['status', '--json'])).map(({ state }) => state)).toEqual([
      'ok',
      'ok',
      'ok',
    ]);
  });

  it('a host that makes its own key gets a certificate for that key', async () => {
    succeed(await run('clean', '--yes'));
    const key = join(project.home, 'host.key');
    openssl(['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', key]);
    openssl(['req', '-new', '-key', key, '-subj', `/CN=${home}`, '-out', project.path('host.csr')]);
    succeed(await run('sign', 'host.csr', '--host', 'mailhost'));
    succeed(await run('make'));
    const before = { ...certificateIn(project), table: project.read(tableFile) };
    const result = succeed(await run('renew', '--force', 'mailhost'));
    expect(commandsIn(result.stdout)).toEqual([installs('mailhost')]);
    const after = certificateIn(project);
    expect([after.pin, after.serial === before.serial]).toEqual([before.pin, false]);
    expect(after.x509.checkPrivateKey(createPrivateKey(readFileSync(key)))).toBe(true);
    expect(project.read(tableFile)).toBe(before.table);
    expect(readdirSync(project.path(`hosts/${home}`)).toSorted()).toEqual([
      'example.org-ca.crt.pem',
      `${home}.crt.pem`,
    ]);
    await expectUntouched(
      project,
      () => run('renew', '--rekey', 'mailhost'),
      1,
      /mailhost\.example\.org makes its own key/u,
      /--section request/u,
    );
  });

  it('refuses what it cannot do, and touches nothing', async () => {
    await expectUntouched(
      project,
      () => run('renew', 'nobody'),
      2,
      /the settings have no host "nobody"/u,
      /the hosts are: /u,
    );
    await expectUntouched(
      project,
      () => run('renew', '--rekey'),
      2,
      /name the hosts that get a new key/u,
      /renew --rekey mailhost/u,
    );
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await expectUntouched(
      project,
      () => run('renew', 'second'),
      1,
      /no certificate yet for second/u,
      /relaycerts make/u,
    );
    await expectUntouched(
      project,
      () => run('renew', '--rekey', 'second'),
      1,
      /no certificate yet for second/u,
      /relaycerts make/u,
    );
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
      await expectUntouched(
        project,
        () => run(...args),
        1,
        /passphrase file .* does not exist/u,
        /--passphrase-fd N$/u,
      );
      succeed(project.spawn([...args, '--passphrase-fd', '0'], { input }));
    }
    succeed(await run('retire', 'mailhost'));
    expect(pinsListed(project)).toHaveLength(1);
  });
});

describe('the wrong folder, and the end of the CA', () => {
  it('no CA yet is an error; a client without a certificate is named', async () => {
    const before = treeOf(project.folder);
    expectError(await run('renew', '--due'), 1, /there is no CA yet/u, /relaycerts make$/u);
    // The lock file stays, even after a command that refused.
    expect(treeOf(project.folder)).toEqual({ '.relaycerts.lock': '0600', ...before });
    succeed(await run('make'));
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    expect(succeed(await run('renew', '--due')).stderr).toBe(
      'relaycerts: warning: there is no certificate yet for second.example.org\nrelaycerts: hint: relaycerts make\n',
    );
  });

  it('renews nothing that would end no later; renew --ca comes first', async () => {
    await putMade(project);
    const first = succeed(await inDays(project, 3640, ['renew', '--due']));
    expect(first.stderr).toMatch(/warning: the CA expires on .*\nrelaycerts: hint: relaycerts renew --ca/u);
    const lines = ledgerOf(project).length;
    for (const days of [3641, 3642]) {
      const result = await inDays(project, days, ['renew', '--due']);
      expect(result.stderr).toMatch(
        /warning: not renewed, because the CA ends on \d{4}-\d\d-\d\d and new certificates would end with it: .*\nrelaycerts: hint: relaycerts renew --ca,/u,
      );
      expect([result.status, result.stdout, ledgerOf(project).length]).toEqual([1, '', lines]);
    }
    const rows = rowsOf(await inDays(project, 3642, ['status', '--json']));
    expect(rows.map(({ state, why }) => [state, why?.split(': ')[1]])).toEqual([
      ['due', `relaycerts renew --ca, then install every host`],
      ['due', `relaycerts renew --ca, then relaycerts renew ${home}`],
      ['due', `relaycerts renew --ca, then relaycerts renew ${relay}`],
    ]);
    succeed(await inDays(project, 3642, ['renew', '--ca']));
    succeed(await inDays(project, 3642, ['renew', '--due']));
    await noteAsInstalled(project);
    expect((await inDays(project, 3642, ['status'])).status).toBe(0);
  });
});
