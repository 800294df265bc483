// `relaycerts backup` and `restore` under a password. What needs a GnuPG keyring is in test/interop/backup-gnupg.test.ts.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sealBytes } from '../../src/custody/seal.js';
import { Secret } from '../../src/secret.js';
import { readTar, writeTar, type TarFile } from '../../src/store/tar.js';
import { answerOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';
import { openTerminal } from '../support/terminal.js';
import { expectError } from '../support/untouched.js';

const password = 'a long password of the backup';
const passphraseName = '.example.org-relaycerts-passphrase.gpg';
const operatorName = '.config/relaycerts/operator-key.asc';

let project: Project;
let other: Project;
beforeEach(() => {
  project = makeProject();
  other = makeProject(null);
});
afterEach(() => {
  for (const one of [project, other]) one.remove();
});

const backup = (file = 'b.gpg', ...more: readonly string[]): Result =>
  project.spawn(['backup', file, '--password-fd', '0', ...more], { input: password });
const restore = (file = project.path('b.gpg'), given = password): Result =>
  other.spawn(['restore', file, '--password-fd', '0'], { input: given });

/** The contents of a backup, read with plain gpg. */
function decrypt(path: string): Buffer {
  requireTools('gpg');
  const home = join(project.home, '.gnupg');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const file = join(project.home, 'password');
  writeFileSync(file, password);
  const args = ['--homedir', home, '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase-file', file];
  const plain = execFileSync('gpg', [...args, '--decrypt', path], { stdio: ['ignore', 'pipe', 'ignore'] });
  spawnSync('gpgconf', ['--homedir', home, '--kill', 'gpg-agent']);
  return plain;
}

/** Every file below with its bytes and mode, the folders left out. */
const contentOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(treeOf(folder)).flatMap(([name, state]) =>
      name.endsWith('/') || name.startsWith('.') ? [] : [[name, state.slice(0, 21)]],
    ),
  );

function expectNothing(): void {
  expect(readdirSync(other.folder).filter((name) => name !== '.relaycerts.lock')).toEqual([]);
  expect(readdirSync(other.home)).toEqual([]);
}

