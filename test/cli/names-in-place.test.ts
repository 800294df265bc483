// Other names for hosts in the settings, after make: no command refuses, `status` prints what to run, and `make` issues
// another certificate for the same key. Every printed hint is run.

import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { issuerOf } from '../support/ca-renewal.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { openssl } from '../support/openssl.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { eventsFrom, ledgerOf, pinsListed, rowsOf, tableFile } from '../support/renewals.js';
import { publicKeyIn, stored, writeRequest } from '../support/sign-request.js';
import { succeed } from '../support/succeed.js';
import { expectError } from '../support/untouched.js';

const relay = 'relayhost.example.org';
const home = 'mailhost.example.org';
const relayCertificate = `certs/smtpd-server/${relay}.crt.pem`;
const homeCertificate = `certs/smtp-client/${home}.crt.pem`;

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

/** Runs the command in a text, from its last `relaycerts` on. */
const runHint = (text: string): Promise<Result> => {
  const words = /relaycerts ((?:[\w.-]+ ?)+?)(?:$|[,;:\n]| once | first)/u.exec(text)?.[1] ?? '';
  expect(words, text).not.toBe('');
  return run(...words.trim().split(' '));
};

const namesIn = (path: string): readonly string[] =>
  openssl(['x509', '-noout', '-ext', 'subjectAltName', '-in', project.path(path)])
    .split('\n')[1]
    ?.trim()
    .replaceAll('DNS:', '')
    .split(', ') ?? [];

const stateOf = async (hostname: string): Promise<readonly [string | undefined, string]> => {
  const row = rowsOf(await run('status', '--json')).find(({ host }) => host === hostname);
  return [row?.state, row?.why ?? ''];
};

/** The names of files that differ between two trees. */
const changedIn = (before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>) =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => before[name] !== after[name])
    .toSorted();

const withNames = (relayNames: readonly string[], homeNames: readonly string[] = [], more = {}): void => {
  project.settings(
    smallSettings({
      smtpdServers: [{ hostname: 'relayhost', altNames: relayNames }],
      smtpClients: [{ hostname: 'mailhost', altNames: homeNames }],
      ...more,
    }),
  );
};

