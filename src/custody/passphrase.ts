// The CA key's passphrase: made, taken from a file descriptor, and opened with whatever can open it. Here is the one
// rule for what a passphrase may be, so that our reading of a file and openssl's agree. Sealing is in seal.ts.

import { randomBytes } from 'node:crypto';
import { read } from 'node:fs';
import { promisify } from 'node:util';

import { quotePath, RelaycertsError, systemCode } from '../errors.js';
import { Secret } from '../secret.js';
import { decryptWithGpg, type GpgContext } from './gpg.js';
import { isSealedTo, openSealed, readOperatorKey, type Password } from './seal.js';
import { readSealedTo } from './sealed-to.js';

/** The operator key's file, and its own password (or how to ask for it) where it may have one. */
export interface OperatorKeyFile {
  readonly armored: Secret;
  /** Its path, for errors. */
  readonly from: string;
  readonly password: Password;
}

/** A passphrase file, and the operator key that may open it. */
export interface Sealed {
  readonly bytes: Uint8Array;
  /** The file's path, for errors. */
  readonly from: string;
  readonly operatorKey: OperatorKeyFile | undefined;
}

/** openssl reads a passphrase into 1024 bytes, a NUL at the end (openssl-passphrase-options(1), apps/lib). */
const longestPassphrase = 1023;
const longestInput = 65_536;

/** A new passphrase: 256 random bits as 64 hexadecimal digits, one line and nothing to mistype. */
export function newPassphrase(): Secret {
  return new Secret(randomBytes(32).toString('hex'));
}

/**
 * The passphrase in what a file or pipe held: one newline (`\n` or `\r\n`) at its end is not part of it, all else is.
 *
 * `from` names the source in errors, `what` the word.
 * @throws RelaycertsError `passphrase` where it is empty, longer than openssl takes, or has a NUL or a second line
 */
export function parsePassphrase(raw: Secret, from: string, what = 'passphrase'): Secret {
  const bytes = raw.revealBytes();
  const newline = bytes.at(-1) !== 0x0a ? 0 : bytes.at(-2) === 0x0d ? 2 : 1;
  const line = bytes.subarray(0, bytes.length - newline);
  const refuse = (flaw: string): RelaycertsError =>
    new RelaycertsError('passphrase', `the ${what} from ${quotePath(from)} ${flaw}`, {
      hint: 'it must be one line, as openssl pkey -passin takes it',
    });
  try {
    if (line.length === 0) throw refuse('is empty');
    if (line.includes(0x0a)) throw refuse('has more than one line');
    if (line.includes(0)) throw refuse('has a NUL byte');
    if (line.length > longestPassphrase) throw refuse(`has ${line.length} bytes, more than ${longestPassphrase}`);
    return new Secret(line);
  } finally {
    bytes.fill(0);
  }
}

/**
 * Opens the passphrase file: with the operator key where it is encrypted to it, otherwise with GnuPG.
 *
 * `keyPassword` opens the user's own GnuPG key by loopback; without it the agent asks.
 * @throws RelaycertsError `passphrase` where nothing opens it, `tool` where GnuPG is needed and cannot run
 */
export async function openPassphrase(
  sealed: Sealed & { readonly gpg: GpgContext; readonly keyPassword?: Secret | undefined },
): Promise<Secret> {
  const { bytes, from, operatorKey, gpg, keyPassword } = sealed;
  if (operatorKey !== undefined && (await chooseOpener(sealed)) === 'operator-key') {
    const { armored, password } = operatorKey;
    return parsePassphrase(await openSealed(bytes, armored, { from, keyFrom: operatorKey.from, password }), from);
  }
  const { message } = readSealedTo(bytes, { from });
  return parsePassphrase(await decryptWithGpg(message, { from, gpg, keyPassword }), from);
}

/**
 * Which of the two will open the file. An operator key that has a password, with none given, leaves a file that has
 * other recipients too to GnuPG.
 * @throws RelaycertsError `passphrase` where the file, or the operator key, is damaged
 */
export async function chooseOpener({ bytes, from, operatorKey }: Sealed): Promise<'operator-key' | 'gpg'> {
  const sealedTo = readSealedTo(bytes, { from });
  if (operatorKey === undefined) return 'gpg';
  const key = await readOperatorKey(operatorKey.armored, operatorKey.from);
  if (!isSealedTo(sealedTo, key)) return 'gpg';
  const hasOthers = sealedTo.keyIds.some((id) => !key.keyIds.includes(id));
  return key.isLocked && operatorKey.password === undefined && hasOthers ? 'gpg' : 'operator-key';
}

const readAsync = promisify(read);

/**
 * Reads a passphrase from a file descriptor until its end, at most 64 KiB. `flag` and `what` name the option and the word in errors.
 * @throws RelaycertsError `usage` where the descriptor is not open for reading, `passphrase` as parsePassphrase
 */
export async function readPassphraseFd(fd: number, flag = '--passphrase-fd', what = 'passphrase'): Promise<Secret> {
  const from = `file descriptor ${fd}`;
  const fail = (flaw: string, cause?: unknown): RelaycertsError =>
    new RelaycertsError('usage', `${flag} ${fd}: ${flaw}`, {
      hint: `gpg --decrypt FILE | relaycerts ... ${flag} 0`,
      ...(cause === undefined ? {} : { cause }),
    });
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) throw fail('not a file descriptor');
  const buffer = Buffer.alloc(longestInput + 1);
  let length = 0;
  try {
    for (;;) {
      const count = await readSome(fd, buffer, length);
      length += count;
      if (count === 0) break;
      if (length > longestInput) throw fail(`more than ${longestInput} bytes`);
    }
    return parsePassphrase(new Secret(buffer.subarray(0, length)), from, what);
  } catch (error) {
    if (error instanceof RelaycertsError) throw error;
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw fail(code === 'EBADF' ? 'not open for reading' : `cannot be read (${code})`, error);
  } finally {
    buffer.fill(0);
  }
}

/** A pipe or terminal that another process has made non-blocking says EAGAIN; then there is nothing but to wait. */
async function readSome(fd: number, buffer: Buffer, offset: number): Promise<number> {
  for (;;) {
    try {
      return (await readAsync(fd, buffer, offset, buffer.length - offset, null)).bytesRead;
    } catch (error) {
      if (systemCode(error) !== 'EAGAIN') throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
