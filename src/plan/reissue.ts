// Which hosts get another certificate for the same key from `make`, because the settings ask for other names or because
// its contents are not right; and what must come first. Pure. The key stays, so with postfix.pin public-key the pin
// does too; if the certificate is pinned, the old pin stays listed as after a renewal.

import type { CertificateInfo } from '../certificate/certificate.js';
import { checkContents, isPermitted, type CertificateFinding } from '../certificate/verify.js';
import { listSome, quote, type Command } from '../errors.js';
import type { HostName } from '../names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { isOfFormerCa, renewCaArgs, signerOf } from './ca-rekey.js';
import type { HostInventory, Inventory } from './inventory.js';
import { isBlocked, stillListed } from './retirement.js';

/** A host that gets no certificate now, and what must come first. */
export interface Held {
  readonly hostname: HostName;
  readonly message: string;
  readonly hint: Command;
}

/**
 * True for a finding that another certificate for the same key fixes. Names are fixed only if the host's own is among
 * the old ones: otherwise the file is in the wrong place, and its key may be another host's.
 */
export function isCuredByMake(
  { code }: CertificateFinding,
  info: CertificateInfo,
  { hostname }: HostSettings,
): boolean {
  if (code === 'wrong-name') {
    return info.dnsNames.length === 0 ? info.commonName === hostname : info.dnsNames.includes(hostname);
  }
  return ['wrong-purpose', 'outlives-ca', 'weak-signature', 'names-ca-serial'].includes(code);
}

/** What `make` fixes in a host's certificate; empty if it leaves the certificate unchanged. */
export function curedByMake(
  { host, certificate, isRevoked }: HostInventory,
  inventory: Inventory,
): readonly CertificateFinding[] {
  const signer = certificate && signerOf(certificate.info, inventory);
  if (isRevoked || certificate === undefined || signer === undefined) return [];
  const { info } = certificate;
  return checkContents(info, signer.info, host).filter((finding) => isCuredByMake(finding, info, host));
}

/** True if `make` issues a certificate for this host, unless it is held. */
export function isForMake(found: HostInventory, inventory: Inventory): boolean {
  if (found.isRevoked) return false;
  return found.certificate === undefined || isOfFormerCa(found, inventory) || curedByMake(found, inventory).length > 0;
}

/** Why this host can get no certificate now; undefined if it can. */
export function heldBack(settings: Settings, inventory: Inventory, found: HostInventory): Held | undefined {
  const { hostname } = found.host;
  if (isBlocked(found, settings)) {
    const { message, hint } = stillListed(settings, found.host);
    return { hostname, message, hint };
  }
  return outsideOf(inventory, found);
}

/** The CA may not sign for one of the host's names. In the settings the name is within ca.permittedDomains. */
export function outsideOf(inventory: Inventory, { host, isRevoked }: HostInventory): Held | undefined {
  const { hostname, altNames } = host;
  const permitted = inventory.caCertificate?.info.permittedDomains;
  const outside = [hostname, ...altNames].filter((name) => !isPermitted(name, permitted));
  if (outside.length === 0 || isRevoked) return undefined;
  const names = listSome(outside.map((name) => quote(name)));
  const message = `${hostname} waits for a CA certificate that permits ${names}: the present one permits ${(permitted ?? []).join(', ')}`;
  const after = ', then install every host, then make again';
  return { hostname, message, hint: { run: renewCaArgs(inventory), after } };
}
