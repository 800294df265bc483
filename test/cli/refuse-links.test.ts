// A symbolic link, or another kind of file, in place of a file or folder of ours: it is not followed, its target is not
// touched, and the hint fixes it. What a user may keep elsewhere may be a link.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { errorsOf, expectFixed, hintOf, home, passphraseFile, relay, stateOf } from '../support/refusals.js';

let project: Project;
let root: string;
beforeEach(() => {
  project = makeProject();
  root = dirname(project.folder);
});
afterEach(() => {
  project.remove();
});

const folders = [
  'certs',
  'certs/ca',
  'certs/smtp-client',
  'certs/smtpd-server',
  'certs/retired',
  'certs/revoked',
  'hosts',
  `hosts/${home}`,
];
const files = [
  'certs/ca/example.org-ca.key.pem',
  'certs/ca/example.org-ca.crt.pem',
  'certs/ca/issued.jsonl',
  `certs/smtp-client/${home}.key.pem`,
  `certs/smtp-client/${home}.crt.pem`,
  `certs/smtpd-server/${relay}.key.pem`,
  `certs/smtpd-server/${relay}.crt.pem`,
  `hosts/${relay}/example.org-ca.crt.pem`,
  `hosts/${relay}/${relay}.crt.pem`,
  `hosts/${relay}/${relay}.key.pem`,
  `hosts/${relay}/${relay}.chain.pem`,
  `hosts/${relay}/relay_clientcerts`,
  '../home/.config/relaycerts/operator-key.asc',
];
/** What a project has only during a change. */
const passing = [
  'certs/installed.json',
  'certs/ca/example.org-ca.new.crt.pem',
  'certs/ca/example.org-ca.old.crt.pem',
  `certs/smtp-client/${home}.old.crt.pem`,
  `certs/smtp-client/${home}.csr.pem`,
  `certs/revoked/${home}-0123456789.key.pem`,
];
const isALink = /it is a symbolic link|is a symbolic link, which is not followed/u;
const lock = (): string => project.path('.relaycerts.lock');

describe('a symbolic link in place of', () => {
  it.each([...folders, ...files])('%s: refused, and the hint fixes it', async (name) => {
    await putMade(project);
    for (const folder of ['certs/retired', 'certs/revoked']) mkdirSync(project.path(folder));
    renameSync(project.path(name), join(root, 'moved'));
    symlinkSync(join(root, 'moved'), project.path(name));
    const target = stateOf(root).match(/^\.\/moved.*$/gmu);
    // Commands that only read say so, and continue if there is something to read.
    for (const command of ['status', 'show', 'fingerprint']) {
      const { status, stderr } = await project.run([command]);
      expect([command, status === 1, stderr]).toEqual([command, errorsOf(stderr).length > 0, stderr]);
      if (command === 'status') expect(stderr).toMatch(isALink);
    }
    const fixed = await expectFixed(project, isALink);
    expect(fixed.stderr).toContain('nothing to make');
    expect(stateOf(root).match(/^\.\/moved.*$/gmu)).toEqual(target);
  });

  it.each([...folders, ...files, ...passing, passphraseFile, '.relaycerts.lock'])(
    '%s, dangling: refused before a first make, and the hint fixes it',
    async (name) => {
      mkdirSync(dirname(project.path(name)), { recursive: true });
      symlinkSync('/nowhere/at/all', project.path(name));
      const fixed = await expectFixed(project, name.endsWith('lock') ? /it is not a regular file/u : isALink);
      expect(fixed.stderr).toContain("made the CA's certificate");
      expect(existsSync('/nowhere')).toBe(false);
    },
  );

  it.each(['hosts', `hosts/${home}`, ...files.slice(0, 4)])('%s, that leads to a device: refused', async (name) => {
    mkdirSync(dirname(project.path(name)), { recursive: true });
    symlinkSync('/dev/null', project.path(name));
    const before = stateOf(root);
    const refused = await project.run(['make']);
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(isALink);
    expect(stateOf(root)).toBe(before);
  });

  it('a bundle of a former host: clean does not remove through it', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'gone' }] }));
    await putMade(project);
    project.settings(smallSettings());
    renameSync(project.path('hosts/gone.example.org'), join(root, 'moved'));
    symlinkSync(join(root, 'moved'), project.path('hosts/gone.example.org'));
    const before = stateOf(join(root, 'moved'));
    await expectFixed(project, /hosts\/gone\.example\.org" is a symbolic link/u, () => project.run(['clean', '--yes']));
    expect(stateOf(join(root, 'moved'))).toBe(before);
  });

  it('the settings, the passphrase file or their folders: passes', async () => {
    const real = join(root, 'real');
    mkdirSync(join(real, 'config'), { recursive: true });
    renameSync(project.path('settings.json'), join(real, 'settings.json'));
    symlinkSync(join(real, 'settings.json'), project.path('settings.json'));
    symlinkSync(join(real, 'config'), join(project.home, '.config'));
    symlinkSync(project.folder, join(root, 'shortcut'));
    expect((await project.run(['make'])).status).toBe(0);
    const sealed = project.path(passphraseFile);
    renameSync(sealed, join(real, 'sealed.gpg'));
    symlinkSync(join(real, 'sealed.gpg'), sealed);
    const again = await project.run(['--settings', join(root, 'shortcut/settings.json'), 'make']);
    expect(again.stderr).toMatch(/^relaycerts: nothing to make.*\n$/u);
  });
});

