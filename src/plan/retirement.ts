// The period between a new pin and the end of the old one: both are listed, and hosts must be installed in order so
// that no mail waits. Pure.

import { listSome, type Command } from '../errors.js';
import type { HostName } from '../names.js';
import { type HostSettings, type Settings } from '../settings/settings.js';
import type { HostInventory, Inventory } from './inventory.js';

/** True if other hosts list its pin: relays that of a client, and home that of a relay which hands mail over to it. */
export function isPinned({ role, isInbound }: HostSettings): boolean {
  return role === 'smtp-client' || isInbound;
}

/**
 * What makes a host's pin change: any new certificate if the certificate is pinned, otherwise a new key. Of a relay, the
 * key is always pinned.
 */
export function newThing({ postfix }: Settings, { role }: Pick<HostSettings, 'role'>): 'certificate' | 'key' {
  return postfix.pin === 'certificate' && role === 'smtp-client' ? 'certificate' : 'key';
}

/** Reports that old pins are out of the tables, one line each; if there are many, one line with their number. */
export function retiredWords(rows: readonly { readonly host: HostName; readonly serial: string }[]): readonly string[] {
  if (rows.length > 4) return [`the old pins of ${rows.length} hosts are out of the table`];
  return rows.map(({ host, serial }) => `the old pin of ${host} is out of the table, serial ${serial}`);
}

/** Reports that a host's old pin has to be retired first: the table has room for one. */
export function stillListed(
  settings: Settings,
  host: HostSettings,
): { readonly message: string; readonly hint: Command } {
  return {
    message: `the old pin of ${host.hostname} is still listed`,
    hint: { run: ['retire', host.hostname], before: `once its new ${newThing(settings, host)} is in use:` },
  };
}

/** True if the certificate is pinned and its old pin still listed: the table has room for one, which would be lost. */
export function isBlocked({ host, previous }: HostInventory, { postfix }: Settings): boolean {
  return postfix.pin === 'certificate' && host.role === 'smtp-client' && previous !== undefined;
}

/** Warns of hosts that were last seen without their new certificate: once the old pin is out, their mail waits. */
export function notThereWarning(names: readonly HostName[]): { readonly message: string; readonly hint: Command } {
  const many = names.length > 1;
  return {
    message: `${listSome(names)} ${many ? 'were' : 'was'} last seen without ${many ? 'their' : 'its'} new certificate, and the old pin will be refused`,
    hint: { run: ['deploy'] },
  };
}

/** Those of these hosts whose old pin is still listed, and is retired once mail flows. */
export function toRetire({ hosts }: Inventory, names: readonly HostName[]): readonly HostName[] {
  const chosen = new Set(names);
  return hosts.flatMap(({ host: { hostname }, previous, isRevoked }) =>
    previous === undefined || isRevoked || !chosen.has(hostname) ? [] : [hostname],
  );
}
