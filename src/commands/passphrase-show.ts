// `relaycerts passphrase show` and `export-key`: print a secret on stdout, after confirmation. Anybody who reads stdout
// has the secret. They change nothing.

import { readOperatorKey } from '../custody/operator-key.js';
import { openPassphraseFile } from '../custody/passphrase-file.js';
import { RelaycertsError } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { pathWord } from '../shell-word.js';
import { readCustody } from '../store/read.js';
import { shownPath } from '../sys/shown-path.js';
import type { Sys } from '../sys/sys.js';
import { agree, type Question } from '../sys/agree.js';
import { readOperatorKeyFile } from './operator-key.js';
import { contradiction, reading, type GlobalOptions } from './run.js';

export interface ShowSecretOptions extends GlobalOptions {
  /** Do not ask. */
  readonly yes: boolean;
}

/**
 * Prints the passphrase and a newline; with `json` an object.
 * @throws settings, usage, passphrase, tool, files, lock, interrupted
 */
export async function showPassphrase(options: ShowSecretOptions, sys: Sys): Promise<void> {
  const { settings, found, at } = await reading(options, sys, async (one) => readCustody(one, sys));
  if (found.problems.length > 0) throw contradiction(found.problems);
  await agree(options, sys, secretQuestion('show', "Print the CA's passphrase here?"));
  const passphrase = await openPassphraseFile({ settings, sys, inventory: found, at });
  const text = passphrase.revealText();
  if (!Buffer.from(text).equals(passphrase.revealBytes())) {
    throw new RelaycertsError('passphrase', 'the passphrase is not text in UTF-8, so it cannot be printed as it is', {
      hint: `gpg --decrypt ${pathWord(settings.passphrase.file)}`,
    });
  }
  sys.writeSecret(options.json ? writeAnswer('passphrase show', { passphrase: text }) : `${text}\n`);
}

/**
 * Prints the operator key as in its file, armored; with `json` an object.
 * @throws usage, files, permissions, interrupted
 */
export async function exportKey(options: ShowSecretOptions, sys: Sys): Promise<void> {
  const operatorKey = readOperatorKeyFile(sys);
  await agree(options, sys, secretQuestion('export-key', 'Print the operator key, a private key, here?'));
  const armored = operatorKey.armored.revealText();
  const { fingerprint, isLocked } = await readOperatorKey(operatorKey);
  sys.writeSecret(options.json ? writeAnswer('passphrase export-key', { fingerprint, isLocked, armored }) : armored);
  sys.say(`the operator key ${fingerprint}; ${isLocked ? 'it still has its password' : 'it has no password'}`);
  sys.say('  to open the passphrase file with GnuPG, here or elsewhere: gpg --import BACKUP');
  sys.say(`  to restore it as the operator key: install -D -m 600 BACKUP ${shownPath(operatorKey.from, sys)}`);
}

function secretQuestion(command: string, ask: string): Question {
  const unasked = { run: ['passphrase', command, '--yes'], before: 'to print it without asking:' };
  return { ask, deed: `passphrase ${command} prints a secret`, unasked, declined: 'nothing was printed' };
}
