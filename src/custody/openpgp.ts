// The one way to openpgp.js: loaded when it is first needed, and once. Nothing else imports the package.

import type * as OpenPgp from 'openpgp';

export type { Key, PartialConfig, PrivateKey, PublicKey, Subkey } from 'openpgp';

let library: Promise<typeof OpenPgp> | undefined;

/** openpgp.js; loading it takes 35 to 50 ms, in which other keys can be made. */
export function loadOpenpgp(): Promise<typeof OpenPgp> {
  library ??= import('openpgp');
  return library;
}
