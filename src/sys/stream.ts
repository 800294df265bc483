// Another program's output in pieces, for output too large to hold. Each line of its standard error goes to `hear`.
// Like sys/run.ts it takes an argv array, never a shell string.

import { spawn } from 'node:child_process';
import { RelaycertsError, systemCode } from '../errors.js';
import { lineSplitter, utf8Of } from './lines.js';

interface StreamOptions {
  /** Written to its standard input, which is then closed. */
  readonly input: string;
  /** Ends the program. */
  readonly stop: AbortSignal | undefined;
  /** Receives each line of its standard error. */
  readonly hear: (line: string) => void;
}

/**
 * A program's standard output, to its end; the return value is its exit status, null if a signal ended it.
 * @throws tool - there is no such program
 */
export async function* streamOf(
  command: string,
  args: readonly string[],
  { input, stop, hear }: StreamOptions,
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
  try {
    const output: AsyncIterable<Buffer> = child.stdout;
    yield* output;
    const status = await ended;
    errors.end();
    return status;
  } finally {
    child.kill();
  }
}
