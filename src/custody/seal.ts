// Sealing: encrypts the passphrase to its recipients with openpgp.js. The result is what GnuPG 2.2 reads: version 3
// session keys, version 1 integrity protection (RFC 9580 5.13.1), AES-256; no AEAD, no Argon2, no compression.
// It chooses no recipients (recipients.ts), opens nothing (open.ts) and touches no file.

import { randomBytes } from 'node:crypto';
import type { Secret } from '../secret.js';
import { assertBytes, loadOpenpgp } from './openpgp.js';
import { packetTag, readPackets, readSessionKeyId } from './packets.js';
import type { RecipientKey } from './recipient-key.js';

/**
 * Encrypts the passphrase, and nothing else, to every recipient.
 *
 * `bytes` is a binary OpenPGP message; `warnings` are the recipients' own, a line each. A key given twice counts once.
 */
export async function sealPassphrase(
  passphrase: Secret,
  recipients: readonly RecipientKey[],
  at: Date,
): Promise<{ readonly bytes: Uint8Array; readonly warnings: readonly string[] }> {
  const distinct = [...new Map(recipients.map((recipient) => [recipient.fingerprint, recipient])).values()];
  if (distinct.length === 0) throw new TypeError('a passphrase cannot be sealed to nobody');
  const openpgp = await loadOpenpgp();
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
      config: { aeadProtect: false, preferredCompressionAlgorithm: openpgp.enums.compression.uncompressed },
    });
    assertBytes(bytes);
    assertGnupgReads(bytes, distinct);
    return { bytes, warnings: distinct.flatMap(({ warnings }) => warnings) };
  } finally {
    plain.fill(0);
    sessionKey.fill(0);
  }
}

/** The promise to GnuPG 2.2, checked on the bytes themselves. */
function assertGnupgReads(bytes: Uint8Array, recipients: readonly RecipientKey[]): void {
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
