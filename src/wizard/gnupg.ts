// GnuPG's secret keys, as choices for a question: a line for each, and why a key cannot be chosen. It runs gpg to list
// them, and never creates a GnuPG home.

import { RelaycertsError } from '../errors.js';
import { lookAt } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import type { Run } from '../sys/run.js';
import { listSecretKeys, type ListedKey } from '../custody/keyring.js';

/** One option of a question; one with a reason is shown but cannot be chosen. */
export interface Option {
  readonly value: string;
  readonly label: string;
  readonly reason?: string | undefined;
}

/** GnuPG's secret keys (their values are fingerprints), or why none can be used. */
export interface SecretKeys {
  readonly keys: readonly Option[];
  readonly problem: string | undefined;
}

/** Lists the secret keys of GnuPG; if that fails, the reason is in `problem`. */
export async function readSecretKeys(sys: Pick<Sys, 'run' | 'now'>): Promise<SecretKeys> {
  try {
    const listed = await listSecretKeys(await gentleRun(sys.run));
    const keys = listed.map((key) => keyOption(key, sys.now()));
    if (keys.length === 0) return { keys, problem: 'GnuPG has no secret key here' };
    if (keys.some(({ reason }) => reason === undefined)) return { keys, problem: undefined };
    const reasons = keys.map(({ label, reason }) => `${label}: ${reason ?? ''}`);
    return { keys, problem: `none can be used: ${reasons.slice(0, 3).join('; ')}` };
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    return { keys: [], problem: error.message };
  }
}

/**
 * Runs programs as `run` does, but without a GnuPG home it does not run gpg, which would make one: a question that is
 * not answered yet must leave nothing behind. The result is gpg's for an empty keyring.
 * @source GnuPG doc/DETAILS, ERROR: GPG_ERR_NO_PUBKEY is 9
 */
export async function gentleRun(run: Run): Promise<Run> {
  if (await hasGnupgHome(run)) return run;
  const nothing = { status: 2, stdout: Buffer.alloc(0), stderr: '', statusText: '[GNUPG:] ERROR keylist.getkey 9\n' };
  return (command, args, options) => (command === 'gpg' ? Promise.resolve(nothing) : run(command, args, options));
}

async function hasGnupgHome(run: Run): Promise<boolean> {
  try {
    const { status, stdout } = await run('gpgconf', ['--list-dirs', 'homedir'], {});
    const path = decodeURIComponent(stdout.toString().trim());
    return status !== 0 || path === '' || lookAt(path) !== undefined;
  } catch {
    return true;
  }
}

/** One key as an option: its owner, the key's last 16 digits, its type and its expiry. */
export function keyOption(key: ListedKey, at: Date): Option {
  const { fingerprint, userIds, algorithm, isOnCard } = key;
  const expires = key.expires === undefined ? 'never expires' : `until ${key.expires.toISOString().slice(0, 10)}`;
  // A user ID is untrusted text: nothing in it may move the cursor or reverse the line.
  const owner = (userIds[0]?.text ?? 'no name').replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, '?').slice(0, 100);
  const label = `${owner} ${fingerprint.slice(-16)} (${algorithm}, ${expires}${isOnCard ? ', on a card' : ''})`;
  return { value: fingerprint, label, reason: reasonAgainst(key, at) };
}

function reasonAgainst({ state, expires, canEncrypt }: ListedKey, at: Date): string | undefined {
  if (state === 'expired' || (expires !== undefined && expires <= at)) return 'expired';
  if (state !== 'usable') return state;
  return canEncrypt ? undefined : 'cannot encrypt';
}
