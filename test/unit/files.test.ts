// Single files on a real disk: what is read, what is refused, and that a file is replaced or made completely or not at
// all.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { renderHint } from '../../src/errors.js';
import { fileError } from '../../src/sys/file-error.js';
import { listFolder, lookAt, readFile, readNamedFile, replaceFile, writeNewFile } from '../../src/sys/files.js';
import { refusalOf, rejectionOf } from '../support/refusal.js';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-files-'));
  path = join(folder, 'file');
});
afterEach(() => {
  chmodSync(folder, 0o700);
  rmSync(folder, { recursive: true });
});

const modeOf = (): number => statSync(path).mode & 0o7777;

describe('reading', () => {
  it('gives the bytes, up to the limit', () => {
    writeFileSync(path, 'abcd');
    expect(readFile(path, { limit: 4 })?.toString()).toBe('abcd');
    expect(refusalOf(() => readFile(path, { limit: 3 })).message).toContain('it is larger than 3 octets');
  });

  it('gives nothing if there is nothing', async () => {
    writeFileSync(path, '');
    expect(readFile(join(folder, 'none'))).toBeUndefined();
    expect(readFile(join(path, 'below a file'))).toBeUndefined();
    expect(await listFolder(join(folder, 'none'))).toEqual([]);
    expect(lookAt(join(folder, 'none'))).toBeUndefined();
    await expect(readNamedFile(join(folder, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    ['a folder', () => mkdirSync(path), 'it is a folder'],
    ['a FIFO', () => execFileSync('mkfifo', [path]), 'it is not a regular file'],
    ['a link', () => symlinkSync('/etc/passwd', path), 'it is a symbolic link'],
    ['a link to itself', () => symlinkSync('file', path), 'it is a symbolic link'],
  ])('refuses %s', (_, make, why) => {
    make();
    const { code, message, hint = '' } = refusalOf(() => readFile(path));
    expect([code, message]).toEqual(['files', `cannot read ${JSON.stringify(path)}: ${why}`]);
    expect(renderHint(hint, '')).toContain(path);
  });

  it('follows a link if it is asked to', async () => {
    writeFileSync(join(folder, 'target'), 'there');
    symlinkSync('target', path);
    expect(readFile(path, { followLink: true })?.toString()).toBe('there');
    expect((await readNamedFile(path)).toString()).toBe('there');
  });

  it('looks at what is there without following a link', async () => {
    symlinkSync('/', path);
    expect(lookAt(path)).toMatchObject({ kind: 'link' });
    expect(lookAt(folder)).toMatchObject({ kind: 'folder', mode: 0o700, uid: process.geteuid?.() });
    expect(await listFolder(folder)).toEqual(['file']);
  });
});

describe.each([
  ['replaceFile', replaceFile],
  ['writeNewFile', writeNewFile],
] as const)('%s', (_name, write) => {
  it.each([0o600, 0o644] as const)('makes a file with mode %o, whatever the umask is', async (mode) => {
    for (const umask of [0o000, 0o022, 0o077]) {
      const before = process.umask(umask);
      try {
        await write(path, 'bytes', mode);
      } finally {
        process.umask(before);
      }
      expect([modeOf(), readFileSync(path, 'utf8'), readdirSync(folder)]).toEqual([mode, 'bytes', ['file']]);
      rmSync(path);
    }
  });

  it('leaves nothing if it cannot write', async () => {
    mkdirSync(path);
    const { code, message } = await rejectionOf(write(path, 'bytes', 0o600));
    expect([code, message]).toEqual(['files', expect.stringContaining(`cannot write ${JSON.stringify(path)}`)]);
    expect(readdirSync(folder)).toEqual(['file']);
    await expect(write(join(folder, 'none/file'), 'bytes', 0o600)).rejects.toMatchObject({ code: 'files' });
  });
});

describe('replaceFile', () => {
  it('takes the place of a file, its mode and a link', async () => {
    writeFileSync(path, 'before', { mode: 0o666 });
    await replaceFile(path, 'after', 0o600);
    expect([readFileSync(path, 'utf8'), modeOf()]).toEqual(['after', 0o600]);
    rmSync(path);
    writeFileSync(join(folder, 'target'), 'stays');
    symlinkSync('target', path);
    await replaceFile(path, 'after', 0o600);
    expect([lstatSync(path).isFile(), readFileSync(join(folder, 'target'), 'utf8')]).toEqual([true, 'stays']);
  });

  it('leaves another name of the old file as it was', async () => {
    writeFileSync(path, 'before');
    linkSync(path, join(folder, 'other'));
    await replaceFile(path, 'after', 0o644);
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('before');
  });
});

describe('writeNewFile', () => {
  it.each([
    ['a file', () => writeFileSync(path, 'before')],
    ['a link that leads nowhere', () => symlinkSync('none', path)],
  ])('never replaces %s', async (_, make) => {
    make();
    const before = lstatSync(path).ino;
    expect((await rejectionOf(writeNewFile(path, 'bytes', 0o600))).message).toContain('it already exists');
    expect([lstatSync(path).ino, readdirSync(folder)]).toEqual([before, ['file']]);
  });

  it('makes one file of two that write at the same time', async () => {
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((text) => writeNewFile(path, text, 0o600)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

const saidOf = (code: string, at = '/a b/c') => fileError(Object.assign(new Error('x'), { code }), 'write', at);

describe("the system's errors", () => {
  it.each([
    ['EACCES', 'permission denied', "see which folder above it is closed: namei -l '/a b/c'"],
    ['ENOSPC', 'the disk is full', 'make room and run the same command again'],
    ['EROFS', 'the file system is read-only', 'remount this one'],
    ['Unknown system error -122', 'the disk quota is used up', 'make room'],
    ['EWHATEVER', 'EWHATEVER', ''],
  ])('%s is in words', (code, meaning, hint) => {
    const error = saidOf(code);
    expect(error).toMatchObject({ code: 'files', message: `cannot write "/a b/c": ${meaning}` });
    expect(renderHint((error as { hint?: string }).hint ?? '', '')).toContain(hint);
  });

  it('what is closed is opened, or given to this user', () => {
    expect(saidOf('EACCES', path)).toMatchObject({ hint: `chmod u+rwX ${folder}` });
    writeFileSync(path, '');
    expect(saidOf('EACCES', path)).toMatchObject({ hint: `chmod u+rwX ${folder} ${path}` });
    // A test as root has files of another user.
    if (process.geteuid?.() !== 0) return;
    chownSync(path, 17, 17);
    expect(saidOf('EACCES', path)).toMatchObject({ hint: `it belongs to uid 17: sudo chown 0 ${path}` });
  });

  it('what is in no folder of this user is not given to this user', () => {
    if (process.geteuid?.() !== 0) return;
    const geteuid = vi.spyOn(process, 'geteuid').mockReturnValue(4711);
    for (const [at, closed] of [
      ['/etc/shadow', '/etc/shadow'],
      ['/etc/mail.p12', '/etc'],
      ['/nonexistent', '/'],
    ] as const) {
      const hint = `"${closed}" belongs to root: use a file or folder of your own, or run the command as root`;
      expect(saidOf('EACCES', at)).toMatchObject({ hint });
    }
    geteuid.mockRestore();
  });

  it('a name in a missing folder: how to make the folder', () => {
    expect(saidOf('ENOENT', join(folder, 'missing/x.p12'))).toMatchObject({ hint: `mkdir -p ${folder}/missing` });
  });

  it('a folder that is closed further up is no bug', async () => {
    mkdirSync(join(folder, 'closed/inner'), { recursive: true, mode: 0o700 });
    // Root sees everything, so another user looks, in a separate process.
    chmodSync(folder, 0o755);
    const outfile = join(folder, 'file-error.mjs');
    const entryPoints = [join(import.meta.dirname, '../../src/sys/file-error.ts')];
    await build({ entryPoints, outfile, bundle: true, platform: 'node', format: 'esm' });
    chmodSync(outfile, 0o644);
    const inner = join(folder, 'closed/inner/file');
    if (process.geteuid?.() !== 0) chmodSync(join(folder, 'closed'), 0o000);
    const script = `const { fileError } = await import(${JSON.stringify(outfile)});
for (const path of [${JSON.stringify(inner)}, '/usr/x'])
  console.log(fileError(Object.assign(new Error('x'), { code: 'EACCES' }), 'read', path).hint);`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: folder,
      encoding: 'utf8',
      ...(process.geteuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {}),
    });
    chmodSync(join(folder, 'closed'), 0o700);
    // /usr is not for a user to take.
    const hints = `see which folder above it is closed: namei -l ${inner}\n"/usr" belongs to root: use a file or folder of your own, or run the command as root\n`;
    expect([stdout, stderr]).toEqual([hints, '']);
  });

  it('anything else passes as it is', () => {
    const bug = new TypeError('a bug');
    expect(fileError(bug, 'write', '/x')).toBe(bug);
    const ours = saidOf('EIO');
    expect(fileError(ours, 'read', '/y')).toBe(ours);
  });
});
