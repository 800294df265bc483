// --version and --help: what they print is known, so no commander tree is built for them. scripts/write-man.mjs writes
// relaycerts.help from that tree.

import packageJson from '../../package.json' with { type: 'json' };
import type { ProcessLike } from '../sys/process-sys.js';
import help from './relaycerts.help';

/** The columns of relaycerts.help. */
export const helpWidth = 80;

/** The output of a command line, if it depends on nothing else. */
export function findFixedAnswer(
  [word = '', ...rest]: readonly string[],
  { env, stdout }: Pick<ProcessLike, 'env' | 'stdout'>,
): string | undefined {
  if (rest.length > 0) return undefined;
  if (word === '--version' || word === '-V') return `${packageJson.version}\n`;
  const isNarrow = stdout.isTTY === true && (stdout.columns ?? helpWidth) < helpWidth;
  // The help names the settings file.
  const isNamed = (env['RELAYCERTS_SETTINGS'] ?? '') !== '';
  return (word === '--help' || word === '-h') && !isNarrow && !isNamed ? help : undefined;
}
