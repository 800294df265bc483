// What `show` prints of a fleet if no host was named: who there is, and how to ask for the instructions. Their text would
// be longer than anyone reads.

import { commandText, listSome } from '../errors.js';
import { roles, type HostSettings, type Settings } from '../settings/settings.js';

/** A line for each role, then the commands. */
export function renderHostList({ program }: Settings, hosts: readonly HostSettings[]): string {
  const lines = roles.flatMap((role) => {
    const names = hosts.filter((host) => host.role === role).map(({ hostname }) => hostname);
    return names.length === 0 ? [] : [`${names.length} ${role}: ${listSome(names)}`];
  });
  const some = hosts[0]?.hostname ?? 'HOST';
  return [
    `there are ${hosts.length} hosts, so only what is named is shown`,
    ...lines,
    `for one: ${commandText(program, ['show', some])}`,
    `for all: ${commandText(program, ['show', '*'])}`,
    '',
  ].join('\n');
}
