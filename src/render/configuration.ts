// The configuration of a host in either role: the parameters of its main.cf, and the services of its master.cf. The
// data is in postfix.ts and relay-service.ts.

import type { HostSettings, Settings } from '../settings/settings.js';
import { homeParameters, homeService, type Parameter, type Service } from './postfix.js';
import { relayServices } from './relay-service.js';

/** All that is set on a host: a relay's main.cf is not changed. */
export interface Configuration {
  readonly main: readonly Parameter[];
  readonly services: readonly Service[];
}

export function configurationOf(settings: Settings, host: HostSettings): Configuration {
  if (host.role === 'smtpd-server') return { main: [], services: relayServices(settings, host) };
  return { main: homeParameters(settings), services: [homeService(settings, host)] };
}
