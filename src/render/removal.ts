// What to run once a host has left the settings, in the order that loses no mail: a client's pin leaves the relays
// first, and a relay is undone when no client uses it any more.

import { commandText } from '../errors.js';
import type { HostName } from '../names.js';
import type { Install } from '../plan/install.js';
import type { Inventory } from '../plan/inventory.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { scriptCommand } from './commands.js';
import { installParagraph, renderNowRun } from './now-run.js';

/** What is left once a host is gone: `install` are the hosts with something new in their bundles. */
export interface Rest {
  readonly install: readonly Install[];
  readonly after: Inventory;
}

/** What has to be installed: without a relay, a client may get no new file, but has another configuration. */
export function installWithout(
  { smtpClients }: Settings,
  { role }: HostSettings,
  { install, after }: Rest,
): readonly { readonly host: HostName; readonly why: readonly string[] }[] {
  if (role === 'smtp-client') return install;
  const clients = new Set(smtpClients.map(({ hostname }) => hostname));
  const news = new Map(install.map(({ host, why }) => [host, why]));
  const ready = readyHosts(after);
  return [
    ...install.filter(({ host }) => !clients.has(host)),
    ...[...clients]
      .filter((host) => ready.has(host))
      .map((host) => ({ host, why: [...(news.get(host) ?? []), 'configuration'] })),
  ];
}

function readyHosts({ hosts }: Inventory): ReadonlySet<HostName> {
  return new Set(hosts.flatMap(({ host, certificate }) => (certificate === undefined ? [] : [host.hostname])));
}

/**
 * What to run. `make` comes first if the host is kept, because it removes the host's pin, or if the clients are left with
 * a relay that has no certificate yet.
 */
export function renderRemoval(settings: Settings, gone: HostSettings, rest: Rest, isKept: boolean): string {
  const { program, smtpdServers } = settings;
  const ready = readyHosts(rest.after);
  const isRelay = gone.role === 'smtpd-server';
  const lacksRelay = isRelay && !smtpdServers.every(({ hostname }) => ready.has(hostname));
  const names = installWithout(settings, gone, rest).map(({ host }) => host);
  const { words, run } = installParagraph(settings, names, 'Now run:', isRelay || undefined);
  const first = [...(isKept || lacksRelay ? [commandText(program, ['make'])] : []), ...run];
  if (gone.container !== undefined) {
    return renderNowRun(
      { words, run: first },
      `Then stop the container of ${gone.hostname}, and remove its folder there.`,
    );
  }
  return renderNowRun(
    { words, run: first },
    {
      words: `${first.length === 0 ? 'Unless' : 'Then, unless'} ${gone.hostname} is gone:`,
      run: [scriptCommand(program, gone, ['--undo'])],
    },
  );
}