describe('an altName that is added or removed', () => {
  it('is issued by make, for the same key, and nothing else changes', async () => {
    await putMade(project);
    withNames(['mx', 'smtp.example.net']);
    const [key, tree] = [publicKeyIn('x509', project.path(relayCertificate)), treeOf(project.folder)];
    const count = ledgerOf(project).length;
    const dry = succeed(await run('make', '--dry-run'));
    const said = `the certificate "${project.path(relayCertificate)}" is for "${relay}", but the settings ask for "${relay}, mx.example.org, smtp.example.net"`;
    expect(dry.stderr).toContain(`${said}: it gets a new one for the same key\n`);
    expect(dry.stdout).toBe(
      `would make, in this order:
  the smtpd-server certificate of ${relay}, 398 days: ${relayCertificate}
  the bundle of ${relay} (${relay}.crt.pem, ${relay}.chain.pem): hosts/${relay}
`,
    );
    expect((await run('make', '--check')).status).toBe(3);
    expect(treeOf(project.folder)).toEqual(tree);
    const [state, why] = await stateOf(relay);
    expect([state, why]).toEqual(['pending', `${said}: relaycerts make`]);
    expect((await run('status')).status).toBe(3);
    expect((await run('status', '--format', 'nagios')).status).toBe(1);
    const made = succeed(await runHint(why));
    expect(made.stdout).toBe(`Now run:\n  ${installs('relayhost')}\n`);
    expect(namesIn(relayCertificate)).toEqual([relay, 'mx.example.org', 'smtp.example.net']);
    expect(publicKeyIn('x509', project.path(relayCertificate))).toBe(key);
    expect(eventsFrom(project, count)).toEqual([['renewed', relay]]);
    expect(changedIn(tree, treeOf(project.folder))).toEqual(
      [
        'certs/ca/issued.jsonl',
        relayCertificate,
        `hosts/${relay}/${relay}.chain.pem`,
        `hosts/${relay}/${relay}.crt.pem`,
      ].toSorted(),
    );
    await noteAsInstalled(project);
    expect(await stateOf(relay)).toEqual(['ok', '']);
    expect((await run('make', '--check')).status).toBe(0);
    expect(succeed(await run('make')).stderr).toMatch(/nothing to make: all is right/u);
    withNames([]);
    succeed(await run('make'));
    expect(namesIn(relayCertificate)).toEqual([relay]);
  });

  it('stops no command of any host', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await putMade(project);
    project.settings(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }],
        smtpClients: [{ hostname: 'mailhost', altNames: ['post'] }, { hostname: 'second' }],
      }),
    );
    for (const words of [
      ['show'],
      ['show', 'mailhost', '--format', 'sh'],
      ['fingerprint'],
      ['renew', '--due'],
      ['renew', 'second', '--force'],
      ['retire'],
      ['renew', '--ca'],
      ['renew', '--rekey', 'second'],
      ['retire', 'second'],
      ['revoke', 'second'],
      ['make', '--again', 'second'],
    ]) {
      succeed(await run(...words));
    }
    expect(namesIn(homeCertificate)).toEqual([home, `post.example.org`]);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
  });

  it('comes with a renewal too, and with a new key of the new type', async () => {
    await putMade(project);
    withNames(['mx'], ['post'], { certificates: { keyType: 'rsa-2048', validDays: 90 } });
    const dry = succeed(await run('make', '--dry-run')).stderr;
    expect(dry).toContain(`certificates.keyType (rsa-2048) is not what 2 certificates have`);
    succeed(await run('renew', 'mailhost', '--force'));
    expect(namesIn(homeCertificate)).toEqual([home, 'post.example.org']);
    succeed(await run('renew', '--rekey', 'relayhost'));
    expect(namesIn(relayCertificate)).toEqual([relay, 'mx.example.org']);
    expect(openssl(['x509', '-noout', '-text', '-in', project.path(relayCertificate)])).toContain('(2048 bit)');
    expect(succeed(await run('make')).stderr).toMatch(/nothing to make: all is right/u);
  });

  it('exports PKCS#12 with a warning, as the certificate still works', async () => {
    await putMade(project);
    withNames([], ['post']);
    const result = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: 'password' });
    expect(succeed(result).stderr).toMatch(/settings ask for .*\n.*hint: relaycerts make, then export it again\n/u);
  });
});

describe('with the certificate pinned', () => {
  const pinned = { postfix: { pin: 'certificate' } };

  it('the old pin stays listed until it is retired', async () => {
    project.settings(smallSettings(pinned));
    await putMade(project);
    const [before] = pinsListed(project);
    withNames([], ['post'], pinned);
    const made = succeed(await run('make'));
    expect(commandsIn(made.stdout)).toEqual([installs(), 'relaycerts retire mailhost']);
    expect(pinsListed(project)).toHaveLength(2);
    expect(pinsListed(project)).toContainEqual(before);
    // Another change meanwhile: the table has room for one old pin, and the relay does not wait for the client.
    withNames(['mx'], ['post', 'smtp'], pinned);
    const [state, why] = await stateOf(home);
    expect(state).toBe('pending');
    expect(why).toMatch(/once its new certificate is in use: relaycerts retire mailhost\.example\.org$/u);
    const next = await run('make');
    expect(next.status).toBe(1);
    expect(next.stderr).toMatch(/warning: the old pin of mailhost\.example\.org is still listed\n/u);
    expect(namesIn(relayCertificate)).toContain('mx.example.org');
    expect(namesIn(homeCertificate)).toEqual([home, 'post.example.org']);
    expect((await run('make')).stderr).toContain(`nothing to make yet: ${home} waits\n`);
    expect((await run('make', '--check')).status).toBe(3);
    succeed(await runHint(why));
    succeed(await run('make'));
    expect(namesIn(homeCertificate)).toEqual([home, 'post.example.org', 'smtp.example.org']);
    expect(pinsListed(project)).toHaveLength(2);
  });
});

