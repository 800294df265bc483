// The disk, as relaycerts uses it. A file is written whole or not at all: a temporary file in the same folder, fsync,
// rename, fsync of the folder. A private file is opened with its final mode, so it is never wider than that, whatever
// the umask. Nothing here follows a symbolic link in the last component of a path that it reads keys from or writes to.

import { randomBytes } from 'node:crypto';
import { constants, link, lstat, mkdir, open, readdir, rename, rmdir, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { fileError } from './file-error.js';
import { leftovers } from './leftovers.js';

/** The modes that relaycerts gives to files and folders. */
export type Mode = 0o600 | 0o644 | 0o700 | 0o755;

/** What lies at a path; `mode` is the permission bits alone. */
export interface FileState {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly changed: Date;
}

/** Named after the file, the process and nothing else: `.relay_clientcerts.relaycerts-1234-0a1b.tmp`. */
const temporaryName = /^\.(.+)\.relaycerts-(\d{1,10})-[0-9a-f]{4}\.tmp$/u;

async function guard<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, doing, path);
  }
}

/** What lies at `path`, without following a link; undefined where nothing does. */
export async function statFile(path: string): Promise<FileState | undefined> {
  return guard('look at', path, async () => {
    try {
      const stats = await lstat(path);
      const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other';
      return {
        kind,
        mode: stats.mode & 0o7777,
        uid: stats.uid,
        gid: stats.gid,
        size: stats.size,
        changed: stats.mtime,
      };
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
  });
}

/**
 * The bytes of a regular file of at most `limit` octets; undefined where there is none.
 * @throws files - not a regular file, too large, a link (unless `followLink`), unreadable
 */
export async function readFile(
  path: string,
  { limit = 1 << 20, followLink = false }: { readonly limit?: number; readonly followLink?: boolean } = {},
): Promise<Buffer | undefined> {
  return guard('read', path, async () => {
    let file;
    try {
      // O_NONBLOCK: a FIFO must not hang the program.
      const flags = constants.O_RDONLY | constants.O_NONBLOCK | (followLink ? 0 : constants.O_NOFOLLOW);
      file = await open(path, flags);
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
      throw error;
    }
    try {
      const stats = await file.stat();
      const flaw = stats.isDirectory()
        ? 'it is a folder'
        : !stats.isFile()
          ? 'it is not a regular file'
          : stats.size > limit
            ? `it is larger than ${limit} octets`
            : undefined;
      if (flaw !== undefined) {
        throw new RelaycertsError('files', `cannot read ${quotePath(path)}: ${flaw}`, {
          hint: `look at what it is: ls -ld ${pathWord(path)}`,
        });
      }
      return await file.readFile();
    } finally {
      await file.close();
    }
  });
}

/** A file that a person named, at most 1 MiB; a missing one rejects with Node's ENOENT. @throws files - as readFile */
export async function readNamedFile(path: string): Promise<Buffer> {
  const bytes = await readFile(path, { followLink: true });
  if (bytes === undefined) throw Object.assign(new Error(`there is no file ${quotePath(path)}`), { code: 'ENOENT' });
  return bytes;
}

/** The names in a folder, sorted; none where there is no such folder. */
export async function listFolder(path: string): Promise<readonly string[]> {
  return guard('list', path, async () => {
    try {
      return (await readdir(path)).toSorted();
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
      throw error;
    }
  });
}

/** The paths of the symbolic links in a folder, sorted; none where there is no such folder. */
export async function listLinks(path: string): Promise<readonly string[]> {
  return guard('list', path, async () => {
    try {
      const entries = await readdir(path, { withFileTypes: true });
      return entries
        .filter((entry) => entry.isSymbolicLink())
        .map(({ name }) => join(path, name))
        .toSorted();
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return [];
      throw error;
    }
  });
}

/**
 * Makes a folder and what is missing above it, each durable in its parent; one that is there keeps its mode. With
 * `followLink` a link to a folder is one, at the path and above it: for places that are the user's own.
 */
export async function makeFolder(
  path: string,
  mode: Mode,
  { followLink = false }: { readonly followLink?: boolean } = {},
): Promise<void> {
  const state = await statFile(path);
  if (state?.kind === 'folder') return;
  if (followLink && state?.kind === 'link' && (await guard('look at', path, () => stat(path))).isDirectory()) return;
  if (state !== undefined) {
    throw new RelaycertsError('files', `cannot make the folder ${quotePath(path)}: something else has its name`, {
      hint: `look at it, and move it away: ls -ld ${pathWord(path)}`,
    });
  }
  if (dirname(path) !== path) await makeFolder(dirname(path), mode, { followLink });
  await guard('make the folder', path, async () => {
    try {
      await mkdir(path, { mode });
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
    }
    await syncFolder(dirname(path));
  });
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  await guard('sync', path, async () => {
    const folder = await open(path, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  });
}

/** A new file beside `path` with the bytes in it, durable; gone again where it could not be written whole. */
async function writeTemporary(path: string, bytes: string | Uint8Array, mode: Mode): Promise<string> {
  const temporary = temporaryPath(path);
  leftovers.add(temporary);
  try {
    const file = await open(temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      await file.writeFile(bytes);
      // Widens a public file past the umask; a private one already has just this mode.
      await file.chmod(mode);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await dropTemporary(temporary);
    throw error;
  }
  return temporary;
}

async function dropTemporary(temporary: string): Promise<void> {
  await unlink(temporary).catch(() => undefined);
  leftovers.delete(temporary);
}

/**
 * Writes a file whole: whoever looks sees the old bytes or the new ones. The caller syncs the folder when all of a
 * group is written (`syncFolder`). A link at `path` is replaced, never followed.
 */
export async function writeFile(path: string, bytes: string | Uint8Array, mode: Mode): Promise<void> {
  await guard('write', path, async () => {
    const temporary = await writeTemporary(path, bytes, mode);
    try {
      await rename(temporary, path);
      leftovers.delete(temporary);
    } catch (error) {
      await dropTemporary(temporary);
      throw error;
    }
  });
}

/**
 * Writes a file that must not be there yet, whole; false where something has its name already. Its name is durable too,
 * unless it `mayVanish` with the machine.
 */
export async function createFile(
  path: string,
  bytes: string | Uint8Array,
  mode: Mode,
  { mayVanish = false }: { readonly mayVanish?: boolean } = {},
): Promise<boolean> {
  return guard('write', path, async () => {
    const temporary = await writeTemporary(path, bytes, mode);
    try {
      await link(temporary, path);
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    } finally {
      await dropTemporary(temporary);
    }
    if (!mayVanish) await syncFolder(dirname(path));
    return true;
  });
}

/** The error where `createFile` found something: what another process made meanwhile is never overwritten. */
export function appeared(path: string): RelaycertsError {
  return new RelaycertsError('files', `${quotePath(path)} appeared while relaycerts was about to make it`, {
    hint: 'run the same command again; it goes on from what is there now',
  });
}

/** Appends bytes to a file and makes them durable; the file is made with `mode` where it is missing, its name durable too. */
export async function appendFile(path: string, bytes: string, mode: Mode): Promise<void> {
  await guard('append to', path, async () => {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW;
    const file = await open(path, flags, mode);
    try {
      // A new file has what the umask left of its mode.
      const isNew = (await file.stat()).size === 0;
      if (isNew) await file.chmod(mode);
      await file.writeFile(bytes);
      await file.sync();
      if (isNew) await syncFolder(dirname(path));
    } finally {
      await file.close();
    }
  });
}

/** Renames one file of ours over another; the caller syncs the folders. */
export async function moveFile(from: string, to: string): Promise<void> {
  await guard('rename', from, () => rename(from, to));
}

/** Gives a file a second name, which is not durable yet; false where something has that name already. */
export async function nameFile(from: string, to: string): Promise<boolean> {
  return guard('write', to, async () => {
    try {
      await link(from, to);
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    }
  });
}

/** Removes a file; false where there was none. */
export async function removeFile(path: string): Promise<boolean> {
  return guard('remove', path, async () => {
    try {
      await unlink(path);
      return true;
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false;
      throw error;
    }
  });
}

/** Removes a folder that is empty; false where it is not, or is not there. */
export async function removeEmptyFolder(path: string): Promise<boolean> {
  return guard('remove', path, async () => {
    try {
      await rmdir(path);
      return true;
    } catch (error) {
      if (['ENOENT', 'ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes(systemCode(error) ?? '')) return false;
      throw error;
    }
  });
}

/** A new name beside `path` for what is to take its place; no longer than 29 octets more, with Linux's largest pid. */
export function temporaryPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.relaycerts-${process.pid}-${randomBytes(2).toString('hex')}.tmp`);
}

/** The file that a temporary file or folder of that name was to become, and the process that made it. */
export function parseTemporaryName(name: string): { readonly target: string; readonly pid: number } | undefined {
  const [, target, pid] = temporaryName.exec(name) ?? [];
  return target === undefined || pid === undefined ? undefined : { target, pid: Number(pid) };
}
