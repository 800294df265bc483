// OpenPGP by openpgp.js: the passphrase sealed to its recipients, the operator key made, and a sealed file opened with
// it. What is written is what GnuPG 2.2 reads: version 3 session keys, version 1 integrity protection (RFC 9580
// 5.13.1), AES-256; no AEAD, no Argon2, no compression. It reads no files and runs nothing; what GnuPG's keys open is
// opened in gpg.ts.

import { randomBytes } from 'node:crypto';
import { listSome, quote, quotePath, RelaycertsError } from '../errors.js';
import { Secret } from '../secret.js';
import { loadOpenpgp, type PartialConfig, type PrivateKey } from './openpgp.js';
import { packetTag, readPackets, readSessionKeyId } from './packets.js';
import { judgeKey, type RecipientKey } from './recipient-key.js';
import { largestMessage, readSealedTo, type SealedTo } from './sealed-to.js';

/** A password, or how to ask for one where it is needed; undefined where nobody can be asked. */
export type Password = Secret | (() => Promise<Secret>) | undefined;

/** The operator key as read from its file. */
export interface OperatorKey {
  readonly fingerprint: string;
  /** The key IDs of the primary key and all subkeys. */
  readonly keyIds: readonly string[];
  /** Has a password of its own. */
  readonly isLocked: boolean;
  readonly key: PrivateKey;
}

const defaultName = 'operator-key.asc';
/** Octets; the operator key has 700, an RSA key of 4096 bits 7000. openpgp.js takes seconds over a mebibyte of nothing. */
const largestKey = 65_536;

/**
 * Encrypts the passphrase, and nothing besides, to every recipient.
 *
 * `bytes` is a binary OpenPGP message; `warnings` are the recipients' own. Two recipients that are one key count once.
 */
export async function sealPassphrase(
  passphrase: Secret,
  recipients: readonly RecipientKey[],
  at: Date,
): Promise<{ readonly bytes: Uint8Array; readonly warnings: readonly string[] }> {
  const distinct = [...new Map(recipients.map((recipient) => [recipient.fingerprint, recipient])).values()];
  if (distinct.length === 0) throw new TypeError('a passphrase cannot be sealed to nobody');
  const openpgp = await loadOpenpgp();
  const config: PartialConfig = {
    aeadProtect: false,
    preferredCompressionAlgorithm: openpgp.enums.compression.uncompressed,
  };
  const plain = passphrase.revealBytes();
  // With a session key of our own, no recipient's preferences turn AEAD on or AES-256 off.
  const sessionKey = Uint8Array.from(randomBytes(32));
  try {
    const bytes: unknown = await openpgp.encrypt({
      message: await openpgp.createMessage({ binary: plain, date: at }),
      encryptionKeys: distinct.map(({ key }) => key),
      sessionKey: { data: sessionKey, algorithm: 'aes256' },
      format: 'binary',
      date: at,
      config,
    });
    assertBytes(bytes);
    assertReadable(bytes, distinct);
    return { bytes, warnings: distinct.flatMap(({ warnings }) => warnings) };
  } finally {
    plain.fill(0);
    sessionKey.fill(0);
  }
}

/** openpgp.js types what it gives back as perhaps a stream; bytes in, bytes out. */
function assertBytes(value: unknown): asserts value is Uint8Array<ArrayBuffer> {
  if (!(value instanceof Uint8Array)) throw new TypeError('openpgp.js gave something else than bytes');
}

/** The promise to GnuPG 2.2, checked on the bytes themselves. */
function assertReadable(bytes: Uint8Array, recipients: readonly RecipientKey[]): void {
  const { packets, flaw } = readPackets(bytes);
  const body = packets.at(-1);
  const keyIds = packets.slice(0, -1).map((packet) => (packet.body[0] === 3 ? readSessionKeyId(packet) : undefined));
  const isReadable =
    flaw === undefined &&
    body?.tag === packetTag.encryptedProtected &&
    body.body[0] === 1 &&
    keyIds.length === recipients.length &&
    recipients.every(({ keyId }) => keyIds.includes(keyId));
  if (!isReadable) throw new Error('the sealed passphrase is not in the form that GnuPG 2.2 reads');
}

/**
 * Makes an OpenPGP key that GnuPG 2.2 imports and uses: version 4, Ed25519 and Curve25519 in their old form, no expiry.
 *
 * `armored` is the private key, to be kept at mode 0600, encrypted with `password` where there is one.
 */
export async function makeOperatorKey(
  at: Date,
  userId: string,
  password?: Secret,
): Promise<{ readonly armored: Secret; readonly fingerprint: string; readonly recipient: RecipientKey }> {
  const openpgp = await loadOpenpgp();
  const { privateKey, publicKey } = await openpgp.generateKey({
    type: 'ecc',
    curve: 'curve25519Legacy',
    userIDs: [{ name: userId }],
    date: at,
    format: 'object',
    ...(password === undefined ? {} : { passphrase: password.revealText() }),
    config: { v6Keys: false, ...lockConfig(openpgp) },
  });
  const recipient = await judgeKey(publicKey, 'the operator key', at);
  return { armored: new Secret(privateKey.armor()), fingerprint: recipient.fingerprint, recipient };
}

