// From what passphrase.recipients says to a public key: a file, or a key of the GnuPG keyring by fingerprint, key ID
// or address. An address that several keys claim is refused, never chosen for; a fingerprint is held to. What the keys
// are worth is judged in recipient-key.ts.

import { join, resolve } from 'node:path';
import { listSome, quote, quotePath, RelaycertsError, systemCode } from '../errors.js';
import type { Run } from '../sys/run.js';
import { exportPublicKey, listPublicKeys, type ListedKey } from './keyring.js';
import { readKeyIds, type KeyIds } from './packets.js';
import { readRecipientKeys, type RecipientKey } from './recipient-key.js';
import { pathWord } from '../shell-word.js';

export interface RecipientContext {
  /** The settings' folder, which relative paths start from. */
  readonly folder: string;
  /** The user's home, for `~/`. */
  readonly home: string;
  readonly at: Date;
  readonly run: Run;
  /** A whole file, links followed; rejects with Node's system error. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
}

/** What a recipient in the settings can be in the keyring. */
type Wanted =
  | { readonly kind: 'fingerprint' | 'key-id'; readonly hex: string }
  | { readonly kind: 'address'; readonly pattern: string; readonly address: string };

/**
 * The keys that one entry of passphrase.recipients stands for: one, or several where a file holds several.
 *
 * Their `warnings` hold what was noticed on the way too (an address that nobody vouches for, a short key ID).
 * @throws RelaycertsError `recipient` where there is no such key, more than one, or one that cannot be used; `tool`
 * where gpg is missing
 */
export async function findRecipient(recipient: string, context: RecipientContext): Promise<readonly RecipientKey[]> {
  const { path, bytes } = await readKeyFile(recipient, context);
  if (bytes !== undefined) return readRecipientKeys(bytes, { from: path, at: context.at });
  if (!recipient.includes('/')) return findInKeyring(recipient, context);
  throw new RelaycertsError('recipient', `the recipient's key file ${quotePath(path)} does not exist`, {
    hint: `gpg --export --armor FINGERPRINT > ${pathWord(path)}`,
  });
}

/**
 * The same keys by their IDs alone, for comparing: whether a key could be sealed to now is not judged, so that an
 * expired one is still itself. Subkeys of a key file are taken as they stand in it, their signatures unverified.
 * @throws RelaycertsError `recipient` where there is no such key or more than one, `tool` where gpg is missing
 */
export async function findRecipientIds(recipient: string, context: RecipientContext): Promise<readonly KeyIds[]> {
  const { bytes } = await readKeyFile(recipient, context);
  const found = bytes === undefined ? await findIdsInKeyring(recipient, context) : readKeyIds(bytes);
  if (found !== undefined) return found;
  // What is not told so cheaply is read whole, or refused with its reason.
  const keys = await findRecipient(recipient, context);
  return keys.map(({ fingerprint, keyId }) => ({ fingerprint, keyIds: [keyId] }));
}

async function findIdsInKeyring(recipient: string, { run }: RecipientContext): Promise<readonly KeyIds[] | undefined> {
  const wanted = parseWanted(recipient);
  if (wanted === undefined) return undefined;
  const listed = await listPublicKeys(run, patternOf(wanted));
  return new Set(listed.map(({ fingerprint }) => fingerprint)).size === 1 ? listed.slice(0, 1) : undefined;
}

async function readKeyFile(
  recipient: string,
  { home, folder, readFile }: RecipientContext,
): Promise<{ readonly path: string; readonly bytes: Uint8Array | undefined }> {
  const path = recipient.startsWith('~/') ? join(home, recipient.slice(2)) : resolve(folder, recipient);
  try {
    return { path, bytes: recipient === '' ? undefined : await readFile(path) };
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return { path, bytes: undefined };
    if (code === undefined) throw error;
    throw new RelaycertsError('recipient', `the recipient's key file ${quotePath(path)} cannot be read (${code})`, {
      hint: `ls -ld ${pathWord(path)}`,
      cause: error,
    });
  }
}

/**
 * One key of the GnuPG keyring, by fingerprint, key ID or address; never a file.
 * @throws RelaycertsError as findRecipient
 */
export async function findInKeyring(
  recipient: string,
  { run, at }: Pick<RecipientContext, 'run' | 'at'>,
): Promise<readonly RecipientKey[]> {
  const name = `recipient ${quote(recipient)}`;
  const refuse = (what: string, hint: string): RelaycertsError =>
    new RelaycertsError('recipient', `${name} ${what}`, { hint });
  const wanted = parseWanted(recipient);
  if (wanted === undefined) {
    throw refuse(
      'is neither a file beside the settings nor a fingerprint, a key ID or an address',
      'gpg --list-keys shows the fingerprints',
    );
  }
  const listed = await listPublicKeys(run, patternOf(wanted));
  const [only, ...others] = [...new Map(listed.map((key) => [key.fingerprint, key])).values()];
  if (only === undefined) {
    throw refuse('is not in the GnuPG keyring', 'gpg --import FILE, or give the path of its key file');
  }
  if (others.length > 0) {
    const matches = listSome([only, ...others].map((key) => describeMatch(key, at)));
    throw refuse(
      `matches ${others.length + 1} keys: ${matches}`,
      'put the fingerprint of the right one into passphrase.recipients',
    );
  }
  if (only.state === 'disabled')
    throw refuse('is disabled in the keyring', `gpg --edit-key ${only.fingerprint} enable`);
  const bytes = await exportPublicKey(run, only.fingerprint);
  if (bytes.length === 0) throw refuse('could not be exported from the keyring', `gpg --export ${only.fingerprint}`);
  const keys = await readRecipientKeys(bytes, { from: `GnuPG keyring, ${recipient}`, at });
  return keys.map((key) => {
    assertAsked(key, only, wanted, refuse);
    return { ...key, warnings: [...noticed(name, wanted, only), ...key.warnings] };
  });
}

function patternOf(wanted: Wanted): string {
  return wanted.kind === 'address' ? wanted.pattern : `0x${wanted.hex}`;
}

/** gpg finds substrings of user IDs too; only what names a key for certain is passed on. */
function parseWanted(recipient: string): Wanted | undefined {
  const hex = recipient.replaceAll(/\s/gu, '').replace(/^0x/iu, '').toUpperCase();
  if (/^[0-9A-F]+$/u.test(hex)) {
    if (hex.length === 40 || hex.length === 64) return { kind: 'fingerprint', hex };
    if (hex.length === 16 || hex.length === 8) return { kind: 'key-id', hex };
  }
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f]/u.test(recipient)) return undefined;
  const [, name = '', address = ''] = /^(?:(.*) )?<?([^\s<>@]+@[^\s<>@]+)>?$/u.exec(recipient) ?? [];
  if (address === '' || /[<>]/u.test(name)) return undefined;
  if (name !== '')
    return recipient === `${name} <${address}>` ? { kind: 'address', pattern: `=${recipient}`, address } : undefined;
  return recipient === address || recipient === `<${address}>`
    ? { kind: 'address', pattern: `<${address}>`, address }
    : undefined;
}

