// Reads unencrypted private keys from PEM: PKCS#8, SEC 1 and PKCS#1, as openssl writes them. Encrypted ones are read in
// issue/pbes2.ts. No message ever holds a part of a key.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { quote } from '../errors.js';
import { boundInput, inputError, readPemBlocks } from './pem.js';

/** The formats of the labels that hold a plain private key: RFC 5208, RFC 5915 (SEC 1), RFC 8017 (PKCS#1). */
const privateKeyFormats: ReadonlyMap<string, 'pkcs8' | 'sec1' | 'pkcs1'> = new Map([
  ['PRIVATE KEY', 'pkcs8'],
  ['EC PRIVATE KEY', 'sec1'],
  ['RSA PRIVATE KEY', 'pkcs1'],
]);

/**
 * The first private key of a PEM text, which must not be encrypted; other blocks are skipped. `from` names it in errors.
 * @throws RelaycertsError `certificate` if there is none, it is encrypted or it is damaged; never with its contents
 */
export function parsePrivateKey(pem: Uint8Array | string, { from }: { from: string } = { from: 'the key' }): KeyObject {
  const block = readPemBlocks(boundInput(pem, from), from).find((one) => one.label.endsWith('PRIVATE KEY'));
  if (block === undefined) {
    throw inputError(
      `${from} holds no private key in PEM form`,
      'give a file that has a line -----BEGIN PRIVATE KEY-----',
    );
  }
  const { label, hasHeaders, der } = block;
  if (hasHeaders || label === 'ENCRYPTED PRIVATE KEY') {
    throw inputError(`the private key in ${from} is encrypted`, 'decrypt it: openssl pkey -in FILE -out NEWFILE');
  }
  const type = privateKeyFormats.get(label);
  if (type === undefined) {
    const hint = 'convert it to PKCS#8: openssl pkcs8 -topk8 -nocrypt -in FILE -out NEWFILE';
    throw inputError(`${from} holds a ${quote(label)}, which TLS does not use`, hint);
  }
  try {
    return createPrivateKey({ key: der, format: 'der', type });
  } catch {
    // Without the cause: what OpenSSL says about a private key may quote it.
    throw inputError(`the private key in ${from} is damaged`);
  }
}
