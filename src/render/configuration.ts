// The configuration of a host in either role: the parameters of its main.cf, items of lists there, and the services of its
// master.cf. The data is in postfix.ts, relay-service.ts and inbound-service.ts.

import type { HostSettings, Settings } from '../settings/settings.js';
import { inboundItems, inboundParameters, inboundServices, inboundTransport } from './inbound-service.js';
import { homeParameters, homeService, type ListItem, type Parameter, type Service } from './postfix.js';
import { relayServices } from './relay-service.js';

/** All that is set on a host. */
export interface Configuration {
  readonly main: readonly Parameter[];
  readonly items: readonly ListItem[];
  readonly services: readonly Service[];
}

/** Without inbound, a relay's main.cf is not changed. */
export function configurationOf(settings: Settings, host: HostSettings): Configuration {
  const inbound = host.isInbound ? settings.inbound : undefined;
  if (host.role === 'smtpd-server') {
    const services = relayServices(settings, host);
    if (inbound === undefined) return { main: [], items: [], services };
    return {
      main: inboundParameters(inbound),
      items: inboundItems(settings, inbound, host),
      services: [...services, inboundTransport(settings, inbound, host)],
    };
  }
  return {
    main: homeParameters(settings),
    items: [],
    services: [
      homeService(settings, host),
      ...(inbound === undefined ? [] : inboundServices(settings, inbound, host)),
    ],
  };
}
