// What to run after a revocation: for a client, the new table on every relay; for a relay, what to do about its name.
// Until that is done the revoked certificate still works; revocation lists are not published.

import { commandText, listSome } from '../errors.js';
import { hostsIn, type Install } from '../plan/install.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { handCommands } from './commands.js';
import { installParagraph, renderNowRun } from './now-run.js';

/** With up to this many relays, both commands for each fit into the block. */
const mostByHand = 3;

/**
 * `tables` are the relays with a table, and `install` those of them that were not last seen with it; `again` are the
 * commands that let the client relay again. If the state `isBroken`, this does not wait for it.
 */
export function renderTableChange(
  settings: Settings,
  { hostname }: HostSettings,
  { tables, install }: { readonly tables: readonly Install[]; readonly install: readonly Install[] },
  again: readonly string[],
  isBroken: boolean,
): string {
  if (tables.length === 0) return '';
  const toRelay = { words: 'To let it relay again, with a new key:', run: again };
  if (install.length === 0) {
    return renderNowRun(`Last seen without its pin: ${listSome(hostsIn(tables))}`, toRelay);
  }
  const names = hostsIn(install);
  const relays = settings.smtpdServers.filter((relay) => names.includes(relay.hostname));
  const byHand = relays.slice(0, mostByHand).flatMap((relay) => handCommands(settings.program, relay));
  const also = relays.length > mostByHand ? ', and the same for the other relays' : '';
  const paragraph = isBroken ? { words: `Now run${also}:`, run: byHand } : installParagraph(settings, names);
  const until = `Until then ${hostname} can relay; after that, its mail waits in its queue.`;
  return renderNowRun(paragraph, until, toRelay);
}

/** What follows the command for the next stage, by the stage of a CA rekey that is in progress. */
const stagesLeft = {
  0: 'and install every host after each of the three stages.',
  1: 'and install every host after each of the two stages that are left.',
  2:
    'and install every host. The new CA signed that certificate too, so then run the\n' +
    'last command three times more, and install every host after each stage.',
} as const;

/**
 * A relay has no pin in any table. `again` are the commands that make its files again. No stage of a CA rekey begins
 * before the one in progress is installed.
 */
export function renderRelayRevocation(
  settings: Settings,
  { hostname }: HostSettings,
  again: readonly string[],
  stage: keyof typeof stagesLeft,
): string {
  const run = (...words: readonly string[]): string => commandText(settings.program, words);
  return renderNowRun(
    {
      words: `Anyone with the key of ${hostname} can pose as it\nuntil its clients no longer trust it. To keep its name, run:`,
      run: [...again, run('deploy'), run('renew', '--ca', '--rekey')],
    },
    {
      words:
        `${stagesLeft[stage]}\nOr give it another name in the settings, or remove it there, then install\n` +
        'every client after:',
      run: [run('make')],
    },
  );
}
