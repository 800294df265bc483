// GnuPG, run as a child process, and decrypting with it (its lists of keys are in keyring.ts). What happened is read
// from the status lines (GnuPG's doc/DETAILS), never from translated text. Asking for the passphrase of the user's own
// key is left to gpg-agent and its pinentry, so that smartcards work; this file sees it only as `keyPassword`.

import { listSome, quotePath, RelaycertsError, systemCode } from '../errors.js';
import type { Run, RunOptions, RunResult } from '../sys/run.js';
import { Secret } from '../secret.js';
import { pathWord } from '../shell-word.js';
import { largestMessage } from './sealed-to.js';

/** How gpg is reached. */
export interface GpgContext {
  readonly run: Run;
  /** The terminal that pinentry may use (`/dev/pts/3`); undefined where there is none, and then nobody is asked. */
  readonly tty?: string | undefined;
}

/**
 * Decrypts an OpenPGP message with GnuPG and gives exactly what was in it.
 *
 * `from` names the file in errors. With a terminal gpg may ask, through the agent's pinentry or (pinentry-mode
 * loopback in gpg.conf) itself; without one it never does. `keyPassword` opens the user's own key by loopback.
 * @throws RelaycertsError `passphrase` for everything that keeps the message closed, `tool` where gpg or its agent or
 * pinentry cannot run
 */
export async function decryptWithGpg(
  bytes: Uint8Array,
  {
    from,
    gpg,
    keyPassword,
  }: { readonly from: string; readonly gpg: GpgContext; readonly keyPassword?: Secret | undefined },
): Promise<Secret> {
  const mayAsk = gpg.tty !== undefined && keyPassword === undefined;
  const args = [
    ...(mayAsk ? [] : ['--batch', '--no-tty']),
    ...(keyPassword === undefined ? [] : ['--pinentry-mode', 'loopback', '--passphrase-fd', '3']),
    // A file that is signed as well must not make gpg ask a keyserver. Not --quiet: it takes NO_SECKEY away.
    '--no-auto-key-retrieve',
    // A few hundred octets may hold gigabytes. GnuPG stops there, and calls what it gave whole.
    '--max-output',
    String(largestMessage),
    '--status-fd',
    '4',
    '--decrypt',
  ];
  const result = await runGpg(gpg.run, args, {
    input: bytes,
    statusFd: true,
    ...(keyPassword === undefined ? {} : { secretFd: keyPassword }),
    // LC_ALL=C would reach pinentry too, and spoil a passphrase that is not ASCII.
    env: { LANGUAGE: 'en', ...(gpg.tty === undefined ? {} : { GPG_TTY: gpg.tty }) },
  });
  const status = parseStatus(result.statusText);
  if (result.stdout.length >= largestMessage) {
    result.stdout.fill(0);
    throw fail(`${quotePath(from)} holds too much for a passphrase`, 'restore it from a backup');
  }
  if (isWhole(status)) {
    const secret = new Secret(result.stdout);
    result.stdout.fill(0);
    return secret;
  }
  result.stdout.fill(0);
  throw explainFailure(status, result, from, keyPassword !== undefined, gpg.tty !== undefined);
}

/**
 * Runs gpg.
 * @throws RelaycertsError `tool` where it is not installed, cannot be started or writes without an end
 */
export async function runGpg(run: Run, args: readonly string[], options: RunOptions): Promise<RunResult> {
  try {
    return await run('gpg', args, options);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') {
      throw new RelaycertsError('tool', 'gpg is not installed', { hint: 'apt-get install gnupg', cause: error });
    }
    if (code === undefined) throw error;
    throw new RelaycertsError('tool', `gpg cannot be started (${code})`, { hint: 'gpg --version', cause: error });
  }
}

interface StatusLine {
  readonly word: string;
  readonly rest: readonly string[];
}

/** The status lines among what gpg wrote to --status-fd. */
export function parseStatus(text: string): readonly StatusLine[] {
  return text.split('\n').flatMap((line) => {
    const [prefix, word, ...rest] = line.trimEnd().split(' ');
    return prefix === '[GNUPG:]' && word !== undefined ? [{ word, rest }] : [];
  });
}

