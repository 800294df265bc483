// One process at a time writes beside a settings file. The lock is a file that names its process; where that process
// is gone (also after a reboot, when its number may be another's), the lock is taken over, with a word. Readers need
// no lock: every file changes by rename alone.

import { randomBytes } from 'node:crypto';
import { link, readFile as readProc, readlink, rename } from 'node:fs/promises';
import { hostname } from 'node:os';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { createFile, fileError, readFile, removeFile } from '../host/files.js';
import { leftovers } from '../host/leftovers.js';
import type { Host } from '../host/host.js';

interface Holder {
  readonly pid: number;
  /** From /proc, where there is one: the boot's id, and the process's start in clock ticks since boot. */
  readonly boot: string;
  readonly start: string;
  /** The PID namespace and host name that the number is of: another container's processes cannot be seen from here. */
  readonly place: string;
}

/**
 * Runs `work` while this process alone holds the lock at `path`.
 * @throws lock - another relaycerts holds it
 */
export async function withLock<T>(path: string, host: Pick<Host, 'say'>, work: () => Promise<T>): Promise<T> {
  await takeLock(path, host);
  leftovers.add(path);
  try {
    return await work();
  } finally {
    await removeFile(path);
    leftovers.delete(path);
  }
}

async function takeLock(path: string, host: Pick<Host, 'say'>): Promise<void> {
  const mine = JSON.stringify(await describeProcess(process.pid));
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await createFile(path, `${mine}\n`, 0o600)) return;
    const holder = await readHolder(path);
    if (holder === 'gone') continue;
    if (holder !== 'unreadable' && (await isAlive(holder))) {
      throw new RelaycertsError('lock', `another relaycerts (process ${holder.pid}) is at work here`, {
        hint: `wait for it to end, or look at it: ps -fp ${holder.pid}; where it is gone for sure: rm ${shellWord(path)}`,
      });
    }
    if (await takeAway(path, holder)) host.say(`took over the lock ${quotePath(path)} of a relaycerts that has ended`);
  }
  throw new RelaycertsError('lock', `cannot take the lock ${shellWord(path)}`, { hint: 'run the same command again' });
}

/** Moves a stale lock aside; whoever moves away a lock that is not the one it judged puts it back. */
async function takeAway(path: string, judged: Holder | 'unreadable'): Promise<boolean> {
  const aside = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw fileError(error, 'take over the lock', path);
  }
  const moved = await readHolder(aside);
  if (JSON.stringify(moved) !== JSON.stringify(judged)) await link(aside, path).catch(() => undefined);
  await removeFile(aside);
  return JSON.stringify(moved) === JSON.stringify(judged);
}

async function readHolder(path: string): Promise<Holder | 'gone' | 'unreadable'> {
  const bytes = await readFile(path, { limit: 4096 });
  if (bytes === undefined) return 'gone';
  const text = bytes.toString('utf8');
  return parseHolder(text) ?? 'unreadable';
}

function parseHolder(text: string): Holder | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  if (!('pid' in value) || !('boot' in value) || !('start' in value) || !('place' in value)) return undefined;
  const { pid, boot, start, place } = value;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1) return undefined;
  if (typeof boot !== 'string' || typeof start !== 'string' || typeof place !== 'string') return undefined;
  return { pid, boot, start, place };
}

async function isAlive(holder: Holder): Promise<boolean> {
  // Another container on the same volume, or another machine: nothing can be told from here.
  if (holder.place !== (await describePlace())) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
  }
  const now = await describeProcess(holder.pid);
  return now.boot === holder.boot && now.start === holder.start;
}

async function describeProcess(pid: number): Promise<Holder> {
  const [boot, stat] = await Promise.all(
    ['/proc/sys/kernel/random/boot_id', `/proc/${pid}/stat`].map((path) => readProc(path, 'utf8').catch(() => '')),
  );
  // proc(5): the second field, a name in parentheses, may hold anything; starttime is the 20th after it.
  const fields = (stat ?? '').slice((stat ?? '').lastIndexOf(')') + 2).split(' ');
  return { pid, boot: (boot ?? '').trim(), start: fields[19] ?? '', place: await describePlace() };
}

async function describePlace(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return `${hostname()} ${namespace}`.trim();
}
