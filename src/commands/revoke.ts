// `relaycerts revoke`: takes a host out for good. Postfix has no revocation list: what stops a client is that its pin
// leaves the table of every relay, and until a relay has the new table, the client relays. The ledger comes first, so
// that whatever is cut off, no later make lists the pin again.

import { join } from 'node:path';
import { makeFolder, removeEmptyFolder, removeFile, statFile, syncFolder } from '../host/files.js';
import type { Host } from '../host/host.js';
import type { FoundCertificate } from '../plan/inventory.js';
import { programWord, rootShell } from '../render/commands.js';
import { readSettings } from '../settings/load.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { layoutOf } from '../store/layout.js';
import { appendLedger, entryOf } from '../store/ledger.js';
import { move } from '../store/rekey.js';
import { certifiedHost, changeCertificates } from './change.js';
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
  const { result: revoked } = await changeCertificates(settings, host, async (inventory, at) => {
    const { certificate, previous } = certifiedHost(inventory, one);
    const found = [previous, certificate].filter((each): each is FoundCertificate => each !== undefined);
    await appendLedger(
      layout,
      found.map(({ info }) => ({
        ...entryOf('revoked', one.role, one.hostname, info, at),
        ...(options.reason === '' ? {} : { reason: options.reason }),
      })),
    );
    await putAway(settings, one, certificate?.info.serial ?? '');
    return found;
  });
  for (const { info } of revoked) host.say(`revoked ${one.hostname}, serial ${info.serial}`);
  if (options.json) {
    const serials = revoked.map(({ info }) => info.serial);
    host.write(
      `${JSON.stringify({ revoked: one.hostname, serials, relays: settings.smtpdServers.map(({ hostname }) => hostname) }, undefined, 2)}\n`,
    );
  } else {
    host.write(renderNext(settings, one));
  }
}

/** Its key, certificates and request go to certs/revoked/, its bundle goes: the host has its own copy. */
async function putAway(settings: Settings, { role, hostname }: HostSettings, serial: string): Promise<void> {
  const layout = layoutOf(settings);
  await makeFolder(layout.revokedFolder, 0o700);
  const places = [layout.key, layout.certificate, layout.previous, layout.request].map((place) =>
    place(role, hostname),
  );
  for (const { path } of places) {
    if ((await statFile(path)) === undefined) continue;
    const end = path.slice(layout.roleFolder(role).length + hostname.length + 2);
    await move(path, join(layout.revokedFolder, `${hostname}-${serial}.${end}`));
  }
  await syncFolder(layout.revokedFolder);
  await syncFolder(layout.roleFolder(role));
  for (const { path } of Object.values(layout.bundle(hostname))) await removeFile(path);
  await removeEmptyFolder(layout.bundleFolder(hostname));
}

function renderNext(settings: Settings, one: HostSettings): string {
  const word = programWord(settings);
  if (one.role === 'smtpd-server') {
    return `${one.hostname} is a relay, and clients know it by this CA and its name alone: until each client is
configured without it (take it out of the settings, run ${word} make, install every client), whoever has its key can
pose as it. Where the key is lost to somebody else, begin anew with another CA: ${word} clean.
`;
  }
  const lines = settings.smtpdServers.flatMap(({ hostname, ssh }) => [
    `  ${word} show ${hostname} --section rsync --format sh | sh`,
    `  ${word} show ${hostname} --format sh | ${rootShell(ssh)}`,
  ]);
  return `${one.hostname} relays until every relay has the new table. Now:
${lines.join('\n')}
After that it gets a temporary refusal; its mail waits in its queue. Connections that are open end by themselves.
make does not make ${one.hostname} again, unless told to: ${word} make --again ${one.hostname}
`;
}
