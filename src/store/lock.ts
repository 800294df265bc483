// One process at a time writes beside a settings file. The lock is a file that names its process; where that process
// is gone (also after a reboot, when its number may be another's), the lock is taken over, with a word. Readers need
// no lock (steady.ts).

import { createHash, createHmac } from 'node:crypto';
import { readFile as readProc, readlink, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { RelaycertsError, quote, quotePath, systemCode } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { createFile, listFolder, readFile, removeFile, statFile, type FileState } from '../sys/files.js';
import { fileError } from '../sys/file-error.js';
import { leftovers } from '../sys/leftovers.js';
import type { Sys } from '../sys/sys.js';

type Waiting = Pick<Sys, 'say' | 'lockWait'>;

interface Holder {
  readonly pid: number;
  /** From /proc, where there is one: the boot's id, and the process's start in clock ticks since boot. */
  readonly boot: string;
  readonly start: string;
  /** The host name and PID namespace that the number is of: another container's processes cannot be seen from here. */
  readonly place: string;
  /** Made from /etc/machine-id; '' where there is none, and in locks that are older than this. */
  readonly machine: string;
}

interface FoundLock {
  /** Undefined where the file says nothing that can be read, as a disk that failed leaves it. */
  readonly holder: Holder | undefined;
  /** When it was taken, in nanoseconds since the epoch. */
  readonly since: bigint;
  /** Of this very file: another lock at the same path has another one. */
  readonly identity: string;
}

/** Octets. */
const longest = 4096;

/** Nothing that is worth keeping. */
const noLock: Readonly<Record<FileState['kind'], string>> = {
  file: `it is larger than ${longest} octets`,
  folder: 'it is a folder',
  link: 'it is a symbolic link',
  other: 'it is not a regular file',
};

/** How long a lock that nobody holds is fought over before that is an error, in milliseconds. */
const patience = 5000;

/**
 * Runs `work` while this process alone holds the lock at `path`; waits `sys.lockWait` seconds for it.
 * @throws lock - another relaycerts holds it
 */
export async function withLock<T>(path: string, sys: Waiting, work: () => Promise<T>): Promise<T> {
  await takeLock(path, sys);
  leftovers.add(path);
  try {
    return await work();
  } finally {
    await removeFile(path);
    leftovers.delete(path);
  }
}

/** Since when a living process holds the lock, in nanoseconds since the epoch; undefined where none does. */
export async function heldSince(path: string): Promise<bigint | undefined> {
  const found = await findLock(path);
  return found !== undefined && (await isHeld(found)) ? found.since : undefined;
}

async function takeLock(path: string, { say, lockWait }: Waiting): Promise<void> {
  const begun = performance.now();
  let hasSaid = false;
  for (;;) {
    const found = await findLock(path);
    if (found === undefined) {
      if (await createFile(path, await describeSelf(), 0o600, { mayVanish: true })) return;
      continue;
    }
    const waited = performance.now() - begun;
    if (await isHeld(found)) {
      if (waited >= lockWait * 1000) throw await heldError(path, found, lockWait);
      if (!hasSaid) {
        say(`waiting for another relaycerts (${await nameHolder(found)}), at most ${lockWait} seconds`);
      }
      hasSaid = true;
      await sleep(50 + 100 * Math.random());
    } else if (await removeStale(path, found)) {
      say(`took over the lock ${quotePath(path)} of a relaycerts that has ended`);
    } else if (waited < Math.max(patience, lockWait * 1000)) {
      await sleep(5 + 20 * Math.random());
    } else {
      throw new RelaycertsError('lock', `cannot take the lock ${quotePath(path)}, though its process has ended`, {
        hint: `remove it, and run the same command again: rm -f ${shellWord(path)} ${shellWord(path)}.*`,
      });
    }
  }
}

async function heldError(path: string, found: FoundLock, lockWait: number): Promise<RelaycertsError> {
  const still = lockWait === 0 ? '' : ' still';
  const after = lockWait === 0 ? '' : `, after ${lockWait} seconds of waiting`;
  const wait = lockWait === 0 ? 'to wait for it, add --wait 60' : 'wait for it to end';
  const pid = found.holder?.pid;
  return new RelaycertsError(
    'lock',
    `another relaycerts (${await nameHolder(found)}) is${still} at work here${after}`,
    { hint: `${wait}; or look at it: ps -fp ${pid}; where it is gone for sure: rm ${shellWord(path)}` },
  );
}

/** The process, and where to look for it if not here. */
async function nameHolder({ holder }: FoundLock): Promise<string> {
  if (holder === undefined) return 'a process without a number';
  const where = isOfHere(holder, await describeProcess(holder.pid))
    ? ''
    : ` on ${quote(splitPlace(holder).name)}, another machine or container`;
  return `process ${holder.pid}${where}`;
}

/**
 * Removes a lock whose process has ended; false where somebody else did, or is about to. Only who makes the claim, a
 * file named after that very lock, may remove it: so no lock is removed that somebody has taken in the meantime.
 */
async function removeStale(path: string, judged: FoundLock): Promise<boolean> {
  const claim = `${path}.${judged.identity}`;
  if (!(await createFile(claim, await describeSelf(), 0o600, { mayVanish: true }))) {
    const other = await findLock(claim);
    if (other !== undefined && !(await isHeld(other))) await removeStale(claim, other);
    return false;
  }
  leftovers.add(claim);
  try {
    if ((await findLock(path))?.identity !== judged.identity) return false;
    return await removeFile(path);
  } finally {
    await removeFile(claim);
    leftovers.delete(claim);
  }
}

/** True for the name of a claim on the lock of that name. */
export function isClaimName(name: string, lockName: string): boolean {
  return name.startsWith(`${lockName}.`) && /^(?:\.[0-9a-f]{16})+$/u.test(name.slice(lockName.length));
}

async function findLock(path: string): Promise<FoundLock | undefined> {
  const bytes = await readLock(path);
  if (bytes === undefined) return undefined;
  try {
    const { mtimeNs, ino } = await stat(path, { bigint: true });
    const identity = createHash('sha256').update(bytes).update(`${mtimeNs} ${ino}`).digest('hex').slice(0, 16);
    return { holder: parseHolder(bytes.toString('utf8')), since: mtimeNs, identity };
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw fileError(error, 'look at', path);
  }
}

async function readLock(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path, { limit: longest });
  } catch (error) {
    const state = await statFile(path);
    if (state === undefined || (state.kind === 'file' && state.size <= longest)) throw error;
    const isFull = state.kind === 'folder' && (await listFolder(path)).length > 0;
    const word = shellWord(path);
    throw new RelaycertsError('files', `cannot use the lock ${quotePath(path)}: ${noLock[state.kind]}`, {
      cause: error,
      hint: isFull ? `mv ${word} ${shellWord(`${path}.old`)}` : `${state.kind === 'folder' ? 'rmdir' : 'rm'} ${word}`,
    });
  }
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
  const machine = 'machine' in value && typeof value.machine === 'string' ? value.machine : '';
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid < 1) return undefined;
  if (typeof boot !== 'string' || typeof start !== 'string' || typeof place !== 'string') return undefined;
  return { pid, boot, start, place, machine };
}

