// The versions of Node that the benchmarks run on: this one, and Node 24 if npm can get it.

import { spawnSync } from 'node:child_process';

/** Each with its version, and the path of the program. */
export function findNodes() {
  const found = [{ version: process.version, path: process.execPath }];
  const words = ['--yes', 'node@24', '-p', 'process.version + " " + process.execPath'];
  const { status, stdout } = spawnSync('npx', words);
  const [version = '', path = ''] = String(stdout).trim().split(' ');
  if (status !== 0) console.log('npx cannot run node@24, so it is not compared');
  else if (version !== process.version) found.push({ version, path });
  return found;
}
