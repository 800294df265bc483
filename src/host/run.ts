// Runs another program: an argv array, never a shell string. Secrets travel over a pipe of their own, never in argv
// or in the environment.

import { spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { RelaycertsError, systemCode } from '../errors.js';
import type { Secret } from '../secret.js';

export interface RunOptions {
  /** What the program reads from its standard input; nothing (/dev/null) where absent. */
  readonly input?: Uint8Array;
  /** Reaches the program on file descriptor 3. */
  readonly secret?: Secret;
  /** The program's file descriptor 4 is collected as `statusText`. */
  readonly collectStatus?: boolean;
  /** Added to the environment that this process has; undefined takes a name out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface RunResult {
  /** The exit status; 128 + the signal's place where a signal ended it, as a shell counts. */
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly statusText: string;
}

export type Run = (command: string, args: readonly string[], options?: RunOptions) => Promise<RunResult>;

/**
 * Runs a program to its end and collects what it says.
 * @throws tool - the program is not there or cannot be started
 */
export const run: Run = (command, args, options = {}) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      env: { ...process.env, ...options.env },
      stdio: [
        options.input === undefined ? 'ignore' : 'pipe',
        'pipe',
        'pipe',
        options.secret === undefined ? 'ignore' : 'pipe',
        options.collectStatus === true ? 'pipe' : 'ignore',
      ],
    });
    const collected: Buffer[][] = [[], [], []];
    for (const [at, stream] of [child.stdout, child.stderr, child.stdio[4]].entries()) {
      if (stream !== null && stream !== undefined && 'on' in stream) {
        stream.on('data', (chunk: Buffer) => collected[at]?.push(chunk));
      }
    }
    child.on('error', (error) => {
      const missing = systemCode(error) === 'ENOENT';
      reject(
        new RelaycertsError('tool', `cannot run ${command}: ${missing ? 'it is not installed' : error.message}`, {
          cause: error,
          ...(missing ? { hint: `install it: apt-get install ${packages[command] ?? command}` } : {}),
        }),
      );
    });
    child.on('close', (code, signal) => {
      const [stdout, stderr, status] = collected.map((chunks) => Buffer.concat(chunks));
      resolve({
        status: code ?? 128 + (signal === 'SIGINT' ? 2 : 15),
        stdout: stdout ?? Buffer.alloc(0),
        stderr: (stderr ?? '').toString(),
        statusText: (status ?? '').toString(),
      });
    });
    feed(child.stdin, options.input);
    feed(child.stdio[3] as Writable | null | undefined, options.secret?.revealBytes());
  });

const packages: Readonly<Record<string, string>> = { gpg: 'gnupg', ssh: 'openssh-client' };

function feed(stream: Writable | null | undefined, bytes: Uint8Array | undefined): void {
  if (stream === null || stream === undefined || bytes === undefined) return;
  // A program that ends before it has read all of its input says so with its exit status.
  stream.on('error', () => undefined);
  stream.end(bytes);
}
