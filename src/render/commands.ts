// The commands printed for a person: how a script reaches a host. Nothing here runs them. Names and users come from the
// settings' own parsers, and are quoted as well.

import { commandText } from '../errors.js';
import type { HostSettings, Ssh } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';

/** The command that pipes a host's script, or its inverse, to a root shell there. */
export function scriptCommand(
  program: string,
  { hostname, ssh }: HostSettings,
  options: readonly ('--undo' | '--force-routes')[] = [],
): string {
  return `${program} ${['show', hostname, '--format sh', ...options].join(' ')} | ${rootCommand(ssh, 'sh')}`;
}

/** The command that writes the files of a host's container. */
export function exportCommand(program: string, { hostname }: Pick<HostSettings, 'hostname'>): string {
  return commandText(program, ['export', 'docker', hostname]);
}

/** The manual commands: deploy installs nothing while there is any contradiction, not even on another host. */
export function handCommands(program: string, host: HostSettings): readonly string[] {
  if (host.container !== undefined) return [exportCommand(program, host)];
  return [`${program} show ${host.hostname} --section rsync --format sh | sh`, scriptCommand(program, host)];
}

/** The command that runs a program as root on a host; with `-t ` for a program that needs a terminal. */
export function rootCommand(ssh: Ssh, command: string, options: '' | '-t ' = ''): string {
  const { isLocal, needsSudo, user, host, port } = ssh;
  const way = isLocal ? '' : `ssh ${options}${port === 22 ? '' : `-p ${port} `}${shellWord(`${user}@${host}`)} `;
  return `${way}${needsSudo ? 'sudo ' : ''}${command}`;
}
