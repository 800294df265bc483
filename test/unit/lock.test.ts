// The lock: one holder at a time, taken over from the dead, never from the living.

import { execFileSync, spawn } from 'node:child_process';
import { createHash, createHmac } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelaycertsError } from '../../src/errors.js';
import { withLock } from '../../src/store/lock.js';

let folder: string;
let path: string;
let said: string[];
const host = { say: (line: string): void => void said.push(line), lockWait: 0 };
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'relaycerts-lock-'));
  path = join(folder, '.relaycerts.lock');
  said = [];
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

const hold = (holder: unknown): void => writeFileSync(path, JSON.stringify(holder));
const taken = (): Promise<string> => withLock(path, host, () => Promise.resolve('done'));
const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const namespace = readlinkSync('/proc/self/ns/pid');
const place = `${hostname()} ${namespace}`;
const machineId = /^[0-9a-f]{32}$/mu.exec(existsSync('/etc/machine-id') ? readFileSync('/etc/machine-id', 'utf8') : '');
/** As the lock has it. */
const machine =
  machineId === null
    ? ''
    : createHmac('sha256', Buffer.from(machineId[0], 'hex')).update('relaycerts lock').digest('hex').slice(0, 32);
const startOf = (pid: number): string => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
};

describe('withLock', () => {
  it('holds it while the work runs, and leaves nothing', async () => {
    await withLock(path, host, () => {
      expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
        pid: process.pid,
        boot,
        start: startOf(process.pid),
        place,
        machine,
      });
      return Promise.resolve();
    });
    expect(readdirSync(folder)).toEqual([]);
    expect(said).toEqual([]);
  });

  it('lets go where the work fails', async () => {
    await expect(withLock(path, host, () => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(existsSync(path)).toBe(false);
  });

  it('is refused while a living process holds it', async () => {
    await withLock(path, host, async () => {
      const refused = await taken().catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(RelaycertsError);
      expect(refused).toMatchObject({ code: 'lock', message: expect.stringContaining(String(process.pid)) as string });
    });
  });

  it.each([
    ['of a process that is gone', () => hold({ pid: 4_194_303, boot, start: '1', place })],
    ['of before a reboot, its number used again', () => hold({ pid: process.pid, boot: 'another', start: '1', place })],
    ['of an earlier process with the same number', () => hold({ pid: process.pid, boot, start: '1', place })],
    ['that is torn', () => writeFileSync(path, '{"pid": 12')],
    ['that is empty', () => writeFileSync(path, '')],
    ['that is something else', () => writeFileSync(path, '{"pid": "1; rm -rf /", "boot": 1, "start": []}')],
  ])('is taken over %s, with a word', async (_name, make) => {
    make();
    await expect(taken()).resolves.toBe('done');
    expect(said).toEqual([expect.stringContaining('took over the lock')]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('of a living stranger is respected', async () => {
    const child = spawn('sleep', ['60']);
    hold({ pid: child.pid, boot, start: startOf(child.pid ?? 0), place });
    await expect(taken()).rejects.toThrow(`process ${child.pid}`);
    child.kill();
  });

  it('is taken over of a process that has ended, though its parent does not ask for it', async () => {
    // The shell becomes a sleep, which knows nothing of the child that ends.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const number = new Promise<Buffer>((resolve) => parent.stdout.once('data', resolve));
      const pid = Number((await number).toString());
      hold({ pid, boot, start: startOf(pid), place });
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => /\) Z /u.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))).toBe(true);
      await expect(taken()).resolves.toBe('done');
      expect(said).toEqual([expect.stringContaining('took over the lock')]);
    } finally {
      parent.kill();
    }
  });

  it('of another container or machine is respected, because nothing can be told of it', async () => {
    hold({ pid: 1, boot, start: '1', place: 'elsewhere pid:[1]' });
    await expect(taken()).rejects.toMatchObject({
      code: 'lock',
      hint: expect.stringContaining(`rm ${path}`) as string,
    });
  });

  describe('of a machine of another name', () => {
    const there = `an "old\u001b[31m" name ${namespace}`;

    it.each([
      ['before a reboot', { pid: process.pid, boot: 'another', start: '1', place: there }],
      ['before a reboot, of a process that is gone', { pid: 4_194_303, boot: 'x', start: '1', place: there }],
    ])('is taken over where it is this machine, %s', async (_, holder) => {
      hold({ ...holder, machine });
      // Without a machine-id nothing can be told.
      if (machine === '') await expect(taken()).rejects.toMatchObject({ code: 'lock' });
      else await expect(taken()).resolves.toBe('done');
    });

    it('is taken over where the machine got its new name since it started, and the process is gone', async () => {
      hold({ pid: 4_194_303, boot, start: '1', place: there });
      await expect(taken()).resolves.toBe('done');
      hold({ pid: process.pid, boot, start: startOf(process.pid), place: there });
      await expect(taken()).rejects.toThrow(`(process ${process.pid}) is at work here`);
    });

    it.each([
      ['another machine', { place: there, machine: '0'.repeat(32) }],
      ['a machine that nothing is known of', { place: there }],
      ['a machine that nothing is known of, as something else', { place: there, machine: 1 }],
      ['this machine, in another container', { place: 'an "old\u001b[31m" name pid:[1]', machine }],
    ])('is respected where it is %s, and the error says which', async (_, holder) => {
      hold({ pid: 4_194_303, boot: 'another', start: '1', ...holder });
      await expect(taken()).rejects.toMatchObject({
        code: 'lock',
        message: String.raw`another relaycerts (process 4194303 on "an \"old\u001b[31m\" name", another machine or container) is at work here`,
        hint: `to wait for it, add --wait 60; or look at it: ps -fp 4194303; where it is gone for sure: rm ${path}`,
      });
      expect(existsSync(path)).toBe(true);
    });

    it('is respected where another machine has the same name', async () => {
      hold({ pid: 4_194_303, boot: 'another', start: '1', place, machine: '0'.repeat(32) });
      if (machine === '') await expect(taken()).resolves.toBe('done');
      else await expect(taken()).rejects.toThrow(`on ${JSON.stringify(hostname())}, another machine`);
    });
  });

  it('that is a FIFO is an error, and nothing hangs', async () => {
    execFileSync('mkfifo', [path]);
    await expect(taken()).rejects.toMatchObject({ code: 'files' });
  });

  it.each([
    ['of a process that is gone', { pid: 4_194_303, boot, start: '1', place }],
    ['that a process which is gone was taking over', undefined],
  ])('%s goes to one of many at a time', async (_name, holder) => {
    hold(holder ?? { pid: 4_194_303, boot, start: '1', place });
    if (holder === undefined) {
      // The claim of another that died too, on that very lock.
      const { mtimeNs, ino } = statSync(path, { bigint: true });
      const digest = createHash('sha256').update(readFileSync(path)).update(`${mtimeNs} ${ino}`).digest('hex');
      writeFileSync(`${path}.${digest.slice(0, 16)}`, JSON.stringify({ pid: 4_194_302, boot, start: '1', place }));
    }
    let inside = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        withLock(path, { ...host, lockWait: 30 }, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setTimeout(resolve, 2));
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(said.filter((line) => line.includes('took over'))).toHaveLength(1);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('goes to one of many at a time', async () => {
    let inside = 0;
    let most = 0;
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () =>
        withLock(path, host, async () => {
          inside += 1;
          most = Math.max(most, inside);
          await new Promise((resolve) => setTimeout(resolve, 5));
          inside -= 1;
        }),
      ),
    );
    expect(most).toBe(1);
    expect(results.some(({ status }) => status === 'fulfilled')).toBe(true);
  });
});
