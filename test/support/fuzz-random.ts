// A small random source with a seed, and the mutations of bytes that work for any format: flips, cuts, copies, splices
// and words of a dictionary.

/** The source of all decisions of a mutation. The same seed gives the same run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number from 0 to below `limit` (mulberry32). */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.below(1_000_000) < probability * 1_000_000;
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new TypeError('nothing to pick from');
    return item;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** Mostly short, sometimes long. */
  length(limit: number): number {
    return this.below(1 + this.below(1 + this.below(limit)));
  }
}

const oddOctets = [
  0x00, 0x01, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff, 0xfe, 0xc0, 0x30, 0x0a, 0x0d, 0x20, 0x22, 0x2d, 0x3a,
];

type Mutate = (bytes: Buffer, random: Random, others: readonly Buffer[], words: readonly string[]) => Buffer;

const put = (bytes: Buffer, at: number, cut: number, piece: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at + cut)]);

const mutations: readonly Mutate[] = [
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    const at = random.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
    return copy;
  },
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    copy[random.below(copy.length)] = random.pick(oddOctets);
    return copy;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => bytes.subarray(random.below(bytes.length)),
  (bytes, random) => put(bytes, random.below(bytes.length), random.length(bytes.length), Buffer.alloc(0)),
  (bytes, random) => put(bytes, random.below(bytes.length), 0, random.bytes(1 + random.length(40))),
  (bytes, random) => {
    const from = random.below(bytes.length);
    const piece = bytes.subarray(from, from + 1 + random.length(bytes.length));
    return put(bytes, random.below(bytes.length), random.chance(0.5) ? piece.length : 0, piece);
  },
  (bytes, random, others) => {
    const other = random.pick(others);
    return Buffer.concat([bytes.subarray(0, random.below(bytes.length)), other.subarray(random.below(other.length))]);
  },
  (bytes, random, _, words) => {
    const word = Buffer.from(random.pick(words), random.chance(0.5) ? 'utf8' : 'latin1');
    return put(bytes, random.below(bytes.length + 1), random.below(4), word);
  },
];

/** The bytes after one to four mutations. `others` are spliced in, `words` are put in. */
export function mutateBytes(
  bytes: Buffer,
  random: Random,
  others: readonly Buffer[],
  words: readonly string[],
): Buffer {
  let mutated = bytes;
  for (let rounds = 1 + random.length(4); rounds > 0; rounds -= 1) {
    if (mutated.length > 0) mutated = random.pick(mutations)(mutated, random, others, words);
  }
  return mutated;
}
