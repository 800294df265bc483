// Paths as they are shown to a person: from where he stands, or from his home. They can be typed as they are shown;
// error messages have whole paths instead, because they are read elsewhere too (a log, cron's mail).

import { relative } from 'node:path';
import { pathWord } from '../shell-word.js';

/** Where a person stands. */
interface Standpoint {
  readonly cwd: string;
  readonly home: string;
}

/** An absolute path as a word of sh: relative below `cwd`, from ~ below `home`, otherwise as it is. */
export function shownPath(path: string, { cwd, home }: Standpoint): string {
  const below = belowOf(cwd, path);
  // A program would take -folder for an option.
  if (below !== undefined) return pathWord(below.startsWith('-') ? `./${below}` : below);
  const inHome = belowOf(home, path);
  return inHome === undefined ? pathWord(path) : `~/${pathWord(inHome)}`;
}

function belowOf(folder: string, path: string): string | undefined {
  const way = relative(folder, path);
  return way === '' || way === '..' || way.startsWith('../') ? undefined : way;
}
