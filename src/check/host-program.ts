// Judges the mail program of a home host that has no Postfix: it is there, new enough and running, its files have our lines
// and no others that count, and it has taken them. What it does with mail that these do not concern is not looked at. Pure.

import { findingOf, type Finding } from '../findings/finding.js';
import type { HomeProgram } from '../render/home-programs.js';
import { linesOf, sectionOf, type HostFacts } from './host-facts.js';

/** What a file is, in the words of probe-program.sh. */
const words: Readonly<Record<string, string>> = {
  missing: 'it is missing',
  lines: 'the lines of relaycerts are missing, or somebody changed them',
  others: 'it has other lines that take effect besides those of relaycerts',
};

/** What is wrong with the program and its files. */
export function judgeProgram(program: HomeProgram, hostname: string, facts: HostFacts): readonly Finding[] {
  const { title, service } = program;
  const [release = ''] = sectionOf(facts, 'program')?.words ?? [];
  if (release === 'missing') {
    return [findingOf('program-missing', hostname, { found: title, package: program.package })];
  }
  const [oldest] = sectionOf(facts, 'program-old')?.words ?? [];
  const edits = facts.sections.flatMap(({ name, words: [file = '', state = ''] }) =>
    name === 'edit' && state !== 'right'
      ? [findingOf('program-differs', hostname, { file, found: words[state] ?? state })]
      : [],
  );
  // What is not in the files cannot have been taken.
  const [refused] = edits.length > 0 ? [] : linesOf(facts, 'not-applied');
  const [file = ''] = program.edits.map((one) => one.file);
  return [
    ...(oldest === undefined ? [] : [findingOf('program-old', hostname, { title, found: release, wanted: oldest })]),
    ...edits,
    ...(refused === undefined ? [] : [findingOf('program-differs', hostname, { file, found: refused })]),
    ...(sectionOf(facts, 'program-stopped') === undefined
      ? []
      : [findingOf('program-stopped', hostname, { found: title, service })]),
  ];
}
