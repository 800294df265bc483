// `relaycerts passphrase` by the built program, with the operator key alone: who opens it, what is printed and what is
// refused, and the change of the passphrase cut off at every system call that touches a file. What needs a real GnuPG
// keyring is in test/interop.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
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
import { makeProject, modesOf, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
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
const pending = 'certs/ca/example.org-ca.passphrase.new.gpg';
const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
const operatorKey = (): string => join(project.home, '.config/relaycerts/operator-key.asc');

async function shown(): Promise<string> {
  const show = await project.run(['passphrase', 'show', '--yes']);
  expect(show.status, show.stderr).toBe(0);
  return show.stdout.replace(/\n$/u, '');
}

/** The judgement of openssl: whether this passphrase opens the CA's key. */
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

const openOn = async (...args: readonly string[]): Promise<Terminal> =>
  (terminal = await openTerminal({
    command: [process.execPath, program, ...args],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
    stdout: join(project.home, 'stdout'),
  }));

const stdoutOnTerminal = (): string => readFileSync(join(project.home, 'stdout'), 'utf8');

describe('passphrase', () => {
  it('alone, or with an unknown word, says what there is', async () => {
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
    expect(JSON.parse((await project.run(['passphrase', 'show', '--yes', '--json'])).stdout)).toEqual({
      passphrase: await shown(),
    });
  });

  it('without a terminal and without --yes prints nothing', async () => {
    await putMade(project);
    expectError(
      await project.run(['passphrase', 'show']),
      2,
      /prints a secret, and here is no terminal/u,
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

  it('says where a passphrase file should be, and is not', async () => {
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

  it('says unknown key where the operator key is gone, and needs no gpg for it', async () => {
    await putMade(project);
    rmSync(operatorKey());
    const { status, stdout } = await project.run(['passphrase', 'recipients'], { env: { PATH: '/nonexistent' } });
    expect(status).toBe(0);
    expect(stdout).toMatch(/^ {2}[0-9A-F]{16} {2}unknown key$/mu);
  });

  it('where the file is gone and the CA depends on it, sends nobody to make for another', async () => {
    await putMade(project);
    rmSync(sealedFile());
    expectError(await project.run(['passphrase', 'recipients']), 1, /does not exist/u, /bring it back from a backup/u);
  });

  it('refuses a file that is none', async () => {
    await putMade(project);
    writeFileSync(sealedFile(), 'my plain passphrase\n');
    const result = await project.run(['passphrase', 'recipients']);
    expectError(result, 1, /is plain text, not an OpenPGP message/u, /gpg --encrypt/u);
    expect(result.stderr).not.toContain('my plain');
  });
});

describe('export-key', () => {
  it('prints the operator key, which gpg imports and decrypts the passphrase file with', async () => {
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
    expect(existsSync(project.path(pending))).toBe(false);
    expect((await project.run(['make'])).stderr).toMatch(/nothing to make/u);
    project.settings(withSecond);
    expect((await project.run(['make'])).status).toBe(0);
  });

  it('takes both passphrases from file descriptors', async () => {
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

  it('keeps the passphrase that a folder with the same file needs, also over a second change', async () => {
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
      expect(changed.stderr).toContain(`hint: where nothing needs it any more: rm ${kept}\n`);
      expect(statSync(kept).mode & 0o7777).toBe(0o600);
    }
    expect(readFileSync(`${sealedFile()}.old`).equals(before)).toBe(true);
    expectError(
      await inTwin('renew', '--force', '--quiet'),
      1,
      /passphrase does not open/u,
      /that a passphrase change has kept \("[^"]*\.gpg\.old", "[^"]*\.gpg\.old2"\), name a copy of it as passphrase\.file/u,
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
      /both passphrases from one/u,
    ],
    ['a descriptor that is not open', ['--new-passphrase-fd', '77'], '', 2, /--new-passphrase-fd 77: not open/u],
  ] as const)('%s: touches nothing', async (_, flags, input, status, message) => {
    await putMade(project);
    const before = [treeOf(project.folder), treeOf(project.home)];
    expectError(project.spawn(['passphrase', 'change', ...flags], { input }), status, message, /\S/u);
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
  });

  it('before make says so', async () => {
    expectError(await project.run(['passphrase', 'change']), 1, /there is no CA's key .* yet/u, /relaycerts make/u);
  });

  it('where nobody here could open the new file, touches nothing; a given passphrase may go in', async () => {
    await putMade(project);
    const passphrase = await shown();
    rmSync(operatorKey());
    // The key in a file, its secret part elsewhere.
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
      /nothing was changed: no secret key of the recipients is here/u,
      /--new-passphrase-fd/u,
    );
    expect(state()).toEqual(before);
    const next = join(project.home, 'next');
    writeFileSync(next, 'the next one');
    const under = ['sh', '-c', `exec "$@" 3< '${next}'`, 'sh'];
    const given = project.spawn([...args, '--new-passphrase-fd', '3'], { input: passphrase, under });
    expect(given.status, given.stderr).toBe(0);
    expect(given.stderr).toMatch(/warning: nobody here can open the new passphrase file/u);
    expect(opensKey('the next one')).toBe(true);
  });
});

/** The three states that a crash can leave, from the files of before and after a whole change. */
async function craft(state: {
  readonly key: 'old' | 'new';
  readonly file: 'old' | 'new';
}): Promise<Record<'old' | 'new', string>> {
  await putMade(project);
  const passphrase = { old: await shown(), new: '' };
  const key = { old: project.read(caKey), new: '' };
  const file = { old: readFileSync(sealedFile()), new: Buffer.alloc(0) };
  expect((await project.run(['passphrase', 'change'])).status).toBe(0);
  passphrase.new = await shown();
  key.new = project.read(caKey);
  file.new = readFileSync(sealedFile());
  project.write(caKey, key[state.key]);
  writeFileSync(sealedFile(), file[state.file]);
  project.write(pending, file.new);
  return passphrase;
}

describe('a change that was cut off', () => {
  it.each([
    [
      'the new passphrase is there, the key is the old one',
      { key: 'old', file: 'old' },
      /removed .*; .*passphrase\.gpg holds/u,
    ],
    ['the key is the new one, the passphrase file the old one', { key: 'new', file: 'old' }, /finished it/u],
    ['both are new', { key: 'new', file: 'new' }, /removed .*; .*passphrase\.gpg holds/u],
  ] as const)('%s: the next run settles it, and says so', async (_, state, says) => {
    const passphrase = await craft(state);
    const show = await project.run(['passphrase', 'show', '--yes']);
    expect(show.stdout.trimEnd()).toBe(passphrase[state.key]);
    expect(show.stderr).toMatch(/a change of the passphrase was cut off/u);
    expect(show.stderr).toMatch(says);
    expect(existsSync(project.path(pending))).toBe(false);
    expect(await shown()).toBe(passphrase[state.key]);
    expect(opensKey(await shown())).toBe(true);
  });

  it.each([
    { key: 'old', file: 'old' },
    { key: 'new', file: 'old' },
    { key: 'new', file: 'new' },
  ] as const)('make goes on from it, key $key, file $file', async (state) => {
    await craft(state);
    project.settings(withSecond);
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).toMatch(/a change of the passphrase was cut off/u);
    expect(opensKey(await shown())).toBe(true);
  });

  it.each([
    { key: 'old', file: 'old' },
    { key: 'new', file: 'old' },
  ] as const)('another change goes on from it, also with the old one given, key $key', async (state) => {
    const passphrase = await craft(state);
    const args = ['passphrase', 'change', '--passphrase-fd', '0'];
    const changed = project.spawn(args, { input: passphrase[state.key] });
    expect(changed.status, changed.stderr).toBe(0);
    expect(changed.stderr).toMatch(/a change of the passphrase was cut off: ended it/u);
    expect(Object.values(passphrase)).not.toContain(await shown());
    expect(opensKey(await shown())).toBe(true);
    expect(existsSync(project.path(pending))).toBe(false);
  });

  it('where neither opens the key, nothing is removed', async () => {
    await craft({ key: 'old', file: 'old' });
    const other = makeProject();
    await other.run(['make']);
    project.write(caKey, other.read(caKey));
    other.remove();
    project.settings(withSecond);
    rmSync(project.path('certs/ca/example.org-ca.crt.pem'));
    rmSync(project.path('certs/smtp-client'), { recursive: true });
    rmSync(project.path('certs/smtpd-server'), { recursive: true });
    const before = [treeOf(project.folder), treeOf(project.home)];
    expectError(await project.run(['make']), 1, /passphrase does not open the CA's key/u, /made together/u);
    expect(existsSync(project.path(pending))).toBe(true);
    expect(treeOf(project.home)).toEqual(before[1]);
  });

  it('at every system call that touches a file: whatever instant it is, one of the two opens the key', async () => {
    requireTools('strace');
    await putMade(project);
    const publicKey = caPublicKey(await shown());
    const first = readFileSync(sealedFile());
    const backup = join(project.home, '..', 'backup');
    cpSync(project.folder, join(backup, 'project'), { recursive: true });
    cpSync(project.home, join(backup, 'home'), { recursive: true });
    const restore = (): void => {
      for (const [from, to] of [
        ['project', project.folder],
        ['home', project.home],
      ] as const) {
        rmSync(to, { recursive: true, force: true });
        cpSync(join(backup, from), to, { recursive: true });
      }
    };
    const seen = new Set<string>();
    // A process that dies before a sync leaves what it leaves before the call after that.
    const syncs = process.env['RELAYCERTS_DEEP'] === '1' ? ['fsync'] : [];
    for (const calls of ['?rename,?renameat,?renameat2', ...syncs, '?unlink,?unlinkat']) {
      for (let nth = 1; ; nth += 1) {
        restore();
        const under = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${calls}:signal=KILL:when=${nth}`];
        // One thread, so that strace counts all calls together.
        const killed = project.spawn(['passphrase', 'change'], { under, env: { UV_THREADPOOL_SIZE: '1' } });
        if (killed.status === 0) {
          expect(nth, calls).toBeGreaterThan(2);
          break;
        }
        expect(nth, killed.stderr).toBeLessThan(40);
        const state = existsSync(project.path(pending)) ? 'pending' : 'settled';
        seen.add(
          `${state}, ${project.read(caKey) === readFileSync(join(backup, 'project', caKey), 'utf8') ? 'old' : 'new'} key`,
        );
        expect(caPublicKey(await shown()), `${calls} ${nth}`).toBe(publicKey);
        const kept = existsSync(`${sealedFile()}.old`) ? `${sealedFile()}.old` : sealedFile();
        expect(readFileSync(kept).equals(first), `${calls} ${nth}: the first passphrase`).toBe(true);
        expect(existsSync(project.path(pending))).toBe(false);
      }
    }
    expect([...seen].toSorted()).toEqual([
      'pending, new key',
      'pending, old key',
      'settled, new key',
      'settled, old key',
    ]);
  });
});

describe("the operator key's own password", () => {
  const password = 'its öwn pass';
  const makeWithPassword = async (): Promise<void> => {
    const screen = await openOn('make');
    await screen.waitFor('Password of the new operator key (Enter: none):');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('The same again:');
    screen.type('mistyped');
    screen.press('Enter');
    await screen.waitFor('the two are not alike; once more');
    screen.type(password);
    screen.press('Enter');
    await new Promise((resolve) => setTimeout(resolve, 300));
    screen.type(password);
    screen.press('Enter');
    expect(await screen.ended(60)).toBe(0);
    expect(screen.sent()).not.toContain(password);
    screen.dispose();
  };

  it('is offered on a terminal, and Enter means none', async () => {
    const screen = await openOn('make');
    await screen.waitFor('Password of the new operator key (Enter: none):');
    screen.press('Enter');
    expect(await screen.ended(60)).toBe(0);
    expect(screen.screen()).toContain('keeps stolen files shut');
    expect(opensKey(await shown())).toBe(true);
  });

  it('Ctrl-C at the offer leaves nothing behind', async () => {
    const screen = await openOn('make');
    await screen.waitFor('Password of the new operator key (Enter: none):');
    screen.press('C-c');
    expect(await screen.ended()).toBe(130);
    expect(existsSync(operatorKey())).toBe(false);
    expect(existsSync(sealedFile())).toBe(false);
    expect(Object.keys(treeOf(project.folder)).filter((name) => /key|lock|tmp/u.test(name))).toEqual([]);
  });

  it('is asked for when the key is needed; without a terminal the error says so', async () => {
    await makeWithPassword();
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
    expect(await screen.ended(60)).toBe(1);
    await screen.waitFor('that is not the password of the operator key');
    screen.dispose();
    expect(treeOf(project.folder)).toEqual(before);

    screen = await openOn('make');
    await screen.waitFor('Password of the operator key');
    screen.type(password);
    screen.press('Enter');
    expect(await screen.ended(60)).toBe(0);
    expect(existsSync(project.path('certs/smtp-client/second.example.org.crt.pem'))).toBe(true);
  });

  it('operator-password sets it, and takes it away; the key stays the same', async () => {
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
    expect((await project.run(['passphrase', 'export-key', '--yes'])).stderr).toMatch(/it has its password still/u);

    screen = await openOn('passphrase', 'operator-password');
    await screen.waitFor('Password of the operator key');
    screen.type(password);
    screen.press('Enter');
    await screen.waitFor('New password of the operator key (Enter: none):');
    screen.press('Enter');
    await screen.waitFor('has no password any more');
    expect(await screen.ended()).toBe(0);
    expect(await shown()).toBe(passphrase);
  });
});

describe('--passphrase-fd', () => {
  it('works where the passphrase file is gone, and makes no second copy of it', async () => {
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
    const before = treeOf(project.folder);
    const made = project.spawn(['make', '--passphrase-fd', '0'], { input: 'another' });
    expectError(made, 1, /holds another passphrase than the given one/u, /without --passphrase-fd/u);
    expect(treeOf(project.folder)).toEqual(before);
  });
});
