// A tar archive of regular files: POSIX ustar, with a pax header for a name over 100 octets, so that any tar unpacks
// what is written here. The reader accepts only what the writer writes: a foreign file may contain links, devices,
// paths that lead out of the folder, duplicate names or false sizes, and any of these makes all of it refused.

import type { FileMode } from '../sys/disk.js';

export interface TarFile {
  /** Relative, in the alphabet of `isTarName`. */
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly mode: FileMode;
}

const block = 512;
/** POSIX ustar, version 00; escaped so that no digit joins the NUL. */
const magic = 'ustar\u000000';
const longestName = 100;
/** No part begins with a dot or a hyphen, so none is `..`, hidden, or an option of a program. */
const part = /^[A-Za-z0-9_][A-Za-z0-9._+@-]{0,254}$/;
const mostParts = 8;

/** True if a path is allowed in an archive. */
export function isTarName(name: string): boolean {
  const parts = name.split('/');
  return parts.length <= mostParts && parts.every((each) => part.test(each));
}

/** The archive. All files belong to root at `at`, because their owner means nothing on another machine. */
export function writeTar(files: readonly TarFile[], at: Date): Buffer {
  const seconds = Math.floor(at.getTime() / 1000);
  const blocks = files.flatMap(({ name, bytes, mode }) => {
    if (!isTarName(name)) throw new TypeError(`no name for an archive: ${name}`);
    const isLong = name.length > longestName;
    const pax = isLong ? entry('pax', Buffer.from(paxRecord(name)), 0o600, seconds, 'x') : [];
    return [...pax, ...entry(name.slice(0, longestName), bytes, mode, seconds, '0')];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * block)]);
}

/** "LENGTH path=NAME\n", whose length counts its own digits (pax(1), "pax Extended Header"). */
function paxRecord(name: string): string {
  const rest = ` path=${name}\n`;
  const guess = rest.length + String(rest.length).length;
  return `${String(rest.length + String(guess).length)}${rest}`;
}

function entry(name: string, bytes: Uint8Array, mode: number, seconds: number, type: 'x' | '0'): readonly Uint8Array[] {
  const header = Buffer.alloc(block);
  const octal = (value: number, offset: number, digits: number): void => {
    header.write(value.toString(8).padStart(digits, '0'), offset, 'latin1');
  };
  header.write(name, 0, 'latin1');
  octal(mode, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(bytes.length, 124, 11);
  octal(seconds, 136, 11);
  header.write(type, 156, 'latin1');
  header.write(magic, 257, 'latin1');
  octal(sumOf(header), 148, 6);
  header.write('\0 ', 154, 'latin1');
  return [header, bytes, Buffer.alloc(padding(bytes.length))];
}

function padding(size: number): number {
  return (block - (size % block)) % block;
}

/** The sum of a header's octets, with its own field as spaces. */
function sumOf(header: Uint8Array): number {
  return header.reduce((sum, octet, index) => sum + (index >= 148 && index < 156 ? 0x20 : octet), 0);
}

/** The files of an archive; or a text that says what is wrong with it. */
export function readTar(archive: Buffer): readonly TarFile[] | { readonly flaw: string } {
  const files: TarFile[] = [];
  const names = new Set<string>();
  let longName: string | undefined;
  for (let offset = 0; ;) {
    const header = archive.subarray(offset, offset + block);
    if (header.length < block) return { flaw: 'it is cut off' };
    if (header.every((octet) => octet === 0)) {
      const rest = archive.subarray(offset);
      if (longName !== undefined || rest.length < 2 * block) return { flaw: 'it is cut off' };
      return rest.every((octet) => octet === 0) ? files : { flaw: 'it has more after its end' };
    }
    const found = readHeader(header);
    if (typeof found === 'string') return { flaw: found };
    const { type, mode, size } = found;
    const start = offset + block;
    const bytes = archive.subarray(start, start + size);
    if (bytes.length < size) return { flaw: 'it is cut off' };
    offset = start + size + padding(size);
    if (type === 'x') {
      longName = /^\d{1,4} path=([^\n=]+)\n$/.exec(bytes.toString('latin1'))?.[1];
      if (longName === undefined || paxRecord(longName) !== bytes.toString('latin1'))
        return { flaw: 'it has a header of another kind' };
      continue;
    }
    const name = longName ?? found.name;
    longName = undefined;
    if (!isTarName(name)) return { flaw: `it has a path that no backup has: ${JSON.stringify(name.slice(0, 80))}` };
    if (names.has(name)) return { flaw: `it has ${name} twice` };
    names.add(name);
    files.push({ name, bytes, mode });
  }
}

interface Header extends Pick<TarFile, 'name' | 'mode'> {
  readonly type: '0' | 'x';
  readonly size: number;
}

/** The fields of a header; or a text that says what is wrong with it. */
function readHeader(header: Buffer): Header | string {
  const text = (from: number, to: number): string => header.toString('latin1', from, to).replace(/\0+$/, '');
  const number = (from: number, to: number): number =>
    /^[0-7]+[\0 ]*$/.test(header.toString('latin1', from, to)) ? Number.parseInt(text(from, to), 8) : Number.NaN;
  if (text(257, 265) !== magic || number(148, 156) !== sumOf(header)) return 'a header in it is damaged';
  const type = text(156, 157);
  if (type !== '0' && type !== 'x') return 'it has something other than regular files';
  if (text(157, 257) !== '' || text(345, 500) !== '') return 'it has something other than regular files';
  const [mode, size] = [number(100, 108), number(124, 136)];
  if (!Number.isSafeInteger(size)) return 'a header in it is damaged';
  if (mode !== 0o600 && mode !== 0o644) return `it has a file with mode ${header.toString('latin1', 100, 107)}`;
  return { type, name: text(0, longestName), mode, size };
}