describe('the drill', () => {
  it('another user on another machine restores, and renews', async () => {
    requireTools('setpriv');
    await putMade(project);
    succeed(await project.run(['revoke', 'mailhost']));
    succeed(await project.run(['make', '--again', 'mailhost']));
    succeed(backup('../home/b.gpg'));
    const file = join(other.home, 'b.gpg');
    cpSync(join(project.home, 'b.gpg'), file);
    // The old machine is gone.
    const before = contentOf(project.path('certs'));
    const sealed = readFileSync(join(project.home, passphraseName));
    project.remove();
    for (const path of [other.folder, other.home, file]) chownSync(path, 4711, 4711);
    const under = ['setpriv', '--reuid=4711', '--regid=4711', '--clear-groups'];
    const run = (args: readonly string[], input = ''): Result =>
      other.spawn(args, { under, input, env: { XDG_CACHE_HOME: join(other.home, 'cache') } });
    const restored = succeed(run(['restore', file, '--password-fd', '0', '--json'], password));
    expect(answerOf(restored.stdout)).toMatchObject({ command: 'restore', files: 11 });
    expect(contentOf(other.path('certs'))).toEqual(before);
    expect(readFileSync(join(other.home, passphraseName)).equals(sealed)).toBe(true);
    for (const path of [passphraseName, operatorName]) {
      expect([path, statSync(join(other.home, path)).mode & 0o7777]).toEqual([path, 0o600]);
    }
    expect(restored.stderr).toContain("next, for the hosts' bundles: relaycerts make\n");
    succeed(run(['make']));
    succeed(run(['renew', '--force']));
    const wide = Object.entries(modesOf(other.folder)).filter(
      ([name, mode]) => /key|chain/u.test(name) && mode !== '0600',
    );
    expect(wide).toEqual([]);
  });

  it('does not know what the hosts have now, but which ones to undo', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'gone' }] }));
    succeed(await project.run(['make']));
    await noteAsInstalled(project);
    succeed(await project.run(['remove', 'gone']));
    await noteAsInstalled(project);
    succeed(backup());
    expect(succeed(restore()).stderr).toContain('  then, to see what the hosts have now: relaycerts check\n');
    succeed(await other.run(['make']));
    const { status, stdout, stderr } = await other.run(['status']);
    expect([status, stdout.match(/but not seen on the host/gu)?.length]).toEqual([3, 1]);
    expect(stdout).toContain('2 hosts: 2 not-installed');
    expect(stderr).toMatch(/gone\.example\.org is no longer in the settings, but was seen installed/u);
  });

  it('is made, and no failure, if it cannot be noted here', async () => {
    await putMade(project);
    mkdirSync(project.path('certs/backup.json'));
    const { status, stderr } = backup();
    expect([status, stderr]).toEqual([0, expect.stringMatching(/keep it on another.*\n.*warning: status will ask/u)]);
    rmSync(project.path('certs/backup.json'), { recursive: true });
    succeed(restore());
  });

  it('needs nothing but gpg and tar', async () => {
    await putMade(project);
    succeed(backup());
    execFileSync('tar', ['-x', '-C', other.home], { input: decrypt(project.path('b.gpg')) });
    const found = contentOf(other.home);
    expect(Object.keys(found).filter((name) => !name.startsWith('project/'))).toEqual([
      'operator-key.asc',
      'passphrase.gpg',
    ]);
    expect(contentOf(join(other.home, 'project/certs'))).toEqual(contentOf(project.path('certs')));
    expect(readFileSync(join(other.home, 'project/settings.json'))).toEqual(
      readFileSync(project.path('settings.json')),
    );
    for (const [path, name] of [
      ['passphrase.gpg', passphraseName],
      ['operator-key.asc', operatorName],
    ] as const) {
      expect(readFileSync(join(other.home, path))).toEqual(readFileSync(join(project.home, name)));
    }
  });

  it('brings back the clients file, key files of recipients and long names', async () => {
    const long = `${'a'.repeat(63)}.${'b'.repeat(63)}.example.net`;
    project.settings(smallSettings({ smtpClients: { file: 'fleet/clients.csv' } }));
    mkdirSync(project.path('fleet'));
    project.write('fleet/clients.csv', `hostname\nmailhost\n${long}\n`);
    succeed(await project.run(['make', '--quiet']));
    succeed(backup());
    succeed(restore());
    expect(contentOf(other.folder)).toEqual(
      Object.fromEntries(
        Object.entries(contentOf(project.folder)).filter(([name]) => !/^(?:hosts|b\.gpg)/u.test(name)),
      ),
    );
    succeed(await other.run(['make', '--quiet']));
    expect(other.read('hosts', long, `${long}.key.pem`)).toBe(project.read('hosts', long, `${long}.key.pem`));
  });

  it('keeps older passphrases that other copies of the CA need', async () => {
    await putMade(project);
    succeed(await project.run(['passphrase', 'change']));
    succeed(backup());
    succeed(restore());
    const kept = `${passphraseName}.old`;
    expect(readFileSync(join(other.home, kept))).toEqual(readFileSync(join(project.home, kept)));
  });
});

