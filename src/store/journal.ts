// The list of what a committed change does: a JSON file that exists until the change is carried out. It holds paths and
// digests, never a key. Only store/transaction.ts reads and writes it.

import { hash } from 'node:crypto';
import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path';
import type { FileMode, FolderMode } from '../sys/disk.js';
import { fieldsOf } from './json-fields.js';

/** A path below the project's folder is relative to it, because a project may be moved meanwhile. */
export interface Journal {
  readonly version: 1;
  /** Missing folders outside the project, absolute, the innermost first: made when the change is staged. */
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
  /** The path of its content until it is carried out. */
  readonly staged: string;
  readonly mode: FileMode;
  /** SHA-256 of the content before; null if the file did not exist. */
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
 * else, so no relative path leads out of it, and content staged elsewhere is next to its destination.
 */
export function parseJournal(bytes: Uint8Array): Journal | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isJournal(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;

const isPath = (value: unknown): value is string =>
  typeof value === 'string' && value !== '' && !/\0|(?:^|\/)\.\.(?:\/|$)/u.test(value) && normalize(value) === value;
const isDigest: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/u.test(value);
const isFileMode: Check = (value) => value === 0o600 || value === 0o644;
const isFolderMode: Check = (value) => value === 0o700 || value === 0o755;
const isList =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
type Fields = ReturnType<typeof fieldsOf>;
const has = (checks: Readonly<Record<string, Check>>, agree: (fields: Fields) => boolean = () => true): Check => {
  const each = Object.entries(checks);
  return (value) => {
    const fields = fieldsOf(value);
    return each.every(([key, check]) => check(fields.get(key))) && agree(fields);
  };
};

/** Staged in the change's folder, or elsewhere next to its destination. */
function isPlaced(fields: Fields): boolean {
  const [path, staged] = [fields.get('path'), fields.get('staged')];
  if (!isPath(path) || !isPath(staged)) return false;
  if (!isAbsolute(path)) return /^\.relaycerts\.change\/\d+$/u.test(staged);
  return dirname(staged) === dirname(path) && /^\..+\.relaycerts-[0-9a-f]{8}$/u.test(basename(staged));
}

const isWhole = has({
  version: (value) => value === 1,
  elsewhere: isList((value) => isPath(value) && isAbsolute(value)),
  folders: isList(has({ path: isPath, mode: isFolderMode })),
  writes: isList(has({ mode: isFileMode, old: (value) => value === null || isDigest(value), new: isDigest }, isPlaced)),
  appends: isList(
    has({
      path: isPath,
      offset: (value) => Number.isSafeInteger(value) && Number(value) >= 0,
      text: (value) => typeof value === 'string',
      mode: isFileMode,
    }),
  ),
  removes: isList(has({ path: isPath, old: isDigest })),
  empties: isList(isPath),
});

function isJournal(value: unknown): value is Journal {
  return isWhole(value);
}

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

/** Where a path of a journal leads; it is normalised. */
export function pathAt(project: string, path: string): string {
  return isAbsolute(path) ? path : `${project}/${path}`;
}

export function storedPath(project: string, path: string): string {
  if (!isBelow(project, path)) return path;
  return path.startsWith(`${project}/`) && isPlain(path) ? path.slice(project.length + 1) : relative(project, path);
}

/** The path has nothing to resolve. */
function isPlain(path: string): boolean {
  return !/\/(?:\.{0,2}(?:\/|$))/u.test(path);
}

export function isBelow(project: string, path: string): boolean {
  if (path.startsWith(`${project}/`) && isPlain(path)) return true;
  const way = relative(project, path);
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

/** SHA-256 in hexadecimal. */
export function digestOf(bytes: Uint8Array): string {
  return hash('sha256', bytes);
}

/** What ends an unfinished last line. */
export function gapAfter(bytes: Buffer): '' | '\n' {
  return bytes.length === 0 || bytes.at(-1) === 0x0a ? '' : '\n';
}
