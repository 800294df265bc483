// The stage of a CA rekey, as its files show. Pure.
//
// There are three stages, and every host is installed after each: 1, the new CA is made, and every host trusts both; 2,
// the new CA signs every leaf; 3, the old CA is removed. Until then a leaf of either CA is valid.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { FoundCertificate, HostInventory, Inventory } from './inventory.js';

/** Every CA there is. */
export type Cas = Pick<Inventory, 'caCertificate' | 'nextCa' | 'formerCa'>;

/** The last completed stage; 0 if no rekey is in progress. */
export function caStageOf({ nextCa, formerCa }: Cas): 0 | 1 | 2 {
  return formerCa !== undefined ? 2 : nextCa !== undefined ? 1 : 0;
}

/** The command that extends the CA's validity; during a rekey that is the next stage. */
export function renewCaArgs(cas: Cas): readonly ['renew', ...string[]] {
  return caStageOf(cas) === 0 ? ['renew', '--ca'] : ['renew', '--ca', '--rekey'];
}

/** The CA that a leaf is checked against: the former one if it signed the leaf, otherwise the one that signs now. */
export function signerOf(
  leaf: CertificateInfo,
  inventory: Pick<Cas, 'caCertificate' | 'formerCa'>,
): FoundCertificate | undefined {
  const former = inventory.formerCa?.certificate;
  return former !== undefined && leaf.isSignedBy(former.info) ? former : inventory.caCertificate;
}

/** True if the former CA signed this host's certificate, so the second stage is not done for it. */
export function isOfFormerCa({ certificate, isRevoked }: HostInventory, inventory: Inventory): boolean {
  if (isRevoked || certificate === undefined || inventory.formerCa === undefined) return false;
  return certificate.info.isSignedBy(inventory.formerCa.certificate.info);
}

/** Every CA certificate that hosts trust, the oldest first. */
export function trustedCas({ formerCa, caCertificate, nextCa }: Cas): readonly FoundCertificate[] {
  return [formerCa?.certificate, caCertificate, nextCa?.certificate].filter((found) => found !== undefined);
}

/** The file with them in every bundle. */
export function trustedPem(cas: Cas): string {
  return trustedCas(cas)
    .map(({ info }) => info.pem)
    .join('');
}
