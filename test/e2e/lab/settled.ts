// When a Postfix is done with a reload. `postfix reload` only sends a signal: the master reads its files later, and a
// process from before it ends when it notices that, so until then it can take one more mail or connection. The master
// has both ends of a pipe to the processes of each service, and makes a new one at a reload. Everything is read from
// /proc of the machine, without starting a program.

import { readFile, readdir, readlink } from 'node:fs/promises';

import { patienceMs, poll } from './machine.js';
import type { Machine } from './machine.js';
import { mailMachines } from './postfix.js';

const hangup = 1n;
/** A process's end of that pipe (MASTER_STATUS_FD in Postfix's master.h). */
const statusPipe = '5';

/** What a machine's /proc says; '' of a process that has ended. */
const readProc = (machine: Machine, path: string): Promise<string> =>
  readFile(`/proc/${machine.pid}/root/proc/${path}`, 'utf8').catch(() => '');
const readProcLink = (machine: Machine, path: string): Promise<string> =>
  readlink(`/proc/${machine.pid}/root/proc/${path}`).catch(() => '');

/** The master's process ID as the machine sees it; '' if Postfix does not run. */
async function masterOf(machine: Machine): Promise<string> {
  const pid = (await machine.peek('/var/spool/postfix/pid/master.pid')).trim();
  return pid !== '' && (await readProc(machine, `${pid}/comm`)) === 'master\n' ? pid : '';
}

async function childrenOf(machine: Machine, pid: string): Promise<readonly string[]> {
  return (await readProc(machine, `${pid}/task/${pid}/children`)).split(' ').filter((child) => child !== '');
}

/** The children of each master when it was last seen settled, so that little is read if nothing has happened. */
const settledWith = new WeakMap<Machine, ReadonlySet<string>>();

/** `waiting` for whatever comes; `blocked` by one thing, as in a session; some kernels do not say by what. */
async function doingOf(machine: Machine, pid: string): Promise<'waiting' | 'blocked' | 'busy' | 'unknown'> {
  const [status, place] = await Promise.all([readProc(machine, `${pid}/status`), readProc(machine, `${pid}/wchan`)]);
  const isSignalled = [...status.matchAll(/^(?:SigPnd|ShdPnd):\t([0-9a-f]+)$/gmu)].some(
    ([, mask = '0']) => (BigInt(`0x${mask}`) & hangup) !== 0n,
  );
  if (isSignalled || /^State:\t[RD]/mu.test(status)) return 'busy';
  if (place === '' || place === '0') return 'unknown';
  return /epoll|ep_poll/u.test(place) ? 'waiting' : 'blocked';
}

/**
 * Whether no reload is under way, and no process from before the last one can take anything more. One in a session or a
 * delivery does not count: it goes on to its end, as on any host. Nor does one that waits for the lock of its service: it
 * is the next one's turn as soon as an old one ends.
 */
export async function hasSettled(machine: Machine): Promise<boolean> {
  const master = await masterOf(machine);
  if (master === '') return true;
  if (['busy', 'blocked'].includes(await doingOf(machine, master))) return false;
  const children = await childrenOf(machine, master);
  // A reload starts new ones at once.
  if (children.every((pid) => settledWith.get(machine)?.has(pid))) return true;
  const folder = `/proc/${machine.pid}/root/proc/${master}/fd`;
  const descriptors = await readdir(folder).catch(() => []);
  const open = new Set(await Promise.all(descriptors.map((name) => readProcLink(machine, `${master}/fd/${name}`))));
  const canTakeMore = async (pid: string): Promise<boolean> => {
    const pipe = await readProcLink(machine, `${pid}/fd/${statusPipe}`);
    if (pipe === '' || open.has(pipe)) return false;
    return ['busy', 'waiting'].includes(await doingOf(machine, pid));
  };
  return !(await Promise.all(children.map(canTakeMore))).includes(true);
}

/** Waits for the end of a reload, whoever asked for it: seen twice, because one look takes a moment itself. */
export async function settle(machine: Machine): Promise<void> {
  const settled = async (): Promise<true | undefined> => {
    const children = await childrenOf(machine, await masterOf(machine));
    if (!(await hasSettled(machine)) || !(await hasSettled(machine))) return undefined;
    settledWith.set(machine, new Set(children));
    return true;
  };
  if ((await poll(settled, patienceMs)) === undefined) throw new Error(`${machine.hostname}: a reload does not end`);
}

/** Waits for that on every host of the lab, after a command that may have changed any of them. */
export async function settleAll(): Promise<void> {
  await Promise.all(mailMachines.map(settle));
}
