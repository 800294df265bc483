// Asks on a terminal, with inquirer; on one that cannot move its cursor (TERM=dumb), line by line (ask-lines.ts).
// Everything goes to stderr. What is asked and what is a good answer is not known here.

import type { TerminalQuestion } from '../sys/prompt.js';
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

  const { promptOnce } = await import('../sys/prompt.js');
  const ask = async (prompt: Prompt): Promise<string> => {
    const answer = await promptOnce(toInquirer(prompt, stderr.rows, stderr.columns), 'written');
    if (typeof answer === 'string') return answer;
    if (!Array.isArray(answer)) throw new TypeError('inquirer gave neither text nor a list');
    return formatList(answer.map(String));
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

function toInquirer(
  { kind, message, initial, options, check }: Prompt,
  rows: number,
  columns: number,
): TerminalQuestion {
  // inquirer breaks lines inside words.
  const judge = async (text: string): Promise<true | string> => {
    const problem = await check(text);
    return problem === undefined ? true : wrapText(describeProblem(problem), columns - markWidth);
  };
  if (kind === 'text') return { type: 'input', message, default: initial, validate: judge };
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
  if (kind === 'one') return { type: 'select', ...common, default: initial };
  return {
    type: 'checkbox',
    ...common,
    validate: (marked: readonly { readonly value: string }[]) => judge(formatList(marked.map(({ value }) => value))),
  };
}
