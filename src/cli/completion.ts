// Completes a command line: commands, options, their values, hosts. The shell scripts beside this file call it at each
// Tab, so they know no command themselves. It reads nothing and never fails.

import type { Argument, Command, Option } from 'commander';
import bash from './completion.bash';
import fish from './completion.fish';
import zsh from './completion.zsh';

export const shells = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof shells)[number];

/** What a shell loads. */
export const completionScripts: Readonly<Record<Shell, string>> = { bash, zsh, fish };

/** A word that fits, and its description; '' if it needs none. */
export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** What must be looked up elsewhere: names of files, or of hosts. */
export type Completion = readonly Candidate[] | 'files' | 'hosts';

/**
 * The completions of the last word; `words` are those after the program's name, the last one as far as it was typed.
 */
export function completeWords(program: Command, words: readonly string[]): Completion {
  const current = words.at(-1) ?? '';
  let command = program;
  let operands = 0;
  let pending: Option | undefined;
  for (const word of words.slice(0, -1)) {
    // bash splits --format=sh into three words; what follows help is a command.
    if (word === '=' || (word === 'help' && command === program)) continue;
    if (pending !== undefined) {
      pending = undefined;
      continue;
    }
    const option = word.startsWith('-') ? findOption(program, command, word) : undefined;
    const below = operands === 0 ? command.commands.find((one) => one.name() === word) : undefined;
    if (option?.required === true && !word.includes('=')) pending = option;
    else if (below !== undefined) command = below;
    else if (!word.startsWith('-') || word === '-') operands += 1;
  }
  const last = current === '=' ? '' : current;
  if (pending !== undefined) return valuesOf(pending, last);
  const [, flag, value] = /^(--[^=]+)=(.*)$/u.exec(last) ?? [];
  if (flag !== undefined && value !== undefined) {
    const found = valuesOf(findOption(program, command, flag), value);
    return typeof found === 'string' ? found : found.map(({ word, about }) => ({ word: `${flag}=${word}`, about }));
  }
  if (last.startsWith('-') && last !== '-')
    return optionsOf(program, command).filter(({ word }) => word.startsWith(last));
  if (command.commands.length > 0) return operands > 0 ? [] : commandsOf(command, last);
  const argument =
    command.registeredArguments[operands] ?? command.registeredArguments.findLast(({ variadic }) => variadic);
  return argument === undefined ? [] : valuesOf(argument, last);
}

function findOption(program: Command, command: Command, word: string): Option | undefined {
  const name = word.replace(/=.*$/u, '');
  return [...command.options, ...program.options].find(({ long, short }) => name === long || name === short);
}

function optionsOf(program: Command, command: Command): readonly Candidate[] {
  const all = [...command.options, ...(command === program ? [] : program.options)].filter(({ hidden }) => !hidden);
  const help = { word: '--help', about: 'print the help' };
  return [...all.map(({ long, description }) => ({ word: long ?? '', about: description })), help];
}

function commandsOf(command: Command, begin: string): readonly Candidate[] {
  return command.commands
    .map((one) => ({ word: one.name(), about: one.description() }))
    .filter(({ word }) => word.startsWith(begin));
}

/** The choices, or what the placeholder's name says. */
function valuesOf(one: Option | Argument | undefined, begin: string): Completion {
  const { choices, placeholder } = describe(one);
  if (choices !== undefined) {
    return choices.filter((word) => word.startsWith(begin)).map((word) => ({ word, about: '' }));
  }
  if (placeholder === 'host') return 'hosts';
  return ['file', 'folder', 'log'].includes(placeholder) ? 'files' : [];
}

/** The settings file that these words name: `--settings FILE`, and `--settings=FILE` in one word or, in bash, three. */
export function settingsIn(words: readonly string[]): string | undefined {
  const at = words.findIndex((word) => /^--settings(?:=|$)/u.test(word));
  const [option = '', next, afterNext] = at === -1 ? [] : words.slice(at);
  return option.includes('=') ? option.replace(/^[^=]*=/u, '') : next === '=' ? afterNext : next;
}

function describe(one: Option | Argument | undefined): {
  readonly choices: readonly string[] | undefined;
  readonly placeholder: string;
} {
  if (one === undefined) return { choices: undefined, placeholder: '' };
  const placeholder = 'flags' in one ? (/<(\w+)>/u.exec(one.flags)?.[1] ?? '') : one.name();
  return { choices: one.argChoices, placeholder };
}

/** One line per word for the shells: the word, a tab, the first sentence about it. */
export function renderCandidates(candidates: readonly Candidate[]): string {
  return candidates.map(({ word, about }) => `${word}\t${about.split(/[;:(,]/u)[0]?.trim() ?? ''}\n`).join('');
}
