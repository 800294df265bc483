// One word of POSIX sh. Every value has been through its own parser before; quoting comes besides.

const plain = /^[A-Za-z0-9_@%+=:,./-]+$/u;

/** `text` as one word of POSIX sh: as it is where nothing in it is special, otherwise in single quotes. */
export function shellWord(text: string): string {
  if (/[\0\n\r]/u.test(text)) throw new TypeError('a shell word of ours never holds a line end');
  return plain.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
