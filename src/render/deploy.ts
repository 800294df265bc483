// `show --section deploy`: what installs hosts from here, a host after the other: its bundle is copied, and its script
// runs there. As sh it is one script for any number of hosts.

import type { KeyPlace } from '../plan/bundle-names.js';
import type { HostSettings, Role, Settings } from '../settings/settings.js';
import { scriptCommand } from './commands.js';
import frame from './deploy.sh';
import { step, type Step } from './step.js';
import { copyCommand } from './steps.js';

/** A host as it is installed: where its key is decides what is copied. */
export interface Deployed {
  readonly host: HostSettings;
  readonly keyPlace: KeyPlace;
}

export function deployStep(settings: Settings, host: HostSettings, keyPlace: KeyPlace): Step {
  return step('deploy', `Install ${host.hostname} from here`, [
    { where: 'here', lines: deployLines(settings, { host, keyPlace }) },
  ]);
}

/** Copying and running, as one list that ends with the status of what failed. */
function deployLines(settings: Settings, { host, keyPlace }: Deployed): readonly string[] {
  const copy = copyCommand(settings, host, keyPlace);
  return [...copy.slice(0, -1), `${copy.at(-1) ?? ''} &&`, `  ${scriptCommand(settings.program, host)}`];
}

/** The script for all of them. */
export function renderDeployScript(settings: Settings, deployed: readonly Deployed[]): string {
  const linesFor = (role: Role): readonly string[] =>
    deployed
      .filter(({ host }) => host.role === role)
      .flatMap((one) => [
        '{',
        ...deployLines(settings, one).map((line) => `  ${line}`),
        `} </dev/null || failed="$failed ${one.host.hostname}"`,
      ]);
  // If a pipe cuts it short, it runs nothing, because the closing brace is missing.
  return `#!/bin/sh
{
${frame}
${[...linesFor('smtpd-server'), 'stop_if_failed "; the clients stay as they were"'].join('\n')}
${[...linesFor('smtp-client'), 'stop_if_failed ""'].join('\n')}
}
`;
}
