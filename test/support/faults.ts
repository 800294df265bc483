// Faults at every system call with which a command changes the file system: strace lists the calls of one whole run, and
// then breaks run after run at one of them. A point is a call by its name, its path and its number among the calls of
// that name on that path, so it is the same point however the calls of different files are ordered; strace's `-P`
// counts so. Temporary files have constant names (constant-names.mjs), and one thread does all file work, because strace
// counts each thread's calls by themselves.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { makeProject, type Project, type Result } from './project.js';
import { joinedLines } from './strace.js';

/** The errors that a disk gives. */
export const diskErrors = ['ENOSPC', 'EIO', 'EACCES', 'EROFS'] as const;
export type DiskError = (typeof diskErrors)[number] | 'EDQUOT';

export interface Point {
  readonly call: string;
  /** From the folder that holds `project/` and `home/`. */
  readonly path: string;
  /** From 1, among the calls of this name on this path. */
  readonly nth: number;
}

/** A command in a project that was prepared once; each run is in a copy of it. */
export interface Scene {
  readonly base: Project;
  readonly args: readonly string[];
  /** What the command runs under besides strace, for a file descriptor that it reads. */
  readonly under?: readonly string[];
}

const calls =
  'open,openat,creat,write,writev,pwrite64,pwritev,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,' +
  'unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,chmod,fchmod,fchmodat,chown,fchown,fchownat,ftruncate,truncate,' +
  'utimensat';
const program = ['strace', '-f', '-qq', '-y', '-s', '0'] as const;
/** Without a stop at every other call, which is quicker; but where strace stops so, the signal is lost. */
const quick = '--seccomp-bpf';
const names = pathToFileURL(resolve(import.meta.dirname, 'constant-names.mjs')).href;
const env = { UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: `--import=${names}` };
/** Seconds; a whole run takes less than one. */
const hangs = '60';

const rootOf = ({ folder }: Project): string => dirname(folder);
const traceOf = (project: Project): string => join(rootOf(project), 'trace');

/** A project that is the same as another, byte by byte, its HOME too. */
export async function copyOf(base: Project): Promise<Project> {
  const copy = makeProject(null);
  await new Promise<void>((fulfil, reject) => {
    const child = spawn('cp', ['-a', `${rootOf(base)}/.`, rootOf(copy)], { stdio: 'inherit' });
    child.on('error', reject);
    child.on('close', (status) => (status === 0 ? fulfil() : reject(new Error(`cannot copy ${base.folder}`))));
  });
  return copy;
}

/** Every call of the command that changes files of the project or of HOME, in the order of one whole run. */
export async function listPoints({ base, args, under = [] }: Scene): Promise<readonly Point[]> {
  const whole = await copyOf(base);
  try {
    const trace = traceOf(whole);
    const result = await whole.start(args, {
      env,
      under: [...under, ...program, quick, '-o', trace, '-e', `trace=${calls}`],
    });
    if (result.status !== 0) throw new Error(`the whole run failed: ${result.stderr}`);
    const counts = new Map<string, number>();
    return joinedLines(readFileSync(trace, 'utf8')).flatMap((line) => {
      const found = readCall(line, whole);
      if (found === undefined) return [];
      const { call, path, changes } = found;
      const nth = (counts.get(`${call} ${path}`) ?? 0) + 1;
      counts.set(`${call} ${path}`, nth);
      return changes ? [{ call, path, nth }] : [];
    });
  } finally {
    whole.remove();
  }
}

function readCall(
  line: string,
  project: Project,
): { readonly call: string; readonly path: string; readonly changes: boolean } | undefined {
  const [, call, first, rest = ''] =
    /^\d+ +(\w+)\((?:AT_FDCWD(?:<[^>]*>)?, )?(\d+<[^>]*>|"[^"]*")(.*)$/u.exec(line) ?? [];
  // Pipes and eventfds have no path.
  if (call === undefined || first === undefined || /^\d+<[^/]/u.test(first)) return undefined;
  const absolute = resolve(project.folder, first.replace(/^\d*[<"]/u, '').slice(0, -1));
  const root = `${rootOf(project)}/`;
  if (!absolute.startsWith(root)) return undefined;
  const path = absolute.slice(root.length);
  // A call that fails changes nothing, and a file that is opened for reading stays what it is.
  const changes = !/\) += -1 /u.test(rest) && (!call.startsWith('open') || /O_(?:CREAT|TRUNC|WRONLY|RDWR)/u.test(rest));
  return { call, path, changes };
}

/** Runs the command until it is about to make this call, and kills it there. @throws Error where it never comes to it */
export async function runKilled(scene: Scene, victim: Project, point: Point): Promise<void> {
  // With an error besides, no kernel carries the call out before the process dies.
  const result = await runWith(scene, victim, point, ['error=EIO:signal=SIGKILL']);
  // strace, and timeout above it, die of what their child died of.
  if (result.status !== null) throw new Error(`was not killed: exit ${String(result.status)}, ${result.stderr}`);
}

/** Runs the command, and lets this call fail. @throws Error where the command never makes it */
export async function runFailing(scene: Scene, victim: Project, point: Point, error: DiskError): Promise<Result> {
  const result = await runWith(scene, victim, point, [`error=${error}`, quick]);
  const trace = readFileSync(traceOf(victim), 'utf8');
  if (!trace.includes('(INJECTED)')) throw new Error(`the call was never made: ${result.stderr}`);
  return result;
}

async function runWith(
  { args, under = [] }: Scene,
  victim: Project,
  { call, path, nth }: Point,
  [fault = '', ...options]: readonly string[],
): Promise<Result> {
  const inject = ['-e', `trace=${call}`, '-P', join(rootOf(victim), path), '-e', `inject=${call}:${fault}:when=${nth}`];
  const whole = [...under, 'timeout', hangs, ...program, ...options, '-o', traceOf(victim), ...inject];
  const result = await victim.start(args, { env, under: whole });
  if (result.status === 124) throw new Error(`hung for ${hangs} s: ${result.stderr}`);
  return result;
}

/** Works on all items, two at a time; what is wrong with them, all together. */
export async function inPairs<T>(
  items: readonly T[],
  work: (item: T, index: number) => Promise<readonly string[]>,
  label: (item: T) => string,
): Promise<readonly string[]> {
  const wrong: string[] = [];
  const queue = [...items.entries()];
  const one = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, item] = next;
      const found = await work(item, index).catch((error: unknown) => [String(error)]);
      wrong.push(...found.map((what) => `${label(item)}: ${what}`));
    }
  };
  await Promise.all([one(), one()]);
  return wrong;
}

/** Where a point is, for people. */
export function nameOf({ call, path, nth }: Point): string {
  return `${call} ${path}${nth === 1 ? '' : ` (${nth})`}`;
}
