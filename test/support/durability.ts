// Whether what a program did to files would outlast a power failure, judged by its system calls in a trace of strace:
// - a file or folder that is renamed or linked has been synced since it was last written, and a folder's content too;
// - whatever changes a name is followed by an fsync of the name's folder before the process ends;
// - what was written and stays is synced.
// Harmless, and so no fault: temporary names, which the next run sweeps away; the lock and the claims on it, which may
// vanish with the machine; names in a folder that is itself removed, as long as the folder's own name is durably gone.

import { readdirSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { joinedLines } from './strace.js';

/** What strace has to be told, besides where to write. */
export const durabilityOptions = [
  ['-f', '-qq', '-y', '-s', '300', '--seccomp-bpf', '-e'],
  [
    'trace=open,openat,creat,write,writev,pwrite64,pwritev,chmod,fchmod,fchmodat,ftruncate,truncate,rename,renameat,' +
      'renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync',
  ],
].flat();

/** File work in one thread, so that calls are in the trace in the order in which they were made. */
export const durabilityEnvironment = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' } as const;

const temporary = /^\..+\.relaycerts-\d+-[0-9a-f]{4}\.tmp(?:\.old)?$/u;
const lock = /^\.relaycerts\.lock(?:\.[0-9a-f]{16})*$/u;

export interface Ground {
  /** What lies elsewhere is not looked at. */
  readonly root: string;
  /** Where relative paths start from. */
  readonly cwd: string;
  /** What was there before, absolute. */
  readonly existing: ReadonlySet<string>;
}

export interface Verdict {
  /** Each fault in words; none where all is durable. */
  readonly faults: readonly string[];
  /** How many files or folders got a name that is not temporary, and how many lost one. */
  readonly named: number;
  readonly removed: number;
}

/** Every path below a folder, absolute. */
export function pathsBelow(folder: string): ReadonlySet<string> {
  return new Set(readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)));
}

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

const isPassing = (path: string): boolean => temporary.test(basename(path)) || lock.test(basename(path));

const moved = (path: string, from: string, to: string): string =>
  isBelow(path, from) ? to + path.slice(from.length) : path;

/** What the program whose trace this is left to luck. @throws Error for a call that this cannot judge */
export function judgeDurability(trace: string, { root, cwd, existing }: Ground): Verdict {
  const there = new Set(existing);
  /** Files whose bytes or mode are not synced. */
  const dirty = new Set<string>();
  /** Folders with names that are not synced, and the calls that changed those. */
  const loose = new Map<string, string[]>();
  const faults: string[] = [];
  const count = { named: 0, removed: 0 };

  const loosen = (path: string, call: string): void => {
    if (isPassing(path)) return;
    loose.set(dirname(path), [...(loose.get(dirname(path)) ?? []), call]);
  };
  const add = (path: string, call: string): void => {
    there.add(path);
    if (!isPassing(path)) count.named += 1;
    loosen(path, call);
  };
  const drop = (path: string, call: string): void => {
    for (const each of [...there].filter((one) => isBelow(one, path))) there.delete(each);
    for (const each of [...dirty].filter((one) => isBelow(one, path))) dirty.delete(each);
    for (const each of [...loose.keys()].filter((one) => isBelow(one, path))) loose.delete(each);
    if (!isPassing(path)) count.removed += 1;
    loosen(path, call);
  };
  /** What gets a name must be whole by then, whatever it is: the name may be durable before it. */
  const expectWhole = (path: string, to: string, call: string): void => {
    if (isPassing(to)) return;
    for (const each of dirty) if (isBelow(each, path)) faults.push(`${call}: ${each} was not synced before`);
    for (const each of loose.keys()) {
      if (isBelow(each, path)) faults.push(`${call}: the folder ${each} was not synced before`);
    }
  };

  for (const line of joinedLines(trace)) {
    const [, name = '', args = '', result = ''] = /^(?:\d+ +)?(\w+)\((.*)\) += (.*)$/u.exec(line) ?? [];
    if (name === '' || result.startsWith('-1') || result.startsWith('?')) continue;
    const call = `${name}(${args})`;
    const of = args.replaceAll(/AT_FDCWD(?:<[^>]*>)?, /gu, '');
    const strings = [...of.matchAll(/"([^"]*)"/gu)].map(([, text = '']) => resolve(cwd, text));
    const open = /^\d+<(\/[^>]*)>/u.exec(of)?.[1];
    const [first, second] = name.includes('write') || open !== undefined ? [open] : strings;
    if (first === undefined || !isBelow(first, root)) continue;
    if (/^(?:open|openat|creat)$/u.test(name)) {
      if (!/O_CREAT|O_TRUNC/u.test(args) && name !== 'creat') continue;
      if (!there.has(first)) add(first, call);
      dirty.add(first);
    } else if (/write|chmod|truncate/u.test(name)) {
      dirty.add(first);
    } else if (/^f(?:data)?sync$/u.test(name)) {
      dirty.delete(first);
      loose.delete(first);
    } else if (name.startsWith('rename') && second !== undefined) {
      expectWhole(first, second, call);
      for (const each of [...there].filter((one) => isBelow(one, second))) there.delete(each);
      dirty.delete(second);
      for (const set of [there, dirty]) {
        for (const each of [...set].filter((one) => isBelow(one, first))) {
          set.delete(each);
          set.add(moved(each, first, second));
        }
      }
      for (const [folder, calls] of [...loose].filter(([one]) => isBelow(one, first))) {
        loose.delete(folder);
        loose.set(moved(folder, first, second), calls);
      }
      loosen(first, call);
      add(second, call);
    } else if (/^link(?:at)?$/u.test(name) && second !== undefined) {
      expectWhole(first, second, call);
      add(second, call);
      if (dirty.has(first)) dirty.add(second);
    } else if (name.startsWith('mkdir')) {
      add(first, call);
    } else if (/^(?:unlink|unlinkat|rmdir)$/u.test(name)) {
      drop(first, call);
    } else {
      throw new Error(`no rule for ${call}`);
    }
  }
  for (const path of dirty) if (there.has(path) && !isPassing(path)) faults.push(`${path} is not synced at the end`);
  for (const [folder, calls] of loose) {
    // A name in a temporary folder goes with it.
    if (folder.split('/').some((part) => temporary.test(part))) continue;
    faults.push(...calls.map((call) => `${call}: the folder ${folder} is not synced at the end`));
  }
  return { faults, ...count };
}
