// gpg's failures to decrypt, in words, as a table: signs are read from its status lines, and the first row with a sign
// that is present decides. gpg.ts runs gpg.

import { quotePath, RelaycertsError, restoreHint } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { errorNumber, lastMessage, messagesOf, type GpgResult } from './gpg-status.js';
import { describeNoSecretKey, type OperatorFlaw } from './no-secret-key.js';
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
/** How a secret key fails on somebody else's session key: no secret key, wrong secret key, checksum. */
const notForThisKey: readonly number[] = [noSecretKey, 18, 10];
const endOfFile = 16_383;

interface Words {
  /** Quoted. */
  readonly file: string;
  /** What gpg asks for. */
  readonly secret: string;
  readonly sealed: SealedPassphrase;
  /** The message if the secret keys of all recipients are elsewhere. */
  readonly otherKeys: { readonly message: string; readonly hint: string };
  /** Appends gpg's last message, of those that match, in parentheses. */
  readonly said: (matching?: RegExp) => string;
}

type Say = (words: Words) => string;
type Failure = readonly [signs: readonly string[], code: 'passphrase' | 'tool', message: Say, hint: Say];

const askAgain: Say = ({ secret }) => `run it again and give ${secret}`;
const backup: Say = ({ sealed }) => restoreHint(sealed.from);
const byHand: Say = ({ sealed }) => `gpg --decrypt ${pathWord(sealed.from)} > /dev/null says more`;

/** The first row with a sign that is present decides, so the order is part of the meaning. */
const failures: readonly Failure[] = [
  [
    ['cancelled'],
    'passphrase',
    ({ file, secret }) => `cannot open ${file}: the question for ${secret} was cancelled`,
    askAgain,
  ],
  [
    ['timeout'],
    'passphrase',
    ({ file, secret }) => `cannot open ${file}: nobody answered the question for ${secret}`,
    askAgain,
  ],
  [
    ['no-pinentry'],
    'tool',
    ({ file, secret }) => `gpg cannot open ${file}: gpg-agent finds no pinentry to ask for ${secret}`,
    () => 'apt-get install pinentry-curses && gpgconf --kill gpg-agent',
  ],
  [
    ['no-terminal'],
    'tool',
    ({ file, secret }) => `gpg cannot open ${file}: there is no terminal to ask for ${secret}`,
    ({ sealed }) =>
      sealed.tty === undefined
        ? 'run it on a terminal, or give the passphrase itself with --passphrase-fd'
        : 'export GPG_TTY=$(tty), and run it again',
  ],
  // After the two above: GnuPG 2.4 reports a wrong passphrase too if nobody could be asked for one.
  [
    ['wrong-passphrase', 'BAD_PASSPHRASE'],
    'passphrase',
    ({ file, secret }) => `gpg cannot open ${file}: that is not ${secret}`,
    askAgain,
  ],
  [
    ['no-keyring'],
    'tool',
    ({ file, said }) => `gpg cannot open ${file}: its keyring is missing or unreadable ${said(/keyb/u)}`,
    () => 'gpg --list-secret-keys',
  ],
  [
    ['agent-gone'],
    'tool',
    ({ file, said }) => `gpg cannot open ${file}: gpg-agent cannot be started ${said(/agent/iu)}`,
    () => 'gpgconf --launch gpg-agent',
  ],
  [['for-others'], 'passphrase', ({ otherKeys }) => otherKeys.message, ({ otherKeys }) => otherKeys.hint],
  [
    ['broke-off'],
    'tool',
    ({ file, said }) =>
      `gpg cannot open ${file}: gpg-agent or its pinentry stopped ${said(/key decryption failed|agent/iu)}`,
    byHand,
  ],
  [
    ['BADMDC', 'BADSIG', 'DECRYPTION_INFO', 'other-error'],
    'passphrase',
    ({ file }) => `${file} is damaged and does not decrypt`,
    backup,
  ],
  [
    ['NODATA', 'UNEXPECTED', 'BADARMOR'],
    'passphrase',
    ({ file }) => `${file} is not an OpenPGP message, or is damaged`,
    backup,
  ],
  [
    ['PLAINTEXT'],
    'passphrase',
    ({ file }) => `${file} is signed but not encrypted`,
    () => 'encrypt it: gpg --encrypt --recipient ADDRESS',
  ],
];

/** The error for a `gpg --decrypt` that did not succeed: what went wrong, and what to do about it. */
export function explainFailure(
  { status, stderr }: GpgResult,
  sealed: SealedPassphrase,
  flaw: OperatorFlaw,
): RelaycertsError {
  const signs = signsOf(status, stderr);
  const keyIds = keyIdsOf(status);
  const words: Words = {
    file: quotePath(sealed.from),
    secret: keyIds.length === 0 ? 'the password that it is encrypted with' : 'the passphrase of the OpenPGP key',
    sealed,
    otherKeys: describeNoSecretKey(sealed, keyIds, flaw),
    said: (matching) => `(${lastMessage(stderr, matching)})`,
  };
  const [, code, message, hint] = failures.find(([wanted]) => wanted.some((sign) => signs.has(sign))) ?? [
    [],
    'tool' as const,
    ({ file, said }: Words) => `gpg cannot open ${file} ${said()}`,
    byHand,
  ];
  return new RelaycertsError(code, message(words), { hint: hint(words) });
}

/** True if gpg failed because it was not allowed to ask for a passphrase, PIN or password. */
export function isQuestion({ status, stderr }: GpgResult): boolean {
  const signs = signsOf(status, stderr);
  return ['no-pinentry', 'cancelled', 'no-terminal'].some((sign) => signs.has(sign));
}

/** Status keywords, names of error codes, and a few conclusions drawn from them. */
function signsOf(status: GpgResult['status'], stderr: string): ReadonlySet<string> {
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
  // An agent that does not start has no status line: gpg then assumes that there are no secret keys.
  const blamesAgent = signs.has('no-agent') || messagesOf(stderr).some((line) => /\bagent\b/iu.test(line));
  if (blamesAgent && (signs.has('NO_SECKEY') || codes.length > 0)) signs.add('agent-gone');
  // GnuPG 2.2 gives no error with NO_SECKEY. 2.4 prints NO_SECKEY for any failure, with an error that says which.
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

function keyIdsOf(status: GpgResult['status']): readonly string[] {
  return status.flatMap(({ word, fields }) => (word === 'ENC_TO' ? [fields[0] ?? ''] : []));
}
