// A relay that was taken over: what `relaycerts revoke` prints for it is run as printed, and openssl then says what a
// client still accepts as its relay. With the same name and with another one.

import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { noteAsInstalled } from '../support/installed.js';
import { runTool } from '../support/openssl.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed as succeeded } from '../support/succeed.js';

const client = 'mailhost.example.org';
const relay = 'relayhost.example.org';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await succeed('make');
});
afterEach(() => {
  project.remove();
});

/** Revokes the relay. Its old certificate is kept as stolen.pem; returns the commands that are printed. */
async function revokeRelay(): Promise<readonly (readonly string[])[]> {
  copyFileSync(project.path('hosts', relay, `${relay}.crt.pem`), project.path('stolen.pem'));
  const { stdout } = await succeed('revoke', relay, '--reason', 'taken over');
  expect(stdout.split('\n').length).toBeLessThan(12);
  return [...stdout.matchAll(/^ {2}relaycerts (.*)$/gmu)].map(([, words = '']) => words.split(' '));
}

const succeed = async (...words: readonly string[]): Promise<Result> => succeeded(await project.run(words));

/** True if a client with its present bundle accepts this certificate for the relay of that name. */
function isTaken(certificate: string, name: string): boolean {
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', caFile()];
  const checks = ['-purpose', 'sslserver', '-verify_hostname', name];
  return runTool('openssl', ['verify', ...trust, ...checks, project.path(certificate)]).status === 0;
}

const caFile = (): string => project.path('hosts', client, 'example.org-ca.crt.pem');

it.each([
  [0, 3],
  [1, 2],
  [2, 4],
] as const)(
  'same name, revoked at stage %i of a rekey: %i stages later a client accepts only the new key',
  async (stage, left) => {
    const rekey = ['renew', '--ca', '--rekey'];
    for (let done = 0; done < stage; done += 1) {
      await noteAsInstalled(project);
      await succeed(...rekey);
    }
    const printed = await revokeRelay();
    expect(printed.slice(0, 3)).toEqual([['make', '--again', relay], ['deploy'], rekey]);
    await succeed('make', '--again', relay);
    for (let run = 0; run < left; run += 1) {
      await noteAsInstalled(project);
      expect(isTaken('stolen.pem', relay)).toBe(true);
      await succeed(...rekey);
      expect(isTaken(`hosts/${relay}/${relay}.crt.pem`, relay)).toBe(true);
    }
    expect((await project.run(['status'])).stdout).not.toContain('--rekey');
    expect(isTaken('stolen.pem', relay)).toBe(false);
  },
);

it('another name: a client accepts no certificate for the old one', async () => {
  const printed = await revokeRelay();
  project.settings(smallSettings({ smtpdServers: [{ hostname: 'newrelay' }] }));
  await succeed(...(printed[3] ?? []));
  expect(isTaken(`hosts/newrelay.example.org/newrelay.example.org.crt.pem`, 'newrelay.example.org')).toBe(true);
  expect(isTaken('stolen.pem', 'newrelay.example.org')).toBe(false);
  const shown = (await succeed('show', client)).stdout;
  expect(shown).toContain('newrelay.example.org');
  expect(shown).not.toContain(relay);
});

it('no longer in the settings: what is printed makes it a relay again, with a new key', async () => {
  const both = smallSettings({ smtpdServers: [{ hostname: 'newrelay' }, { hostname: 'relayhost' }] });
  project.settings(both);
  await succeed('make');
  project.settings(smallSettings({ smtpdServers: [{ hostname: 'newrelay' }] }));
  await succeed('make');
  const printed = await revokeRelay();
  const again = ['make', '--again', relay];
  expect(printed.slice(0, 4)).toEqual([['add', relay, '--relay'], again, ['deploy'], ['renew', '--ca', '--rekey']]);
  for (const words of printed.slice(0, 2)) await succeed(...words);
  expect(project.read('settings.json')).toMatch(/"relayhost\.example\.org" \}\s*\],\s*"smtpClients"/u);
  expect(isTaken(`hosts/${relay}/${relay}.crt.pem`, relay)).toBe(true);
});
