// Anybody who can write to a folder above ours, or to the settings, can choose where a key goes: nothing is made there,
// and nothing is printed that is piped into a shell. Text to read is printed with a warning.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, program, smallSettings, type Project, type Result } from '../support/project.js';
import { as, expectFixed, giveAll, hintOf, stranger } from '../support/refusals.js';
import { requireTools } from '../support/require-tools.js';

let project: Project;
let root: string;
beforeAll(() => {
  requireTools('setpriv', 'setfacl');
  if (process.geteuid?.() !== 0) throw new Error('these tests give files to other users: run them as root');
});
beforeEach(async () => {
  project = makeProject();
  root = dirname(project.folder);
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

/** Moves a file into another folder, and puts a link in its place. */
function moveTo(folder: string, path: string): void {
  mkdirSync(folder, { recursive: true });
  renameSync(path, join(folder, 'moved'));
  symlinkSync(join(folder, 'moved'), path);
}

const open = (path: string): void => chmodSync(path, 0o777);
const toGroup = (path: string): void => {
  chownSync(path, 0, 8);
  chmodSync(path, 0o775);
};

const places: readonly (readonly [string, () => void])[] = [
  ['a folder above', () => open(root)],
  ["a folder above, a group's", () => toGroup(root)],
  ['settings.json', () => chmodSync(project.path('settings.json'), 0o666)],
  [
    'the folder of what settings.json leads to',
    () => {
      moveTo(join(root, 'other'), project.path('settings.json'));
      open(join(root, 'other'));
    },
  ],
  [
    'a folder above what settings.json leads to',
    () => {
      moveTo(join(root, 'other/inner'), project.path('settings.json'));
      toGroup(join(root, 'other'));
    },
  ],
  ['certs', () => open(project.path('certs'))],
  ['hosts', () => toGroup(project.path('hosts'))],
  ["the operator key's folder", () => open(join(project.home, '.config/relaycerts'))],
  ["a folder above the operator key's", () => toGroup(join(project.home, '.config'))],
  [
    'the folder of what the passphrase file leads to',
    () => {
      moveTo(join(root, 'other'), join(project.home, '.example.org-relaycerts-passphrase.gpg'));
      toGroup(join(root, 'other'));
    },
  ],
];

describe.each(places)('others can write %s', (_, put) => {
  beforeEach(put);

  it.each(['make', 'renew --force', 'show mailhost --section rsync --format sh', 'show relayhost --format sh --undo'])(
    '%s: refused, and the hint fixes it',
    async (words) => {
      const run = (): Promise<Result> => project.run(words.split(' '));
      await expectFixed(project, /can be written by (?:all users|the group mail), who could replace/u, run);
    },
  );
});

describe('what is piped into a shell', () => {
  it.each(['rsync', 'request', 'monitor', 'verify', 'install'])(
    'of the section %s: refused, and the text only warns',
    async (section) => {
      const show = (...format: readonly string[]): Promise<Result> =>
        project.run(['show', 'mailhost', '--section', section, ...format]);
      const right = await Promise.all([show(), show('--json'), show('--format', 'sh')]);
      open(root);
      const read = await Promise.all([show(), show('--json')]);
      expect(read.map(({ status, stdout }) => [status, stdout])).toEqual(
        right.slice(0, 2).map(({ status, stdout }) => [status, stdout]),
      );
      for (const { stderr } of read) expect(stderr).toMatch(/warning: .* can be written by all users/u);
      const fixed = await expectFixed(project, /can be written by all users/u, () => show('--format', 'sh'));
      expect(fixed.stdout).toBe(right[2].stdout);
    },
  );

  it("is not what another user's settings say", async () => {
    giveAll(project, stranger);
    chownSync(project.path('settings.json'), 8, 8);
    const run = (): Result => project.spawn(['show', 'mailhost', '--format', 'sh'], as(stranger));
    await expectFixed(project, /settings\.json" belongs to the user mail, who could change/u, run);
  });

  it("is not what another user's settings say, for root too", async () => {
    chownSync(project.path('settings.json'), 8, 8);
    const run = (): Promise<Result> => project.run(['show', 'mailhost', '--format', 'sh']);
    await expectFixed(project, /settings\.json" belongs to the user mail, who could change/u, run);
  });
});

describe('a folder above', () => {
  it('of a third user: refused, and the hint moves the project', () => {
    giveAll(project, stranger);
    chownSync(root, 8, 8);
    const refused = project.spawn(['make'], as(stranger));
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toMatch(/belongs to the user mail, who could replace all that is below/u);
    const [words = '', command = ''] = hintOf(refused.stderr).split(': ');
    expect(words).toBe('move the project to a folder of your own');
    // Another home of the user, elsewhere.
    const home = join(dirname(root), 'relaycerts-other-home');
    const environment = { PATH: process.env['PATH'] ?? '', HOME: home };
    try {
      expect(spawnSync('cp', ['-a', project.home, home]).status).toBe(0);
      expect(spawnSync('sh', ['-c', command], { env: environment }).status).toBe(0);
      const [setpriv = '', ...under] = as(stranger).under;
      const made = spawnSync(setpriv, [...under, process.execPath, program, 'make'], {
        cwd: join(home, 'project'),
        env: environment,
      });
      expect(made.stderr.toString()).toMatch(/^relaycerts: nothing to make/u);
    } finally {
      spawnSync('rm', ['-rf', home]);
    }
  });

  it('that is sticky passes, as /tmp does', async () => {
    chmodSync(root, 0o1777);
    for (const words of [['make'], ['show', 'mailhost', '--format', 'sh']]) {
      const { status, stderr } = await project.run(words);
      expect([status, stderr]).toEqual([0, stderr.replaceAll(/^.*(?:warning|error).*$/gmu, '')]);
    }
  });

  it('is looked at behind a link, and not the place of the link', async () => {
    const real = join(root, 'open/inner');
    mkdirSync(dirname(real));
    renameSync(project.folder, real);
    symlinkSync(real, project.folder);
    toGroup(dirname(real));
    await expectFixed(project, /open" can be written by the group mail/u);
  });

  it('is looked at for what does not exist yet', async () => {
    project.settings(smallSettings({ domain: 'example.net' }));
    spawnSync('rm', ['-r', project.path('certs'), project.path('hosts'), project.home]);
    mkdirSync(join(root, 'keys'));
    project.settings(smallSettings({ passphrase: { file: join(root, 'keys/new/passphrase.gpg') } }));
    mkdirSync(project.home);
    toGroup(join(root, 'keys'));
    const fixed = await expectFixed(project, /keys" can be written by the group mail/u);
    expect(fixed.stderr).toContain("made the CA's passphrase");
    expect(existsSync(join(root, 'keys/new/passphrase.gpg'))).toBe(true);
  });
});

const setAcl = (...words: readonly string[]): void => {
  const { status, stderr } = spawnSync('setfacl', words);
  expect(status, stderr.toString()).toBe(0);
};

describe('an access control list', () => {
  it.each(['.', 'settings.json', '../home'])(
    'lets another user write %s: refused, and the hint fixes it',
    async (at) => {
      giveAll(project, stranger);
      setAcl('-m', 'u:mail:rwX', project.path(at));
      // What is left behind keeps the entry, without its effect.
      const run = (): Result => project.spawn(['make'], as(stranger));
      const fixed = await expectFixed(project, /can be written by others, by an access control list, who could/u, run);
      expect(fixed.stderr).toContain('nothing to make');
    },
  );

  it('that lets another user only read passes', () => {
    giveAll(project, stranger);
    setAcl('-m', 'u:mail:rX', project.folder);
    expect(project.spawn(['make'], as(stranger)).stderr).toMatch(/^relaycerts: nothing to make.*\n$/u);
  });

  it('that new files inherit opens no key', async () => {
    setAcl('-R', '-m', 'd:u:mail:rwX', project.folder);
    const renewed = await project.run(['renew', '--rekey', 'mailhost']);
    expect(renewed.status, renewed.stderr).toBe(0);
    const key = project.path('certs/smtp-client/mailhost.example.org.key.pem');
    const read = spawnSync('setpriv', ['--reuid=8', '--regid=8', '--clear-groups', 'cat', key]);
    expect([read.status, read.stdout.toString()]).toEqual([1, '']);
  });
});
