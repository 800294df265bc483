// The program's commands, as its help lists them.

import { spawnSync } from 'node:child_process';
import { program } from './project.js';

/** Every command without subcommands, by its words: `make`, `passphrase show`. */
export function leafCommands(...above: readonly string[]): readonly string[] {
  const { stdout } = spawnSync(process.execPath, [program, ...above, '--help'], { encoding: 'utf8' });
  const listed = /^Commands:\n((?: .*\n)+)/mu.exec(stdout)?.[1];
  if (listed === undefined) return [above.join(' ')];
  const names = [...listed.matchAll(/^ {2}([a-z][a-z0-9-]*)/gmu)].map(([, name = '']) => name);
  return names.flatMap((name) => leafCommands(...above, name));
}

/** True if a command line runs this command. */
export function runsCommand(args: readonly string[], command: string): boolean {
  const begin = args.findIndex((word, at) => !word.startsWith('--') && args[at - 1] !== '--settings');
  return begin >= 0 && `${args.slice(begin).join(' ')} `.startsWith(`${command} `);
}
