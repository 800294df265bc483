// `relaycerts renew` with a new pin, which is listed beside the old one until `relaycerts retire`: a new key (--rekey),
// or a new certificate if certificates are pinned.

import { createPrivateKey } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import {
  certificateIn,
  eventsFrom,
  expectVerified,
  home,
  homeCertificate,
  inDays,
  ledgerOf,
  oldCertificate,
  pinsListed,
  relay,
  rowsOf,
  tableFile,
} from '../support/renewals.js';
import { succeed } from '../support/succeed.js';
import { expectUntouched } from '../support/untouched.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

/** Nothing is renewed or rekeyed, because an old pin comes first. */
async function expectLeft(...args: readonly string[]): Promise<Result> {
  const before = treeOf(project.folder);
  const result = await run(...args);
  expect(result.stderr).toMatch(
    /the old pin of mailhost\.example\.org is still listed, so it is not renewed\nrelaycerts: hint: once its new \w+ is in use: relaycerts retire mailhost\.example\.org\n/u,
  );
  expect(result.status).toBe(1);
  expect(treeOf(project.folder)).toEqual(before);
  return result;
}

const certificatePin = (): string => certificateIn(project).x509.fingerprint256;

describe('renew, if the certificate is pinned', () => {
  beforeEach(async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    await putMade(project);
  });

  it('lists the old pin beside the new one until it is retired', async () => {
    const before = certificatePin();
    const result = succeed(await run('renew', '--force'));
    // The relay first, because of the table with both pins.
    expect(result.stdout).toBe(`Now run:
  ${installs()}
Once mail flows with the new certificate, run:
  relaycerts retire mailhost
`);
    expect(pinsListed(project)).toEqual([
      [certificatePin(), home],
      [before, home],
    ]);
    const row = rowsOf(await run('status', '--json')).find(({ host }) => host === home);
    expect(row).toMatchObject({ state: 'pending' });
    expect(row?.why).toMatch(/certificate change in progress.*relays first, then mailhost.*: relaycerts deploy$/u);
    const again = await expectLeft('renew', '--force', 'mailhost');
    expect(commandsIn(again.stdout)).toEqual(['relaycerts retire mailhost']);
    // A new key was asked for and does not exist: this is not a rekey in progress.
    await expectLeft('renew', '--rekey', 'mailhost');
    succeed(await run('retire', 'mailhost'));
    expect(pinsListed(project)).toEqual([[certificatePin(), home]]);
  });

  it('a renewal that could not sign leaves nothing pending', async () => {
    const before = { pins: pinsListed(project), serial: certificateIn(project).serial };
    const wrong = project.spawn(['renew', '--force', 'mailhost', '--passphrase-fd', '0'], { input: 'wrong' });
    expect(wrong.status).toBe(1);
    await noteAsInstalled(project);
    expect(rowsOf(succeed(await run('status', '--json'))).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
    await expectUntouched(project, () => run('retire', 'nobody'), 2, /no host/u, /hosts are/u);
    const none = await run('retire', 'mailhost');
    expect([none.status, none.stderr]).toEqual([0, `relaycerts: nothing to retire: no old pin of ${home} is listed\n`]);
    expect([pinsListed(project), certificateIn(project).serial]).toEqual([before.pins, before.serial]);
    expect(existsSync(project.path(oldCertificate))).toBe(false);
    succeed(await run('renew', '--force', 'mailhost'));
    expect(pinsListed(project)[1]).toEqual(before.pins[0]);
  });

  it('a pending host stays as it is, the others are renewed; exit code 1', async () => {
    project.settings(
      smallSettings({
        postfix: { pin: 'certificate' },
        smtpClients: [{ hostname: 'first' }, { hostname: 'mailhost' }],
      }),
    );
    succeed(await run('make'));
    succeed(await run('renew', '--force', 'mailhost'));
    const lines = ledgerOf(project).length;
    const pins = pinsListed(project).filter(([, name]) => name === home);
    const result = await inDays(project, 370, ['renew', '--due', '--json']);
    expect(result.stderr).toMatch(
      /the old pin of mailhost\.example\.org is still listed, so it is not renewed\nrelaycerts: hint: .*retire mailhost/u,
    );
    expect(result.status).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({
      renewed: [{ host: relay }, { host: 'first.example.org' }],
      install: [
        { host: relay, why: ['certificate', 'table'] },
        { host: 'first.example.org', why: ['certificate'] },
      ],
      retire: ['first.example.org', home],
    });
    expect(eventsFrom(project, lines).map(([, name]) => name)).toEqual(
      expect.arrayContaining([relay, 'first.example.org']),
    );
    expect(eventsFrom(project, lines)).toHaveLength(2);
    expect(pinsListed(project).filter(([, name]) => name === home)).toEqual(pins);
    await noteAsInstalled(project);
    const row = rowsOf(await inDays(project, 370, ['status', '--json'])).find(({ host }) => host === home);
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

  it('retire warns if the host was last seen with the old key', async () => {
    const retired = async () => succeed(await run('retire', 'mailhost')).stderr;
    await noteAsInstalled(project);
    succeed(await run('renew', '--rekey', 'mailhost'));
    await noteAsInstalled(project, { hosts: ['relayhost'] });
    expect(await retired()).toContain(
      `warning: ${home} was last seen without its new certificate, and the old pin will be refused\nrelaycerts: hint: relaycerts deploy\n`,
    );
    succeed(await run('renew', '--rekey', 'mailhost'));
    await noteAsInstalled(project);
    // Another certificate for the new key has the same pin.
    succeed(await run('renew', '--force', 'mailhost'));
    expect(await retired()).not.toContain('warning');
  });

  it('retire warns of an old key also if its last certificate was never installed', async () => {
    await noteAsInstalled(project);
    succeed(await run('renew', '--force', 'mailhost'));
    succeed(await run('renew', '--rekey', 'mailhost'));
    expect(succeed(await run('retire', 'mailhost')).stderr).toContain('was last seen without its new certificate');
  });

  it('a new key: both pins are listed until retire', async () => {
    const before = certificateIn(project);
    const lines = ledgerOf(project).length;
    const result = succeed(await run('renew', '--rekey', 'mailhost'));
    const after = certificateIn(project);
    expect(after.pin).not.toBe(before.pin);
    expect(pinsListed(project)).toEqual([
      [after.pin, home],
      [before.pin, home],
    ]);
    expect(commandsIn(result.stdout)).toEqual([
      installs(),
      'relaycerts show mailhost --section verify',
      'relaycerts retire mailhost',
    ]);
    const chain = project.read(`hosts/${home}/${home}.chain.pem`);
    expect(chain).toBe(project.read(`certs/smtp-client/${home}.key.pem`) + project.read(homeCertificate));
    expect(after.x509.checkPrivateKey(createPrivateKey(chain))).toBe(true);
    expect(modesOf(project.folder)).toMatchObject({
      [`certs/smtp-client/${home}.key.pem`]: '0600',
      [oldCertificate]: '0644',
      [`hosts/${home}/${home}.chain.pem`]: '0600',
    });
    expectVerified(project);
    const row = rowsOf(await run('status', '--json')).find(({ host }) => host === home);
    expect(row).toMatchObject({ state: 'pending' });
    expect(row?.why).toMatch(/key change in progress.*relays first, then mailhost.*: relaycerts deploy$/u);
    expect((await run('status')).status).toBe(3);
    expect(succeed(await run('fingerprint', '--format', 'openssl')).stdout.match(/:/gu)?.length).toBe(62);
    expect(succeed(await run('show', relay, '--section', 'relay_clientcerts')).stdout).toContain(
      `${before.pin} ${home}`,
    );
    expect(succeed(await run('make')).stderr).toContain('nothing to make');

    const again = await expectLeft('renew', '--rekey', home);
    expect(commandsIn(again.stdout)).toEqual(['relaycerts retire mailhost']);

    const retired = succeed(await run('retire', 'mailhost', home));
    expect(retired.stderr).toContain(`the old pin of ${home} is out of the table, serial ${before.serial}`);
    expect(retired.stdout).toBe(`Now run:\n  ${installs('relayhost')}\n`);
    expect(pinsListed(project)).toEqual([[after.pin, home]]);
    const kept = `certs/retired/${home}-${before.serial}.crt.pem`;
    expect(certificateIn(project, kept).serial).toBe(before.serial);
    expect(existsSync(project.path(oldCertificate))).toBe(false);
    expect(
      ledgerOf(project)
        .slice(lines)
        .map(({ event, serial }) => [event, serial]),
    ).toEqual([
      ['rekeyed', after.serial],
      ['retired', before.serial],
    ]);
    await noteAsInstalled(project);
    succeed(await run('status'));
    expect(succeed(await run('make')).stderr).toContain('nothing to make');
  });

  it('a host named twice gets one new key, so the pin in use stays', async () => {
    const before = certificateIn(project);
    const lines = ledgerOf(project).length;
    const result = succeed(await run('renew', '--rekey', '--json', 'mailhost', home));
    expect(JSON.parse(result.stdout)).toMatchObject({
      renewed: [{ host: home, serial: certificateIn(project).serial }],
      rekey: true,
      install: [
        { host: relay, why: ['table'] },
        { host: home, why: ['key', 'certificate'] },
      ],
      retire: [home],
    });
    expect(pinsListed(project).map(([pin]) => pin)).toEqual([certificateIn(project).pin, before.pin]);
    expect(eventsFrom(project, lines)).toEqual([['rekeyed', home]]);
  });

  it('a renewal in between keeps both pins', async () => {
    const before = certificateIn(project);
    succeed(await run('renew', '--rekey', 'mailhost'));
    const pins = pinsListed(project);
    succeed(await run('renew', '--force', 'mailhost'));
    expect(pinsListed(project)).toEqual(pins);
    expect(certificateIn(project, oldCertificate).serial).toBe(before.serial);
  });

  it('a relay needs no second pin, because clients know it by its name', async () => {
    const path = `certs/smtpd-server/${relay}.crt.pem`;
    const before = { ...certificateIn(project, path), table: project.read(tableFile) };
    succeed(await run('renew', '--rekey', 'relayhost'));
    expect(certificateIn(project, path).pin).not.toBe(before.pin);
    expect(project.read(tableFile)).toBe(before.table);
    expectVerified(project, path, 'sslserver');
    await noteAsInstalled(project);
    succeed(await run('status'));
    expect(succeed(await run('retire', 'relayhost')).stderr).toContain(`no old pin of ${relay} is listed`);
  });

  it('retire with nothing pending says so and changes nothing', async () => {
    const expectNothing = async (): Promise<void> => {
      const before = treeOf(project.folder);
      for (const [named, words] of [
        [[], 'no old pin is listed'],
        [['mailhost'], `no old pin of ${home} is listed`],
      ] as const) {
        expect(succeed(await run('retire', ...named))).toMatchObject({
          stdout: '',
          stderr: `relaycerts: nothing to retire: ${words}\n`,
        });
        expect(JSON.parse(succeed(await run('retire', ...named, '--json')).stdout)).toMatchObject({
          retired: [],
          install: [],
        });
      }
      expect(treeOf(project.folder)).toEqual(before);
    };
    await expectNothing();
    succeed(await run('renew', '--rekey', 'mailhost'));
    succeed(await run('retire', 'mailhost'));
    await expectNothing();
    await expectUntouched(project, () => run('retire', 'nobody'), 2, /no host "nobody"/u, /the hosts are/u);
  });

  it('with every other key type, as the settings say now', async () => {
    project.settings(smallSettings({ certificates: { keyType: 'ed25519' } }));
    succeed(await run('renew', '--rekey', 'mailhost'));
    expect(certificateIn(project).x509.publicKey.asymmetricKeyType).toBe('ed25519');
    expect(pinsListed(project)).toHaveLength(2);
  });

  it('clean removes what a rekey and its end have put aside', async () => {
    succeed(await run('renew', '--rekey', 'mailhost'));
    succeed(await run('retire'));
    succeed(await run('renew', '--rekey', 'mailhost'));
    const cleaned = succeed(await run('clean', '--yes'));
    expect(cleaned.stdout).toMatch(/certs\/retired\/mailhost\.example\.org-[0-9a-f]+\.crt\.pem\n/u);
    expect(cleaned.stdout).toContain(`\n${oldCertificate}\n`);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });
});

describe('several hosts in one command', () => {
  const second = 'second.example.org';
  beforeEach(async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await putMade(project);
  });

  it('old pins of all stay listed, and the order names all', async () => {
    const before = { pins: pinsListed(project), lines: ledgerOf(project).length };
    const { stdout } = succeed(await run('renew', '--rekey', 'mailhost', 'second'));
    expect(eventsFrom(project, before.lines)).toEqual([
      ['rekeyed', home],
      ['rekeyed', second],
    ]);
    expect(pinsListed(project)).toHaveLength(4);
    for (const pin of before.pins) expect(pinsListed(project)).toContainEqual(pin);
    expect(commandsIn(stdout)).toEqual([
      installs(),
      'relaycerts show mailhost --section verify',
      'relaycerts retire mailhost second',
    ]);
    expect(succeed(await run('make')).stderr).toContain('nothing to make');
  });

  it('a pending host stays as it is, and the others get new keys', async () => {
    succeed(await run('renew', '--rekey', 'mailhost'));
    const before = { serial: certificateIn(project).serial, lines: ledgerOf(project).length };
    const result = await run('renew', '--rekey', 'mailhost', 'second');
    expect(result.status).toBe(1);
    expect(result.stderr).toMatch(/the old pin of mailhost\.example\.org is still listed, so it is not renewed\n/u);
    expect(certificateIn(project).serial).toBe(before.serial);
    expect(eventsFrom(project, before.lines)).toEqual([['rekeyed', second]]);
    expect(pinsListed(project)).toHaveLength(4);
    expect(result.stdout).toContain('Once mail flows with the new key, run:\n  relaycerts retire mailhost second\n');
  });
});
