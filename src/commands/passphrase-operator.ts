// `relaycerts passphrase operator-password`: sets, changes or removes the operator key's own password. The key itself
// stays the same, so everything encrypted to it opens as before.

import { dirname } from 'node:path';
import { readOperatorKey, relockOperatorKey } from '../custody/operator-key.js';
import { RelaycertsError } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import { operatorKeyPlace } from '../store/layout.js';
import { withLock } from '../store/lock.js';
import { assertSafeFolder } from '../store/safety.js';
import { replaceFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { warnIfWeak } from './new-file.js';
import { readOperatorKeyFile } from './operator-key.js';
import type { GlobalOptions } from './run.js';

/** @throws usage, files, permissions, passphrase, lock, interrupted */
export async function changeOperatorPassword({ json }: Pick<GlobalOptions, 'json'>, sys: Sys): Promise<void> {
  const { path, mode } = operatorKeyPlace(sys.configHome);
  const found = readOperatorKeyFile(sys);
  if (!sys.interactive) {
    throw new RelaycertsError('usage', 'operator-password asks for passwords, and there is no terminal to ask on', {
      hint: 'run it on a terminal',
    });
  }
  await assertSafeFolder(dirname(path), 'custody', sys);
  await withLock(`${path}.lock`, sys, async (lock) => {
    try {
      const { isLocked, fingerprint } = await readOperatorKey(found);
      const unlocked = isLocked ? await relockOperatorKey(found, undefined) : found.armored;
      const password = await sys.askNewSecret('New password of the operator key (Enter: none):');
      const next = password.revealBytes().length === 0 ? undefined : password;
      if (next === undefined && !isLocked) {
        if (json) sys.write(answerOf(path, false));
        sys.say('the operator key has no password, and stays as it is');
        return;
      }
      if (next !== undefined) warnIfWeak(next, 'operator key', sys);
      const armored = await relockOperatorKey({ armored: unlocked, from: path, password: undefined }, next);
      // Unlocked once more before the old file is replaced.
      const back = await relockOperatorKey({ armored, from: path, password: next }, undefined);
      if ((await readOperatorKey({ armored: back, from: path })).fingerprint !== fingerprint) {
        throw new Error('the operator key with its new password is another key');
      }
      await replaceFile(path, armored.revealBytes(), mode);
      if (json) sys.write(answerOf(path, next !== undefined));
      sys.say(`the operator key ${next === undefined ? 'no longer has a password' : 'has its new password'}`, path);
    } finally {
      await lock.remove();
    }
  });
}

function answerOf(file: string, isLocked: boolean): string {
  return writeAnswer('passphrase operator-password', { file, isLocked });
}
