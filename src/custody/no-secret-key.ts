// The error for a passphrase file whose recipients' secret keys are not here, and who is to blame: the operator key, if
// the file is meant for it, or a key that GnuPG should have. Which key opens a file is decided in open.ts.

import { listSome, quotePath, RelaycertsError, restoreHint } from '../errors.js';

/** Why the operator key does not open a file. */
export type OperatorFlaw = 'missing' | 'unreadable' | 'another' | 'locked';

export const flawWords: Readonly<Record<OperatorFlaw, string>> = {
  missing: 'is missing',
  unreadable: 'is not an armored OpenPGP private key',
  another: 'is another key',
  locked: 'has a password',
};

/** A file and where its operator key is, as in SealedPassphrase. */
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
  gnupg = 'GnuPG does not have its secret key',
): { readonly message: string; readonly hint: string } {
  const refuse = (what: string, hint: string) => ({ message: `${quotePath(from)} is encrypted to ${what}`, hint });
  const recipients = listSome(keyIds.map(nameKeyId));
  if (operatorKeyPath === undefined) {
    const operator = operatorKey && `, and the operator key ${quotePath(operatorKey.from)} ${flawWords[flaw]}`;
    return refuse(`${recipients}, but ${gnupg}${operator ?? ''}`, importBackup);
  }
  const message = `${recipients}, but the operator key ${quotePath(operatorKeyPath)} ${flawWords[flaw]}, and ${gnupg}`;
  switch (flaw) {
    case 'missing':
      return refuse(message, `${restoreHint(operatorKeyPath)}; if make ran with another XDG_CONFIG_HOME, set that`);
    case 'unreadable':
      return refuse(message, restoreHint(operatorKeyPath));
    case 'another':
      // It may open the files of other projects, so it stays.
      return refuse(message, importBackup);
    case 'locked':
      return refuse(message, 'run it on a terminal, or give the passphrase itself with --passphrase-fd');
  }
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
