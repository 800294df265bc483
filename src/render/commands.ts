// The commands that are printed for a person: what is typed here, and how a script reaches a host.

import { basename } from 'node:path';
import type { Ssh } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';

/** `relaycerts` as it is typed for these settings, from any folder that has a settings.json, or from all. */
export function programWord({ file }: { readonly file: string }): string {
  return basename(file) === 'settings.json' ? 'relaycerts' : `relaycerts --settings ${shellWord(file)}`;
}

/** The command that runs a script, coming through a pipe, as root on a host. */
export function rootShell(ssh: Ssh): string {
  return rootCommand(ssh, '', 'sh');
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
