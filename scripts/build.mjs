// Bundles src/ into dist/: one small entry, and a chunk for each part that only some commands load. Beside it goes
// the licence text of every package whose code is in the bundle. No source maps: the package holds what runs, no more.

import { readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle, packagesIn } from './bundle.mjs';

// Built aside and swapped in, so that a program that runs meanwhile finds the old bundle or the new one.
const fresh = `dist.new-${process.pid}`;
const old = `dist.old-${process.pid}`;
const packages = packagesIn(await bundle({ outdir: fresh, write: true }));
const texts = [];
for (const { name, folder } of packages) {
  const { version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const file = (await readdir(folder)).find((entry) => /^(licen[cs]e|copying)(\.|$)/iu.test(entry));
  const text =
    file === undefined
      ? '(the package names its licence, and holds no text of it)'
      : await readFile(join(folder, file), 'utf8');
  texts.push(`${name} ${version}\n${license}\n\n${text.trim()}\n`);
}
await writeFile(join(fresh, 'THIRD-PARTY-LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`));
await rename('dist', old).catch((error) => {
  if (error.code !== 'ENOENT') throw error;
});
await rename(fresh, 'dist');
await rm(old, { recursive: true, force: true });