describe('backup', () => {
  it('writes a file for its owner, and never over one that is there', async () => {
    await putMade(project);
    const made = project.spawn(['backup', 'b.gpg', '--password-fd', '0', '--json'], {
      input: password,
      under: ['sh', '-c', 'umask 000; exec "$@"', 'sh'],
    });
    succeed(made);
    expect(answerOf(made.stdout)).toMatchObject({
      command: 'backup',
      file: project.path('b.gpg'),
      files: 11,
      recipients: [],
    });
    expect(statSync(project.path('b.gpg')).mode & 0o7777).toBe(0o600);
    const before = readFileSync(project.path('b.gpg'));
    expectError(backup(), 1, /b\.gpg" exists and is not overwritten/u, /name another file: relaycerts backup FILE/u);
    expect(readFileSync(project.path('b.gpg'))).toEqual(before);
    expectError(backup('-'), 2, /so not on standard output/u, /hint: relaycerts backup FILE/u);
    expect(readdirSync(project.folder).filter((name) => name.includes('b.gpg') || name === '-')).toEqual(['b.gpg']);
  });

  it("is not made if the CA's key does not open from it", async () => {
    await putMade(project);
    const sealed = join(project.home, passphraseName);
    const stranger = makeProject();
    succeed(await stranger.run(['make', '--quiet']));
    for (const name of [passphraseName, operatorName]) cpSync(join(stranger.home, name), join(project.home, name));
    stranger.remove();
    const before = treeOf(project.folder);
    expectError(backup(), 1, /passphrase does not open/u, /passphrase file that was made together with this key/u);
    rmSync(sealed);
    expectError(backup(), 1, /passphrase file "[^"]*" does not exist/u, /restore it from a backup/u);
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('accepts a passphrase that is not in a file', async () => {
    succeed(project.spawn(['make', '--passphrase-fd', '0', '--quiet'], { input: 'another passphrase, by hand' }));
    rmSync(join(project.home, passphraseName));
    const fds = ['sh', '-c', `exec "$@" 3< '${join(project.home, 'pw')}'`, 'sh'];
    writeFileSync(join(project.home, 'pw'), password);
    const args = ['backup', 'b.gpg', '--passphrase-fd', '0', '--password-fd', '3'];
    const wrong = project.spawn(args, { input: 'a wrong one', under: fds });
    expectError(wrong, 1, /passphrase does not open/u, /./u);
    succeed(project.spawn(args, { input: 'another passphrase, by hand', under: fds }));
    const restored = restore();
    expect([restored.status, restored.stderr]).toEqual([
      3,
      expect.stringMatching(/passphrase file "[^"]*" is missing/u),
    ]);
  });

  it('needs a password, which no terminal is there to ask for', async () => {
    await putMade(project);
    const asked = await project.run(['backup', 'b.gpg']);
    const hint = /: relaycerts backup b\.gpg --password-fd 3 3< PASSWORD-FILE$/u;
    expectError(asked, 2, /the backup needs a password/u, hint);
    project.write('PASSWORD-FILE', password);
    const [line = ''] = /relaycerts backup .*/u.exec(asked.stderr) ?? [];
    succeed(project.spawn([], { under: ['sh', '-c', line, 'sh'] }));
    const weak = project.spawn(['backup', 'c.gpg', '--password-fd', '0'], { input: 'short' });
    expect([weak.status, weak.stderr]).toEqual([0, expect.stringContaining('the password is short or simple')]);
  });

  it('reports what it leaves out, and that there is nothing to back up', async () => {
    expectError(backup(), 1, /nothing to back up/u, /relaycerts make --dry-run$/u);
    await putMade(project);
    project.write('certs/a name with spaces', '');
    spawnSync('ln', ['-s', '/etc/passwd', project.path('certs/link')]);
    const made = succeed(backup());
    for (const name of ['a name with spaces', 'link'])
      expect(made.stderr).toContain(`certs/${name}" is not in the backup`);
  });

  it('is asked for a password twice, and restore once', async () => {
    await putMade(project);
    const env = { PATH: process.env['PATH'] ?? '', HOME: project.home };
    const making = await openTerminal({
      command: [process.execPath, program, 'backup', 'b.gpg'],
      cwd: project.folder,
      env,
    });
    await making.waitFor('Password of the backup:');
    making.type(password);
    making.press('Enter');
    await making.waitFor('The same again:');
    making.type(password);
    making.press('Enter');
    expect(await making.ended(), making.screen()).toBe(0);
    expect(making.sent()).not.toContain(password);
    making.dispose();
    const restoring = await openTerminal({
      command: [process.execPath, program, 'restore', project.path('b.gpg')],
      cwd: other.folder,
      env: { ...env, HOME: other.home },
    });
    await restoring.waitFor('Password of the backup:');
    restoring.type(password);
    restoring.press('Enter');
    expect(await restoring.ended(), restoring.screen()).toBe(0);
    restoring.dispose();
    succeed(await other.run(['make']));
  });
});

const said = async (one: Project): Promise<string> => (await one.run(['status'])).stderr;
const ageOf = async (one: Project): Promise<unknown> =>
  answerOf<{ readonly backup: unknown }>((await one.run(['status', '--json'])).stdout).backup;

describe('status', () => {
  const note = /the last backup, of \d{4}-\d\d-\d\d, is older than the last change: relaycerts backup FILE/u;

  it('says that the last backup is older than the last change', async () => {
    expect(await ageOf(project)).toBeNull();
    await putMade(project);
    expect(await ageOf(project)).toEqual({ made: null, isCurrent: false });
    succeed(backup());
    const made = expect.stringMatching(/^20\d\d-.*Z$/u) as unknown;
    expect(await ageOf(project)).toEqual({ made, isCurrent: true });
    succeed(restore());
    succeed(await other.run(['make']));
    for (const one of [project, other]) expect(await said(one)).toBe('');
    const changes: readonly (() => unknown)[] = [
      () => project.run(['renew', '--force']),
      () => project.run(['passphrase', 'change']),
      () => project.settings(smallSettings({ certificates: { validDays: 100 } })),
      () => project.run(['revoke', 'mailhost']),
    ];
    for (const [index, change] of changes.entries()) {
      await change();
      expect(await said(project)).toMatch(note);
      expect(await ageOf(project)).toEqual({ made, isCurrent: false });
      expect((await project.run(['status', '--due'])).stderr).not.toMatch(note);
      succeed(backup(`b${index}.gpg`));
      expect(await said(project)).not.toMatch(note);
    }
    succeed(await project.run(['clean', '--yes']));
    expect(existsSync(project.path('certs'))).toBe(false);
  });
});

describe('restore', () => {
  it('refuses a folder that has something in it', async () => {
    await putMade(project);
    succeed(backup());
    other.write('notes', 'mine');
    const refused = restore();
    expectError(refused, 1, /project" is not empty, and nothing is overwritten: "notes"/u, /^relaycerts: hint: mkdir/u);
    expect(readdirSync(other.folder)).toEqual(['notes']);
    const [line = ''] = /mkdir .*/u.exec(refused.stderr) ?? [];
    succeed(other.spawn([], { input: password, under: ['sh', '-c', `${line} --password-fd 0`, 'sh'] }));
    expect(existsSync(other.path('restored/settings.json'))).toBe(true);
  });

  it('accepts a backup that is in the folder', async () => {
    await putMade(project);
    succeed(backup());
    cpSync(project.path('b.gpg'), other.path('b.gpg'));
    succeed(restore(other.path('b.gpg')));
    succeed(await other.run(['make']));
  });

  it('makes the folder of the settings that it is to have', async () => {
    await putMade(project);
    succeed(backup());
    const args = ['--settings', 'new/mail.json', 'restore', project.path('b.gpg'), '--password-fd', '0'];
    const restored = succeed(other.spawn(args, { input: password }));
    expect(restored.stderr).toMatch(/relaycerts --settings \S*new\/mail\.json make\n/u);
    succeed(await other.run(['--settings', 'new/mail.json', 'make']));
    expect(statSync(other.path('new')).mode & 0o7777).toBe(0o700);
  });

  it('refuses a wrong password, and a file that is not a backup', async () => {
    await putMade(project);
    succeed(backup());
    expectError(restore(undefined, 'wrong'), 1, /that is not the password of "[^"]*b\.gpg"/u, /run it again/u);
    const file = other.path('../broken');
    const bytes = readFileSync(project.path('b.gpg'));
    const broken = /is not a backup of relaycerts, or is damaged|is not the password of/u;
    for (const spoilt of [
      bytes.subarray(0, -1),
      bytes.subarray(0, 300),
      Buffer.alloc(0),
      Buffer.from('hello\n'),
      Buffer.alloc(9999, 7),
    ]) {
      writeFileSync(file, spoilt);
      expectError(restore(file), 1, broken, /./u);
    }
    const flipped = Buffer.from(bytes);
    flipped[5000] = (flipped[5000] ?? 0) ^ 1;
    writeFileSync(file, flipped);
    expectError(restore(file), 1, broken, /./u);
    rmSync(file);
    expectError(restore(file), 1, /there is no file/u, /./u);
    expectError(
      await other.run(['restore', project.path('b.gpg')]),
      2,
      /has a password/u,
      /--password-fd 3 3< PASSWORD-FILE/u,
    );
    expectNothing();
  });

  it.each([
    [passphraseName, /passphrase\.gpg" exists with other content/u],
    [operatorName, /operator-key\.asc" is not an armored OpenPGP private key/u],
  ])('leaves another %s unchanged, and restores nothing', async (name, message) => {
    await putMade(project);
    succeed(backup());
    const found = join(other.home, name);
    mkdirSync(dirname(found), { recursive: true, mode: 0o700 });
    writeFileSync(found, 'of another project', { mode: 0o600 });
    const refused = restore();
    expectError(refused, 1, message, /: mv \S+ \S+\.other$/u);
    expect(readFileSync(found, 'utf8')).toBe('of another project');
    expect(readdirSync(other.folder)).toEqual(['.relaycerts.lock']);
    const [line = ''] = /mv \S+ \S+/u.exec(refused.stderr) ?? [];
    execFileSync('sh', ['-c', line]);
    succeed(restore());
  });

  it('leaves another operator key unchanged, and it opens the passphrase', async () => {
    await putMade(project);
    succeed(backup());
    other.settings(smallSettings({ domain: 'example.net' }));
    succeed(await other.run(['make', '--quiet']));
    const own = readFileSync(join(other.home, operatorName));
    mkdirSync(other.path('second'));
    const args = ['--settings', 'second/settings.json', 'restore', project.path('b.gpg'), '--password-fd', '0'];
    const restored = succeed(other.spawn(args, { input: password }));
    expect(restored.stderr).toContain('operator-key.asc stays, and opens the passphrase file from now on');
    expect(readFileSync(join(other.home, operatorName))).toEqual(own);
    succeed(await other.run(['--settings', 'second/settings.json', 'renew', '--force']));
    succeed(await other.run(['renew', '--force']));
  });

  it('reports where a passphrase file cannot be put', async () => {
    project.settings(smallSettings({ passphrase: { file: join(project.home, 'sealed.gpg') } }));
    succeed(await project.run(['make', '--quiet']));
    succeed(backup());
    renameSync(join(project.home, 'sealed.gpg'), join(project.home, 'moved.gpg'));
    chmodSync(project.home, 0o700);
    for (const path of [other.folder, other.home]) chownSync(path, 4711, 4711);
    cpSync(project.path('b.gpg'), other.path('b.gpg'));
    chownSync(other.path('b.gpg'), 4711, 4711);
    const refused = other.spawn(['restore', 'b.gpg', '--password-fd', '0'], {
      input: password,
      under: ['setpriv', '--reuid=4711', '--regid=4711', '--clear-groups'],
      env: { XDG_CACHE_HOME: join(other.home, 'cache') },
    });
    expectError(
      refused,
      1,
      /have the passphrase file at "[^"]*home\/sealed\.gpg", where this user/u,
      /passphrase\.file/u,
    );
    expect(readdirSync(other.folder)).toEqual(['b.gpg']);
  });
});

const named = (name: string, mode: TarFile['mode'] = 0o600, bytes: string | Buffer = 'x'): TarFile => ({
  name,
  bytes: Buffer.from(bytes),
  mode,
});

describe('a hostile backup', () => {
  const text = JSON.stringify(smallSettings());
  const settings: TarFile = { name: 'project/settings.json', bytes: Buffer.from(text), mode: 0o644 };
  it('restores nothing', async () => {
    await putMade(project);
    succeed(backup());
    const good = readTar(decrypt(project.path('b.gpg')));
    if ('flaw' in good) throw new Error(good.flaw);
    const without = (name: string): readonly TarFile[] => good.filter((file) => file.name !== name);
    const cases: readonly (readonly [readonly TarFile[], RegExp])[] = [
      [[], /it has no settings/u],
      [without('project/settings.json'), /it has no settings/u],
      [[...good, named('project/Makefile')], /it has project\/Makefile, which no backup has/u],
      [[...good, named('etc/cron.d/x')], /it has etc\/cron\.d\/x, which no backup has/u],
      [[...good, named('project/hosts/a.example.org/x')], /which no backup has/u],
      [[...good, named('passphrase.gpg.old1')], /which no backup has/u],
      [[...good, named('project/certs/ca')], /project\/certs\/ca in it is a file and a folder/u],
      [[...good, named('project/certs/ca/x.key.pem', 0o644)], /x\.key\.pem in it is open to others/u],
      [[...without('passphrase.gpg'), named('passphrase.gpg', 0o644)], /passphrase\.gpg in it is open to others/u],
      [[...without('passphrase.gpg'), named('passphrase.gpg', 0o600, 'ssh-ed25519 AAAA attacker\n')], /plain text/u],
      [[...without('operator-key.asc'), named('operator-key.asc')], /does not open its passphrase file/u],
      [[...good, named('passphrase.gpg.old', 0o600, '* * * * * root sh\n')], /plain text/u],
      [[{ ...settings, bytes: Buffer.from('{"domain": "../x"}') }], /domain: not a host name/u],
      [[{ ...settings, bytes: Buffer.from(text.replace('{', '{"smtpClients":{"file":"/etc/passwd"},')) }], /./u],
    ];
    const file = other.path('../hostile');
    for (const [files, message] of cases) {
      writeFileSync(file, await sealBytes(writeTar(files, new Date()), new Secret(password), new Date()));
      const refused = restore(file);
      expect([refused.status, refused.stdout, refused.stderr]).toEqual([
        expect.toSatisfy((status) => status === 1 || status === 2),
        '',
        expect.stringMatching(message),
      ]);
      expect(refused.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
      expectNothing();
    }
    // Unchanged, it is accepted: each case failed only because of its change.
    writeFileSync(file, await sealBytes(writeTar(good, new Date()), new Secret(password), new Date()));
    succeed(restore(file));
  });
});
