// The lines that Postfix logs when TLS or the relaying fails, each with its cause and what to do, in the words of every
// release that is supported. They are data (log-lines.json), and each sample there was logged by a real Postfix:
// test/e2e/log-lines.test.ts causes them all. docs/troubleshooting.md is made from it.

import kinds from './log-lines.json' with { type: 'json' };

/** One kind of failure. */
export interface LogKind {
  readonly id: string;
  /** What its lines hold, one of these: literal text, in which a `*` is anything without white space. */
  readonly words: readonly string[];
  /** Says that something failed, and another line says why. */
  readonly isSymptom?: boolean;
  readonly cause: string;
  readonly fix: string;
  /** Lines as they were logged, and the releases of Postfix that log these words. */
  readonly samples: readonly { readonly postfix: readonly string[]; readonly line: string }[];
}

/** Every kind; causes come before symptoms. */
export const logKinds: readonly LogKind[] = kinds;

const patterns = logKinds.map((kind) => ({
  kind,
  pattern: new RegExp(kind.words.map(patternOf).join('|'), 'u'),
}));

/** The kind of a line of a mail log; undefined if the line is about something else. The first that fits wins. */
export function findLogKind(line: string): LogKind | undefined {
  return patterns.find(({ pattern }) => pattern.test(line))?.kind;
}

function patternOf(words: string): string {
  return words.replaceAll(/[\\^$.()[\]{}|?+]/gu, String.raw`\$&`).replaceAll('*', String.raw`\S+`);
}
