// The error for a passphrase file whose recipients' secret keys are not here, and which key is to blame: the operator
// key, if the file is encrypted to it, or a key that GnuPG should have. open.ts decides which key opens a file.

import { listSome, quotePath, RelaycertsError, restoreHint } from '../errors.js';

/** Why the operator key does not open a file. */
export type OperatorFlaw = 'missing' | 'unreadable' | 'another' | 'locked';

export const flawWords: Readonly<Record<OperatorFlaw, string>> = {
  missing: 'is missing',
  unreadable: 'is not an armored OpenPGP private key',
  another: 'is another key',
  locked: 'has a password',
};

/** A file and the path of its operator key, as in SealedPassphrase. */
interface Unopened {
  readonly from: string;
  readonly operatorKey: { readonly from: string } | undefined;
  readonly operatorKeyPath: string | undefined;
}

/** `gnupg` is why GnuPG does not open it either. */
export function describeNoSecretKey(
  { from, operatorKey, operatorKeyPath }: Unopened,
  keyIds: readonly string[],
  flaw: OperatorFlaw,
  gnupg = 'GnuPG has the secret key of none of them',
): { readonly message: string; readonly hint: string } {
  const path = operatorKeyPath ?? operatorKey?.from;
  const operator = path === undefined ? '' : `, and the operator key ${quotePath(path)} ${flawWords[flaw]}`;
  const message = `${quotePath(from)} is encrypted to ${listSome(keyIds.map(nameKeyId))}, and ${gnupg}${operator}`;
  const hints: Readonly<Record<OperatorFlaw, (place: string) => string>> = {
    missing: (place) => `${restoreHint(place)}; if make ran with another XDG_CONFIG_HOME, set that`,
    unreadable: (place) => restoreHint(place),
    // It may open the files of other projects, so it is kept.
    another: () => importBackup,
    locked: () => 'run it on a terminal',
  };
  const hint = operatorKeyPath === undefined ? importBackup : hints[flaw](operatorKeyPath);
  return { message, hint: `${hint}; or give the passphrase itself with --passphrase-fd` };
}

export function noSecretKeyError(...about: Parameters<typeof describeNoSecretKey>): RelaycertsError {
  const { message, hint } = describeNoSecretKey(...about);
  return new RelaycertsError('passphrase', message, { hint });
}

const importBackup = 'import the secret key from a backup: gpg --import BACKUP';

/** RFC 9580 5.1.8: a key ID of zeros hides the recipient (`gpg --throw-keyids`). */
function nameKeyId(keyId: string): string {
  if (!/^[0-9A-F]{1,64}$/u.test(keyId)) return 'a key without an ID';
  return /^0+$/u.test(keyId) ? 'a hidden recipient' : keyId;
}
