// A turn to write: the lock, and the settings as they are once it is held. Who waited for it may have read settings that
// somebody has changed since, and would bring back what they took out.

import { isDeepStrictEqual } from 'node:util';
import { RelaycertsError } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import { readSettings } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { layoutOf } from './layout.js';
import { withLock } from './lock.js';

/**
 * Runs `work` while this process alone writes beside the settings.
 * @throws lock - another relaycerts holds it; settings - they are others by now
 */
export async function withTurn<T>(
  settings: Settings,
  sys: Pick<Sys, 'say' | 'lockWait' | 'home' | 'cwd'>,
  work: () => Promise<T>,
): Promise<T> {
  return withLock(layoutOf(settings).lock, sys, async () => {
    if (!isDeepStrictEqual(await readSettings(settings.file, sys), settings)) {
      throw new RelaycertsError('settings', 'the settings were changed after this run had read them', {
        hint: 'run the same command again',
      });
    }
    return work();
  });
}
