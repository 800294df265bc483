// Opens the passphrase file, with the operator key or with GnuPG, and proves that a new file opens before it replaces
// an older one. It reads and writes no files; the caller knows which file holds the passphrase.

import { quotePath, RelaycertsError, restoreHint } from '../errors.js';
import { Secret } from '../secret.js';
import { decryptUnasked, decryptWithGpg, gpgIsMissing } from './gpg.js';
import { listSecretKeys } from './keyring.js';
import { noSecretKeyError, type OperatorFlaw } from './no-secret-key.js';
import { assertBytes, loadOpenpgp } from './openpgp.js';
import { readOperatorKey, unlockOperatorKey, type OperatorKey, type OperatorKeyFile } from './operator-key.js';
import { parsePassphrase } from './passphrase.js';
import { hiddenKeyId, largestMessage, readSealedTo, type SealedPassphrase } from './sealed-to.js';

/**
 * Opens the passphrase file: with the operator key if it is encrypted to it, otherwise with GnuPG.
 *
 * @throws RelaycertsError `passphrase` if nothing here opens it, `tool` if GnuPG is needed and cannot run
 */
export async function openPassphrase(sealed: SealedPassphrase): Promise<Secret> {
  const { bytes, from, operatorKey } = sealed;
  const { message } = readSealedTo(bytes, { from });
  const { opener, flaw } = await chooseOpener(sealed);
  const opened =
    opener === 'operator-key' && operatorKey !== undefined
      ? openWithOperatorKey(message, from, operatorKey)
      : blamingOperator(sealed, flaw, () => decryptWithGpg({ ...sealed, bytes: message }, flaw));
  return parsePassphrase(await opened, from);
}

/** The passphrase and what opened it (undefined: unknown), or what must be asked for before it opens. */
export type Unasked =
  { readonly passphrase: Secret; readonly opener: 'operator-key' | 'gpg' | undefined } | { readonly asksFor: string };

/**
 * Opens the passphrase file if nothing has to be asked for: no password, no PIN, no card. Otherwise it is certain that
 * a secret key for it is here, unless the file hides its recipients or has a password.
 * @throws RelaycertsError as openPassphrase
 */
export async function openUnasked(sealed: SealedPassphrase): Promise<Unasked> {
  const { bytes, from, operatorKey } = sealed;
  const { message, keyIds } = readSealedTo(bytes, { from });
  const { key, flaw } = await readOwnKey(sealed);
  const isOwn = key !== undefined && keyIds.some((id) => key.keyIds.includes(id));
  if (operatorKey !== undefined && isOwn && !key.isLocked) {
    const passphrase = parsePassphrase(await openWithOperatorKey(message, from, operatorKey), from);
    return { passphrase, opener: 'operator-key' };
  }
  try {
    return await blamingOperator(sealed, flaw, () => askGnupgQuietly(sealed, flaw));
  } catch (error) {
    if (!isOwn || !(error instanceof RelaycertsError)) throw error;
    return { asksFor: `the password of the operator key ${quotePath(operatorKey?.from ?? '')}` };
  }
}

async function askGnupgQuietly(sealed: SealedPassphrase, flaw: OperatorFlaw): Promise<Unasked> {
  const { bytes, from, run } = sealed;
  const { message, keyIds, hasPassword } = readSealedTo(bytes, { from });
  const isHidden = keyIds.includes(hiddenKeyId);
  const listed = keyIds.length === 0 ? [] : await listSecretKeys(run, isHidden ? [] : keyIds);
  const here = listed.filter((key) => isHidden || key.keyIds.some((id) => keyIds.includes(id)));
  if (here.length === 0 && !hasPassword) throw noSecretKeyError(sealed, keyIds, flaw);
  // A card may wait for a touch, which counts as asking.
  if (here.some(({ isOnCard }) => isOnCard)) return { asksFor: 'the card that has its OpenPGP key' };
  const hidden = { asksFor: 'the key of its hidden recipient' };
  const opened = await decryptUnasked({ ...sealed, bytes: message }, flaw).catch((error: unknown) => {
    // GnuPG tries every key and does not report which are locked.
    if (isHidden && error instanceof RelaycertsError) return hidden;
    throw error;
  });
  if (opened instanceof Secret) return { passphrase: parsePassphrase(opened, from), opener: 'gpg' };
  const secret = here.length === 0 ? 'the password that it is encrypted with' : 'the passphrase of its OpenPGP key';
  return opened ?? { asksFor: secret };
}

