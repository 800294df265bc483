// Whether the CA's passphrase can be opened when it is needed: it is opened now, if that needs no question, and the
// CA's keys with it, unless the very same files were opened before. `status` and `make` thus report today what the next
// renewal would report.

import { openFileUnasked, openPassphraseFile, type CustodyWork } from '../custody/passphrase-file.js';
import { isWeak } from '../custody/passphrase.js';
import type { Unasked } from '../custody/open.js';
import { quotePath, RelaycertsError, restoreHint, type Problem } from '../errors.js';
import type { Inventory, Opening } from '../plan/inventory.js';
import { missingPassphrase } from '../plan/warnings.js';
import type { Secret } from '../secret.js';
import { shellWord } from '../shell-word.js';
import { keptPassphrases } from '../store/kept-passphrases.js';
import { isProven, noteProven, custodyProofOf } from '../store/proven.js';
import { readFile } from '../sys/files.js';
import { checkCaKey, openCaKey } from './ca-key.js';

type CaWork = CustodyWork & { readonly inventory: Inventory };

/** How to get the passphrase: as it was given, with questions if needed, or without asking. */
export type Way = { readonly given: Secret } | 'asking' | 'unasked';

/** Undefined if there is no CA key to open, or a file of custody could not be read and is already a problem. */
export async function judgeOpening(work: CaWork, way: Way): Promise<Opening | undefined> {
  const { settings, inventory, sys } = work;
  const { caKey, passphraseFile, problems } = inventory;
  if (caKey === undefined) return undefined;
  const isGiven = typeof way === 'object';
  if (passphraseFile === undefined && !isGiven) {
    return problems.length > 0 ? undefined : { kind: 'missing', problem: missingPassphrase(settings) };
  }
  const proof = way === 'unasked' ? custodyProofOf(inventory) : undefined;
  if (proof !== undefined && isProven(proof, sys)) return { kind: 'opened', isWeak: false };
  try {
    for (const ca of casOf(inventory)) checkCaKey(ca);
    const opened = isGiven ? { passphrase: way.given, opener: undefined } : await openFile(work, way);
    if (!('passphrase' in opened)) return { kind: 'unasked', asksFor: opened.asksFor };
    const { passphrase } = opened;
    try {
      for (const ca of casOf(inventory)) await openCaKey(settings, ca, passphrase);
    } catch (error) {
      if (!isRelaycertsError(error) || error.code !== 'passphrase' || isGiven) throw error;
      return { kind: 'unopenable', problem: await explainWrongFile(work) };
    }
    const opening = { kind: 'opened', isWeak: isWeak(passphrase) } as const;
    if (proof !== undefined && opened.opener === 'operator-key' && !opening.isWeak) await noteProven(proof, sys);
    return opening;
  } catch (error) {
    if (!isRelaycertsError(error) || error.code === 'interrupted') throw error;
    return { kind: 'unopenable', problem: { message: error.message, hint: error.hint } };
  }
}

/** True if the passphrase cannot be opened, even if somebody is asked. */
export function isShut(opening: Opening | undefined): boolean {
  return opening?.kind === 'missing' || opening?.kind === 'unopenable';
}

async function openFile(work: CaWork, way: 'asking' | 'unasked'): Promise<Unasked> {
  if (way === 'unasked') return openFileUnasked(work);
  return { passphrase: await openPassphraseFile(work), opener: undefined };
}

type Ca = Pick<Inventory, 'caKeyPath' | 'caCertificate'> & { readonly caKey: Buffer };

/** The CA that signs, and the next one. */
function casOf({ caKey, caKeyPath, caCertificate, nextCa }: Inventory): readonly Ca[] {
  const present = caKey === undefined ? [] : [{ caKey, caKeyPath, caCertificate }];
  if (nextCa?.key === undefined) return present;
  return [...present, { caKey: nextCa.key, caKeyPath: nextCa.keyPath, caCertificate: nextCa.certificate }];
}

/** It opens, but not this CA's key. An older file kept beside it may be the right one. */
async function explainWrongFile(work: CaWork): Promise<Problem> {
  const { settings, inventory } = work;
  const { caKeyPath, passphrasePath } = inventory;
  const aside = `mv ${shellWord(passphrasePath)} ${shellWord(`${passphrasePath}.other`)} &&`;
  const message = `the passphrase in ${quotePath(settings.passphrase.file)} does not open the CA's key ${quotePath(caKeyPath)}: it belongs to another project or an older state, or the key is damaged`;
  for (const path of await keptPassphrases(passphrasePath)) {
    if (await opensCa(work, path)) {
      const hint = `${quotePath(path)} does: ${aside} cp -p ${shellWord(path)} ${shellWord(passphrasePath)}`;
      return { message, hint };
    }
  }
  return { message, hint: restoreHint(passphrasePath, `${aside} `) };
}

async function opensCa(work: CaWork, path: string): Promise<boolean> {
  try {
    const passphraseFile = readFile(path, { followLink: true });
    const opened = await openFileUnasked({ ...work, inventory: { ...work.inventory, passphraseFile } });
    if (!('passphrase' in opened)) return false;
    for (const ca of casOf(work.inventory)) await openCaKey(work.settings, ca, opened.passphrase);
    return true;
  } catch (error) {
    if (!isRelaycertsError(error)) throw error;
    return false;
  }
}

function isRelaycertsError(error: unknown): error is RelaycertsError {
  return error instanceof RelaycertsError;
}
