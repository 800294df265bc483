// Makes key pairs and writes them as unencrypted PKCS#8 (RFC 5208). Encryption is in pbes2.ts, reading in
// certificate/private-key.ts.

import { createECDH, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import * as der from '../certificate/der.js';
import { writePem } from '../certificate/pem.js';
import { Secret } from '../secret.js';
import type { KeyType } from '../settings/settings.js';

/** The two halves of one key. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

const generate = promisify(generateKeyPair);

const curves = { 'ecdsa-p256': 'prime256v1', 'ecdsa-p384': 'secp384r1' } as const;

/** A new key pair, made in the thread pool, so that RSA keys started together are made in parallel. */
export async function generateKey(keyType: KeyType): Promise<KeyPair> {
  if (keyType === 'ed25519') return generate('ed25519');
  if (keyType === 'ecdsa-p256' || keyType === 'ecdsa-p384') return generate('ec', { namedCurve: curves[keyType] });
  return generate('rsa', { modulusLength: Number(keyType.slice('rsa-'.length)) });
}

/** The key as unencrypted PKCS#8 PEM, which Postfix reads (it cannot ask for a passphrase). */
export function encodePrivateKey(key: KeyObject): Secret {
  return new Secret(key.export({ type: 'pkcs8', format: 'pem' }));
}

/**
 * A new key for a host, as encodePrivateKey writes it. Curve keys are framed here: node:crypto needs 30 us for the
 * numbers, and ten times that for a KeyObject and its export, which matters for a fleet.
 * @source RFC 5208 5, RFC 5915 3, RFC 5480 2
 */
export async function generateHostKey(keyType: KeyType): Promise<Secret> {
  const curve = keyType === 'ecdsa-p256' || keyType === 'ecdsa-p384' ? curveFrames[keyType] : undefined;
  if (curve === undefined) return encodePrivateKey((await generateKey(keyType)).privateKey);
  const { name, octets, algorithm } = curve;
  const pair = createECDH(name);
  const point = der.writeBitString(pair.generateKeys());
  const scalar = pair.getPrivateKey();
  const padded = Buffer.concat([Buffer.alloc(octets - scalar.length), scalar]);
  const key = der.writeSequence(der.writeInteger(1), der.writeOctetString(padded), der.writeElement(0xa1, point));
  const pkcs8 = der.writeSequence(der.writeInteger(0), algorithm, der.writeOctetString(key));
  return new Secret(writePem('PRIVATE KEY', pkcs8));
}

const ecAlgorithm = (curve: string): Buffer =>
  der.writeSequence(der.writeOid('1.2.840.10045.2.1'), der.writeOid(curve));

const curveFrames = {
  'ecdsa-p256': { name: curves['ecdsa-p256'], octets: 32, algorithm: ecAlgorithm('1.2.840.10045.3.1.7') },
  'ecdsa-p384': { name: curves['ecdsa-p384'], octets: 48, algorithm: ecAlgorithm('1.3.132.0.34') },
} as const;
