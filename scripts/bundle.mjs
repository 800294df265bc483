// How src/ is bundled, and whose code is in the bundle. build.mjs writes it; audit.mjs asks about it.

import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { build, transform } from 'esbuild';

const target = 'node20.19';

/** Octets; a larger part has its own file. */
const big = 100_000;

/** Files that are imported as text. */
export const loader = {
  '.sh': 'text',
  '.bash': 'text',
  '.zsh': 'text',
  '.fish': 'text',
  '.html': 'text',
  '.yml': 'text',
  '.help': 'text',
};

/**
 * The bundle: `files`, each with its `name` and `text`, and esbuild's `metafile`. esbuild can split only ES modules,
 * and Node loads CommonJS faster, so each part is split off first and then turned into CommonJS.
 */
export async function bundle() {
  const { metafile, outputFiles } = await build({
    entryPoints: { main: 'src/main.ts' },
    outdir: 'dist',
    write: false,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target,
    mainFields: ['module', 'main'],
    loader,
    minify: true,
    // openpgp.js's licence requires its banner.
    legalComments: 'inline',
    metafile: true,
    logLevel: 'warning',
    plugins: [withoutPrograms],
  });
  return { metafile, files: await pack(metafile.outputs, outputFiles) };
}

/** commander can run a command as a separate program; ours are not, and the part of Node it needs is slow to load. */
const withoutPrograms = {
  name: 'without-programs',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ importer, path }) =>
      importer.includes('/commander/') ? { path, namespace: 'without-programs' } : undefined,
    );
    onLoad({ filter: /./, namespace: 'without-programs' }, () => ({ contents: '' }));
  },
};

/**
 * The parts in as few files as is sensible, with a digest of everything: one for every start, one for the command line,
 * one for what commands share, and one for each big part that few of them need. bin/load.js loads them.
 */
async function pack(outputs, outputFiles) {
  const parts = new Map();
  for (const { path, text } of outputFiles) parts.set(`./${basename(path)}`, await commonJsOf(text));
  const early = new Map();
  const follow = (name, file) => {
    if (early.has(name)) return;
    early.set(name, file);
    const { imports } = outputs[Object.keys(outputs).find((path) => path.endsWith(name.slice(1)))];
    for (const { path, kind } of imports)
      if (kind === 'import-statement' && parts.has(`./${basename(path)}`)) follow(`./${basename(path)}`, file);
  };
  follow('./main.js', 'main.cjs');
  // The commander tree, which --help does without.
  follow(
    [...parts.keys()].find((name) => name.startsWith('./program-')),
    'program.cjs',
  );
  const fileOf = (name) => {
    if (early.has(name)) return early.get(name);
    return parts.get(name).length > big ? `${name.slice('./'.length, -'.js'.length)}.cjs` : 'commands.cjs';
  };
  const files = Object.fromEntries([...parts.keys()].map((name) => [name, fileOf(name)]));
  const texts = new Map();
  for (const [name, code] of parts) {
    const definition = `${JSON.stringify(name)}(module,exports,require,__filename){${code}\n}`;
    texts.set(files[name], [...(texts.get(files[name]) ?? []), definition]);
  }
  const packed = [...texts].map(([name, definitions]) => ({ name, text: `({${definitions.join(',\n')}})\n` }));
  const foreign = packed.find(({ text }) => /[^\0-\x7f]/u.test(text));
  if (foreign !== undefined) throw new Error(`${foreign.name} is not ASCII, which is what it is read as`);
  const id = createHash('sha256')
    .update(JSON.stringify([files, packed]))
    .digest('hex')
    .slice(0, 32);
  return [...packed, { name: 'parts.json', text: `${JSON.stringify({ id, files })}\n` }];
}

/** import() becomes require(), which does not load Node's other loader; createRequire() accepts a path for a URL. */
async function commonJsOf(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    minify: true,
    legalComments: 'inline',
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__filename' },
  });
  return code;
}

/** The packages whose code is in the bundle, by name: { name, folder }; there may be two versions of a package. */
export function packagesIn(metafile) {
  const packages = new Map();
  for (const input of Object.keys(metafile.inputs)) {
    const [folder, name] = /^(?:.*\/)?node_modules\/((?:@[^/]+\/)?[^/]+)(?=\/)/u.exec(input) ?? [];
    if (folder !== undefined) packages.set(folder, { name, folder });
  }
  if (packages.size === 0) throw new Error('the bundle names no package under node_modules: is it a link?');
  return [...packages.values()].toSorted((a, b) => a.folder.localeCompare(b.folder));
}
