// Asks line by line, in plain text, for a terminal that cannot move its cursor (TERM=dumb: an editor's shell, a serial
// console). The terminal's own line editing is all there is: options have numbers instead of arrow keys.

import { createInterface } from 'node:readline';
import { RelaycertsError, type Problem } from '../errors.js';
import type { Option } from './gnupg.js';
import { describeProblem, type Asker, type Prompt } from './interview.js';
import { formatList, parseList } from './parse.js';

interface Lines {
  readonly input: NodeJS.ReadableStream;
  readonly tell: (text: string) => void;
  readonly show: (text: string) => void;
}

/** An asker that reads whole lines. */
export function linesAsker({ input, tell, show }: Lines): Asker {
  const reader = createInterface({ input, terminal: false });
  const lines = reader[Symbol.asyncIterator]();
  const ask = async ({ kind, message, why, initial, options, check }: Prompt): Promise<string> => {
    tell(why === '' ? '' : `\n${why}`);
    const numbered = options.map(({ label, reason }, index) =>
      reason === undefined ? `${String(index + 1)}  ${label}` : `-  ${label} (${reason})`,
    );
    if (numbered.length > 0) tell(numbered.map((line) => `  ${line}`).join('\n'));
    const offered = kind === 'text' ? initial : numbersOf(initial, options);
    const how = { text: '', one: ' (a number)', several: ' (numbers, commas between)' }[kind];
    for (;;) {
      show(`${message}${how}${offered === '' ? '' : ` [${offered}]`} `);
      const line: IteratorResult<string, undefined> = await lines.next();
      if (line.done === true) {
        show('\n');
        throw new RelaycertsError('interrupted', 'interrupted; nothing was written');
      }
      const typed = line.value.trim() === '' ? offered : line.value.trim();
      const answer = kind === 'text' ? typed : valuesOf(typed, kind, options);
      const problem = answer === undefined ? notChoice(kind) : await check(answer);
      if (answer !== undefined && problem === undefined) return answer;
      if (problem !== undefined) tell(`> ${describeProblem(problem)}`);
    }
  };
  return { tell, show, ask, close: () => reader.close() };
}

function numbersOf(initial: string, options: readonly Option[]): string {
  const wanted = parseList(initial);
  return options
    .flatMap(({ value, reason }, index) => (reason === undefined && wanted.includes(value) ? [String(index + 1)] : []))
    .join(', ');
}

/** The list of what was chosen; undefined where that is no choice. */
function valuesOf(typed: string, kind: Prompt['kind'], options: readonly Option[]): string | undefined {
  const numbers = parseList(typed);
  const chosen = numbers.flatMap((number) => (/^\d+$/u.test(number) ? (options[Number(number) - 1] ?? []) : []));
  const isRight =
    chosen.length === numbers.length &&
    chosen.every(({ reason }) => reason === undefined) &&
    (kind === 'several' || chosen.length === 1);
  return isRight ? formatList(chosen.map(({ value }) => value)) : undefined;
}

function notChoice(kind: Prompt['kind']): Problem {
  return { message: 'not a choice', hint: kind === 'one' ? 'type one of the numbers' : 'type numbers, such as 1, 2' };
}
