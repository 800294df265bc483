// `relaycerts passphrase ...`: carries one request out. All of its commands are one chunk of the bundle: a chunk each
// would cut what they share with the others into more pieces, which every other command would have to load.

import type { Sys } from '../sys/sys.js';
import { changePassphrase, type ChangeOptions } from './passphrase-change.js';
import { changeOperatorPassword } from './passphrase-operator.js';
import { printRecipients } from './passphrase-recipients.js';
import { exportKey, showPassphrase, type ShowSecretOptions } from './passphrase-show.js';
import type { GlobalOptions } from './options.js';

export type PassphraseRequest =
  | ({ readonly command: 'recipients' } & GlobalOptions)
  | ({ readonly command: 'show' | 'export-key' } & ShowSecretOptions)
  | ({ readonly command: 'change' } & ChangeOptions)
  | { readonly command: 'operator-password' };

/** @throws settings, usage, lock, contradiction, passphrase, recipient, tool, files, permissions, interrupted */
export async function passphrase(request: PassphraseRequest, sys: Sys): Promise<void> {
  switch (request.command) {
    case 'recipients':
      return printRecipients(request, sys);
    case 'show':
      return showPassphrase(request, sys);
    case 'export-key':
      return exportKey(request, sys);
    case 'change':
      return changePassphrase(request, sys);
    case 'operator-password':
      return changeOperatorPassword(sys);
  }
}
