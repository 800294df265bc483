// How long a leaf made now is valid: as in the settings, or until its CA ends. Pure. This is for messages and
// decisions; issue/x509.ts shortens the certificate by itself.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { Settings } from '../settings/settings.js';

const day = 86_400_000;

/** Whole days; `ca` is the CA that will sign, undefined if it is made together with the leaf. */
export function leafDays({ ca, certificates }: Settings, signer: CertificateInfo | undefined, at: Date): number {
  const left = signer === undefined ? ca.validDays : daysLeft(signer, at);
  return Math.max(0, Math.min(certificates.validDays, left));
}

/** Whole days until a certificate ends, to compare with a limit; negative as soon as it has ended. */
export function daysLeft({ notAfter }: CertificateInfo, at: Date): number {
  return Math.floor((notAfter.getTime() - at.getTime()) / day);
}

/** Whole days until a certificate ends, to be printed; after that, minus the whole days since. */
export function daysFromEnd({ notAfter }: CertificateInfo, at: Date): number {
  // Without a zero that is negative.
  return Math.trunc((notAfter.getTime() - at.getTime()) / day) + 0;
}

/** True if a new certificate of this CA would not end later. */
export function endsWithCa(leaf: CertificateInfo, ca: CertificateInfo): boolean {
  return ca.notAfter <= leaf.notAfter;
}

/** True if a certificate has begun and not ended. */
export function isValidAt({ notBefore, notAfter }: CertificateInfo, at: Date): boolean {
  return notBefore <= at && at < notAfter;
}
