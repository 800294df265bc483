// Commands in hints, warnings and progress as they can be typed: with --settings, where the settings are not the
// settings.json of the folder that the user stands in. What is printed as data (render/) has `settings.program` instead.

import { RelaycertsError, renderHint, type Hint, type Problem } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import { programWord } from '../settings/program-word.js';

export interface Spoken {
  readonly sys: Sys;
  /** The error with usable hints; anything else as it is. */
  readonly error: (error: unknown) => unknown;
}

/** The host and the errors of one command line; `verbs` are the program's commands. */
export function speakFor(sys: Sys, settings: string, verbs: readonly string[]): Spoken {
  const command = new RegExp(String.raw`(?<=^|[ (])relaycerts (?=(?:--json )?(?:${verbs.join('|')})\b)`, 'gu');
  // A path that reads like a command is left alone, and so is everything beside it.
  const name = `${programWord({ file: settings, cwd: sys.cwd })} `;
  if (name === 'relaycerts ' || command.test(settings)) return { sys, error: (error) => error };
  const spell = (text: string): string => text.replaceAll(command, () => name);
  const spellHint = (hint: Hint): string => spell(renderHint(hint, 'relaycerts'));
  const spellProblem = ({ message, hint }: Problem): Problem =>
    hint === undefined ? { message: spell(message) } : { message: spell(message), hint: spellHint(hint) };
  return {
    sys: {
      ...sys,
      say: (line) => sys.say(spell(line)),
      warn: (line, hint) => sys.warn(spell(line), hint === undefined ? undefined : spellHint(hint)),
    },
    error: (error) => {
      if (!(error instanceof RelaycertsError)) return error;
      const { code, message, hint, problems } = error;
      return new RelaycertsError(code, spell(message), {
        ...(hint === undefined ? {} : { hint: spellHint(hint) }),
        cause: error,
        problems: problems.map(spellProblem),
      });
    },
  };
}
