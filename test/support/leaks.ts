// Where secrets went while a program and everything it started ran: seen in their system calls (strace), in their
// output and in the files that are left. A leak is a secret's name and a place; the test says whether it is intended.

import { readFileSync, rmSync, statSync } from 'node:fs';
import { filesBelow, type KnownSecret } from './secrets.js';
import { joinedLines } from './strace.js';

export interface Leak {
  readonly secret: string;
  /** `execve of gpg`, `stdout`, `stderr`, `pipe of gpg`, `file PATH`, `tree PATH`, `mode 644 of PATH`. */
  readonly where: string;
}

const writes = 'write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,splice,vmsplice,copy_file_range';
const files =
  'open,openat,openat2,creat,chmod,fchmod,fchmodat,?fchmodat2,rename,renameat,renameat2,link,linkat,symlink';
/** Names of Node's memory dumps; `core` is the kernel's. */
const dumps = /(?:\.heapsnapshot|\.heapprofile|\.cpuprofile|\/core(?:\.\d+)?|\/report\.[^/]*\.json)$/u;

/**
 * The strace command before a program's; every string is printed as hexadecimal, so that no text can look like syntax.
 */
export function straceTo(file: string): readonly string[] {
  const calls = `trace=execve,execveat,${writes},${files},memfd_create`;
  return ['strace', '-f', '--seccomp-bpf', '-qq', '-v', '-yy', '-xx', '-s', '1000000', '-o', file, '-e', calls];
}

/** File work in one thread, through calls that strace shows. */
export const straceEnvironment = { UV_THREADPOOL_SIZE: '1', UV_USE_IO_URING: '0' } as const;

const unescape = (text: string): Buffer => Buffer.from(text.replaceAll(/\\x/gu, ''), 'hex');
const decoded = (text: string): string => text.replaceAll(/(?:\\x[0-9a-f]{2})+/gu, (run) => unescape(run).toString());

interface Call {
  readonly pid: string;
  readonly name: string;
  /** The arguments, strings and paths still in hexadecimal. */
  readonly args: string;
  readonly strings: readonly Buffer[];
  readonly result: string;
}

function callsIn(trace: string): readonly Call[] {
  return joinedLines(trace).flatMap((line) => {
    const [, pid = '', name = '', args = '', result = ''] = /^(\d+) +(\w+)\((.*)\) += (.*)$/u.exec(line) ?? [];
    if (name === '') return [];
    // A string that strace cut short would hide its contents.
    if (/"\.\.\./u.test(args)) throw new Error(`strace cut a string: ${line.slice(0, 80)}`);
    const strings = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/gu)].map(([, text = '']) => unescape(text));
    return [{ pid, name, args, strings, result }];
  });
}

export interface Trace {
  /** What was written or passed on, by place. */
  readonly places: ReadonlyMap<string, Buffer>;
  /** Every mode that a file had since it was made, under every path that it had. */
  readonly modes: ReadonlyMap<string, readonly number[]>;
  /** The programs that ran. */
  readonly programs: ReadonlySet<string>;
  /** Files that hold memory. */
  readonly dumps: readonly string[];
}

