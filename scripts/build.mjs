// Bundles src/ into dist/: the part for every start, the part that commands share, and a file for each big part that
// few need. The licences of all bundled code are put beside it. There are no source maps: the package holds only what
// runs.

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from './bundle.mjs';
import { licenseTexts } from './licenses.mjs';

// Built in another folder and swapped in, so that a running program finds either the old bundle or the new one.
const fresh = `dist.new-${process.pid}`;
const old = `dist.old-${process.pid}`;
const { metafile, files } = await bundle();
await mkdir(fresh);
for (const { name, text } of files) await writeFile(join(fresh, name), text);
await writeFile(join(fresh, 'THIRD-PARTY-LICENSES.txt'), await licenseTexts(metafile));
await rename('dist', old).catch((error) => {
  if (error.code !== 'ENOENT') throw error;
});
await rename(fresh, 'dist');
await rm(old, { recursive: true, force: true });
