// Whether the passphrase file is encrypted to exactly the keys that the settings name, judged by key IDs only: nothing
// is decrypted and openpgp.js stays unloaded. An older subkey of a recipient counts as that recipient.

import type { RecipientChange } from '../plan/inventory.js';
import { findRecipientIds, type RecipientContext } from './recipients.js';
import { hiddenKeyId, readSealedTo } from './sealed-to.js';

/**
 * Compares the keys that the file in `bytes` is encrypted to with the settings' `recipients`, which are not empty.
 * `from` names the file in errors.
 * @throws RelaycertsError `passphrase` if the file is damaged, `recipient` if a recipient has no key or several, `tool`
 */
export async function findRecipientChange(
  bytes: Uint8Array,
  recipients: readonly string[],
  context: RecipientContext & { readonly from: string },
): Promise<RecipientChange> {
  const { keyIds, hasPassword } = readSealedTo(bytes, context);
  const wanted = (await Promise.all(recipients.map((name) => findRecipientIds(name, context)))).flat();
  if (keyIds.includes(hiddenKeyId)) return { kind: 'hidden' };
  const isMissing = wanted.some((key) => !key.keyIds.some((id) => keyIds.includes(id)));
  const removed = keyIds.filter((id) => !wanted.some((key) => key.keyIds.includes(id)));
  if (!isMissing && removed.length === 0 && !hasPassword) return { kind: 'same' };
  return { kind: 'changed', removed: [...new Set(removed), ...(hasPassword ? ['a password'] : [])] };
}
