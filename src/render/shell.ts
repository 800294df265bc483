// Words for POSIX sh. Every value has been through its own parser before; quoting comes besides.

import { basename } from 'node:path';
import type { Ssh } from '../settings/settings.js';

const plain = /^[A-Za-z0-9_@%+=:,./-]+$/u;

/** `text` as one word of POSIX sh: as it is where nothing in it is special, otherwise in single quotes. */
export function shellWord(text: string): string {
  if (/[\0\n\r]/u.test(text)) throw new TypeError('a shell word of ours never holds a line end');
  return plain.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** `relaycerts` as it is typed for these settings, from any folder that has a settings.json, or from all. */
export function programWord({ file }: { readonly file: string }): string {
  return basename(file) === 'settings.json' ? 'relaycerts' : `relaycerts --settings ${shellWord(file)}`;
}

/** The command that runs a script, coming through a pipe, as root on a host. */
export function rootShell({ user, host, port }: Ssh): string {
  return `ssh ${port === 22 ? '' : `-p ${port} `}${user}@${host} ${user === 'root' ? 'sh' : 'sudo sh'}`;
}
