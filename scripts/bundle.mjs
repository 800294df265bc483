// How src/ is bundled, and whose code is then in the bundle. build.mjs writes it; audit.mjs asks about it.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { build, transform } from 'esbuild';

const target = 'node20.19';

/** Octets; a part over this has a file of its own. */
const big = 100_000;

/** What is imported as its text. */
export const loader = {
  '.sh': 'text',
  '.bash': 'text',
  '.zsh': 'text',
  '.fish': 'text',
  '.html': 'text',
  '.help': 'text',
};

/**
 * The bundle: `files`, each with its `name` and `text`, and esbuild's `metafile`. Only esbuild's ES modules can be split,
 * and Node loads CommonJS sooner, so each part is split off first and turned into CommonJS then.
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
    minifySyntax: true,
    minifyWhitespace: true,
    // The licence of openpgp.js wants its banner kept.
    legalComments: 'inline',
    metafile: true,
    logLevel: 'warning',
    plugins: [withoutPrograms, withLateTables],
  });
  return { metafile, files: await pack(metafile.outputs, outputFiles) };
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

/**
 * openpgp.js fills tables for AES and DEFLATE in JavaScript when it is loaded, which is half of its loading time, and
 * then has Node do both. So they are made when they are first used. `edits` are [what is there, what is there instead].
 */
const withLateTables = {
  name: 'with-late-tables',
  setup({ onLoad }) {
    onLoad({ filter: /\/openpgp\/dist\/node\/openpgp\.mjs$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const [before, after] of lateTables) {
        if (!before.test(contents)) throw new Error(`openpgp.js is another one: ${before} is not in it`);
        contents = contents.replace(before, after);
      }
      return { contents };
    });
  },
};

const lateTables = [
  [/^import /mu, '/*! Modified for relaycerts: tables are made when they are first used. */\nimport '],
  [/^const (table(?:En|De)coding) = .*(genTtable\(.*\));$/gmu, 'const $1 = makeOnce(() => $2);'],
  [/= (table(?:En|De)coding);/gu, '= $1();'],
  [/^function genTtable/mu, 'const makeOnce = (make) => { let made; return () => (made ??= make()); };\n$&'],
  // All of fflate, the library inside for DEFLATE.
  [
    /^\/\/ DEFLATE is a complex format[^]*?(?=^\/\*\* @access public \*\/$)/mu,
    'const fflate = makeOnce(() => {\n$&return { Deflate, Inflate, Zlib, Unzlib };\n});\n',
  ],
  [/(?<=pressor, )(?:Deflate|Inflate|Zlib|Unzlib)(?=\))/gu, "'$&'"],
  [/new ZlibStreamedConstructor\(\)/u, 'new (fflate()[ZlibStreamedConstructor])()'],
];

/**
 * The parts in as few files as make sense, with a digest of it all: one for every start, one for the command line, one
 * for what commands share, and one for each big part that few of them need. bin/load.js loads them.
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

/** import() becomes require(), which loads nothing of Node's other loader; createRequire() takes a path for a URL. */
async function commonJsOf(text) {
  const { code } = await transform(text, {
    format: 'cjs',
    platform: 'node',
    target,
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'inline',
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
