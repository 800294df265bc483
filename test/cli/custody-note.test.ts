// A note records that the CA's passphrase was opened, so that unchanged files are not opened again. The note belongs to
// this user, and is believed only for exactly these files; if anything is wrong with it, they are opened.

import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSettings } from '../../src/settings/load.js';
import { custodyProofOf } from '../../src/store/proven.js';
import { readInventory } from '../../src/store/read.js';
import { processSys } from '../../src/sys/process-sys.js';
import { certificatesOf } from '../support/answer.js';
import { putMade } from '../support/made-project.js';
import { makeProject, type Project, type Result } from '../support/project.js';

let project: Project;
let cache: string;
beforeEach(async () => {
  project = makeProject();
  cache = join(project.home, 'cache');
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args, { env: { XDG_CACHE_HOME: cache } });
const folder = (): string => join(cache, 'relaycerts');
const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
const operatorKey = (): string => join(project.home, '.config/relaycerts/operator-key.asc');
const caKey = (): string => project.path('certs/ca/example.org-ca.key.pem');

/** What status reports about the passphrase. */
async function judge(...args: readonly string[]): Promise<string | undefined> {
  const rows = certificatesOf<Record<'role' | 'state', string>>(await run('status', '--json', ...args));
  return rows.find(({ role }) => role === 'passphrase')?.state;
}

/** The only note, dated back so that a rewrite is noticed. */
async function makeNote(): Promise<string> {
  expect(await judge()).toBe('ok');
  const [name = '', ...others] = readdirSync(folder());
  expect(others).toEqual([]);
  const path = join(folder(), name);
  utimesSync(path, 1, 1);
  return path;
}

/** The digest of the files as they are now, whatever they are. */
async function digestNow(): Promise<string> {
  const words = { program: 'relaycerts', command: 'relaycerts', typed: [] };
  const { stdin, stdout, stderr } = process;
  const sys = processSys(
    { quiet: true, verbose: false, color: false, wait: 0, ...words },
    { env: { HOME: project.home }, stdin, stdout, stderr, cwd: () => project.folder },
  );
  const settings = await readSettings(project.path('settings.json'), sys);
  return custodyProofOf(await readInventory(settings, sys))?.digest ?? '';
}

const isOld = (note: string): boolean => lstatSync(note).mtimeMs === 1000;

/** Moves a project's file away, and puts another one in its place. */
async function swap(path: () => string): Promise<void> {
  const other = makeProject();
  const own = project;
  try {
    expect(await other.run(['make'])).toMatchObject({ status: 0 });
    const mine = path();
    project = other;
    const theirs = path();
    project = own;
    renameSync(mine, `${mine}.mine`);
    copyFileSync(theirs, mine);
    chmodSync(mine, 0o600);
  } finally {
    project = own;
    other.remove();
  }
}

describe('a note', () => {
  it('is a digest, and closed to others', async () => {
    const note = await makeNote();
    expect(readFileSync(note, 'utf8')).toMatch(/^[0-9a-f]{64}$/u);
    expect([note, folder()].map((path) => lstatSync(path).mode & 0o777)).toEqual([0o600, 0o700]);
  });

  it('is believed by status and make while nothing has changed', async () => {
    const note = await makeNote();
    expect(await judge()).toBe('ok');
    expect(await run('make')).toMatchObject({ status: 0 });
    expect(await run('make', '--check')).toMatchObject({ status: 0 });
    expect(isOld(note)).toBe(true);
  });

  it('is made by the make that makes the operator key', async () => {
    const fresh = makeProject();
    const env = { XDG_CACHE_HOME: join(fresh.home, 'cache') };
    expect((await fresh.run(['make'], { env })).status).toBe(0);
    const [name = '', ...others] = readdirSync(join(fresh.home, 'cache/relaycerts'));
    expect(others).toEqual([]);
    const path = join(fresh.home, 'cache/relaycerts', name);
    utimesSync(path, 1, 1);
    await fresh.run(['status'], { env });
    expect(lstatSync(path).mtimeMs).toBe(1000);
    fresh.remove();
  });
  it('is not asked by status --open, which opens the file', async () => {
    const note = await makeNote();
    const whole = readFileSync(sealedFile());
    writeFileSync(sealedFile(), whole.fill(0, whole.length - 20));
    // Only this user can make such a note.
    writeFileSync(note, await digestNow());
    expect(await judge()).toBe('ok');
    expect(await judge('--open')).toBe('unopenable');
  });

  it.each([
    ['passphrase file', sealedFile, 'is another key'],
    ['operator key', operatorKey, 'is another key'],
    ['CA key', caKey, "does not open the CA's key"],
  ])('is of no use to another %s', async (_, path, words) => {
    const note = await makeNote();
    await swap(path);
    expect((await run('status')).stderr).toMatch(new RegExp(words, 'u'));
    expect(await judge()).toBe('unopenable');
    expect(await run('make')).toMatchObject({ status: 3 });
    expect(isOld(note)).toBe(true);
    renameSync(`${path()}.mine`, path());
    expect(await judge()).toBe('ok');
  });

  it('is of no use after a passphrase change, whose file is opened once', async () => {
    const note = await makeNote();
    expect(await run('passphrase', 'change')).toMatchObject({ status: 0 });
    expect(await judge()).toBe('ok');
    expect(isOld(note)).toBe(false);
  });

  it('is not made of what cannot be opened', async () => {
    rmSync(operatorKey());
    expect(await judge()).toBe('unopenable');
    expect(existsSync(folder()) ? readdirSync(folder()) : []).toEqual([]);
  });
});

describe('a note is written again', () => {
  it.each<[string, (note: string) => void]>([
    ['if it says something else', (note) => writeFileSync(note, '0'.repeat(64))],
    ['if it is cut off', (note) => writeFileSync(note, '')],
    ['if it is longer', (note) => writeFileSync(note, `${readFileSync(note, 'utf8')}\n`)],
    ['if others can read it', (note) => chmodSync(note, 0o644)],
    ["if it is another user's", (note) => chownSync(note, 12_345, 12_345)],
    [
      'if it is a link',
      (note) => {
        renameSync(note, `${note}.there`);
        symlinkSync(`${note}.there`, note);
      },
    ],
  ])('%s', async (_, bend) => {
    const note = await makeNote();
    bend(note);
    utimesSync(dirname(note), 1, 1);
    expect(await judge()).toBe('ok');
    expect(lstatSync(dirname(note)).mtimeMs).not.toBe(1000);
    expect(lstatSync(note)).toMatchObject({ uid: process.geteuid?.() });
    expect(lstatSync(note).isFile()).toBe(true);
  });
});

describe('no note is read or written', () => {
  it.each<[string, () => void]>([
    ['in a folder that others can enter', () => chmodSync(folder(), 0o755)],
    ['in a folder of another user', () => chownSync(folder(), 12_345, 12_345)],
  ])('%s', async (_, bend) => {
    const note = await makeNote();
    const mine = sealedFile();
    writeFileSync(mine, readFileSync(mine).fill(0, 100));
    writeFileSync(note, await digestNow());
    utimesSync(note, 1, 1);
    bend();
    expect(await judge()).toBe('unopenable');
    expect(isOld(note)).toBe(true);
  });

  it('if there cannot be a folder', async () => {
    writeFileSync(cache, '');
    expect(await judge()).toBe('ok');
    expect(await run('make')).toMatchObject({ status: 0 });
  });

  it('in the home of another user', async () => {
    chownSync(project.home, 12_345, 12_345);
    expect(await judge()).toBe('ok');
    expect(existsSync(cache)).toBe(false);
    mkdirSync(cache);
    expect(await judge()).toBe('ok');
    expect(readdirSync(cache)).toEqual([]);
  });
});
