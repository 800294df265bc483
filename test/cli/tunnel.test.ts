// Who may open the tunnel of inbound follows from the certificates: a new key is let in beside the old one until that is
// retired, and a revoked home is let in no more.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const clients = { smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] };
const tunnelled = { ...clients, inbound: { home: 'mailhost', via: 'tunnel' } };
const file = 'hosts/relayhost.example.org/tunnel_keys';
const keys = (): readonly string[] =>
  project
    .read(file)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

it('the keys that may open it follow the life of the certificate of home', async () => {
  project.settings(smallSettings(tunnelled));
  await project.run(['make']);
  const [first, ...more] = keys();
  expect([first?.split(' ')[0], more]).toEqual(['ecdsa-sha2-nistp256', []]);
  await project.run(['renew', 'mailhost']);
  expect(keys()).toEqual([first]);
  await project.run(['renew', 'mailhost', '--rekey']);
  const [second, former] = keys();
  expect([former, second === first]).toEqual([first, false]);
  await project.run(['retire', 'mailhost']);
  expect(keys()).toEqual([second]);
  expect((await project.run(['make'])).stderr).toContain('nothing to make');
  await project.run(['revoke', 'mailhost']);
  expect(keys()).toEqual([]);
});

it('nothing of it is there without the settings, and it goes with them', async () => {
  project.settings(smallSettings({ ...clients, inbound: { home: 'mailhost' } }));
  await project.run(['make']);
  const shown = (await project.run(['show', '--format', 'json', '*'])).stdout;
  const script = (await project.run(['show', 'relayhost', '--format', 'sh'])).stdout;
  expect(script).not.toMatch(/tunnel/u);
  project.settings(smallSettings(tunnelled));
  const { install } = JSON.parse((await project.run(['make', '--json'])).stdout) as {
    install: readonly { readonly host: string; readonly why: readonly string[] }[];
  };
  expect(install).toContainEqual({ host: 'relayhost.example.org', why: ['table'] });
  project.settings(smallSettings({ ...clients, inbound: { home: 'mailhost' } }));
  await project.run(['make']);
  expect((await project.run(['show', '--format', 'json', '*'])).stdout).toBe(shown);
});

it('make and status warn of a tunnel that nothing uses', async () => {
  const warning = 'warning: settings.json: tunnel: does nothing, because only an inbound with "via": "tunnel" uses it';
  const idle = [{ tunnel: {} }, { inbound: { home: 'mailhost' }, tunnel: { listen: 2526 } }];
  for (const settings of idle) {
    project.settings(smallSettings(settings));
    for (const command of ['make', 'status']) expect((await project.run([command])).stderr).toContain(warning);
    expect((await project.run(['status', 'mailhost'])).stderr).toBe('');
  }
  for (const settings of [tunnelled, { ...tunnelled, tunnel: { listen: 2526 } }, { inbound: { home: 'mailhost' } }]) {
    project.settings(smallSettings(settings));
    for (const command of ['make', 'status'])
      expect((await project.run([command])).stderr).not.toContain('does nothing');
  }
});
