// A note that the CA's passphrase and keys were opened and match, so that an unchanged project is not opened again by
// every status and make: SHA-256 over everything the answer depends on, in a file of this user, named by the CA. It
// contains no secret. Removing it costs a tenth of a second; if one bit of a file differs, the proof is repeated.

import { createHash, hash } from 'node:crypto';
import type { Inventory } from '../plan/inventory.js';
import { readNote, writeNote, type NoteKeeper } from '../sys/notes.js';

/** The text of a note, and its name. */
export interface Proof {
  readonly name: string;
  readonly digest: string;
}

/** Incremented if what is judged changes, so that an older version's note is not believed. */
const judgement = 'relaycerts custody 1';

/**
 * What opening this state with the operator key would prove; undefined if it cannot open it. GnuPG's answer is never
 * noted: its keyring, agent and cards change unseen.
 */
export function custodyProofOf({
  passphraseFile,
  operatorKey,
  caKey,
  caCertificate,
  nextCa,
}: Pick<Inventory, 'passphraseFile' | 'operatorKey' | 'caKey' | 'caCertificate' | 'nextCa'>): Proof | undefined {
  if (operatorKey === undefined || caCertificate === undefined) return undefined;
  const digest = createHash('sha256').update(judgement);
  const cas = [caKey, caCertificate.info.der, nextCa?.key, nextCa?.certificate.info.der];
  for (const bytes of [passphraseFile, operatorKey, ...cas]) {
    // With its length, so that no octet can be counted as part of another file.
    digest.update(` ${bytes?.length ?? 'none'} `).update(bytes ?? '');
  }
  return { name: `${hash('sha256', caCertificate.info.spki).slice(0, 32)}.opened`, digest: digest.digest('hex') };
}

export function isProven({ name, digest }: Proof, keeper: NoteKeeper): boolean {
  return readNote(name, digest.length, keeper)?.toString('latin1') === digest;
}

export async function noteProven({ name, digest }: Proof, keeper: NoteKeeper): Promise<void> {
  await writeNote(name, digest, keeper);
}
