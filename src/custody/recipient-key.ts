// A recipient's public key: read from armored or binary bytes and judged. Only a key that is valid now, strong enough and
// able to encrypt becomes a RecipientKey; everything else is refused with its reason and what mends it.

import { listSome, quote, quotePath, RelaycertsError } from '../errors.js';
import { loadOpenpgp, type Key, type PublicKey, type Subkey } from './openpgp.js';
import { isText, mostPackets, packetTag, readArmor, readPackets, type Packet } from './packets.js';

/** A public key that the passphrase can be sealed to: valid, strong enough, able to encrypt. */
export interface RecipientKey {
  /** The primary key's, upper-case hex. */
  readonly fingerprint: string;
  /** The key ID (16 upper-case hex digits) of the key, mostly a subkey, that the passphrase is encrypted to. */
  readonly keyId: string;
  /** The fingerprint of the key with `keyId`, upper-case hex. */
  readonly encryptionFingerprint: string;
  /** The primary user ID, '' where there is none. */
  readonly userId: string;
  /** When it can no longer be sealed to; undefined for never. */
  readonly expires: Date | undefined;
  /** Where it was found: a file, or the keyring. */
  readonly from: string;
  /** What its owner should know, each one a line: it asks for more than GnuPG 2.2 can read. */
  readonly warnings: readonly string[];
  readonly key: PublicKey;
}

/** In one file: each is judged with public-key operations of its own. */
const mostKeys = 100;
/** RFC 9580 5.2.3.32 */
const featureSeipdV2 = 0x08;
/** RFC 9580 5.2.3.29: encrypts communications, or storage. */
const encryptFlags = 0x0c;

/**
 * Reads one or several public keys, armored or binary, all of which must be usable at `at`.
 *
 * `from` names the file (or the keyring) in errors.
 * @throws RelaycertsError `recipient` for anything else than public keys, and for keys that are expired, revoked, weak
 * or cannot encrypt
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
  const has = (tag: number): boolean => packets.some((packet) => packet.tag === tag);
  if (has(packetTag.secretKey)) throw refuse(secret);
  if (flaw === 'too-many') {
    const hint = 'gpg --export --export-options export-minimal --armor FINGERPRINT > FILE';
    throw refuse(`holds over ${mostPackets} OpenPGP packets, most of them signatures that nobody needs here`, hint);
  }
  if (flaw !== undefined || parts.includes(undefined)) {
    throw refuse(packets.length === 0 ? 'is not an OpenPGP public key' : 'is damaged: it ends inside a key');
  }
  const primaries = packets.filter(({ tag }) => tag === packetTag.publicKey);
  if (primaries.length === 0) throw refuse('is OpenPGP, but not a public key');
  if (primaries.length > mostKeys) throw refuse(`holds over ${mostKeys} keys`);

  const keys = await readKeys(binary);
  // openpgp.js passes over a key that it cannot read; a recipient must not get lost like that.
  if (keys?.length !== primaries.length) throw refuse(`holds a key that cannot be read (${describe(primaries)})`);
  const judge = async (key: Key): Promise<RecipientKey> => {
    try {
      return await judgeKey(key, from, at);
    } catch (error) {
      if (error instanceof RelaycertsError) throw error;
      // openpgp.js throws what it will at a key that is only nearly one.
      throw refuse(`holds a key that is damaged (${describe(primaries)})`);
    }
  };
  return Promise.all(keys.map(judge));
}

async function readKeys(binaryKeys: Uint8Array): Promise<readonly Key[] | undefined> {
  const { readKeys: read } = await loadOpenpgp();
  try {
    return await read({ binaryKeys });
  } catch {
    return undefined;
  }
}

function describe(primaries: readonly Packet[]): string {
  return listSome(
    primaries.map(({ body }) => `version ${body[0] ?? 0}, algorithm ${body[5] ?? 0}`),
    '; ',
  );
}

/**
 * Judges one key that openpgp.js has read.
 * @throws RelaycertsError `recipient`
 */
