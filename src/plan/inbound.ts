// The one file that the home of inbound has more than other homes: the pins of the relays that may hand over mail from
// the world. Pure.

import type { HostSettings } from '../settings/settings.js';

export const peersName = 'relay_clientcerts_in';

/** Its name, if a host has it. */
export function inboundFiles({ role, isInbound }: HostSettings): readonly string[] {
  return role === 'smtp-client' && isInbound ? [peersName] : [];
}
