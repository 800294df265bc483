// What a printed command begins with: relaycerts as it was called, and its settings file. How it was called is found by
// sys/called-as.ts.

import { join, relative } from 'node:path';
import { pathWord } from '../shell-word.js';

/** For a shell that stands in `cwd`; both paths are absolute. `program` is how relaycerts was called. */
export function programWord(program: string, file: string, cwd: string): string {
  if (file === join(cwd, 'settings.json')) return program;
  const way = relative(cwd, file);
  return `${program} --settings ${pathWord(way.startsWith('../') ? file : way)}`;
}
