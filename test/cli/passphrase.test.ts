// `relaycerts passphrase` with the operator key only: who opens it, what is printed and what is refused. What needs a real
// GnuPG keyring is in test/interop.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeOperatorPassword } from '../../src/commands/passphrase-operator.js';
import { Secret } from '../../src/secret.js';
import { putMade } from '../support/made-project.js';
import { makeProject, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { openTerminal, type Terminal } from '../support/terminal.js';

let project: Project;
let terminal: Terminal | undefined;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  terminal?.dispose();
  terminal = undefined;
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

const openOn = async (...args: readonly string[]): Promise<Terminal> =>
  (terminal = await openTerminal({
    command: [process.execPath, program, ...args],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
    stdout: join(project.home, 'stdout'),
  }));

const stdoutOnTerminal = (): string => readFileSync(join(project.home, 'stdout'), 'utf8');

describe('passphrase', () => {
  it('without a word, or with an unknown one, lists its commands', async () => {
    expectError(await project.run(['passphrase']), 2, /needs one of recipients, show, change, export-key/u, /--help/u);
    expectError(
      await project.run(['passphrase', 'shwo']),
      2,
      /unknown command "shwo", did you mean show/u,
      /passphrase show/u,
    );
    const help = await project.run(['passphrase', '--help']);
    expect(help.status).toBe(0);
    expect(help.stdout).toContain('Examples:');
  });
});

describe('show', () => {
  it('prints what opens the CA key, with --yes', async () => {
    await putMade(project);
    expect(await shown()).toMatch(/^[0-9a-f]{64}$/u);
    expect(opensKey(await shown())).toBe(true);
    expect(JSON.parse((await project.run(['passphrase', 'show', '--yes', '--json'])).stdout)).toMatchObject({
      passphrase: await shown(),
    });
  });

  it('without a terminal and without --yes prints nothing', async () => {
    await putMade(project);
    expectError(
      await project.run(['passphrase', 'show']),
      2,
      /prints a secret, and there is no terminal to ask on/u,
      /relaycerts passphrase show --yes/u,
    );
  });

  it('asks on a terminal: no is the default, yes prints', async () => {
    await putMade(project);
    let screen = await openOn('passphrase', 'show');
    await screen.waitFor("Print the CA's passphrase here?");
    screen.press('Enter');
    expect(await screen.ended()).toBe(130);
    expect(stdoutOnTerminal()).toBe('');
    screen.dispose();
    screen = await openOn('passphrase', 'show');
    await screen.waitFor("Print the CA's passphrase here?");
    screen.type('y');
    screen.press('Enter');
    expect(await screen.ended()).toBe(0);
    expect(stdoutOnTerminal()).toBe(`${await shown()}\n`);
  });

  it('names the passphrase file that is missing', async () => {
    expectError(await project.run(['passphrase', 'show', '--yes']), 1, /passphrase\.gpg" does not exist/u, /backup/u);
  });

  it('does not touch an operator key that others can read', async () => {
    await putMade(project);
    chmodSync(operatorKey(), 0o644);
    expectError(
      await project.run(['passphrase', 'show', '--yes']),
      1,
      /can be read or changed by others/u,
      /^.*chmod 600/u,
    );
  });
});

describe('recipients', () => {
  it('names the operator key', async () => {
    await putMade(project);
    const { stdout } = await project.run(['passphrase', 'recipients']);
    expect(stdout).toMatch(
      /can be opened by:\n {2}[0-9A-F]{16} {2}[0-9A-F]{40} {2}"relaycerts operator key" \(operator key, its/u,
    );
    const json = JSON.parse((await project.run(['passphrase', 'recipients', '--json'])).stdout) as Record<
      string,
      unknown
    >;
    expect(json).toMatchObject({ file: sealedFile(), recipients: [{ from: 'operator key', isHere: true }] });
  });

  it('prints "unknown key" if the operator key is gone, without gpg', async () => {
    await putMade(project);
    rmSync(operatorKey());
    const { status, stdout } = await project.run(['passphrase', 'recipients'], { env: { PATH: '/nonexistent' } });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}[0-9A-F]{16} {2}unknown key$/mu);
  });

  it('does not hint at make if the CA depends on a file that is gone', async () => {
    await putMade(project);
    rmSync(sealedFile());
    expectError(await project.run(['passphrase', 'recipients']), 1, /does not exist/u, /restore it from a backup/u);
  });

  it('refuses a file that is not a passphrase file', async () => {
    await putMade(project);
    writeFileSync(sealedFile(), 'my plain passphrase\n');
    const result = await project.run(['passphrase', 'recipients']);
    expectError(result, 1, /is plain text, not an OpenPGP message/u, /gpg --encrypt/u);
    expect(result.stderr).not.toContain('my plain');
  });
});

describe('export-key', () => {
  it('prints the operator key, with which gpg opens the passphrase file', async () => {
    await putMade(project);
    const exported = await project.run(['passphrase', 'export-key', '--yes']);
    expect(exported.stdout).toBe(readFileSync(operatorKey(), 'utf8'));
    expect(exported.stderr).toMatch(/gpg --import BACKUP/u);
    const home = join(project.home, 'g');
    mkdirSync(home, { mode: 0o700 });
    const env = { ...process.env, GNUPGHOME: home };
    try {
      expect(spawnSync('gpg', ['--batch', '--import'], { env, input: exported.stdout }).status).toBe(0);
      const opened = spawnSync('gpg', ['--batch', '--decrypt', sealedFile()], { env });
      expect(opened.stdout.toString(), opened.stderr.toString()).toBe(await shown());
    } finally {
      spawnSync('gpgconf', ['--kill', 'all'], { env });
    }
  });

  it('without --yes, or without an operator key, prints nothing', async () => {
    expectError(
      await project.run(['passphrase', 'export-key', '--yes']),
      1,
      /there is no operator key/u,
      /relaycerts make/u,
    );
    await putMade(project);
    expectError(await project.run(['passphrase', 'export-key']), 2, /no terminal to ask on/u, /export-key --yes/u);
  });
});

describe("the operator key's own password", () => {
  const password = 'its öwn pass';
  /** make's message: it asks nothing, because nothing would run unattended with a password. */
  const makeThenSetPassword = async (): Promise<void> => {
    let screen = await openOn('make');
    expect(await screen.ended()).toBe(0);
    expect(screen.screen()).not.toContain('? ');
    await screen.waitFor('it has no password; to give it one:');
    await screen.waitFor('passphrase operator-password');
    screen.dispose();

    screen = await openOn('passphrase', 'operator-password');
    await screen.waitFor('New password of the operator key (Enter: none):');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('The same again:');
    screen.type('mistyped');
    screen.press('Enter');
    await screen.waitFor('the two are not alike; once more');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('The same again:', 2);
    screen.type(password);
    screen.press('Enter');
    expect(await screen.ended()).toBe(0);
    expect(screen.sent()).not.toContain(password);
    screen.dispose();
  };

  it('is asked for when needed; without a terminal the error says so', async () => {
    await makeThenSetPassword();
    expect((await project.run(['make'])).stderr).toMatch(/nothing to make/u);
    project.settings(withSecond);
    const before = treeOf(project.folder);
    expectError(
      await project.run(['make']),
      1,
      /operator key .* has a password, and none was given/u,
      /on a terminal.*--passphrase-fd/u,
    );
    expect(treeOf(project.folder)).toEqual(before);

    let screen = await openOn('make');
    await screen.waitFor('Password of the operator key');
    screen.type('wrong');
    screen.press('Enter');
    expect(await screen.ended()).toBe(1);
    await screen.waitFor('that is not the password of the operator key');
    screen.dispose();
    expect(treeOf(project.folder)).toEqual(before);

    screen = await openOn('make');
    await screen.waitFor('Password of the operator key');
    screen.type(password);
    screen.press('Enter');
    expect(await screen.ended()).toBe(0);
    expect(existsSync(project.path('certs/smtp-client/second.example.org.crt.pem'))).toBe(true);
  });

  it('operator-password sets and removes it; the key stays the same', async () => {
    await putMade(project);
    const passphrase = await shown();
    const recipients = (await project.run(['passphrase', 'recipients'])).stdout;
    expectError(await project.run(['passphrase', 'operator-password']), 2, /no terminal to ask on/u, /terminal/u);
    let screen = await openOn('passphrase', 'operator-password');
    await screen.waitFor('New password of the operator key (Enter: none):');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('The same again:');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('has its new password');
    expect(await screen.ended()).toBe(0);
    screen.dispose();
    expect(statSync(operatorKey()).mode & 0o7777).toBe(0o600);
    expect((await project.run(['passphrase', 'recipients'])).stdout).toBe(recipients);
    expectError(
      await project.run(['passphrase', 'show', '--yes']),
      1,
      /has a password, and none was given/u,
      /terminal/u,
    );
    expect((await project.run(['passphrase', 'export-key', '--yes'])).stderr).toMatch(/it still has its password/u);

    screen = await openOn('passphrase', 'operator-password');
    await screen.waitFor('Password of the operator key');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('New password of the operator key (Enter: none):');
    screen.press('Enter');
    await screen.waitFor('no longer has a password');
    expect(await screen.ended()).toBe(0);
    expect(await shown()).toBe(passphrase);
  });

  it.each([
    ['ab', ['the password is short or simple: anyone who gets a copy of the operator key may guess it']],
    ['nine red cows walk home', []],
    ['', []],
  ])('operator-password %j: warns of %j', async (chosen, warnings) => {
    await putMade(project);
    const said: string[] = [];
    const asked = { interactive: true, askNewSecret: () => Promise.resolve(new Secret(chosen)) };
    const sys = { ...project.sys(), ...asked, warn: (message: string) => void said.push(message) };
    await changeOperatorPassword({ json: false }, sys);
    expect(said).toEqual(warnings);
  });
});

describe('--passphrase-fd', () => {
  it('works if the passphrase file is gone, and does not make it again', async () => {
    await putMade(project);
    const passphrase = await shown();
    rmSync(sealedFile());
    project.settings(withSecond);
    const made = project.spawn(['make', '--passphrase-fd', '0'], { input: passphrase });
    expect(made.status, made.stderr).toBe(0);
    expect(existsSync(sealedFile())).toBe(false);
  });

  it('makes no CA under another passphrase than its file holds', async () => {
    await putMade(project);
    expect((await project.run(['clean', '--yes'])).status).toBe(0);
    const before = { '.relaycerts.lock': '0600', ...treeOf(project.folder) };
    const made = project.spawn(['make', '--passphrase-fd', '0'], { input: 'another' });
    expectError(made, 1, /holds another passphrase than the given one/u, /without --passphrase-fd/u);
    expect(treeOf(project.folder)).toEqual(before);
  });
});
