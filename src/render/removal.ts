// What to run once a host has left the settings, in the order that loses no mail: a client's pin leaves the relays
// first, and a relay is undone when no client uses it any more.

import { commandText } from '../errors.js';
import type { HostName } from '../names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { scriptCommand } from './commands.js';
import { installParagraph, renderNowRun } from './now-run.js';

/**
 * `install` are the hosts with something new; if the host is kept, `make` comes first, because it removes the host's
 * pin.
 */
export function renderRemoval(
  settings: Settings,
  gone: HostSettings,
  install: readonly HostName[],
  isKept: boolean,
): string {
  const { program, smtpdServers, smtpClients } = settings;
  // For another relay a client gets no new file, only another configuration.
  const touched =
    gone.role === 'smtpd-server'
      ? smtpClients.map(({ hostname }) => hostname)
      : smtpdServers.map(({ hostname }) => hostname).filter((hostname) => install.includes(hostname));
  const { words, run } = installParagraph(settings, touched);
  const first = [...(isKept ? [commandText(program, ['make'])] : []), ...run];
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
