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

/** As in probe.sh. */
const mostLinesOfSection = 2000;
/** Twenty times as many as a host with ten relays prints. */
const mostLines = 20_000;

/**
 * Undefined if the text has no end: the script was cut off. The limits are on what can become a finding: a section that
 * comes twice counts once, and what is too much is skipped.
 */
export function parseFacts(text: string): HostFacts | undefined {
  const sections = new Map<string, { name: string; words: readonly string[]; lines: string[] }>();
  let last: { name: string; lines: string[] } | undefined;
  let count = 0;
  for (const line of text.split('\n')) {
    if (line.startsWith('@')) {
      const [name = '', ...words] = line.slice(1).split(' ');
      const section = { name, words, lines: [] };
      const id = `${name} ${words[0]}`;
      if (!sections.has(id) && count < mostLines) sections.set(id, section);
      last = section;
      count += 1;
    } else if (line.startsWith(' ') && count < mostLines && last !== undefined) {
      if (last.lines.length < mostLinesOfSection) last.lines.push(line.slice(1));
      count += 1;
    }
  }
  return last?.name === 'end' ? { sections: [...sections.values()] } : undefined;
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
