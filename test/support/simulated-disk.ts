// A disk in memory that can lose power. What may happen then, pessimistic but legal:
// - The data of a file is durable once the file was synced. Until then a power failure leaves the old data, the new data,
//   a part of it, or the new size with zeros in it. Octets before the offset of a write stay as they were.
// - A name is durable once its folder was synced; syncing the file itself does not help. Names that were made, removed or
//   renamed since are lost or kept each on its own, in any order. A rename is atomic: both names change or neither does,
//   and syncing either folder keeps it. A name that is kept keeps the renames that brought its file there.
// - A sync that fails with EIO forgets the data: the file looks right until the power fails, and the next sync says
//   nothing (as Linux does). The names in a folder are not forgotten.
// What is killed loses nothing. A call that writes is several steps (made, half written, written, mode set), and every
// rule about secrets is checked after each. Symbolic links, hard links and other processes are not simulated.

import { basename, dirname } from 'node:path';
import type { Disk, FileEnd, FileMode, FolderMode } from '../../src/sys/disk.js';
import {
  nodeAt,
  setName,
  withRenames,
  type DiskImage,
  type FileNode,
  type NameChange,
  type Node,
} from './disk-image.js';

type ErrorCode = 'ENOSPC' | 'EIO' | 'EACCES' | 'EROFS';
export interface Fault {
  /** The number of the call, from 0. */
  readonly at: number;
  readonly code: ErrorCode;
  /** What the call does before it fails: nothing, part of a write, or all of it (as NFS can). */
  readonly effect: 'none' | 'part' | 'whole';
  /** Every later call that writes fails too. */
  readonly isLasting?: boolean;
}

export interface DiskOptions {
  /** Folders that are separate file systems. */
  readonly mounts?: readonly string[];
  /** Folders that cannot be synced (EINVAL). */
  readonly cannotSync?: readonly string[];
  readonly fault?: Fault;
  /** Called before each call, and after each step of one. */
  readonly onStep?: (disk: SimulatedDisk) => void;
}

/** What must not be in a file that others may read, and never in the journal. */
export const secretMark = 'PRIVATE';
const secretForms = [
  secretMark,
  Buffer.from(secretMark).toString('hex'),
  Buffer.from(secretMark).toString('base64').slice(0, 8),
];

const systemError = (code: string): Error => Object.assign(new Error(`${code}: simulated`), { code });

export class SimulatedDisk implements Disk {
  calls = 0;
  /** Each broken rule about secrets, in words. */
  readonly violations: string[] = [];
  /** Folders that could not be synced. */
  readonly unsynced = new Set<string>();
  readonly #nodes: Map<number, Node>;
  readonly #names: Map<string, number>;
  readonly #durableNames: Map<string, number>;
  #pending: NameChange[];
  readonly #options: DiskOptions;

  constructor(image: DiskImage, options: DiskOptions = {}) {
    this.#nodes = new Map(image.nodes);
    this.#names = new Map(image.names);
    this.#durableNames = new Map(image.durableNames);
    this.#pending = [...image.pending];
    this.#options = options;
  }

  image(): DiskImage {
    return {
      nodes: new Map(this.#nodes),
      names: new Map(this.#names),
      durableNames: new Map(this.#durableNames),
      pending: [...this.#pending],
    };
  }

  read(path: string): Promise<Buffer | undefined> {
    return this.#call('read', () => {
      const node = this.#nodeAt(path)?.[1];
      if (node?.kind === 'folder') throw systemError('EISDIR');
      return node === undefined ? undefined : Buffer.from(node.bytes);
    });
  }

  async readEnd(path: string, start: number): Promise<FileEnd | undefined> {
    const found = await this.read(path);
    return found && { size: found.length, bytes: found.subarray(start) };
  }

  has(path: string): Promise<boolean> {
    return this.#call('read', () => this.#nodeAt(path) !== undefined);
  }

  list(path: string): Promise<readonly string[]> {
    return this.#call('read', () => {
      const prefix = `${this.#nodeAt(path)?.[0] ?? 'none'}/`;
      return [...this.#names.keys()].filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
    });
  }

  create(path: string, bytes: Uint8Array, mode: FileMode): Promise<void> {
    return this.#call('write', (isPart) => {
      const key = this.#keyOf(path);
      if (this.#names.has(key)) throw systemError('EEXIST');
      const id = this.#addFile(key);
      this.#write(path, id, 0, bytes.subarray(0, bytes.length / 2));
      if (isPart) return;
      this.#write(path, id, 0, bytes);
      this.#setMode(path, id, mode);
    });
  }

