// Only one process at a time changes the files beside a settings file. The file .relaycerts.lock stays there, because a
// lock on a removed file would lock nothing; it names the process that holds the lock, for messages only, and the last
// change, for readers, which take no lock (store/state.ts).

import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, ftruncateSync, lstatSync, unlinkSync, writeSync, type BigIntStats } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { RelaycertsError, howMany, quotePath, systemCode } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { assertLockIsPrivate } from '../sys/disk.js';
import { attempt, fileError } from '../sys/file-error.js';
import { readFile } from '../sys/files.js';
import { openWithLock } from '../sys/flock.js';
import { statIfThere } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';

export interface Lock {
  /** The last change before it was taken. */
  readonly mark: string;
  /** Tells readers that a change begins: those that started before it read again. */
  markChange(): Promise<void>;
  /** Removes the file with what it locks; any process waiting for it starts over. */
  remove(): Promise<void>;
}

/** The first line of the file: a process ID and a machine's name. */
const holderLine = /^(\d{1,10}) ([\w.-]{1,253})$/u;
/** Milliseconds between two attempts. */
const pause = 100;

/**
 * Runs `work` while only this process holds the lock at `path`. Waits `sys.lockWait` seconds for it.
 * @throws lock - another relaycerts holds it; files
 */
export async function withLock<T>(
  path: string,
  sys: Pick<Sys, 'say' | 'lockWait' | 'pid' | 'machine'>,
  work: (lock: Lock) => Promise<T>,
): Promise<T> {
  const file = await takeLock(path, sys);
  const describe = async (mark: string): Promise<void> => {
    await attempt('write', path, async () => {
      ftruncateSync(file, 0);
      writeSync(file, `${sys.pid} ${sys.machine}\n${mark}\n`, 0);
    });
  };
  try {
    const mark = readMark(path);
    await describe(mark);
    return await work({
      mark,
      markChange: () => describe(randomBytes(8).toString('hex')),
      remove: async () => unlinkSync(path),
    });
  } finally {
    closeSync(file);
  }
}

/**
 * The last change's mark in the lock file; '' if there is none. A reader cannot open another user's file; the time of
 * its last change then serves as the mark. @throws files
 */
export function readMark(path: string): string {
  try {
    return readLock(path)[1] ?? '';
  } catch (error) {
    const state = timesOf(path);
    if (state === undefined || process.geteuid?.() === Number(state.uid)) throw error;
    return String(state.mtimeNs);
  }
}

function timesOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}

function readLock(path: string): readonly string[] {
  return (readFile(path, { limit: 4096 }) ?? '').toString().split('\n');
}

async function takeLock(path: string, sys: Pick<Sys, 'say' | 'lockWait'>): Promise<number> {
  const begun = process.uptime();
  let hasSaid = false;
  for (;;) {
    const file = await tryLock(path);
    if (file !== undefined) return file;
    const [holder = ''] = readLock(path);
    if (process.uptime() - begun >= sys.lockWait) throw heldError(path, holder, sys.lockWait);
    if (!hasSaid)
      sys.say(`waiting up to ${howMany(sys.lockWait, 'second')} for another relaycerts${nameHolder(holder)}`);
    hasSaid = true;
    await sleep(pause * (0.5 + Math.random()));
  }
}

/** The locked file; undefined if another process holds it or has removed it meanwhile. */
async function tryLock(path: string): Promise<number | undefined> {
  let file: number | undefined;
  try {
    file = await openWithLock(path);
    if (file === undefined) return undefined;
    const [ours, there] = [fstatSync(file), statIfThere(path)];
    if (!ours.isFile()) throw notALockError(path, 'rm');
    if (there?.ino === ours.ino) {
      assertLockIsPrivate(file, path);
      return file;
    }
  } catch (error) {
    if (file !== undefined) closeSync(file);
    const code = systemCode(error) ?? '';
    if (['ELOOP', 'ENXIO', 'EISDIR'].includes(code)) throw notALockError(path, code === 'EISDIR' ? 'rmdir' : 'rm');
    throw fileError(error, 'use the lock', path);
  }
  closeSync(file);
  return undefined;
}

function notALockError(path: string, remove: 'rm' | 'rmdir'): RelaycertsError {
  return new RelaycertsError('files', `cannot use the lock ${quotePath(path)}: it is not a regular file`, {
    hint: `${remove} ${pathWord(path)}`,
  });
}

function heldError(path: string, holder: string, seconds: number): RelaycertsError {
  const still = seconds === 0 ? 'is' : `is still, after ${howMany(seconds, 'second')},`;
  const [, pid] = holderLine.exec(holder) ?? [];
  const look = pid === undefined ? `fuser -v ${pathWord(path)}` : `ps -fp ${pid}`;
  return new RelaycertsError('lock', `another relaycerts${nameHolder(holder)} ${still} working in ${quotePath(path)}`, {
    hint: `${seconds === 0 ? 'to wait for it, add --wait 60' : 'wait for it to finish'}; to see it: ${look}`,
  });
}

function nameHolder(holder: string): string {
  const [, pid, machine] = holderLine.exec(holder) ?? [];
  return pid === undefined || machine === undefined ? '' : ` (process ${pid} on ${machine})`;
}
