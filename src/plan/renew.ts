// Decides which certificates are renewed. Pure. A new certificate for the same key keeps the key's pin, so relays need
// no update first.

import type { CertificateInfo } from '../certificate/certificate.js';
import type { HostName } from '../names.js';
import type { Settings } from '../settings/settings.js';
import { CertificateStep } from './host-step.js';
import type { HostInventory } from './inventory.js';
import { daysLeft, endsWithCa, leafDays } from './leaf-days.js';
import { isBlocked } from './retirement.js';

export interface Renewals {
  readonly steps: readonly CertificateStep[];
  /** Hosts named on the command line that are not due. */
  readonly notDue: readonly { readonly hostname: HostName; readonly daysLeft: number }[];
  /** Due, but a new certificate would end at the same time, because the CA ends then. */
  readonly capped: readonly HostName[];
  /** Due, but an old pin has to be retired first. */
  readonly blocked: readonly HostName[];
}

/**
 * The renewals of these hosts: those that are due, or all of them with `force`. Each has a certificate; `ca` is the one
 * that signs.
 */
export function planRenewals(
  hosts: readonly HostInventory[],
  at: Date,
  { settings, ca, force }: { readonly settings: Settings; readonly ca: CertificateInfo; readonly force: boolean },
): Renewals {
  const steps: CertificateStep[] = [];
  const notDue: Renewals['notDue'][number][] = [];
  const capped: HostName[] = [];
  const blocked: HostName[] = [];
  const validDays = leafDays(settings, ca, at);
  for (const found of hosts) {
    const { host, certificate } = found;
    if (certificate === undefined) throw new TypeError(`${host.hostname} has no certificate to renew`);
    const { hostname } = host;
    const left = daysLeft(certificate.info, at);
    if (!force && left >= settings.certificates.renewBeforeDays) notDue.push({ hostname, daysLeft: left });
    else if (!force && endsWithCa(certificate.info, ca)) capped.push(hostname);
    else if (isBlocked(found, settings)) blocked.push(hostname);
    else steps.push(new CertificateStep(found, 'renewed', validDays));
  }
  return { steps, notDue, capped, blocked };
}
