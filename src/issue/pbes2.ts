// The CA key at rest: PKCS#8 EncryptedPrivateKeyInfo with PBES2 (RFC 8018), scrypt (RFC 7914) and AES-256-CBC, which
// `openssl pkey` opens. Node's own encrypted export stops at 2048 rounds of PBKDF2, so the frame is written here around
// Node's native scrypt; OpenSSL reads it, after the frame was found to be PBES2 at a bearable cost. CBC has no
// integrity check, so the caller must check that the key matches its certificate.

import { createCipheriv, createPrivateKey, type KeyObject, randomBytes, scrypt, type ScryptOptions } from 'node:crypto';
import { promisify } from 'node:util';
import { RelaycertsError } from '../errors.js';
import type { Secret } from '../secret.js';
import * as der from '../certificate/der.js';
import { boundInput, inputError, readPemBlocks, writePem } from '../certificate/pem.js';

/** Who made the passphrase: relaycerts (256 random bits) or a person, whose choice needs a costlier scrypt. */
export type PassphraseStrength = 'random' | 'typed';

const oids = {
  pbes2: '1.2.840.113549.1.5.13',
  pbkdf2: '1.2.840.113549.1.5.12',
  scrypt: '1.3.6.1.4.1.11591.4.11',
  aes256Cbc: '2.16.840.1.101.3.4.1.42',
} as const;
/** AES-128, -192 and -256 in CBC mode: the usual choices for `openssl pkcs8 -topk8 -v2`. */
const readableCiphers: readonly string[] = ['2.16.840.1.101.3.4.1.2', '2.16.840.1.101.3.4.1.22', oids.aes256Cbc];

const label = 'ENCRYPTED PRIVATE KEY';
const byHand = 'openssl pkcs8 -topk8 -v2 aes-256-cbc -in FILE -out NEWFILE';
const blockSize = 8;
/**
 * N and p. A person's choice can be guessed, so each guess should cost: with r = 8, N = 2^14 is the most that stays
 * below the 32 MiB that OpenSSL allows a scrypt frame, so only p can go higher. 256 random bits cannot be guessed,
 * whatever a guess costs.
 */
const costs: Readonly<Record<PassphraseStrength, { readonly N: number; readonly p: number }>> = {
  random: { N: 2 ** 10, p: 1 },
  typed: { N: 2 ** 14, p: 5 },
};
const keyOctets = 32;
/** OpenSSL's own limit (PEM_BUFSIZE): a longer passphrase would make a key that nothing opens. */
const maxPassphraseOctets = 1024;
/** Limits on the cost of a frame from outside: about half a second of work. */
const maxScryptWork = 2 ** 14 * 8 * 8;
const maxPbkdf2Rounds = 600_000;

/**
 * The key as PEM `ENCRYPTED PRIVATE KEY`, under the passphrase (1 to 1024 octets).
 * @throws RelaycertsError `passphrase` if it is empty or too long
 * @source RFC 5958 3 (EncryptedPrivateKeyInfo), RFC 7914 7 (scrypt parameters)
 */
export async function encryptPrivateKey(
  key: KeyObject,
  passphrase: Secret,
  strength: PassphraseStrength,
): Promise<string> {
  const secret = revealPassphrase(passphrase);
  const salt = randomBytes(16);
  const iv = randomBytes(16);
  const { N, p } = costs[strength];
  const derivedKey = await derive(secret, salt, keyOctets, { N, r: blockSize, p, maxmem: 64 * 2 ** 20 });
  const cipher = createCipheriv('aes-256-cbc', derivedKey, iv);
  const ciphertext = Buffer.concat([cipher.update(key.export({ type: 'pkcs8', format: 'der' })), cipher.final()]);

  const numbers = [N, blockSize, p, keyOctets].map(der.writeInteger);
  const parameters = der.writeSequence(der.writeOctetString(salt), ...numbers);
  const kdf = der.writeSequence(der.writeOid(oids.scrypt), parameters);
  const encryption = der.writeSequence(der.writeOid(oids.aes256Cbc), der.writeOctetString(iv));
  // RFC 8018 A.4.
  const algorithm = der.writeSequence(der.writeOid(oids.pbes2), der.writeSequence(kdf, encryption));
  return writePem(label, der.writeSequence(algorithm, der.writeOctetString(ciphertext)));
}

