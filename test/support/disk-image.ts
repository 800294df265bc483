// The contents of a simulated disk at one instant: nodes, their names, and which names are durable. An image is never
// changed, so that a test can keep one for each step of a run and continue from any of them.

import { basename, dirname } from 'node:path';

/** A file or folder without its names. Never changed, only replaced. */
export interface FileNode {
  readonly kind: 'file';
  readonly mode: number;
  readonly bytes: Buffer;
  readonly durable: { readonly mode: number; readonly bytes: Buffer };
  /** Written since the last sync. */
  readonly isDirty: boolean;
  /** The octets at its start that were not written since. */
  readonly safe: number;
}
export type Node = FileNode | { readonly kind: 'folder'; readonly mode: number };

/** A change of names that is not durable: each `folder/name` gets a node, or none. A rename has two. */
export type NameChange = readonly (readonly [key: string, node: number | undefined])[];

/** The whole contents of a disk at one instant. */
export interface DiskImage {
  readonly nodes: ReadonlyMap<number, Node>;
  /** `12/name`: the name in the folder that is node 12. Node 1 is `/`. */
  readonly names: ReadonlyMap<string, number>;
  readonly durableNames: ReadonlyMap<string, number>;
  readonly pending: readonly NameChange[];
}

/** What is at a path; `bytes` only for files. */
export interface Entry {
  readonly mode: number;
  readonly bytes?: Buffer;
}
export type Tree = ReadonlyMap<string, Entry>;

export function setName(names: Map<string, number>, key: string, id: number | undefined): void {
  if (id === undefined) names.delete(key);
  else names.set(key, id);
}

/** The changes that are kept if these are: also the earlier renames of the same names. */
export function withRenames(pending: readonly NameChange[], chosen: readonly boolean[]): readonly boolean[] {
  const kept = [...chosen];
  for (let late = pending.length - 1; late > 0; late -= 1) {
    if (kept[late] !== true) continue;
    const keys = new Set(pending[late]?.map(([key]) => key));
    for (let early = 0; early < late; early += 1) {
      const change = pending[early] ?? [];
      if (change.length > 1 && change.some(([key]) => keys.has(key))) kept[early] = true;
    }
  }
  return kept;
}

/** A disk with these files and folders on it, all durable. Folders above them are 0755. */
export function imageOf(tree: Tree): DiskImage {
  const nodes = new Map<number, Node>([[1, { kind: 'folder', mode: 0o755 }]]);
  const names = new Map<string, number>();
  const paths = new Map([['/', 1]]);
  const add = (path: string, node: Node): number => {
    const above = dirname(path);
    const folder = paths.get(above) ?? add(above, { kind: 'folder', mode: 0o755 });
    const id = nodes.size + 1;
    nodes.set(id, node);
    names.set(`${folder}/${basename(path)}`, id);
    paths.set(path, id);
    return id;
  };
  for (const [path, { mode, bytes }] of [...tree].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (bytes === undefined) add(path, { kind: 'folder', mode });
    else add(path, { kind: 'file', mode, bytes, durable: { mode, bytes }, isDirty: false, safe: bytes.length });
  }
  return { nodes, names, durableNames: new Map(names), pending: [] };
}

/** What can be seen on a disk. */
export function treeOf(image: DiskImage): Tree {
  const tree = new Map<string, Entry>();
  walk(image, (path, node) => {
    tree.set(path, node.kind === 'file' ? { mode: node.mode, bytes: node.bytes } : { mode: node.mode });
  });
  return tree;
}

/** One line per path; equal for equal trees. */
export function textOfTree(tree: Tree): string {
  return [...tree]
    .map(([path, entry]) => `${path} ${textOfEntry(entry)}`)
    .toSorted()
    .join('\n');
}

/** What can be seen on a disk, in the form of `textOfTree`. */
export function textOf(image: DiskImage): string {
  const lines: string[] = [];
  walk(image, (path, node) => {
    let text = texts.get(node);
    if (text === undefined) texts.set(node, (text = textOfEntry(node)));
    lines.push(`${path} ${text}`);
  });
  return lines.toSorted().join('\n');
}

/** Nodes are never changed, and thousands of images share them. */
const texts = new WeakMap<Node, string>();

function textOfEntry(entry: Node | Entry): string {
  const bytes = 'bytes' in entry ? entry.bytes : undefined;
  return `${entry.mode.toString(8)} ${bytes === undefined ? '' : JSON.stringify(bytes.toString('latin1'))}`;
}

function walk({ nodes, names }: DiskImage, visit: (path: string, node: Node) => void): void {
  const children = new Map<number, [string, number][]>();
  for (const [key, id] of names) {
    const slash = key.indexOf('/');
    const folder = Number(key.slice(0, slash));
    const list = children.get(folder);
    if (list === undefined) children.set(folder, [[key.slice(slash + 1), id]]);
    else list.push([key.slice(slash + 1), id]);
  }
  const walkFolder = (folder: number, path: string): void => {
    for (const [name, id] of children.get(folder) ?? []) {
      const node = nodes.get(id);
      if (node === undefined) continue;
      visit(`${path}/${name}`, node);
      if (node.kind === 'folder') walkFolder(id, `${path}/${name}`);
    }
  };
  walkFolder(1, '');
}

/** The node at an absolute path, and its number. */
export function nodeAt(
  { nodes, names }: Pick<DiskImage, 'nodes' | 'names'>,
  path: string,
): readonly [number, Node] | undefined {
  let id = 1;
  for (const name of path.split('/')) {
    if (name === '') continue;
    const next = names.get(`${id}/${name}`);
    if (next === undefined) return undefined;
    id = next;
  }
  const node = nodes.get(id);
  return node === undefined ? undefined : [id, node];
}
