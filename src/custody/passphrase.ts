// The CA key's passphrase itself: generated, read from a file descriptor, and judged by one rule for what a passphrase
// may be, so that relaycerts and openssl read the same file alike. It does not encrypt or decrypt: see seal.ts and
// open.ts.

import { randomBytes } from 'node:crypto';
import { constants, fstatSync, read, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { quotePath, RelaycertsError, systemCode } from '../errors.js';
import { Secret } from '../secret.js';

/** Octets. openssl reads a passphrase into 1024, with a NUL at the end (openssl-passphrase-options(1), apps/lib). */
const longestPassphrase = 1023;
const longestInput = 65_536;

/** A new passphrase: 256 random bits as 64 hexadecimal digits, so one line with nothing to mistype. */
export function newPassphrase(): Secret {
  return new Secret(randomBytes(32).toString('hex'));
}

/**
 * The passphrase in a file's or pipe's contents, without one newline (`\n` or `\r\n`) at its end.
 *
 * `from` names the source in errors; `what` names the secret.
 * @throws RelaycertsError `passphrase` if it is empty, longer than openssl accepts, or has a NUL or a second line
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

/** Characters; NIST SP 800-63B-4 3.1.1.2 asks for this many for a password without a second factor. */
const shortestStrong = 15;

/** True if somebody with the encrypted key could guess the passphrase: it is short, or repeats a few characters. */
export function isWeak(passphrase: Secret): boolean {
  const characters = Array.from(passphrase.revealText());
  return characters.length < shortestStrong || new Set(characters).size < shortestStrong / 2;
}

const readAsync = promisify(read);

/**
 * Reads a passphrase from a file descriptor to its end, at most 64 KiB. `flag` names the option in errors, `what` the
 * secret.
 * @throws RelaycertsError `usage` if the descriptor is not open for reading, `passphrase` as parsePassphrase
 */
export async function readPassphraseFd(fd: number, flag = '--passphrase-fd', what = 'passphrase'): Promise<Secret> {
  const fail = (flaw: string, cause?: unknown): RelaycertsError =>
    new RelaycertsError('usage', `${flag} ${fd}: ${flaw}`, {
      hint: { before: 'gpg --decrypt FILE |', run: ['...', flag, '0'] },
      cause,
    });
  if (!Number.isInteger(fd) || fd < 0 || fd > 0x7fff_ffff) throw fail('not a file descriptor');
  const buffer = Buffer.alloc(longestInput + 1);
  let length = 0;
  try {
    if (isOurs(fd)) throw fail('not open for reading');
    for (;;) {
      const count = await readSome(fd, buffer, length);
      if (count === 0) break;
      length += count;
      if (length > longestInput) throw fail(`more than ${longestInput} bytes`);
    }
    return parsePassphrase(new Secret(buffer.subarray(0, length)), `file descriptor ${fd}`, what);
  } catch (error) {
    if (error instanceof RelaycertsError) throw error;
    const code = systemCode(error);
    if (code === undefined) throw error;
    throw fail(code === 'EBADF' ? 'not open for reading' : `cannot be read (${code})`, error);
  } finally {
    buffer.fill(0);
  }
}

/**
 * True for a descriptor that nobody gave us: Node's own are of no file type, or pipes whose other end this process has
 * too. Reading them would never end.
 */
function isOurs(fd: number): boolean {
  const { mode, ino } = fstatSync(fd);
  if ((mode & constants.S_IFMT) === 0) return true;
  return (
    (mode & constants.S_IFMT) === constants.S_IFIFO && ownDescriptors.some((one) => one !== fd && writesTo(one, ino))
  );
}

/** Node opens its own first, in the lowest places that are free. */
const ownDescriptors: readonly number[] = Array.from({ length: 64 }, (_, fd) => fd);

function writesTo(fd: number, ino: number): boolean {
  try {
    if (fstatSync(fd).ino !== ino) return false;
    writeSync(fd, Buffer.alloc(0));
    return true;
  } catch {
    return false;
  }
}

/** A pipe or terminal that another process made non-blocking gives EAGAIN, and all that can be done is to wait. */
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
