// System errors about files, in words and with a hint. It decides nothing: an error that it does not know passes
// unchanged.

import { existsSync, lstatSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { pathWord } from '../shell-word.js';

const meanings: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EIO: 'the disk failed',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ELOOP: 'it is a symbolic link',
  ENAMETOOLONG: 'the name is too long',
  ENOENT: 'no such file or folder',
  EEXIST: 'it already exists',
  EMFILE: 'too many files are open',
  ENOTEMPTY: 'the folder is not empty',
};

const goesOn = 'it continues from what is there, and no file is half written';

const hints: Readonly<Record<string, (path: string) => string>> = {
  EACCES: permissionHint,
  EPERM: (path) => `look at who owns it, and at its attributes: ls -ld ${pathWord(path)}; lsattr -d ${pathWord(path)}`,
  EROFS: () => `use a file system that is writable, or remount this one: ${goesOn}`,
  ENOSPC: () => `make room and run the same command again: ${goesOn}`,
  EDQUOT: () => `make room and run the same command again: ${goesOn}`,
  EIO: () => `check the disk (dmesg), then run the same command again: ${goesOn}`,
  EISDIR: (path) => `mv ${pathWord(path)} ${pathWord(`${path}.old`)}`,
  ELOOP: (path) => linkHint(path, 'file'),
};

/** The command that replaces a link with what it points to; a dangling link is removed. */
export function linkHint(path: string, kind: 'file' | 'folder'): string {
  const [word, there] = [pathWord(path), `"$(readlink -f ${pathWord(path)})"`];
  if (!existsSync(path)) return `rm ${word}`;
  return kind === 'file'
    ? `cp -p --remove-destination ${there} ${word}`
    : `there=${there} && rm ${word} && cp -a "$there" ${word}`;
}

/**
 * What closes a file or its folder to this user: another owner or the mode, or a folder above if nothing can be seen.
 */
function permissionHint(path: string): string {
  const uid = process.geteuid?.() ?? -1;
  const both = [dirname(path), path].map((one) => ({ one, owner: ownerOf(one) }));
  const seen = both.filter(({ owner }) => owner !== undefined);
  const other = seen.findLast(({ owner }) => owner !== uid);
  if (other !== undefined) {
    const who = other.owner === 0 ? 'root' : `uid ${other.owner}`;
    const cure = isBelowOwn(other.one, uid) ? `sudo chown ${uid} ${pathWord(other.one)}` : 'use a place of your own';
    return `it belongs to ${who}: ${cure}`;
  }
  if (seen.length > 0) return `chmod u+rwX ${seen.map(({ one }) => pathWord(one)).join(' ')}`;
  return `see which folder above it is closed: namei -l ${pathWord(path)}`;
}

/** A folder that is below none of this user's is not for them to take: it may be /usr, or the home of somebody else. */
function isBelowOwn(path: string, uid: number): boolean {
  const above = dirname(path);
  return ownerOf(above) === uid || (above !== path && isBelowOwn(above, uid));
}

function ownerOf(path: string): number | undefined {
  try {
    return lstatSync(path).uid;
  } catch {
    return undefined;
  }
}

/**
 * Turns a system error into one that says what could not be done with which file; anything else passes unchanged.
 * `doing` completes "cannot ...", as in "read".
 */
export function fileError(error: unknown, doing: string, path: string): unknown {
  const name = errorName(error);
  if (name === undefined || error instanceof RelaycertsError) return error;
  const hint = hints[name]?.(path);
  const message = `cannot ${doing} ${quotePath(path)}: ${meanings[name] ?? name}`;
  return new RelaycertsError('files', message, { cause: error, hint });
}

/** Runs `work` on a file. @throws files - the system's error, in words */
export async function attempt<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw fileError(error, doing, path);
  }
}

/** The same for a write to standard output that failed. */
export function outputError(error: Error): RelaycertsError {
  const name = errorName(error);
  const isFull = name === 'ENOSPC' || name === 'EDQUOT';
  const what = name === undefined ? error.message : (meanings[name] ?? name);
  return new RelaycertsError('files', `cannot write to standard output: ${what}`, {
    cause: error,
    hint: `${isFull ? 'make room there, or ' : ''}send the output elsewhere, and run the same command again`,
  });
}

/** The error's name (`ENOSPC`), also if libuv knows only its number ("Unknown system error -122"). */
function errorName(error: unknown): string | undefined {
  const code = systemCode(error);
  const number = /^Unknown system error -(\d+)$/u.exec(code ?? '')?.[1];
  return Object.entries(constants.errno).find(([, value]) => String(value) === number)?.[0] ?? code;
}
