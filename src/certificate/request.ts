// Certificate requests (PKCS#10, RFC 2986) of hosts that make their own key. Only the public key is used, after the
// request's signature has proven that its sender has the private half; names and extensions are read only to report
// that they are ignored. Weak keys, and anything ambiguous, are refused.

import { createPublicKey, type KeyObject } from 'node:crypto';
import type { KeyType } from '../settings/settings.js';
import { readExtensionList } from './certificate.js';
import { readCommonName } from './name-texts.js';
import * as der from './der.js';
import { dnsNameTag } from './parts.js';
import { inputError, readPemOrDer, writePem } from './pem.js';
import { encodeSpki, keyTypeOfSpki } from './public-key.js';
import { holds, proofOf } from './signature.js';
import { findKeyWeakness } from './weak-key.js';

export interface RequestInfo {
  /** One CERTIFICATE REQUEST block, normalised, with a newline at the end. */
  readonly pem: string;
  readonly publicKey: KeyObject;
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly keyType: KeyType;
  /** The requested commonName and alternative names: unchecked, and not to be printed unquoted. */
  readonly names: readonly string[];
}

/** RFC 7468 7, and the label of older programs. */
const labels: readonly string[] = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'];

const makeAgain = 'make it again on the host that has the key, and copy the whole file';

/**
 * The one request of a PEM text or DER file, its proof of possession checked. `from` names it in errors.
 * @throws RelaycertsError `certificate` if there is none or more than one, it is damaged, its signature is wrong, or
 * its
 *   key is weak or of an unknown type
 */
export function parseRequest(bytes: Uint8Array | string, { from }: { from: string }): RequestInfo {
  const encoded = readPemOrDer(bytes, from, labels);
  const [request] = encoded;
  if (request === undefined || encoded.length > 1) {
    const found = request === undefined ? 'no certificate request' : 'several certificate requests';
    const hint = 'give a file with one request, as openssl req -new writes it: -----BEGIN CERTIFICATE REQUEST-----';
    throw inputError(`${from} holds ${found} in PEM or DER form`, hint);
  }
  try {
    return decodeRequest(request, from);
  } catch (error) {
    if (!(error instanceof der.DerError)) throw error;
    throw inputError(`the certificate request in ${from} is damaged`, 'copy the whole file again', error);
  }
}

/** RFC 2986 4: CertificationRequest, and the CertificationRequestInfo in it. */
function decodeRequest(bytes: Buffer, from: string): RequestInfo {
  const [info, algorithm, signature, ...more] = der.readSequence(bytes);
  const [version, subject, spki, attributes] = der.readInside(info);
  if (more.length > 0 || der.readSmallInteger(version) !== 0) throw new der.DerError('not a version 1 request');
  const { raw } = der.expectTag(spki, der.derTags.sequence);
  const keyType = readKeyType(raw, from);
  const publicKey = decodePublicKey(raw, from);
  const proof = proofOf(algorithm);
  if (proof === undefined || !keyType.startsWith(proof.family)) {
    const message = `the certificate request in ${from} is signed with an unknown algorithm`;
    throw inputError(message, 'make it with SHA-256: openssl req -new -sha256 -key KEYFILE');
  }
  if (!holds(info, signature, proof, publicKey)) {
    const flaw = "does not hold: it is damaged, or not from the key's owner";
    throw inputError(`the signature of the certificate request in ${from} ${flaw}`, makeAgain);
  }
  return {
    pem: writePem('CERTIFICATE REQUEST', bytes),
    publicKey,
    spki: encodeSpki(publicKey),
    keyType,
    names: readNames(subject, attributes),
  };
}

function readKeyType(spki: Buffer, from: string): KeyType {
  const judged = judgePublicKey(spki);
  if ('keyType' in judged) return judged.keyType;
  const hint =
    'make a new key: ECDSA on P-256 or P-384, RSA of 2048, 3072 or 4096 bits with the exponent 65537, or Ed25519';
  throw inputError(`the key in the certificate request ${from} ${judged.flaw}`, hint);
}

/** The type of a public key from outside (DER SubjectPublicKeyInfo), or why it gets no certificate. @throws DerError */
export function judgePublicKey(spki: Buffer): { readonly keyType: KeyType } | { readonly flaw: string } {
  const keyType = keyTypeOfSpki(spki);
  if (keyType === undefined) return { flaw: 'is weak, or of a type for which no certificate is issued' };
  const [, element] = der.readSequence(spki);
  const key = der.expectTag(element, der.derTags.bitString).contents.subarray(1);
  if (keyType.startsWith('rsa-')) {
    const [, exponent] = der.readSequence(key);
    // With exponent 1 anyone can sign; other small ones are weak (FIPS 186-5 5.1).
    if (der.readSmallInteger(exponent) !== 65_537) return { flaw: 'has an unusual RSA exponent' };
  }
  // RFC 5480 2.2: the compressed form is optional, and GnuTLS does not read it.
  if (keyType.startsWith('ecdsa-') && key[0] !== 0x04) return { flaw: 'is in a form that not every program reads' };
  const weakness = findKeyWeakness(spki, keyType);
  return weakness === undefined ? { keyType } : { flaw: `is weak: ${weakness}` };
}

function decodePublicKey(spki: Buffer, from: string): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (error) {
    throw inputError(`the public key of the certificate request in ${from} is damaged`, makeAgain, error);
  }
}

/** PKCS#9 extensionRequest (RFC 2985 5.4.2), which holds the names that the host asks for. */
const extensionRequest = '1.2.840.113549.1.9.14';
const attributesTag = 0xa0;

/** The names are only displayed, so anything that is not a dNSName is skipped. */
function readNames(subject: der.DerElement | undefined, attributes: der.DerElement | undefined): readonly string[] {
  const altNames = (attributes === undefined ? [] : der.readInside(attributes, attributesTag))
    .map((attribute) => der.readInside(attribute))
    .filter(([type]) => der.readOid(type) === extensionRequest)
    .flatMap(([, values]) => der.readInside(values, der.derTags.set))
    .map((list) => readExtensionList(list).get('2.5.29.17'))
    .flatMap((value) => (value === undefined ? [] : der.readSequence(value)))
    .map(({ tag, contents }) => (tag === dnsNameTag ? contents.toString('latin1') : 'a name of another kind'));
  const commonName = readCommonName(subject);
  return commonName === undefined ? altNames : [commonName, ...altNames];
}