const derive = promisify<Buffer, Buffer, number, ScryptOptions, Buffer>(scrypt);

/**
 * The key in a PEM `ENCRYPTED PRIVATE KEY` with PBES2 over scrypt or PBKDF2. `from` names it in errors.
 * @throws RelaycertsError `passphrase` if the passphrase does not open it; `certificate` if it is damaged or in another
 * format
 */
export async function decryptPrivateKey(
  pem: Uint8Array | string,
  passphrase: Secret,
  { from }: { from: string } = { from: 'the encrypted key' },
): Promise<KeyObject> {
  const frame = checkEncryptedKey(pem, { from });
  const secret = revealPassphrase(passphrase);
  try {
    return createPrivateKey({ key: frame, format: 'der', type: 'pkcs8', passphrase: secret });
  } catch {
    throw new RelaycertsError('passphrase', `the passphrase does not open ${from}`, {
      hint: 'use the passphrase file that was made together with this key',
    });
  }
}

/** The frame of such a key; OpenSSL then refuses it only because of the passphrase. @throws certificate */
export function checkEncryptedKey(pem: Uint8Array | string, { from }: { from: string }): Buffer {
  const block = readPemBlocks(boundInput(pem, from), from).find((candidate) => candidate.label.endsWith('PRIVATE KEY'));
  if (block === undefined) {
    throw inputError(`${from} holds no private key in PEM form`, 'restore it from a backup');
  }
  if (block.label !== label)
    throw inputError(`the private key in ${from} is not encrypted PKCS#8`, `encrypt it: ${byHand}`);
  checkFrame(block.der, from);
  return block.der;
}

function revealPassphrase(passphrase: Secret): Buffer {
  const bytes = passphrase.revealBytes();
  if (bytes.length > 0 && bytes.length <= maxPassphraseOctets) return Buffer.from(bytes.buffer);
  const flaw = bytes.length === 0 ? 'empty' : `longer than ${maxPassphraseOctets} octets`;
  throw new RelaycertsError('passphrase', `the passphrase is ${flaw}`, {
    hint: 'use a file that holds only the passphrase, in one line',
  });
}

function checkFrame(frame: Buffer, from: string): void {
  const refuse = (problem: string): RelaycertsError =>
    inputError(`the encrypted key in ${from} ${problem}`, `restore it from a backup, or write it again: ${byHand}`);
  try {
    const problem = problemOf(frame);
    if (problem !== undefined) throw refuse(problem);
  } catch (error) {
    throw error instanceof der.DerError ? refuse('is damaged') : error;
  }
}

function problemOf(frame: Buffer): string | undefined {
  const [algorithm, ciphertext] = der.readSequence(frame);
  const [scheme, parameters] = der.readInside(algorithm);
  const { length } = der.expectTag(ciphertext, der.derTags.octetString).contents;
  if (der.readOid(scheme) !== oids.pbes2) return 'is not encrypted with PBES2';
  const [kdf, encryption] = der.readInside(parameters);
  if (!readableCiphers.includes(der.readOid(der.readInside(encryption)[0]))) return 'is not encrypted with AES-CBC';
  if (length === 0 || length % 16 !== 0) return 'is damaged';
  return problemOfCost(kdf);
}

/** Why a PBES2 frame's key derivation function must not run here; undefined if it may. @throws DerError */
export function problemOfCost(kdf: der.DerElement | undefined): string | undefined {
  const [kdfOid, kdfParameters] = der.readInside(kdf);
  const [, first, second, third] = der.readInside(kdfParameters);
  switch (der.readOid(kdfOid)) {
    case oids.scrypt: {
      const work = der.readSmallInteger(first) * der.readSmallInteger(second) * der.readSmallInteger(third);
      return work > maxScryptWork ? 'asks for more scrypt work than is safe to do' : undefined;
    }
    case oids.pbkdf2:
      return der.readSmallInteger(first) > maxPbkdf2Rounds ? 'asks for more rounds than is safe to do' : undefined;
    default:
      return 'derives its key with neither scrypt nor PBKDF2';
  }
}
