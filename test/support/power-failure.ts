// What may be on a simulated disk after a power failure (simulated-disk.ts says what is legal): every state if there
// are few, otherwise a sample that is the same in every run. The sample has the extremes (nothing lost, all lost), each
// single loss, each single survival, each way to tear a file, and some random states.

import { setName, withRenames, type DiskImage, type FileNode, type Node } from './disk-image.js';

export interface LossLimits {
  /** Up to this many states are tried in full. */
  readonly all: number;
  /** The number of random ones. */
  readonly drawn: number;
  /** Only the extremes and the random ones. */
  readonly isCoarse?: boolean;
}

/** Names and files whose single losses are tried in one step. */
const singlesAtOnce = process.env['RELAYCERTS_DEEP'] === '1' ? Infinity : 12;

/** What survives: for each name change whether it does, for each file the number of a version (0 is the old one). */
type Choice = readonly number[];

/** The legal states after a power failure; all of them are durable. */
export function lossesOf(image: DiskImage, limits: LossLimits, seed: number): readonly DiskImage[] {
  const dirty = [...image.nodes].flatMap(([id, node]): readonly [number, readonly Content[]][] =>
    node.kind === 'file' && node.isDirty ? [[id, versionsOf(node)]] : [],
  );
  const sizes = [...image.pending.map(() => 2), ...dirty.map(([, versions]) => versions.length)];
  return choicesOf(sizes, limits, seed).map((choice) => afterLoss(image, dirty, choice));
}

interface Content {
  readonly mode: number;
  readonly bytes: Buffer;
}

/** What may be left of a file that was written and not synced: first what was durable, last all of it. */
function versionsOf({ mode, bytes, durable, safe }: FileNode): readonly Content[] {
  const half = safe + Math.floor((bytes.length - safe) / 2);
  const zeros = (from: number, to: number): Buffer =>
    Buffer.concat([bytes.subarray(0, from), Buffer.alloc(to - from), bytes.subarray(to)]);
  const torn = [
    bytes.subarray(0, safe),
    bytes.subarray(0, half),
    zeros(safe, bytes.length),
    zeros(safe, half),
    zeros(half, bytes.length),
  ].map((each) => ({ mode, bytes: each }));
  const versions = [durable, ...torn, { mode, bytes }];
  return versions.filter(
    (one, index) =>
      index === versions.findLastIndex((other) => other.mode === one.mode && other.bytes.equals(one.bytes)),
  );
}

function choicesOf(sizes: readonly number[], { all, drawn, isCoarse = false }: LossLimits, seed: number): Choice[] {
  const whole = sizes.map((size) => size - 1);
  const none = sizes.map(() => 0);
  const count = sizes.reduce((product, size) => product * size, 1);
  if (count <= all) {
    return Array.from({ length: count }, (_, number) => {
      let rest = number;
      return sizes.map((size) => {
        const part = rest % size;
        rest = (rest - part) / size;
        return part;
      });
    });
  }
  // If there are many, each step tries some of them: what is not durable stays so for several steps.
  const stride = Math.max(1, Math.ceil(sizes.length / singlesAtOnce));
  const singles = sizes.flatMap((size, at) =>
    isCoarse || at % stride !== seed % stride
      ? []
      : Array.from({ length: size }, (_, version) => [whole.with(at, version), none.with(at, version)]).flat(),
  );
  const random = randomFrom(seed);
  const draws = Array.from({ length: drawn }, () => sizes.map((size) => Math.floor(random() * size)));
  return [whole, none, ...singles, ...draws];
}

function afterLoss(
  image: DiskImage,
  dirty: readonly (readonly [number, readonly Content[]])[],
  choice: Choice,
): DiskImage {
  const kept = withRenames(
    image.pending,
    image.pending.map((_, index) => choice[index] === 1),
  );
  const names = new Map(image.durableNames);
  for (const [index, change] of image.pending.entries()) {
    if (kept[index] === true) for (const [key, id] of change) setName(names, key, id);
  }
  const nodes = new Map<number, Node>(image.nodes);
  for (const [id, node] of nodes) {
    if (node.kind !== 'file') continue;
    if (node.isDirty || node.bytes !== node.durable.bytes || node.mode !== node.durable.mode)
      nodes.set(id, settled(node, node.durable));
  }
  for (const [index, [id, versions]] of dirty.entries()) {
    const version = versions[choice[image.pending.length + index] ?? 0];
    const node = nodes.get(id);
    if (node?.kind === 'file' && version !== undefined) nodes.set(id, settled(node, version));
  }
  return { nodes, names, durableNames: names, pending: [] };
}

function settled(node: FileNode, { mode, bytes }: Content): FileNode {
  return { ...node, mode, bytes, durable: { mode, bytes }, isDirty: false, safe: bytes.length };
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d_2b_79_f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
