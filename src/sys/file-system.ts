// What a file system says of itself: room, whether it can be written here, and where it is mounted.

import { access, constants, readFile, realpath, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileError } from './file-error.js';
import { systemCode } from '../errors.js';

export interface Room {
  /** The nearest folder that is there, and its file system's number. */
  readonly folder: string;
  readonly device: number;
  /** Octets that a file takes at least. */
  readonly block: number;
  /** Octets and files that this user may still write; undefined where the file system does not say. */
  readonly octets: number | undefined;
  readonly files: number | undefined;
}

/** The room at a path, or where it would be made. `uid` 0 may use what is reserved for root. @throws files */
export async function readRoom(path: string, uid: number): Promise<Room> {
  const folder = await nearestFolder(path);
  try {
    const [{ dev: device }, all] = await Promise.all([stat(folder), statfs(folder)]);
    return {
      folder,
      device,
      // Less than 4 KiB is a unit of counting alone; more than 64 KiB a wish for large writes (NFS, Ceph).
      block: Math.min(Math.max(all.bsize, 4096), 65_536),
      // Some (FUSE) count nothing; btrfs has no number of files.
      octets: all.blocks > 0 ? (uid === 0 ? all.bfree : all.bavail) * all.bsize : undefined,
      files: all.files > 0 ? all.ffree : undefined,
    };
  } catch (error) {
    throw fileError(error, 'look at the file system of', folder);
  }
}

async function nearestFolder(path: string): Promise<string> {
  try {
    const real = await realpath(path);
    return (await stat(real)).isDirectory() ? real : dirname(real);
  } catch (error) {
    if (dirname(path) !== path && ['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) {
      return nearestFolder(dirname(path));
    }
    throw fileError(error, 'look at', path);
  }
}

/** Why this process cannot make files in the nearest folder that is there; undefined where it can. */
export async function unwritable(
  path: string,
): Promise<{ readonly folder: string; readonly code: string } | undefined> {
  const folder = await nearestFolder(path);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    const code = systemCode(error);
    if (code === undefined) throw error;
    return { folder, code };
  }
}

export interface Mount {
  readonly point: string;
  /** True where this mount alone is read-only, and not the file system as a whole (`mount -o bind,ro`). */
  readonly isOfMount: boolean;
}

/** The mount that holds a real path, in the words of /proc/self/mountinfo (proc(5)); undefined where there is none. */
export function parseMount(mountinfo: string, path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const line of mountinfo.split('\n')) {
    const fields = line.split(' ');
    const [point, options] = [fields[4], fields[5]];
    if (point === undefined || options === undefined) continue;
    const plain = point.replaceAll(/\\([0-7]{3})/gu, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const holds = plain === '/' || path === plain || path.startsWith(`${plain}/`);
    // The last of those that are as long lies on top.
    if (!holds || plain.length < (found?.point.length ?? 0)) continue;
    const superOptions = fields.at(-1) ?? '';
    found = { point: plain, isOfMount: options.split(',').includes('ro') && !superOptions.split(',').includes('ro') };
  }
  return found;
}

/** The same for this process. */
export async function findMount(path: string): Promise<Mount | undefined> {
  return parseMount(await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''), path);
}
