// A recipient's public key: read from armored or binary bytes and judged. Only a key that is valid now, strong enough,
// able to encrypt and readable by GnuPG becomes a RecipientKey; any other is refused with the reason and what to do.
// recipients.ts finds keys.

import { listSome, quote, quotePath, RelaycertsError } from '../errors.js';
import { loadOpenpgp, type Key, type PublicKey, type Subkey } from './openpgp.js';
import { isText, mostPackets, packetTag, readArmor, readPackets } from './packets.js';

/** A public key that the passphrase can be encrypted to. */
export interface RecipientKey {
  /** The primary key's, upper-case hex. */
  readonly fingerprint: string;
  /** The key ID (16 upper-case hex digits) of the key, usually a subkey, that the passphrase is encrypted to. */
  readonly keyId: string;
  /** The fingerprint of the key with `keyId`, upper-case hex. */
  readonly encryptionFingerprint: string;
  /** The primary user ID, '' if there is none. */
  readonly userId: string;
  /** When encrypting to it ends; undefined for never. */
  readonly expires: Date | undefined;
  /** Where it was found: a file, or the keyring. */
  readonly from: string;
  /** What its owner should know, one line each. */
  readonly warnings: readonly string[];
  readonly key: PublicKey;
}

/** The limit in one file, because each key costs public-key operations. */
const mostKeys = 100;
/** RFC 9580 5.2.3.32: features, here "version 2 SEIPD", which is AEAD encryption. */
const featureSeipdV2 = 0x08;
/** RFC 9580 5.2.3.29: key flags, here "may encrypt communications" and "may encrypt storage". */
const encryptFlags = 0x0c;
const oldForm = 'asks for AEAD encryption; it gets the older form, which GnuPG 2.2 reads as well';
const makeKey = 'gpg --quick-generate-key ADDRESS future-default';

/**
 * Reads one or several public keys, armored or binary, all of which must be usable at `at`.
 *
 * `from` names the file (or the keyring) in errors.
 * @throws RelaycertsError `recipient` for anything but public keys, and for keys that are expired, revoked, weak, unable
 * to encrypt or unreadable for GnuPG
 */
export async function readRecipientKeys(
  bytes: Uint8Array,
  { from, at }: { readonly from: string; readonly at: Date },
): Promise<readonly RecipientKey[]> {
  const refuse = (what: string, hint = 'gpg --export --armor FINGERPRINT > FILE'): RelaycertsError =>
    new RelaycertsError('recipient', `${quotePath(from)} ${what}`, { hint });
  if (bytes.length === 0) throw refuse('is empty: it holds no OpenPGP public key');
  const blocks = readArmor(bytes);
  const secret = 'holds a private key: a recipient is a public key';
  if (blocks.some(({ type }) => type === 'PRIVATE KEY BLOCK')) throw refuse(secret);
  if (blocks.some(({ type }) => type !== 'PUBLIC KEY BLOCK')) throw refuse('is OpenPGP, but not a public key');
  if (blocks.length === 0 && isText(bytes)) throw refuse('is not an OpenPGP public key');
  const parts = blocks.length === 0 ? [bytes] : blocks.map((block) => block.bytes);
  const binary = Buffer.concat(parts.flatMap((part) => part ?? []));
  const { packets, flaw } = readPackets(binary);
  if (packets.some(({ tag }) => tag === packetTag.secretKey)) throw refuse(secret);
  if (flaw === 'too-many') {
    const hint = 'gpg --export --export-options export-minimal --armor FINGERPRINT > FILE';
    throw refuse(`holds over ${mostPackets} OpenPGP packets, most of them signatures that are not needed here`, hint);
  }
  if (flaw !== undefined || parts.includes(undefined)) {
    throw refuse(packets.length === 0 ? 'is not an OpenPGP public key' : 'is damaged: it ends inside a key');
  }
  const primaries = packets.filter(({ tag }) => tag === packetTag.publicKey);
  if (primaries.length === 0) throw refuse('is OpenPGP, but not a public key');
  if (primaries.length > mostKeys) throw refuse(`holds over ${mostKeys} keys`);
  // RFC 9580 5.5.2: a public key packet begins with its version; a version 4 one has its algorithm in octet 5.
  const described = primaries.map(({ body }) => `version ${body[0] ?? 0}, algorithm ${body[5] ?? 0}`);
  const kinds = listSome(described, '; ');

  const { readKeys } = await loadOpenpgp();
  const keys = await readKeys({ binaryKeys: binary }).catch(() => []);
  // openpgp.js skips keys that it cannot read, and no recipient may be lost that way.
  if (keys.length !== primaries.length) throw refuse(`holds a key that cannot be read (${kinds})`);
  try {
    return await Promise.all(keys.map((key) => judgeKey(key, from, at)));
  } catch (error) {
    // openpgp.js throws errors of any kind for a key that is malformed inside.
    throw error instanceof RelaycertsError ? error : refuse(`holds a key that is damaged (${kinds})`);
  }
}

/**
 * Judges one key that openpgp.js has read; `from` names its file or the keyring in errors.
 * @throws RelaycertsError `recipient`
 */
