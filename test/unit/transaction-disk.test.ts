// A change on this machine's disk, and what the calls to it refuse. FAT is not tested: the kernels of build machines
// often lack it.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commitChange, stageChange, type Change } from '../../src/store/transaction.js';
import { realDisk } from '../../src/sys/disk.js';
import { requireTools } from '../support/require-tools.js';

let folder: string;
let umask: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-disk-'));
  umask = process.umask();
});
afterEach(() => {
  process.umask(umask);
  rmSync(folder, { recursive: true });
});

const at = (name: string): string => join(folder, name);
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const file = (path: string, mode: 0o600 | 0o644): Change['writes'][number] => ({
  path,
  bytes: Buffer.from(path),
  mode,
  folderMode: 0o700,
  isNew: true,
});
const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: unknown) => (error as NodeJS.ErrnoException).code,
  );

describe('a change on a real disk', () => {
  it.each([0o022, 0o077, 0o277])('has its content and its modes under umask %o', async (mask) => {
    process.umask(mask);
    const project = at('project');
    mkdirSync(project);
    chmodSync(project, 0o755);
    const writes = [
      file(join(project, 'hosts/a/key'), 0o600),
      file(join(project, 'hosts/a/crt'), 0o644),
      file(at('x/key'), 0o600),
    ];
    const change = {
      writes,
      appends: [{ path: join(project, 'log'), text: 'a\n', mode: 0o644 }],
      removes: [],
      empties: [],
    } as const;
    await stageChange(realDisk(), project, change);
    await commitChange(realDisk(), project);
    for (const { path, mode } of writes) {
      expect([readFileSync(path, 'utf8'), modeOf(path)]).toEqual([path, mode.toString(8)]);
    }
    expect([readFileSync(join(project, 'log'), 'utf8'), modeOf(join(project, 'log'))]).toEqual(['a\n', '644']);
    expect(
      readdirSync(project, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('.relaycerts')),
    ).toEqual([]);
  });

  it('passes a mount below the project', async () => {
    requireTools('unshare', 'mount');
    const script = `
      import { stageChange, commitChange } from './src/store/transaction.js';
      import { realDisk } from './src/sys/disk.js';
      import { lstatSync, readFileSync, readdirSync } from 'node:fs';
      const [project] = process.argv.slice(2);
      const path = project + '/hosts/key';
      const write = { path, bytes: Buffer.from('a key'), mode: 0o600, folderMode: 0o700, isNew: true };
      await stageChange(realDisk(), project, { writes: [write], appends: [], removes: [], empties: [] });
      await commitChange(realDisk(), project);
      const isMount = lstatSync(project + '/hosts').dev !== lstatSync(project).dev;
      console.log(JSON.stringify([isMount, readFileSync(path, 'utf8'), (lstatSync(path).mode & 0o777).toString(8), readdirSync(project), readdirSync(project + '/hosts')]));`;
    await build({
      stdin: { contents: script, resolveDir: resolve(import.meta.dirname, '../..'), loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: at('change.mjs'),
    });
    mkdirSync(at('project/hosts'), { recursive: true });
    const inside = 'mount -t tmpfs tmpfs "$1/hosts" && exec node "$2" "$1"';
    const printed = execFileSync(
      'unshare',
      ['--user', '--map-root-user', '--mount', 'sh', '-c', inside, 'sh', at('project'), at('change.mjs')],
      { encoding: 'utf8' },
    );
    expect(JSON.parse(printed)).toEqual([true, 'a key', '600', ['hosts'], ['key']]);
  });
});

describe('a call to the disk', () => {
  it('follows no link to what it reads or writes', async () => {
    writeFileSync(at('file'), 'as it was');
    symlinkSync(at('file'), at('link'));
    const disk = realDisk();
    expect(await codeOf(disk.read(at('link')))).toBe('ELOOP');
    expect(await codeOf(disk.readEnd(at('link'), 0))).toBe('ELOOP');
    expect(await codeOf(disk.create(at('link'), Buffer.from('x'), 0o600))).toBe('EEXIST');
    expect(await codeOf(disk.writeAt(at('link'), 0, Buffer.from('x'), 0o644))).toBe('ELOOP');
    expect(readFileSync(at('file'), 'utf8')).toBe('as it was');
  });

  it('syncs a folder through a link, and skips what is missing', async () => {
    mkdirSync(at('home'));
    symlinkSync(at('home'), at('link'));
    await realDisk().sync([at('link'), at('missing'), at('home/missing/too')]);
  });

  it('cuts a file at the offset that it writes to', async () => {
    await realDisk().writeAt(at('log'), 0, Buffer.from('one\ntwo\nthree\n'), 0o644);
    await realDisk().writeAt(at('log'), 4, Buffer.from('2\n'), 0o644);
    expect(readFileSync(at('log'), 'utf8')).toBe('one\n2\n');
  });

  it('reads the end of a file, with the size of the whole', async () => {
    writeFileSync(at('log'), 'one\ntwo\n');
    writeFileSync(at('empty'), '');
    const disk = realDisk();
    const readEnd = async (name: string, start: number): Promise<unknown> => {
      const end = await disk.readEnd(at(name), start);
      return end && [end.bytes.toString(), end.size];
    };
    expect(await readEnd('log', 4)).toEqual(['two\n', 8]);
    expect(await readEnd('log', -1)).toEqual(['\n', 8]);
    expect(await readEnd('log', -99)).toEqual(['one\ntwo\n', 8]);
    expect(await readEnd('log', 9)).toEqual(['', 8]);
    expect(await readEnd('empty', -1)).toEqual(['', 0]);
    expect(await readEnd('missing', -1)).toBeUndefined();
  });

  it('leaves a folder that is not empty, and makes none twice', async () => {
    const disk = realDisk();
    await disk.mkdir(at('folder'), 0o700);
    await disk.mkdir(at('folder'), 0o755);
    writeFileSync(at('folder/file'), '');
    await disk.rmdir(at('folder'));
    await disk.rmdir(at('missing'));
    await disk.unlink(at('missing'));
    expect([await disk.list(at('folder')), await disk.list(at('missing')), modeOf(at('folder'))]).toEqual([
      ['file'],
      [],
      '700',
    ]);
    expect(await codeOf(disk.read(at('folder')))).toBe('EISDIR');
    expect(await codeOf(disk.mkdir(at('folder/file'), 0o700))).toBe('EEXIST');
  });
});
