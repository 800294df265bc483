// Asks on a terminal, with inquirer; on one that cannot move its cursor (TERM=dumb), line by line (ask-lines.ts).
// Everything goes to stderr. What is asked and what is a good answer is not known here.

import { RelaycertsError } from '../errors.js';
import { linesAsker } from './ask-lines.js';
import { describeProblem, type Asker, type Prompt } from './interview.js';
import { formatList, parseList } from './parse.js';
import { wrapText } from './wrap.js';

/** Lines around the options: the question, the help, a long error. */
const linesAroundOptions = 8;
/** Columns before an option or an error: the pointer, the box, the space. */
const markWidth = 3;

/** The asker for this process's terminal. */
export async function openAsker(): Promise<Asker> {
  const { stdin, stderr, env } = process;
  const tell = (text: string): void => void stderr.write(`${wrapText(text, stderr.columns)}\n`);
  const show = (text: string): void => void stderr.write(text);
  if (['', 'dumb'].includes(env['TERM'] ?? '')) return linesAsker({ input: stdin, tell, show });

  const { default: inquirer } = await import('inquirer');
  // A signal that ends the program leaves inquirer no time to show the cursor again.
  const showCursor = (): void => show('\u001b[?25h');
  const ask = async (prompt: Prompt): Promise<string> => {
    const left = new AbortController();
    // Ctrl-D closes inquirer's line editor and leaves its promise open for ever.
    const leave = (): void => left.abort();
    const onKey = (_: unknown, key: { readonly ctrl?: boolean; readonly name?: string } | undefined): void => {
      if (key?.ctrl === true && key.name === 'd') setImmediate(() => stdin.isPaused() && leave());
    };
    // After Ctrl-Z and fg the line editor is back, and waits for somebody to let its input flow again.
    const onContinue = (): void => void setImmediate(() => stdin.resume());
    stdin.on('keypress', onKey).on('end', leave);
    process.on('SIGCONT', onContinue).on('exit', showCursor);
    try {
      const module = inquirer.createPromptModule({ input: stdin, output: stderr, signal: left.signal });
      const { answer } = await module<{ answer: string | readonly string[] }>([
        { name: 'answer', ...toInquirer(prompt, stderr.rows, stderr.columns) },
      ]);
      return typeof answer === 'string' ? answer : formatList(answer);
    } catch (error) {
      if (error instanceof Error && (error.name === 'ExitPromptError' || error.name === 'AbortPromptError')) {
        throw new RelaycertsError('interrupted', 'interrupted; nothing was written', { cause: error });
      }
      throw error;
    } finally {
      stdin.off('keypress', onKey).off('end', leave);
      process.off('SIGCONT', onContinue).off('exit', showCursor);
    }
  };
  return {
    tell,
    show,
    ask: (prompt) => {
      if (prompt.why !== '') tell(`\n${prompt.why}`);
      return ask(prompt);
    },
    close: () => undefined,
  };
}

function toInquirer({ kind, message, initial, options, check }: Prompt, rows: number, columns: number) {
  // inquirer breaks lines inside words.
  const judge = async (text: string): Promise<true | string> => {
    const problem = await check(text);
    return problem === undefined ? true : wrapText(describeProblem(problem), columns - markWidth);
  };
  if (kind === 'text') return { type: 'input' as const, message, default: initial, validate: judge };
  const checked = parseList(initial);
  const choices = options.map(({ value, label, reason }) => {
    const text = reason === undefined ? label : `${label} (${reason})`;
    return {
      value,
      name: wrapText(text, columns - markWidth).replaceAll('\n', `\n${' '.repeat(markWidth)}`),
      short: label.split(/ \(|: /u)[0] ?? value,
      checked: checked.includes(value) && reason === undefined,
      disabled: reason === undefined ? false : ' ',
    };
  });
  const pageSize = Math.max(4, rows - linesAroundOptions);
  const help = kind === 'one' ? 'arrow keys, then Enter' : 'arrow keys, space marks, then Enter';
  const theme = {
    style: { keysHelpTip: () => help },
    i18n: { disabledError: 'not this one: the reason stands behind it' },
  };
  const common = { message, choices, pageSize, loop: false, theme };
  if (kind === 'one') return { type: 'select' as const, ...common, default: initial };
  return {
    type: 'checkbox' as const,
    ...common,
    validate: (marked: readonly { readonly value: string }[]) => judge(formatList(marked.map(({ value }) => value))),
  };
}
