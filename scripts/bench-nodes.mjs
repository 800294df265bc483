// The versions of Node that the benchmarks run on: this one, and Node 24 if npm can get it.

import { spawnSync } from 'node:child_process';

/** Each with its version, and the path of the program. */
export function findNodes() {
  const found = [{ version: process.version, path: process.execPath }];
  const { status, stdout } = spawnSync('npx', ['--yes', 'node@24', '-p', 'process.version + " " + process.execPath'], {
    encoding: 'utf8',
  });
  const [version, path] = status === 0 ? stdout.trim().split('\n').at(-1).split(' ') : [];
  if (path === undefined) console.log('npx cannot run node@24, so it is not compared');
  else if (version !== process.version) found.push({ version, path });
  return found;
}