  writeAt(path: string, offset: number, bytes: Uint8Array, mode: FileMode): Promise<void> {
    return this.#call('write', (isPart) => {
      const key = this.#keyOf(path);
      const id = this.#names.get(key) ?? this.#addFile(key);
      if (offset === 0) this.#setMode(path, id, mode);
      this.#write(path, id, offset, Buffer.alloc(0));
      this.#write(path, id, offset, bytes.subarray(0, bytes.length / 2));
      if (!isPart) this.#write(path, id, offset, bytes);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('write', () => {
      const [fromKey, toKey] = [this.#keyOf(from), this.#keyOf(to)];
      const id = this.#names.get(fromKey);
      if (id === undefined) throw systemError('ENOENT');
      if (this.#mountOf(from) !== this.#mountOf(to)) throw systemError('EXDEV');
      this.#setNames([
        [fromKey, undefined],
        [toKey, id],
      ]);
    });
  }

  unlink(path: string): Promise<void> {
    return this.#call('write', () => {
      const node = this.#nodeAt(path)?.[1];
      if (node === undefined) return;
      if (node.kind === 'folder') throw systemError('EISDIR');
      this.#setNames([[this.#keyOf(path), undefined]]);
    });
  }

  mkdir(path: string, mode: FolderMode): Promise<boolean> {
    return this.#call('write', () => {
      const found = this.#nodeAt(path)?.[1];
      if (found?.kind === 'file') throw systemError('EEXIST');
      if (found === undefined) this.#setNames([[this.#keyOf(path), this.#add({ kind: 'folder', mode })]]);
      return found === undefined;
    });
  }

  rmdir(path: string): Promise<void> {
    return this.#call('write', () => {
      const [id, node] = this.#nodeAt(path) ?? [];
      if (node === undefined) return;
      if (node.kind === 'file') throw systemError('ENOTDIR');
      if ([...this.#names.keys()].some((key) => key.startsWith(`${id}/`))) return;
      this.#setNames([[this.#keyOf(path), undefined]]);
    });
  }

  sync(paths: readonly string[]): Promise<void> {
    const isForgotten = this.#options.fault?.at === this.calls && this.#options.fault.code === 'EIO';
    if (isForgotten) for (const path of paths) this.#forget(path);
    return this.#call('write', () => {
      for (const path of paths) {
        const [id, node] = this.#nodeAt(path) ?? [];
        if (id === undefined || node === undefined) continue;
        if (node.kind === 'file') {
          const { mode, bytes } = node;
          const isKept = node.isDirty || node.durable.bytes.equals(bytes);
          const durable = isKept ? { mode, bytes } : node.durable;
          this.#nodes.set(id, { ...node, durable, isDirty: false, safe: bytes.length });
        } else if (this.#options.cannotSync?.includes(path) === true) this.unsynced.add(path);
        else this.#keepNames(`${id}/`);
      }
    });
  }

  /** One call: steps are reported, and the fault strikes. */
  async #call<T>(kind: 'read' | 'write', work: (isPart: boolean) => T): Promise<T> {
    await Promise.resolve();
    this.#step();
    const { fault } = this.#options;
    const number = this.calls;
    this.calls += 1;
    const isLater = fault?.isLasting === true && number > fault.at && kind === 'write';
    if (fault === undefined || (fault.at !== number && !isLater)) {
      const result = work(false);
      if (kind === 'write') this.#step();
      return result;
    }
    if (kind === 'write' && fault.effect !== 'none' && !isLater) work(fault.effect === 'part');
    throw systemError(fault.code);
  }

  #step(): void {
    this.#options.onStep?.(this);
  }

  #nodeAt(path: string): readonly [number, Node] | undefined {
    return nodeAt({ nodes: this.#nodes, names: this.#names }, path);
  }

  #keyOf(path: string): string {
    const [id, node] = this.#nodeAt(dirname(path)) ?? [];
    if (node?.kind !== 'folder') throw systemError(node === undefined ? 'ENOENT' : 'ENOTDIR');
    return `${id}/${basename(path)}`;
  }

  #mountOf(path: string): string {
    const mounts = this.#options.mounts ?? [];
    return mounts.filter((mount) => path.startsWith(`${mount}/`)).toSorted((a, b) => b.length - a.length)[0] ?? '/';
  }

  #add(node: Node): number {
    const id = this.#nodes.size + 1;
    this.#nodes.set(id, node);
    return id;
  }

  #addFile(key: string): number {
    const bytes = Buffer.alloc(0);
    const mode = 0o600;
    const id = this.#add({ kind: 'file', mode, bytes, durable: { mode, bytes }, isDirty: true, safe: 0 });
    this.#setNames([[key, id]]);
    this.#step();
    return id;
  }

  #write(path: string, id: number, offset: number, bytes: Uint8Array): void {
    const node = this.#nodes.get(id);
    if (node?.kind !== 'file') throw systemError('EISDIR');
    const whole = Buffer.concat([node.bytes, Buffer.alloc(Math.max(0, offset - node.bytes.length))], offset);
    const safe = Math.min(node.safe, offset);
    this.#replace(path, id, { ...node, bytes: Buffer.concat([whole, bytes]), isDirty: true, safe });
  }

  #setMode(path: string, id: number, mode: number): void {
    const node = this.#nodes.get(id);
    if (node?.kind === 'file') this.#replace(path, id, { ...node, mode, isDirty: true });
  }

  #replace(path: string, id: number, node: FileNode): void {
    this.#nodes.set(id, node);
    const isSecret = secretForms.some((form) => node.bytes.includes(form));
    if (isSecret && node.mode !== 0o600) this.violations.push(`${path} holds a secret and is open to others`);
    if (isSecret && ['draft', 'journal'].includes(basename(path))) this.violations.push(`${path} holds a secret`);
    this.#step();
  }

  #setNames(change: NameChange): void {
    for (const [key, id] of change) setName(this.#names, key, id);
    this.#pending.push(change);
  }

  #keepNames(folder: string): void {
    const kept = withRenames(
      this.#pending,
      this.#pending.map((change) => change.some(([key]) => key.startsWith(folder))),
    );
    const settled = new Set<string>();
    const rest: NameChange[] = [];
    for (const [index, change] of [...this.#pending.entries()].toReversed()) {
      // What was done to a name before its last kept change no longer matters.
      const open = change.filter(([key]) => !settled.has(key));
      if (kept[index] !== true) rest.unshift(open);
      else for (const [key] of change) settled.add(key);
    }
    for (const [index, change] of this.#pending.entries()) {
      if (kept[index] === true) for (const [key, id] of change) setName(this.#durableNames, key, id);
    }
    this.#pending = rest.filter((change) => change.length > 0);
  }

  #forget(path: string): void {
    const [id, node] = this.#nodeAt(path) ?? [];
    if (id !== undefined && node?.kind === 'file') this.#nodes.set(id, { ...node, isDirty: false });
  }
}
