// A throwaway project: a folder with settings and its own HOME. `run` runs a command line in this process, with the
// project's folder, environment and clock in place of the process's own; `spawn` and `start` run the built program, for
// what only a process has: signals, a umask, file descriptors, another user, its system calls. There is no terminal
// here.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { runProgram } from '../../src/cli.js';
import { processSys, type ProcessLike } from '../../src/sys/process-sys.js';
import { run as runChild } from '../../src/sys/run.js';
import type { Sys } from '../../src/sys/sys.js';
import { checkAnswer } from './answer.js';

export const program = resolve(import.meta.dirname, '../../bin/relaycerts.js');
/** For the environment of the program: not every process compiles it again, and a HOME holds only what a test is about. */
export const sharedCache = { XDG_CACHE_HOME: resolve(import.meta.dirname, '../../node_modules/.cache') };

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Input {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
}

export interface RunInput extends Input {
  /** The folder it runs in, if not the project's. */
  readonly cwd?: string;
  /** The user that the program believes to be. */
  readonly uid?: number;
  /** What the program's clock says at the start; gpg and the disk use the real time. */
  readonly now?: Date;
}

export interface SpawnInput extends Input {
  /** Runs the program under this command (`['sh', '-c', 'umask 000; exec "$@"', 'sh']`). */
  readonly under?: readonly string[];
}

export interface Project {
  readonly folder: string;
  readonly home: string;
  /** Runs a command line in the folder, within this process. */
  run(args: readonly string[], input?: RunInput): Promise<Result>;
  /** The outside as a command line sees it, for calls that need no command line. */
  sys(): Sys;
  /** Runs the built program in the folder, as a process of its own. */
  spawn(args: readonly string[], input?: SpawnInput): Result;
  /** The same, without waiting for each other. */
  start(args: readonly string[], input?: SpawnInput): Promise<Result>;
  path(...parts: readonly string[]): string;
  read(...parts: readonly string[]): string;
  write(path: string, content: string | Buffer): void;
  settings(settings: unknown): void;
  remove(): void;
}

/** Settings with one relay and one client, and any differences. */
export function smallSettings(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    ...change,
  };
}

/** A copy of everything that a project has made, in its own folder and home. */
export function copyOf(made: Project): Project {
  const copy = makeProject(null);
  for (const part of ['folder', 'home'] as const) {
    // Not fs.cp, which gives folders the modes of the umask.
    const { status, stderr } = spawnSync('cp', ['-a', `${made[part]}/.`, copy[part]]);
    if (status !== 0) throw new Error(stderr.toString());
  }
  return copy;
}

/** A new project; with `null`, without settings. */
export function makeProject(settings: unknown = smallSettings()): Project {
  const root = mkdtempSync(join(tmpdir(), 'relaycerts-cli-'));
  chmodSync(root, 0o755);
  const [folder, home] = [join(root, 'project'), join(root, 'home')];
  mkdirSync(folder);
  mkdirSync(home);
  // As if installed: printed commands then begin with `relaycerts`.
  mkdirSync(join(root, 'bin'));
  symlinkSync(program, join(root, 'bin/relaycerts'));
  // Nothing of the machine's own GnuPG or configuration reaches the program.
  const environmentOf = ({ env = {} }: Input) => ({
    PATH: `${join(root, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: home,
    ...sharedCache,
    LANG: 'C.UTF-8',
    ...env,
  });
  const spawnOf = (args: readonly string[], input: SpawnInput) => {
    const [command = process.execPath, ...rest] = [...(input.under ?? []), process.execPath, program, ...args];
    return { command, rest, options: { cwd: folder, env: environmentOf(input) } };
  };
  const project: Project = {
    folder,
    home,
    run: (args, input = {}) => runWithin(args, { cwd: folder, ...input, env: environmentOf(input) }),
    sys: () =>
      processSys(
        { quiet: true, verbose: false, color: false, wait: 0, program: 'relaycerts', command: 'relaycerts', typed: [] },
        outsideOf({ cwd: folder, env: environmentOf({}) }).outside,
      ),
    spawn: (args, input = {}) => {
      const { command, rest, options } = spawnOf(args, input);
      const result = spawnSync(command, rest, { ...options, input: input.input ?? '', maxBuffer: 1 << 28 });
      if (result.error !== undefined) throw result.error;
      // Under another command stdout may go elsewhere.
      if (input.under === undefined) checkAnswer(args, result.stdout.toString());
      return { status: result.status, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
    },
    start: (args, input = {}) =>
      new Promise((fulfil, reject) => {
        const { command, rest, options } = spawnOf(args, input);
        const child = spawn(command, rest, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
        let [stdout, stderr] = ['', ''];
        child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
        child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
        child.on('error', reject);
        child.on('close', (status) => fulfil({ status, stdout, stderr }));
      }),
    path: (...parts) => join(folder, ...parts),
    read: (...parts) => readFileSync(join(folder, ...parts), 'utf8'),
    write: (path, content) => writeFileSync(join(folder, path), content),
    settings: (value) => writeFileSync(join(folder, 'settings.json'), JSON.stringify(value, undefined, 2)),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
  if (settings !== null) project.settings(settings);
  return project;
}

type Within = RunInput & Required<Pick<RunInput, 'cwd' | 'env'>>;

async function runWithin(args: readonly string[], within: Within): Promise<Result> {
  const number = args.find((word) => word.endsWith('-fd'));
  if (number !== undefined) throw new Error(`${number} is of a process: use spawn`);
  const { outside, output } = outsideOf(within);
  await runProgram(args, outside);
  const [stdout = '', stderr = ''] = [output.stdout, output.stderr].map((chunks) => Buffer.concat(chunks).toString());
  checkAnswer(args, stdout);
  return { status: Number(outside.exitCode), stdout, stderr };
}

/** A process in words: where it runs, and its output. */
function outsideOf({ cwd, env, input = '', now, uid }: Within) {
  const output: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  const begun = Date.now();
  const outside: ProcessLike = {
    env: { ...env },
    stdin: Readable.from(input.length === 0 ? [] : [Buffer.from(input)]),
    stdout: {
      write: (data, done) => {
        output.stdout.push(Buffer.from(data));
        done?.();
      },
    },
    stderr: { write: (data) => output.stderr.push(Buffer.from(data)) },
    program: 'relaycerts',
    exitCode: 0,
    cwd: () => cwd,
    geteuid: () => uid ?? process.geteuid?.() ?? -1,
    ...(now === undefined ? {} : { now: () => new Date(now.getTime() + Date.now() - begun) }),
    run: (command, words, options) => runChild(command, words, { ...options, inherited: { env, cwd } }),
  };
  return { outside, output };
}

/**
 * Every file and folder below: path -> mode, and for a file its digest and modification time; to compare two states.
 * For the lock only the mode, because every command that takes it writes its name into it.
 */
export function treeOf(folder: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const visit = (path: string, name: string): void => {
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    if (stats.isDirectory()) {
      tree[`${name}/`] = mode;
      for (const entry of readdirSync(path).toSorted()) visit(join(path, entry), `${name}/${entry}`);
    } else if (name === '.relaycerts.lock') {
      tree[name] = mode;
    } else {
      const digest = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);
      tree[name] = `${mode} ${digest} ${stats.mtimeMs}`;
    }
  };
  for (const entry of readdirSync(folder).toSorted()) visit(join(folder, entry), entry);
  return tree;
}

/** Only the modes. */
export function modesOf(folder: string): Record<string, string> {
  return Object.fromEntries(Object.entries(treeOf(folder)).map(([name, state]) => [name, state.slice(0, 4)]));
}
