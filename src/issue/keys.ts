// Key pairs: made, and written as unencrypted PKCS#8. Encryption is in pbes2.ts, reading in private-key.ts.

import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../secret.js';
import type { KeyType } from '../settings/settings.js';

export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generate = promisify(generateKeyPair);

/** A new key pair, made in the thread pool: start RSA keys together and they run in parallel. */
export async function generateKey(keyType: KeyType): Promise<KeyPair> {
  switch (keyType) {
    case 'ecdsa-p256':
      return await generate('ec', { namedCurve: 'prime256v1' });
    case 'ecdsa-p384':
      return await generate('ec', { namedCurve: 'secp384r1' });
    case 'rsa-2048':
      return await generate('rsa', { modulusLength: 2048 });
    case 'rsa-3072':
      return await generate('rsa', { modulusLength: 3072 });
    case 'rsa-4096':
      return await generate('rsa', { modulusLength: 4096 });
    case 'ed25519':
      return await generate('ed25519');
  }
}

/** The key as unencrypted PKCS#8 PEM, which Postfix reads (it cannot ask for a passphrase). */
export function encodePrivateKey(key: KeyObject): Secret {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }));
}
