// Replaced passphrase files are kept beside the new one as FILE.old, FILE.old2 and so on. Projects of one domain share
// the file by default, and after a change in one of them the other CA's key opens only with the old file. None is ever
// overwritten, because it may be the only copy.

import { basename, dirname, join } from 'node:path';
import { listFolder, readFile } from '../sys/files.js';
import type { FileWrite } from './transaction.js';

/** The write that keeps these bytes of a passphrase file; undefined if they are already kept. @throws files */
export function planKept(file: string, bytes: Buffer): FileWrite | undefined {
  for (let number = 1; ; number += 1) {
    const path = `${file}.old${number === 1 ? '' : number}`;
    const found = readFile(path);
    if (found === undefined) return { path, bytes, mode: 0o600, folderMode: 0o700, isNew: true };
    if (found.equals(bytes)) return undefined;
  }
}

/** The paths of the kept files. @throws files */
export async function keptPassphrases(file: string): Promise<readonly string[]> {
  const folder = dirname(file);
  const first = `${basename(file)}.old`;
  return (await listFolder(folder))
    .filter((name) => name.startsWith(first) && /^(?:[2-9]|[1-9]\d{1,5})?$/u.test(name.slice(first.length)))
    .map((name) => join(folder, name));
}
