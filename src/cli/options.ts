// What the commands' definitions share: the kinds of options, and how they are given a Host.

import { type Command, InvalidArgumentError, Option } from 'commander';
import type { GlobalOptions } from '../commands/run.js';
import { RelaycertsError, quote } from '../errors.js';
import type { Sys } from '../sys/sys.js';

/** Makes a commander action of a command's work. */
export type WithSys = <Rest extends unknown[]>(
  work: (sys: Sys, global: GlobalOptions, ...rest: Rest) => Promise<void>,
) => (...rest: Rest) => Promise<void>;

export async function unknownCommand(
  program: Command,
  word: string,
  before: readonly string[] = [],
): Promise<RelaycertsError> {
  const { closestMatch } = await import('leven');
  const names = program.commands.map((command) => command.name());
  const near = closestMatch(word.slice(0, 40), names, { maxDistance: 3 });
  return new RelaycertsError(
    'usage',
    `unknown command ${quote(word)}${near === undefined ? '' : `, did you mean ${near}?`}`,
    {
      hint: { run: [...before, near ?? '--help'] },
    },
  );
}

export function days(flags: string, description: string): Option {
  return count(flags, description, 'It is a number of days.');
}

/** An option whose value is a whole number of at most five digits; `what` is said of anything else. */
export function count(flags: string, description: string, what: string): Option {
  return new Option(flags, description).argParser((text) => {
    if (!/^\d{1,5}$/u.test(text)) throw new InvalidArgumentError(what);
    return Number(text);
  });
}

export function passphraseFdOption(): Option {
  return fileDescriptor('--passphrase-fd <n>', "read the CA's passphrase from this file descriptor");
}

export function fileDescriptor(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const fd = Number(text);
    if (!/^\d{1,6}$/u.test(text)) throw new InvalidArgumentError('It is the number of a file descriptor.');
    return fd;
  });
}

export function example(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}
