// Runs GnuPG as a child process, and decrypts with it. The outcome is read from status lines (GnuPG's doc/DETAILS),
// never from translated text. gpg-agent and its pinentry ask for the passphrase of the user's own key, so that
// smartcards work. Keys are listed in keyring.ts; failures are worded in gpg-failures.ts.

import { quotePath, RelaycertsError, restoreHint, systemCode } from '../errors.js';
import { Secret } from '../secret.js';
import type { Run, RunOptions } from '../sys/run.js';
import { explainFailure, isQuestion } from './gpg-failures.js';
import { lastMessage, parseStatus, type GpgResult } from './gpg-status.js';
import type { OperatorFlaw } from './no-secret-key.js';
import { largestMessage, type SealedPassphrase } from './sealed-to.js';

/**
 * Decrypts an OpenPGP message with GnuPG and returns exactly its contents.
 *
 * Contents over `mostOctets` are refused. With a terminal gpg may ask, through the agent's pinentry or (pinentry-mode
 * loopback in gpg.conf) itself; without one it never does. `flaw` is why the operator key does not open the message.
 * @throws RelaycertsError `passphrase` if the message cannot be opened, `tool` if gpg, its agent or pinentry cannot run
 */
export async function decryptWithGpg(
  sealed: SealedPassphrase,
  flaw: OperatorFlaw,
  mostOctets = largestMessage,
): Promise<Secret> {
  const { tty } = sealed;
  const args = tty === undefined ? ['--batch', '--no-tty'] : [];
  const fail = (result: GpgResult): never => {
    throw explainFailure(result, sealed, flaw);
  };
  return decrypt(sealed, args, fail, mostOctets);
}

/**
 * The same if GnuPG can do it without asking: the key has no passphrase, or the agent remembers it. Undefined if it
 * would have to ask.
 * @throws RelaycertsError as decryptWithGpg
 */
export async function decryptUnasked(sealed: SealedPassphrase, flaw: OperatorFlaw): Promise<Secret | undefined> {
  return decrypt(sealed, ['--batch', '--no-tty', '--pinentry-mode', 'error'], (result) => {
    if (isQuestion(result)) return undefined;
    throw explainFailure(result, sealed, flaw);
  });
}

async function decrypt<Otherwise>(
  { bytes, from, run, tty }: SealedPassphrase,
  options: readonly string[],
  fail: (result: GpgResult) => Otherwise,
  mostOctets = largestMessage,
): Promise<Secret | Otherwise> {
  const args = [
    ...options,
    // A file that is also signed must not make gpg ask a keyserver. No --quiet: it suppresses NO_SECKEY.
    '--no-auto-key-retrieve',
    // A few hundred octets may expand to gigabytes. GnuPG stops at this size and still reports success.
    '--max-output',
    String(mostOctets),
    '--decrypt',
  ];
  // LC_ALL=C would reach pinentry too, and corrupt a passphrase that is not ASCII.
  const env = { LANGUAGE: 'en', ...(tty === undefined ? {} : { GPG_TTY: tty }) };
  const result = await runGpg(run, args, { input: bytes, env, mostOutput: mostOctets + 1 });
  try {
    if (result.stdout.length >= mostOctets) {
      throw new RelaycertsError('passphrase', `${quotePath(from)} holds too much: ${mostOctets} bytes or more`, {
        hint: restoreHint(from),
      });
    }
    return isWhole(result) ? new Secret(result.stdout) : fail(result);
  } finally {
    result.stdout.fill(0);
  }
}

/** The error message if gpg is missing. */
export const gpgIsMissing = 'gpg is not installed';

/** Decrypted, with integrity protection. gpg's exit status shows neither: an unknown signer makes it 2. */
function isWhole({ status }: GpgResult): boolean {
  const has = (word: string): boolean => status.some((line) => line.word === word);
  const isAead = status.some(({ word, fields }) => word === 'DECRYPTION_INFO' && Number(fields[2] ?? 0) > 0);
  return has('DECRYPTION_OKAY') && !has('DECRYPTION_FAILED') && !has('BADSIG') && (has('GOODMDC') || isAead);
}

/**
 * Runs gpg to its end, whatever its exit status.
 * @throws RelaycertsError `tool` if it is not installed, cannot be started or does not stop writing
 */
export async function runGpg(
  run: Run,
  args: readonly string[],
  options: Pick<RunOptions, 'input' | 'env' | 'mostOutput'>,
): Promise<GpgResult> {
  try {
    const statusArgs = ['--status-fd', '3', ...args];
    const { status, stdout, stderr, statusText } = await run('gpg', statusArgs, { ...options, statusFd: true });
    return { exitStatus: status, stdout, stderr, status: parseStatus(statusText) };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') {
      throw new RelaycertsError('tool', gpgIsMissing, { hint: 'apt-get install gnupg', cause: error });
    }
    if (code === undefined) throw error;
    throw new RelaycertsError('tool', `gpg cannot be started (${code})`, { hint: 'gpg --version', cause: error });
  }
}

/** The error for a gpg command that failed for no fault of the user's. */
export function gpgFailed(command: string, { stderr }: GpgResult): RelaycertsError {
  return new RelaycertsError('tool', `${command} failed (${lastMessage(stderr)})`, {
    hint: `run ${command} by hand to see the same error`,
  });
}
