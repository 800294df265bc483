// A fleet can have a warning for each of a thousand hosts, all with one cause. Nobody reads a thousand lines, so the first
// ones are printed, and how to see the others.

import type { Problem } from '../errors.js';
import type { Sys } from './sys.js';

/** What a person reads. */
const mostWarnings = 10;

/** Warns of these; `all` is the command that shows all of them. */
export function warnSome(
  problems: readonly Problem[],
  sys: Pick<Sys, 'warn'>,
  all: readonly string[] = ['status', '--json'],
): void {
  for (const { message, hint } of problems.slice(0, mostWarnings)) sys.warn(message, hint);
  const more = problems.length - mostWarnings;
  if (more > 0) sys.warn(`${more} more like this`, { run: all, before: 'for all of them:' });
}
