// What to run once a host has left the settings, in the order in which no mail is lost: a client's pin leaves the relays
// first, and a relay is undone when no client uses it any more.

import type { HostName } from '../names.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { installLines, scriptCommand } from './commands.js';

const mostNamed = 3;

/** `install` are those with something new; if the host is kept, `make` comes first, which takes its pin out. */
export function renderRemoval(
  { program, smtpdServers, smtpClients }: Settings,
  gone: HostSettings,
  install: readonly HostName[],
  isKept: boolean,
): string {
  const isRelay = gone.role === 'smtpd-server';
  const touched: readonly HostSettings[] = isRelay
    ? smtpClients
    : smtpdServers.filter(({ hostname }) => install.includes(hostname));
  const linesOf = (host: HostSettings): readonly string[] =>
    // A client has no new file for another relay, only another configuration.
    isRelay ? [scriptCommand(program, host)] : installLines(program, host);
  const left = touched.length - mostNamed;
  const lines = [
    ...(isKept ? [`${program} make`] : []),
    ...touched.slice(0, mostNamed).flatMap(linesOf),
    ...(left > 0 ? [`# and ${left} more`] : []),
    `${scriptCommand(program, gone, ['--undo'])}  # unless it is gone`,
  ];
  return `Now run, in this order:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}
