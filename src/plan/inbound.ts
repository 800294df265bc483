// The one file that the home of inbound has more than other homes: the pins of the relays that may hand over mail from
// the world. Pure.

import type { HostSettings } from '../settings/settings.js';
import { tableName } from './bundle-names.js';

export const peersName = 'relay_clientcerts_in';

/** Its name, if a host has it. */
export function inboundFiles({ role, isInbound }: HostSettings): readonly string[] {
  return role === 'smtp-client' && isInbound ? [peersName] : [];
}

/** The table of those who may use our service on a host; undefined if it has no service. */
export function pinTableOf(host: HostSettings): string | undefined {
  return host.role === 'smtpd-server' ? tableName : inboundFiles(host)[0];
}
