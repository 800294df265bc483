// The only import of openpgp.js, which takes tens of milliseconds to load: it happens once, on first use. Nothing is
// added to the library.

import type * as OpenPgp from 'openpgp';

export type { Key, PartialConfig, PrivateKey, PublicKey, Subkey } from 'openpgp';

let library: Promise<typeof OpenPgp> | undefined;

/** openpgp.js; loading it takes 35 to 50 ms, during which other keys can be made. */
export function loadOpenpgp(): Promise<typeof OpenPgp> {
  library ??= import('openpgp');
  return library;
}

/** openpgp.js types its results as streams too, but with bytes in, bytes come out. */
export function assertBytes(value: unknown): asserts value is Uint8Array<ArrayBuffer> {
  if (!(value instanceof Uint8Array)) throw new TypeError('openpgp.js returned something other than bytes');
}
