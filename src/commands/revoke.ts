// `relaycerts revoke`: takes a host out for good. Postfix has no revocation list: what stops a client is that its pin
// leaves the table of every relay, and until a relay has the new table, the client relays. The ledger comes first, so
// that whatever is cut off, no later make lists the pin again.

import type { Host } from '../host/host.js';
import type { FoundCertificate, Inventory } from '../plan/inventory.js';
import { programWord, rootShell } from '../render/commands.js';
import { readSettings } from '../settings/load.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { putAway } from '../store/revocation.js';
import { certifiedHost, changeCertificates, installedRelays } from './change.js';
import { findHost } from './show.js';
import type { GlobalOptions } from './options.js';

export interface RevokeOptions extends GlobalOptions {
  /** As typed. */
  readonly hostname: string;
  /** For the ledger; '' where none was given. */
  readonly reason: string;
}

/** @throws settings, usage, contradiction, lock, files */
export async function revoke(options: RevokeOptions, host: Host): Promise<void> {
  const settings = await readSettings(options.settings, host.home);
  const one = findHost(settings, options.hostname);
  const layout = layoutOf(settings);
  const { result: revoked, inventory: after } = await changeCertificates(settings, host, async (inventory, at) => {
    const { certificate, previous } = certifiedHost(inventory, one);
    const found = [previous, certificate].filter((each): each is FoundCertificate => each !== undefined);
    await appendLedger(
      layout,
      found.map(({ info }) => ({
        ...entryOf('revoked', one.role, one.hostname, info, at),
        ...(options.reason === '' ? {} : { reason: options.reason }),
      })),
    );
    if (certificate !== undefined) await putAway(layout, one, certificate.info.serial);
    return found;
  });
  for (const { info } of revoked) host.say(`revoked ${one.hostname}, serial ${info.serial}`);
  if (options.json) {
    const serials = revoked.map(({ info }) => info.serial);
    host.write(
      `${JSON.stringify({ revoked: one.hostname, serials, relays: installedRelays(after).map(({ hostname }) => hostname) }, undefined, 2)}\n`,
    );
  } else {
    host.write(renderNext(settings, one, after));
  }
}

function renderNext(settings: Settings, one: HostSettings, after: Inventory): string {
  const word = programWord(settings);
  if (one.role === 'smtpd-server') {
    return `${one.hostname} is a relay, and clients know it by this CA and its name alone: until each client is
configured without it (take it out of the settings, run ${word} make, install every client), whoever has its key can
pose as it. Where the key is lost to somebody else, begin anew with another CA: ${word} clean.
`;
  }
  const lines = installedRelays(after).flatMap(({ hostname, ssh }) => [
    `  ${word} show ${hostname} --section rsync --format sh | sh`,
    `  ${word} show ${hostname} --format sh | ${rootShell(ssh)}`,
  ]);
  return `${one.hostname} relays until every relay has the new table. Now:
${lines.join('\n')}
After that it gets a temporary refusal; its mail waits in its queue. Connections that are open end by themselves.
make does not make ${one.hostname} again, unless told to: ${word} make --again ${one.hostname}
`;
}
