// The pins in a relay's table: one for each client in the settings, and two from a new key until the old one is
// retired. A revoked client has none. table.ts makes the table's text.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import type { PinKind } from '../certificate/pin-kinds.js';
import type { Fingerprint, HostName } from '../names.js';
import type { CertifiedHost } from '../plan/inventory.js';
import type { Settings } from '../settings/settings.js';

/** One line of relay_clientcerts, SHA-256. */
export interface Pin {
  readonly hostname: HostName;
  readonly of: PinKind;
  readonly fingerprint: Fingerprint;
  /** The fingerprint of the other kind. */
  readonly other: Fingerprint;
  readonly notAfter: Date;
  /** True for the pin from before a rekey, which stays until it is retired. */
  readonly isPrevious: boolean;
}

/** The pins of all clients that have a certificate and are not revoked, in the settings' order. */
export function pinsOf(
  { postfix }: Settings,
  { hosts }: { readonly hosts: readonly Omit<CertifiedHost, 'keyPlace'>[] },
): readonly Pin[] {
  return hosts.flatMap(({ host: { role, hostname }, certificate, previous, isRevoked }) => {
    if (role !== 'smtp-client' || certificate === undefined || isRevoked) return [];
    const pin = pinOf(hostname, certificate.info, postfix.pin, false);
    const before = previous === undefined ? undefined : pinOf(hostname, previous.info, postfix.pin, true);
    return before === undefined || before.fingerprint === pin.fingerprint ? [pin] : [pin, before];
  });
}

function pinOf(hostname: HostName, info: CertificateInfo, of: PinKind, isPrevious: boolean): Pin {
  return {
    hostname,
    of,
    fingerprint: fingerprintOf(info, of, 'sha256'),
    get other() {
      return fingerprintOf(info, of === 'certificate' ? 'public-key' : 'certificate', 'sha256');
    },
    notAfter: info.notAfter,
    isPrevious,
  };
}
