// What to run after a revocation: for a client, the new table on every relay; for a relay, what to do about its name.
// Until that is done the revoked certificate still works; no list of revoked certificates is published.

import { commandText } from '../errors.js';
import { hostsIn, type Install } from '../plan/install.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { installParagraph, renderNowRun } from './now-run.js';

/** `install` are the relays with a new table; `again` is the command that lets the client relay again. */
export function renderTableChange(
  settings: Settings,
  { hostname }: HostSettings,
  install: readonly Install[],
  again: string,
): string {
  if (install.length === 0) return '';
  const until = `Until then ${hostname} relays; after it, its mail waits in its queue.`;
  return renderNowRun(installParagraph(settings, hostsIn(install)), {
    words: `${until}\nTo let it relay again, with a new key:`,
    run: [again],
  });
}

/** A relay has no pin in any table. `again` is the command that makes it again. */
export function renderRelayRevocation(settings: Settings, { hostname }: HostSettings, again: string): string {
  const run = (...words: readonly string[]): string => commandText(settings.program, words);
  return renderNowRun(
    {
      words: `With the key of ${hostname}, anyone can pose as it\nuntil its clients no longer trust it. Now run, to keep its name:`,
      run: [again, run('renew', '--ca', '--rekey')],
    },
    {
      words:
        'and install every host after each of the three stages. Or give it another name\n' +
        'in the settings, or take it out of them, then install every client after:',
      run: [run('make')],
    },
  );
}
