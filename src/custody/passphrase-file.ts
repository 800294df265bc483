// The passphrase file of a project: opening it, sealing a new passphrase, and sealing it again to other recipients. It
// works on bytes; the command's change writes them.

import type { Inventory } from '../plan/inventory.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { Secret } from '../secret.js';
import type { Settings } from '../settings/settings.js';
import { readNamedFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { openPassphrase, openUnasked, proveSealed, type Unasked } from './open.js';
import { makeOperatorKey, operatorRecipient, readOperatorKey, type OperatorKeyFile } from './operator-key.js';
import type { RecipientKey } from './recipient-key.js';
import { findInKeyring, findRecipient, type RecipientContext } from './recipients.js';
import { sealPassphrase } from './seal.js';
import { hiddenKeyId, readSealedTo, type SealedPassphrase } from './sealed-to.js';

interface OperatorKeyWork {
  readonly sys: Sys;
  readonly inventory: Pick<Inventory, 'operatorKey' | 'operatorKeyPath'>;
}

interface RecipientWork {
  readonly settings: Settings;
  readonly sys: Sys;
  readonly at: Date;
}

export interface CustodyWork extends RecipientWork {
  readonly inventory: Pick<Inventory, 'passphraseFile' | 'operatorKey' | 'operatorKeyPath'>;
}

/** The passphrase in the file. @throws passphrase, tool */
export async function openPassphraseFile(work: CustodyWork): Promise<Secret> {
  return openPassphrase(sealedOf(work, fileOf(work)));
}

/** The same if nothing has to be asked for; otherwise what would be asked for. @throws passphrase, tool */
export async function openFileUnasked(work: CustodyWork): Promise<Unasked> {
  return openUnasked(sealedOf(work, fileOf(work)));
}

function fileOf({ settings, inventory }: CustodyWork): Buffer {
  const { file } = settings.passphrase;
  const bytes = inventory.passphraseFile;
  if (bytes === undefined) {
    throw new RelaycertsError('passphrase', `the passphrase file ${quotePath(file)} does not exist`, {
      hint: 'restore it from a backup, or set passphrase.file to its place; make, renew and sign take the passphrase itself with --passphrase-fd N',
    });
  }
  return bytes;
}

/** The operator key, which asks for its own password when needed, once, and only on a terminal. */
export function operatorKeyOf({ inventory, sys }: OperatorKeyWork): OperatorKeyFile | undefined {
  const { operatorKey, operatorKeyPath: from } = inventory;
  if (operatorKey === undefined) return undefined;
  let asked: Promise<Secret> | undefined;
  const ask = (): Promise<Secret> => (asked ??= sys.askSecret(`Password of the operator key ${from}:`));
  return { armored: new Secret(operatorKey), from, password: sys.interactive ? ask : undefined };
}

/**
 * Seals a passphrase for a project that has no passphrase file: to the recipients in the settings or, if there are
 * none, to the operator key, which is made if missing. `operatorKey` is armored; undefined if none was made.
 * @throws recipient, tool, interrupted
 */
export async function sealFirst(
  work: CustodyWork,
  passphrase: Secret,
): Promise<{ readonly passphraseFile: Buffer; readonly operatorKey?: Buffer }> {
  const { settings, inventory, at } = work;
  if (settings.passphrase.recipients.length > 0 || inventory.operatorKey !== undefined) {
    return { passphraseFile: await seal(work, passphrase, await recipientsForChange(work)) };
  }
  const made = await makeOperatorKey(at, 'relaycerts operator key');
  const passphraseFile = await seal(work, passphrase, [made.recipient]);
  return { passphraseFile, operatorKey: Buffer.from(made.armored.revealBytes()) };
}

/** Encrypts to these keys, with their warnings. @throws recipient */
async function seal(work: CustodyWork, passphrase: Secret, recipients: readonly RecipientKey[]): Promise<Buffer> {
  const { bytes, warnings } = await sealPassphrase(passphrase, recipients, work.at);
  for (const warning of warnings) work.sys.warn(warning);
  return Buffer.from(bytes);
}

/**
 * Seals a passphrase again, to these keys. `isProven`: the new file was opened here with a secret key.
 * @throws recipient, passphrase, tool
 */
export async function sealAgain(
  work: CustodyWork,
  passphrase: Secret,
  recipients: readonly RecipientKey[],
): Promise<{ readonly bytes: Buffer; readonly isProven: boolean }> {
  const bytes = await seal(work, passphrase, recipients);
  return { bytes, isProven: await proveSealed(sealedOf(work, bytes), passphrase) };
}

/**
 * A given passphrase must not replace, or be used beside, another one in the existing file, which some project needs.
 * False, with a warning, if the file cannot be opened for comparison. @throws passphrase
 */
export async function assertGivenInFile(work: CustodyWork, given: Secret): Promise<boolean> {
  const file = quotePath(work.settings.passphrase.file);
  let held: Secret;
  try {
    held = await openPassphraseFile(work);
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code === 'interrupted') throw error;
    work.sys.warn(`cannot tell whether ${file} holds the given passphrase: ${error.message}`);
    return false;
  }
  if (held.equals(given)) return true;
  throw new RelaycertsError('passphrase', `${file} holds another passphrase than the given one`, {
    hint: 'run it without --passphrase-fd, or name another passphrase.file in the settings',
  });
}

