// Everything that the pages name exists: files, folders, links, scripts, commands with their options, settings; and the
// README is short. test/e2e/recipes.test.ts runs the commands.

import { existsSync, readdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildProgram } from '../../src/cli/program.js';
import type { SysCommand } from '../../src/cli/options.js';
import { fencedBlocks, textOfPage as textOf } from '../support/page.js';

const root = resolve(import.meta.dirname, '../..');
const inFolder = (folder: string): readonly string[] =>
  readdirSync(resolve(root, folder)).filter((name) => name.endsWith('.md'));
const pages = [...inFolder('.'), ...inFolder('docs').map((name) => `docs/${name}`)];

/** True if the path, which may have a `*` in its last part, names something in this checkout. */
function isThere(path: string): boolean {
  if (!path.includes('*')) return existsSync(resolve(root, path));
  const [before = '', after = ''] = path.split('*');
  const folder = resolve(root, dirname(`${before}x`));
  const start = before.slice(before.lastIndexOf('/') + 1);
  return readdirSync(folder).some((name) => name.startsWith(start) && name.endsWith(after));
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchorsOf(text: string): readonly string[] {
  return [...text.matchAll(/^#+ (.+)$/gmu)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/gu, '')
      .replaceAll(' ', '-'),
  );
}

const program = buildProgram(
  {
    env: {},
    stdin: process.stdin,
    stdout: { write: () => undefined },
    stderr: { write: () => undefined },
    cwd: () => '/',
  },
  () => undefined,
);

/** What is in a line about relaycerts but not in its command tree. */
function flawsOfCommand(line: string): readonly string[] {
  const [, text] = /(?:^|\s)relaycerts ([^|>&;]*)/u.exec(line) ?? [];
  if (text === undefined) return [];
  const words = text.split(/\s+/u);
  let command: SysCommand = program;
  for (const word of words) {
    const below = command.commands.find((one) => one.name() === word) as SysCommand | undefined;
    command = below ?? command;
  }
  const options = new Set([...program.options, ...command.options].flatMap(({ short, long }) => [short, long]));
  const unknown = words.filter((word) => /^-{1,2}[a-z]/u.test(word) && !options.has(word.replace(/=.*$/u, '')));
  const isCommand = command !== program || words.every((word) => !/^[a-z]/u.test(word));
  return [...(isCommand ? [] : [`no command: ${line}`]), ...unknown.map((word) => `no ${word}: ${line}`)];
}

describe('the README', () => {
  const text = textOf('README.md');

  it('is at most 150 lines and 9 KB, no line over 100 columns', () => {
    expect(text.split('\n').length - 1).toBeLessThanOrEqual(150);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(9 * 1024);
    expect(text.split('\n').filter((line) => line.length > 100)).toEqual([]);
  });

  it('names every command', () => {
    const names = program.commands.map((command) => command.name()).filter((name) => name !== 'help');
    const table = text.split('\n').filter((line) => line.startsWith('| `'));
    const missing = names.filter((name) => !table.some((row) => new RegExp(`\`${name}[ \`]`, 'u').test(row)));
    expect(missing).toEqual([]);
  });
});

/** Every key of the settings, at any depth; the parameters of `overrides` are Postfix's. */
function settingsKeys(schema: unknown): readonly string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  return Object.entries(schema).flatMap(([word, below]) => {
    if (word !== 'properties') return settingsKeys(below);
    return Object.entries(below as object).flatMap(([key, inner]) => [
      key,
      ...(key === 'overrides' ? [] : settingsKeys(inner)),
    ]);
  });
}

it('docs/settings.md names every setting', () => {
  const text = textOf('docs/settings.md');
  const keys = settingsKeys(JSON.parse(textOf('settings.schema.json'))).filter((key) => key !== '$schema');
  expect(keys.length).toBeGreaterThan(30);
  expect(keys.filter((key) => !new RegExp(`\\b${key}\\b`, 'u').test(text))).toEqual([]);
});

describe.each(pages)('%s', (page) => {
  it('names no file of the checkout that is not there', () => {
    const named = [...textOf(page).matchAll(/(?<![\w./-])((?:src|test|scripts|bin)\/[\w./*-]*[\w/*])/gu)].map(
      ([, path = '']) => path,
    );
    const within = [
      ...textOf(page).matchAll(
        /`((?:certificate|findings|log|plan|custody|issue|store|remote|probe|render|check|wizard|commands|settings|sys|cli)\/[\w-]+\.ts)`/gu,
      ),
    ].map(([, path = '']) => `src/${path}`);
    expect([...named, ...within].filter((path) => !isThere(path))).toEqual([]);
    if (page === 'ARCHITECTURE.md') expect(named.length + within.length).toBeGreaterThan(20);
  });

  it('links to nothing that is not there', () => {
    const links = [...textOf(page).matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)/gu)];
    const dead = links.filter(([, path = '', anchor]) => {
      const target = path === '' ? page : `${dirname(page)}/${path}`;
      if (!existsSync(resolve(root, target))) return true;
      return anchor !== undefined && !anchorsOf(textOf(target)).includes(anchor);
    });
    expect(dead.map(([link]) => link)).toEqual([]);
  });

  it('names no command and no option that the program does not have', () => {
    const code = [...textOf(page).matchAll(/`(relaycerts [^`\n]+)`/gu)].map(([, line = '']) => line);
    const lines = fencedBlocks(textOf(page)).flatMap((block) => block.split('\n'));
    expect([...code, ...lines].flatMap(flawsOfCommand)).toEqual([]);
  });

  it('names no npm script that is not there', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
    const named = [...textOf(page).matchAll(/npm run (?:--silent )?([\w:]+)/gu)].map(([, name = '']) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
  });
});
