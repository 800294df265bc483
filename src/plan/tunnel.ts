// The ssh tunnel of inbound: which hosts have an end of it, and the names of its files. Home opens it with the key that
// its certificate is for, so nothing has to be made, exchanged, rotated or revoked besides: who may open it follows from
// the certificates, as the pins do. Pure.

import type { HostName } from '../names.js';
import type { HostSettings, Settings } from '../settings/settings.js';

/** In a relay's bundle: the keys that may open the tunnel, in OpenSSH's form. */
export const tunnelKeysName = 'tunnel_keys';

/** The host keys of a relay, at home. They are no part of the bundle: `deploy` asks the relay for them. */
export const knownHostsName = (relay: HostName): string => `${relay}.known_hosts`;

/** The name of a relay in known_hosts. */
export const knownAs = ({ hostname, ssh }: HostSettings): string =>
  ssh.port === 22 ? hostname : `[${hostname}]:${ssh.port}`;

/** True if a host has an end of the tunnel. */
export function isTunnelEnd({ inbound }: Partial<Pick<Settings, 'inbound'>>, host: HostSettings): boolean {
  return inbound?.via === 'tunnel' && host.isInbound;
}

/** The name of the file in a host's bundle, if it has one. */
export function tunnelFiles(settings: Partial<Pick<Settings, 'inbound'>>, host: HostSettings): readonly string[] {
  return host.role === 'smtpd-server' && isTunnelEnd(settings, host) ? [tunnelKeysName] : [];
}
