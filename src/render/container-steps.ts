// The steps of a host that runs in a container: its files are written here, a person copies them and starts the
// container. There is no script, because only the image's own start knows how to set up what is inside.

import { commandText } from '../errors.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { exportCommand } from './commands.js';
import type { ContainerUse } from './container-image.js';
import { step, type Step } from './step.js';

/** Write, start, verify; with `undo`, how to be rid of it. */
export function containerSteps(
  settings: Settings,
  host: HostSettings,
  { image, place, start, limits }: ContainerUse,
  undo: boolean,
): readonly Step[] {
  if (undo) {
    return [
      step('install', 'Stop the container', [
        'On the machine that runs it, in its folder; then remove the folder, because it has the key:\n    docker compose down',
      ]),
    ];
  }
  return [
    step('config', `Write the files for ${image}`, [
      'They go into a folder here, with the key. Do this again after each change or renewal:',
      { where: 'here', lines: [exportCommand(settings.program, host)] },
      ...limits,
    ]),
    step('install', 'Start it', [`${place}\n    ${start}`]),
    step('verify', 'Check that it works', [
      host.role === 'smtp-client'
        ? 'Send a message from it: its log (docker compose logs) must say "Verified TLS connection established".'
        : `Open port ${host.port} in the firewall, and in the provider's. From here, this must find nothing wrong:\n    ${commandText(settings.program, ['check', host.hostname])}`,
    ]),
  ];
}
