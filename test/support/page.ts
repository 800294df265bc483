// The commands on a page of the documentation: its fenced blocks of shell, by heading.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

export const textOfPage = (page: string): string => readFileSync(resolve(root, page), 'utf8');

/** The blocks in this language under a heading; throws if there are none, so that no test runs nothing. */
export function blocksUnder(page: string, heading: string, language = 'sh'): readonly string[] {
  const section = textOfPage(page)
    .split(/^## /mu)
    .find((one) => one.startsWith(`${heading}\n`));
  const found = fencedBlocks(section ?? '', language);
  if (found.length === 0) throw new Error(`${page} has no block of ${language} under "${heading}"`);
  return found;
}

/** All blocks in this language, without a list's indentation. */
export function fencedBlocks(text: string, language = 'sh'): readonly string[] {
  const blocks = text.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([^]*?)^ *\`\`\`$`, 'gmu'));
  return [...blocks].map(([, indent = '', lines = '']) => lines.replaceAll(new RegExp(`^${indent}`, 'gmu'), ''));
}
