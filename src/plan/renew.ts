// Decides which certificates are renewed. Pure. A new certificate for the same key keeps the pin of the key, so that no
// relay has to hear of it first.

import type { HostName } from '../names.js';
import type { HostInventory } from './inventory.js';
import type { Step } from './plan.js';

type CertificateStep = Extract<Step, { readonly kind: 'certificate' }>;

export interface Renewals {
  readonly steps: readonly CertificateStep[];
  /** Hosts that were asked for and are not due. */
  readonly notDue: readonly { readonly hostname: HostName; readonly daysLeft: number }[];
}

/** The renewals of these hosts: those that are due, or all of them with `force`. Each has a certificate. */
export function planRenewals(
  hosts: readonly HostInventory[],
  at: Date,
  {
    validDays,
    renewBeforeDays,
    force,
  }: { readonly validDays: number; readonly renewBeforeDays: number; readonly force: boolean },
): Renewals {
  const steps: CertificateStep[] = [];
  const notDue: { readonly hostname: HostName; readonly daysLeft: number }[] = [];
  for (const { host, certificate, certificatePath } of hosts) {
    if (certificate === undefined) throw new TypeError(`${host.hostname} has no certificate to renew`);
    const { role, hostname } = host;
    const daysLeft = Math.floor((certificate.info.notAfter.getTime() - at.getTime()) / 86_400_000);
    if (!force && daysLeft >= renewBeforeDays) notDue.push({ hostname, daysLeft });
    else steps.push({ kind: 'certificate', event: 'renewed', path: certificatePath, role, hostname, validDays });
  }
  return { steps, notDue };
}
