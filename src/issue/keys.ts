// Makes key pairs and writes them as unencrypted PKCS#8 (RFC 5208). Encryption is in pbes2.ts, reading in
// certificate/private-key.ts.

import { generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { Secret } from '../secret.js';
import type { KeyType } from '../settings/settings.js';

/** The two halves of one key. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generate = promisify(generateKeyPair);

const curves = { 'ecdsa-p256': 'prime256v1', 'ecdsa-p384': 'secp384r1' } as const;

/** A new key pair, made in the thread pool, so that RSA keys started together run in parallel. */
export async function generateKey(keyType: KeyType): Promise<KeyPair> {
  if (keyType === 'ed25519') return generate('ed25519');
  if (keyType === 'ecdsa-p256' || keyType === 'ecdsa-p384') return generate('ec', { namedCurve: curves[keyType] });
  return generate('rsa', { modulusLength: Number(keyType.slice('rsa-'.length)) });
}

/** The key as unencrypted PKCS#8 PEM, which Postfix reads (it cannot ask for a passphrase). */
export function encodePrivateKey(key: KeyObject): Secret {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }));
}
