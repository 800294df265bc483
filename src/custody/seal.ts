// Sealing: encrypts the passphrase to its recipients, or a backup to them or to a password, with openpgp.js. The result
// can be read by GnuPG 2.2: version 3 session keys (version 4 for a password), version 1 integrity protection (RFC 9580
// 5.13.1), AES-256; no AEAD, no Argon2, no compression. It chooses no recipients (recipients.ts), opens nothing
// (open.ts) and touches no file.

import { randomBytes } from 'node:crypto';
import { Secret } from '../secret.js';
import { assertBytes, loadOpenpgp } from './openpgp.js';
import { packetTag, readPackets, readSessionKeyId, type Packet } from './packets.js';
import type { RecipientKey } from './recipient-key.js';

/**
 * Encrypts the passphrase, and nothing else, to every recipient.
 *
 * `bytes` is a binary OpenPGP message; `warnings` are the recipients' own, one line each. A key given twice counts
 * once.
 */
export async function sealPassphrase(
  passphrase: Secret,
  recipients: readonly RecipientKey[],
  at: Date,
): Promise<{ readonly bytes: Uint8Array; readonly warnings: readonly string[] }> {
  const distinct = [...new Map(recipients.map((recipient) => [recipient.fingerprint, recipient])).values()];
  if (distinct.length === 0) throw new TypeError('a passphrase cannot be sealed to nobody');
  const plain = passphrase.revealBytes();
  try {
    return { bytes: await sealBytes(plain, distinct, at), warnings: distinct.flatMap(({ warnings }) => warnings) };
  } finally {
    plain.fill(0);
  }
}

/** A binary OpenPGP message of these bytes, for distinct recipients or for a password. */
export async function sealBytes(
  plain: Uint8Array,
  opener: readonly RecipientKey[] | Secret,
  at: Date,
): Promise<Uint8Array> {
  const openpgp = await loadOpenpgp();
  // We make the session key ourselves, so that no recipient's preferences turn AEAD on or AES-256 off.
  const sessionKey = Uint8Array.from(randomBytes(32));
  try {
    const bytes: unknown = await openpgp.encrypt({
      message: await openpgp.createMessage({ binary: plain, date: at }),
      ...(opener instanceof Secret
        ? { passwords: opener.revealText() }
        : { encryptionKeys: opener.map(({ key }) => key) }),
      sessionKey: { data: sessionKey, algorithm: 'aes256' },
      format: 'binary',
      date: at,
      config: {
        aeadProtect: false,
        preferredCompressionAlgorithm: openpgp.enums.compression.uncompressed,
        // RFC 9580 3.7.1.3: the highest octet count for hashing an iterated and salted password.
        s2kType: openpgp.enums.s2k.iterated,
        s2kIterationCountByte: 0xff,
      },
    });
    assertBytes(bytes);
    assertGnupgReads(bytes, opener);
    return bytes;
  } finally {
    sessionKey.fill(0);
  }
}

/** The promise to GnuPG 2.2, checked on the bytes themselves. */
function assertGnupgReads(bytes: Uint8Array, opener: readonly RecipientKey[] | Secret): void {
  const { packets, flaw } = readPackets(bytes);
  const body = packets.at(-1);
  const sessions = packets.slice(0, -1);
  const keyIds = sessions.map((packet) => (packet.body[0] === 3 ? readSessionKeyId(packet) : undefined));
  const isReadable =
    flaw === undefined &&
    body?.tag === packetTag.encryptedProtected &&
    body.body[0] === 1 &&
    (opener instanceof Secret
      ? sessions.length === 1 && sessions.every(isPasswordSession)
      : sessions.length === opener.length && opener.every(({ keyId }) => keyIds.includes(keyId)));
  if (!isReadable) throw new Error('what was sealed is not in the form that GnuPG 2.2 reads');
}

/** Version 4, AES-256, and an iterated and salted password (RFC 9580 5.3.1, 3.7.1). */
function isPasswordSession({ tag, body: [version, cipher, s2k] }: Packet): boolean {
  return tag === packetTag.passwordSession && version === 4 && cipher === 9 && s2k === 3;
}