/** A private key's password in the form that GnuPG 2.2 reads: iterated and salted (RFC 9580 3.7.1.3), no AEAD. */
function lockConfig({ enums }: Awaited<ReturnType<typeof loadOpenpgp>>): PartialConfig {
  return { aeadProtect: false, s2kType: enums.s2k.iterated, s2kIterationCountByte: 0xf0 };
}

/**
 * The operator key under another password, or (`next` undefined) under none.
 * @throws RelaycertsError `passphrase` where it is no private key, or `current` is not its password
 */
export async function relockOperatorKey(
  armored: Secret,
  { from, current, next }: { readonly from: string; readonly current: Password; readonly next: Secret | undefined },
): Promise<Secret> {
  const key = await unlock(await readOperatorKey(armored, from), from, current);
  if (next === undefined) return new Secret(key.armor());
  const openpgp = await loadOpenpgp();
  const locked = await openpgp.encryptKey({
    privateKey: key,
    passphrase: next.revealText(),
    config: lockConfig(openpgp),
  });
  return new Secret(locked.armor());
}

/**
 * Reads the operator key.
 * @throws RelaycertsError `passphrase` where it is no private key
 */
export async function readOperatorKey(armored: Secret, from = defaultName): Promise<OperatorKey> {
  const { readPrivateKey } = await loadOpenpgp();
  const text = armored.revealText();
  let key: PrivateKey;
  try {
    if (text.length > largestKey) throw new RangeError('too large');
    key = await readPrivateKey({ armoredKey: text });
  } catch {
    // The library's own words are dropped: they may quote the file.
    throw new RelaycertsError(
      'passphrase',
      `the operator key ${quotePath(from)} is not an armored OpenPGP private key`,
      {
        hint: 'restore it from a backup',
      },
    );
  }
  const keyIds = key.getKeys().map((each) => each.getKeyID().toHex().toUpperCase());
  const isLocked = key.getKeys().some(({ keyPacket }) => !keyPacket.isDecrypted());
  return { fingerprint: key.getFingerprint().toUpperCase(), keyIds, isLocked, key };
}

/**
 * The operator key's public half, as a recipient.
 * @throws RelaycertsError `passphrase` where it is no private key, `recipient` where it cannot be sealed to
 */
export async function operatorRecipient(armored: Secret, at: Date, from = defaultName): Promise<RecipientKey> {
  const { key } = await readOperatorKey(armored, from);
  return judgeKey(key.toPublic(), from, at);
}

/** Whether the operator key is named among the recipients; hidden ones are left to GnuPG, which tries all it has. */
export function isSealedTo({ keyIds }: SealedTo, operatorKey: OperatorKey): boolean {
  return keyIds.some((id) => operatorKey.keyIds.includes(id));
}

/**
 * Opens a sealed file with the operator key and gives exactly what was in it.
 *
 * `from` and `keyFrom` name the file and the key in errors.
 * @throws RelaycertsError `passphrase` where the file is damaged or encrypted to somebody else, the operator key is
 * none, has a password and none or a wrong one is given
 */
export async function openSealed(
  bytes: Uint8Array,
  operatorKeyArmored: Secret,
  {
    from,
    keyFrom = defaultName,
    password,
  }: { readonly from: string; readonly keyFrom?: string | undefined; readonly password?: Password },
): Promise<Secret> {
  const sealedTo = readSealedTo(bytes, { from });
  const operatorKey = await readOperatorKey(operatorKeyArmored, keyFrom);
  if (!isSealedTo(sealedTo, operatorKey)) {
    const ids = sealedTo.keyIds.length === 0 ? 'a password' : listSome(sealedTo.keyIds);
    throw new RelaycertsError(
      'passphrase',
      `${quotePath(from)} is encrypted to ${ids}, not to the operator key ${quote(keyFrom)}`,
      { hint: 'open it with the key that it is encrypted to: gpg --decrypt' },
    );
  }
  const key = await unlock(operatorKey, keyFrom, password);
  const openpgp = await loadOpenpgp();
  try {
    const opened: { readonly data: unknown } = await openpgp.decrypt({
      message: await openpgp.readMessage({ binaryMessage: sealedTo.message }),
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
    throw new RelaycertsError(
      'passphrase',
      `${quotePath(from)} is damaged: it does not decrypt to what was encrypted`,
      {
        hint: 'restore it from a backup',
      },
    );
  }
}

async function unlock({ key, isLocked }: OperatorKey, from: string, password: Password): Promise<PrivateKey> {
  if (!isLocked) return key;
  const given = typeof password === 'function' ? await password() : password;
  if (given === undefined) {
    throw new RelaycertsError('passphrase', `the operator key ${quotePath(from)} has a password, and none was given`, {
      hint: 'run it on a terminal, or hand the passphrase itself in with --passphrase-fd',
    });
  }
  const { decryptKey } = await loadOpenpgp();
  try {
    return await decryptKey({ privateKey: key, passphrase: given.revealText() });
  } catch {
    throw new RelaycertsError('passphrase', `that was not the password of the operator key ${quotePath(from)}`, {
      hint: 'run it again and give the password of the operator key',
    });
  }
}
