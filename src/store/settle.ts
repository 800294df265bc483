// What every command that writes does first: finish, or undo, what a run before it was cut off in. Only while holding
// the lock.

import { RelaycertsError } from '../errors.js';
import type { Sys } from '../sys/sys.js';
import type { Settings } from '../settings/settings.js';
import { settleBundleFolders } from './bundle-folder.js';
import { layoutOf } from './layout.js';
import { mendLedger } from './ledger.js';
import { settleRekeys } from './rekey.js';
import { settleRevocations } from './revocation.js';

/**
 * Each with a word on stderr. Where it is urgent, what cannot be settled is a warning, and the rest goes on.
 * @throws files, certificate
 */
export async function settle(
  settings: Settings,
  sys: Pick<Sys, 'say' | 'warn' | 'now'>,
  { isUrgent = false }: { readonly isUrgent?: boolean } = {},
): Promise<void> {
  const parts = [
    () => mendLedger(layoutOf(settings), sys),
    () => settleBundleFolders(layoutOf(settings), sys),
    () => settleRevocations(settings, sys),
    () => settleRekeys(settings, sys),
  ];
  for (const part of parts) {
    try {
      await part();
    } catch (error) {
      if (!isUrgent || !(error instanceof RelaycertsError)) throw error;
      sys.warn(error.message, error.hint);
    }
  }
}
