// The proof that what was just encrypted opens, given before anything older is replaced: decrypted with whatever of its
// recipients is here, and compared.

import { listSecretKeys } from './keyring.js';
import { decryptWithGpg, type GpgContext } from './gpg.js';
import { chooseOpener, parsePassphrase, type Sealed } from './passphrase.js';
import { openSealed } from './seal.js';
import { readSealedTo } from './sealed-to.js';
import { RelaycertsError, quotePath } from '../errors.js';
import type { Secret } from '../secret.js';

/**
 * Opens the new bytes of the passphrase file and gives what is in them, which is `expected`; undefined where no secret
 * key of its recipients is here.
 * @throws RelaycertsError `passphrase`, `tool` where a secret key is here and the file still does not open
 */
export async function proveSealed(
  sealed: Sealed & { readonly gpg: GpgContext },
  expected: Secret,
): Promise<Secret | undefined> {
  const { bytes, from, operatorKey, gpg } = sealed;
  let opened: Secret;
  try {
    if (operatorKey !== undefined && (await chooseOpener(sealed)) === 'operator-key') {
      const { armored, password } = operatorKey;
      opened = await openSealed(bytes, armored, { from, keyFrom: operatorKey.from, password });
    } else if (await hasSecretKey(sealed)) {
      opened = await decryptWithGpg(bytes, { from, gpg });
    } else {
      return undefined;
    }
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    throw new RelaycertsError(
      error.code,
      `${quotePath(from)} stays as it is, because encrypted anew it could not be opened: ${error.message}`,
      { cause: error, ...(error.hint === undefined ? {} : { hint: error.hint }) },
    );
  }
  const passphrase = parsePassphrase(opened, from);
  if (!isSame(passphrase, expected)) throw new Error('the passphrase that was just encrypted opens to something else');
  return passphrase;
}

/** True where both hold the same bytes. */
export function isSame(one: Secret, other: Secret): boolean {
  return Buffer.from(one.revealBytes()).equals(other.revealBytes());
}

async function hasSecretKey({ bytes, from, gpg }: Sealed & { readonly gpg: GpgContext }): Promise<boolean> {
  const { keyIds } = readSealedTo(bytes, { from });
  try {
    const here = (await listSecretKeys(gpg.run)).flatMap((key) => key.keyIds);
    return keyIds.some((id) => here.includes(id));
  } catch (error) {
    // Without a working gpg there is no secret key here.
    if (error instanceof RelaycertsError && error.code === 'tool') return false;
    throw error;
  }
}
