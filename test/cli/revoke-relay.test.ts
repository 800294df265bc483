// A relay that was taken over: what `relaycerts revoke` prints for it is run as printed, and openssl then says what a
// client still accepts as its relay. With the same name and with another one.

import { copyFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runTool } from '../support/openssl.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed as succeeded } from '../support/succeed.js';

const client = 'mailhost.example.org';
const relay = 'relayhost.example.org';

let project: Project;
let printed: readonly (readonly string[])[];
beforeEach(async () => {
  project = makeProject();
  await succeed('make');
  copyFileSync(project.path('hosts', relay, `${relay}.crt.pem`), project.path('stolen.pem'));
  const { stdout } = await succeed('revoke', relay, '--reason', 'taken over');
  printed = [...stdout.matchAll(/^ {2}relaycerts (.*)$/gmu)].map(([, words = '']) => words.split(' '));
});
afterEach(() => {
  project.remove();
});

const succeed = async (...words: readonly string[]): Promise<Result> => succeeded(await project.run(words));

/** True if a client with its present bundle accepts this certificate for the relay of that name. */
function isTaken(certificate: string, name: string): boolean {
  const trust = ['-no-CAfile', '-no-CApath', '-no-CAstore', '-CAfile', caFile()];
  const checks = ['-purpose', 'sslserver', '-verify_hostname', name];
  return runTool('openssl', ['verify', ...trust, ...checks, project.path(certificate)]).status === 0;
}

const caFile = (): string => project.path('hosts', client, 'example.org-ca.crt.pem');

it('same name: after stage 3 a client accepts only the new key', async () => {
  expect(isTaken('stolen.pem', relay)).toBe(true);
  const [again, rekey] = printed;
  expect([again, rekey]).toEqual([
    ['make', '--again', relay],
    ['renew', '--ca', '--rekey'],
  ]);
  await succeed(...(again ?? []));
  for (let stage = 1; stage <= 3; stage += 1) {
    expect(isTaken('stolen.pem', relay)).toBe(true);
    expect((await succeed(...(rekey ?? []))).stdout).toContain(`stage ${stage} of 3`);
    expect(isTaken(`hosts/${relay}/${relay}.crt.pem`, relay)).toBe(true);
  }
  expect(isTaken('stolen.pem', relay)).toBe(false);
});

it('another name: a client accepts no certificate for the old one', async () => {
  project.settings(smallSettings({ smtpdServers: [{ hostname: 'newrelay' }] }));
  await succeed(...(printed[2] ?? []));
  expect(isTaken(`hosts/newrelay.example.org/newrelay.example.org.crt.pem`, 'newrelay.example.org')).toBe(true);
  expect(isTaken('stolen.pem', 'newrelay.example.org')).toBe(false);
  const shown = (await succeed('show', client)).stdout;
  expect(shown).toContain('newrelay.example.org');
  expect(shown).not.toContain(relay);
});
