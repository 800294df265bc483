// The list of what a committed change does: a JSON file that lives as long as the change is not carried out. It holds
// paths and digests, never a key. Only store/transaction.ts reads and writes it.

import { createHash } from 'node:crypto';
import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path';
import type { FileMode, FolderMode } from '../sys/disk.js';

/** A path is relative to the project's folder if it is below it, because a project may be moved meanwhile. */
export interface Journal {
  readonly version: 1;
  /** Folders outside the project that were missing, absolute, the inner ones first: made when the change is staged. */
  readonly elsewhere: readonly string[];
  /** Folders of the project. */
  readonly folders: readonly { readonly path: string; readonly mode: FolderMode }[];
  readonly writes: readonly JournalWrite[];
  readonly appends: readonly {
    readonly path: string;
    readonly offset: number;
    readonly text: string;
    readonly mode: FileMode;
  }[];
  readonly removes: readonly { readonly path: string; readonly old: string }[];
  readonly empties: readonly string[];
}

export interface JournalWrite {
  readonly path: string;
  /** Where its content is until it is carried out. */
  readonly staged: string;
  readonly mode: FileMode;
  /** SHA-256 of the content before; null if there was no file. */
  readonly old: string | null;
  readonly new: string;
}

/** Where a change is staged. The folder exists only while there is one. */
export function changeFolder(project: string): string {
  return join(project, '.relaycerts.change');
}

export function journalOf(project: string): string {
  return join(changeFolder(project), 'journal');
}

/**
 * The journal in these bytes; undefined if a power failure left only a part of it. A project may come from somebody
 * else, so no relative path leads out of it, and what is staged elsewhere is beside its place.
 */
export function parseJournal(bytes: Uint8Array): Journal | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isJournal(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isJournal(value: unknown): value is Journal {
  const has = (key: string, isItem: (item: unknown) => boolean): boolean => {
    const items = member(value, key);
    return Array.isArray(items) && items.every(isItem);
  };
  return (
    member(value, 'version') === 1 &&
    has('elsewhere', isAbsolutePath) &&
    has(
      'folders',
      (item) => isStored(member(item, 'path')) && [0o700, 0o755].some((mode) => mode === member(item, 'mode')),
    ) &&
    has('writes', isWrite) &&
    has('appends', (item) => isStored(member(item, 'path')) && isFileMode(member(item, 'mode')) && isAppended(item)) &&
    has('removes', (item) => isStored(member(item, 'path')) && typeof member(item, 'old') === 'string') &&
    has('empties', isStored)
  );
}

function isWrite(item: unknown): boolean {
  const [path, staged, old] = [member(item, 'path'), member(item, 'staged'), member(item, 'old')];
  if (!isStored(path) || typeof staged !== 'string' || !isFileMode(member(item, 'mode'))) return false;
  const isBeside = dirname(staged) === dirname(path) && stagedName.test(basename(staged));
  const isStaged = isAbsolute(path) ? isBeside : /^\.relaycerts\.change\/\d+$/u.test(staged);
  return isStaged && (old === null || typeof old === 'string') && typeof member(item, 'new') === 'string';
}

function isAppended(item: unknown): boolean {
  const offset = member(item, 'offset');
  return Number.isSafeInteger(offset) && Number(offset) >= 0 && typeof member(item, 'text') === 'string';
}

function isStored(path: unknown): path is string {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) return false;
  return !path.split('/').includes('..') && normalize(path) === path;
}

function isAbsolutePath(path: unknown): path is string {
  return isStored(path) && isAbsolute(path);
}

function isFileMode(mode: unknown): mode is FileMode {
  return mode === 0o600 || mode === 0o644;
}

function member(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null
    ? new Map<string, unknown>(Object.entries(value)).get(key)
    : undefined;
}

const stagedName = /^\..+\.relaycerts-[0-9a-f]{8}$/u;

export const noJournal: Journal = {
  version: 1,
  elsewhere: [],
  folders: [],
  writes: [],
  appends: [],
  removes: [],
  empties: [],
};

/** What a journal touches outside the project: files, and folders that were made for them. */
export function pathsElsewhere({ writes, removes, appends, empties, elsewhere }: Journal): readonly string[] {
  const paths = [...writes, ...removes, ...appends].map(({ path }) => path);
  return [...paths, ...empties, ...elsewhere].filter((path) => isAbsolute(path));
}

export function storedPath(project: string, path: string): string {
  return isBelow(project, path) ? relative(project, path) : path;
}

export function isBelow(project: string, path: string): boolean {
  const way = relative(project, path);
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

/** SHA-256 in hexadecimal. */
export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What ends a last line that was left open. */
export function gapAfter(bytes: Buffer): '' | '\n' {
  return bytes.length === 0 || bytes.at(-1) === 0x0a ? '' : '\n';
}
