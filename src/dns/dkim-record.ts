// DKIM keys as DNS has them (RFC 6376 3.6.1, RFC 8463): the TXT value for a key of ours, and whether a value that was
// found publishes that key. Private keys are not seen here.

import type { HostName } from '../names.js';
import type { FoundDkimKey } from '../plan/dkim.js';
import { parseTags } from './tags.js';

/** One key of a domain; it is found by its selector. */
export interface DkimKey {
  readonly domain: HostName;
  /** `rcYYYYMM`. */
  readonly selector: string;
  /** SubjectPublicKeyInfo; of a retired key that nobody has any more, empty. */
  readonly publicKeyDer: Buffer;
  readonly keyType: 'rsa-2048' | 'ed25519';
  /**
   * `published-next`: its record comes first, then it signs. `active`: it signs, or mail that it signed may still be on its
   * way. `retired`: no mail needs it any more, and its record is revoked or removed.
   */
  readonly state: 'published-next' | 'active' | 'retired';
}

/** The key as its record knows it: a former one stays published like the one that signs. */
export function asRecord({ domain, selector, keyType, state, key }: FoundDkimKey): DkimKey {
  const published = state === 'next' ? 'published-next' : state === 'retired' ? 'retired' : 'active';
  return { domain, selector, keyType, state: published, publicKeyDer: key?.spki ?? Buffer.alloc(0) };
}

/** The name of a key's record. */
export function dkimRecordName({ domain, selector }: Pick<DkimKey, 'domain' | 'selector'>): string {
  return `${selector}._domainkey.${domain}`;
}

/** The octets of SubjectPublicKeyInfo before the 32 of an Ed25519 key (RFC 8410 4). */
const ed25519Prefix = 12;

/** The TXT value; of a retired key, its revocation. */
export function dkimRecordValue(key: Pick<DkimKey, 'publicKeyDer' | 'keyType' | 'state'>): string {
  const type = key.keyType === 'ed25519' ? 'ed25519' : 'rsa';
  return `v=DKIM1; k=${type}; p=${key.state === 'retired' ? '' : publishedKey(key).toString('base64')}`;
}

function publishedKey({ publicKeyDer, keyType }: Pick<DkimKey, 'publicKeyDer' | 'keyType'>): Buffer {
  return keyType === 'ed25519' ? publicKeyDer.subarray(ed25519Prefix) : publicKeyDer;
}

/**
 * What a TXT value says about a key: `ours`, `revoked`, `testing` (ours, but receivers treat the mail as unsigned),
 * `other` (another key), `foreign` (not a DKIM record), or the flaw for which receivers do not use it.
 */
export function judgeDkim(
  text: string,
  key: DkimKey,
): 'ours' | 'revoked' | 'testing' | 'other' | 'foreign' | { readonly flaw: string } {
  const parsed = parseTags(text);
  if ('flaw' in parsed) return /(?:^|;)\s*p\s*=/u.test(text) ? parsed : 'foreign';
  const { tags } = parsed;
  const published = tags.get('p');
  if (tags.has('v') && (tags.get('v') !== 'DKIM1' || [...tags.keys()][0] !== 'v')) return 'foreign';
  if (published === undefined) return tags.has('v') ? { flaw: 'it has no p=' } : 'foreign';
  const base64 = published.replaceAll(/[ \t\r\n]/gu, '');
  if (base64 === '') return 'revoked';
  if (!/^[A-Za-z0-9+/]+={0,2}$/u.test(base64)) return { flaw: 'p= is not base64' };
  const type = key.keyType === 'ed25519' ? 'ed25519' : 'rsa';
  const octets = Buffer.from(base64, 'base64');
  const isSame = publishedKey(key).equals(octets);
  const found = tags.get('k') ?? 'rsa';
  if (found !== type) return isSame ? { flaw: `k=${found}, and the key is ${type}` } : 'other';
  if (!isSame) {
    const isCut =
      octets.length > 32 &&
      publishedKey(key)
        .subarray(0, octets.length - 1)
        .equals(octets.subarray(0, -1));
    return isCut ? { flaw: 'p= ends in the middle of the key' } : 'other';
  }
  const hasWord = (tag: string, words: readonly string[]): boolean =>
    (tags.get(tag) ?? words[0] ?? '').split(':').some((word) => words.includes(word.trim()));
  if (!hasWord('h', ['sha256'])) return { flaw: 'h= does not allow sha256' };
  if (!hasWord('s', ['*', 'email'])) return { flaw: 's= does not allow email' };
  return (tags.get('t') ?? '').split(':').some((word) => word.trim() === 'y') ? 'testing' : 'ours';
}
