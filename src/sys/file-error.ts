// What the system says of a file, in words, with what mends it.

import { constants } from 'node:os';
import { dirname } from 'node:path';
import { RelaycertsError, quotePath, systemCode, type ErrorCode } from '../errors.js';
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
  ENOENT: 'there is no such file or folder',
  EEXIST: 'it is already there',
  EMFILE: 'too many files are open',
  ENOTEMPTY: 'the folder is not empty',
};

const goesOn = 'it goes on from what is there, and nothing is half written';

const mends: Readonly<Record<string, (path: string) => string>> = {
  EACCES: (path) => `look at who owns it: ls -ld ${pathWord(path)} ${pathWord(dirname(path))}`,
  EPERM: (path) => `look at who owns it, and at its attributes: ls -ld ${pathWord(path)}; lsattr -d ${pathWord(path)}`,
  EROFS: () => `work on a file system that can be written, or make this one writable: ${goesOn}`,
  ENOSPC: () => `make room and run the same command again: ${goesOn}`,
  EDQUOT: () => `make room and run the same command again: ${goesOn}`,
  EIO: () => `see what the kernel says of the disk (dmesg), then run the same command again: ${goesOn}`,
  EISDIR: (path) => `look at what it is: ls -ld ${pathWord(path)}`,
  ELOOP: (path) => `put the file itself there instead of a link: ls -l ${pathWord(path)}`,
};

/** Turns a system error into one that says what could not be done to which file; anything else passes unchanged. */
export function fileError(error: unknown, doing: string, path: string, code: ErrorCode = 'files'): unknown {
  const name = errorName(error);
  if (name === undefined || error instanceof RelaycertsError) return error;
  const hint = mends[name]?.(path);
  return new RelaycertsError(
    code,
    `cannot ${doing} ${quotePath(path)}: ${meanings[name] ?? name}`,
    hint === undefined ? { cause: error } : { cause: error, hint },
  );
}

/** The same where standard output cannot take what is written to it. */
export function outputError(error: Error): RelaycertsError {
  const name = errorName(error);
  const isFull = name === 'ENOSPC' || name === 'EDQUOT';
  const what = name === undefined ? error.message : (meanings[name] ?? name);
  return new RelaycertsError('files', `cannot write to standard output: ${what}`, {
    cause: error,
    hint: `${isFull ? 'make room there, or ' : ''}send it elsewhere, and run the same command again`,
  });
}

/** The error's name (`ENOSPC`), also of those that libuv knows by their number alone ("Unknown system error -122"). */
function errorName(error: unknown): string | undefined {
  const code = systemCode(error);
  const number = /^Unknown system error -(\d+)$/u.exec(code ?? '')?.[1];
  return Object.entries(constants.errno).find(([, value]) => String(value) === number)?.[0] ?? code;
}
