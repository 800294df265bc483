// The keys that GnuPG knows: listed as data (from its colon listings) and exported. Nothing here decides whether a key
// can be used; recipient-key.ts does.

import type { Run } from '../sys/run.js';
import { gpgFailed, runGpg } from './gpg.js';
import { errorNumber } from './gpg-status.js';

/** A key as `gpg --with-colons` lists it; dates are undefined if the key has none. */
export interface ListedKey {
  /** The primary key's, upper-case hex. */
  readonly fingerprint: string;
  readonly userIds: readonly { readonly text: string; readonly isTrusted: boolean }[];
  /** `rsa3072`, `ed25519`, `nistp256`... of the primary key. */
  readonly algorithm: string;
  readonly created: Date | undefined;
  readonly expires: Date | undefined;
  readonly state: 'usable' | 'expired' | 'revoked' | 'disabled' | 'invalid';
  /** Has a valid encryption key (and, if listed as a secret key, its secret part is here or on a card). */
  readonly canEncrypt: boolean;
  /**
   * The key IDs of the primary key and all subkeys; in a list of secret keys, only those with their secret part here.
   */
  readonly keyIds: readonly string[];
  /** A secret part of it is on a smartcard. */
  readonly isOnCard: boolean;
}

/**
 * The keys of the GnuPG keyring that match `pattern`; none if nothing matches.
 * @throws RelaycertsError `tool`
 * @source gpg(1), HOW TO SPECIFY A USER ID
 */
export async function listPublicKeys(run: Run, pattern: string): Promise<readonly ListedKey[]> {
  return listKeys(run, ['--list-keys', '--', pattern]);
}

/**
 * The secret keys that GnuPG has, on disk or on cards; with `keyIds`, only the keys that have one of them.
 * @throws RelaycertsError `tool`
 */
export async function listSecretKeys(run: Run, keyIds: readonly string[] = []): Promise<readonly ListedKey[]> {
  return listKeys(run, ['--list-secret-keys', '--', ...keyIds.map((id) => `0x${id}`)]);
}

/**
 * A binary public key without other people's signatures; empty if there is none. If the key cannot encrypt, everything
 * is exported, because a minimal export leaves out expired subkeys, which are the reason.
 * @throws RelaycertsError `tool`
 */
export async function exportPublicKey(
  run: Run,
  { fingerprint, canEncrypt }: Pick<ListedKey, 'fingerprint' | 'canEncrypt'>,
): Promise<Uint8Array> {
  const minimal = canEncrypt ? ['--export-options', 'export-minimal'] : [];
  const args = ['--batch', '--no-tty', ...minimal, '--export', '--', fingerprint];
  const result = await runGpg(run, args, { env: { LC_ALL: 'C' } });
  if (result.exitStatus !== 0) throw gpgFailed('gpg --export', result);
  return result.stdout;
}

async function listKeys(run: Run, command: readonly [string, ...string[]]): Promise<readonly ListedKey[]> {
  const args = ['--batch', '--no-tty', '--utf8-strings', '--with-colons', ...command];
  const result = await runGpg(run, args, { env: { LC_ALL: 'C' } });
  // GPG_ERR_NO_PUBKEY and GPG_ERR_NO_SECKEY: nothing matches, which is a valid answer.
  const isNoMatch = result.status.some(
    ({ word, fields }) =>
      word === 'ERROR' && fields[0] === 'keylist.getkey' && [9, 17].includes(errorNumber(fields[1])),
  );
  if (result.exitStatus !== 0 && !isNoMatch) throw gpgFailed(`gpg ${command[0]}`, result);
  return parseColons(new TextDecoder().decode(result.stdout));
}

/** GnuPG's doc/DETAILS, "Format of the colon listings", whose fields count from 1. A key without a fingerprint is left out. */
function parseColons(text: string): readonly ListedKey[] {
  const keys: string[][][] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(':');
    if (fields[0] === 'pub' || fields[0] === 'sec') keys.push([fields]);
    else keys.at(-1)?.push(fields);
  }
  return keys.flatMap((records) => {
    const fingerprint = records.find(([type]) => type === 'fpr')?.[9] ?? '';
    if (!/^[0-9A-F]{32,64}$/u.test(fingerprint)) return [];
    const primary = records[0] ?? [];
    const isSecret = primary[0] === 'sec';
    const keyRecords = records.filter(([type]) => type === 'pub' || type === 'sub' || type === 'sec' || type === 'ssb');
    const here = isSecret ? keyRecords.filter(hasSecret) : keyRecords;
    const key: ListedKey = {
      fingerprint,
      userIds: records
        .filter(([type, validity]) => type === 'uid' && validity !== 'r')
        .map((fields) => ({ text: unescapeField(fields[9] ?? ''), isTrusted: /^[ufm]/u.test(fields[1] ?? '') })),
      algorithm: nameAlgorithm(primary),
      created: parseDate(primary[5]),
      expires: parseDate(primary[6]),
      state: stateOf(primary),
      canEncrypt: (primary[11] ?? '').includes('E') && here.some(isEncryptionKey),
      keyIds: here.map((fields) => fields[4] ?? ''),
      isOnCard: isSecret && keyRecords.some((fields) => /^[0-9A-F]{8,}$/u.test(fields[14] ?? '')),
    };
    return [key];
  });
}

function stateOf(primary: readonly string[]): ListedKey['state'] {
  if ((primary[11] ?? '').includes('D')) return 'disabled';
  if (primary[1] === 'r') return 'revoked';
  if (primary[1] === 'e') return 'expired';
  return primary[1] === 'i' ? 'invalid' : 'usable';
}

/** Field 12 has the capabilities, field 2 whether the key is revoked, expired, disabled or invalid. */
function isEncryptionKey(fields: readonly string[]): boolean {
  return (fields[11] ?? '').includes('e') && !/^[redi]/u.test(fields[1] ?? '');
}

/** `+` if the secret is here, a card's serial number if it is on that card, `#` for a stub whose secret is elsewhere. */
function hasSecret(fields: readonly string[]): boolean {
  const token = fields[14] ?? '';
  return token !== '' && token !== '#';
}

/** RFC 9580 9.1: algorithm numbers; the listing has curve names. */
function nameAlgorithm(fields: readonly string[]): string {
  const bits = fields[2] ?? '';
  const names: Readonly<Record<string, string>> = { 1: `rsa${bits}`, 16: `elg${bits}`, 17: `dsa${bits}` };
  const number = fields[3] ?? '';
  const name = fields[16] || (Object.hasOwn(names, number) ? names[number] : undefined);
  return name !== undefined && /^\w{1,40}$/u.test(name) ? name : `algorithm ${/^\d{1,5}$/u.exec(number)?.[0] ?? '?'}`;
}

/** Seconds since 1970, or (a field with a `T`) ISO 8601 basic format. */
function parseDate(field: string | undefined): Date | undefined {
  if (field === undefined || field === '') return undefined;
  const iso = field.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)$/u, '$1-$2-$3T$4:$5:$6Z');
  const date = new Date(field.includes('T') ? iso : Number(field) * 1000);
  return Number.isNaN(date.getTime()) ? undefined : date;
}

function unescapeField(field: string): string {
  return field.replaceAll(/\\x([0-9a-f]{2})/giu, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
