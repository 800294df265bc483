// That the CA's passphrase and keys were opened and fit together, so that an unchanged project is not opened again by every
// status and make: SHA-256 over all that the answer follows from, in a file of this user's own, named by the CA. There is
// nothing secret in it. Whoever removes it loses a tenth of a second; a file that differs in one bit is proven again.

import { createHash, hash } from 'node:crypto';
import type { Inventory } from '../plan/inventory.js';
import { readNote, writeNote, type NoteKeeper } from '../sys/notes.js';

/** What a note says, and which one it is. */
export interface Proof {
  readonly name: string;
  readonly digest: string;
}

/** Counted up if what is judged changes, so that an older version's note is not believed. */
const judgement = 'relaycerts custody 1';

/**
 * What the operator key's opening of this state would prove; undefined if it cannot open it. GnuPG's answer is never noted:
 * its keyring, its agent and its cards change unseen.
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
    // With its length, so that no octet can belong to another file.
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
