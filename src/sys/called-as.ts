// How relaycerts was called: the start of every printed command, so that it can be run as printed. It looks at PATH and
// at npm's variables, and never at the parent process.

import { existsSync, realpathSync } from 'node:fs';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { pathWord } from '../shell-word.js';

/**
 * `relaycerts` if that is on PATH and is this program, otherwise `npx relaycerts` or `node PATH`, as shell words.
 * `script` is the file that node runs.
 */
export function calledAs(script: string, env: NodeJS.ProcessEnv, cwd: string): string {
  if (env['npm_command'] === 'exec') return 'npx relaycerts';
  const own = realpathOf(script);
  const onPath = (env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  // A shell runs the first one on PATH.
  const first = onPath.map((folder) => realpathOf(join(folder, 'relaycerts'))).find((found) => found !== undefined);
  if (first !== undefined && first === own) return 'relaycerts';
  const way = relative(cwd, script);
  const isFar = way.startsWith('../../') || way === '';
  // Node would read -folder/relaycerts.js as an option.
  return `node ${pathWord(isFar ? script : way.startsWith('-') ? `./${way}` : way)}`;
}

/** This program with this node, as shell words for any folder and PATH: cron has neither of the user's. */
export function calledAnywhere(script: string): string {
  return `${pathWord(process.execPath)} ${pathWord(script)}`;
}

function realpathOf(path: string): string | undefined {
  try {
    // Most folders of PATH have no relaycerts, and throwing an error for each would be slower.
    return existsSync(path) ? realpathSync(path) : undefined;
  } catch {
    return undefined;
  }
}
