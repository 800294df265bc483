// One word of POSIX sh. Values are validated by their own parsers first; quoting comes on top of that.
// It quotes words, also as values of variables, and does not build command lines.

import { writeJson } from './json-text.js';

const plain = /^[A-Za-z0-9_@%+=:,./-]+$/u;

/**
 * `text` as one word of POSIX sh: unchanged if no character is special, otherwise in single quotes.
 *
 * @source POSIX.1 XCU 2.2.2 (single-quotes)
 */
export function shellWord(text: string): string {
  if (/[\0\n\r]/u.test(text)) throw new TypeError('a shell word never holds a line end here');
  return plain.test(text) ? text : textWord(text);
}

/** Several words, with spaces between them. */
export function shellWords(texts: readonly string[]): string {
  return texts.map((text) => shellWord(text)).join(' ');
}

/** Variables of a script, one line each. */
export function assignments(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flatMap(([name, value]) => [
    ...(value.includes('$') ? ['# shellcheck disable=SC2016 # another program expands it'] : []),
    `${name}=${shellWord(value)}`,
  ]);
}

/** A text of several lines as one word, for a shell run here or over ssh, never on a printed line. */
export function textWord(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * A path from the user as one word of a command in a hint. Control characters are shown escaped, and the word then
 * names no file, because a hint is one line.
 */
export function pathWord(path: string): string {
  return shellWord(!plain.test(path) && /\p{Cc}/u.test(path) ? writeJson(path) : path);
}
