// A real terminal for tests: a program in a private tmux server, with a given size and TERM. Keys go in as a person
// types them, and tests assert what is on the screen. Disposing ends the server and everything in it.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTools } from './require-tools.js';
import { sharedCache } from './project.js';

export interface TerminalRequest {
  readonly command: readonly [string, ...string[]];
  readonly cwd: string;
  /** The whole environment, except TERM. */
  readonly env: Readonly<Record<string, string>>;
  readonly columns?: number;
  readonly rows?: number;
  readonly term?: string;
  /** Sends the program's stdout into this file. */
  readonly stdout?: string;
}

export interface Terminal {
  /** Presses keys by their tmux names: `Enter`, `Up`, `Down`, `Space`, `BSpace`, `C-c`. */
  press(...keys: readonly [string, ...string[]]): void;
  /** Types text, without Enter. */
  type(text: string): void;
  /** What is on the screen and above it. */
  screen(): string;
  /** Every byte that the program sent to the terminal. */
  sent(): string;
  /**
   * Waits until the text is on the screen or above it; spaces and line breaks do not count, so that text is found
   * however it is wrapped. With a `count`, that many times. @throws Error with the screen, after the time limit
   */
  waitFor(text: string, count?: number): Promise<void>;
  /** Waits for the program's end and gives its exit status. */
  ended(): Promise<number>;
  dispose(): void;
}

let started = 0;

/** Milliseconds: a busy machine takes many times as long as an idle one. */
const patience = 240_000;

/** Starts a program in its own terminal. @throws Error naming the Debian package if tmux is missing */
export async function openTerminal(request: TerminalRequest): Promise<Terminal> {
  requireTools('tmux');
  const { command, cwd, env, columns = 80, rows = 40, term = 'tmux-256color' } = request;
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-tty-'));
  const [log, status] = [join(folder, 'log'), join(folder, 'status')];
  started += 1;
  const server = `relaycerts-${String(process.pid)}-${String(started)}`;
  const tmux = (...args: readonly string[]): string => {
    const result = spawnSync('tmux', ['-L', server, '-f', '/dev/null', ...args], {
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        LANG: 'C.UTF-8',
        TERM: 'xterm-256color',
        TMUX_TMPDIR: folder,
      },
    });
    if (result.status !== 0) throw new Error(`tmux ${args[0] ?? ''}: ${result.stderr.toString()}`);
    return result.stdout.toString();
  };
  // The shell waits until the terminal is recorded, outlives Ctrl-C, and leaves the exit status to be read whole.
  const wait = `while [ ! -e '${log}' ]; do sleep 0.02; done`;
  const output = request.stdout === undefined ? '' : ` > '${request.stdout}'`;
  const script = `trap : INT; ${wait}; "$@"${output}; echo $? > '${status}.new'; mv '${status}.new' '${status}'; sleep 99999`;
  const variables = Object.entries({ ...sharedCache, ...env, TERM: term }).map(([name, value]) => `${name}=${value}`);
  const program = ['env', '-i', ...variables, 'sh', '-c', script, 'sh', ...command];
  const dispose = (): void => {
    spawnSync('tmux', ['-L', server, 'kill-server'], { env: { ...process.env, TMUX_TMPDIR: folder } });
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    tmux('new-session', '-d', '-x', String(columns), '-y', String(rows), '-c', cwd, ...program);
    tmux('pipe-pane', '-O', `cat > '${log}'`);
  } catch (error) {
    dispose();
    throw error;
  }
  const screen = (): string => tmux('capture-pane', '-p', '-S', '-');
  const until = async (what: string, isTrue: () => boolean): Promise<void> => {
    const end = Date.now() + patience;
    while (!isTrue()) {
      if (Date.now() > end) throw new Error(`waited ${String(patience)} ms for ${what}; the screen:\n${screen()}`);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  };
  return {
    press: (...keys) => void tmux('send-keys', ...keys),
    type: (text) => void tmux('send-keys', '-l', '--', text),
    screen,
    sent: () => readFileSync(log, 'utf8'),
    waitFor: (text, count = 1) => until(JSON.stringify(text), () => bare(screen()).split(bare(text)).length > count),
    ended: async () => {
      await until('the end', () => existsSync(status));
      return Number(readFileSync(status, 'utf8'));
    },
    dispose,
  };
}

/** Text for comparison: without spaces and line breaks, which depend on the width. */
export function bare(text: string): string {
  return text.replaceAll(/\s/gu, '');
}
