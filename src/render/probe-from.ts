// A script that only reads, and needs only openssl: does a host get through to services of ours, also without its
// certificate? `check` runs it by itself; the script that `deploy` sends to a home has it inside, so that the look at what
// was just installed needs no connection of its own.

import { bundleNames } from '../plan/bundle-names.js';
import type { HostName } from '../names.js';
import type { HostSettings, Settings, SmtpClient } from '../settings/settings.js';
import { assignments } from '../shell-word.js';
import probeFrom from './probe-from.sh';
import probeSections from './probe-sections.sh';
import { senderOf } from './senders.js';

/** Services of ours to try from a host, up to RCPT. */
export interface Tries {
  /** Where each is: an address and a port. */
  readonly peers: readonly { readonly hostname: HostName; readonly place: string }[];
  /** '' is the null sender. */
  readonly sender: string;
  readonly recipients: readonly string[];
  /** A recipient will be refused, so the log lines of the other side have to show that it is a trial. */
  readonly isTrial: boolean;
}

/** The script for any host and any services. */
export function renderProbeFrom(settings: Settings, { hostname }: HostSettings, tries: Tries): string {
  const { key, certificate, ca } = bundleNames(settings.domain, hostname);
  const values = {
    host: hostname,
    folder: settings.postfix.directory,
    key,
    certificate,
    ca,
    sender: tries.sender,
    greeting: tries.isTrial ? 'trial' : 'usual',
    recipients: tries.recipients.join(' '),
  };
  return `{
${assignments(values).join('\n')}

all_peers() {
  cat <<'END'
${tries.peers.map((peer) => `${peer.hostname} ${peer.place}`).join('\n')}
END
}

${probeSections}
${probeFrom}
probe_from </dev/null
}
`;
}

/** The relays, from one home host. */
export function renderLookOut(settings: Settings, client: SmtpClient): string {
  return renderProbeFrom(settings, client, {
    peers: settings.smtpdServers.map(({ hostname, port }) => ({ hostname, place: `${hostname}:${port}` })),
    sender: senderOf(settings, client),
    // RFC 2606: belongs to nobody.
    recipients: ['postmaster@example.com'],
    isTrial: false,
  });
}

/** The same as text that a script prints for a shell of its own (arrival.sh). */
export function lookPart(settings: Settings, client: SmtpClient): string {
  return `
looks=yes
look_script() {
  cat <<'LOOK'
${renderLookOut(settings, client)}LOOK
}
`;
}
