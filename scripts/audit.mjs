// `npm run audit`: asks the registry for known vulnerabilities of the packages whose code is in the bundle; packages
// that only build and test the program are left out. Exit code 0 none, 1 some, 2 if the registry does not answer.

import { spawnSync } from 'node:child_process';
import { bundle, packagesIn } from './bundle.mjs';

const packages = packagesIn((await bundle()).metafile);
const { stdout, stderr, error } = spawnSync('npm', ['audit', '--json'], { encoding: 'utf8', maxBuffer: 1 << 28 });
const report = parse(stdout);
if (report?.vulnerabilities === undefined) {
  const why = report?.message ?? error?.message ?? stderr.trim();
  process.stderr.write(`audit: the registry does not answer npm audit: ${why}\n`);
  process.exit(2);
}

const found = packages.flatMap(({ name, folder }) => {
  const { via = [], nodes = [] } = report.vulnerabilities[name] ?? {};
  if (!nodes.includes(folder)) return [];
  // A text names a package that this one depends on; if that is in the bundle, it has its own line.
  return via
    .filter((cause) => typeof cause === 'object')
    .map(({ severity, title, url }) => [folder, severity, title, url]);
});
for (const line of found) process.stdout.write(`${line.join('  ')}\n`);
const count = found.length === 0 ? 'no known vulnerability' : `known vulnerabilities: ${found.length}`;
process.stderr.write(`audit: ${packages.length} packages in the bundle, ${count}\n`);
process.exitCode = found.length === 0 ? 0 : 1;

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
