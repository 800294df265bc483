// The operator key's file, for the commands about that key: one key for all projects of a user. It is only read here,
// never written.

import type { OperatorKeyFile } from '../custody/operator-key.js';
import { operatorKeyOf } from '../custody/passphrase-file.js';
import { RelaycertsError, quotePath } from '../errors.js';
import { shellWord } from '../shell-word.js';
import { operatorKeyPlace } from '../store/layout.js';
import { lookAt, readFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';

/** @throws files - there is none; permissions - others can read it */
export function readOperatorKeyFile(sys: Sys): OperatorKeyFile {
  const { path } = operatorKeyPlace(sys.configHome);
  const state = lookAt(path);
  if (state?.kind === 'file' && (state.mode & 0o077) !== 0) {
    throw new RelaycertsError(
      'permissions',
      `the operator key ${quotePath(path)} can be read or changed by others; if others use this machine, they may have copied it`,
      { hint: `chmod 600 ${shellWord(path)}` },
    );
  }
  const found = operatorKeyOf({ inventory: { operatorKey: readFile(path), operatorKeyPath: path }, sys });
  if (found !== undefined) return found;
  throw new RelaycertsError('files', `there is no operator key ${quotePath(path)}`, {
    hint: {
      run: ['make'],
      before: 'if there was one, restore it from a backup; with a first CA and no passphrase.recipients,',
      after: 'makes it',
    },
  });
}
