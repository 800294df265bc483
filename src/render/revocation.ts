// What to run after a revocation: for a client, the new table on every relay; for a relay, what to do about its name.
// Until that is done the revoked certificate still works; no list of revoked certificates is published.

import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
import { installLines } from './commands.js';

/** `again` are the words that let the client relay again; `relays` are those with a new table. */
export function renderTableChange(
  { program }: Settings,
  { hostname }: HostSettings,
  relays: readonly SmtpdServer[],
  again: string,
): string {
  const lines = relays.flatMap((relay) => installLines(program, relay)).map((line) => `  ${line}`);
  return `${hostname} relays until every relay has the new table. Now:
${lines.join('\n')}
After that it gets a temporary refusal; its mail waits in its queue. The script also ends the connections that are
open on that port, since each keeps the table it began with: other clients send again what was on its way.
make does not make ${hostname} again; ${again}
`;
}

/** A relay has no pin in any table. `again` is the command that makes it again. */
export function renderRelayRevocation({ program }: Settings, { hostname }: HostSettings, again: string): string {
  return `${hostname} is a relay. Clients know it by this CA and its name, and have no list of what is revoked: with
its key, anyone can pose as it until they are configured otherwise. There are two ways to stop that:

- another name: give the relay another hostname in the settings, or take it out of them, then
    ${program} make
  and install every client. A client that relays elsewhere is safe.

- the same name: a new key for it, then a new key for the CA, in three stages with an installation after each:
    ${again}
    ${program} renew --ca --rekey
  A client that has the third stage installed no longer accepts the lost key.

No client's key was ever on it, so client keys and pins stay as they are.
`;
}
