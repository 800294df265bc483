// Passphrase files that were replaced by one with another passphrase, or by one that nobody could open yet: FILE.old,
// FILE.old2 and so on. Folders with the same domain share the file by default, and where the passphrase changes in one,
// the CA's key of the other opens with the old file alone. None is overwritten: it exists nowhere else. The operator key
// that clean --all takes out of use is kept in the same way.

import { basename, dirname, join } from 'node:path';
import { createFile, listFolder, readFile } from '../host/files.js';

/** Keeps a file as it is now beside it, durably, and gives the copy's path; undefined where there is no file. @throws files */
export async function keepAside(file: string): Promise<string | undefined> {
  const bytes = await readFile(file, { followLink: true });
  if (bytes === undefined) return undefined;
  for (let number = 1; ; number += 1) {
    const path = `${file}.old${number === 1 ? '' : number}`;
    if (await createFile(path, bytes, 0o600)) return path;
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
