// Results of this user's earlier runs, in the cache folder, so that they need not be found out again. Somebody else's
// note could say anything: a note is read only if it and its folder belong to this user and nobody else can get in. Any
// note may be lost at any time, so nothing here fails.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { lookAt, readFile, replaceFile, type FileState } from './files.js';
import type { Sys } from './sys.js';

export type NoteKeeper = Pick<Sys, 'home' | 'cacheHome' | 'uid'>;

/** A note of at most `limit` octets; undefined if there is none, or another user could have written it. */
export function readNote(name: string, limit: number, { cacheHome, uid }: NoteKeeper): Buffer | undefined {
  try {
    const folder = join(cacheHome, 'relaycerts');
    if (!isOwn(lookAt(folder), uid)) return undefined;
    let isNote = false;
    const bytes = readFile(join(folder, name), { limit, see: (file) => (isNote = isOwn(file, uid)) });
    return isNote ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces a note. Nothing is made in another user's home (sudo). */
export async function writeNote(name: string, text: string, { home, cacheHome, uid }: NoteKeeper): Promise<void> {
  try {
    const folder = join(cacheHome, 'relaycerts');
    if (lookAt(home)?.uid === uid) mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (isOwn(lookAt(folder), uid)) await replaceFile(join(folder, name), text, 0o600);
  } catch {
    // Without the note, only time is lost.
  }
}

/** A file or folder that belongs to this user and is closed to all others. */
export function isOwn(state: Pick<FileState, 'uid' | 'mode'> | undefined, user: number): boolean {
  return state !== undefined && state.uid === user && (state.mode & 0o077) === 0;
}
