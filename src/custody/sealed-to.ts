// What an encrypted file shows before anything opens it: whether it is an OpenPGP message, whether it is complete, and
// to whom it is encrypted. It decrypts nothing and does not need openpgp.js.

import { quotePath, RelaycertsError, restoreHint } from '../errors.js';
import { pathWord } from '../shell-word.js';
import type { Run } from '../sys/run.js';
import type { OperatorKeyFile } from './operator-key.js';
import { isText, packetTag, readArmor, readPackets, readSessionKeyId } from './packets.js';

/** A passphrase file, and what may open it here. */
export interface SealedPassphrase {
  readonly bytes: Uint8Array;
  /** The file's path, for errors. */
  readonly from: string;
  /** Undefined if it does not exist. */
  readonly operatorKey: OperatorKeyFile | undefined;
  /** The operator key's place, if it opens the file: undefined if the settings name recipients. */
  readonly operatorKeyPath: string | undefined;
  /** Runs gpg. */
  readonly run: Run;
  /** The terminal for pinentry (`/dev/pts/3`); if undefined, nobody is asked. */
  readonly tty: string | undefined;
}

/** To whom a message is encrypted. */
export interface SealedTo {
  /** 16 upper-case hex digits each; `hiddenKeyId` for a hidden recipient. */
  readonly keyIds: readonly string[];
  /** Encrypted to a password as well (`gpg --symmetric`). */
  readonly hasPassword: boolean;
  /** The binary message, without armor. */
  readonly message: Uint8Array;
}

/** RFC 9580 5.1.8: the key ID of a recipient that `gpg --throw-keyids` hides. */
export const hiddenKeyId = '0'.repeat(16);

/** Octets: more than any passphrase needs, armored and encrypted to many recipients. */
export const largestMessage = 65_536;

/**
 * Reads to whom an encrypted file, armored or binary, is encrypted. `from` names the file in errors; `mostOctets`
 * limits its size.
 *
 * @throws RelaycertsError `passphrase` if it is empty, plain text, a key, not encrypted, not protected against changes,
 * truncated or damaged
 * @source RFC 9580 10.3: which packets make up a message
 */
export function readSealedTo(
  bytes: Uint8Array,
  { from, mostOctets = largestMessage }: { readonly from: string; readonly mostOctets?: number },
): SealedTo {
  const refuse = (what: string, hint = restoreHint(from)): RelaycertsError =>
    new RelaycertsError('passphrase', `${quotePath(from)} ${what}`, { hint });
  const byGpg = `gpg --encrypt --recipient ADDRESS -o ${pathWord(`${from}.new`)} ${pathWord(from)} && mv ${pathWord(`${from}.new`)} ${pathWord(from)}`;
  const encrypt = `${restoreHint(from)}; or, if this is the passphrase, encrypt it: ${byGpg}`;
  if (bytes.length === 0) throw refuse('is empty');
  if (bytes.length > mostOctets) throw refuse(`is too large for a passphrase: ${bytes.length} bytes`);
  const block = readArmor(bytes)[0];
  if (block === undefined && isText(bytes)) throw refuse('is plain text, not an OpenPGP message', encrypt);
  if (block?.type.endsWith('KEY BLOCK')) throw refuse('holds an OpenPGP key, not an encrypted passphrase');
  if (block !== undefined && block.type !== 'MESSAGE') throw refuse('is signed but not encrypted', encrypt);
  const message = block === undefined ? bytes : block.bytes;
  if (message === undefined) throw refuse('is damaged: its OpenPGP armor is broken or cut off');

  const { packets, flaw } = readPackets(message);
  const tags = packets.map(({ tag }) => tag);
  const has = (...wanted: readonly number[]): boolean => wanted.some((tag) => tags.includes(tag));
  if (has(packetTag.publicKey, packetTag.secretKey)) throw refuse('holds an OpenPGP key, not an encrypted passphrase');
  const sessionPackets = packets.filter(({ tag }) => tag === packetTag.publicKeySession);
  const hasPassword = has(packetTag.passwordSession);
  if (sessionPackets.length === 0 && !hasPassword) {
    const { literal, compressed, onePassSignature, signature } = packetTag;
    const startsPlain = [literal, compressed, onePassSignature, signature].some((tag) => tag === tags[0]);
    if (flaw === undefined && startsPlain) throw refuse('is OpenPGP, but not encrypted', encrypt);
    throw refuse(packets.length === 0 ? 'is not an OpenPGP message' : 'is damaged: it is not an encrypted message');
  }
  // RFC 9580 5.7: a packet without integrity protection could be changed unnoticed.
  if (has(packetTag.encrypted)) {
    const again = 'encrypt it again: gpg --encrypt --recipient ADDRESS';
    throw refuse('is encrypted without protection against changes', again);
  }
  // One message and nothing after it: a second one would never be read.
  const data = tags.findIndex((tag) => tag === packetTag.encryptedProtected || tag === packetTag.encryptedAead);
  const isComplete = data === tags.length - 1;
  if (flaw !== undefined || !isComplete) throw refuse('is damaged: it is cut off or has extra data');
  return { keyIds: sessionPackets.flatMap((packet) => readSessionKeyId(packet) ?? []), hasPassword, message };
}
