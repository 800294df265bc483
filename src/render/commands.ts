// The commands that are printed for a person: how a script reaches a host. Nothing here runs them. Names and users come
// from the settings' own parsers, and are quoted besides.

import type { HostName } from '../names.js';
import type { HostSettings, Settings, Ssh } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';

/** The command that runs a script, coming through a pipe, as root on a host. */
export function rootShell(ssh: Ssh): string {
  return rootCommand(ssh, '', 'sh');
}

/** The command that pipes the script of a host, or its inverse, to root's shell there. */
export function scriptCommand(
  program: string,
  { hostname, ssh }: Pick<HostSettings, 'hostname' | 'ssh'>,
  undo: boolean,
): string {
  return `${program} show ${hostname} --format sh${undo ? ' --undo' : ''} | ${rootShell(ssh)}`;
}

/** The command that runs a program as root on a host, without a terminal. */
export function rootProgram(ssh: Ssh, command: string): string {
  return rootCommand(ssh, '', command);
}

/** The command that runs a program as root on a host, on a terminal. */
export function rootTerminal(ssh: Ssh, command: string): string {
  return rootCommand(ssh, '-t ', command);
}

function rootCommand({ user, host, port }: Ssh, options: string, command: string): string {
  return `ssh ${options}${port === 22 ? '' : `-p ${port} `}${shellWord(`${user}@${host}`)} ${user === 'root' ? '' : 'sudo '}${command}`;
}

/** Prints what a host has to install; the rest of the line can be pasted with it. */
export function installWords({ program }: Pick<Settings, 'program'>, hostname: HostName): string {
  return `${program} show ${hostname}  # copy its bundle and run its script`;
}
