// Runs another program with an argv array, never a shell string. Secrets go through pipes only, never through argv or
// the environment. The caller interprets the output.

import { spawn, type ChildProcess } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { RelaycertsError } from '../errors.js';

export interface RunOptions {
  /** Written to the child's standard input, which is then closed; without it the input is empty. */
  readonly input?: Uint8Array;
  /**
   * Reads the child's output, a line at a time, and may answer a line: the answer is written to its standard input,
   * which stays open until there was an answer or the child ends.
   */
  readonly answer?: (line: string) => Promise<string> | undefined;
  /** Gives the child a pipe as file descriptor 3 and collects what it writes there. */
  readonly statusFd?: boolean;
  /** Set in the child's environment, on top of the inherited one. */
  readonly env?: Readonly<Record<string, string>>;
  /** Octets of standard output, if it may be more than 16 MiB. */
  readonly mostOutput?: number;
  /** Milliseconds after which the child is ended; its status is 'late' then. */
  readonly timeoutMs?: number;
  /** What the child inherits in place of this process's environment and folder. */
  readonly inherited?: { readonly env: Readonly<Record<string, string>>; readonly cwd: string };
}

export interface RunResult {
  /** The exit status; null if a signal ended the child, 'late' if it took too long. */
  readonly status: number | 'late' | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  /** What the child wrote to file descriptor 3. */
  readonly statusText: string;
}

/** Octets of each output; the listing of a keyring of ten thousand keys takes a third of it. */
const usualOutput = 1 << 24;

export type Run = (command: string, args: readonly string[], options: RunOptions) => Promise<RunResult>;

/**
 * Runs a program to its end and captures all of its output (16 MiB each at most, or `mostOutput`).
 * @throws Node's system error if it cannot be started; RelaycertsError `tool` if it writes too much
 */
export const run: Run = (command, args, options) =>
  new Promise((resolve, reject) => {
    const { mostOutput = usualOutput } = options;
    const child = spawn(command, args, {
      cwd: options.inherited?.cwd,
      env: { ...(options.inherited?.env ?? process.env), ...options.env },
      stdio: [pipeIf(options.input !== undefined), 'pipe', 'pipe', pipeIf(options.statusFd === true)],
    });
    // What the child has started may hold the pipes open for as long as it likes.
    const end = (): void => {
      child.kill('SIGKILL');
      for (const pipe of child.stdio) pipe?.destroy();
    };
    const fail = (reason: unknown): void => {
      end();
      reject(reason);
    };
    let isLate = false;
    const late = (): void => {
      isLate = true;
      end();
    };
    const timer = options.timeoutMs === undefined ? undefined : setTimeout(late, options.timeoutMs);
    const stop = (): void => {
      fail(
        new RelaycertsError('tool', `${command} was stopped: it wrote more than ${mostOutput} octets`, {
          hint: `run ${command} by hand to see the same output`,
        }),
      );
    };
    const stdout = collect(child.stdout, stop, mostOutput);
    const stderr = collect(child.stderr, stop);
    const statusText = collect(child.stdio[3], stop);
    child.on('error', fail);
    child.on('close', (status) => {
      clearTimeout(timer);
      resolve({
        status: isLate ? 'late' : status,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
        statusText: Buffer.concat(statusText).toString(),
      });
    });
    // A program that ends before it has read all its input reports that with its exit status.
    child.stdin?.on('error', () => undefined);
    if (options.answer === undefined || child.stdin === null) {
      child.stdin?.end(options.input);
      return;
    }
    child.stdin.write(options.input ?? '');
    answerOnce(child.stdout, child.stdin, options.answer, fail);
  });

function answerOnce(
  output: ChildProcess['stdout'],
  input: Writable,
  answer: NonNullable<RunOptions['answer']>,
  fail: (reason: unknown) => void,
): void {
  let rest = '';
  let isAnswered = false;
  output?.on('data', (chunk: Buffer) => {
    if (isAnswered) return;
    const lines = `${rest}${chunk.toString()}`.split('\n');
    rest = (lines.pop() ?? '').slice(-longestLine);
    const reply = lines.map((line) => answer(line)).find((one) => one !== undefined);
    if (reply === undefined) return;
    isAnswered = true;
    reply.then((text) => input.end(text), fail);
  });
}

/** Octets of a line that may be answered. */
const longestLine = 4096;

function pipeIf(isUsed: boolean): 'pipe' | 'ignore' {
  return isUsed ? 'pipe' : 'ignore';
}

function collect(
  stream: ChildProcess['stdio'][number] | undefined,
  stop: () => void,
  most = usualOutput,
): readonly Buffer[] {
  const chunks: Buffer[] = [];
  let size = 0;
  if (!(stream instanceof Readable)) return chunks;
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= most) chunks.push(chunk);
    else stop();
  });
  return chunks;
}
