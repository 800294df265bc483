// What an earlier run of this user found out, in the cache folder, so that it need not be found out again. Somebody else's
// note could say anything: it is read only if it and its folder belong to who runs this and nobody else can get in. All of
// it may be lost at any time, so nothing here fails.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { lookAt, readFileNow, replaceFile, type FileState } from './files.js';
import type { Sys } from './sys.js';

export type NoteKeeper = Pick<Sys, 'home' | 'cacheHome' | 'uid'>;

/** A note of at most `limit` octets; undefined if there is none, or another user could have written it. */
export function readNote(name: string, limit: number, { cacheHome, uid }: NoteKeeper): Buffer | undefined {
  try {
    const folder = join(cacheHome, 'relaycerts');
    if (!isOwn(lookAt(folder), uid)) return undefined;
    let isNote = false;
    const bytes = readFileNow(join(folder, name), { limit, see: (file) => (isNote = isOwn(file, uid)) });
    return isNote ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** Replaces a note. In the home of another user (sudo) nothing is made. */
export async function writeNote(name: string, text: string, { home, cacheHome, uid }: NoteKeeper): Promise<void> {
  try {
    const folder = join(cacheHome, 'relaycerts');
    if (lookAt(home)?.uid === uid) await mkdir(folder, { recursive: true, mode: 0o700 });
    if (isOwn(lookAt(folder), uid)) await replaceFile(join(folder, name), text, 0o600);
  } catch {
    // Without the note, only time is lost.
  }
}

/** A file or folder that is this user's, and closed to all others. */
export function isOwn(state: Pick<FileState, 'uid' | 'mode'> | undefined, user: number): boolean {
  return state !== undefined && state.uid === user && (state.mode & 0o077) === 0;
}
