// What every command that writes does first: finish, or undo, what a run before it was cut off in. Only while holding
// the lock.

import { RelaycertsError } from '../errors.js';
import type { Host } from '../host/host.js';
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
  host: Pick<Host, 'say' | 'warn' | 'now'>,
  { isUrgent = false }: { readonly isUrgent?: boolean } = {},
): Promise<void> {
  const parts = [
    () => mendLedger(layoutOf(settings), host),
    () => settleBundleFolders(layoutOf(settings), host),
    () => settleRevocations(settings, host),
    () => settleRekeys(settings, host),
  ];
  for (const part of parts) {
    try {
      await part();
    } catch (error) {
      if (!isUrgent || !(error instanceof RelaycertsError)) throw error;
      host.warn(error.message, error.hint);
    }
  }
}
