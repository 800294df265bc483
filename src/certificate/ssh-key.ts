// Public keys in OpenSSH's form: a certificate's key as a line of authorized_keys, and the host keys that a host shows.
// Only keys are read here, never options, names or certificates of OpenSSH's own.

import { hash } from 'node:crypto';
import { derTags, expectTag, readSequence } from './der.js';
import { keyTypeOfSpki } from './public-key.js';

const curves = { 'ecdsa-p256': 'nistp256', 'ecdsa-p384': 'nistp384' } as const;

/**
 * The type and the key of a DER SubjectPublicKeyInfo: `ecdsa-sha2-nistp256 AAAA...`; undefined for a key that our
 * certificates do not have.
 * @source RFC 4253 6.6, RFC 5656 3.1, RFC 8709 4
 */
export function sshKeyOfSpki(spki: Buffer): string | undefined {
  const type = keyTypeOfSpki(spki);
  if (type === undefined) return undefined;
  const bits = expectTag(readSequence(spki)[1], derTags.bitString).contents.subarray(1);
  if (type === 'ed25519') return line('ssh-ed25519', [bits]);
  if (type === 'ecdsa-p256' || type === 'ecdsa-p384') {
    const curve = curves[type];
    return line(`ecdsa-sha2-${curve}`, [Buffer.from(curve), bits]);
  }
  const [modulus, exponent] = readSequence(bits);
  const [n, e] = [modulus, exponent].map((one) => expectTag(one, derTags.integer).contents);
  // DER and RFC 4251 5 mpint write positive integers alike.
  return n === undefined || e === undefined ? undefined : line('ssh-rsa', [e, n]);
}

function line(type: string, fields: readonly Buffer[]): string {
  const blob = Buffer.concat([Buffer.from(type), ...fields].map(withLength));
  return `${type} ${blob.toString('base64')}`;
}

function withLength(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The types of host keys that OpenSSH uses without being asked to, ssh(1) HostKeyAlgorithms. */
const hostKeyTypes: ReadonlySet<string> = new Set([
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'ssh-rsa',
]);
/** Octets; that of an RSA key of 16384 bits has 2071. */
const longestKey = 4096;

/**
 * The host keys among the lines of a text from outside, one of each type, as `TYPE BASE64`; everything else is left out,
 * and so is what follows a key.
 */
export function readHostKeys(text: string): readonly string[] {
  const keys = new Map<string, string>();
  for (const [, type = '', base64 = ''] of text.matchAll(/^(\S{1,30}) ([A-Za-z0-9+/]{40,}={0,2})(?= |\r?$)/gmu)) {
    const blob = Buffer.from(base64, 'base64');
    const begin = withLength(Buffer.from(type));
    const isKey = blob.length <= longestKey && blob.subarray(0, begin.length).equals(begin);
    if (hostKeyTypes.has(type) && isKey && blob.toString('base64') === base64 && !keys.has(type)) {
      keys.set(type, `${type} ${base64}`);
    }
  }
  return [...keys.values()];
}

/** As ssh-keygen -l prints it. */
export function sshFingerprint(key: string): string {
  const blob = Buffer.from(key.split(' ')[1] ?? '', 'base64');
  return `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/u, '')}`;
}
