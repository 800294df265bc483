// The characters that parsers are tested with: all of ASCII and Latin-1, some of every Unicode category above, and
// those that are known to make programs stumble. From each category the first and last 3 of every 13th code point; with
// RELAYCERTS_DEEP=1 the first and last 40 of all: each is tried in many places, and there are a million.

const categories = [
  ['Lu', 'Ll', 'Lt', 'Lm', 'Lo', 'Mn', 'Mc', 'Me', 'Nd', 'Nl', 'No', 'Pc', 'Pd', 'Ps', 'Pe', 'Pi', 'Pf', 'Po'],
  ['Sm', 'Sc', 'Sk', 'So', 'Zs', 'Zl', 'Zp', 'Cf', 'Cs', 'Co', 'Cn'],
].flat();

/** Invisible, bidirectional, line-ending, look-alike and half characters, and the ends of the planes. */
const notorious = [
  [0x034f, 0x061c, 0x0378, 0x115f, 0x1160, 0x1680, 0x17b4, 0x180e, 0x200b, 0x200c, 0x200d, 0x200e, 0x200f],
  [0x2028, 0x2029, 0x202a, 0x202e, 0x202f, 0x2060, 0x2066, 0x2067, 0x2068, 0x2069, 0x3000, 0x3164, 0xfeff, 0xffa0],
  [0x0130, 0x0131, 0x0149, 0x02bc, 0x0301, 0x03c2, 0x1e9e, 0x2018, 0x2019, 0x201c, 0x201d, 0x212a, 0x3002, 0xfb03],
  [0xff02, 0xff04, 0xff07, 0xff0e, 0xff0f, 0xff1b, 0xff3c, 0xff40, 0xff5c, 0xff21, 0xff11, 0x1d7ce, 0xfe0f, 0xfe64],
  [0xd800, 0xdbff, 0xdc00, 0xdfff, 0xe000, 0xfdd0, 0xfff9, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1f4a9, 0x20000],
  [0xe0001, 0xe0020, 0xe007f, 0xe0100, 0xf0000, 0x10fffd, 0x10ffff],
].flat();

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';

function sampleOf(category: string): readonly number[] {
  const pattern = new RegExp(`^\\p{${category}}$`, 'u');
  const found: number[] = [];
  // A prime step, so that no regularity of the tables hides a block.
  for (let code = 0x100; code <= 0x10ffff; code += isDeep ? 1 : 13) {
    if (pattern.test(String.fromCodePoint(code))) found.push(code);
  }
  const each = isDeep ? 40 : 3;
  return [...found.slice(0, each), ...found.slice(-each)];
}

/** Each a string of one code point (a lone surrogate for some), without repetition, in ascending order. */
export const codePoints: readonly string[] = [
  ...new Set([...Array.from({ length: 0x100 }, (_, code) => code), ...notorious, ...categories.flatMap(sampleOf)]),
]
  .toSorted((one, other) => one - other)
  .map((code) => String.fromCodePoint(code));

export interface Alphabet {
  readonly first: readonly string[];
  readonly middle: readonly string[];
  readonly last: readonly string[];
}

/** What `accepts` accepts before, inside and after a text that it accepts by itself. */
export function alphabetOf(accepts: (text: string) => boolean, filler: string): Alphabet {
  const half = Math.floor(filler.length / 2);
  const around = (place: (character: string) => string) => codePoints.filter((character) => accepts(place(character)));
  return {
    first: around((character) => character + filler),
    middle: around((character) => filler.slice(0, half) + character + filler.slice(half)),
    last: around((character) => filler + character),
  };
}
