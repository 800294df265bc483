// gpg's failures to decrypt, in words: a table from signs (status keywords, names of error codes, and a few conclusions
// drawn from them) to an error. The first row with a sign that is present wins, so the order is part of the meaning.

import { listSome, quotePath, RelaycertsError } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { errorNumber, lastMessage, messagesOf, type GpgResult } from './gpg-status.js';
import type { SealedPassphrase } from './sealed-to.js';

/** Error codes of libgpg-error (gpg-error.h) that mean something to a user here. */
const signOfError: Readonly<Record<number, string>> = {
  11: 'wrong-passphrase', // GPG_ERR_BAD_PASSPHRASE
  87: 'wrong-passphrase', // GPG_ERR_BAD_PIN
  62: 'timeout',
  77: 'no-agent', // GPG_ERR_NO_AGENT
  78: 'no-agent', // GPG_ERR_AGENT
  85: 'no-pinentry',
  99: 'cancelled',
  198: 'cancelled', // GPG_ERR_FULLY_CANCELED
  32870: 'no-terminal', // ENOTTY
};
const noSecretKey = 17;
/** What a secret key answers to a session key of somebody else: no secret key, wrong secret key, checksum. */
const notForThisKey: readonly number[] = [noSecretKey, 18, 10];
const endOfFile = 16_383;

interface Failure {
  readonly signs: readonly string[];
  readonly code: 'passphrase' | 'tool';
  /** With the words of wordsFor in braces; so is the hint. */
  readonly message: string;
  readonly hint: string;
  /** Which of gpg's messages `{said}` quotes: the last that matches. */
  readonly said?: RegExp;
}

const askAgain = 'run it again and give {secret}';
const backup = 'restore it from a backup';
const tryByHand = 'gpg --decrypt {path} > /dev/null says more';

const failures: readonly Failure[] = [
  {
    signs: ['cancelled'],
    code: 'passphrase',
    message: 'cannot open {file}: the question for {secret} was cancelled',
    hint: askAgain,
  },
  {
    signs: ['timeout'],
    code: 'passphrase',
    message: 'cannot open {file}: nobody answered the question for {secret}',
    hint: askAgain,
  },
  {
    signs: ['no-pinentry'],
    code: 'tool',
    message: 'gpg cannot open {file}: gpg-agent finds no pinentry to ask for {secret}',
    hint: 'apt-get install pinentry-curses && gpgconf --kill gpg-agent',
  },
  {
    signs: ['no-terminal'],
    code: 'tool',
    message: 'gpg cannot open {file}: there is no terminal to ask for {secret}',
    hint: '{terminal}',
  },
  // After the two above: GnuPG 2.4 reports a wrong passphrase too if nobody could be asked for one.
  {
    signs: ['wrong-passphrase', 'BAD_PASSPHRASE'],
    code: 'passphrase',
    message: 'gpg cannot open {file}: that is not {secret}',
    hint: askAgain,
  },
  {
    signs: ['no-keyring'],
    code: 'tool',
    message: 'gpg cannot open {file}: its keyring is missing or unreadable ({said})',
    said: /keyb/u,
    hint: 'gpg --list-secret-keys',
  },
  {
    signs: ['agent-gone'],
    code: 'tool',
    message: 'gpg cannot open {file}: gpg-agent cannot be started ({said})',
    said: /agent/iu,
    hint: 'gpgconf --launch gpg-agent',
  },
  {
    signs: ['for-others'],
    code: 'passphrase',
    message: '{file} is encrypted to {keyIds}, and GnuPG has the secret key of none of them{operatorKey}',
    hint: '{restore}gpg --import the secret key of one of them, or give the passphrase itself with --passphrase-fd',
  },
  {
    signs: ['broke-off'],
    code: 'tool',
    message: 'gpg cannot open {file}: gpg-agent or its pinentry broke off ({said})',
    said: /key decryption failed|agent/iu,
    hint: tryByHand,
  },
  {
    signs: ['BADMDC', 'BADSIG', 'DECRYPTION_INFO', 'other-error'],
    code: 'passphrase',
    message: '{file} is damaged and does not decrypt',
    hint: backup,
  },
  {
    signs: ['NODATA', 'UNEXPECTED', 'BADARMOR'],
    code: 'passphrase',
    message: '{file} is not an OpenPGP message, or is damaged',
    hint: backup,
  },
  {
    signs: ['PLAINTEXT'],
    code: 'passphrase',
    message: '{file} is signed but not encrypted',
    hint: 'encrypt it: gpg --encrypt --recipient ADDRESS',
  },
];

