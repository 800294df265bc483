// `relaycerts passphrase change`, with the operator key only. What needs a real GnuPG keyring is in test/interop.

import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project, type Result } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const withSecond = smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] });
const caKey = 'certs/ca/example.org-ca.key.pem';
const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
const operatorKey = (): string => join(project.home, '.config/relaycerts/operator-key.asc');

async function shown(): Promise<string> {
  const show = await project.run(['passphrase', 'show', '--yes']);
  expect(show.status, show.stderr).toBe(0);
  return show.stdout.replace(/\n$/u, '');
}

/** openssl's verdict: whether this passphrase opens the CA's key. */
function opensKey(passphrase: string): boolean {
  const args = ['pkey', '-in', project.path(caKey), '-passin', 'stdin', '-noout'];
  return spawnSync('openssl', args, { input: passphrase }).status === 0;
}

function caPublicKey(passphrase: string): string {
  const args = ['pkey', '-in', project.path(caKey), '-passin', 'stdin', '-pubout'];
  return spawnSync('openssl', args, { input: passphrase }).stdout.toString();
}

/** One error, one hint, and nothing that only a developer understands. */
function expectError(result: Result, status: number, message: RegExp, hint: RegExp): void {
  expect(result.stderr).toMatch(message);
  expect(result.status).toBe(status);
  const lines = result.stderr.trimEnd().split('\n');
  expect(lines.filter((line) => line.startsWith('relaycerts: error: '))).toHaveLength(1);
  expect(lines.find((line) => line.startsWith('relaycerts: hint: '))).toMatch(hint);
  expect(result.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
  expect(result.stdout).toBe('');
}

describe('change', () => {
  it('makes a new passphrase for the same CA, which then issues as before', async () => {
    await putMade(project);
    const before = await shown();
    const publicKey = caPublicKey(before);
    const changed = await project.run(['passphrase', 'change']);
    expect(changed.status, changed.stderr).toBe(0);
    expect(await shown()).not.toBe(before);
    expect(opensKey(before)).toBe(false);
    expect(caPublicKey(await shown())).toBe(publicKey);
    expect(modesOf(project.folder)[caKey]).toBe('0600');
    expect(statSync(sealedFile()).mode & 0o7777).toBe(0o600);
    expect((await project.run(['make'])).stderr).toMatch(/nothing to make/u);
    project.settings(withSecond);
    expect((await project.run(['make'])).status).toBe(0);
  });

  it('reads both passphrases from file descriptors', async () => {
    await putMade(project);
    const old = join(project.home, 'old');
    writeFileSync(old, await shown());
    const input = `exec "$@" 3< '${old}'`;
    const args = ['passphrase', 'change', '--passphrase-fd', '3', '--new-passphrase-fd', '0'];
    const changed = project.spawn(args, { input: 'pässwörd of  mine\n', under: ['sh', '-c', input, 'sh'] });
    expect(changed.status, changed.stderr).toBe(0);
    expect(await shown()).toBe('pässwörd of  mine');
    expect(opensKey('pässwörd of  mine')).toBe(true);
  });

  it('keeps the passphrases that a project with the same file needs', async () => {
    await putMade(project);
    mkdirSync(join(project.home, 'twin'));
    project.write('../home/twin/settings.json', project.read('settings.json'));
    const inTwin = (...args: readonly string[]): Promise<Result> =>
      project.run(['--settings', join(project.home, 'twin/settings.json'), ...args]);
    expect((await inTwin('make')).status).toBe(0);
    const before = readFileSync(sealedFile());
    for (const kept of [`${sealedFile()}.old`, `${sealedFile()}.old2`]) {
      const changed = await project.run(['passphrase', 'change']);
      expect(changed.stderr).toContain(`"${kept}" holds an old passphrase: other projects that share`);
      expect(changed.stderr).toContain(`hint: once nothing needs it: rm ${kept}\n`);
      expect(statSync(kept).mode & 0o7777).toBe(0o600);
    }
    expect(readFileSync(`${sealedFile()}.old`).equals(before)).toBe(true);
    expectError(
      await inTwin('renew', '--force', '--quiet'),
      1,
      /passphrase does not open/u,
      /from before a passphrase change \("[^"]*\.gpg\.old", "[^"]*\.gpg\.old2"\), set passphrase\.file to a copy of it/u,
    );
    cpSync(`${sealedFile()}.old`, join(project.home, 'twin/sealed.gpg'));
    project.write('../home/twin/settings.json', JSON.stringify(smallSettings({ passphrase: { file: 'sealed.gpg' } })));
    const renewed = await inTwin('renew', '--force');
    expect(renewed.status, renewed.stderr).toBe(0);
    expect((await project.run(['clean', '--all', '--yes'])).status).toBe(0);
    expect(existsSync(`${sealedFile()}.old`) || existsSync(`${sealedFile()}.old2`)).toBe(false);
  });

  it('replaces what a link names, and not the link', async () => {
    await putMade(project);
    const real = join(project.home, 'stick');
    renameSync(sealedFile(), real);
    symlinkSync(real, sealedFile());
    const before = readFileSync(real);
    expect((await project.run(['passphrase', 'change'])).status).toBe(0);
    expect(readFileSync(real).equals(before)).toBe(false);
    expect(opensKey(await shown())).toBe(true);
  });

  it.each([
    ['a wrong old passphrase', ['--passphrase-fd', '0'], 'wrong', 1, /passphrase does not open/u],
    ['an empty new one', ['--new-passphrase-fd', '0'], '\n', 1, /is empty/u],
    ['a new one of two lines', ['--new-passphrase-fd', '0'], 'a\nb\n', 1, /more than one line/u],
    [
      'one descriptor for both',
      ['--passphrase-fd', '0', '--new-passphrase-fd', '0'],
      'x',
      2,
      /both passphrases come from one file descriptor: 0/u,
    ],
    ['a descriptor that is not open', ['--new-passphrase-fd', '77'], '', 2, /--new-passphrase-fd 77: not open/u],
  ] as const)('%s: touches nothing', async (_, flags, input, status, message) => {
    await putMade(project);
    const before = [treeOf(project.folder), treeOf(project.home)];
    expectError(project.spawn(['passphrase', 'change', ...flags], { input }), status, message, /\S/u);
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
  });

  it('says that make must come first', async () => {
    expectError(
      await project.run(['passphrase', 'change']),
      1,
      /there is no CA key ".*example\.org-ca\.key\.pem" yet/u,
      /relaycerts make/u,
    );
  });

  it('touches nothing if nobody here could open the new file', async () => {
    await putMade(project);
    const passphrase = await shown();
    rmSync(operatorKey());
    // The public key in a file; its secret part is elsewhere.
    const other = makeProject();
    await other.run(['make']);
    const home = join(project.home, 'g');
    mkdirSync(home, { mode: 0o700 });
    const env = { ...process.env, GNUPGHOME: home };
    spawnSync('gpg', ['--batch', '--import', join(other.home, '.config/relaycerts/operator-key.asc')], { env });
    project.write('other.asc', spawnSync('gpg', ['--batch', '--export'], { env }).stdout);
    spawnSync('gpgconf', ['--kill', 'all'], { env });
    rmSync(home, { recursive: true });
    other.remove();
    project.settings(smallSettings({ passphrase: { recipients: ['other.asc'] } }));
    // gpg makes its own home when it is asked for its keys.
    const state = () =>
      [project.folder, project.home].map((folder) =>
        Object.entries(treeOf(folder)).filter(([name]) => !name.startsWith('.gnupg/')),
      );
    const before = state();
    const args = ['passphrase', 'change', '--passphrase-fd', '0'];
    expectError(
      project.spawn(args, { input: passphrase }),
      1,
      /nothing was changed: no secret key here can open the new passphrase file/u,
      /--new-passphrase-fd/u,
    );
    expect(state()).toEqual(before);
    const next = join(project.home, 'next');
    writeFileSync(next, 'the next one');
    const under = ['sh', '-c', `exec "$@" 3< '${next}'`, 'sh'];
    const given = project.spawn([...args, '--new-passphrase-fd', '3'], { input: passphrase, under });
    expect(given.status, given.stderr).toBe(0);
    expect(given.stderr).toMatch(/warning: no secret key here can open the new passphrase file/u);
    expect(opensKey('the next one')).toBe(true);
  });
});
