// Words that read as translated stay out of strings, comments and documents (plain English is what users notice first).
// Only words that are never right here are listed; the others need a reader.

import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const places = ['src', 'bin', 'scripts', 'docs', 'man', 'README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CHANGELOG.md'];
const others = ['CONTRIBUTING.md', 'BENCHMARKS.md'];
const odd =
  /\b(?:anew|whoever|mend(?:s|ed|ing)?|ought|lies|stands)\b|\b(?:is|are|be|was|were) told\b(?! apart)|, for (?:it|they|he|there|nobody|nothing) /iu;

const filesIn = (place: string): readonly string[] =>
  /\.\w+$/u.test(place)
    ? [place]
    : readdirSync(join(root, place), { withFileTypes: true }).flatMap((entry) =>
        entry.isDirectory() ? filesIn(join(place, entry.name)) : [join(place, entry.name)],
      );

it('no file for people has a word that reads as translated', () => {
  const files = [...places, ...others].flatMap(filesIn);
  expect(files.length).toBeGreaterThan(200);
  const found = files.flatMap((file) =>
    readFileSync(join(root, file), 'utf8')
      .split('\n')
      .flatMap((line, at) => (odd.test(line) ? [`${file}:${at + 1}: ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});
