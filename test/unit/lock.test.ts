// The lock: one holder at a time, free as soon as its process has ended, and a file that stays.

import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
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
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readMark, withLock } from '../../src/store/lock.js';
import { openWithLock } from '../../src/sys/flock.js';

let folder: string;
let path: string;
let said: string[];
const sys = { say: (line: string): void => void said.push(line), lockWait: 0, pid: 4711, machine: 'home' };
const patient = { ...sys, lockWait: 600 };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-lock-'));
  path = join(folder, '.relaycerts.lock');
  said = [];
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const take = (as = sys): Promise<string> => withLock(path, as, () => Promise.resolve('done'));

/** Runs `work` while another process, or something equivalent, holds the lock. */
async function whileHeld(work: () => Promise<void>): Promise<void> {
  const file = await openWithLock(path);
  if (file === undefined) throw new Error('the lock is held already');
  try {
    await work();
  } finally {
    closeSync(file);
  }
}

describe('withLock', () => {
  it('names its holder in the file, and leaves the file there', async () => {
    await withLock(path, sys, () => {
      expect(readFileSync(path, 'utf8')).toBe('4711 home\n\n');
      return Promise.resolve();
    });
    expect(readdirSync(folder)).toEqual(['.relaycerts.lock']);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(said).toEqual([]);
  });

  it('gives what the work gives, and lets go', async () => {
    expect([await take(), await take()]).toEqual(['done', 'done']);
  });

  it('lets go when the work fails', async () => {
    await expect(withLock(path, sys, () => Promise.reject(new Error('work')))).rejects.toThrow('work');
    await expect(take()).resolves.toBe('done');
  });

  it.each(['', '\0', '{"pid": 12', '4194303 elsewhere\nmark\n', '1; rm -rf / x\n'])(
    'uses a file that nobody holds, without a word: %j',
    async (content) => {
      writeFileSync(path, content);
      await expect(take()).resolves.toBe('done');
      expect(said).toEqual([]);
    },
  );

  it('is held by one of six at a time, and each gets it', async () => {
    let [inside, most] = [0, 0];
    const work = async (): Promise<void> => {
      inside += 1;
      most = Math.max(most, inside);
      await new Promise((resolve) => setImmediate(resolve));
      inside -= 1;
    };
    await Promise.all(Array.from({ length: 6 }, () => withLock(path, patient, work)));
    expect(most).toBe(1);
  });
});

describe('a lock that is held', () => {
  it('is refused with the name of its holder', async () => {
    await withLock(path, sys, async () => {
      await expect(take()).rejects.toMatchObject({
        code: 'lock',
        message: `another relaycerts (process 4711 on home) is working in "${path}"`,
        hint: 'to wait for it, add --wait 60; to see it: ps -fp 4711',
      });
    });
  });

  it.each(['', '1; rm -rf / x\n', '12 a b\n', 'pid home\n'])(
    'does not repeat a name that is not one: %j',
    async (name) => {
      await whileHeld(async () => {
        writeFileSync(path, name);
        await expect(take()).rejects.toMatchObject({
          message: `another relaycerts is working in "${path}"`,
          hint: `to wait for it, add --wait 60; to see it: fuser -v ${path}`,
        });
      });
    },
  );

  it('is waited for, and that is reported once', async () => {
    let waiting: Promise<string> | undefined;
    await withLock(path, sys, async () => {
      waiting = take(patient);
      await vi.waitUntil(() => said.length > 0, { timeout: 600_000 });
    });
    await expect(waiting).resolves.toBe('done');
    expect(said).toEqual(['waiting up to 600 seconds for another relaycerts (process 4711 on home)']);
  });

  it('is given up after the time', async () => {
    await whileHeld(async () => {
      const begun = performance.now();
      await expect(take({ ...sys, lockWait: 1 })).rejects.toMatchObject({
        code: 'lock',
        message: expect.stringMatching(/^another relaycerts is still, after 1 seconds?, working in /u) as string,
        hint: expect.stringMatching(/^wait for it to finish; /u) as string,
      });
      expect(performance.now() - begun).toBeGreaterThan(1000);
    });
  });

  it('is free as soon as its process was killed', async () => {
    const holder = spawn('flock', ['--no-fork', path, 'sleep', '600']);
    const isHeld = async (): Promise<boolean> => {
      const file = await openWithLock(path);
      if (file !== undefined) closeSync(file);
      return file === undefined;
    };
    await vi.waitUntil(isHeld, { timeout: 600_000 });
    const ended = new Promise((resolve) => holder.on('exit', resolve));
    holder.kill('SIGKILL');
    await ended;
    await expect(take()).resolves.toBe('done');
  });
});

describe('a lock file that is removed while others wait', () => {
  it('no longer locks anything: they use the new one, one at a time', async () => {
    let [inside, most] = [0, 0];
    let waiting: readonly Promise<void>[] = [];
    await withLock(path, sys, async (lock) => {
      waiting = Array.from({ length: 5 }, () =>
        withLock(path, patient, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setImmediate(resolve));
          inside -= 1;
        }),
      );
      await vi.waitUntil(() => said.length === 5, { timeout: 600_000 });
      await lock.remove();
    });
    await Promise.all(waiting);
    expect(most).toBe(1);
    expect(readdirSync(folder)).toEqual(['.relaycerts.lock']);
  });
});

describe('the mark of the last change', () => {
  it('is another one after each change, and stays otherwise', async () => {
    const marks: string[] = [readMark(path)];
    for (const isChange of [true, false, true]) {
      await withLock(path, sys, (lock) => (isChange ? lock.markChange() : Promise.resolve()));
      marks.push(readMark(path));
    }
    expect(marks[0]).toBe('');
    expect(marks[1]).toMatch(/^[0-9a-f]{16}$/u);
    expect(marks[2]).toBe(marks[1]);
    expect(marks[3]).not.toBe(marks[1]);
  });
});

describe('a lock file that is something else is an error', () => {
  it.each<readonly [string, () => void]>([
    ['a folder', () => mkdirSync(path)],
    ['a FIFO', () => execFileSync('mkfifo', [path])],
    ['a link', () => symlinkSync(join(folder, 'elsewhere'), path)],
    ['a link to a file', () => [writeFileSync(join(folder, 'elsewhere'), 'mine'), symlinkSync('elsewhere', path)]],
  ])('%s', async (_, make) => {
    make();
    await expect(take(patient)).rejects.toMatchObject({
      code: 'files',
      message: expect.stringContaining(path) as string,
      hint: expect.stringMatching(/^[a-z]/u) as string,
    });
    expect(readdirSync(folder).filter((name) => name === 'elsewhere').length).toBe(_ === 'a link to a file' ? 1 : 0);
  });

  it('a missing flock is named with its package', async () => {
    vi.stubEnv('PATH', folder);
    await expect(take()).rejects.toMatchObject({ code: 'tool', hint: 'apt-get install util-linux' });
  });
});
