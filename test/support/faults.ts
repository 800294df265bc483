// Faults in the system calls with which a command changes files: strace lists the calls of one whole run, and then
// breaks other runs at one of them. A point is a call by its name, its path and its number among the calls of that name
// on that path, so it is the same point in every run; strace's `-P` counts in the same way. Staged files have constant
// names (constant-names.mjs), and one thread does all file work, because strace counts each thread's calls separately.

import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { copyOf, type Project, type Result } from './project.js';
import { joinedLines } from './strace.js';

/** RELAYCERTS_DEEP=1: every point instead of a sample. */
export const isDeep = process.env['RELAYCERTS_DEEP'] === '1';

/** The errors of a disk. */
export const diskErrors = ['ENOSPC', 'EIO', 'EACCES', 'EROFS'] as const;
export type DiskError = (typeof diskErrors)[number];

export interface Point {
  readonly call: string;
  /** Relative to the folder that holds `project/` and `home/`. */
  readonly path: string;
  /** From 1, among the calls of this name on this path. */
  readonly nth: number;
}

/** A command in a project that was prepared once; each run works on a copy of it. */
export interface Scene {
  readonly base: Project;
  readonly args: readonly string[];
}

/** What an undisturbed run does. */
export interface WholeRun {
  /** The project after it. */
  readonly after: Project;
  /** Its calls that change files, in order. */
  readonly points: readonly Point[];
  /** The index of the rename that commits the change. */
  readonly commit: number;
  /** The index of the removal of the journal. */
  readonly end: number;
}

const calls =
  'open,openat,creat,write,writev,pwrite64,pwritev,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,' +
  'unlinkat,mkdir,mkdirat,rmdir,fsync,fdatasync,chmod,fchmod,fchmodat,chown,fchown,fchownat,ftruncate,truncate,' +
  'utimensat';
const strace = ['strace', '-f', '-qq', '-y', '-s', '0'] as const;
/** Does not stop at every other call. A signal injected this way may be lost. */
const quick = '--seccomp-bpf';
const names = pathToFileURL(resolve(import.meta.dirname, 'constant-names.mjs')).href;
const env = { UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: `--import=${names}` };

const rootOf = ({ folder }: Project): string => dirname(folder);

/** The file that strace writes to, outside the project and HOME. */
export function traceOf(project: Project): string {
  return join(rootOf(project), 'trace');
}

/** Runs the command to its end. @throws Error - it failed, or did not commit exactly one change */
export async function runWhole({ base, args }: Scene): Promise<WholeRun> {
  const after = copyOf(base);
  const under = [...strace, quick, '-o', traceOf(after), '-e', `trace=${calls}`];
  const result = await after.start(args, { env, under });
  if (result.status !== 0) throw new Error(`the whole run failed: ${result.stderr}`);
  const counts = new Map<string, number>();
  const points = joinedLines(readFileSync(traceOf(after), 'utf8')).flatMap((line): readonly Point[] => {
    const found = readCall(line, after);
    if (found === undefined) return [];
    const { call, path, changes } = found;
    const nth = (counts.get(`${call} ${path}`) ?? 0) + 1;
    counts.set(`${call} ${path}`, nth);
    return changes ? [{ call, path, nth }] : [];
  });
  const commits = indexesOf(points, /^rename/u, 'project/.relaycerts.change/draft');
  const ends = indexesOf(points, /^unlink/u, 'project/.relaycerts.change/journal');
  const [commit = -1] = commits;
  const [end = -1] = ends;
  if (commits.length !== 1 || ends.length !== 1) throw new Error(`${commits.length} commits, ${ends.length} ends`);
  return { after, points, commit, end };
}

function indexesOf(points: readonly Point[], call: RegExp, path: string): readonly number[] {
  return points.flatMap((point, index) => (call.test(point.call) && point.path === path ? [index] : []));
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
  // A call that fails changes nothing, and a file that is opened for reading does not change.
  const changes = !/\) += -1 /u.test(rest) && (!call.startsWith('open') || /O_(?:CREAT|TRUNC|WRONLY|RDWR)/u.test(rest));
  return { call, path, changes };
}

/**
 * The points that a daily run tries, as indexes: the commit, and by `turn` the begin of the staging, the last call before
 * the commit, the first one after it, the middle of carrying it out, or the end of the journal.
 */
export function chooseIndexes({ points, commit, end }: WholeRun, turn: number): readonly number[] {
  if (isDeep) return [...points.keys()];
  const staging = points.findIndex(({ path }) => path === 'project/.relaycerts.change');
  const others = [staging, commit - 1, commit + 1, Math.floor((commit + end) / 2), end];
  return [commit, others[turn % others.length] ?? end];
}

/** Runs the command until it is about to make this call, and kills it there. @throws Error - it never makes the call */
export async function runKilled({ args }: Scene, victim: Project, point: Point): Promise<void> {
  // With the error, the kernel cannot carry out the call before the process dies.
  const result = await victim.start(args, { env, under: breakAt(victim, point, 'error=EIO:signal=SIGKILL') });
  // strace dies of the same signal as the program.
  if (result.status !== null) throw new Error(`was not killed: exit ${String(result.status)}, ${result.stderr}`);
}

/** Runs the command, and sends it a signal when it makes this call. @throws Error - it never makes the call */
export async function runSignalled(scene: Scene, victim: Project, point: Point, signal: string): Promise<Result> {
  return runWith(scene, victim, breakAt(victim, point, `signal=${signal}`), `--- ${signal} `);
}

/** Runs the command, and makes this call fail. @throws Error - it never makes the call */
export async function runFailing(scene: Scene, victim: Project, point: Point, error: DiskError): Promise<Result> {
  return runWith(scene, victim, breakAt(victim, point, `error=${error}`, quick), '(INJECTED)');
}

async function runWith({ args }: Scene, victim: Project, under: readonly string[], expected: string): Promise<Result> {
  const result = await victim.start(args, { env, under });
  if (!readFileSync(traceOf(victim), 'utf8').includes(expected)) {
    throw new Error(`the call was never made: ${result.stderr}`);
  }
  return result;
}

/** The strace command line that disturbs a program at one point. */
export function breakAt(
  victim: Project,
  { call, path, nth }: Point,
  fault: string,
  ...options: readonly string[]
): readonly string[] {
  const inject = ['-e', `trace=${call}`, '-P', join(rootOf(victim), path), '-e', `inject=${call}:${fault}:when=${nth}`];
  return [...strace, ...options, '-o', traceOf(victim), ...inject];
}

/** A point in words. */
export function nameOf({ call, path, nth }: Point): string {
  return `${call} ${path}${nth === 1 ? '' : ` (${nth})`}`;
}
