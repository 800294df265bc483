// Whether the passphrase file is encrypted to just the keys that the settings name, by key IDs alone: nothing is
// decrypted and openpgp.js stays unloaded. A file that is encrypted to an older subkey of a recipient is the recipient's.

import type { RecipientChange } from '../plan/inventory.js';
import { findRecipientIds, type RecipientContext } from './recipients.js';
import { readSealedTo } from './sealed-to.js';

const hidden = '0'.repeat(16);

/**
 * The keys that the file in `bytes` is encrypted to, against `recipients` of the settings, of which there is one at
 * least. `from` names the file in errors.
 * @throws RelaycertsError `passphrase` where the file is damaged, `recipient` where there is no such key or several,
 * `tool`
 */
export async function compareRecipients(
  bytes: Uint8Array,
  recipients: readonly string[],
  context: RecipientContext & { readonly from: string },
): Promise<RecipientChange> {
  const { keyIds, hasPassword } = readSealedTo(bytes, context);
  const wanted = (await Promise.all(recipients.map((name) => findRecipientIds(name, context)))).flat();
  if (keyIds.includes(hidden)) return { kind: 'hidden' };
  const isMissing = wanted.some((key) => !key.keyIds.some((id) => keyIds.includes(id)));
  const removed = keyIds.filter((id) => !wanted.some((key) => key.keyIds.includes(id)));
  if (!isMissing && removed.length === 0 && !hasPassword) return { kind: 'same' };
  return { kind: 'changed', removed: [...new Set(removed), ...(hasPassword ? ['a password'] : [])] };
}
