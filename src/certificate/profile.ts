// The certificate profiles as data: the contents of CA, smtpd-server and smtp-client certificates. issue/x509.ts builds
// from it and certificate/verify.ts judges by it. Names, dates and keys are not here.

import type { Role } from '../settings/settings.js';

/** RFC 5280 4.2.1.3, in the order of the bits. */
export const keyUsageBits = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsageBit = (typeof keyUsageBits)[number];

export interface Profile {
  /** basicConstraints, always critical. */
  readonly isCa: boolean;
  readonly pathLength: number | undefined;
  /** keyUsage, always critical. */
  readonly keyUsage: readonly KeyUsageBit[];
  /** Added if the certificate's own key is RSA, for the RSA key exchange of TLS 1.2. */
  readonly rsaKeyUsage: readonly KeyUsageBit[];
  /** extKeyUsage OIDs; empty means without the extension (OpenSSL applies a root's to its leaves). */
  readonly extendedKeyUsage: readonly string[];
}

/** RFC 5280 4.2.1.12 id-kp-serverAuth. */
export const serverAuth = '1.3.6.1.5.5.7.3.1';
/** RFC 5280 4.2.1.12 id-kp-clientAuth. */
export const clientAuth = '1.3.6.1.5.5.7.3.2';

const leaf = { isCa: false, pathLength: undefined, keyUsage: ['digitalSignature'] } as const;

/** A host with both purposes takes mail and hands it on (settings.inbound); any other has only its role's. */
export type ProfileName = 'ca' | Role | 'both';

export const profiles: Readonly<Record<ProfileName, Profile>> = {
  ca: { isCa: true, pathLength: 0, keyUsage: ['keyCertSign', 'cRLSign'], rsaKeyUsage: [], extendedKeyUsage: [] },
  'smtpd-server': { ...leaf, rsaKeyUsage: ['keyEncipherment'], extendedKeyUsage: [serverAuth] },
  'smtp-client': { ...leaf, rsaKeyUsage: [], extendedKeyUsage: [clientAuth] },
  both: { ...leaf, rsaKeyUsage: ['keyEncipherment'], extendedKeyUsage: [serverAuth, clientAuth] },
};

/** The profile of a host's certificate. */
export function profileNameOf({ role, isInbound }: { readonly role: Role; readonly isInbound: boolean }): ProfileName {
  return isInbound ? 'both' : role;
}

/** X.520 ub-common-name, in characters: a leaf omits a longer commonName, a CA may not have one. */
export const maxCommonNameLength = 64;
