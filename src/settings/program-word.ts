// The start of a printed command: relaycerts as it was called, and its settings file. sys/called-as.ts finds out how it
// was called.

import { join, relative } from 'node:path';
import { pathWord } from '../shell-word.js';

/** For a shell in `cwd`; both paths are absolute. `program` is how relaycerts was called. */
export function programWord(program: string, file: string, cwd: string): string {
  if (file === join(cwd, 'settings.json')) return program;
  const way = relative(cwd, file);
  return `${program} --settings ${pathWord(way.startsWith('../') ? file : way)}`;
}
