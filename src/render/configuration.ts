// The configuration of a host in either role: the parameters of its main.cf, and the services of its master.cf. The
// data is in postfix.ts and relay-service.ts.

import type { HostSettings, Settings } from '../settings/settings.js';
import { homeParameters, homeService, type Parameter, type Service } from './postfix.js';
import { relayServices } from './relay-service.js';

/** An item of a list in main.cf that also has others; it has no white space and no comma. */
export interface ListToken {
  readonly name: string;
  /** In a list of restrictions, the last place is before a final permit or reject. */
  readonly place: 'first' | 'last';
  readonly token: string;
}

/** All that is set on a host. A relay's main.cf is changed only if the settings ask for more than the relay service. */
export interface Configuration {
  readonly main: readonly Parameter[];
  readonly tokens: readonly ListToken[];
  readonly services: readonly Service[];
}

export function configurationOf(settings: Settings, host: HostSettings): Configuration {
  if (host.role === 'smtpd-server') return { main: [], tokens: [], services: relayServices(settings, host) };
  return { main: homeParameters(settings), tokens: [], services: [homeService(settings, host)] };
}