export async function judgeKey(key: Key, from: string, at: Date): Promise<RecipientKey> {
  const fingerprint = key.getFingerprint().toUpperCase();
  const userId = await primaryUserId(key, at);
  const name = `key ${fingerprint}${userId === '' ? '' : ` ${quote(userId)}`} from ${quotePath(from)}`;
  const refuse = (what: string, hint: string): RelaycertsError =>
    new RelaycertsError('recipient', `${name} ${what}`, { hint });

  const { version } = key.keyPacket;
  if (version > 4) throw refuse(`is of version ${version}, which GnuPG cannot read`, makeKey);
  if (await key.isRevoked(undefined, undefined, at)) {
    throw refuse('is revoked', "put its owner's current key into passphrase.recipients");
  }
  const primaryExpires = asDate(await key.getExpirationTime());
  if (primaryExpires !== undefined && primaryExpires <= at) {
    throw refuse(`expired on ${dayOf(primaryExpires)}`, extend(fingerprint));
  }
  let encryptionKey: Key | Subkey;
  try {
    encryptionKey = await key.getEncryptionKey(undefined, at);
  } catch (error) {
    throw refuse(...(await explainUnusable(key, at, error)));
  }
  const { enums } = await loadOpenpgp();
  const { x25519, x448 } = enums.publicKey;
  if ([x25519, x448].includes(encryptionKey.keyPacket.algorithm)) {
    const { algorithm } = encryptionKey.getAlgorithmInfo();
    throw refuse(`encrypts with ${algorithm} of RFC 9580, which GnuPG cannot read`, makeKey);
  }
  const subkeyExpires = 'mainKey' in encryptionKey ? asDate(await encryptionKey.getExpirationTime(at)) : undefined;
  const expiries = [primaryExpires, subkeyExpires].filter((date) => date !== undefined);
  const { selfCertification } = await key.getPrimaryUser(at);
  const asksForAead = ((selfCertification.features?.[0] ?? 0) & featureSeipdV2) !== 0;
  return {
    fingerprint,
    keyId: encryptionKey.getKeyID().toHex().toUpperCase(),
    encryptionFingerprint: encryptionKey.getFingerprint().toUpperCase(),
    userId,
    expires: expiries.length === 0 ? undefined : new Date(Math.min(...expiries.map(Number))),
    from,
    warnings: asksForAead ? [`${name} ${oldForm}`] : [],
    key: key.toPublic(),
  };
}

/** gpg(1) --quick-set-expire: `*` passes over subkeys that have expired already, so an expired one is named. */
function extend(fingerprint: string, subkey = ''): string {
  return `gpg --quick-set-expire ${fingerprint} 2y${subkey}, and export it again if it comes from a file`;
}

/** Why openpgp.js found no key to encrypt to, and a hint. Its own message only tells a weak key from other flaws. */
async function explainUnusable(key: Key, at: Date, error: unknown): Promise<readonly [reason: string, hint: string]> {
  const fingerprint = key.getFingerprint().toUpperCase();
  const addSubkey = `gpg --quick-add-key ${fingerprint} cv25519 encr, and export it again if it comes from a file`;
  const said = error instanceof Error ? error.message : '';
  const weak = /([^:]*(?:too weak|is disabled))\.?$/u.exec(said)?.[1]?.trim();
  if (weak !== undefined) return [`is too weak (${weak})`, makeKey];
  const { curve = '' } = key.getAlgorithmInfo();
  if (/^(?:brainpool|secp)/u.test(curve)) return [`signs with ${curve}, which openpgp.js cannot verify here`, makeKey];
  if (key.keyPacket.created > at) {
    return [`begins on ${dayOf(key.keyPacket.created)}, in the future`, "check this machine's clock: date -u"];
  }
  for (const subkey of key.subkeys) {
    if (!subkey.bindingSignatures.some(({ keyFlags }) => ((keyFlags?.[0] ?? 0) & encryptFlags) !== 0)) continue;
    const name = `cannot encrypt: its encryption subkey ${subkey.getKeyID().toHex().toUpperCase()}`;
    const expires = asDate(await subkey.getExpirationTime(at));
    if (expires !== undefined && expires <= at) {
      return [`${name} expired on ${dayOf(expires)}`, extend(fingerprint, ` ${subkey.getFingerprint().toUpperCase()}`)];
    }
    if (subkey.revocationSignatures.length > 0) return [`${name} is revoked`, addSubkey];
  }
  const canOnlySign = /valid encryption key packet/u.test(said) && key.users.length > 0;
  return canOnlySign
    ? ['can only sign: it has no subkey for encryption', addSubkey]
    : ['has no valid signature of its own on a user ID', 'remove it from passphrase.recipients'];
}

async function primaryUserId(key: Key, at: Date): Promise<string> {
  try {
    return (await key.getPrimaryUser(at)).user.userID?.userID ?? '';
  } catch {
    return key.getUserIDs()[0] ?? '';
  }
}

/** openpgp.js says Infinity for never, and null if the key is not valid at all. */
function asDate(time: Date | number | null): Date | undefined {
  return time instanceof Date ? time : undefined;
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}