/** Decrypted, and under integrity protection: gpg's exit status alone says neither (a missing signer makes it 2). */
function isWhole(status: readonly StatusLine[]): boolean {
  const has = (word: string): boolean => status.some((line) => line.word === word);
  const isAead = status.some(({ word, rest }) => word === 'DECRYPTION_INFO' && Number(rest[2] ?? 0) > 0);
  return has('DECRYPTION_OKAY') && !has('DECRYPTION_FAILED') && !has('BADSIG') && (has('GOODMDC') || isAead);
}

/** libgpg-error's code without its source: the number's low 16 bits, or what stands before the name. */
export function errorNumber(field: string | undefined): number {
  return Number.parseInt(field ?? '', 10) & 0xffff;
}

/** The codes of libgpg-error (gpg-error.h) that mean something to a user here. */
const gpgError = {
  checksum: 10,
  badPassphrase: 11,
  noSecretKey: 17,
  wrongSecretKey: 18,
  badPin: 87,
  notSupported: 60,
  timeout: 62,
  noAgent: 77,
  agent: 78,
  noPinentry: 85,
  cancelled: 99,
  fullyCancelled: 198,
  endOfFile: 16383,
  noTerminal: 32870, // ENOTTY
} as const;

/** What a secret key says to a session key that is not for it. */
const notForThisKey: readonly number[] = [gpgError.noSecretKey, gpgError.wrongSecretKey, gpgError.checksum];

const otherWayIn = 'or hand the passphrase itself in with --passphrase-fd';

function fail(message: string, hint: string): RelaycertsError {
  return new RelaycertsError('passphrase', message, { hint });
}

function unavailable(message: string, hint: string): RelaycertsError {
  return new RelaycertsError('tool', message, { hint });
}

function explainFailure(
  status: readonly StatusLine[],
  result: RunResult,
  from: string,
  hadPassword: boolean,
  hadTerminal: boolean,
): RelaycertsError {
  const has = (word: string): boolean => status.some((line) => line.word === word);
  const file = quotePath(from);
  const keyIds = status.flatMap(({ word, rest }) => (word === 'ENC_TO' ? [rest[0] ?? ''] : []));
  const errors = status.flatMap(({ word, rest }) =>
    word === 'ERROR' && /^(?:pkdecrypt_failed|symkey_decrypt|get_passphrase)/u.test(rest[0] ?? '')
      ? [rest[1] ?? '']
      : [],
  );
  const codes = errors.map(errorNumber);
  const askAgain = 'run it again and give the passphrase of the OpenPGP key';

  // First, because GnuPG 2.4 then asks by pinentry all the same, and says how that went as well.
  if (hadPassword && isLoopbackRefused(status)) {
    return unavailable(
      `gpg cannot open ${file}: gpg-agent does not take passphrases from other programs`,
      'take no-allow-loopback-pinentry out of gpg-agent.conf, then gpgconf --kill gpg-agent',
    );
  }
  if (codes.includes(gpgError.cancelled) || codes.includes(gpgError.fullyCancelled)) {
    return fail(`the question for the OpenPGP key's passphrase was cancelled, so ${file} stays closed`, askAgain);
  }
  if (codes.includes(gpgError.timeout)) {
    return fail(`nobody answered the question for the OpenPGP key's passphrase, so ${file} stays closed`, askAgain);
  }
  if (codes.includes(gpgError.noPinentry)) {
    return unavailable(
      `gpg cannot open ${file}: gpg-agent finds no pinentry to ask for the OpenPGP key's passphrase`,
      'apt-get install pinentry-curses && gpgconf --kill gpg-agent',
    );
  }
  if (codes.includes(gpgError.noTerminal) || (has('NEED_PASSPHRASE') && !has('DECRYPTION_FAILED'))) {
    return unavailable(
      `gpg cannot open ${file}: the OpenPGP key has a passphrase and there is no terminal to ask for it`,
      hadTerminal ? 'export GPG_TTY=$(tty), and run it again' : `run it on a terminal, ${otherWayIn}`,
    );
  }
  // After the two above: GnuPG 2.4 calls it a wrong passphrase too where nobody could be asked for one.
  if (codes.includes(gpgError.badPassphrase) || codes.includes(gpgError.badPin) || has('BAD_PASSPHRASE')) {
    return fail(`gpg cannot open ${file}: that was not the passphrase of the OpenPGP key`, askAgain);
  }
  if (status.some(({ word, rest }) => word === 'ERROR' && rest[0] === 'add_keyblock_resource')) {
    return unavailable(
      `gpg cannot open ${file}: its keyring is not there or not readable (${lastLine(result.stderr, /keyb/u)})`,
      'gpg --list-secret-keys',
    );
  }
  // An agent that does not start has no status line of its own: gpg then believes that there are no secret keys.
  const isAgentGone =
    codes.includes(gpgError.noAgent) ||
    codes.includes(gpgError.agent) ||
    messagesOf(result.stderr).some((line) => /\bagent\b/iu.test(line));
  if (isAgentGone && (has('NO_SECKEY') || codes.length > 0)) {
    return unavailable(
      `gpg cannot open ${file}: gpg-agent does not run and cannot be started (${lastLine(result.stderr, /agent/iu)})`,
      'gpgconf --launch gpg-agent',
    );
  }
  // GnuPG 2.2 gives no error beside NO_SECKEY. 2.4 has NO_SECKEY whatever failed, and an error that says what.
  const isHidden = keyIds.some((id) => /^0+$/u.test(id));
  const isForOthers = codes.every(
    (code) => code === gpgError.noSecretKey || (isHidden && notForThisKey.includes(code)),
  );
  if (has('NO_SECKEY') && isForOthers && !has('DECRYPTION_INFO')) {
    return fail(
      `${file} is encrypted to ${listSome(keyIds.map(nameKeyId))}, and GnuPG has the secret key of none of them`,
      `gpg --import the secret key of one of them, ${otherWayIn}`,
    );
  }
  if (errors.some(isOfConversation)) {
    return unavailable(
      `gpg cannot open ${file}: gpg-agent or its pinentry broke off (${lastLine(result.stderr, /key decryption failed|agent/iu)})`,
      `gpg --decrypt ${pathWord(from)} > /dev/null says more`,
    );
  }
  if (has('BADMDC') || has('BADSIG') || has('DECRYPTION_INFO') || codes.length > 0) {
    return fail(`${file} is damaged: it does not decrypt to what was encrypted`, 'restore it from a backup');
  }
  if (has('NODATA') || has('UNEXPECTED') || has('BADARMOR')) {
    return fail(`${file} is not an OpenPGP message, or is damaged`, 'restore it from a backup');
  }
  if (has('PLAINTEXT')) return fail(`${file} is signed but not encrypted`, 'encrypt it: gpg --encrypt');
  return unavailable(
    `gpg cannot open ${file} (${lastLine(result.stderr, /./u)})`,
    `gpg --decrypt ${pathWord(from)} > /dev/null says more`,
  );
}

