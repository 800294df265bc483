// Private keys as other programs keep them: PKCS#8, plain or encrypted (PBES2, or PBES1 of old), and the traditional
// forms of OpenSSL (PKCS#1, SEC 1), plain or encrypted under RFC 1421 headers. Node opens all but those with a cipher
// that OpenSSL 3 keeps in its legacy provider; those go through openssl's pipes. Nothing here writes a file.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import * as der from '../certificate/der.js';
import { inputError, readPemBlocks } from '../certificate/pem.js';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import type { Secret } from '../secret.js';
import { pathWord } from '../shell-word.js';
import type { Run } from '../sys/run.js';
import { problemOfCost } from './pbes2.js';

/** A private key in a file, not opened yet. */
export interface ForeignKey {
  readonly path: string;
  /** Its PEM block, a line each. */
  readonly block: string;
  readonly isEncrypted: boolean;
}

const blockBegin = /-----BEGIN ((?:[A-Z0-9]{1,16} ){0,2}PRIVATE KEY)-----/gu;

/** The private keys of a file, in its order, up to one that does not end. */
export function findForeignKeys(path: string, bytes: Buffer): readonly ForeignKey[] {
  const text = bytes.toString('latin1');
  const keys: ForeignKey[] = [];
  let last = 0;
  for (const { index, 1: label = '' } of text.matchAll(blockBegin)) {
    if (index < last) continue;
    const end = `-----END ${label}-----`;
    const at = text.indexOf(end, index);
    if (at === -1) break;
    last = at + end.length;
    const block = `${text.slice(index, last)}\n`;
    const isEncrypted = label === 'ENCRYPTED PRIVATE KEY' || block.includes('Proc-Type: 4,ENCRYPTED');
    keys.push({ path, block, isEncrypted });
  }
  return keys;
}

/**
 * The key, opened with the passphrase if it is encrypted.
 * @throws passphrase - it does not open the key; certificate - the key is damaged, or of an unknown kind; tool
 */
export async function openForeignKey(
  { path, block, isEncrypted }: ForeignKey,
  passphrase: Secret | undefined,
  run: Run,
): Promise<KeyObject> {
  const from = quotePath(path);
  if (!isEncrypted) return readKey(block, from);
  if (passphrase === undefined) throw new TypeError('an encrypted key without a passphrase');
  const cost = costOf(block, from);
  if (cost !== undefined) throw inputError(`the encrypted key in ${from} ${cost}`, byHand(path, ''));
  try {
    return createPrivateKey({ key: block, format: 'pem', passphrase: Buffer.from(passphrase.revealBytes()) });
  } catch (error) {
    if (systemCode(error) !== 'ERR_OSSL_EVP_UNSUPPORTED') throw wrongPassphrase(from);
  }
  const legacy = '-provider legacy -provider default ';
  const words = ['pkey', ...legacy.trim().split(' '), '-passin', 'stdin', '-in', path];
  try {
    const { status, stdout } = await run('openssl', words, { input: Buffer.from(passphrase.revealBytes()) });
    if (status === 0) return readKey(stdout.toString('latin1'), from);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    const message = `the key in ${from} is encrypted with an obsolete cipher, and openssl, which can decrypt it, is not installed here`;
    throw new RelaycertsError('tool', message, { hint: byHand(path, legacy) });
  }
  throw wrongPassphrase(from);
}

function readKey(block: string, from: string): KeyObject {
  try {
    return createPrivateKey({ key: block, format: 'pem' });
  } catch {
    // Without the cause, because OpenSSL's error about a private key may quote it.
    throw inputError(`the private key in ${from} is damaged, or of an unknown kind`);
  }
}

function wrongPassphrase(from: string): RelaycertsError {
  return new RelaycertsError('passphrase', `the passphrase does not open the key in ${from}`, {
    hint: 'give the passphrase that this key was encrypted with',
  });
}

function byHand(path: string, provider: string): string {
  return `write it again: openssl pkcs8 -topk8 ${provider}-v2 aes-256-cbc -in ${pathWord(path)} -out NEWFILE`;
}

/** RFC 8018: PBES1 has one count; PBES2 is judged as our own frames are. RFC 1421 has one round. */
function costOf(block: string, from: string): string | undefined {
  const [pem] = readPemBlocks(Buffer.from(block, 'latin1'), from);
  if (pem === undefined || pem.hasHeaders) return undefined;
  try {
    const [algorithm] = der.readSequence(pem.der);
    const [scheme, parameters] = der.readInside(algorithm);
    const [first, second] = der.readInside(parameters);
    if (der.readOid(scheme) === '1.2.840.113549.1.5.13') return problemOfCost(first);
    return der.readSmallInteger(second) > 1_000_000 ? 'asks for more rounds than is safe to do' : undefined;
  } catch (error) {
    if (error instanceof der.DerError) return 'is damaged';
    throw error;
  }
}
