// The configuration of a host in either role: the parameters of its main.cf, and the services of its master.cf. The
// data is in postfix.ts and relay-service.ts.

import type { HostSettings, Settings } from '../settings/settings.js';
import { port25Of, type ConfigurationFile } from './port25.js';
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
  /** Our own files beside main.cf. */
  readonly files: readonly ConfigurationFile[];
}

export function configurationOf(settings: Settings, host: HostSettings): Configuration {
  if (host.role === 'smtpd-server') {
    const { services, ...port25 } = port25Of(settings, host);
    return { ...port25, services: [...relayServices(settings, host), ...services] };
  }
  return { main: homeParameters(settings), tokens: [], services: [homeService(settings, host)], files: [] };
}
