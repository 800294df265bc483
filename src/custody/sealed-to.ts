// What an encrypted file says about itself before anything opens it: whether it is one, whole, and to whom it is
// encrypted. It decrypts nothing and needs no openpgp.js.

import { quotePath, RelaycertsError } from '../errors.js';
import { isText, packetTag, readArmor, readPackets, readSessionKeyId } from './packets.js';

/** To whom a message is encrypted; a hidden recipient's key ID is all zeros. */
export interface SealedTo {
  readonly keyIds: readonly string[];
  /** Encrypted to a password as well (`gpg --symmetric`). */
  readonly hasPassword: boolean;
  /** The binary message, armor taken off. */
  readonly message: Uint8Array;
}

/** More than any passphrase in any armor, to any number of recipients that anybody has. */
export const largestMessage = 65_536;

/**
 * To whom an encrypted file, armored or binary, is encrypted, without decrypting it.
 *
 * `from` names the file in errors.
 * @throws RelaycertsError `passphrase` where it is empty, plain text, a key, not encrypted, not protected against
 * changes, truncated or damaged
 */
export function readSealedTo(bytes: Uint8Array, { from }: { readonly from: string }): SealedTo {
  const refuse = (what: string, hint = 'restore it from a backup'): RelaycertsError =>
    new RelaycertsError('passphrase', `${quotePath(from)} ${what}`, { hint });
  const encrypt = 'encrypt it: gpg --encrypt --recipient ADDRESS';
  if (bytes.length === 0) throw refuse('is empty');
  if (bytes.length > largestMessage) throw refuse(`is too large for a passphrase: ${bytes.length} bytes`);
  const block = readArmor(bytes)[0];
  if (block === undefined && isText(bytes)) throw refuse('is plain text, not an OpenPGP message', encrypt);
  if (block?.type.endsWith('KEY BLOCK')) throw refuse('holds an OpenPGP key, not an encrypted passphrase');
  if (block !== undefined && block.type !== 'MESSAGE') throw refuse('is signed but not encrypted', encrypt);
  const message = block === undefined ? bytes : block.bytes;
  if (message === undefined) throw refuse('is damaged: its OpenPGP armor is broken or cut off');

  const { packets, flaw } = readPackets(message);
  const tags = packets.map(({ tag }) => tag);
  if (tags.includes(packetTag.publicKey) || tags.includes(packetTag.secretKey)) {
    throw refuse('holds an OpenPGP key, not an encrypted passphrase');
  }
  const sessionPackets = packets.filter(({ tag }) => tag === packetTag.publicKeySession);
  const hasPassword = tags.includes(packetTag.passwordSession);
  if (sessionPackets.length === 0 && !hasPassword) {
    const plain: readonly (number | undefined)[] = [
      packetTag.literal,
      packetTag.compressed,
      packetTag.onePassSignature,
      packetTag.signature,
    ];
    if (flaw === undefined && plain.includes(tags[0])) throw refuse('is OpenPGP, but not encrypted', encrypt);
    throw refuse(packets.length === 0 ? 'is not an OpenPGP message' : 'is damaged: it is not an encrypted message');
  }
  if (tags.includes(packetTag.encrypted)) {
    throw refuse(
      'is encrypted without protection against changes',
      'encrypt it again: gpg --encrypt --recipient ADDRESS',
    );
  }
  const isComplete = tags.includes(packetTag.encryptedProtected) || tags.includes(packetTag.encryptedAead);
  if (flaw !== undefined || !isComplete) throw refuse('is damaged: it is cut off or has something added');
  return { keyIds: sessionPackets.flatMap((packet) => readSessionKeyId(packet) ?? []), hasPassword, message };
}
