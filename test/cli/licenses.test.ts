// What the licences of other people's code require: their texts and notices are in the bundle, also those of packages
// embedded in a package, and npm packs them. Here esbuild is asked again what is in the bundle.

import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string): string => readFileSync(resolve(root, path), 'utf8');
const notices = read('dist/THIRD-PARTY-LICENSES.txt');

/** Text without line ends, indents and comment signs, which differ from copy to copy. */
const wordsOf = (text: string): string => text.replaceAll(/[\s*/]+/gu, ' ').trim();
const words = wordsOf(notices);

/** The files of packages in the bundle, by the folder of their package. */
const packages = new Map<string, string[]>();
beforeAll(async () => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ['src/main.ts'],
    outdir: 'dist',
    write: false,
    metafile: true,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    mainFields: ['module', 'main'],
    loader: {
      '.sh': 'text',
      '.bash': 'text',
      '.zsh': 'text',
      '.fish': 'text',
      '.html': 'text',
      '.help': 'text',
      '.yml': 'text',
    },
  });
  for (const input of Object.keys(metafile.inputs)) {
    const [folder] = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/u.exec(input) ?? [];
    if (folder !== undefined) packages.set(folder, [...(packages.get(folder) ?? []), input]);
  }
});

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}
const manifestOf = (folder: string): Manifest => JSON.parse(read(join(folder, 'package.json'))) as Manifest;

/** The names of packages in the source maps beside these files. */
function packagesInside(inputs: readonly string[]): readonly string[] {
  const maps = [...new Set(inputs.map((input) => dirname(input)))].flatMap((folder) =>
    readdirSync(resolve(root, folder)).flatMap((name) => (name.endsWith('.map') ? [join(folder, name)] : [])),
  );
  const sources = maps.flatMap((map) => (JSON.parse(read(map)) as { readonly sources: readonly string[] }).sources);
  const names = sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(source)?.[1] ?? '');
  return [...new Set(names)].filter((name) => name !== '');
}

describe('the notices of the bundle', () => {
  it('have the name, version, licence and its text of every package', () => {
    expect(packages.size).toBeGreaterThan(40);
    for (const folder of packages.keys()) {
      const { name, version, license } = manifestOf(folder);
      expect(notices, folder).toContain(`${name} ${version}\n${license}\n`);
      const file = readdirSync(resolve(root, folder)).find((entry) => /^licen[cs]e/iu.test(entry)) ?? '';
      expect(words, folder).toContain(wordsOf(read(join(folder, file))));
    }
  });

  it('have every package that a package has inside, with its text', () => {
    const inside = [...packages].flatMap(([folder, inputs]) =>
      packagesInside(inputs).map((name) => [manifestOf(folder).name, name] as const),
    );
    // openpgp.js's own manifest.
    expect(inside.map(([, name]) => name)).toEqual(expect.arrayContaining(['@noble/curves', 'fflate', 'argon2id']));
    for (const [outer, name] of inside) {
      const [, text = ''] = notices.split(`\n${name}, inside ${outer} `);
      expect(text.slice(0, 4000), name).toMatch(
        /\n(?:.*Permission is hereby granted|.*released into the public domain)/u,
      );
      expect(text.slice(0, 400), name).toMatch(/Copyright \(c\) \d{4}|public domain/u);
    }
  });

  it('have every copyright that a source file names', () => {
    let count = 0;
    for (const input of [...packages.values()].flat()) {
      for (const [line] of read(input).matchAll(/^\W*(?:copyright\b|\(c\) ?\d{4}).*$/gimu)) {
        expect(words, input).toContain(wordsOf(line));
        count += 1;
      }
    }
    expect(count).toBeGreaterThan(50);
  });

  it('have the GPL beside the LGPL, and say whose code the LGPL covers', () => {
    const lgpl = [...packages.keys()].filter((folder) => manifestOf(folder).license.includes('LGPL'));
    expect(lgpl.map((folder) => manifestOf(folder).name)).toEqual(['openpgp']);
    expect(words).toContain('GNU LESSER GENERAL PUBLIC LICENSE Version 3, 29 June 2007');
    expect(words).toContain('GNU GENERAL PUBLIC LICENSE Version 3, 29 June 2007');
    expect(words).toContain('How to Apply These Terms to Your New Programs');
    expect(words).toContain('relaycerts uses openpgp, and openpgp and its use are covered by');
    for (const [page, name] of [
      ['README.md', 'LGPL'],
      ['README.md', 'THIRD-PARTY-LICENSES.txt'],
      ['SECURITY.md', 'THIRD-PARTY-LICENSES.txt'],
    ] as const) {
      expect(read(page), page).toContain(name);
    }
  });
});

it('openpgp.js is a separate file, and keeps all its banners', () => {
  const names = readdirSync(resolve(root, 'dist')).filter((name) => name.endsWith('.cjs'));
  const library = names.filter((name) => read(`dist/${name}`).includes('/*! OpenPGP.js v'));
  expect(library).toEqual([expect.stringMatching(/^openpgp-/u)]);
  const text = read(`dist/${library[0] ?? ''}`);
  for (const name of ['ciphers', 'curves', 'hashes']) expect(text).toContain(`/*! noble-${name} - MIT License (c) `);
  expect(names.length).toBeGreaterThan(2);
});

it('npm packs every licence, and the manifest names no dead address', () => {
  const { stdout, stderr } = spawnSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: root });
  const [packed] = JSON.parse(stdout.toString()) as [{ readonly files: readonly { readonly path: string }[] }];
  const paths = packed.files.map(({ path }) => path);
  expect(paths, stderr.toString()).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'dist/THIRD-PARTY-LICENSES.txt',
      'README.md',
      'SECURITY.md',
      'CHANGELOG.md',
      'CONTRIBUTING.md',
      'man/relaycerts.1',
      'settings.schema.json',
      'docs/recipes.md',
      'docs/json.schema.json',
    ]),
  );
  const manifest = JSON.parse(read('package.json')) as Record<string, unknown>;
  expect(read('LICENSE')).toContain(String(manifest['author']));
  // If there is an address, both name it.
  const promise = /## Reporting\n([^]*)$/u.exec(read('SECURITY.md'))?.[1] ?? '';
  expect(promise.includes("package's metadata")).toBe(manifest['bugs'] !== undefined);
});
