// Bundles src/ into dist/: one small entry, and a chunk for each part that only some commands load. Beside it goes
// the licence text of every package whose code is in the bundle. No source maps: the package holds what runs, no more.

import { readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

// Built aside and swapped in, so that a program that runs meanwhile finds the old bundle or the new one.
const fresh = `dist.new-${process.pid}`;
const old = `dist.old-${process.pid}`;
const { metafile } = await build({
  entryPoints: { main: 'src/main.ts' },
  outdir: fresh,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  mainFields: ['module', 'main'],
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
  // CommonJS packages call require() for Node's own modules; an ES module has none of its own.
  banner: {
    js: "import{createRequire as createRequire_}from'node:module';const require=createRequire_(import.meta.url);",
  },
});

const packages = new Set();
for (const input of Object.keys(metafile.inputs)) {
  const found = /^node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(input);
  if (found?.[1] !== undefined) packages.add(found[1]);
}
if (packages.size === 0) throw new Error('the bundle names no package under node_modules: is it a link?');
const texts = [];
for (const name of [...packages].toSorted((a, b) => a.localeCompare(b))) {
  const folder = join('node_modules', name);
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
