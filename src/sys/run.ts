// Runs another program: an argv array, never a shell string. Secrets travel over a pipe of their own, never in argv
// or in the environment.

import { spawn } from 'node:child_process';
import { Readable, Writable } from 'node:stream';
import { RelaycertsError } from '../errors.js';
import type { Secret } from '../secret.js';

export interface RunOptions {
  /** Written to the child's standard input, which is then closed; without it the input is empty. */
  readonly input?: Uint8Array;
  /** Written to a pipe that the child has as file descriptor 3. */
  readonly secretFd?: Secret;
  /** Gives the child a pipe as file descriptor 4 and collects what it writes there. */
  readonly statusFd?: boolean;
  /** Set in the child's environment, on top of the inherited one. */
  readonly env?: Readonly<Record<string, string>>;
  /** What the child inherits, if not this process's environment and folder. */
  readonly inherited?: { readonly env: Readonly<Record<string, string>>; readonly cwd: string };
}

export interface RunResult {
  /** The exit status; null where a signal ended the child. */
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** What came through file descriptor 4. */
  readonly statusText: string;
}

/** Octets of each output: a keyring of ten thousand keys is listed in a third of it. */
const mostOutput = 1 << 24;

/**
 * Runs a program to its end, all output captured; rejects with Node's system error where it cannot be started, and with
 * a RelaycertsError `tool` where it writes more than any of them has a reason to.
 */
export type Run = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

export const run: Run = (command, args, options) =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: options.inherited?.cwd,
      env: { ...(options.inherited?.env ?? process.env), ...options.env },
      stdio: [
        options.input === undefined ? 'ignore' : 'pipe',
        'pipe',
        'pipe',
        options.secretFd === undefined ? 'ignore' : 'pipe',
        options.statusFd === true ? 'pipe' : 'ignore',
      ],
    });
    const stop = (): void => {
      child.kill('SIGKILL');
      reject(
        new RelaycertsError('tool', `${command} was stopped: it wrote more than ${mostOutput} octets`, {
          hint: `${command} writes the same when it is run by hand`,
        }),
      );
    };
    const stdout = collect(child.stdout, stop);
    const stderr = collect(child.stderr, stop);
    const statusText = collect(child.stdio[4], stop);
    child.on('error', reject);
    child.on('close', (status) => {
      resolve({
        status,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
        statusText: Buffer.concat(statusText).toString(),
      });
    });
    feed(child.stdin, options.input);
    feed(child.stdio[3], options.secretFd?.revealBytes());
  });

type ChildStream = Readable | Writable | null | undefined;

function collect(stream: ChildStream, stop: () => void): readonly Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  if (!(stream instanceof Readable)) return chunks;
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= mostOutput) chunks.push(chunk);
    else stop();
  });
  return chunks;
}

function feed(stream: ChildStream, bytes: Uint8Array | undefined): void {
  if (!(stream instanceof Writable) || bytes === undefined) return;
  // A program that ends before it has read all of its input says so with its exit status.
  stream.on('error', () => undefined);
  stream.end(bytes);
}
