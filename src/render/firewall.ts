// `show --section firewall`: what opens the port of a host to the others, for each of the usual firewalls. One of them
// is enough, so nothing here is meant to be pasted as a whole.

import type { HostSettings, Settings } from '../settings/settings.js';
import { step, type Step } from './step.js';

/** The ports on which a host listens for the others, and who connects. */
function portsOf(settings: Settings, host: HostSettings): readonly (readonly [port: number, who: string])[] {
  if (host.role === 'smtpd-server') return [[host.port, 'homes connect from any address']];
  const { inbound } = settings;
  if (inbound?.home !== host.hostname || inbound.via === 'tunnel') return [];
  const relays = settings.smtpdServers.map(({ hostname }) => hostname).join(', ');
  return [[inbound.port, `only the relays connect: ${relays}`]];
}

export function firewallStep(settings: Settings, host: HostSettings): Step {
  const ports = portsOf(settings, host);
  if (ports.length === 0) {
    const out = [...new Set(settings.smtpdServers.map(({ port }) => port))].join(', ');
    return step('firewall', 'Open nothing', [
      `No port of ${host.hostname} has to be open: it connects to its relays, TCP port ${out} there.`,
    ]);
  }
  return step(
    'firewall',
    'Open the port',
    ports.flatMap(([port, who]) => [
      `TCP port ${port}: ${who}. Use the lines for this host's firewall; the provider may have another one in front.`,
      ...[
        [
          // First in the chain, because nothing counts after a rule that rejects or drops the rest.
          'nftables (and in /etc/nftables.conf before any reject or drop, so that it stays)',
          `nft insert rule inet filter input tcp dport ${port} accept`,
        ],
        ['ufw', `ufw allow ${port}/tcp`],
        ['firewalld', `firewall-cmd --permanent --add-port=${port}/tcp && firewall-cmd --reload`],
        ['SELinux, if it is enforcing', `semanage port -a -t smtp_port_t -p tcp ${port}`],
      ].map(([title = '', line = '']) => `${title}:\n    ${line}`),
    ]),
  );
}