function isLoopbackRefused(status: readonly StatusLine[]): boolean {
  return status.some(
    ({ word, rest: [where, code] }) =>
      word === 'ERROR' && where === 'set_pinentry_mode' && errorNumber(code) === gpgError.notSupported,
  );
}

/** Pinentry's own errors (source 5), the end of a conversation (GPG_ERR_EOF), and those of the system (bit 15). */
function isOfConversation(field: string): boolean {
  const code = errorNumber(field);
  return Number.parseInt(field, 10) >>> 24 === 5 || code === gpgError.endOfFile || (code & 0x8000) !== 0;
}

/** RFC 4880 5.1: a key ID of zeros hides whom the message is for (`gpg --throw-keyids`). */
function nameKeyId(keyId: string): string {
  if (!/^[0-9A-F]{1,64}$/u.test(keyId)) return 'a key without an ID';
  return /^0+$/u.test(keyId) ? 'a hidden recipient' : keyId;
}

/** What gpg said, without its name and what a terminal would obey, and without the user IDs of keys, which it puts on lines of their own. */
function messagesOf(stderr: string): readonly string[] {
  return stderr
    .slice(-65_536)
    .split('\n')
    .map((line) =>
      line
        .replace(/^gpg: /u, '')
        .replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?')
        .trim(),
    )
    .filter((line) => line !== '' && !line.startsWith('"'));
}

/** The last of gpg's messages that matches; gpg prints no secrets there. */
function lastLine(stderr: string, matching: RegExp): string {
  const line = messagesOf(stderr).findLast((each) => matching.test(each));
  return line === undefined ? 'it did not say why' : line.slice(0, 120);
}

/** The error for a gpg command that failed for no reason of the user's. */
export function gpgFailed(command: string, result: RunResult): RelaycertsError {
  return new RelaycertsError('tool', `${command} failed (${lastLine(result.stderr, /./u)})`, {
    hint: `${command} says the same when it is run by hand`,
  });
}
