// The operator key: an OpenPGP key that relaycerts makes itself, for users who have none. It is made, read, given
// another password and unlocked here. Callers read and write its file; open.ts opens messages with it.

import { quotePath, RelaycertsError, restoreHint } from '../errors.js';
import { Secret } from '../secret.js';
import { flawWords } from './no-secret-key.js';
import { loadOpenpgp, type PartialConfig, type PrivateKey } from './openpgp.js';
import { judgeKey, type RecipientKey } from './recipient-key.js';

/** The operator key's file, with the key's own password if it has one. */
export interface OperatorKeyFile {
  readonly armored: Secret;
  /** Its path, for errors. */
  readonly from: string;
  /** Or a function that asks for it when needed; undefined if nobody can be asked. */
  readonly password?: Secret | (() => Promise<Secret>) | undefined;
}

/** The operator key as read from its file. */
export interface OperatorKey {
  /** Upper-case hex. */
  readonly fingerprint: string;
  /** The key IDs (16 upper-case hex digits) of the primary key and all subkeys. */
  readonly keyIds: readonly string[];
  /** Has a password of its own. */
  readonly isLocked: boolean;
  readonly key: PrivateKey;
}

/** Octets; the operator key has 700, a 4096-bit RSA key 7000. openpgp.js takes seconds to reject a mebibyte. */
const largestKey = 65_536;

/**
 * Makes an OpenPGP key that GnuPG 2.2 can import and use: version 4, Ed25519 and Curve25519 in their old form, no
 * expiry.
 *
 * `armored` is the private key, to be kept at mode 0600. It has no password: with one, no renewal runs by itself.
 */
export async function makeOperatorKey(
  at: Date,
  userId: string,
): Promise<{ readonly armored: Secret; readonly recipient: RecipientKey }> {
  const openpgp = await loadOpenpgp();
  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'ecc',
    curve: 'curve25519Legacy',
    userIDs: [{ name: userId }],
    date: at,
    format: 'object',
    config: { v6Keys: false },
  });
  return { armored: new Secret(privateKey.armor()), recipient: await judgeKey(publicKey, 'the operator key', at) };
}

/** A private key's password in the form that GnuPG 2.2 reads: iterated and salted (RFC 9580 3.7.1.3), no AEAD. */
function lockConfig({ enums }: Awaited<ReturnType<typeof loadOpenpgp>>): PartialConfig {
  return { aeadProtect: false, s2kType: enums.s2k.iterated, s2kIterationCountByte: 0xf0 };
}

/**
 * The operator key under another password, or without one if `next` is undefined.
 * @throws RelaycertsError `passphrase` if it is not a private key, or the file's password does not open it
 */
export async function relockOperatorKey(file: OperatorKeyFile, next: Secret | undefined): Promise<Secret> {
  const privateKey = await unlockOperatorKey(file);
  if (next === undefined) return new Secret(privateKey.armor());
  const openpgp = await loadOpenpgp();
  const locked = await openpgp.encryptKey({ privateKey, passphrase: next.revealText(), config: lockConfig(openpgp) });
  return new Secret(locked.armor());
}

/**
 * Reads the operator key; its password is not needed.
 * @throws RelaycertsError `passphrase` if it is not a private key
 */
export async function readOperatorKey({ armored, from }: OperatorKeyFile): Promise<OperatorKey> {
  const { readPrivateKey } = await loadOpenpgp();
  const text = armored.revealText();
  let key: PrivateKey;
  try {
    if (text.length > largestKey) throw new RangeError('too large');
    key = await readPrivateKey({ armoredKey: text });
  } catch {
    // The library's own message is dropped because it may quote the file.
    const message = `the operator key ${quotePath(from)} ${flawWords.unreadable}`;
    throw new RelaycertsError('passphrase', message, { hint: restoreHint(from) });
  }
  const keyIds = key.getKeys().map((each) => each.getKeyID().toHex().toUpperCase());
  const isLocked = key.getKeys().some(({ keyPacket }) => !keyPacket.isDecrypted());
  return { fingerprint: key.getFingerprint().toUpperCase(), keyIds, isLocked, key };
}

/**
 * The operator key's public half, as a recipient.
 * @throws RelaycertsError `passphrase` if it is not a private key, `recipient` if it cannot be encrypted to
 */
export async function operatorRecipient(file: OperatorKeyFile, at: Date): Promise<RecipientKey> {
  const { key } = await readOperatorKey(file);
  return judgeKey(key.toPublic(), file.from, at);
}

/**
 * The operator key, unlocked with its own password if it has one.
 * @throws RelaycertsError `passphrase` if it is not a private key, or its password is missing or wrong
 */
export async function unlockOperatorKey(file: OperatorKeyFile): Promise<PrivateKey> {
  const { key, isLocked } = await readOperatorKey(file);
  if (!isLocked) return key;
  const password = typeof file.password === 'function' ? await file.password() : file.password;
  const name = `the operator key ${quotePath(file.from)}`;
  if (password === undefined) {
    throw new RelaycertsError('passphrase', `${name} has a password, and none was given`, {
      hint: 'run it on a terminal, or give the passphrase itself with --passphrase-fd',
    });
  }
  const { decryptKey } = await loadOpenpgp();
  try {
    return await decryptKey({ privateKey: key, passphrase: password.revealText() });
  } catch {
    throw new RelaycertsError('passphrase', `that is not the password of ${name}`, {
      hint: 'run it again and give the password of the operator key',
    });
  }
}
