// The period between a new pin and the end of the old one: both are listed, and hosts must be installed in order so
// that no mail waits. Pure.

import type { Command } from '../errors.js';
import type { HostName } from '../names.js';
import type { Settings } from '../settings/settings.js';
import type { HostInventory, Inventory } from './inventory.js';

/** What makes a host's pin change: any new certificate if the certificate is pinned, otherwise a new key. */
export function newThing({ postfix }: Settings): 'certificate' | 'key' {
  return postfix.pin === 'certificate' ? 'certificate' : 'key';
}

/** Reports that old pins are out of the tables, one line each; if there are many, one line with their number. */
export function retiredWords(rows: readonly { readonly host: HostName; readonly serial: string }[]): readonly string[] {
  if (rows.length > 4) return [`the old pins of ${rows.length} hosts are out of the table`];
  return rows.map(({ host, serial }) => `the old pin of ${host} is out of the table, serial ${serial}`);
}

/** Reports that a host's old pin has to be retired first: the table has room for one. */
export function stillListed(
  settings: Settings,
  hostname: HostName,
): { readonly message: string; readonly hint: Command } {
  return {
    message: `the old pin of ${hostname} is still listed`,
    hint: { run: ['retire', hostname], before: `once its new ${newThing(settings)} is in use:` },
  };
}

/** True if the certificate is pinned and its old pin still listed: the table has room for one, which would be lost. */
export function isBlocked({ host, previous }: HostInventory, { postfix }: Settings): boolean {
  return postfix.pin === 'certificate' && host.role === 'smtp-client' && previous !== undefined;
}

/** Those of these clients whose old pin is still listed, and is retired once mail flows. */
export function toRetire({ hosts }: Inventory, names: readonly HostName[]): readonly HostName[] {
  const chosen = new Set(names);
  return hosts.flatMap(({ host: { hostname }, previous, isRevoked }) =>
    previous === undefined || isRevoked || !chosen.has(hostname) ? [] : [hostname],
  );
}
