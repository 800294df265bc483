// How long a leaf that is made now is valid: as the settings say, or until its CA ends. Pure. This is for words and
// decisions; issue/x509.ts cuts the certificate by itself.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { Settings } from '../settings/settings.js';

const day = 86_400_000;

/** Whole days; `ca` is the one that will sign, undefined where it is made with the leaf. */
export function leafDays({ ca, certificates }: Settings, signer: CertificateInfo | undefined, at: Date): number {
  const left = signer === undefined ? ca.validDays : daysLeft(signer, at);
  return Math.max(0, Math.min(certificates.validDays, left));
}

/** Whole days until a certificate ends; negative afterwards. */
export function daysLeft({ notAfter }: CertificateInfo, at: Date): number {
  return Math.floor((notAfter.getTime() - at.getTime()) / day);
}