/**
 * What the settings named must be the key, or the very subkey, that will be encrypted to. To be any of its subkeys is
 * not enough: whoever makes a key can hang somebody else's subkey on it.
 */
function assertAsked(
  { fingerprint, encryptionFingerprint }: RecipientKey,
  listed: ListedKey,
  wanted: Wanted,
  refuse: (what: string, hint: string) => RelaycertsError,
): void {
  const isAsked =
    wanted.kind === 'address' || fingerprint.endsWith(wanted.hex) || encryptionFingerprint.endsWith(wanted.hex);
  if (!isAsked || fingerprint !== listed.fingerprint) {
    throw refuse(
      `is not the key that the keyring would encrypt to: ${fingerprint}`,
      'gpg --list-keys shows the fingerprints',
    );
  }
}

function noticed(name: string, wanted: Wanted, listed: ListedKey): readonly string[] {
  const pin = `put ${listed.fingerprint} into passphrase.recipients`;
  if (wanted.kind === 'key-id' && wanted.hex.length === 8) {
    return [`${name} is a short key ID, which can be forged: ${pin}`];
  }
  if (wanted.kind !== 'address') return [];
  // A certified user ID says nothing of the key's other ones, which its owner can add at will.
  const named = listed.userIds.filter(({ text }) => text.toLowerCase().includes(wanted.address.toLowerCase()));
  return !named.some(({ isTrusted }) => isTrusted)
    ? [`${name} is a key that nothing in the keyring vouches for: compare its fingerprint with its owner, then ${pin}`]
    : [];
}

function describeMatch({ fingerprint, userIds, expires, state }: ListedKey, at: Date): string {
  const userId = userIds[0] === undefined ? '' : ` ${quote(userIds[0].text)}`;
  const expiry =
    expires === undefined
      ? 'never expires'
      : `${expires <= at ? 'expired' : 'expires'} ${expires.toISOString().slice(0, 10)}`;
  return `${fingerprint}${userId} (${state === 'usable' || state === 'expired' ? expiry : state})`;
}
