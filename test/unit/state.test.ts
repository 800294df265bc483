// What a reader sees: the state before a change or after it, never between, without taking a lock.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { parseSettings } from '../../src/settings/schema.js';
import type { Settings } from '../../src/settings/settings.js';
import { withLock } from '../../src/store/lock.js';
import { readState, sayOutcome } from '../../src/store/state.js';
import { changeFolder } from '../../src/store/journal.js';
import { commitChange, recoverChange, stageChange, type Change } from '../../src/store/transaction.js';
import { realDisk } from '../../src/sys/disk.js';
import { smallSettings } from '../support/project.js';

let folder: string;
let settings: Settings;
let said: string[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-state-'));
  said = [];
  settings = parseSettings(smallSettings(), {
    file: join(folder, 'settings.json'),
    home: '/home/operator',
    program: 'relaycerts',
    command: 'relaycerts',
  });
  writeFileSync(join(folder, 'a'), 'old');
  writeFileSync(join(folder, 'b'), 'old');
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const sys = {
  say: (line: string): void => void said.push(line),
  warn: (line: string): void => void said.push(`warning: ${line}`),
  lockWait: 0,
  pid: 17,
  machine: 'here',
  configHome: '/nonexistent',
};
const lock = (): string => join(folder, '.relaycerts.lock');
const read = (): readonly string[] => ['a', 'b'].map((name) => readFileSync(join(folder, name), 'utf8'));
const change = (): Change => ({
  writes: ['a', 'b'].map((name) => ({
    path: join(folder, name),
    bytes: Buffer.from('new'),
    mode: 0o600,
    folderMode: 0o700,
    isNew: false,
  })),
  appends: [],
  removes: [],
  empties: [],
});
/** A whole change, as a command makes it. */
const makeChange = (): Promise<void> =>
  withLock(lock(), sys, async (held) => {
    await stageChange(realDisk(), folder, change());
    await held.markChange();
    await commitChange(realDisk(), folder);
  });
/** Committed, and killed before anything of it was carried out. */
const cutOff = async (): Promise<void> => {
  const disk = realDisk();
  await stageChange(disk, folder, change());
  await disk.rename(join(changeFolder(folder), 'draft'), join(changeFolder(folder), 'journal'));
};

describe('a reader', () => {
  it('reads once if nothing changes, and leaves nothing behind', async () => {
    let count = 0;
    const state = await readState(settings, sys, () => Promise.resolve([count++, read()]));
    expect([state, existsSync(lock()), said]).toEqual([[0, ['old', 'old']], false, []]);
  });

  it('reads again if a change came between', async () => {
    const seen: string[] = [];
    const state = await readState(settings, sys, async () => {
      const [a = ''] = read();
      if (seen.length === 0) await makeChange();
      seen.push(a);
      return [a, read()[1]];
    });
    expect([state, seen]).toEqual([
      ['new', 'new'],
      ['old', 'new'],
    ]);
  });

  it('reads again after an error if a change came between', async () => {
    let count = 0;
    const state = readState(settings, sys, async () => {
      count += 1;
      if (count > 1) return read();
      await makeChange();
      throw new RelaycertsError('files', 'a file was gone');
    });
    expect([await state, count]).toEqual([['new', 'new'], 2]);
  });

  it('gives the error if there was no change', async () => {
    let count = 0;
    const state = readState(settings, sys, () => {
      count += 1;
      return Promise.reject(new RelaycertsError('files', 'damaged'));
    });
    await expect(state).rejects.toThrow('damaged');
    expect(count).toBe(1);
  });

  it('needs no lock, also while another process holds it and stages', async () => {
    await withLock(lock(), sys, async () => {
      await stageChange(realDisk(), folder, change());
      expect(await readState(settings, sys, () => Promise.resolve(read()))).toEqual(['old', 'old']);
      expect(existsSync(join(changeFolder(folder), 'draft'))).toBe(true);
    });
  });

  it('finishes an interrupted change, and says so', async () => {
    await cutOff();
    expect(await readState(settings, sys, () => Promise.resolve(read()))).toEqual(['new', 'new']);
    expect([said, existsSync(changeFolder(folder))]).toEqual([['finished an interrupted change'], false]);
  });

  it('waits for the process that is carrying a change out', async () => {
    let state: Promise<readonly string[]> | undefined;
    await withLock(lock(), sys, async () => {
      await cutOff();
      state = readState(settings, sys, () => Promise.resolve(read()));
      await new Promise((resolve) => setTimeout(resolve, 100));
      await recoverChange(realDisk(), folder);
    });
    expect([await state, said]).toEqual([['new', 'new'], []]);
  });
});

describe('messages about a change that was finished late', () => {
  it.each([
    [{ isRecovered: false, edited: [] }, []],
    [{ isRecovered: true, edited: [] }, ['finished an interrupted change']],
    [
      { isRecovered: false, edited: [{ path: '/p', kept: '/p.relaycerts-new' }] },
      ['warning: "/p" was edited since, so it was not replaced; the new version is "/p.relaycerts-new"'],
    ],
    [
      { isRecovered: false, edited: [{ path: '/p', kept: undefined }] },
      ['warning: "/p" was edited since, so it was not removed'],
    ],
  ])('%j', (outcome, lines) => {
    sayOutcome(outcome, sys);
    expect(said).toEqual(lines);
  });
});
