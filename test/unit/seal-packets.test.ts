import { describe, expect, it } from 'vitest';
import { isText, readArmor, readPackets, readSessionKeyId } from '../../src/custody/packets.js';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const many = (length: number): number[] => Array.from({ length }, (_, at) => at & 0xff);

const armor = (body: string, end = '-----END PGP MESSAGE-----'): Uint8Array =>
  new TextEncoder().encode(`-----BEGIN PGP MESSAGE-----\n${body}${end}\n`);

describe('readPackets', () => {
  const long = many(300);
  it.each([
    ['new format, one octet', bytes(0xc1, 2, 7, 8), [[1, [7, 8]]]],
    ['new format, two octets', bytes(0xd2, 192, 108, ...long), [[18, long]]],
    ['new format, five octets', bytes(0xd2, 255, 0, 0, 1, 44, ...long), [[18, long]]],
    ['new format, partial lengths', bytes(0xd2, 0xe1, 1, 2, 0xe0, 3, 1, 4), [[18, [1, 2, 3, 4]]]],
    ['old format, one octet', bytes(0x84, 2, 7, 8), [[1, [7, 8]]]],
    ['old format, two octets', bytes(0x85, 1, 44, ...long), [[1, long]]],
    ['old format, four octets', bytes(0x86, 0, 0, 1, 44, ...long), [[1, long]]],
    ['old format, until the end', bytes(0xa3, 5, 6), [[8, [5, 6]]]],
    [
      'two in a row',
      bytes(0x84, 1, 9, 0xd2, 1, 1),
      [
        [1, [9]],
        [18, [1]],
      ],
    ],
    ['nothing', bytes(), []],
  ])('%s', (_, input, expected) => {
    const { packets, flaw } = readPackets(input);
    expect(flaw).toBeUndefined();
    expect(packets.map(({ tag, body }) => [tag, [...body]])).toEqual(expected);
  });

  it.each([
    ['a body cut off', bytes(0xc1, 3, 7, 8), 'truncated'],
    ['no length', bytes(0xc1), 'truncated'],
    ['a length cut off, two octets', bytes(0xd2, 192), 'truncated'],
    ['a length cut off, five octets', bytes(0xd2, 255, 0, 0), 'truncated'],
    ['a length cut off, old format', bytes(0x85, 1), 'truncated'],
    ['a length that claims 4 GiB', bytes(0xd2, 255, 255, 255, 255, 255, 1), 'truncated'],
    ['a partial length without its end', bytes(0xd2, 0xe1, 1, 2), 'truncated'],
    ['text after a packet', bytes(0xc1, 1, 7, 0x41), 'not-a-packet'],
    ['no packet at all', bytes(0x00, 0x01), 'not-a-packet'],
  ])('reports %s', (_, input, flaw) => {
    expect(readPackets(input).flaw).toBe(flaw);
  });

  it('finds, wherever a message of two packets is cut, that it is cut', () => {
    const message = bytes(0x84, 12, 3, ...many(11), 0xd2, 192, 108, ...long);
    for (let length = 1; length < message.length; length += 1) {
      const { packets, flaw } = readPackets(message.subarray(0, length));
      expect(flaw !== undefined || packets.length < 2, `cut at ${length}`).toBe(true);
    }
  });
});

describe('readSessionKeyId', () => {
  it.each([
    ['version 3', [3, 0x12, 0x94, 0x95, 0xbc, 0x83, 0xb9, 0xaf, 0x0a, 18, 1], '129495BC83B9AF0A'],
    ['version 3, hidden', [3, 0, 0, 0, 0, 0, 0, 0, 0, 18, 1], '0000000000000000'],
    ['version 6 with a version 4 key', [6, 21, 4, ...many(20), 18], '0C0D0E0F10111213'],
    ['version 6 with a version 6 key', [6, 33, 6, ...many(32), 25], '0001020304050607'],
    ['version 6, hidden', [6, 0, 25], '0000000000000000'],
    ['an unknown version', [9, 1, 2, 3], undefined],
    ['nothing', [], undefined],
  ])('%s', (_, body, expected) => {
    expect(readSessionKeyId({ tag: 1, body: Uint8Array.from(body) })).toBe(expected);
  });
});

describe('readArmor', () => {
  it.each([
    ['headers and a checksum', armor('Version: 1\nComment: two words\n\nwQIH\nCA==\n=abcd\n'), [193, 2, 7, 8]],
    ['no headers', armor('\nwQIHCA==\n'), [193, 2, 7, 8]],
    [
      'CRLF',
      new TextEncoder().encode('-----BEGIN PGP MESSAGE-----\r\n\r\nwQIHCA==\r\n-----END PGP MESSAGE-----\r\n'),
      [193, 2, 7, 8],
    ],
    [
      'text before it',
      new TextEncoder().encode(`hello\n${new TextDecoder().decode(armor('\nwQIHCA==\n'))}`),
      [193, 2, 7, 8],
    ],
    [
      'a byte order mark',
      new TextEncoder().encode(`\ufeff${new TextDecoder().decode(armor('\nwQIHCA==\n'))}`),
      [193, 2, 7, 8],
    ],
    ['no end', armor('\nwQIHCA==\n', ''), undefined],
    ['another end', armor('\nwQIHCA==\n', '-----END PGP PUBLIC KEY BLOCK-----'), undefined],
    ['what is not base64', armor('\n!!!!\n'), undefined],
    ['nothing inside', armor('\n'), undefined],
  ])('%s', (_, input, expected) => {
    const blocks = readArmor(input);
    expect(blocks.map(({ type }) => type)).toEqual(['MESSAGE']);
    const inside = blocks[0]?.bytes;
    expect(inside === undefined ? undefined : [...inside]).toEqual(expected);
  });

  it('finds every block, and none in binary', () => {
    const two = `${new TextDecoder().decode(armor('\nwQIHCA==\n'))}\n-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nwQIH\n-----END PGP PUBLIC KEY BLOCK-----\n`;
    expect(readArmor(new TextEncoder().encode(two)).map(({ type }) => type)).toEqual(['MESSAGE', 'PUBLIC KEY BLOCK']);
    expect(readArmor(bytes(0xc1, 2, 7, 8))).toEqual([]);
  });
});

describe('isText', () => {
  it.each([
    ['ASCII', new TextEncoder().encode('correct horse\n'), true],
    ['UTF-8', new TextEncoder().encode('über'), true],
    ['a packet', bytes(0x84, 2, 7, 8), false],
    ['control characters', bytes(0x41, 0x01), false],
  ])('%s', (_, input, expected) => {
    expect(isText(input)).toBe(expected);
  });
});
