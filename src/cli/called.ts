// How this process was called, for the commands that it prints. What commander made of the options is typed here, because
// the settings file is one of the words.

import { resolve } from 'node:path';
import type { GlobalOptions } from '../commands/run.js';
import { programWord } from '../settings/program-word.js';
import { calledAs } from '../sys/called-as.js';
import type { ProcessLike, SysOptions } from '../sys/process-sys.js';

/** The file that node runs. */
export const [, script = ''] = process.argv;

/** The global options, by commander's names; `settings` as typed. */
export type RawGlobal = GlobalOptions & Omit<SysOptions, 'program' | 'command' | 'typed'>;

/** The start of every printed command. */
export function wordOf(settings: string, outside: ProcessLike): string {
  // The folder may be gone, and that is then the error.
  const cwd = attemptCwd(outside);
  return programWord(outside.program ?? calledAs(script, outside.env, cwd), resolve(cwd, settings), cwd);
}

function attemptCwd(outside: ProcessLike): string {
  try {
    return outside.cwd();
  } catch {
    return '/';
  }
}
