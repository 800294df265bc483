// Single files and folders: look, read, list, and replace one that is the user's own. Nothing here follows a symbolic
// link in the last part of a path, unless it is asked to.

import { randomBytes } from 'node:crypto';
import { constants, copyFile, link, lstat, open, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { fileError } from './file-error.js';
import { realDisk } from './disk.js';

/** What lies at a path; `mode` is the permission bits alone. */
export interface FileState {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

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

/**
 * Replaces a file of the user's own, or makes it: a new file beside it, durable, then one rename. For several files that
 * belong together there is store/transaction.ts. @throws files
 */
export async function replaceFile(path: string, bytes: string | Uint8Array, mode: 0o600 | 0o644): Promise<void> {
  await viaTemporary(path, bytes, mode, (temporary) => rename(temporary, path));
}

/** Makes a file that must not exist yet. @throws files - it does */
export async function writeNewFile(path: string, bytes: string | Uint8Array, mode: 0o600 | 0o644): Promise<void> {
  await viaTemporary(path, bytes, mode, async (temporary) => {
    // Unlike a rename, this never replaces what got the name meanwhile. FAT has no second names.
    await link(temporary, path).catch((error: unknown) => {
      if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP'].includes(systemCode(error) ?? '')) throw error;
      return copyFile(temporary, path, constants.COPYFILE_EXCL);
    });
    await unlink(temporary);
  });
}

async function viaTemporary(
  path: string,
  bytes: string | Uint8Array,
  mode: 0o600 | 0o644,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  await guard('write', path, async () => {
    const temporary = join(dirname(path), `.${basename(path)}.relaycerts-${randomBytes(4).toString('hex')}`);
    const disk = realDisk();
    try {
      await disk.create(temporary, Buffer.from(bytes), mode);
      await disk.sync([temporary]);
      await place(temporary);
      await disk.sync([dirname(path)]);
    } catch (error) {
      await disk.unlink(temporary);
      throw error;
    }
  });
}
