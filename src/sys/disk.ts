// The few disk calls that a change is made of (store/transaction.ts). They are an interface so that a test can run the
// transaction on a disk that loses what was not synced.
//
// No write follows a link in the last part of its path, and no file is ever open to more people than its mode says. The
// calls are synchronous, because a small file takes the kernel microseconds and a trip to libuv's threads several times
// that. Only syncs wait for a disk, and those go to the threads.

import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { inParallel } from './all-ended.js';
import { isMissing, statIfThere, unlessMissing } from './missing.js';
import { syncFileSystems } from './sync-file-systems.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

const fsync = promisify(fs.fsync);

/** The modes of files and folders that relaycerts makes. */
export type FileMode = 0o600 | 0o644;
export type FolderMode = 0o700 | 0o755;

export interface FileEnd {
  readonly bytes: Buffer;
  /** That of the whole file, in octets. */
  readonly size: number;
}

/** Paths are absolute. Every call but `sync` may be lost or reordered by a power failure until `sync` names its folder. */
export interface Disk {
  /** The bytes of a file; undefined if it does not exist. */
  read(path: string): Promise<Buffer | undefined>;
  /** The octets of a file from `start` on, negative: before its end; undefined if it does not exist. */
  readEnd(path: string, start: number): Promise<FileEnd | undefined>;
  /** True if anything has this name. */
  has(path: string): Promise<boolean>;
  /** The names in a folder; none if the folder does not exist. */
  list(path: string): Promise<readonly string[]>;
  /** Makes a file that must not exist. */
  create(path: string, bytes: Uint8Array, mode: FileMode): Promise<void>;
  /** Cuts a file to `offset` octets and writes `bytes` there; makes the file if it is missing. */
  writeAt(path: string, offset: number, bytes: Uint8Array, mode: FileMode): Promise<void>;
  /** Replaces `to` if it exists. */
  rename(from: string, to: string): Promise<void>;
  /** Does nothing if the file does not exist. */
  unlink(path: string): Promise<void>;
  /** True if it made the folder, false if the folder existed. */
  mkdir(path: string, mode: FolderMode): Promise<boolean>;
  /** Does nothing if the folder is missing or not empty. */
  rmdir(path: string): Promise<void>;
  /** Makes the content of files, and the names in folders, durable; missing ones are skipped. */
  sync(paths: readonly string[]): Promise<void>;
}

/** The errors of file systems that cannot sync a folder (CIFS, exFAT, many FUSE file systems). */
const cannotSync = new Set(['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EBADF']);
/** Files that are synced in parallel: libuv has four threads for it. */
const syncsAtOnce = 16;

/** From this number on, one sync of their file system is faster. */
const manySyncs = 64;

/** This machine's disk. `unsynced` collects the folders whose file system refuses to sync them. */
export function realDisk(unsynced: Set<string> = new Set()): Disk {
  return {
    // oxlint-disable-next-line typescript/require-await -- what is thrown becomes a rejection
    read: async (path) => {
      // Most files of a change are new, and throwing an error takes longer than a look.
      if (statIfThere(path) === undefined) return undefined;
      return readChecked(path, assertFile);
    },
    readEnd: async (path, start) =>
      unlessMissing(() =>
        withFile(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, undefined, (file) => {
          const stats = fs.fstatSync(file);
          assertFile(stats);
          const { size } = stats;
          const bytes = Buffer.alloc(Math.max(0, size - (start < 0 ? Math.max(0, size + start) : start)));
          return { size, bytes: bytes.subarray(0, readUpTo(file, bytes, bytes.length, size - bytes.length)) };
        }),
      ),
    has: async (path) => statIfThere(path) !== undefined,
    list: async (path) => unlessMissing(() => fs.readdirSync(path)) ?? [],
    create: async (path, bytes, mode) => {
      withFile(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode, (file) => {
        // Before anything is in it.
        const found = fs.fstatSync(file).mode;
        assertPrivate(path, found, mode);
        writeWhole(file, bytes, 0);
        // The umask may have removed bits. FAT has no modes, and refuses.
        if ((found & 0o777) !== mode) chmodIfKept(file, mode);
      });
    },
    writeAt: async (path, offset, bytes, mode) => {
      withFile(path, O_WRONLY | O_CREAT | O_NOFOLLOW, mode, (file) => {
        if (offset === 0) chmodIfKept(file, mode);
        fs.ftruncateSync(file, offset);
        writeWhole(file, bytes, offset);
      });
    },
    rename: async (from, to) => {
      fs.renameSync(from, to);
    },
    unlink: async (path) => {
      unlessGone(path, () => {
        fs.unlinkSync(path);
      });
    },
    mkdir: async (path, mode) => {
      try {
        fs.mkdirSync(path, { mode });
        return true;
      } catch (error) {
        if (systemCode(error) !== 'EEXIST' || !fs.lstatSync(path).isDirectory()) throw error;
        return false;
      }
    },
    rmdir: async (path) => {
      try {
        unlessGone(path, () => {
          fs.rmdirSync(path);
        });
      } catch (error) {
        if (!['ENOTEMPTY', 'EEXIST', 'EBUSY'].includes(systemCode(error) ?? '')) throw error;
      }
    },
    sync: async (paths) => {
      const left = paths.length < manySyncs ? paths : await syncFileSystems(paths);
      await inParallel(left, syncsAtOnce, (path) => syncOne(path, unsynced));
    },
  };
}

