// The TXT record of a DKIM key, RFC 6376 3.6.1 and RFC 8463 4: its name and its value, from the public key. How a value
// is cut into strings of 255 octets is for the format that prints it.

import type { HostName } from '../names.js';

/** A key as its record knows it. */
export interface DkimKey {
  readonly domain: HostName;
  readonly selector: string;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKeyDer: Buffer;
  readonly keyType: 'rsa-2048' | 'ed25519';
  /** A retired key's record has an empty p=: what it signed is no longer valid. */
  readonly state: 'published-next' | 'active' | 'retired';
}

/** The octets of an Ed25519 SubjectPublicKeyInfo before the key itself (RFC 8410 4). */
const ed25519Header = 12;

/** The name of its record. */
export function dkimRecordName({ domain, selector }: Pick<DkimKey, 'domain' | 'selector'>): string {
  return `${selector}._domainkey.${domain}`;
}

/** Its value, as one string. */
export function dkimRecordValue({ keyType, publicKeyDer, state }: DkimKey): string {
  const type = keyType === 'ed25519' ? 'ed25519' : 'rsa';
  const bits = keyType === 'ed25519' ? publicKeyDer.subarray(ed25519Header) : publicKeyDer;
  return `v=DKIM1; k=${type}; p=${state === 'retired' ? '' : bits.toString('base64')}`;
}
