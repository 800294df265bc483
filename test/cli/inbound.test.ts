// `inbound` in the settings: certificates for both directions, for the same keys, and only for the hosts concerned.

import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { writeRequest } from '../support/sign-request.js';

const clients = { smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] };

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const usesOf = (path: string): string =>
  spawnSync('openssl', ['x509', '-in', project.path(path), '-noout', '-ext', 'extendedKeyUsage']).stdout.toString();

it('changes the certificates of home and the relays, and back; pins stay', async () => {
  const [home, relay] = ['certs/smtp-client/mailhost.example.org', 'certs/smtpd-server/relayhost.example.org'];
  project.settings(smallSettings(clients));
  await project.run(['make']);
  const table = project.read('hosts/relayhost.example.org/relay_clientcerts');
  const second = project.read('certs/smtp-client/second.example.org.crt.pem');
  const shown = (await project.run(['show', '--format', 'json', '*'])).stdout;
  project.settings(smallSettings({ ...clients, inbound: { home: 'mailhost' } }));
  await project.run(['make']);
  for (const path of [home, relay]) {
    expect(usesOf(`${path}.crt.pem`)).toMatch(/TLS Web Server Authentication, TLS Web Client Authentication/u);
  }
  expect(project.read('certs/smtp-client/second.example.org.crt.pem')).toBe(second);
  expect(project.read('hosts/relayhost.example.org/relay_clientcerts')).toBe(table);
  expect(project.read('hosts/mailhost.example.org/relay_clientcerts_in')).toMatch(
    /^(?:[0-9A-F]{2}:){31}[0-9A-F]{2} relayhost\.example\.org$/mu,
  );
  expect((await project.run(['make'])).stderr).toContain('nothing to make');
  project.settings(smallSettings(clients));
  await project.run(['make']);
  expect(usesOf(`${home}.crt.pem`)).not.toContain('Server');
  expect((await project.run(['show', '--format', 'json', '*'])).stdout).toBe(shown);
});

const bothUses = /TLS Web Server Authentication, TLS Web Client Authentication/u;

it('signs the request of a home that keeps its key for both directions', async () => {
  project.settings(smallSettings({ ...clients, inbound: { home: 'mailhost' } }));
  await project.run(['make', 'relayhost']);
  writeRequest(project);
  const signed = await project.run(['sign', 'mailhost.example.org.csr.pem', '--host', 'mailhost']);
  expect(signed.status, signed.stderr).toBe(0);
  expect(usesOf('certs/smtp-client/mailhost.example.org.crt.pem')).toMatch(bothUses);
});

it('exports both purposes as PKCS#12', async () => {
  project.settings(smallSettings({ ...clients, inbound: { home: 'mailhost' } }));
  await project.run(['make']);
  const exported = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: 'a-long-password\n' });
  expect(exported.status, exported.stderr).toBe(0);
  const words = ['pkcs12', '-in', project.path('mailhost.example.org.p12'), '-passin', 'stdin', '-clcerts', '-nokeys'];
  writeFileSync(project.path('own.pem'), spawnSync('openssl', words, { input: 'a-long-password' }).stdout);
  expect(
    spawnSync('openssl', [
      'x509',
      '-in',
      project.path('own.pem'),
      '-noout',
      '-ext',
      'extendedKeyUsage',
    ]).stdout.toString(),
  ).toMatch(bothUses);
});

it('has each relay hand over mail, with any table of pins', async () => {
  const smtpdServers = [{ hostname: 'relayhost' }, { hostname: 'backup', port: 2600 }];
  for (const tableType of ['texthash', 'hash', 'lmdb', 'cdb']) {
    const postfix = { tableType, pin: 'certificate' };
    project.settings(smallSettings({ ...clients, smtpdServers, postfix, inbound: { home: 'mailhost' } }));
    await project.run(['make']);
    expect(pins().map((line) => line.split(' ')[1])).toEqual(['relayhost.example.org', 'backup.example.org']);
    const shown = async (host: string): Promise<string> => (await project.run(['show', host, '--format', 'sh'])).stdout;
    const home = await shown('mailhost');
    // Home's own table is read as it is, whatever the relays' tables are.
    expect(home).toContain(
      ' 2525/inet relay_clientcerts=texthash:/etc/postfix/relaycerts/example.org/relay_clientcerts_in\n',
    );
    expect(home).toContain(' 2525/inet smtpd_client_connection_count_limit=20\n');
    expect(await shown('relayhost')).toContain(` 2500/inet relay_clientcerts=${tableType}:`);
    for (const [host, port] of [
      ['relayhost', 2500],
      ['backup', 2600],
    ] as const) {
      expect(await shown(host)).toContain(
        `transport_maps first inline:{example.org=relaycerts-${port}-home:[mailhost.example.org]:2525}\n`,
      );
    }
  }
});

const pins = (): readonly string[] =>
  project
    .read('hosts/mailhost.example.org/relay_clientcerts_in')
    .split('\n')
    .filter((line) => /^[0-9A-F]{2}:/u.test(line));

it('lists both pins of a relay from its new key until the old one is retired', async () => {
  project.settings(smallSettings({ ...clients, inbound: { home: 'mailhost' } }));
  await project.run(['make']);
  const [before = ''] = pins();
  const renewed = await project.run(['renew', 'relayhost', '--rekey']);
  expect(renewed.stdout).toContain('Once mail flows with the new key, run:\n  relaycerts retire relayhost\n');
  expect(renewed.stdout).toContain('relaycerts deploy relayhost mailhost');
  const both = pins();
  expect([both.length, both[1]]).toEqual([2, before]);
  expect((await project.run(['status'])).stdout).toContain('key change in progress, both pins listed');
  expect((await project.run(['renew', 'relayhost', '--rekey'])).stderr).toContain('is still listed');
  await project.run(['retire', 'relayhost']);
  expect(pins()).toEqual([both[0]]);
});

it('lists public keys of relays, also if the certificates of clients are pinned', async () => {
  const pinned = { ...clients, postfix: { pin: 'certificate' }, inbound: { home: 'mailhost' } };
  project.settings(smallSettings(pinned));
  await project.run(['make']);
  const before = pins();
  await project.run(['renew', '--force', 'relayhost']);
  expect(pins()).toEqual(before);
});

it('keeps one pin of a relay that hands over no mail', async () => {
  project.settings(smallSettings(clients));
  await project.run(['make']);
  await project.run(['renew', 'relayhost', '--rekey']);
  expect((await project.run(['retire', 'relayhost'])).stderr).toContain('nothing to retire');
});
