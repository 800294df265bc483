// Paths as shown to a person: relative to the current folder or to the home. They can be typed as shown; error messages
// have whole paths instead, because they are read elsewhere too (a log, cron's mail).

import { relative } from 'node:path';
import { pathWord } from '../shell-word.js';

/** The folders that shown paths are relative to. */
interface Standpoint {
  readonly cwd: string;
  readonly home: string;
}

/** An absolute path as a word of sh: relative below `cwd`, from ~ below `home`, otherwise unchanged. */
export function shownPath(path: string, { cwd, home }: Standpoint): string {
  const below = belowOf(cwd, path);
  // A program would read -folder as an option.
  if (below !== undefined) return pathWord(below.startsWith('-') ? `./${below}` : below);
  const inHome = belowOf(home, path);
  return inHome === undefined ? pathWord(path) : `~/${pathWord(inHome)}`;
}

function belowOf(folder: string, path: string): string | undefined {
  const way = relative(folder, path);
  return way === '' || way === '..' || way.startsWith('../') ? undefined : way;
}
