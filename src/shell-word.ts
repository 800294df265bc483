// One word of POSIX sh. Every value has been through its own parser before; quoting comes besides.

import { quotePath } from './errors.js';

const plain = /^[A-Za-z0-9_@%+=:,./-]+$/u;

/** `text` as one word of POSIX sh: as it is where nothing in it is special, otherwise in single quotes. */
export function shellWord(text: string): string {
  if (/[\0\n\r]/u.test(text)) throw new TypeError('a shell word of ours never holds a line end');
  return plain.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/**
 * A path that somebody named, as one word of a command in a hint. Where it holds control characters the word shows what
 * they are and names no file: a hint is one line.
 */
export function pathWord(path: string): string {
  return shellWord(/\p{Cc}/u.test(path) ? quotePath(path) : path);
}
