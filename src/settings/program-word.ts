// What is typed to run relaycerts with a settings file: printed commands are run as they are printed.

import { dirname, join } from 'node:path';
import { pathWord } from '../shell-word.js';

/** For a shell that stands in `cwd`; both paths are absolute. Without `cwd`, for the settings' own folder. */
export function programWord({
  file,
  cwd = dirname(file),
}: {
  readonly file: string;
  readonly cwd?: string | undefined;
}): string {
  return file === join(cwd, 'settings.json') ? 'relaycerts' : `relaycerts --settings ${pathWord(file)}`;
}
