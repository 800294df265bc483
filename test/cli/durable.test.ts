// What a command has done when it ends outlasts a power failure: every file is synced before it gets its name, every name
// before the process ends. The crash sweeps kill the process, which loses nothing that the kernel knows; this is the rest.

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { durabilityEnvironment, durabilityOptions, judgeDurability, pathsBelow } from '../support/durability.js';
import { copyOf } from '../support/faults.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const clients = (...hostnames: readonly string[]) =>
  smallSettings({ smtpClients: hostnames.map((hostname) => ({ hostname })) });

let made: Project;
beforeAll(() => {
  requireTools('strace');
  made = makeProject(clients('mailhost', 'second'));
  succeed(made.run(['make']));
});
afterAll(() => {
  made.remove();
});

interface Command {
  readonly what: string;
  readonly args: readonly string[];
  /** Brings a copy of the made project to where the command has its work to do. */
  readonly prepare?: (project: Project) => void;
  /** Instead of the made project: an empty folder, with these settings or none. */
  readonly anew?: { readonly settings: unknown };
  /** At least so many names are made, and so many removed: else the trace was not read. */
  readonly named: number;
  readonly removed: number;
}

const run =
  (...args: readonly string[]) =>
  (project: Project): void => {
    succeed(project.run(args));
  };

const commands: readonly Command[] = [
  { what: 'make', args: ['make'], anew: { settings: clients('mailhost', 'second') }, named: 15, removed: 0 },
  {
    what: 'make, of one client more',
    args: ['make'],
    prepare: (project) => project.settings(clients('mailhost', 'second', 'third')),
    named: 5,
    removed: 0,
  },
  { what: 'renew', args: ['renew', '--force'], named: 6, removed: 0 },
  { what: 'renew --rekey', args: ['renew', '--rekey', 'mailhost'], named: 6, removed: 0 },
  { what: 'retire', args: ['retire'], prepare: run('renew', '--rekey', 'mailhost'), named: 2, removed: 0 },
  { what: 'revoke', args: ['revoke', 'mailhost'], named: 2, removed: 4 },
  { what: 'passphrase change', args: ['passphrase', 'change'], named: 4, removed: 1 },
  { what: 'renew --ca', args: ['renew', '--ca'], named: 4, removed: 0 },
  { what: 'renew --ca --rekey', args: ['renew', '--ca', '--rekey'], named: 4, removed: 0 },
  { what: 'clean', args: ['clean', '--yes'], named: 0, removed: 20 },
  {
    what: 'clean --all',
    args: ['clean', '--yes', '--all'],
    prepare: run('passphrase', 'change'),
    named: 1,
    removed: 22,
  },
];

describe('what it did is durable when it ends', () => {
  it.each(commands)('$what', async ({ args, prepare, anew, named, removed }) => {
    const project = anew === undefined ? await copyOf(made) : makeProject(anew.settings);
    try {
      prepare?.(project);
      const root = dirname(project.folder);
      const existing = pathsBelow(root);
      const trace = join(root, 'trace');
      succeed(project.run(args, { env: durabilityEnvironment, under: ['strace', ...durabilityOptions, '-o', trace] }));
      const verdict = judgeDurability(readFileSync(trace, 'utf8'), { root, cwd: project.folder, existing });
      expect(verdict.faults).toEqual([]);
      expect(verdict.named).toBeGreaterThanOrEqual(named);
      expect(verdict.removed).toBeGreaterThanOrEqual(removed);
    } finally {
      project.remove();
    }
  });
});

const judge = (...parts: readonly (readonly string[])[]): readonly string[] =>
  judgeDurability(parts.flat().join('\n'), { root: '/p', cwd: '/p', existing: new Set(['/p/old', '/p/f']) }).faults;
const faulty = (...texts: readonly string[]): readonly unknown[] =>
  texts.map((text) => expect.stringContaining(text) as unknown);

