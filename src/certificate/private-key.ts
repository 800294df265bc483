// Reads unencrypted private keys from PEM: PKCS#8, SEC 1 and PKCS#1, as openssl writes them. Encrypted ones are read in
// issue/pbes2.ts. No message ever contains any part of a key.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { quote, quotePath } from '../errors.js';
import {
  DerError,
  derTags,
  expectTag,
  readElements,
  readInside,
  readOid,
  readSequence,
  writeBitString,
  writeSequence,
} from './der.js';
import type { CertificateInfo } from './certificate.js';
import { boundInput, inputError, readPemBlocks, readPlainPem } from './pem.js';
import { encodeSpki, samePublicKey } from './public-key.js';

/** The formats of the labels that hold a plain private key: RFC 5208, RFC 5915 (SEC 1), RFC 8017 (PKCS#1). */
const privateKeyFormats: ReadonlyMap<string, 'pkcs8' | 'sec1' | 'pkcs1'> = new Map([
  ['PRIVATE KEY', 'pkcs8'],
  ['EC PRIVATE KEY', 'sec1'],
  ['RSA PRIVATE KEY', 'pkcs1'],
]);

/**
 * The first private key of a PEM text, which must not be encrypted; other blocks are skipped. `from` names it in
 * errors.
 * @throws RelaycertsError `certificate` if there is none, or it is encrypted or damaged; never with its contents
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
    // Without the cause, because OpenSSL's error about a private key may quote it.
    throw inputError(`the private key in ${from} is damaged`);
  }
}

/** A host's key file. */
export interface HostKey {
  readonly path: string;
  /** The file's own text, which goes into the bundle. */
  readonly pem: Buffer;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly privateKey: KeyObject;
}

/**
 * The key in a file. OpenSSL takes half a millisecond per key, and most commands only need to know whose it is, so
 * OpenSSL reads only what is not plain PKCS#8, and the rest when `privateKey` is asked for. `same` is used as its
 * public half if they are equal.
 * @throws RelaycertsError as parsePrivateKey
 */
export function readHostKey(path: string, pem: Buffer, same?: Buffer): HostKey {
  const der = readPlainPem('PRIVATE KEY', pem);
  const spki = der && publicHalfOf(der);
  if (spki !== undefined) return new PlainHostKey(path, pem, same?.equals(spki) === true ? same : spki);
  const privateKey = parsePrivateKey(pem, { from: quotePath(path) });
  return { path, pem, spki: encodeSpki(privateKey), privateKey };
}

/** True if the certificate is for this key. */
export function isKeyOf(key: HostKey, certificate: CertificateInfo): boolean {
  // A key can be written in two ways (a point compressed or not); OpenSSL reads both.
  return key.spki.equals(certificate.spki) || samePublicKey(key.privateKey, certificate.publicKey);
}

class PlainHostKey implements HostKey {
  readonly path: string;
  readonly pem: Buffer;
  readonly spki: Buffer;

  constructor(path: string, pem: Buffer, spki: Buffer) {
    this.path = path;
    this.pem = pem;
    this.spki = spki;
  }

  get privateKey(): KeyObject {
    return parsePrivateKey(this.pem, { from: quotePath(this.path) });
  }
}

/**
 * The SubjectPublicKeyInfo that a PKCS#8 key contains next to the private half: an ECPrivateKey's publicKey (RFC 5915
 * 3), or an RSAPrivateKey's modulus and exponent (RFC 8017 A.1.2). Undefined for anything else.
 */
function publicHalfOf(pkcs8: Buffer): Buffer | undefined {
  try {
    const [, algorithm, key] = readSequence(pkcs8);
    const [oid] = readInside(algorithm);
    const parts = readSequence(expectTag(key, derTags.octetString).contents);
    if (algorithm === undefined) return undefined;
    switch (readOid(oid)) {
      case '1.2.840.10045.2.1': {
        const [bits] = readElements(parts.find(({ tag }) => tag === 0xa1)?.contents ?? Buffer.alloc(0));
        return bits && writeSequence(algorithm.raw, expectTag(bits, derTags.bitString).raw);
      }
      case '1.2.840.113549.1.1.1': {
        const [, modulus, exponent] = parts.map(({ raw }) => raw);
        if (modulus === undefined || exponent === undefined) return undefined;
        return writeSequence(algorithm.raw, writeBitString(writeSequence(modulus, exponent)));
      }
      default:
        return undefined;
    }
  } catch (error) {
    if (error instanceof DerError) return undefined;
    throw error;
  }
}
