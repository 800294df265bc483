// The Sys of a real process: its folders, user, terminal and clock. A test passes its own ProcessLike and gets the same
// Sys.

import { fstatSync, readlinkSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { styleText } from 'node:util';
import {
  escapeControls,
  quote,
  quotePath,
  RelaycertsError,
  renderHint,
  type ErrorCode,
  type Hint,
  type Problem,
} from '../errors.js';
import { Secret } from '../secret.js';
import { pathWord } from '../shell-word.js';
import { flushOutput } from './flush-output.js';
import { makeProgress } from './progress.js';
import type { TerminalQuestion } from './prompt.js';
import type { Run } from './run.js';
import { shownPath } from './shown-path.js';
import type { Style, Sys } from './sys.js';

export interface SysOptions extends Pick<Sys, 'program' | 'command' | 'typed'> {
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
  /** In seconds. */
  readonly wait: number;
}

/** What the program uses of its process: `process` is one, and a test passes its own. */
export interface ProcessLike {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: AsyncIterable<Buffer> & { readonly isTTY?: boolean; destroy?(): unknown };
  readonly stdout: ProcessOutput;
  readonly stderr: ProcessOutput;
  exitCode?: number | string | null | undefined;
  cwd(): string;
  geteuid?(): number;
  /** Another clock in place of this machine's. */
  readonly now?: () => Date;
  /** Another word for relaycerts in place of how this process was called. */
  readonly program?: string;
  /** Another way to run children, not in this process's folder and environment. */
  readonly run?: Run;
}

export interface ProcessOutput {
  readonly fd?: number;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly errored?: Error | null;
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
}

/**
 * The Sys of a process; `onWrite` is called for everything that goes to stdout. Colour only marks words that are
 * printed anyway, and only on a terminal.
 */
export function processSys(
  { quiet, verbose, color, wait, program, command, typed }: SysOptions,
  outside: ProcessLike = process,
  onWrite: () => void = () => undefined,
): Sys {
  // Node's streams are slow to load, so each is opened only when needed; few commands need stdin.
  const { env, stdout } = outside;
  const isColored = ({ isTTY }: ProcessOutput): boolean =>
    color && isTTY === true && env['TERM'] !== 'dumb' && (env['NO_COLOR'] ?? '') === '';
  const markOn = (stream: ProcessOutput, style: Style, word: string): string =>
    isColored(stream) ? styleText(style, word, { validateStream: false }) : word;
  const mark = (style: Style, word: string): string => markOn(outside.stderr, style, word);
  // inquirer looks only at the environment.
  if (!color) env['NO_COLOR'] = '1';
  let hasBar = false;
  const erase = (): void => {
    if (hasBar) outside.stderr.write('\r\u001b[K');
    hasBar = false;
  };
  const line = (text: string): void => {
    erase();
    outside.stderr.write(`relaycerts: ${text}\n`);
  };
  const [ownHome, configHome] = [folderIn(env, 'HOME'), folderIn(env, 'XDG_CONFIG_HOME')];
  const home = ownHome ?? homeOfUser();
  const write = (data: string | Uint8Array): void => {
    if (data.length > 0) onWrite();
    stdout.write(data);
  };
  const shown = (path: string): string => shownPath(path, { cwd: currentFolder(outside), home });
  const warn = (text: string, hint?: Hint): void => {
    line(`${mark('yellow', 'warning:')} ${escapeControls(text)}`);
    if (hint !== undefined) line(`${mark('cyan', 'hint:')} ${escapeControls(renderHint(hint, program))}`);
  };
  const sayFar = (text: string): void => {
    if (!quiet) line(text);
  };
  const draw = (bar: string): void => {
    if (quiet) return;
    hasBar = true;
    outside.stderr.write(`\r${bar}\u001b[K`);
  };
  return {
    cwd: currentFolder(outside),
    home,
    configHome: configHome ?? join(home, '.config'),
    cacheHome: folderIn(env, 'XDG_CACHE_HOME') ?? join(home, '.cache'),
    uid: outside.geteuid?.() ?? -1,
    pid: process.pid,
    machine: hostname(),
    program,
    command,
    typed,
    get interactive() {
      return outside.stderr.isTTY === true && outside.stdin.isTTY === true;
    },
    get tty() {
      return outside.stdin.isTTY === true ? (descriptorName(0) ?? env['GPG_TTY']) : undefined;
    },
    now: outside.now ?? (() => new Date()),
    lockWait: wait,
    outputIsTerminal: stdout.isTTY === true,
    write,
    paint: (style, word) => markOn(stdout, style, word),
    writeSecret: (data) => {
      const open = openOutput(stdout);
      if (open !== undefined) warn(open.message, open.hint);
      write(data);
    },
    flush: () => flushOutput(stdout),
    isQuiet: quiet,
    say: (text, path) => {
      if (!quiet) for (const one of withPath(text, path === undefined ? undefined : shown(path))) line(one);
    },
    progress: makeProgress(() => {
      const { isTTY, columns = 80 } = outside.stderr;
      return { isTerminal: isTTY === true && env['TERM'] !== 'dumb', columns, draw, erase, say: sayFar };
    }),
    detail: (text) => {
      if (verbose && !quiet) line(escapeControls(text));
    },
    warn,
    confirm: async (message) => (await ask({ type: 'confirm', message, default: false })) === true,
    askSecret,
    askNewSecret: async (question) => {
      for (;;) {
        const first = await askSecret(question);
        if (first.revealText() === '') return first;
        const second = await askSecret('The same again:');
        if (first.revealText() === second.revealText()) return first;
        line('the two are not alike; once more');
      }
    },
    readStdin: async (limit) => readAll(outside.stdin, limit),
    stdin: (stop) => {
      // Otherwise the process would wait for stdin to end.
      stop?.addEventListener('abort', () => void outside.stdin.destroy?.(), { once: true });
      return outside.stdin;
    },
    endWith: (status) => {
      outside.exitCode = status;
    },
    // Loaded when needed: few commands run child processes.
    run: outside.run ?? (async (...call) => (await import('./run.js')).run(...call)),
  };
}

/** On one line if that fits into 80 columns, after the name of the program. */
function withPath(text: string, path: string | undefined): readonly string[] {
  const words = escapeControls(text);
  if (path === undefined) return [words];
  const both = `${words}: ${path}`;
  return both.length + 'relaycerts: '.length <= 80 ? [both] : [`${words}:`, `  ${path}`];
}

/** @throws files - somebody removed it */
function currentFolder(outside: ProcessLike): string {
  const hint = 'cd to the folder of the settings, and run it again';
  return orRefuse(() => outside.cwd(), 'files', 'the folder that this runs in is gone', hint);
}

/** @throws usage - the user has none, such as a uid of its own in a container */
function homeOfUser(): string {
  const hint = 'export HOME=/the/folder/for/the/operator/key, and run it again';
  return orRefuse(() => userInfo().homedir, 'usage', 'HOME is not set, and this user is in no list of users', hint);
}

function orRefuse(work: () => string, code: ErrorCode, message: string, hint: string): string {
  try {
    return work();
  } catch (error) {
    throw new RelaycertsError(code, message, { hint, cause: error });
  }
}

/** An absolute path. Paths below it are printed, listed one per line, and used in commands. @throws usage */
function folderIn(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const path = env[name] ?? '';
  if (escapeControls(path) === path) return isAbsolute(path) ? path : undefined;
  throw new RelaycertsError('usage', `${name} has a control character: ${quote(path, 200)}`, {
    hint: `set ${name} to another folder`,
  });
}

/** What a descriptor of this process was opened as, if /proc knows. */
function descriptorName(fd: number): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}

/** True if stdout is a regular file that others can read or change; not for a pipe, a terminal or /dev/null. */
function openOutput({ fd }: ProcessOutput): Problem | undefined {
  if (fd === undefined) return undefined;
  const stats = fstatSync(fd);
  if (!stats.isFile() || (stats.mode & 0o077) === 0) return undefined;
  const name = descriptorName(fd);
  const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
  return {
    message: `a secret goes to ${name === undefined ? 'a file' : quotePath(name)} that others can read or change (mode ${mode})`,
    hint: `chmod 600 ${name === undefined ? 'FILE' : pathWord(name)} # and before the next one: umask 077`,
  };
}

async function askSecret(message: string): Promise<Secret> {
  const answer = await ask({ type: 'password', message, mask: false });
  if (typeof answer !== 'string') throw new TypeError('inquirer gave something else than text');
  return new Secret(answer);
}

async function ask(question: TerminalQuestion): Promise<unknown> {
  return (await import('./prompt.js')).promptOnce(question, 'touched');
}

async function readAll(input: AsyncIterable<Buffer>, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const bytes of input) {
    size += bytes.length;
    if (size > limit) throw new RelaycertsError('files', `standard input is larger than ${limit} octets`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}
