// V8's compiled code is kept in the user's own cache folder. Because it is code, nothing that anybody else could have
// put there is ever used; and the program runs whatever is wrong with the folder.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { program } from '../support/project.js';

let root: string;
let home: string;
let cache: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'relaycerts-code-'));
  home = join(root, 'home');
  mkdirSync(home);
  cache = join(home, '.cache/relaycerts');
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

/** Runs `--version`, and returns the modification time of each file of the cache, by name. */
function run(env: Readonly<Record<string, string>> = {}): ReadonlyMap<string, number> {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, '--version'], {
    env: { HOME: home, ...env },
    encoding: 'utf8',
  });
  expect([status, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  return filesIn(cache);
}

function filesIn(folder: string): ReadonlyMap<string, number> {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return new Map(names.map((name) => [name, statSync(join(folder, name), { bigint: false }).mtimeMs]));
}

/** The only file that `--version` leaves, dated back so that a rewrite is noticed. */
function onlyFile(): string {
  const [name, ...others] = run().keys();
  expect(others).toEqual([]);
  const path = join(cache, name ?? '');
  utimesSync(path, 1, 1);
  return path;
}

it('is written once, for its user only, and used by the next run', () => {
  const file = onlyFile();
  expect([statSync(cache).mode & 0o777, statSync(file).mode & 0o777]).toEqual([0o700, 0o600]);
  expect([...run().values()]).toEqual([1000]);
});

it('is also used if a fleet wrote it, under V8 flags of its own (sys/heap.ts)', () => {
  const names = Array.from({ length: 5000 }, (_, index) => `client${index}`);
  writeFileSync(join(root, 'c.csv'), ['hostname', ...names, ''].join('\n'));
  const settings = { domain: 'example.org', smtpdServers: [{ hostname: 'relay' }], smtpClients: { file: 'c.csv' } };
  writeFileSync(join(root, 'settings.json'), JSON.stringify(settings));
  const plan = (): number | null =>
    spawnSync(process.execPath, [program, 'make', '--check'], { cwd: root, env: { HOME: home } }).status;
  expect(plan()).toBe(3);
  const files = [...filesIn(cache).keys()].map((name) => join(cache, name));
  expect(files.length).toBeGreaterThan(1);
  for (const file of files) utimesSync(file, 1, 1);
  expect(plan()).toBe(3);
  expect([...new Set(filesIn(cache).values())]).toEqual([1000]);
});

it.each([
  ['a file that others can write', (file: string) => chmodSync(file, 0o666)],
  ['a file of another user', (file: string) => chownSync(file, 54_321, 54_321)],
  [
    'a file that is a link',
    (file: string) => {
      renameSync(file, join(root, 'moved'));
      symlinkSync(join(root, 'moved'), file);
    },
  ],
  ['a file that is cut', (file: string) => writeFileSync(file, readFileSync(file).subarray(0, -100))],
  ['a file of zeros', (file: string) => writeFileSync(file, Buffer.alloc(readFileSync(file).length))],
  ['an empty file', (file: string) => writeFileSync(file, '')],
])('%s is not used, and made again', (_what, spoil) => {
  const file = onlyFile();
  spoil(file);
  const before = statSync(file).mtimeMs;
  expect([...run().values()][0]).not.toBe(1000);
  expect(statSync(file).mtimeMs).toBeGreaterThan(before === 1000 ? 1000 : 0);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(statSync(file).uid).toBe(process.geteuid?.());
});

it.each([
  ['that others can enter', () => chmodSync(cache, 0o755)],
  ['of another user', () => chownSync(cache, 54_321, 54_321)],
  [
    'that is a link',
    () => {
      renameSync(cache, join(root, 'moved'));
      symlinkSync(join(root, 'moved'), cache);
    },
  ],
])('a folder %s is neither read nor written', (_what, spoil) => {
  const file = onlyFile();
  spoil();
  rmSync(file);
  expect([...run().keys()]).toEqual([]);
});

it.each([
  ['in the home of another user (sudo)', () => chownSync(home, 54_321, 54_321)],
  ['below a file', () => writeFileSync(join(home, '.cache'), '')],
])('nothing is made %s', (_what, prepare) => {
  prepare();
  run();
  expect(readdirSync(home).filter((name) => statSync(join(home, name)).isDirectory())).toEqual([]);
});

it.each([
  ['without a HOME', { HOME: '' }],
  ['if Node is told to keep none', { NODE_DISABLE_COMPILE_CACHE: '1' }],
])('nothing is made %s', (_what, env) => {
  expect([...run(env).keys()]).toEqual([]);
});

it('is under XDG_CACHE_HOME, if that is set', () => {
  const other = join(root, 'other');
  mkdirSync(other);
  run({ XDG_CACHE_HOME: other });
  expect(readdirSync(home)).toEqual([]);
  expect(readdirSync(other)).toEqual(['relaycerts']);
});

it('files of other versions are removed after a month', () => {
  const file = onlyFile();
  rmSync(file);
  const [old, young] = [join(cache, 'old'), join(cache, 'young')];
  writeFileSync(old, '');
  writeFileSync(young, '');
  const month = Date.now() / 1000 - 31 * 86_400;
  utimesSync(old, month, month);
  run();
  expect([existsSync(old), existsSync(young), existsSync(file)]).toEqual([false, true, true]);
});
