// The pins in a relay's table: one for each client in the settings, and two from a new key until the old one is
// retired. A revoked client has none. table.ts makes the table's text.

import type { CertificateInfo } from '../certificate/certificate.js';
import { fingerprintOf } from '../certificate/fingerprint.js';
import type { PinKind } from '../certificate/pin-kinds.js';
import type { Fingerprint, HostName } from '../names.js';
import type { CertifiedHost } from '../plan/inventory.js';
import type { Settings } from '../settings/settings.js';

/** One line of relay_clientcerts, SHA-256. A fleet has many, so it holds only whose it is. */
export class Pin {
  readonly hostname: HostName;
  readonly of: PinKind;
  /** True for the pin before a rekey, which stays until it is retired. */
  readonly isPrevious: boolean;
  readonly #info: CertificateInfo;

  constructor(hostname: HostName, info: CertificateInfo, of: PinKind, isPrevious: boolean) {
    this.hostname = hostname;
    this.#info = info;
    this.of = of;
    this.isPrevious = isPrevious;
  }

  get fingerprint(): Fingerprint {
    return fingerprintOf(this.#info, this.of, 'sha256');
  }

  /** The fingerprint of the other kind. */
  get other(): Fingerprint {
    return fingerprintOf(this.#info, this.of === 'certificate' ? 'public-key' : 'certificate', 'sha256');
  }

  get notAfter(): Date {
    return this.#info.notAfter;
  }
}

/**
 * The pins of all relays, for home. They are of public keys, whatever postfix.pin says: a relay's previous certificate is
 * not kept, so after its renewal mail would wait until home has the new pin.
 */
export function relayPinsOf({ hosts }: { readonly hosts: readonly Omit<CertifiedHost, 'keyPlace'>[] }): readonly Pin[] {
  return hosts.flatMap((found) => (found.host.role === 'smtpd-server' ? pinsOfHost(found, 'public-key') : []));
}

/** The pins of all clients that have a certificate and are not revoked, in the settings' order. */
export function* pinsOf(
  { postfix }: Settings,
  { hosts }: { readonly hosts: readonly Omit<CertifiedHost, 'keyPlace'>[] },
): Generator<Pin, undefined> {
  for (const found of hosts) if (found.host.role === 'smtp-client') yield* pinsOfHost(found, postfix.pin);
  return undefined;
}

function pinsOfHost(
  { host: { hostname }, certificate, previous, isRevoked }: Omit<CertifiedHost, 'keyPlace'>,
  of: PinKind,
): readonly Pin[] {
  if (certificate === undefined || isRevoked) return [];
  const pin = new Pin(hostname, certificate.info, of, false);
  const before = previous === undefined ? undefined : new Pin(hostname, previous.info, of, true);
  return before === undefined || before.fingerprint === pin.fingerprint ? [pin] : [pin, before];
}