/** The keys that passphrase.recipients names. @throws recipient, tool */
export async function recipientsOfSettings(work: RecipientWork): Promise<readonly RecipientKey[]> {
  const context = recipientContext(work);
  return (await Promise.all(work.settings.passphrase.recipients.map((name) => findRecipient(name, context)))).flat();
}

/** What is needed to look for a recipient. */
export function recipientContext({ settings, sys, at }: RecipientWork): RecipientContext {
  return { folder: settings.folder, home: sys.home, at, run: sys.run, readFile: readNamedFile };
}

/**
 * Who gets a new passphrase: the recipients in the settings; without any, everybody who can open the old file; without
 * a file, the operator key.
 * @throws recipient - they cannot be determined; tool
 */
export async function recipientsForChange(work: CustodyWork): Promise<readonly RecipientKey[]> {
  const { sys, at } = work;
  const { file, recipients } = work.settings.passphrase;
  if (recipients.length > 0) return recipientsOfSettings(work);
  const doubt = 'cannot tell who should be able to open the new passphrase';
  const hint = 'name its recipients as passphrase.recipients in the settings';
  const unclear = (why: string): RelaycertsError =>
    new RelaycertsError('recipient', `${doubt}: ${quotePath(file)} ${why}`, { hint });
  const operatorKey = operatorKeyOf(work);
  const bytes = work.inventory.passphraseFile;
  if (bytes === undefined) {
    if (operatorKey === undefined) throw unclear('does not exist, and there is no operator key');
    return [await operatorRecipient(operatorKey, at)];
  }
  const { keyIds, hasPassword } = readSealedTo(bytes, { from: file });
  if (hasPassword) throw unclear('is encrypted to a password');
  if (keyIds.includes(hiddenKeyId)) throw unclear('hides its recipients');
  const own = operatorKey && (await readOperatorKey(operatorKey));
  const others = keyIds.filter((id) => own?.keyIds.includes(id) !== true);
  const found: RecipientKey[] = [];
  if (operatorKey && others.length < keyIds.length) found.push(await operatorRecipient(operatorKey, at));
  for (const id of others) found.push(...(await findInKeyring(id, { run: sys.run, at })));
  return found;
}

function sealedOf(work: CustodyWork, bytes: Buffer): SealedPassphrase {
  const { settings, sys, inventory } = work;
  const operatorKey = operatorKeyOf(work);
  const { file: from, recipients } = settings.passphrase;
  const operatorKeyPath = recipients.length === 0 ? inventory.operatorKeyPath : undefined;
  return {
    bytes,
    from,
    operatorKey,
    operatorKeyPath,
    run: sys.run,
    // Only GnuPG needs it, and Node opens standard input for it.
    get tty() {
      return sys.tty;
    },
  };
}
