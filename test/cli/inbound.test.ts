// `inbound` in the settings: certificates for both directions, for the same keys, and only for the hosts concerned.

import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project } from '../support/project.js';

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
