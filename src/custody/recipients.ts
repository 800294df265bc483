// From an entry of passphrase.recipients to a public key: a file, or a key of the GnuPG keyring by fingerprint, key ID
// or address. An address that several keys claim is refused rather than guessed, and a fingerprint must be the key's
// own. recipient-key.ts judges whether a key can be used.

import { join, resolve } from 'node:path';
import { listSome, quote, quotePath, RelaycertsError, systemCode } from '../errors.js';
import { pathWord } from '../shell-word.js';
import type { Run } from '../sys/run.js';
import { exportPublicKey, listPublicKeys, type ListedKey } from './keyring.js';
import { readKeyIds, type KeyIds } from './packets.js';
import { readRecipientKeys, type RecipientKey } from './recipient-key.js';

/** What finding a recipient needs from outside. */
export interface RecipientContext {
  /** The settings' folder, the base of relative paths. */
  readonly folder: string;
  /** The user's home, for `~/`. */
  readonly home: string;
  readonly at: Date;
  /** Runs gpg. */
  readonly run: Run;
  /** Reads a whole file, following links; rejects with Node's system error. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
}

/** The kinds of entry for the keyring: the digits of a fingerprint or key ID, or an address. */
interface Wanted {
  /** The pattern to ask gpg for. */
  readonly pattern: string;
  readonly hex?: string;
  readonly address?: string;
}

/**
 * The keys that one entry of passphrase.recipients names: one, or several if it is a file that holds several.
 *
 * Their `warnings` include what was noticed during the search (an address that nobody vouches for, a short key ID).
 * @throws RelaycertsError `recipient` if there is no such key, more than one, or one that cannot be used; `tool` if gpg
 * is missing
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
 * The same keys by their IDs only, for comparison: whether a key can be used now is not judged, so an expired key is
 * still itself. The subkeys in a key file are taken as they are, with their signatures unverified.
 * @throws RelaycertsError `recipient` if there is no such key or more than one, `tool` if gpg is missing
 */
export async function findRecipientIds(recipient: string, context: RecipientContext): Promise<readonly KeyIds[]> {
  const { bytes } = await readKeyFile(recipient, context);
  const found = bytes === undefined ? await findIdsInKeyring(recipient, context) : readKeyIds(bytes);
  if (found !== undefined) return found;
  // Anything that this quick look cannot answer is read in full, or refused with its reason.
  const keys = await findRecipient(recipient, context);
  return keys.map(({ fingerprint, keyId }) => ({ fingerprint, keyIds: [keyId] }));
}

async function findIdsInKeyring(recipient: string, { run }: RecipientContext): Promise<readonly KeyIds[] | undefined> {
  const wanted = parseWanted(recipient);
  if (wanted === undefined) return undefined;
  const listed = await listPublicKeys(run, wanted.pattern);
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
  const lookUp = 'gpg --list-keys shows the fingerprints';
  if (wanted === undefined) {
    throw refuse('is neither a file beside the settings nor a fingerprint, a key ID or an address', lookUp);
  }
  const listed = await listPublicKeys(run, wanted.pattern);
  const [only, ...others] = [...new Map(listed.map((key) => [key.fingerprint, key])).values()];
  if (only === undefined) {
    throw refuse('is not in the GnuPG keyring', 'gpg --import FILE, or give the path of its key file');
  }
  if (others.length > 0) {
    const matches = listSome([only, ...others].map((key) => describeMatch(key, at)));
    const hint = 'put the fingerprint of the right one into passphrase.recipients';
    throw refuse(`matches ${others.length + 1} keys: ${matches}`, hint);
  }
  if (only.state === 'disabled') {
    throw refuse('is disabled in the keyring', `gpg --edit-key ${only.fingerprint} enable`);
  }
  const bytes = await exportPublicKey(run, only);
  if (bytes.length === 0) throw refuse('could not be exported from the keyring', `gpg --export ${only.fingerprint}`);
  const keys = await readRecipientKeys(bytes, { from: `GnuPG keyring, ${recipient}`, at });
  return keys.map((key) => {
    const { fingerprint, encryptionFingerprint } = key;
    // The key, or the very subkey that will be encrypted to, must be the one in the settings. Being any of its subkeys
    // is not enough: the maker of a key can attach somebody else's subkey to it.
    const isNamed = (hex: string): boolean => fingerprint.endsWith(hex) || encryptionFingerprint.endsWith(hex);
    if (fingerprint !== only.fingerprint || (wanted.hex !== undefined && !isNamed(wanted.hex))) {
      throw refuse(`is not the key that the keyring would encrypt to: ${fingerprint}`, lookUp);
    }
    return { ...key, warnings: [...warningsFor(name, wanted, only), ...key.warnings] };
  });
}

/** gpg also finds substrings of user IDs, so only an entry that names a key for certain becomes a pattern. */
function parseWanted(recipient: string): Wanted | undefined {
  const hex = recipient.replaceAll(/\s/gu, '').replace(/^0x/iu, '').toUpperCase();
  if (/^[0-9A-F]+$/u.test(hex) && [8, 16, 40, 64].includes(hex.length)) return { pattern: `0x${hex}`, hex };
  // eslint-disable-next-line no-control-regex -- control characters are what is refused
  if (/[\u0000-\u001f\u007f]/u.test(recipient)) return undefined;
  const [, name = '', address = ''] = /^(?:(.*) )?<?([^\s<>@]+@[^\s<>@]+)>?$/u.exec(recipient) ?? [];
  if (address === '' || /[<>]/u.test(name)) return undefined;
  const pattern = name === '' ? `<${address}>` : `=${recipient}`;
  const forms = name === '' ? [address, `<${address}>`] : [`${name} <${address}>`];
  return forms.includes(recipient) ? { pattern, address } : undefined;
}

function warningsFor(name: string, { hex, address }: Wanted, listed: ListedKey): readonly string[] {
  const pin = `put ${listed.fingerprint} into passphrase.recipients`;
  if (hex?.length === 8) return [`${name} is a short key ID, which can be forged: ${pin}`];
  if (address === undefined) return [];
  // A certified user ID says nothing about the key's other user IDs, which its owner can add freely.
  const named = listed.userIds.filter(({ text }) => text.toLowerCase().includes(address.toLowerCase()));
  if (named.some(({ isTrusted }) => isTrusted)) return [];
  const advice = `compare its fingerprint with its owner, then ${pin}`;
  return [`${name} is a key that nothing in the keyring vouches for: ${advice}`];
}

function describeMatch({ fingerprint, userIds, expires, state }: ListedKey, at: Date): string {
  const userId = userIds[0] === undefined ? '' : ` ${quote(userIds[0].text)}`;
  const day = expires?.toISOString().slice(0, 10);
  const expiry = expires === undefined ? 'never expires' : `${expires <= at ? 'expired' : 'expires'} ${day}`;
  return `${fingerprint}${userId} (${state === 'usable' || state === 'expired' ? expiry : state})`;
}
