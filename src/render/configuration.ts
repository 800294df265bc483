// The configuration of a host in either role: the parameters of its main.cf, and the services of its master.cf. The
// data is in postfix.ts, relay-service.ts and inbound-service.ts.

import type { HostSettings, Settings } from '../settings/settings.js';
import { homeMilter, milterLists } from './dkim.js';
import { inboundOf, inboundServices } from './inbound-service.js';
import { port25Of } from './port25.js';
import { homeParameters, homeService, type Configuration, type ListToken } from './postfix.js';
import { relayServices } from './relay-service.js';

/** All that is set on a host. A relay's main.cf is changed only if the settings ask for more than the relay service. */
export function configurationOf(settings: Settings, host: HostSettings): Configuration {
  const inbound = host.isInbound ? settings.inbound : undefined;
  if (host.role === 'smtpd-server') {
    const parts = [port25Of(settings, host), ...(inbound === undefined ? [] : [inboundOf(settings, inbound, host)])];
    return {
      main: parts.flatMap(({ main }) => main),
      tokens: parts.flatMap(({ tokens }) => tokens),
      services: [...relayServices(settings, host), ...parts.flatMap(({ services }) => services)],
      files: parts.flatMap(({ files }) => files),
    };
  }
  const services = inbound === undefined ? [] : inboundServices(settings, inbound, host);
  return {
    main: homeParameters(settings),
    tokens: milterTokens(settings, host),
    services: [homeService(settings, host), ...services],
    files: [],
  };
}

/** At home, the signer comes after other milters, so that it signs what they have changed. */
function milterTokens(settings: Settings, host: HostSettings): readonly ListToken[] {
  const token = homeMilter(settings, host);
  if (token === undefined) return [];
  return milterLists.map((name) => ({ name, place: 'last', token }));
}
