// How far a rekey of the CA is, from what lies there alone. Pure.
//
// Its stages, each with its own installation of every host: 1, the new CA is made, and every host trusts both; 2, it signs,
// and every leaf is its; 3, the old one goes. A leaf of either CA is right in between.

import { isSignedBy } from '../certificate/verify.js';
import type { CertificateInfo } from '../certificate/certificate.js';
import type { FoundCertificate, HostInventory, Inventory } from './inventory.js';

/** Every CA that is there. */
export type Cas = Pick<Inventory, 'caCertificate' | 'nextCa' | 'formerCa'>;

/** The stage that was reached; 0 where no rekey is under way. */
export function caStageOf({ nextCa, formerCa }: Cas): 0 | 1 | 2 {
  return formerCa !== undefined ? 2 : nextCa !== undefined ? 1 : 0;
}

/** What gives the CA a later end: while it gets a new key, the next stage to that, and nothing else is done. */
export function renewCaWords(cas: Cas): string {
  return caStageOf(cas) === 0 ? 'renew --ca' : 'renew --ca --rekey';
}

/** The CA that a leaf is held against: the former one where that signed it, otherwise the one that signs now. */
export function signerOf(
  leaf: CertificateInfo,
  inventory: Pick<Cas, 'caCertificate' | 'formerCa'>,
): FoundCertificate | undefined {
  const former = inventory.formerCa?.certificate;
  return former !== undefined && isSignedBy(leaf, former.info) ? former : inventory.caCertificate;
}

/** True where the second stage has not come to this host's certificate yet. */
export function isOfFormerCa({ certificate, isRevoked }: HostInventory, inventory: Inventory): boolean {
  if (isRevoked || certificate === undefined || inventory.formerCa === undefined) return false;
  return isSignedBy(certificate.info, inventory.formerCa.certificate.info);
}

/** Every certificate that hosts trust as a CA's, the old one first. */
export function trustedCas({ formerCa, caCertificate, nextCa }: Cas): readonly FoundCertificate[] {
  return [formerCa?.certificate, caCertificate, nextCa?.certificate].filter((found) => found !== undefined);
}
