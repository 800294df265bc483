// One question on the terminal, with inquirer, on stderr. inquirer is slow to load, so it is loaded only when something
// is asked.

import { createPromptModule, type DistinctQuestion } from 'inquirer';
import { RelaycertsError } from '../errors.js';

/** One of inquirer's questions; its `name` is set below. */
export type TerminalQuestion = DistinctQuestion extends infer Each
  ? Each extends unknown
    ? Omit<Each, 'name'>
    : never
  : never;

/**
 * The answer to one inquirer question. `nothing` says what did not happen, for Ctrl-C.
 * @throws interrupted - Ctrl-C, Ctrl-D, or the terminal was closed
 */
export async function promptOnce(question: TerminalQuestion, nothing: string): Promise<unknown> {
  const { stdin, stderr } = process;
  const left = new AbortController();
  // Ctrl-D closes inquirer's line editor and leaves its promise pending for ever.
  const leave = (): void => left.abort();
  const onKey = (_: unknown, key: { readonly ctrl?: boolean; readonly name?: string } | undefined): void => {
    if (key?.ctrl === true && key.name === 'd') setImmediate(() => stdin.isPaused() && leave());
  };
  // After Ctrl-Z and fg the line editor is back, but its input is still paused.
  const onContinue = (): void => void setImmediate(() => stdin.resume());
  // If a signal ends the program, inquirer has no time to show the cursor again.
  const showCursor = (): void => void stderr.write('\u001b[?25h');
  stdin.on('keypress', onKey).on('end', leave);
  process.on('SIGCONT', onContinue).on('exit', showCursor);
  try {
    const prompt = createPromptModule({ input: stdin, output: stderr, signal: left.signal });
    const { answer } = await prompt<{ answer: unknown }>([{ ...question, name: 'answer' }]);
    return answer;
  } catch (error) {
    if (error instanceof Error && (error.name === 'ExitPromptError' || error.name === 'AbortPromptError')) {
      throw new RelaycertsError('interrupted', `interrupted; nothing was ${nothing}`, { cause: error });
    }
    throw error;
  } finally {
    stdin.off('keypress', onKey).off('end', leave);
    process.off('SIGCONT', onContinue).off('exit', showCursor);
  }
}
