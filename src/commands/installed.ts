// Notes what hosts were seen to have, for the commands that look at them. It is a change like any other, under the lock,
// but it needs no state without contradictions: what is on a host is true whatever is wrong here.

import type { HostName } from '../names.js';
import type { SeenHost } from '../plan/installed.js';
import { installedChange, readInstalled } from '../store/installed.js';
import { layoutOf } from '../store/layout.js';
import type { Sys } from '../sys/sys.js';
import { commitChangeWithWords, locked, type GlobalOptions } from './run.js';

/** Notes these hosts, and leaves the others as they are; undefined: the host has nothing of ours any more. @throws permissions, lock, files */
export async function noteInstalled(
  { settings: file }: Pick<GlobalOptions, 'settings'>,
  sys: Sys,
  seen: ReadonlyMap<HostName, SeenHost | undefined>,
): Promise<void> {
  if (seen.size === 0) return;
  await locked(file, sys, async (settings, lock) => {
    const layout = layoutOf(settings);
    const { hosts } = readInstalled(layout);
    await commitChangeWithWords(settings, sys, lock, installedChange(layout, hosts, seen), '');
  });
}
