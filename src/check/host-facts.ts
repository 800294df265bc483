// Reads the output of probe.sh on a host. The text comes from outside: it may contain anything, and everything that is
// not a section is skipped.

/** The lines below "@name words". */
export interface Section {
  readonly name: string;
  readonly words: readonly string[];
  readonly lines: readonly string[];
}

export interface HostFacts {
  readonly sections: readonly Section[];
}

/** Undefined if the text has no end: the script was cut off. */
export function parseFacts(text: string): HostFacts | undefined {
  const sections: { name: string; words: readonly string[]; lines: string[] }[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('@')) {
      const [name = '', ...words] = line.slice(1).split(' ');
      sections.push({ name, words, lines: [] });
    } else if (line.startsWith(' ')) sections.at(-1)?.lines.push(line.slice(1));
  }
  return sections.at(-1)?.name === 'end' ? { sections } : undefined;
}

/** The section with this name, about `word` if given. */
export function sectionOf({ sections }: HostFacts, name: string, word?: string): Section | undefined {
  return sections.find((one) => one.name === name && (word === undefined || one.words[0] === word));
}

/** Its lines; none if it is missing. */
export function linesOf(facts: HostFacts, name: string, word?: string): readonly string[] {
  return sectionOf(facts, name, word)?.lines ?? [];
}

/** Lines `name=value` as a map. */
export function valuesOf(lines: readonly string[], separator = '='): ReadonlyMap<string, string> {
  return new Map(
    lines.map((line) => {
      const at = line.indexOf(separator);
      return at < 0 ? [line, ''] : [line.slice(0, at), line.slice(at + separator.length)];
    }),
  );
}
