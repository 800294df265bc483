// Texts and bytes of any size that make a bad pattern or loop slow, or a list long.

import { writeNode, writePacket } from './fuzz-structures.js';

/** Texts of about `size` characters that make a bad pattern or loop slow. */
export function slowTexts(size: number): readonly string[] {
  const fill = (text: string): string => text.repeat(Math.max(1, Math.floor(size / text.length)));
  return [
    fill('a'),
    fill(' '),
    fill('\n'),
    fill('-'),
    fill('='),
    fill(','),
    fill('"'),
    fill('\\'),
    fill('['),
    fill('{"":'),
    fill('[],'),
    fill('.'),
    fill('a.'),
    fill('a:'),
    fill('a b '),
    fill('0'),
    fill('0:'),
    fill('<a@b '),
    `${fill(' ')}x`,
    `"${fill('a')}`,
    `"${fill('a",')}`,
    `"${fill('\\u0041')}`,
    `${fill('a@')} `,
    `=AAAA${fill(' ')}x`,
    `{${fill('"a":1,')}"b":2}`,
    `{"a":[${fill('1,')}2]}`,
    fill('-----BEGIN A-----\n'),
    fill('-----BEGIN A-----\nAA==\n-----END A-----\n'),
    fill('-----BEGIN PGP MESSAGE-----\n'),
    `${fill('-----BEGIN PGP MESSAGE-----\n\n')}AAAA\n-----END PGP MESSAGE-----\n`,
    `-----BEGIN PGP PUBLIC KEY BLOCK-----\n${fill('Comment: a\n')}\n\nAAAA\n-----END PGP PUBLIC KEY BLOCK-----\n`,
    `-----BEGIN ${fill('A')}-----\n`,
    fill('[GNUPG:] ENC_TO 0000 1 0\n'),
    fill('pub:u:255:22:A:1:1::u:::E:::::\n'),
    fill('\u00fc'),
    fill('\u{10ffff}'),
    fill('uid:u::::::::\\x41:\n'),
  ];
}

/** Bytes of about `size` octets that make a bad loop slow or a list long. */
export function slowBytes(size: number): readonly Buffer[] {
  const fill = (piece: readonly number[]): Buffer => Buffer.alloc(size - (size % piece.length), Buffer.from(piece));
  const wrapped = (piece: readonly number[]): Buffer => writeNode({ tag: 0x30, content: fill(piece) });
  return [
    fill([0]),
    fill([0x80]),
    fill([0xff]),
    fill([0x30, 0x80]),
    fill([0x30, 0x00]),
    fill([0x84, 0x00]),
    fill([0xc6, 0x00]),
    fill([0xe0, 0xe0]),
    fill([0xcb, 0xe0, 0x41]),
    fill([0x98, 0x01, 0x04]),
    wrapped([0x05, 0x00]),
    wrapped([0x30, 0x00]),
    wrapped([0x06, 0x01, 0x2a]),
    wrapped([0x06, 0x03, 0x55, 0x1d, 0x11]),
    writeNode({ tag: 0x06, content: fill([0x80]) }),
    writeNode({ tag: 0x06, content: fill([0x01]) }),
    writePacket({ header: 0xc6, body: Buffer.concat([Buffer.from([4, 1, 2, 3, 4, 1]), fill([0xff])]) }),
    writePacket({ header: 0xc6, body: Buffer.concat([Buffer.from([6, 1, 2, 3, 4, 1]), fill([0xff])]) }),
    Buffer.concat(
      Array.from({ length: Math.min(8, Math.ceil(size / 0x20000)) }, () => Buffer.from([0x30, 0x83, 1, 255, 250])),
    ),
    nested(Math.min(size, 20_000)),
  ];
}

/** Sequences in sequences, four octets of header each. */
function nested(size: number): Buffer {
  const headers: number[][] = [];
  for (let inside = 0; inside < size; inside += 4) headers.push([0x30, 0x82, inside >> 8, inside & 0xff]);
  return Buffer.from(headers.toReversed().flat());
}
