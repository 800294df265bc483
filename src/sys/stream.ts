// Another program's output in pieces, for output too large to hold. Each line of its standard error goes to `hear`.
// Like sys/run.ts it takes an argv array, never a shell string.

import { spawn } from 'node:child_process';
import { RelaycertsError, systemCode } from '../errors.js';
import { lineSplitter, utf8Of } from './lines.js';

/** What a program may take; unlimited for one that runs until somebody stops it. */
export interface StreamLimits {
  readonly octets: number;
  /** Until the first and between two pieces of output. */
  readonly silentMs: number;
  readonly wholeMs: number;
}

interface StreamOptions {
  /** Written to its standard input, which is then closed. */
  readonly input: string;
  /** Ends the program. */
  readonly stop: AbortSignal | undefined;
  readonly limits: StreamLimits | undefined;
  /** Receives each line of its standard error. */
  readonly hear: (line: string) => void;
}

/**
 * A program's standard output, to its end; the return value is its exit status, null if a signal ended it.
 * @throws tool - there is no such program, or it went over a limit
 */
export async function* streamOf(
  command: string,
  args: readonly string[],
  { input, stop, limits, hear }: StreamOptions,
): AsyncGenerator<Buffer, number | null> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const ended = new Promise<number | null>((fulfil, reject) => {
    child.on('error', (error) => {
      const isMissing = systemCode(error) === 'ENOENT';
      reject(isMissing ? new RelaycertsError('tool', `${command} is not installed here`, { cause: error }) : error);
    });
    child.on('close', fulfil);
  });
  ended.catch(() => undefined);
  stop?.addEventListener('abort', () => child.kill(), { once: true });
  const errors = lineSplitter((line) => hear(utf8Of(line)));
  child.stderr.on('data', (chunk: Buffer) => errors.add(chunk));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  let refuse: (error: Error) => void;
  const isOver = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  isOver.catch(() => undefined);
  const giveUp = (words: string): void => {
    const error = new RelaycertsError('tool', words);
    child.stdout.destroy(error);
    // It may have closed its output before.
    refuse(error);
  };
  const after = (milliseconds: number, words: string): NodeJS.Timeout =>
    setTimeout(() => giveUp(`${words} ${milliseconds / 1000} seconds`), milliseconds);
  const silence = limits && after(limits.silentMs, 'it wrote nothing for');
  const whole = limits && after(limits.wholeMs, 'it did not end in');
  let octets = 0;
  try {
    const output: AsyncIterable<Buffer> = child.stdout;
    for await (const chunk of output) {
      silence?.refresh();
      octets += chunk.length;
      if (limits !== undefined && octets > limits.octets) giveUp(`it wrote more than ${limits.octets / 2 ** 20} MiB`);
      else yield chunk;
    }
    const status = await Promise.race([ended, isOver]);
    errors.end();
    return status;
  } finally {
    clearTimeout(silence);
    clearTimeout(whole);
    child.kill();
    // What it has started may still hold them.
    child.stdout.destroy();
    child.stderr.destroy();
  }
}
