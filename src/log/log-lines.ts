// The lines that mail programs log when TLS or the relaying fails, each with its cause and what to do: Postfix in the
// words of every supported release, and the other programs of a home host. They are data (log-lines.json), and each
// sample was logged by a real program: test/e2e/log-lines.test.ts causes those of Postfix. docs/troubleshooting.md is
// made from it, and `explain` looks for its words. The ids are those of src/findings.

import kinds from './log-lines.json' with { type: 'json' };

/** Whose fault it is, and so where its cure is run: the host that logged it, the other one, or the one in a role. */
const places = ['here', 'peer', 'home', 'relay'] as const;
type Place = (typeof places)[number];

/** One kind of failure. */
export interface LogKind {
  readonly id: string;
  readonly at: Place;
  /** Its lines contain one of these: literal text, in which a `*` is anything without white space. */
  readonly words: readonly string[];
  /** It says that something failed, and another line says why. */
  readonly isSymptom?: boolean;
  /** Any client without a certificate of ours causes it as well. */
  readonly fromStrangers?: boolean;
  readonly cause: string;
  readonly fix: string;
  /** Lines as they were logged, and the releases of Postfix with these words. */
  readonly samples: readonly { readonly postfix: readonly string[]; readonly line: string }[];
  /** The words of other programs, each with a line as it was logged. */
  readonly programs: readonly { readonly program: string; readonly words: string; readonly line: string }[];
}

/** Every kind; causes come before symptoms. */
export const logKinds: readonly LogKind[] = kinds.map((kind) => ({
  ...kind,
  at: places.find((place) => place === kind.at) ?? 'here',
}));

/** For speed a line is first searched for the longest literal part, because most lines contain none. */
const patterns = logKinds.flatMap((kind) =>
  wordsOf(kind).map((words) => {
    const [longest = ''] = words.split('*').toSorted((one, other) => other.length - one.length);
    return { kind, longest, pattern: words.includes('*') ? patternOf(words) : undefined };
  }),
);

/** The kind of a line of a mail log; undefined if the line is about something else. The first match wins. */
export function findLogKind(line: string): LogKind | undefined {
  return patterns.find(
    ({ longest, pattern }) => line.includes(longest) && (pattern === undefined || pattern.test(line)),
  )?.kind;
}

/** The words of Postfix and of other programs. */
export function wordsOf({ words, programs }: LogKind): readonly string[] {
  return [...new Set([...words, ...programs.map((one) => one.words)])];
}

function patternOf(words: string): RegExp {
  return new RegExp(words.replaceAll(/[\\^$.()[\]{}|?+]/gu, String.raw`\$&`).replaceAll('*', String.raw`\S+`));
}
