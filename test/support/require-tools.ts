// Makes a test fail, not skip, if a program that it runs is missing. The table of programs and packages is the one in
// scripts/install-test-tools.mjs.

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../../scripts/install-test-tools.mjs', import.meta.url));

/** Those that exist: each look costs a start of Node. */
const found = new Set<string>();

/** Throws, with the line that installs them, unless every one of these programs is on the machine. */
export function requireTools(...programs: readonly [string, ...string[]]): void {
  const unknown = programs.filter((program) => !found.has(program));
  if (unknown.length === 0) return;
  const { status, stderr } = spawnSync(process.execPath, [script, '--check', ...unknown], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${stderr.trim()}\nor, all at once: node scripts/install-test-tools.mjs`);
  for (const program of unknown) found.add(program);
}
