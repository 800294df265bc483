// What the wizard proposes before anybody answers: names derived from this machine's own, and which of the hosts it is.
// Pure; sys/network.ts finds out about the machine.

import { findHostName, type HostName } from '../names.js';

/** What is known about this machine. */
export interface Machine {
  /** As printed by `hostname -f`. */
  readonly name: string;
  readonly addresses: readonly string[];
}

/** Names under these exist in one network only, so no mail domain ends with them. */
const privateNames = /(?:^|\.)(?:local|localdomain|localhost|lan|home|internal|intranet|private|corp|home\.arpa)$/u;

/** The domain of this machine's own name; undefined if it cannot be a mail domain. */
export function proposeDomain({ name }: Machine): HostName | undefined {
  const host = findHostName(name);
  if (host === undefined || privateNames.test(host)) return undefined;
  const above = host.slice(host.indexOf('.') + 1);
  // A name of two labels is a domain itself.
  return findHostName(above) ?? host;
}

/**
 * This machine as a host of the domain, as the settings write it: its label or its whole name; otherwise `otherwise`.
 */
export function proposeHome(
  { name }: Machine,
  domain: HostName,
  taken: readonly HostName[],
  otherwise: string,
): string {
  const host = findHostName(name);
  if (host === undefined || host === domain || !host.endsWith(`.${domain}`) || taken.includes(host)) return otherwise;
  const label = host.slice(0, -domain.length - 1);
  return label.includes('.') ? host : label;
}

/** Which of the hosts this machine is, by its name or by an address of one of them. */
export function proposeLocal(
  { name, addresses }: Machine,
  hosts: readonly HostName[],
  addressesOf: (host: HostName) => readonly string[],
): HostName | undefined {
  return (
    hosts.find((host) => host === name.toLowerCase()) ??
    hosts.find((host) => addressesOf(host).some((address) => addresses.includes(address)))
  );
}
