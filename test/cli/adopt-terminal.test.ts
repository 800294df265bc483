// `relaycerts adopt` on a terminal: it asks for the passphrase of the old CA's key, which is never shown, and before it
// writes anything.

import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeFlatCa, type ForeignCa } from '../support/foreign-folders.js';
import { openssl } from '../support/openssl.js';
import { makeProject, program, treeOf, type Project } from '../support/project.js';
import { openTerminal, type Terminal } from '../support/terminal.js';

const secret = 'correct-horse-battery-staple';
let project: Project;
let ca: ForeignCa;
let terminal: Terminal | undefined;
beforeEach(() => {
  project = makeProject(null);
  ca = makeFlatCa(join(project.home, 'made'));
  cpSync(ca.folder, join(project.home, 'old'), { recursive: true });
  const encrypted = ['-aes256', '-passout', `pass:${secret}`, '-out', join(project.home, 'old/ca.key')];
  openssl(['pkey', '-in', ca.path('ca.key'), ...encrypted]);
});
afterEach(() => {
  terminal?.dispose();
  project.remove();
});

const open = async (): Promise<Terminal> =>
  (terminal = await openTerminal({
    command: [process.execPath, program, 'adopt', join(project.home, 'old')],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
  }));

async function answer(screen: Terminal, passphrase: string): Promise<void> {
  await screen.waitFor("Passphrase of the CA's key");
  screen.type(passphrase);
  screen.press('Enter');
}

it('a wrong passphrase, and a no, write nothing', async () => {
  const wrong = await open();
  await answer(wrong, 'another');
  expect(await wrong.ended()).toBe(1);
  wrong.dispose();
  const refused = await open();
  await answer(refused, secret);
  await refused.waitFor('Adopt this CA?');
  refused.type('n');
  refused.press('Enter');
  expect(await refused.ended()).toBe(130);
  expect(refused.screen()).toContain('nothing was written');
  expect(Object.keys(treeOf(project.folder)).filter((name) => name !== '.relaycerts.lock')).toEqual([]);
});

it('a yes adopts, and make goes on with it', async () => {
  const screen = await open();
  await answer(screen, secret);
  await screen.waitFor('Adopt this CA?');
  screen.type('y');
  screen.press('Enter');
  expect(await screen.ended()).toBe(0);
  expect(screen.sent()).not.toContain(secret);
  expect(project.read('certs/ca/example.org-ca.crt.pem')).toContain('BEGIN CERTIFICATE');
  expect((await project.run(['make', '--dry-run'])).stderr).not.toContain('error');
});
