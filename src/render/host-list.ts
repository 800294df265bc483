// What `show` prints for a fleet if no host was named: which hosts there are, and how to ask for their instructions,
// whose full text would be too long to read.

import { commandText, listSome } from '../errors.js';
import { roles, type HostSettings, type Settings } from '../settings/settings.js';

/** One line for each role, then the commands. */
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