/** Without GnuPG, the operator key is to blame if the file should open with it. */
async function blamingOperator<T>(sealed: SealedPassphrase, flaw: OperatorFlaw, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { bytes, from, operatorKeyPath } = sealed;
    if (operatorKeyPath === undefined || !(error instanceof RelaycertsError && error.message === gpgIsMissing))
      throw error;
    const { keyIds, hasPassword } = readSealedTo(bytes, { from });
    if (hasPassword) throw error;
    throw noSecretKeyError(sealed, keyIds, flaw, gpgIsMissing);
  }
}

/**
 * Proves that the new bytes of the passphrase file open to `expected`; false if no secret key of its recipients is
 * here.
 * @throws RelaycertsError `passphrase`, `tool` if a secret key is here and the file still does not open
 */
export async function proveSealed(sealed: SealedPassphrase, expected: Secret): Promise<boolean> {
  try {
    const { opener } = await chooseOpener(sealed);
    if (opener === 'gpg' && !(await isSecretKeyInGnupg(sealed))) return false;
    if ((await openPassphrase(sealed)).equals(expected)) return true;
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    const message = `${quotePath(sealed.from)} was not replaced, because the new file does not open: ${error.message}`;
    throw new RelaycertsError(error.code, message, { cause: error, ...(error.hint && { hint: error.hint }) });
  }
  throw new Error('the passphrase that was just encrypted opens to something else');
}

type Choice = Pick<SealedPassphrase, 'bytes' | 'from' | 'operatorKey'>;

/**
 * Which of the two opens the file. If the operator key has a password that nobody can be asked for, a file with other
 * recipients is left to GnuPG, and so is a file that the operator key does not open (`flaw` says why).
 * @throws RelaycertsError `passphrase` if the file is damaged
 */
export async function chooseOpener(
  sealed: Choice,
): Promise<{ readonly opener: 'operator-key' | 'gpg'; readonly flaw: OperatorFlaw }> {
  const { bytes, from, operatorKey } = sealed;
  const { keyIds } = readSealedTo(bytes, { from });
  const { key, flaw } = await readOwnKey(sealed);
  // Hidden recipients are left to GnuPG, which tries every key it has.
  const isOwn = key !== undefined && keyIds.some((id) => key.keyIds.includes(id));
  if (!isOwn) return { opener: 'gpg', flaw };
  const hasOthers = keyIds.some((id) => !key.keyIds.includes(id));
  const isShut = key.isLocked && operatorKey?.password === undefined;
  return { opener: isShut && hasOthers ? 'gpg' : 'operator-key', flaw: isShut ? 'locked' : flaw };
}

/** The operator key if it can be read, and why it does not open a file that is not encrypted to it. */
export async function readOwnKey({
  operatorKey,
}: Pick<Choice, 'operatorKey'>): Promise<{ readonly key: OperatorKey | undefined; readonly flaw: OperatorFlaw }> {
  if (operatorKey === undefined) return { key: undefined, flaw: 'missing' };
  try {
    return { key: await readOperatorKey(operatorKey), flaw: 'another' };
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    return { key: undefined, flaw: 'unreadable' };
  }
}

/**
 * Decrypts a binary message with the operator key and returns exactly its contents; `from` names the file in errors.
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
      hint: restoreHint(from),
    });
  }
}

async function isSecretKeyInGnupg({ bytes, from, run }: SealedPassphrase): Promise<boolean> {
  const { keyIds } = readSealedTo(bytes, { from });
  try {
    const here = (await listSecretKeys(run)).flatMap((key) => key.keyIds);
    return keyIds.some((id) => here.includes(id));
  } catch (error) {
    // Without a working gpg there are no secret keys here.
    if (error instanceof RelaycertsError && error.code === 'tool') return false;
    throw error;
  }
}
