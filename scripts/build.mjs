// Bundles src/ into dist/: one small entry, and a chunk for each part that only some commands load. Beside it goes
// the licences of all whose code is in the bundle. No source maps: the package holds what runs, no more.

import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { licenseTexts } from './licenses.mjs';

// Built aside and swapped in, so that a program that runs meanwhile finds the old bundle or the new one.
const fresh = `dist.new-${process.pid}`;
const old = `dist.old-${process.pid}`;
const metafile = await bundle({ outdir: fresh, write: true });
await writeFile(join(fresh, 'THIRD-PARTY-LICENSES.txt'), await licenseTexts(metafile));
await rename('dist', old).catch((error) => {
  if (error.code !== 'ENOENT') throw error;
});
await rename(fresh, 'dist');
await rm(old, { recursive: true, force: true });
