// The one file with keys that `backup` or `export p12` makes where the user says: its place, which must be safe and free,
// and the password that it gets. It writes nothing.

import { dirname } from 'node:path';
import { isWeak, readPassphraseFd } from '../custody/passphrase.js';
import { RelaycertsError, quotePath } from '../errors.js';
import type { Secret } from '../secret.js';
import { assertSafeFolder } from '../store/safety.js';
import { lookAt } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';

/** `run` makes another file. @throws permissions; files - something is there */
export async function assertNewFile(path: string, run: readonly string[], sys: Sys): Promise<void> {
  await assertSafeFolder(dirname(path), 'custody', sys);
  if (lookAt(path) === undefined) return;
  throw new RelaycertsError('files', `${quotePath(path)} exists and is not overwritten`, {
    hint: { run, before: 'move it away, or name another file:' },
  });
}

interface PasswordRequest {
  readonly file: 'backup' | 'PKCS#12 file';
  /** A file descriptor to read it from; undefined: it is asked for. */
  readonly passwordFd: number | undefined;
  /** The command, which can read it from a file descriptor instead. */
  readonly run: readonly string[];
  /** Words for who is asked. */
  readonly why?: string;
}

/** One that is weak is warned of. @throws usage, passphrase, interrupted */
export async function obtainNewPassword(request: PasswordRequest, sys: Sys): Promise<Secret> {
  const { file, passwordFd } = request;
  const password =
    passwordFd === undefined
      ? await askNewPassword(request, sys)
      : await readPassphraseFd(passwordFd, '--password-fd', `password of the ${file}`);
  warnIfWeak(password, file, sys);
  return password;
}

/** For a password that somebody chose. */
export function warnIfWeak(password: Secret, file: string, sys: Sys): void {
  if (!isWeak(password)) return;
  const message = `the password is short or simple: anyone who gets a copy of the ${file} may guess it`;
  sys.warn(message, 'choose another one, with at least four random words');
}

async function askNewPassword({ file, run, why }: PasswordRequest, sys: Sys): Promise<Secret> {
  const refuse = (message: string): RelaycertsError =>
    new RelaycertsError('usage', message, {
      hint: { run: [...run, '--password-fd', '3'], after: '3< PASSWORD-FILE' },
    });
  if (!sys.interactive) throw refuse(`the ${file} needs a password, and there is no terminal to ask on`);
  if (why !== undefined) sys.say(why);
  const password = await sys.askNewSecret(`Password of the ${file}:`);
  if (password.revealBytes().length > 0) return password;
  throw refuse(`what is in the ${file} is secret, and an empty password protects nothing`);
}
