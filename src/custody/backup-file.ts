// A backup as an OpenPGP message: its recipients, and opening it. store/backup.ts has its contents. It is encrypted to
// keys that are not in it; the operator key is in the backup, so a backup to that key could not be opened when it is
// needed, and gets a password instead.

import { quotePath, RelaycertsError, type Hint } from '../errors.js';
import type { Secret } from '../secret.js';
import type { Run } from '../sys/run.js';
import { decryptWithGpg } from './gpg.js';
import { readOwnKey } from './open.js';
import { assertBytes, loadOpenpgp } from './openpgp.js';
import type { OperatorKey } from './operator-key.js';
import { operatorKeyOf, recipientsForChange, type CustodyWork } from './passphrase-file.js';
import type { RecipientKey } from './recipient-key.js';
import { hiddenKeyId, readSealedTo } from './sealed-to.js';

/** Octets: a hundred thousand clients take 300 MiB. V8's strings have at most 512. */
export const largestBackup = 500 << 20;

/** The operator key, if it opens the passphrase file, by itself or along with others. */
export async function findOpeningKey(work: CustodyWork): Promise<OperatorKey | undefined> {
  const { passphraseFile } = work.inventory;
  if (passphraseFile === undefined) return undefined;
  const { keyIds } = readSealedTo(passphraseFile, { from: work.settings.passphrase.file });
  const { key } = await readOwnKey({ operatorKey: operatorKeyOf(work) });
  return key !== undefined && keyIds.some((id) => key.keyIds.includes(id)) ? key : undefined;
}

/**
 * The keys that a backup is encrypted to: those that open the passphrase file, without the operator key. None if only a
 * password remains.
 * @throws recipient, passphrase, tool
 */
export async function recipientsForBackup(work: CustodyWork): Promise<readonly RecipientKey[]> {
  const { settings, inventory } = work;
  if (settings.passphrase.recipients.length === 0) {
    if (inventory.passphraseFile === undefined) return [];
    const { keyIds, hasPassword } = readSealedTo(inventory.passphraseFile, { from: settings.passphrase.file });
    if (hasPassword || keyIds.includes(hiddenKeyId)) return [];
  }
  const { key: own } = await readOwnKey({ operatorKey: operatorKeyOf(work) });
  const found = (await recipientsForChange(work)).filter(({ fingerprint }) => fingerprint !== own?.fingerprint);
  return [...new Map(found.map((key) => [key.fingerprint, key])).values()];
}

/** A backup's file, and what may open it here. */
interface SealedBackup {
  readonly bytes: Uint8Array;
  /** Its path, for errors. */
  readonly from: string;
  readonly run: Run;
  readonly tty: string | undefined;
  /** How to get its password, if it has one. */
  readonly password: () => Promise<Secret>;
  /** The hint if GnuPG does not open it. */
  readonly cure: Hint;
}

/**
 * The contents of a backup: opened with its password, or by GnuPG.
 * @throws passphrase - it is not a backup, is damaged, or nothing here opens it; tool; what `password` throws
 */
export async function openBackup({ bytes, from, run, tty, password, cure }: SealedBackup): Promise<Buffer> {
  const { message, hasPassword, keyIds } = readBackupMessage(bytes, from);
  if (hasPassword && keyIds.length === 0) return openWithPassword(message, from, await password());
  const sealed = { bytes: message, from, run, tty, operatorKey: undefined, operatorKeyPath: undefined };
  try {
    return Buffer.from((await decryptWithGpg(sealed, 'missing', largestBackup)).revealBytes());
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code !== 'passphrase') throw error;
    throw new RelaycertsError('passphrase', error.message, { cause: error, hint: cure });
  }
}

function readBackupMessage(bytes: Uint8Array, from: string): ReturnType<typeof readSealedTo> {
  try {
    return readSealedTo(bytes, { from, mostOctets: largestBackup });
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    throw brokenBackup(from, 'it is not a complete encrypted OpenPGP message', error);
  }
}

/** The error for a file that is not a backup or is incomplete. */
export function brokenBackup(from: string, flaw: string, cause?: unknown): RelaycertsError {
  return new RelaycertsError('passphrase', `${quotePath(from)} is not a backup of relaycerts, or is damaged: ${flaw}`, {
    hint: 'copy it again, or take another backup; nothing was restored',
    cause,
  });
}

async function openWithPassword(message: Uint8Array, from: string, password: Secret): Promise<Buffer> {
  const openpgp = await loadOpenpgp();
  try {
    const opened: { readonly data: unknown } = await openpgp.decrypt({
      message: await openpgp.readMessage({ binaryMessage: message }),
      passwords: password.revealText(),
      format: 'binary',
      config: { maxDecompressedMessageSize: largestBackup },
    });
    assertBytes(opened.data);
    return Buffer.from(opened.data.buffer, opened.data.byteOffset, opened.data.length);
  } catch {
    // The library's own message says less, and may quote the file.
    throw new RelaycertsError('passphrase', `that is not the password of ${quotePath(from)}, or the file is damaged`, {
      hint: 'run it again and give the password that was chosen when the backup was made',
    });
  }
}
