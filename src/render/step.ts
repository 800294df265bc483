// What a person does for one host, as data: a step has words and blocks. A block is for copying: commands for one
// place, or a file's lines. host.ts puts the markers around it, so that exactly what is pasted is also tested.

import type { Section } from './sections.js';

export interface Block {
  /** Where it is run: on this machine, or on the host as root; or the file that the lines are for. */
  readonly where: 'here' | 'host' | { readonly file: string };
  readonly lines: readonly string[];
}

export interface Step {
  readonly section: Section;
  readonly title: string;
  /** Words and blocks in the order in which they are read. */
  readonly parts: readonly (string | Block)[];
}

export function step(section: Section, title: string, parts: Step['parts']): Step {
  return { section, title, parts };
}

/** Lines for one place, between the markers described in host.ts. */
export function marked(place: string, lines: readonly string[]): readonly string[] {
  return [`# >>> relaycerts: ${place}`, ...lines, '# <<< relaycerts'];
}

/** Where a block is run, in words, or which file its lines are for. */
export function placeOf({ where }: Block, hostname: string): string {
  if (where === 'here') return 'run here';
  return where === 'host' ? `run on ${hostname} as root` : `${where.file} on ${hostname}`;
}

/** The first line of a file on the host in which everything is ours. */
export const madeLine = '# Made by relaycerts; changes are lost.';

/** Commands for the host, as root. */
export function onHost(lines: readonly string[]): Block {
  return { where: 'host', lines };
}

/** Lines of a file on the host. */
export function inFile(file: string, lines: readonly string[]): Block {
  return { where: { file }, lines };
}

/** One command over several lines. */
export function continued(lines: readonly string[]): readonly string[] {
  return lines.map((line, at) => `${at === 0 ? '' : '  '}${line}${at === lines.length - 1 ? '' : ' \\'}`);
}

/** As many words in each line as fit. */
export function wrapWords(words: readonly string[], columns: number, indent = ''): readonly string[] {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(`${indent}${word}`);
  }
  return lines;
}
