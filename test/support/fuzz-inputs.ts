// How the inputs for each kind of parser are made from real files: the text is changed, or what is inside it.

import { mutateBytes, type Random } from './fuzz-random.js';
import * as structures from './fuzz-structures.js';

/** What is inserted into bytes: words of all formats, and what is special to terminals, shells and JavaScript. */
export const words = [
  '__proto__',
  'constructor',
  '\u0000',
  '\n',
  '"',
  '\\',
  '\u202e',
  '\u001b[2J',
  '1e999',
  '-----BEGIN ',
  '-----END ',
  '=',
  ':',
  ',',
  '[',
  '{',
  '}',
  'null',
  '\ufeff',
  '0xDEADBEEF',
  '*',
  'xn--',
  '\u00fc',
  '..',
  '/',
  'a'.repeat(300),
  '\ud800',
  '9'.repeat(30),
  ' ',
];

/** PEM files: bytes of the text are changed, or the DER inside. */
export const pemLike = (files: readonly Buffer[]) => {
  const blocks = files.flatMap(structures.readPem);
  return (random: Random): Buffer => {
    if (random.chance(0.2)) return mutateBytes(random.pick(files), random, files, words);
    const { label, der } = random.pick(blocks);
    const others = blocks.map((block) => block.der);
    const changed = random.chance(0.1) ? der : structures.mutateDer(der, random, others, words);
    return random.chance(0.3) ? changed : structures.writeOddPem(label, changed, random);
  };
};
export const derOf = (files: readonly Buffer[]) => {
  const ders = files.flatMap(structures.readPem).map((block) => block.der);
  return (random: Random): Buffer => structures.mutateDer(random.pick(ders), random, ders, words);
};
export const packetsOf =
  (files: readonly Buffer[], type: string) =>
  (random: Random): Buffer => {
    const changed = random.chance(0.1)
      ? random.pick(files)
      : structures.mutatePackets(random.pick(files), random, files, words);
    return random.chance(0.3) ? structures.writeOddArmor(type, changed, random) : changed;
  };

export const textOf =
  (files: readonly (string | Buffer)[]) =>
  (random: Random): Buffer => {
    const all = files.map((file) => Buffer.from(file));
    return random.chance(0.03) ? random.bytes(random.length(400)) : mutateBytes(random.pick(all), random, all, words);
  };
export const jsonOf =
  (files: readonly Buffer[]) =>
  (random: Random): Buffer => {
    const choice = random.below(10);
    if (choice === 0) return Buffer.from(structures.makeJson(random));
    if (choice < 6) return Buffer.from(structures.mutateJson(random.pick(files).toString(), random));
    return mutateBytes(random.pick(files), random, files, words);
  };

export function jsonLines(files: readonly Buffer[], random: Random): Buffer {
  const lines = random.pick(files).toString().trim().split('\n');
  return Buffer.from(
    lines
      .map((line) => (random.chance(0.3) ? structures.mutateJson(line, random).replaceAll('\n', '') : line))
      .join('\n'),
  );
}