/** Reads a trace, and removes it. */
export function readTrace(file: string): Trace {
  const places = new Map<string, Buffer[]>();
  const modes = new Map<string, number[]>();
  const names = new Map<string, string>();
  const dumped: string[] = [];
  const add = (place: string, bytes: readonly Buffer[]): void => {
    places.set(place, [...(places.get(place) ?? []), ...bytes]);
  };
  for (const { pid, name, args, strings, result } of callsIn(readFileSync(file, 'latin1'))) {
    if (result.startsWith('-1 ') || result.startsWith('?')) continue;
    if (name.startsWith('execve')) {
      const program = strings[0]?.toString().split('/').at(-1) ?? '';
      names.set(pid, program);
      // A zero in between, so that no two words are joined.
      add(
        `execve of ${program}`,
        strings.flatMap((part) => [part, Buffer.alloc(1)]),
      );
    } else if (writes.split(',').includes(name)) {
      const [, fd = '', target = ''] = /^(\d+)<(.*?)>(?:, |$)/u.exec(args) ?? [];
      add(placeOf(names.get(pid) ?? 'node', fd, decoded(target)), strings);
    } else if (/^(?:open|openat|openat2|creat)$/u.test(name)) {
      const path = decoded(/^\d+<(.*)>$/u.exec(result)?.[1] ?? '');
      if (!/O_CREAT|^creat/u.test(name === 'creat' ? name : args)) continue;
      const mode = Number.parseInt(/, (0\d*) ?\}?(?:, \d+)?$/u.exec(args)?.[1] ?? '', 8);
      modes.set(path, [...(modes.get(path) ?? []), mode]);
      if (dumps.test(path)) dumped.push(path);
    } else if (name.includes('chmod')) {
      const path = strings[0]?.toString() ?? decoded(/^\d+<(.*?)>/u.exec(args)?.[1] ?? '');
      modes.set(path, [...(modes.get(path) ?? []), Number.parseInt(/, (0\d+)/u.exec(args)?.[1] ?? '', 8)]);
    } else if (name.startsWith('rename') || name.startsWith('link')) {
      const [from = '', to = ''] = strings.map((part) => part.toString());
      modes.set(to, [...(modes.get(from) ?? [])]);
      // What is staged under a number belongs to the file that it becomes.
      const parts = places.get(`file ${from}`);
      if (parts !== undefined) add(`file ${to}`, parts);
      if (name.startsWith('rename')) places.delete(`file ${from}`);
    } else if (name === 'memfd_create') {
      add('memory file', strings);
    }
  }
  rmSync(file);
  return {
    places: new Map([...places].map(([place, parts]) => [place, Buffer.concat(parts)])),
    modes,
    programs: new Set(names.values()),
    dumps: dumped,
  };
}

function placeOf(program: string, fd: string, target: string): string {
  if (target.startsWith('/') && !/^\/dev\/(?:pts|tty)/u.test(target)) return `file ${target}`;
  if (program === 'node' && (fd === '1' || fd === '2')) return fd === '1' ? 'stdout' : 'stderr';
  return `pipe of ${program}`;
}

function holds(data: Buffer, needles: readonly Buffer[]): boolean {
  const joined = data.includes(0x0a) ? Buffer.from(data.toString('latin1').replaceAll(/[\r\n]/gu, ''), 'latin1') : data;
  return needles.some((needle) => data.includes(needle) || joined.includes(needle));
}

/** Where each secret went in a trace, and every file with one that was ever open to others. */
export function leaksOf(trace: Trace, secrets: readonly KnownSecret[]): readonly Leak[] {
  const found = [...trace.places].flatMap(([where, data]) =>
    secrets.filter(({ needles }) => holds(data, needles)).map(({ name }) => ({ secret: name, where })),
  );
  const wide = found.flatMap(({ secret, where }) => {
    const modes = where.startsWith('file ') ? (trace.modes.get(where.slice('file '.length)) ?? [Number.NaN]) : [];
    const open = modes.filter((mode) => !((mode & 0o077) === 0 && mode > 0));
    return open.map((mode) => ({ secret, where: `mode ${mode.toString(8)} of ${where.slice('file '.length)}` }));
  });
  const dumped = trace.dumps.map((path) => ({ secret: 'memory', where: `file ${path}` }));
  return unique([...found, ...wide, ...dumped]);
}

/** Which secrets are in the files below these folders; one that others may read is also reported. */
export function leaksInTree(folders: readonly string[], secrets: readonly KnownSecret[]): readonly Leak[] {
  return unique(
    folders.flatMap(filesBelow).flatMap((path) => {
      const data = readFileSync(path);
      const mode = statSync(path).mode & 0o7777;
      const inside = secrets.filter(({ needles }) => holds(data, needles)).map(({ name }) => name);
      if (dumps.test(path)) inside.push('memory');
      return inside.flatMap((secret) => [
        { secret, where: `tree ${path}` },
        ...((mode & 0o077) === 0 ? [] : [{ secret, where: `mode ${mode.toString(8)} of ${path}` }]),
      ]);
    }),
  );
}

function unique(leaks: readonly Leak[]): readonly Leak[] {
  return [...new Map(leaks.map((leak) => [`${leak.secret}\0${leak.where}`, leak])).values()];
}
