// Asks on a terminal, with inquirer, on stderr: text, one of some options, or several. It does not know what is asked
// or what a valid answer is.

import { RelaycertsError, renderHint } from '../errors.js';
import { promptOnce } from '../sys/prompt.js';
import type { Asker } from './interview.js';
import type { Option } from './gnupg.js';
import { wrapText } from './wrap.js';

/** Lines around the options: the question, the help, a long error. */
const linesAroundOptions = 8;
/** Columns before an option or an error: the pointer, the box, the space. */
const markWidth = 3;

/** The asker for this process's terminal. */
export function terminalAsker(): Asker {
  const { stderr } = process;
  const say = (text: string): void => void stderr.write(`${wrapText(text, stderr.columns)}\n`);
  // inquirer breaks lines within words.
  const narrow = (text: string): string => wrapText(text, stderr.columns - markWidth);
  return {
    say,
    show: (text) => void stderr.write(text),
    askText: async ({ message, why, initial, read }) => {
      say(`\n${why}`);
      const { judge, value } = judgeWith(read, narrow);
      await promptOnce({ type: 'input', message, default: initial, validate: judge }, 'written');
      return value();
    },
    askOne: async ({ message, why, initial, options }) => {
      if (why !== '') say(`\n${why}`);
      const common = listQuestion(options, [], 'arrow keys to move, Enter to choose', narrow);
      return String(await promptOnce({ type: 'select', message, default: initial, ...common }, 'written'));
    },
    askSeveral: async ({ message, why, initial, options, read }) => {
      say(`\n${why}`);
      const { judge, value } = judgeWith(read, narrow);
      const validate = (marked: readonly { readonly value: unknown }[]) =>
        judge(marked.map((each) => String(each.value)));
      const common = listQuestion(options, initial, 'arrow keys to move, space to mark, Enter when done', narrow);
      await promptOnce({ type: 'checkbox', message, validate, ...common }, 'written');
      return value();
    },
  };
}

/** inquirer validates an answer before it takes it: the value last validated is the answer. */
function judgeWith<Given, Value>(read: (given: Given) => Promise<Value>, narrow: (text: string) => string) {
  let last: { readonly value: Value } | undefined;
  return {
    judge: async (given: Given): Promise<true | string> => {
      try {
        last = { value: await read(given) };
        return true;
      } catch (error) {
        const [problem] = error instanceof RelaycertsError ? error.problems : [];
        if (problem === undefined) throw error;
        const { message, hint } = problem;
        return narrow(hint === undefined ? message : `${message}; ${renderHint(hint, 'relaycerts')}`);
      }
    },
    value: (): Value => {
      if (last === undefined) throw new TypeError('inquirer took an answer that was not validated');
      return last.value;
    },
  };
}

function listQuestion(
  options: readonly Option[],
  marked: readonly string[],
  help: string,
  narrow: (text: string) => string,
) {
  const choices = options.map(({ value, label, reason }) => ({
    value,
    name: narrow(reason === undefined ? label : `${label} (${reason})`).replaceAll('\n', `\n${' '.repeat(markWidth)}`),
    short: label.split(/ \(|[:,]/u)[0] ?? value,
    checked: marked.includes(value) && reason === undefined,
    disabled: reason === undefined ? false : ' ',
  }));
  const i18n = { disabledError: 'not this one: the reason is beside it' };
  const theme = { style: { keysHelpTip: () => help }, i18n };
  return { choices, pageSize: Math.max(4, process.stderr.rows - linesAroundOptions), loop: false, theme };
}
