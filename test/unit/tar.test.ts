// The archive of a backup: what is written is read back, and anything else is refused with a reason.

import { describe, expect, it } from 'vitest';
import { isTarName, readTar, writeTar, type TarFile } from '../../src/store/tar.js';

const at = new Date('2026-11-01T00:00:00Z');
const long = `project/certs/smtp-client/${'a'.repeat(60)}.${'b'.repeat(60)}.example.org.key.pem`;
const files: readonly TarFile[] = [
  { name: 'project/settings.json', bytes: Buffer.from('{}'), mode: 0o644 },
  { name: long, bytes: Buffer.alloc(512, 1), mode: 0o600 },
  { name: 'empty', bytes: Buffer.alloc(0), mode: 0o600 },
  { name: 'project/large', bytes: Buffer.alloc(2000, 2), mode: 0o644 },
];

/** The only file's archive with some octets changed, and the header's checksum with them. */
function spoilt(change: (header: Buffer) => void, file: Partial<TarFile> = {}): Buffer {
  const archive = writeTar([{ name: 'one', bytes: Buffer.from('1'), mode: 0o600, ...file }], at);
  const header = archive.subarray(0, 512);
  change(header);
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, octet) => total + octet, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return archive;
}

const put =
  (text: string, offset: number) =>
  (header: Buffer): void =>
    void header.write(text, offset, 'latin1');

const bad: Readonly<Record<string, readonly [Buffer, RegExp]>> = {
  'a path out of the folder': [spoilt(put('../one', 0)), /a path that no backup has: "\.\.\/one"/],
  'a path out of it further in': [spoilt(put('a/../../one', 0)), /a path that no backup has/],
  'an absolute path': [spoilt(put('/etc/passwd', 0)), /a path that no backup has/],
  'a hidden file': [spoilt(put('.ssh', 0)), /a path that no backup has/],
  'an option': [spoilt(put('-rf', 0)), /a path that no backup has/],
  'a line end in a path': [spoilt(put('a\nb', 0)), /a path that no backup has: "a\\nb"/],
  'a path that is no text': [spoilt(put('a\u0080b', 0)), /a path that no backup has/],
  'no path': [spoilt((header) => header.fill(0, 0, 100)), /a path that no backup has/],
  'a prefix': [spoilt(put('/etc', 345)), /other than regular files/],
  'a hard link': [spoilt(put('1', 156)), /other than regular files/],
  'a symbolic link': [spoilt(put('2', 156)), /other than regular files/],
  'a device': [spoilt(put('3', 156)), /other than regular files/],
  'a folder': [spoilt(put('5', 156)), /other than regular files/],
  'a FIFO': [spoilt(put('6', 156)), /other than regular files/],
  'a name of a link': [spoilt(put('/etc/passwd', 157)), /other than regular files/],
  'a global header': [spoilt(put('g', 156)), /other than regular files/],
  'a long name of GNU tar': [spoilt(put('L', 156)), /other than regular files/],
  'a set-user-ID program': [spoilt(put('0004755\0', 100)), /mode 0004755/],
  'a file for everybody': [spoilt(put('0000666\0', 100)), /mode 0000666/],
  'a size beyond its end': [spoilt(put('00000777777\0', 124)), /cut off/],
  'a size of many octets': [spoilt(put('\u0080\u00ff\u00ff\u00ff', 124)), /header in it is damaged/],
  'a size below zero': [spoilt(put('-0000000001', 124)), /header in it is damaged/],
  'a header of pax that is none': [spoilt(put('x', 156)), /header of another kind/],
  'a header of pax with a link': [
    spoilt(put('x', 156), { bytes: Buffer.from('17 linkpath=/etc\n') }),
    /of another kind/,
  ],
  'a header of pax with two records': [
    spoilt(put('x', 156), { bytes: Buffer.from('10 path=a\n12 size=10\n') }),
    /of another kind/,
  ],
  'a path out of it in a header of pax': [
    Buffer.concat([
      spoilt(put('x', 156), { bytes: Buffer.from('16 path=../../x\n') }).subarray(0, 1024),
      writeTar([{ name: 'one', bytes: Buffer.from('1'), mode: 0o600 }], at),
    ]),
    /a path that no backup has/,
  ],
  'a name twice': [writeTar([...files, ...files], at), /it has project\/settings\.json twice/],
  'another format': [spoilt((header) => header.fill(0, 257, 265)), /header in it is damaged/],
  'a wrong sum': [
    (() => {
      const archive = writeTar(files, at);
      archive[0] = 0x41;
      return archive;
    })(),
    /header in it is damaged/,
  ],
  nothing: [Buffer.alloc(0), /cut off/],
  text: [Buffer.from('hello'.repeat(300)), /header in it is damaged/],
  'more after the end': [Buffer.concat([writeTar(files, at), Buffer.from('x')]), /more after its end/],
};

describe('an archive', () => {
  it('is read back as it was written', () => {
    expect(long.length).toBeGreaterThan(100);
    const back = readTar(writeTar(files, at));
    expect(back).toEqual(files.map(({ bytes, ...file }) => ({ ...file, bytes: Buffer.from(bytes) })));
  });

  it.each([95, 96, 97, 98, 99, 100, 101, 102, 995, 996, 997, 998, 999].map((length) => [length]))(
    'takes a name of %i octets',
    (length) => {
      const name = Array.from({ length }, (_, index) => (index % 200 === 199 && index < length - 1 ? '/' : 'a')).join(
        '',
      );
      expect(readTar(writeTar([{ name, bytes: Buffer.from('1'), mode: 0o600 }], at))).toMatchObject([{ name }]);
    },
  );

  it.each(Object.entries(bad))('is refused with %s', (_, [archive, flaw]) => {
    const found = readTar(archive);
    expect('flaw' in found ? found.flaw : found).toMatch(flaw);
  });

  it('is refused however short it is cut', () => {
    const archive = writeTar(files, at);
    for (let length = 0; length < archive.length; length += 1) {
      expect(readTar(archive.subarray(0, length)), String(length)).toMatchObject({ flaw: 'it is cut off' });
    }
  });
});

it('a name for an archive has parts of a plain alphabet', () => {
  for (const name of ['a', 'a/b.c', 'A_1@x+y-z']) expect(isTarName(name)).toBe(true);
  for (const name of ['', '/', 'a/', '/a', 'a//b', '.', 'a/.', 'a/..', 'a b', 'ä', 'a\0', '~', 'a/'.repeat(8) + 'a']) {
    expect(isTarName(name), name).toBe(false);
  }
});
