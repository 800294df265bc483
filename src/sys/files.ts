// Single files and folders: look, read, list, and replace a file that belongs to the user. Symbolic links in the last
// part of a path are not followed unless the caller asks for it.

import { randomBytes } from 'node:crypto';
import { constants, copyFileSync, linkSync, renameSync, rmSync, unlinkSync, type Stats } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode, type Hint } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { hasNoSuchCall, readChecked, readPieces, realDisk, type FileMode } from './disk.js';
import { statIfThere } from './missing.js';
import { attempt, fileError } from './file-error.js';

/** What is at a path; `mode` is only the permission bits. */
export interface FileState {
  readonly kind: 'file' | 'folder' | 'link' | 'other';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
}

/** What is at `path`, without following a link; undefined if nothing is. */
export function lookAt(path: string): FileState | undefined {
  try {
    const stats = statIfThere(path);
    return stats && stateOf(stats);
  } catch (error) {
    throw fileError(error, 'look at', path);
  }
}

function stateOf(stats: Stats): FileState {
  const kind = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : stats.isSymbolicLink() ? 'link' : 'other';
  return { kind, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid, size: stats.size };
}

interface ReadOptions {
  readonly limit?: number;
  readonly followLink?: boolean;
  /** Returned if the file has these bytes, so that copies of one file share memory. */
  readonly same?: Buffer | undefined;
  /** Called with what was opened, before it is read. */
  readonly see?: (state: FileState) => void;
}

/**
 * The bytes of a regular file of at most `limit` octets; undefined if it does not exist.
 * @throws files - not a regular file, too large, a link (unless `followLink`), unreadable
 */
export function readFile(
  path: string,
  { limit = 1 << 20, followLink = false, same, see }: ReadOptions = {},
): Buffer | undefined {
  const check = (stats: Stats): void => {
    assertReadable(path, stats, limit);
    see?.(stateOf(stats));
  };
  try {
    return readChecked(path, check, { followLink, same });
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}

/** Passes a file of any size to `take`, piece by piece; nothing if it is missing. @throws files - as readFile */
export function readInPieces(path: string, take: (piece: Buffer) => void): void {
  try {
    readPieces(path, (stats) => assertReadable(path, stats, Infinity), take);
  } catch (error) {
    throw fileError(error, 'read', path);
  }
}

function assertReadable(path: string, stats: Stats, limit: number): void {
  if (stats.isFile() && stats.size <= limit) return;
  const other = stats.isDirectory() ? 'it is a folder' : 'it is not a regular file';
  const flaw = stats.isFile() ? `it is larger than ${limit} octets` : other;
  throw new RelaycertsError('files', `cannot read ${quotePath(path)}: ${flaw}`, {
    hint: `look at what it is: ls -ld ${pathWord(path)}`,
  });
}

/** A file that a person named, at most 1 MiB; a missing one rejects with Node's ENOENT. @throws files - as readFile */
export async function readNamedFile(path: string): Promise<Buffer> {
  const bytes = readFile(path, { followLink: true });
  if (bytes === undefined) throw Object.assign(new Error(`there is no file ${quotePath(path)}`), { code: 'ENOENT' });
  return bytes;
}

/** The names in a folder, sorted; none if the folder does not exist. */
export async function listFolder(path: string): Promise<readonly string[]> {
  return (await attempt('list', path, () => realDisk().list(path))).toSorted();
}

/**
 * Replaces or makes a file that belongs to the user: a new file beside it, durable, then one rename. For several files
 * that belong together there is store/transaction.ts. @throws files
 */
export async function replaceFile(path: string, bytes: string | Uint8Array, mode: FileMode): Promise<void> {
  await replaceFiles([{ path, bytes, mode }]);
}

/** The same for many files: none is replaced before all are on the disk. @throws files */
export async function replaceFiles(files: readonly NewFile[]): Promise<void> {
  await viaTemporaries(files, async ({ path }, temporary) => renameSync(temporary, path));
}

interface NewFile {
  readonly path: string;
  readonly bytes: string | Uint8Array;
  readonly mode: FileMode;
}

/**
 * Replaces a file that was read as `before`, if it is unchanged; its mode stays private if it was.
 * @throws files - it changed meanwhile, and was left as it is
 */
export async function replaceUnchanged(path: string, before: string, text: string, hint: Hint): Promise<void> {
  const now = readFile(path, { limit: Infinity });
  const state = lookAt(path);
  if (now === undefined || state === undefined || !now.equals(Buffer.from(before))) {
    throw new RelaycertsError('files', `${quotePath(path)} changed meanwhile, and was left as it is`, { hint });
  }
  await replaceFile(path, text, (state.mode & 0o077) === 0 ? 0o600 : 0o644);
}

/**
 * Makes a file that must not exist yet; it gets its name once `prove` accepts what is on the disk.
 * @throws files - it exists; what `prove` throws
 */
export async function writeNewFile(
  path: string,
  bytes: string | Uint8Array,
  mode: FileMode,
  prove: (temporary: string) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  await viaTemporaries([{ path, bytes, mode }], async (_, temporary) => {
    await prove(temporary);
    // Unlike a rename, this never replaces a file that got the name meanwhile. FAT has no hard links.
    try {
      linkSync(temporary, path);
    } catch (error) {
      if (!hasNoSuchCall.has(systemCode(error) ?? '')) throw error;
      copyFileSync(temporary, path, constants.COPYFILE_EXCL);
    }
    unlinkSync(temporary);
  });
}

async function viaTemporaries(
  files: readonly NewFile[],
  place: (file: NewFile, temporary: string) => Promise<void>,
): Promise<void> {
  const [first] = files;
  if (first === undefined) return;
  const disk = realDisk();
  const made = files.map((file) => {
    const { path } = file;
    return { file, temporary: join(dirname(path), `.${basename(path)}.relaycerts-${randomBytes(4).toString('hex')}`) };
  });
  // For example, on Ctrl-C while somebody is asked for a PIN.
  const drop = (): void => {
    for (const { temporary } of made) rmSync(temporary, { force: true });
  };
  process.on('exit', drop);
  try {
    for (const { file, temporary } of made) {
      const bytes = typeof file.bytes === 'string' ? Buffer.from(file.bytes) : file.bytes;
      await attempt('write', file.path, () => disk.create(temporary, bytes, file.mode));
    }
    await attempt('write', first.path, () => disk.sync(made.map(({ temporary }) => temporary)));
    for (const { file, temporary } of made) await attempt('write', file.path, () => place(file, temporary));
    await attempt('write', first.path, () => disk.sync([...new Set(files.map(({ path }) => dirname(path)))]));
  } catch (error) {
    for (const { temporary } of made) await disk.unlink(temporary);
    throw error;
  } finally {
    process.off('exit', drop);
  }
}
