// The few calls to the disk that a change is made of (store/transaction.ts). They are an interface so that a test can put
// a disk under the transaction that loses what was not synced.
//
// Nothing that is written follows a link in the last part of its path, and no file is ever open to more people than its mode says.

import { constants, lstat, mkdir, open, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';

/** The modes of files and folders that relaycerts makes. */
export type FileMode = 0o600 | 0o644;
export type FolderMode = 0o700 | 0o755;

/** Paths are absolute. Every call but `sync` may be lost or reordered by a power failure until `sync` names its folder. */
export interface Disk {
  /** The bytes of a file; undefined if there is none. */
  read(path: string): Promise<Buffer | undefined>;
  /** The names in a folder; none if there is no such folder. */
  list(path: string): Promise<readonly string[]>;
  /** Makes a file that must not exist yet. */
  create(path: string, bytes: Uint8Array, mode: FileMode): Promise<void>;
  /** Cuts a file to `offset` octets and writes `bytes` there; makes it if it is missing. */
  writeAt(path: string, offset: number, bytes: Uint8Array, mode: FileMode): Promise<void>;
  /** Replaces `to` if it exists. */
  rename(from: string, to: string): Promise<void>;
  /** Does nothing if there is no such file. */
  unlink(path: string): Promise<void>;
  /** Does nothing if the folder exists. */
  mkdir(path: string, mode: FolderMode): Promise<void>;
  /** Does nothing if the folder is missing or not empty. */
  rmdir(path: string): Promise<void>;
  /** Makes the content of files, and the names in folders, durable; what is missing is skipped. */
  sync(paths: readonly string[]): Promise<void>;
}

/** What a file system answers if it cannot sync a folder (CIFS, exFAT, many FUSE file systems). */
const cannotSync = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EBADF']);
/** Files that are synced at the same time: libuv has four threads for it. */
const syncsAtOnce = 16;

/** This machine's disk. `unsynced` collects the folders whose file system refuses to sync them. */
export function realDisk(unsynced: Set<string> = new Set()): Disk {
  return {
    read: async (path) => {
      const file = await unlessMissing(open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK));
      if (file === undefined) return undefined;
      try {
        if (!(await file.stat()).isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
        return await file.readFile();
      } finally {
        await file.close();
      }
    },
    list: async (path) => (await unlessMissing(readdir(path))) ?? [],
    create: async (path, bytes, mode) => {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
      const file = await open(path, flags, 0o600);
      try {
        // Before anything is in it.
        await assertPrivate(path, (await file.stat()).mode, mode);
        await file.writeFile(bytes);
        // The umask may have taken bits away. FAT knows no modes, and refuses.
        await file.chmod(mode).catch(ignore('EPERM'));
      } finally {
        await file.close();
      }
    },
    writeAt: async (path, offset, bytes, mode) => {
      const file = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW, mode);
      try {
        if (offset === 0) await file.chmod(mode).catch(ignore('EPERM'));
        await file.truncate(offset);
        // A disk that is nearly full takes a part, and says so only to the next write.
        for (let done = 0; done < bytes.length;) {
          done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
        }
      } finally {
        await file.close();
      }
    },
    rename,
    unlink: async (path) => {
      await unlessMissing(unlink(path)).catch((error: unknown) => unlessGone(path, error));
    },
    mkdir: async (path, mode) => {
      await mkdir(path, { mode }).catch(async (error: unknown) => {
        if (systemCode(error) !== 'EEXIST' || !(await lstat(path)).isDirectory()) throw error;
      });
    },
    rmdir: async (path) => {
      await unlessMissing(rmdir(path)).catch((error: unknown) => {
        if (['ENOTEMPTY', 'EEXIST', 'EBUSY'].includes(systemCode(error) ?? '')) return undefined;
        return unlessGone(path, error);
      });
    },
    sync: async (paths) => {
      for (let at = 0; at < paths.length; at += syncsAtOnce) {
        await Promise.all(paths.slice(at, at + syncsAtOnce).map((path) => syncOne(path, unsynced)));
      }
    },
  };
}

async function syncOne(path: string, unsynced: Set<string>): Promise<void> {
  // A link to a folder is followed: a home may be one, and a sync changes nothing.
  const file = await unlessMissing(open(path, constants.O_RDONLY | constants.O_NONBLOCK));
  if (file === undefined) return;
  try {
    await file.sync();
  } catch (error) {
    if (!cannotSync.has(systemCode(error) ?? '') || !(await file.stat()).isDirectory()) throw error;
    unsynced.add(path);
  } finally {
    await file.close();
  }
}

/** @throws permissions - the file system keeps no modes, so a key would be open to others */
async function assertPrivate(path: string, found: number, wanted: FileMode): Promise<void> {
  if (wanted !== 0o600 || (found & 0o077) === 0) return;
  await unlink(path);
  throw new RelaycertsError('permissions', `the file system of ${quotePath(path)} cannot keep a file private`, {
    hint: 'work on another file system, or mount this one with umask=077',
  });
}

/** A read-only file system refuses to remove even what is not there. */
async function unlessGone(path: string, error: unknown): Promise<void> {
  if (systemCode(error) !== 'EROFS' || (await unlessMissing(lstat(path))) !== undefined) throw error;
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

function ignore(code: string): (error: unknown) => void {
  return (error) => {
    if (systemCode(error) !== code) throw error;
  };
}
