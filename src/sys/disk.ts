// The few calls to the disk that a change is made of (store/transaction.ts). They are an interface so that a test can put
// a disk under the transaction that loses what was not synced.
//
// Nothing that is written follows a link in the last part of its path, and no file is ever open to more people than its mode says.

import type { Stats } from 'node:fs';
import { constants, lstat, mkdir, open, readdir, rename, rmdir, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { inGroups } from './all-ended.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;

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
    read: async (path) =>
      readChecked(path, (stats) => {
        if (!stats.isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
      }),
    list: async (path) => (await unlessMissing(readdir(path))) ?? [],
    create: (path, bytes, mode) =>
      withFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600, async (file) => {
        // Before anything is in it.
        await assertPrivate(path, (await file.stat()).mode, mode);
        await file.writeFile(bytes);
        // The umask may have taken bits away.
        await chmodIfKept(file, mode);
      }),
    writeAt: (path, offset, bytes, mode) =>
      withFile(path, O_WRONLY | O_CREAT | O_NOFOLLOW, mode, async (file) => {
        if (offset === 0) await chmodIfKept(file, mode);
        await file.truncate(offset);
        // A disk that is nearly full takes a part, and says so only to the next write.
        for (let done = 0; done < bytes.length;) {
          done += (await file.write(bytes, done, bytes.length - done, offset + done)).bytesWritten;
        }
      }),
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
      await inGroups(paths, syncsAtOnce, (path) => syncOne(path, unsynced));
    },
  };
}

async function syncOne(path: string, unsynced: Set<string>): Promise<void> {
  // A link to a folder is followed: a home may be one, and a sync changes nothing.
  const done = withFile(path, O_RDONLY | O_NONBLOCK, undefined, async (file) => {
    try {
      await file.sync();
    } catch (error) {
      if (!cannotSync.has(systemCode(error) ?? '') || !(await file.stat()).isDirectory()) throw error;
      unsynced.add(path);
    }
  });
  await unlessMissing(done);
}

/** The bytes of what `check` does not refuse; undefined if there is nothing. A FIFO does not hang the program. */
export async function readChecked(
  path: string,
  check: (stats: Stats) => void,
  followLink = false,
): Promise<Buffer | undefined> {
  const flags = O_RDONLY | O_NONBLOCK | (followLink ? 0 : O_NOFOLLOW);
  return unlessMissing(
    withFile(path, flags, undefined, async (file) => {
      check(await file.stat());
      return file.readFile();
    }),
  );
}

async function withFile<T>(
  path: string,
  flags: number,
  mode: FileMode | undefined,
  work: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const file = await open(path, flags, mode);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** What a file system answers to a call that it does not have (FAT, exFAT, many FUSE file systems). */
export const hasNoSuchCall = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** A file system that keeps no modes may refuse a new one; the one that a file has then has to do. */
async function chmodIfKept(file: FileHandle, mode: FileMode): Promise<void> {
  await file.chmod(mode).catch((error: unknown) => {
    if (!hasNoSuchCall.has(systemCode(error) ?? '')) throw error;
  });
}

/** @throws permissions - the file system keeps no modes, so a key would be open to others */
async function assertPrivate(path: string, found: number, wanted: FileMode): Promise<void> {
  if (wanted !== 0o600 || (found & 0o077) === 0) return;
  await unlink(path);
  throw new RelaycertsError(
    'permissions',
    `the file system of ${quotePath(dirname(path))} cannot keep a file private`,
    {
      hint: 'work on another file system, or mount this one with umask=077',
    },
  );
}

/** The same of a folder, by an empty file that is gone at once. A folder that is closed or missing says so elsewhere. */
export async function assertKeepsModes(folder: string): Promise<void> {
  const [disk, probe] = [realDisk(), join(folder, '.relaycerts.probe')];
  try {
    await disk.unlink(probe);
    await disk.create(probe, Buffer.alloc(0), 0o600);
    await disk.unlink(probe);
  } catch (error) {
    if (error instanceof RelaycertsError) throw error;
  }
}

/** The lock is the first file of a change, and this the first look at what its file system keeps. @throws permissions */
export async function assertLockIsPrivate(file: FileHandle, path: string): Promise<void> {
  if (((await file.stat()).mode & 0o077) === 0) return;
  await chmodIfKept(file, 0o600);
  await assertPrivate(path, (await file.stat()).mode, 0o600);
}

/** A read-only file system refuses to remove even what is not there. */
async function unlessGone(path: string, error: unknown): Promise<void> {
  if (systemCode(error) !== 'EROFS' || (await unlessMissing(lstat(path))) !== undefined) throw error;
}

/** What `work` gives; undefined if there is no such file or folder. */
export async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
