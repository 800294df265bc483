// Shared by the commands' definitions: a command that gets a Sys and typed options, and the kinds of options. The
// commands' code is in commands/.

import { Command, InvalidArgumentError, Option } from 'commander';
import { closestMatch } from 'leven';
import type { GlobalOptions } from '../commands/run.js';
import { RelaycertsError, quote } from '../errors.js';
import type { Sys } from '../sys/sys.js';

/** The Sys and the global options of a parsed command line. */
type Begin = () => readonly [Sys, GlobalOptions];

/** Commands that are never suggested for a mistyped one. */
const destructive: ReadonlySet<string> = new Set(['clean', 'remove', 'retire', 'revoke']);

/** A command of the tree; its subcommands are of the same class. */
export class SysCommand extends Command {
  readonly #begin: Begin;

  constructor(name: string | undefined, begin: Begin) {
    super(name);
    this.#begin = begin;
  }

  override createCommand(name?: string): SysCommand {
    return new SysCommand(name, this.#begin);
  }

  /** Commander calls this for whatever is wrong with a command line. @throws usage */
  override error(message: string): never {
    const [what = message, suggestion] = message.replace(/^error: /u, '').split('\n');
    const meant = suggestion === undefined ? '' : `, ${suggestion.replaceAll(/[()]/gu, '').toLowerCase()}`;
    throw new RelaycertsError('usage', `${what.replace(/\.$/u, '')}${meant}`, {
      hint: { run: [...this.path(), '--help'] },
    });
  }

  /** The words from the program's name to this command. */
  path(): readonly string[] {
    return this.parent instanceof SysCommand ? [...this.parent.path(), this.name()] : [];
  }

  /** A flag that is not given is false; unlike commander's default, that is not in the help. */
  override addOption(option: Option): this {
    super.addOption(option);
    return option.isBoolean() ? this.setOptionValueWithSource(option.attributeName(), false, 'default') : this;
  }

  /** Example lines below the help. */
  exampleLines: readonly string[] = [];

  examples(...lines: readonly string[]): this {
    this.exampleLines = lines;
    return this.addHelpText('after', `\nExamples:\n${lines.map((line) => `  ${line}`).join('\n')}\n`);
  }

  /** `work` gets all options, including the global ones, by commander's names; after them the arguments. */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- commander has any; the work says what they are
  runs<Options extends GlobalOptions, Rest extends unknown[]>(
    work: (sys: Sys, options: Options, ...rest: Rest) => Promise<void>,
  ): this {
    return this.action(async (...rest: Rest) => {
      const [sys, global] = this.#begin();
      await work(sys, { ...this.opts<Options>(), ...global }, ...rest);
    });
  }

  /**
   * Suggests the command that was meant, if no subcommand matches; called after they are added. `what` they are to it.
   */
  needsOneOf(what: string): this {
    const needed = `${this.name()} needs ${what}${this.commands.map((command) => command.name()).join(', ')}`;
    return this.helpCommand(false)
      .allowExcessArguments()
      .action(async () => {
        await this.refuseUnknown(this.name());
        throw new RelaycertsError('usage', needed, { hint: { run: [this.name(), '--help'] } });
      });
  }

  /** @throws usage - a word that is not one of its subcommands; `before` are the words up to this command */
  async refuseUnknown(...before: readonly string[]): Promise<void> {
    const [word] = this.args;
    if (word === undefined) return;
    const names = this.commands.map((command) => command.name());
    const maxDistance = Math.min(3, Math.ceil(word.length * 0.4));
    const nearest = closestMatch(word.slice(0, 40), names, { maxDistance });
    // Next to a destructive command, another one that happens to be spelt like it is not what was meant.
    const near = nearest !== undefined && destructive.has(nearest) ? undefined : nearest;
    const meant = near === undefined ? '' : `, did you mean ${near}?`;
    throw new RelaycertsError('usage', `unknown command ${quote(word)}${meant}`, {
      hint: { run: [...before, near ?? '--help'] },
    });
  }
}

export function days(flags: string, description: string): Option {
  return count(flags, description, 'Expected a whole number of days.');
}

/** An option whose value is a whole number of at most `digits` digits; `what` is the error for anything else. */
export function count(flags: string, description: string, what: string, { digits = 5, least = 0 } = {}): Option {
  return new Option(flags, description).argParser((text) => {
    if (!/^\d+$/u.test(text) || text.length > digits || Number(text) < least) throw new InvalidArgumentError(what);
    return Number(text);
  });
}

export function passphraseFdOption(description = "read the CA's passphrase from this file descriptor"): Option {
  return fileDescriptor('--passphrase-fd <n>', description);
}

export function fileDescriptor(flags: string, description: string): Option {
  return count(flags, description, 'Expected the number of a file descriptor.', { digits: 6 });
}
