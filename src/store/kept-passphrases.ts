// Passphrase files that were replaced by one with another passphrase, or by one that nobody could open yet: FILE.old,
// FILE.old2 and so on. Folders with the same domain share the file by default, and where the passphrase changes in one,
// the CA's key of the other opens with the old file alone. None is overwritten: it exists nowhere else. The operator key
// that clean --all takes out of use is kept in the same way.

import { basename, dirname, join } from 'node:path';
import { createFile, listFolder, nameFile, readFile, removeFile, syncFolder } from '../sys/files.js';

/** Keeps a file as it is now beside it, durably, and gives the copy's path; undefined where there is no file. @throws files */
export async function keepAside(file: string): Promise<string | undefined> {
  const bytes = await readFile(file, { followLink: true });
  return bytes && keepAs(file, bytes, (path) => createFile(path, bytes, 0o600));
}

/**
 * Gives a file that name instead of its own, which needs no room on the disk; undefined where there is no file. The new
 * name is durable; the caller syncs the folder for the old one. @throws files
 */
export async function moveAside(file: string): Promise<string | undefined> {
  const bytes = await readFile(file);
  // Not a rename, which would replace what has the name.
  const path = bytes && (await keepAs(file, bytes, (name) => nameFile(file, name)));
  if (path === undefined) return undefined;
  await syncFolder(dirname(file));
  await removeFile(file);
  return path;
}

/** The first name that `keep` could take, or that has these bytes already. */
async function keepAs(file: string, bytes: Buffer, keep: (path: string) => Promise<boolean>): Promise<string> {
  for (let number = 1; ; number += 1) {
    const path = `${file}.old${number === 1 ? '' : number}`;
    if (await keep(path)) return path;
    if ((await readFile(path))?.equals(bytes) === true) return path;
  }
}

/** The paths of those that are there. @throws files */
export async function keptPassphrases(file: string): Promise<readonly string[]> {
  const folder = dirname(file);
  const first = `${basename(file)}.old`;
  return (await listFolder(folder))
    .filter((name) => name.startsWith(first) && /^(?:[2-9]|[1-9]\d{1,5})?$/u.test(name.slice(first.length)))
    .map((name) => join(folder, name));
}