describe('a host that keeps its own key', () => {
  it.each([
    ['make', ['make']],
    ['sign', ['sign', stored, '--host', 'mailhost']],
  ])('gets its new names with %s, for the key of its request', async (_name, words) => {
    project.settings(smallSettings());
    const key = writeRequest(project);
    succeed(await run('sign', `${home}.csr.pem`, '--host', 'mailhost'));
    succeed(await run('make'));
    const request = readFileSync(project.path(stored));
    withNames([], ['post']);
    succeed(await run(...words));
    expect(namesIn(homeCertificate)).toEqual([home, 'post.example.org']);
    expect(publicKeyIn('x509', project.path(homeCertificate))).toBe(publicKeyIn('pkey', key));
    expect(readFileSync(project.path(stored))).toEqual(request);
    await noteAsInstalled(project);
    expect(await stateOf(home)).toEqual(['ok', '']);
  });
});

it('a revoked host stays revoked', async () => {
  await putMade(project);
  succeed(await run('revoke', 'mailhost'));
  withNames(['mx'], ['post']);
  succeed(await run('make'));
  expect((await stateOf(home))[0]).toBe('revoked');
  expect(project.read(tableFile)).not.toContain(home);
  succeed(await run('make', '--again', 'mailhost'));
  expect(namesIn(homeCertificate)).toEqual([home, 'post.example.org']);
});

it('during a rekey of the CA the one that signs now issues it', async () => {
  await putMade(project);
  succeed(await run('renew', '--ca', '--rekey'));
  withNames(['mx']);
  succeed(await run('make'));
  expect([namesIn(relayCertificate), issuerOf(project, relay)]).toEqual([
    [relay, 'mx.example.org'],
    'example.org relay CA',
  ]);
  withNames(['mx'], ['post']);
  succeed(await run('renew', '--ca', '--rekey'));
  expect([namesIn(homeCertificate), issuerOf(project, home)]).toEqual([
    [home, 'post.example.org'],
    'example.org relay CA 2',
  ]);
  withNames(['mx', 'mx2'], ['post']);
  succeed(await run('make'));
  expect([namesIn(relayCertificate).length, issuerOf(project, relay)]).toEqual([3, 'example.org relay CA 2']);
  succeed(await run('renew', '--ca', '--rekey'));
  await noteAsInstalled(project);
  expect((await run('status')).status).toBe(0);
});

/** Settings with these relays, each with its altNames. */
const relays = (...names: readonly (readonly string[])[]) =>
  smallSettings({ smtpdServers: names.map(([hostname, ...altNames]) => ({ hostname, altNames })) });

it('a name moves between relays in one make, in any order of hosts', async () => {
  project.settings(relays(['relayhost', 'mx'], ['backup', 'bücher']));
  await putMade(project);
  expect(namesIn('certs/smtpd-server/backup.example.org.crt.pem')).toContain('xn--bcher-kva.example.org');
  project.settings(relays(['backup', 'xn--bcher-kva'], ['relayhost', 'mx']));
  expect(succeed(await run('make')).stderr).toMatch(/nothing to make: all is right/u);
  project.settings(relays(['backup', 'mx'], ['relayhost', 'BÜCHER']));
  succeed(await run('make'));
  expect(namesIn('certs/smtpd-server/backup.example.org.crt.pem')).toEqual(['backup.example.org', 'mx.example.org']);
  expect(namesIn(relayCertificate)).toEqual([relay, 'xn--bcher-kva.example.org']);
  project.settings(relays(['relayhost', 'relayhost']));
  expectError(await run('make'), 2, /altNames\[0\]: is already at smtpdServers\[0\]\.hostname/u, /remove one/u);
});

