// How src/ is bundled, and whose code is then in the bundle. build.mjs writes it; audit.mjs asks about it.

import { build, transform } from 'esbuild';

const target = 'node20.19';

/**
 * The bundle: `files`, each with its `path` and `text`, and esbuild's `metafile`. Only esbuild's ES modules can be split,
 * and Node loads CommonJS in two thirds of the time, so each part is split first and turned into CommonJS then.
 */
export async function bundle({ outdir }) {
  const { metafile, outputFiles } = await build({
    entryPoints: { main: 'src/main.ts' },
    outdir,
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target,
    mainFields: ['module', 'main'],
    loader: { '.sh': 'text' },
    minifySyntax: true,
    minifyWhitespace: true,
    // The licence of openpgp.js wants its banner kept.
    legalComments: 'inline',
    metafile: true,
    logLevel: 'warning',
    plugins: [withoutPrograms],
  });
  const files = outputFiles.map(async ({ path, text }) => ({ path, text: await commonJsOf(text) }));
  return { metafile, files: await Promise.all(files) };
}

/** commander can start a command that is a program of its own; ours are not, and Node's part for it is slow to load. */
const withoutPrograms = {
  name: 'without-programs',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer, path }) =>
      importer.includes('/commander/') ? { path, namespace: 'without-programs' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'without-programs' }, () => ({ contents: '' }));
  },
};

/** import() becomes require(), which loads nothing of Node's other loader; packages ask only createRequire() for a URL. */
async function commonJsOf(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__filename' },
  });
  return code;
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
