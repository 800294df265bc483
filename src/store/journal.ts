// The list of what a committed change does: a JSON file that lives as long as the change is not carried out. It holds
// paths and digests, never a key. Only store/transaction.ts reads and writes it.

import { createHash } from 'node:crypto';
import { isAbsolute, relative } from 'node:path';
import type { FileMode, FolderMode } from '../sys/disk.js';

/** A path is relative to the project's folder if it is below it, because a project may be moved meanwhile. */
export interface Journal {
  readonly version: 1;
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

/** The journal in these bytes; undefined if they are not a whole one, because a power failure left only a part of it. */
export function parseJournal(bytes: Uint8Array): Journal | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isJournal(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

type Check = (value: unknown) => boolean;

const isPath: Check = (value) => typeof value === 'string' && value !== '' && !value.includes('\0');
const isDigest: Check = (value) => typeof value === 'string' && /^[0-9a-f]{64}$/u.test(value);
const isFileMode: Check = (value) => value === 0o600 || value === 0o644;
const isFolderMode: Check = (value) => value === 0o700 || value === 0o755;
const isList =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const has =
  (checks: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (typeof value !== 'object' || value === null) return false;
    const found = new Map<string, unknown>(Object.entries(value));
    return Object.entries(checks).every(([key, check]) => check(found.get(key)));
  };

const isWhole = has({
  version: (value) => value === 1,
  folders: isList(has({ path: isPath, mode: isFolderMode })),
  writes: isList(
    has({
      path: isPath,
      staged: isPath,
      mode: isFileMode,
      old: (value) => value === null || isDigest(value),
      new: isDigest,
    }),
  ),
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