describe('a name that the CA may not sign for', () => {
  it('waits for renew --ca, and nobody else does', async () => {
    project.settings(smallSettings({ ca: { permittedDomains: ['example.org'] } }));
    await putMade(project);
    const wide = { ca: { permittedDomains: ['example.org', 'example.net'] } };
    project.settings(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }, { hostname: 'r2.example.net' }],
        smtpClients: [{ hostname: 'mailhost', altNames: ['post.example.net'] }],
        ...wide,
      }),
    );
    const made = await run('make');
    expect(made.status).toBe(1);
    expect(namesIn(relayCertificate)).toEqual([relay, 'mx.example.org']);
    for (const host of [home, 'r2.example.net']) expect(made.stderr).toContain(`warning: ${host} waits for a CA`);
    const [state, why] = await stateOf(home);
    expect([state, (await stateOf('r2.example.net'))[0]]).toEqual(['pending', 'missing']);
    expect((await run('renew', '--due')).status).toBe(0);
    const forced = await run('renew', 'mailhost', '--force');
    expect([forced.status, namesIn(homeCertificate)]).toEqual([1, [home]]);
    expect(forced.stderr).toMatch(/so it is not renewed\n.*hint: relaycerts renew --ca, then install every host/u);
    succeed(await run('retire'));
    const renewed = succeed(await runHint(why));
    expect(renewed.stdout).toMatch(
      /\nWhen every host is installed, issue the certificates that wait for it:\n {2}relaycerts make\n$/u,
    );
    succeed(await run('make'));
    expect(namesIn(homeCertificate)).toEqual([home, 'post.example.net']);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    // And back: a domain is removed when no certificate has a name in it.
    project.settings(smallSettings({ ca: { permittedDomains: ['example.org'] } }));
    const refused = await run('renew', '--ca');
    expectError(
      refused,
      1,
      /names "post\.example\.net"|has to name "post\.example\.net"/u,
      /relaycerts make, and install/u,
    );
    succeed(await run('make'));
    succeed(await run('renew', '--ca'));
    expect(namesIn(homeCertificate)).toEqual([home]);
  });

  it('signs no request of such a host either', async () => {
    project.settings(smallSettings({ ca: { permittedDomains: ['example.org'] } }));
    await putMade(project);
    const client = [{ hostname: 'mailhost' }, { hostname: 'c.example.net' }];
    project.settings(smallSettings({ smtpClients: client, ca: { permittedDomains: ['example.org', 'example.net'] } }));
    writeRequest(project);
    expectError(
      await run('sign', `${home}.csr.pem`, '--host', 'c.example.net'),
      1,
      /c\.example\.net waits for a CA certificate/u,
      /relaycerts renew --ca, then/u,
    );
  });
});

describe('other settings after make', () => {
  it.each<readonly [string, Record<string, unknown>]>([
    ['pin', { postfix: { pin: 'certificate' } }],
    ['table type', { postfix: { tableType: 'hash' } }],
    ['chroot', { postfix: { masterChroot: 'n' } }],
    ['folder', { postfix: { directory: '/etc/postfix/other' } }],
    ['answer', { postfix: { unlisted: 'reject' } }],
    ['port', { smtpdServers: [{ hostname: 'relayhost', port: 2600 }] }],
    ['subject', { subject: { organization: 'Another' } }],
    ['days', { certificates: { validDays: 90, renewBeforeDays: 10 }, ca: { validDays: 800 } }],
    ['key types', { certificates: { keyType: 'rsa-3072' }, ca: { keyType: 'ecdsa-p384' } }],
    ['end', { certificates: { renewBeforeDays: 300 } }],
  ])('%s: no command refuses', async (_name, change) => {
    await putMade(project);
    project.settings(smallSettings(change));
    for (const words of [
      ['make', '--dry-run'],
      ['make'],
      ['show'],
      ['retire'],
      ['renew', '--due'],
      ['renew', '--ca'],
    ]) {
      succeed(await run(...words));
    }
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
  });
});
