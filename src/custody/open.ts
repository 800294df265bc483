// Opening the passphrase file, with the operator key or with GnuPG, and the proof that a new file opens before it
// replaces an older one. It reads and writes no files; which file holds the passphrase is the caller's business.

import { quotePath, RelaycertsError } from '../errors.js';
import { Secret } from '../secret.js';
import { decryptWithGpg } from './gpg.js';
import { listSecretKeys } from './keyring.js';
import { assertBytes, loadOpenpgp } from './openpgp.js';
import { readOperatorKey, unlockOperatorKey, type OperatorKeyFile } from './operator-key.js';
import { parsePassphrase } from './passphrase.js';
import { largestMessage, readSealedTo, type SealedPassphrase } from './sealed-to.js';

/**
 * Opens the passphrase file: with the operator key if it is encrypted to it, otherwise with GnuPG.
 *
 * @throws RelaycertsError `passphrase` if nothing here opens it, `tool` if GnuPG is needed and cannot run
 */
export async function openPassphrase(sealed: SealedPassphrase): Promise<Secret> {
  const { bytes, from, operatorKey } = sealed;
  const { message } = readSealedTo(bytes, { from });
  const isOwn = operatorKey !== undefined && (await chooseOpener(sealed)) === 'operator-key';
  const opened = isOwn
    ? openWithOperatorKey(message, from, operatorKey)
    : decryptWithGpg({ ...sealed, bytes: message });
  return parsePassphrase(await opened, from);
}

/**
 * Proves that the new bytes of the passphrase file open to what is `expected`; false if no secret key of its recipients
 * is here.
 * @throws RelaycertsError `passphrase`, `tool` if a secret key is here and the file still does not open
 */
export async function proveSealed(sealed: SealedPassphrase, expected: Secret): Promise<boolean> {
  try {
    if ((await chooseOpener(sealed)) === 'gpg' && !(await isSecretKeyInGnupg(sealed))) return false;
    if ((await openPassphrase(sealed)).equals(expected)) return true;
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    const message = `${quotePath(sealed.from)} was not replaced, because the new file does not open: ${error.message}`;
    throw new RelaycertsError(error.code, message, { cause: error, ...(error.hint && { hint: error.hint }) });
  }
  throw new Error('the passphrase that was just encrypted opens to something else');
}

/**
 * Which of the two opens the file. If the operator key has a password that nobody can be asked for, a file with other
 * recipients is left to GnuPG.
 * @throws RelaycertsError `passphrase` if the file or the operator key is damaged
 */
export async function chooseOpener({
  bytes,
  from,
  operatorKey,
}: Pick<SealedPassphrase, 'bytes' | 'from' | 'operatorKey'>): Promise<'operator-key' | 'gpg'> {
  const { keyIds } = readSealedTo(bytes, { from });
  if (operatorKey === undefined) return 'gpg';
  const key = await readOperatorKey(operatorKey);
  // Hidden recipients are left to GnuPG, which tries every key it has.
  if (!keyIds.some((id) => key.keyIds.includes(id))) return 'gpg';
  const hasOthers = keyIds.some((id) => !key.keyIds.includes(id));
  return key.isLocked && operatorKey.password === undefined && hasOthers ? 'gpg' : 'operator-key';
}

/**
 * Decrypts a binary message with the operator key and returns exactly what was in it; `from` names the file in errors.
 * @throws RelaycertsError `passphrase` if the message is damaged, or the operator key is unusable or stays locked
 */
export async function openWithOperatorKey(
  message: Uint8Array,
  from: string,
  operatorKey: OperatorKeyFile,
): Promise<Secret> {
  const key = await unlockOperatorKey(operatorKey);
  const openpgp = await loadOpenpgp();
  try {
    const opened: { readonly data: unknown } = await openpgp.decrypt({
      message: await openpgp.readMessage({ binaryMessage: message }),
      decryptionKeys: key,
      format: 'binary',
      config: { maxDecompressedMessageSize: largestMessage },
    });
    const { data } = opened;
    assertBytes(data);
    const secret = new Secret(data);
    data.fill(0);
    return secret;
  } catch {
    throw new RelaycertsError('passphrase', `${quotePath(from)} is damaged and does not decrypt`, {
      hint: 'restore it from a backup',
    });
  }
}

async function isSecretKeyInGnupg({ bytes, from, run }: SealedPassphrase): Promise<boolean> {
  const { keyIds } = readSealedTo(bytes, { from });
  try {
    const here = (await listSecretKeys(run)).flatMap((key) => key.keyIds);
    return keyIds.some((id) => here.includes(id));
  } catch (error) {
    // Without a working gpg there is no secret key here.
    if (error instanceof RelaycertsError && error.code === 'tool') return false;
    throw error;
  }
}
