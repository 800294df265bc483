// What the pages name is there: files, folders, scripts.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const pages = ['README.md', 'ARCHITECTURE.md', 'SECURITY.md', 'CHANGELOG.md', 'docs/troubleshooting.md'];
const textOf = (page: string): string => readFileSync(resolve(root, page), 'utf8');

/** True where the path, a `*` in its last part allowed, names something in this checkout. */
function isThere(path: string): boolean {
  if (!path.includes('*')) return existsSync(resolve(root, path));
  const [before = '', after = ''] = path.split('*');
  const folder = resolve(root, dirname(`${before}x`));
  const start = before.slice(before.lastIndexOf('/') + 1);
  return readdirSync(folder).some((name) => name.startsWith(start) && name.endsWith(after));
}

describe.each(pages)('%s', (page) => {
  it('names no file of the checkout that is not there', () => {
    const named = [...textOf(page).matchAll(/(?<![\w./-])((?:src|test|scripts|bin)\/[\w./*-]*[\w/*])/gu)].map(
      ([, path = '']) => path,
    );
    const within = [
      ...textOf(page).matchAll(
        /`((?:certificate|plan|custody|issue|store|render|wizard|commands|settings|host|cli)\/[\w-]+\.ts)`/gu,
      ),
    ].map(([, path = '']) => `src/${path}`);
    expect([...named, ...within].filter((path) => !isThere(path))).toEqual([]);
    if (page === 'ARCHITECTURE.md') expect(named.length + within.length).toBeGreaterThan(20);
  });

  it('links to nothing that is not there', () => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:|#)([^)#]+)/gu)].map(([, path = '']) => path);
    expect(links.filter((path) => !existsSync(resolve(root, path)))).toEqual([]);
  });

  it('names no npm script that is not there', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
    const named = [...textOf(page).matchAll(/npm run (?:--silent )?([\w:]+)/gu)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
