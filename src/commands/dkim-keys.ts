// Making DKIM keys, for `make` (a domain's first key) and for `renew --dkim` (the next one). They are not encrypted, as
// hosts' keys are not. Nothing is written here.

import { readHostKey } from '../certificate/private-key.js';
import { generateHostKey } from '../issue/keys.js';
import { dkimKeyFile, type FoundDkimKey } from '../plan/dkim.js';
import type { Inventory } from '../plan/inventory.js';

/** New keys, in this state from now on; those that the inventory has come first, and no longer sign where new ones do. */
export async function withNewKeys(
  { dkim, dkimFolder }: Pick<Inventory, 'dkim' | 'dkimFolder'>,
  wanted: readonly Pick<FoundDkimKey, 'domain' | 'selector' | 'keyType'>[],
  state: 'next' | 'active',
  since: Date,
): Promise<readonly FoundDkimKey[]> {
  const made = wanted.map(async ({ domain, selector, keyType }): Promise<FoundDkimKey> => {
    const keyPath = `${dkimFolder}/${dkimKeyFile({ domain, selector })}`;
    const pem = Buffer.from((await generateHostKey(keyType)).revealBytes());
    return { domain, selector, keyType, state, since, keyPath, key: readHostKey(keyPath, pem) };
  });
  const isReplaced = (key: FoundDkimKey): boolean =>
    state === 'active' && key.state === 'active' && wanted.some(({ domain }) => domain === key.domain);
  const kept = dkim.map((key): FoundDkimKey => (isReplaced(key) ? { ...key, state: 'former', since } : key));
  return [...kept, ...(await Promise.all(made))];
}