describe('the judge of traces', () => {
  const temporary = '/p/.a.relaycerts-7-0a1b.tmp';
  const create = [`7 openat(AT_FDCWD</p>, "${temporary}", O_WRONLY|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 17<${temporary}>`];
  const write = [`7 write(17<${temporary}>, "x", 1) = 1`];
  const sync = [`7 fsync(17<${temporary}>) = 0`];
  const rename = [`7 rename("${temporary}", "/p/a") = 0`];
  const link = [`7 link("${temporary}", "/p/a") = 0`, `7 unlink("${temporary}") = 0`];
  const folder = ['7 fsync(17</p>) = 0'];
  const built = '/p/.b.relaycerts-7-0a1b.tmp';
  const buildIn = [`7 mkdir("${built}", 0700) = 0`, `7 rename("${temporary}", "${built}/a") = 0`];
  const place = [`7 rename("${built}", "/p/b") = 0`];

  it.each<readonly [string, readonly (readonly string[])[]]>([
    ['a file written aside, synced, renamed, its folder synced', [create, write, sync, rename, folder]],
    ['the same linked', [create, write, sync, link, folder]],
    ['a temporary file that is left', [create, write]],
    ['the lock', [create, write, sync, [`7 link("${temporary}", "/p/.relaycerts.lock") = 0`]]],
    ['a call that failed', [['7 unlink("/p/old") = -1 ENOENT (No such file or directory)']]],
    ['what is elsewhere', [['7 unlink("/q/old") = 0'], ['7 write(1<pipe:[7]>, "x", 1) = 1']]],
    ['what goes with its folder', [['7 unlink("/p/f/x") = 0'], ['7 rmdir("/p/f") = 0'], folder]],
    ['a folder built aside', [create, write, sync, buildIn, [`7 fsync(17<${built}>) = 0`], place, folder]],
    [
      'a call cut in two',
      [['7 unlink("/p/old" <unfinished ...>', '8 close(3) = 0', '7 <... unlink resumed>) = 0'], folder],
    ],
  ])('lets pass: %s', (_, parts) => {
    expect(judge(...parts)).toEqual([]);
  });

  it.each<readonly [string, readonly (readonly string[])[], readonly string[]]>([
    ['renamed before it is synced', [create, write, rename, folder], ['was not synced before', '/p/a is not synced']],
    ['linked before it is synced', [create, write, link, folder], ['was not synced before', '/p/a is not synced']],
    ['written after it was synced', [create, sync, write, rename, folder], ['was not synced before', '/p/a is not']],
    [
      'its mode changed after',
      [create, sync, [`7 fchmod(17<${temporary}>, 0644) = 0`], rename, folder],
      ['was not', '/p/a'],
    ],
    ['the folder of a rename not synced', [create, write, sync, rename], ['the folder /p is not synced at the end']],
    ['synced too early', [create, write, sync, folder, rename], ['the folder /p is not synced at the end']],
    ['a removal', [['7 unlink("/p/old") = 0']], ['unlink("/p/old"): the folder /p is not synced at the end']],
    ['a removal in a folder that stays', [['7 unlink("/p/f/x") = 0'], folder], ['the folder /p/f is not synced']],
    ['a new folder', [['7 mkdir("/p/g", 0755) = 0']], ['mkdir("/p/g", 0755): the folder /p is not synced']],
    [
      'moved to another folder',
      [['7 rename("/p/old", "/p/f/old") = 0'], ['7 fsync(9</p/f>) = 0']],
      ['the folder /p is not'],
    ],
    [
      'a folder put into its place unsynced',
      [create, write, sync, buildIn, place, folder],
      ['was not synced before', '/p/b'],
    ],
    ['appended to', [['7 write(17</p/old>, "x", 1) = 1']], ['/p/old is not synced at the end']],
    ['relative names', [['7 unlink("old") = 0']], ['the folder /p is not synced at the end']],
  ])('finds: %s', (_, parts, texts) => {
    expect(judge(...parts)).toEqual(faulty(...texts));
  });

  it('does not judge what it does not know', () => {
    expect(() => judge([['7 symlink("/p/x", "/p/y") = 0']].flat())).toThrow('no rule for symlink');
  });
});