async function isHeld({ holder }: FoundLock): Promise<boolean> {
  if (holder === undefined) return false;
  // Another container on the same volume, or another machine: nothing can be told from here.
  const now = await describeProcess(holder.pid);
  if (!isOfHere(holder, now)) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (systemCode(error) === 'ESRCH') return false;
  }
  return now.boot === holder.boot && now.start === holder.start;
}

/** Whether the holder's number is one that this process can look up: of this machine, whatever its name was then. */
function isOfHere(holder: Holder, here: Holder): boolean {
  const [then, now] = [splitPlace(holder), splitPlace(here)];
  if (then.namespace !== now.namespace) return false;
  if (holder.boot === here.boot && here.boot !== '') return true;
  // Two machines may have one name (localhost), and a machine two, one after the other.
  return holder.machine !== '' && here.machine !== '' ? holder.machine === here.machine : then.name === now.name;
}

function splitPlace({ place }: Holder): { readonly name: string; readonly namespace: string } {
  const [, name = place, namespace = ''] = /^(.*) (pid:\[\d+\])$/su.exec(place) ?? [];
  return { name, namespace };
}

async function describeSelf(): Promise<string> {
  return `${JSON.stringify(await describeProcess(process.pid))}\n`;
}

async function describeProcess(pid: number): Promise<Holder> {
  const [boot, stats] = await Promise.all(
    ['/proc/sys/kernel/random/boot_id', `/proc/${pid}/stat`].map((path) => readProc(path, 'utf8').catch(() => '')),
  );
  // proc(5): the second field, a name in parentheses, may hold anything; state and starttime are the 1st and 20th after it.
  const fields = (stats ?? '').slice((stats ?? '').lastIndexOf(')') + 2).split(' ');
  // A process that has ended stays as a zombie while its parent does not ask for it: an application as PID 1 never may.
  const start = /^[ZXx]$/u.test(fields[0] ?? '') ? 'ended' : (fields[19] ?? '');
  const [place, machine] = await Promise.all([describePlace(), describeMachine()]);
  return { pid, boot: (boot ?? '').trim(), start, place, machine };
}

async function describePlace(): Promise<string> {
  const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
  return `${hostname()} ${namespace}`.trim();
}

/** As machine-id(5) asks: not the number itself, which is nobody else's business, but one that is made from it. */
async function describeMachine(): Promise<string> {
  const id = (await readProc('/etc/machine-id', 'utf8').catch(() => '')).trim();
  if (!/^[0-9a-f]{32}$/u.test(id)) return '';
  return createHmac('sha256', Buffer.from(id, 'hex')).update('relaycerts lock').digest('hex').slice(0, 32);
}
