// What every command that writes calls once, before it takes its lock: it refuses places that are not safe to write to,
// and places where nothing can be written.

import { RelaycertsError, type Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { judgeClock, type Seen } from './guard.js';
import { judge, judgeProject, see, type Onlooker } from './look.js';
import { findOdd } from './odd.js';
import { assertRoom } from './room.js';
import { findUnwritable } from './writable.js';

/**
 * `needsRoom` is false for what only removes.
 * @throws permissions - nothing may be written here as it is, each reason with what mends it; files
 */
export async function guardWriting(
  settings: Settings,
  sys: Onlooker,
  { needsRoom = true }: { readonly needsRoom?: boolean } = {},
): Promise<void> {
  refuse(await findOdd(settings, sys));
  const { seen, judgement } = await judgeProject(settings, sys);
  for (const { message, hint } of judgement.warnings) sys.warn(message, hint);
  const clock = judgeClock(sys.now());
  refuse([...judgement.problems, ...(clock === undefined ? [] : [clock])]);
  // Where custody lies is asked when something is to be written there.
  refuse(await findUnwritable(foldersOf(seen.filter(({ duty }) => duty !== 'custody')), sys.uid));
  if (needsRoom) await assertRoom(settings, sys, { hosts: 0, custody: false });
}

/** For what writes one file, be it the settings or the operator key. @throws permissions, files */
export async function guardFolder(path: string, duty: 'project' | 'custody', sys: Onlooker): Promise<void> {
  const seen = await see(path, duty, true);
  const { problems, warnings } = await judge(seen, sys, []);
  for (const { message, hint } of warnings) sys.warn(message, hint);
  refuse(problems);
  refuse(await findUnwritable(foldersOf(seen), sys.uid));
}

function foldersOf(seen: readonly Seen[]): readonly string[] {
  return seen.filter(({ kind, duty }) => kind === 'folder' && duty !== 'ancestor').map(({ path }) => path);
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  throw new RelaycertsError('permissions', problems.map(({ message }) => message).join('; '), { problems });
}