async function syncOne(path: string, unsynced: Set<string>): Promise<void> {
  try {
    // A link to a folder is followed: a home may be one, and a sync changes nothing.
    const file = fs.openSync(path, O_RDONLY | O_NONBLOCK);
    try {
      await fsync(file);
    } catch (error) {
      if (!cannotSync.has(systemCode(error) ?? '') || !fs.fstatSync(file).isDirectory()) throw error;
      unsynced.add(path);
    } finally {
      fs.closeSync(file);
    }
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Holds a small file's contents until it is known how much of it is kept. */
const scratch = Buffer.allocUnsafeSlow(1 << 16);

/**
 * The bytes of a file that `check` accepts; undefined if there is nothing. A FIFO does not hang the program. `same` is
 * returned if the file has these bytes.
 */
export function readChecked(
  path: string,
  check: (stats: fs.Stats) => void,
  { followLink = false, same }: { readonly followLink?: boolean; readonly same?: Buffer | undefined } = {},
): Buffer | undefined {
  const flags = O_RDONLY | O_NONBLOCK | (followLink ? 0 : O_NOFOLLOW);
  return unlessMissing(() =>
    withFile(path, flags, undefined, (file) => {
      const stats = fs.fstatSync(file);
      check(stats);
      const size = readUpTo(file, scratch, stats.size);
      const found = scratch.subarray(0, size);
      if (same?.equals(found) === true) return same;
      return size < scratch.length ? Buffer.from(found) : Buffer.concat([found, fs.readFileSync(file)]);
    }),
  );
}

/** The same in pieces, which are valid only until `take` returns; nothing if the file is missing. */
export function readPieces(path: string, check: (stats: fs.Stats) => void, take: (piece: Buffer) => void): void {
  unlessMissing(() =>
    withFile(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, undefined, (file) => {
      check(fs.fstatSync(file));
      const piece = Buffer.allocUnsafe(1 << 18);
      for (let size = fs.readSync(file, piece); size > 0; size = fs.readSync(file, piece)) {
        take(piece.subarray(0, size));
      }
    }),
  );
}

function assertFile(stats: fs.Stats): void {
  if (!stats.isFile()) throw Object.assign(new Error('not a file'), { code: 'EISDIR' });
}

/** Fills the buffer, or reads to the end of the file; if one read returns `expected` octets, that is all. */
function readUpTo(file: number, buffer: Buffer, expected: number, start?: number): number {
  let size = 0;
  while (size < buffer.length) {
    const more = fs.readSync(file, buffer, size, buffer.length - size, start === undefined ? null : start + size);
    if (more === 0) return size;
    size += more;
    if (more === expected) return size;
  }
  return size;
}

/** A nearly full disk writes a part, and reports the error only on the next write. */
function writeWhole(file: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    done += fs.writeSync(file, bytes, done, bytes.length - done, offset + done);
  }
}

/** A file system without modes may refuse to set one; the file's present mode then has to do. */
function chmodIfKept(file: number, mode: FileMode): void {
  try {
    fs.fchmodSync(file, mode);
  } catch (error) {
    if (!hasNoSuchCall.has(systemCode(error) ?? '')) throw error;
  }
}

function withFile<T>(path: string, flags: number, mode: FileMode | undefined, work: (file: number) => T): T {
  const file = fs.openSync(path, flags, mode);
  try {
    return work(file);
  } finally {
    fs.closeSync(file);
  }
}

/** The errors for a call that a file system does not support (FAT, exFAT, many FUSE file systems). */
export const hasNoSuchCall = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS']);

/** @throws permissions - the file system does not store modes, so a key would be open to others */
function assertPrivate(path: string, found: number, wanted: FileMode): void {
  if (wanted !== 0o600 || (found & 0o077) === 0) return;
  fs.unlinkSync(path);
  throw new RelaycertsError(
    'permissions',
    `the file system of ${quotePath(dirname(path))} cannot keep a file private`,
    {
      hint: 'work on another file system, or mount this one with umask=077',
    },
  );
}

/** The same for a folder, with an empty file that is removed at once. Other calls report a closed or missing folder. */
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

/**
 * The lock is the first file of a change, and so the first test of whether its file system keeps modes. @throws
 * permissions
 */
export function assertLockIsPrivate(file: number, path: string): void {
  if ((fs.fstatSync(file).mode & 0o077) === 0) return;
  chmodIfKept(file, 0o600);
  assertPrivate(path, fs.fstatSync(file).mode, 0o600);
}

/** Removes something if it is there. A read-only file system refuses to remove even what does not exist. */
function unlessGone(path: string, remove: () => void): void {
  try {
    unlessMissing(remove);
  } catch (error) {
    if (systemCode(error) !== 'EROFS' || statIfThere(path) !== undefined) throw error;
  }
}
