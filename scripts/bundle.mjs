// How src/ is bundled, and whose code is then in the bundle. build.mjs writes it; audit.mjs asks about it.

import { build } from 'esbuild';

/** Bundles into `outdir`; with `write: false` it only looks. Resolves with esbuild's metafile. */
export async function bundle({ outdir, write }) {
  const { metafile } = await build({
    entryPoints: { main: 'src/main.ts' },
    outdir,
    write,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    mainFields: ['module', 'main'],
    loader: { '.sh': 'text' },
    minifySyntax: true,
    minifyWhitespace: true,
    // The licence of openpgp.js wants its banner kept.
    legalComments: 'inline',
    metafile: true,
    logLevel: 'warning',
    // CommonJS packages call require() for Node's own modules; an ES module has none of its own.
    banner: {
      js: "import{createRequire as createRequire_}from'node:module';const require=createRequire_(import.meta.url);",
    },
  });
  return metafile;
}

/** The packages whose code is in the bundle, by name: { name, folder }; a package may be there in two versions. */
export function packagesIn(metafile) {
  const packages = new Map();
  for (const input of Object.keys(metafile.inputs)) {
    const [folder, name] = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)(?=\/)/u.exec(input) ?? [];
    if (folder !== undefined) packages.set(folder, { name, folder });
  }
  if (packages.size === 0) throw new Error('the bundle names no package under node_modules: is it a link?');
  return [...packages.values()].toSorted((a, b) => a.folder.localeCompare(b.folder));
}