export async function judgeKey(key: Key, from: string, at: Date): Promise<RecipientKey> {
  const fingerprint = key.getFingerprint().toUpperCase();
  const userId = await primaryUserId(key, at);
  const name = `key ${fingerprint}${userId === '' ? '' : ` ${quote(userId)}`} from ${quotePath(from)}`;
  const refuse = (what: string, hint: string): RelaycertsError =>
    new RelaycertsError('recipient', `${name} ${what}`, { hint });

  if (await key.isRevoked(undefined, undefined, at)) {
    throw refuse('is revoked', "put its owner's current key into passphrase.recipients");
  }
  const primaryExpires = asDate(await key.getExpirationTime());
  if (primaryExpires !== undefined && primaryExpires <= at) {
    throw refuse(`expired on ${day(primaryExpires)}`, `gpg --quick-set-expire ${fingerprint} 2y, then export it again`);
  }
  let encryptionKey: Key | Subkey;
  try {
    encryptionKey = await key.getEncryptionKey(undefined, at);
  } catch (error) {
    const { reason, hint } = await explainUnusable(key, fingerprint, at, error);
    throw refuse(reason, hint ?? 'take it out of passphrase.recipients');
  }
  const subkeyExpires =
    encryptionKey instanceof Object && 'mainKey' in encryptionKey
      ? asDate(await encryptionKey.getExpirationTime(at))
      : undefined;
  const expiries = [primaryExpires, subkeyExpires].filter((date) => date !== undefined);
  return {
    fingerprint,
    keyId: encryptionKey.getKeyID().toHex().toUpperCase(),
    encryptionFingerprint: encryptionKey.getFingerprint().toUpperCase(),
    userId,
    expires: expiries.length === 0 ? undefined : new Date(Math.min(...expiries.map(Number))),
    from,
    warnings: await warningsFor(key, encryptionKey, name, at),
    key: key.toPublic(),
  };
}

/** Why openpgp.js found no key to encrypt to. Its own words decide only between weak and not weak. */
async function explainUnusable(
  key: Key,
  fingerprint: string,
  at: Date,
  error: unknown,
): Promise<{ readonly reason: string; readonly hint?: string }> {
  const said = error instanceof Error ? error.message : '';
  const weak = /([^:]*(?:too weak|is disabled))\.?$/u.exec(said)?.[1]?.trim();
  if (weak !== undefined)
    return { reason: `is too weak (${weak})`, hint: 'gpg --quick-generate-key ADDRESS future-default' };
  const { curve = '' } = key.getAlgorithmInfo();
  if (/^(?:brainpool|secp)/u.test(curve)) {
    return {
      reason: `signs with ${curve}, which openpgp.js cannot verify here`,
      hint: 'gpg --quick-generate-key ADDRESS future-default',
    };
  }
  if (key.keyPacket.created > at)
    return {
      reason: `begins on ${day(key.keyPacket.created)}, in the future`,
      hint: "set this machine's clock right: date -u",
    };
  for (const subkey of key.subkeys) {
    if (!subkey.bindingSignatures.some(({ keyFlags }) => ((keyFlags?.[0] ?? 0) & encryptFlags) !== 0)) continue;
    const id = subkey.getKeyID().toHex().toUpperCase();
    const expires = asDate(await subkey.getExpirationTime(at));
    if (expires !== undefined && expires <= at) {
      return {
        reason: `cannot encrypt: its encryption subkey ${id} expired on ${day(expires)}`,
        hint: `gpg --quick-set-expire ${fingerprint} 2y '*', then export it again`,
      };
    }
    if (subkey.revocationSignatures.length > 0) {
      return {
        reason: `cannot encrypt: its encryption subkey ${id} is revoked`,
        hint: `gpg --quick-add-key ${fingerprint} cv25519 encr, then export it again`,
      };
    }
  }
  const canOnlySign = /valid encryption key packet/u.test(said) && key.users.length > 0;
  return canOnlySign
    ? {
        reason: 'can only sign: it has no subkey for encryption',
        hint: `gpg --quick-add-key ${fingerprint} cv25519 encr, then export it again`,
      }
    : { reason: 'has no valid signature of its own on a user ID' };
}

async function warningsFor(key: Key, encryptionKey: Key | Subkey, name: string, at: Date): Promise<readonly string[]> {
  const { enums } = await loadOpenpgp();
  const { version } = key.keyPacket;
  if (version > 4) return [`${name} is of version ${version}, which GnuPG 2.2 cannot read`];
  const { algorithm } = encryptionKey.keyPacket;
  if (algorithm === enums.publicKey.x25519 || algorithm === enums.publicKey.x448) {
    return [
      `${name} encrypts with ${encryptionKey.getAlgorithmInfo().algorithm} of RFC 9580, which GnuPG 2.2 cannot read`,
    ];
  }
  const { selfCertification } = await key.getPrimaryUser(at);
  return ((selfCertification.features?.[0] ?? 0) & featureSeipdV2) === 0
    ? []
    : [`${name} asks for AEAD encryption; it gets the older form, which GnuPG 2.2 reads as well`];
}

async function primaryUserId(key: Key, at: Date): Promise<string> {
  try {
    return (await key.getPrimaryUser(at)).user.userID?.userID ?? '';
  } catch {
    return key.getUserIDs()[0] ?? '';
  }
}

/** openpgp.js says Infinity for never, and null where the key is not valid at all. */
function asDate(time: Date | number | null): Date | undefined {
  return time instanceof Date ? time : undefined;
}

function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}
