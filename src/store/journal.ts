// The list of what a committed change does: a JSON file that lives as long as the change is not carried out. It holds
// paths and digests, never a key. Only store/transaction.ts reads and writes it.

import { createHash } from 'node:crypto';
import { isAbsolute, join, relative } from 'node:path';
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

/** The journal in these bytes; undefined if a power failure left only a part of it. */
export function parseJournal(bytes: Uint8Array): Journal | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return isJournal(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isJournal(value: unknown): value is Journal {
  return typeof value === 'object' && value !== null && 'version' in value && value.version === 1;
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