const unknown: Failure = { signs: [], code: 'tool', message: 'gpg cannot open {file} ({said})', hint: tryByHand };

/** The error for a `gpg --decrypt` that did not succeed: what went wrong, and what to do about it. */
export function explainFailure(result: GpgResult, sealed: SealedPassphrase): RelaycertsError {
  const present = signsOf(result);
  const { code, message, hint, said } =
    failures.find(({ signs }) => signs.some((sign) => present.has(sign))) ?? unknown;
  const words = { ...wordsFor(result, sealed), said: lastMessage(result.stderr, said) };
  return new RelaycertsError(code, fill(message, words), { hint: fill(hint, words) });
}

function fill(template: string, words: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{(\w+)\}/gu, (_, name: string) => words[name] ?? '');
}

function signsOf({ status, stderr }: GpgResult): ReadonlySet<string> {
  const signs = new Set(status.map(({ word }) => word));
  const errors = status.flatMap(({ word, fields: [where = '', error = ''] }) =>
    word === 'ERROR' && /^(?:pkdecrypt_failed|symkey_decrypt|get_passphrase)/u.test(where) ? [error] : [],
  );
  const codes = errors.map(errorNumber);
  const keyIds = keyIdsOf(status);
  const isHidden = keyIds.some((id) => /^0+$/u.test(id));
  for (const code of codes) signs.add(signOfError[code] ?? 'other-error');
  if (signs.has('NEED_PASSPHRASE') && !signs.has('DECRYPTION_FAILED')) signs.add('no-terminal');
  if (status.some(({ word, fields }) => word === 'ERROR' && fields[0] === 'add_keyblock_resource')) {
    signs.add('no-keyring');
  }
  // An agent that does not start has no status line: gpg then takes it that there are no secret keys.
  const blamesAgent = signs.has('no-agent') || messagesOf(stderr).some((line) => /\bagent\b/iu.test(line));
  if (blamesAgent && (signs.has('NO_SECKEY') || codes.length > 0)) signs.add('agent-gone');
  // GnuPG 2.2 gives no error with NO_SECKEY. 2.4 has NO_SECKEY whatever failed, and an error that says what did.
  const isForOthers = codes.every((code) => code === noSecretKey || (isHidden && notForThisKey.includes(code)));
  if (signs.has('NO_SECKEY') && isForOthers && !signs.has('DECRYPTION_INFO')) signs.add('for-others');
  if (errors.some(isOfConversation)) signs.add('broke-off');
  return signs;
}

/** An error of pinentry (source 5), the end of a conversation (GPG_ERR_EOF), or one of the system (bit 15). */
function isOfConversation(field: string): boolean {
  const code = errorNumber(field);
  return Number.parseInt(field, 10) >>> 24 === 5 || code === endOfFile || (code & 0x8000) !== 0;
}

function wordsFor({ status }: GpgResult, sealed: SealedPassphrase): Readonly<Record<string, string>> {
  const { from, operatorKey, operatorKeyPath, tty } = sealed;
  const keyIds = keyIdsOf(status);
  return {
    file: quotePath(from),
    path: pathWord(from),
    keyIds: listSome(keyIds.map(nameKeyId)),
    secret: keyIds.length === 0 ? 'the password that it is encrypted with' : 'the passphrase of the OpenPGP key',
    operatorKey: operatorKey === undefined ? '' : `, nor does the operator key ${quotePath(operatorKey.from)} open it`,
    restore: operatorKey === undefined ? `restore the operator key ${pathWord(operatorKeyPath)} from a backup, ` : '',
    terminal:
      tty === undefined
        ? 'run it on a terminal, or give the passphrase itself with --passphrase-fd'
        : 'export GPG_TTY=$(tty), and run it again',
  };
}

function keyIdsOf(status: GpgResult['status']): readonly string[] {
  return status.flatMap(({ word, fields }) => (word === 'ENC_TO' ? [fields[0] ?? ''] : []));
}

/** RFC 9580 5.1.8: a key ID of zeros hides the recipient (`gpg --throw-keyids`). */
function nameKeyId(keyId: string): string {
  if (!/^[0-9A-F]{1,64}$/u.test(keyId)) return 'a key without an ID';
  return /^0+$/u.test(keyId) ? 'a hidden recipient' : keyId;
}
