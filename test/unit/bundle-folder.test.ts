// A bundle's folder: whole from its first instant, replaced as a whole, and mended where that was cut off.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseHostName } from '../../src/names.js';
import { settleBundleFolders, writeBundleFolder, type BundleFile } from '../../src/store/bundle-folder.js';
import { layoutOf } from '../../src/store/layout.js';

let project: string;
let hosts: string;
let folder: string;
let said: string[];
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'relaycerts-bundle-'));
  hosts = join(project, 'hosts');
  folder = join(hosts, 'mailhost.example.org');
  said = [];
});
afterEach(() => {
  rmSync(project, { recursive: true });
});

const names = ['ca.pem', 'chain.pem', 'key.pem'];
const filesOf = (text: string): readonly BundleFile[] =>
  names.map((name) => ({ name, bytes: Buffer.from(`${text} ${name}`), mode: name === 'ca.pem' ? 0o644 : 0o600 }));
const write = (text: string, changed = names): Promise<void> =>
  writeBundleFolder(folder, filesOf(text), new Set(changed));
const settle = (): Promise<void> =>
  settleBundleFolders(layoutOf({ folder: project, domain: parseHostName('example.org') }), {
    say: (line) => void said.push(line),
  });
const texts = (): readonly string[] => names.map((name) => readFileSync(join(folder, name), 'utf8'));
const expectWhole = (text: string): void => {
  expect(texts()).toEqual(names.map((name) => `${text} ${name}`));
  expect(readdirSync(hosts)).toEqual(['mailhost.example.org']);
};

describe('writeBundleFolder', () => {
  it('makes a private folder with its files in their modes', async () => {
    await write('one');
    expectWhole('one');
    expect(statSync(folder).mode & 0o7777).toBe(0o700);
    expect(names.map((name) => statSync(join(folder, name)).mode & 0o7777)).toEqual([0o644, 0o600, 0o600]);
  });

  it('replaces it as a whole: another folder, of which no file is the old one', async () => {
    await write('one');
    const before = statSync(folder).ino;
    await write('two');
    expectWhole('two');
    expect(statSync(folder).ino).not.toBe(before);
  });

  it('changes one file alone by the rename of that file', async () => {
    await write('one');
    const before = statSync(folder).ino;
    await write('two', ['ca.pem']);
    expect(texts()).toEqual(['two ca.pem', 'one chain.pem', 'one key.pem']);
    expect(statSync(folder).ino).toBe(before);
  });

  it('keeps what somebody else put there', async () => {
    await write('one');
    writeFileSync(join(folder, 'notes'), 'mine');
    mkdirSync(join(folder, 'more'));
    writeFileSync(join(folder, 'more', 'notes'), 'mine too');
    await write('two');
    expectWhole('two');
    expect(readFileSync(join(folder, 'notes'), 'utf8')).toBe('mine');
    expect(readFileSync(join(folder, 'more', 'notes'), 'utf8')).toBe('mine too');
  });

  it.each(['file', 'link'])('refuses a %s in its place, and leaves it', async (kind) => {
    mkdirSync(hosts);
    const elsewhere = join(project, 'elsewhere');
    mkdirSync(elsewhere);
    if (kind === 'file') writeFileSync(folder, 'mine');
    else symlinkSync(elsewhere, folder);
    await expect(write('one')).rejects.toMatchObject({ code: 'files' });
    expect(readdirSync(hosts)).toEqual(['mailhost.example.org']);
    expect(readdirSync(elsewhere)).toEqual([]);
  });

  it('leaves the old one, and nothing else, where the new one cannot be built', async () => {
    await write('one');
    const tooLong = { name: 'n'.repeat(300), bytes: Buffer.from(''), mode: 0o600 as const };
    await expect(
      writeBundleFolder(folder, [...filesOf('two'), tooLong], new Set([...names, tooLong.name])),
    ).rejects.toMatchObject({ code: 'files' });
    expectWhole('one');
  });
});

describe('settleBundleFolders', () => {
  const cut = '.mailhost.example.org.relaycerts-1234-0a1b.tmp';

  it('brings the old one back, where the new one never came', async () => {
    await write('one');
    renameSync(folder, join(hosts, `${cut}.old`));
    mkdirSync(join(hosts, cut));
    writeFileSync(join(hosts, cut, 'key.pem'), 'half');
    await settle();
    expectWhole('one');
    expect(said).toEqual([expect.stringContaining('brought back the bundle of mailhost.example.org')]);
  });

  it('removes the old one, where the new one is there, and keeps what was put there', async () => {
    await write('two');
    mkdirSync(join(hosts, `${cut}.old`));
    writeFileSync(join(hosts, `${cut}.old`, 'key.pem'), 'one key.pem');
    writeFileSync(join(hosts, `${cut}.old`, 'notes'), 'mine');
    await settle();
    expectWhole('two');
    expect(readFileSync(join(folder, 'notes'), 'utf8')).toBe('mine');
  });

  it('removes one that was never finished', async () => {
    await write('one');
    mkdirSync(join(hosts, cut));
    writeFileSync(join(hosts, cut, 'key.pem'), 'half');
    await settle();
    expectWhole('one');
    expect(said).toEqual([]);
  });

  it('touches nothing that only looks like it', async () => {
    await write('one');
    const strange = ['.old', 'x.tmp', '.relaycerts-1234-0a1b.tmp', '.mailhost.relaycerts-12.tmp', `${cut}.old.bak`];
    for (const name of strange) mkdirSync(join(hosts, name));
    await settle();
    for (const name of strange) expect(existsSync(join(hosts, name)), name).toBe(true);
  });
});