it('a hard link of a key, as backups make it, keeps the old key', async () => {
  await putMade(project);
  const key = project.path(`certs/smtp-client/${home}.key.pem`);
  linkSync(key, join(root, 'backup.pem'));
  const before = readFileSync(key);
  const rekeyed = await project.run(['renew', '--rekey', 'mailhost']);
  expect(rekeyed.status, rekeyed.stderr).toBe(0);
  expect(readFileSync(join(root, 'backup.pem')).equals(before)).toBe(true);
  expect(readFileSync(key).equals(before)).toBe(false);
});

describe('another kind of file in place of', () => {
  it.each<readonly [string, () => void]>([
    ['a FIFO', () => execFileSync('mkfifo', [lock()])],
    ['a folder', () => mkdirSync(lock())],
    ['a link', () => symlinkSync('settings.json', lock())],
  ])('the lock, %s: refused, also for readers, and the hint fixes it', async (_, put) => {
    await putMade(project);
    rmSync(lock());
    put();
    const before = stateOf(root);
    const read = await project.run(['show']);
    expect([read.status, read.stdout]).toEqual([1, '']);
    expect(read.stderr).toMatch(/error: cannot read ".*[.]lock": it is /u);
    expect(stateOf(root)).toBe(before);
    await expectFixed(project, /cannot use the lock ".*[.]lock": it is not a regular file/u);
  });

  it('the lock, a large file: refused, and it stays', async () => {
    await putMade(project);
    writeFileSync(lock(), 'x'.repeat(4097));
    const { status, stderr } = await project.run(['make']);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/[.]lock": it is larger than 4096 octets/u)]);
    expect(readFileSync(lock(), 'utf8')).toBe('x'.repeat(4097));
  });

  it.each([
    ['/dev/null', '/dev/null'],
    ['a folder', '~/folder'],
  ])('the passphrase file, %s: refused, and no command would change it', async (_, file) => {
    mkdirSync(join(project.home, 'folder'));
    chmodSync(join(project.home, 'folder'), 0o777);
    project.settings(smallSettings({ passphrase: { file } }));
    const before = stateOf(root);
    const run = await project.run(['make']);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^relaycerts: error: .*"(?:\/dev\/null|.*\/folder)" is not a regular file/mu);
    expect(run.stderr).toMatch(/^relaycerts: hint: name another file as passphrase\.file in the settings$/mu);
    const read = await project.run(['make', '--dry-run']);
    expect(read.stderr).toMatch(/is not a regular file/u);
    expect(run.stderr + read.stderr).not.toContain('chmod');
    expect(stateOf(root)).toBe(before);
  });

  it.each(['hosts', `hosts/${home}`, 'certs', 'certs/ca', 'certs/smtp-client'])(
    'the folder %s, a file: refused, and the hint puts it aside',
    async (name) => {
      mkdirSync(dirname(project.path(name)), { recursive: true });
      project.write(name, 'mine');
      await expectFixed(project, new RegExp(`/${name}" is not a folder`, 'u'));
      expect(project.read(`${name}.old`)).toBe('mine');
    },
  );

  it.each([files[0] ?? '', files[2] ?? '', files[4] ?? ''])('the file %s, a folder: refused', async (name) => {
    mkdirSync(project.path(name), { recursive: true });
    const before = stateOf(root);
    const refused = await project.run(['make']);
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain(`${name}"`);
    expect(hintOf(refused.stderr)).not.toBe('');
    expect(stateOf(root)).toBe(before);
  });
});
