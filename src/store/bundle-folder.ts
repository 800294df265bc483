// A bundle's folder comes into being whole: built beside its place, durable, and renamed into it. Where one is there
// already, that is moved aside in the instant before. POSIX exchanges no two folders in one step, so a crash may fall
// between: then the old folder goes back into its place at the next run. A change of one file alone is that file's rename.

import { mkdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RelaycertsError, systemCode } from '../errors.js';
import { allEnded } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import {
  listFolder,
  makeFolder,
  moveFile,
  parseTemporaryName,
  removeEmptyFolder,
  removeFile,
  statFile,
  syncFolder,
  temporaryPath,
  writeFile,
} from '../sys/files.js';
import { fileError } from '../sys/file-error.js';
import { leftovers } from '../sys/leftovers.js';
import type { Layout } from './layout.js';

export interface BundleFile {
  readonly name: string;
  readonly bytes: Buffer;
  readonly mode: 0o600 | 0o644;
}

/** What a folder is called while another takes its place: its temporary name, with this for an ending. */
const aside = '.old';

/** Makes the folder hold these files; `changed` names those that are not yet right there. What else is there stays. */
export async function writeBundleFolder(
  folder: string,
  files: readonly BundleFile[],
  changed: ReadonlySet<string>,
): Promise<void> {
  const state = await statFile(folder);
  if (state?.kind === 'folder' && changed.size === 1) {
    await writeInPlace(folder, files, changed);
    return;
  }
  if (state === undefined) await makeFolder(dirname(folder), 0o755);
  else if (state.kind !== 'folder') await makeFolder(folder, 0o700);
  const temporary = temporaryPath(folder);
  leftovers.add(temporary);
  try {
    await buildFolder(temporary, files);
    const old = state === undefined ? undefined : `${temporary}${aside}`;
    await exchange(folder, temporary, old);
    leftovers.delete(temporary);
    await syncFolder(dirname(folder));
    if (old !== undefined) await emptyInto(old, folder);
  } catch (error) {
    await removeFolder(temporary).catch(() => undefined);
    leftovers.delete(temporary);
    const cause = error instanceof RelaycertsError ? error.cause : error;
    // A file system of its own cannot be moved aside. Of everything else the person knows the folder, and no other name.
    if (systemCode(cause) !== 'EBUSY') throw fileError(cause, 'write the bundle', folder);
    await writeInPlace(folder, files, changed);
  }
}

async function writeInPlace(folder: string, files: readonly BundleFile[], changed: ReadonlySet<string>): Promise<void> {
  for (const { name, bytes, mode } of files) {
    if (changed.has(name)) await writeFile(join(folder, name), bytes, mode);
  }
  await syncFolder(folder);
}

async function buildFolder(folder: string, files: readonly BundleFile[]): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    throw fileError(error, 'make the folder', folder);
  }
  await allEnded(files.map(({ name, bytes, mode }) => writeFile(join(folder, name), bytes, mode)));
  await syncFolder(folder);
}

async function exchange(folder: string, next: string, old: string | undefined): Promise<void> {
  if (old !== undefined) await moveFile(folder, old);
  try {
    await moveFile(next, folder);
  } catch (error) {
    if (old !== undefined) await moveFile(old, folder);
    throw error;
  }
}

/** Removes a folder that was replaced; what somebody else put into it moves to where it was. */
async function emptyInto(old: string, folder: string): Promise<void> {
  for (const name of await listFolder(old)) {
    if ((await statFile(join(folder, name))) === undefined) await moveFile(join(old, name), join(folder, name));
    else await removeFile(join(old, name));
  }
  await syncFolder(folder);
  await removeEmptyFolder(old);
  await syncFolder(dirname(old));
}

/** Finishes or undoes every exchange that was cut off, with a word. Only while holding the lock. @throws files */
export async function settleBundleFolders({ hostsFolder }: Layout, sys: Pick<Sys, 'say'>): Promise<void> {
  const names = await listFolder(hostsFolder);
  for (const name of names) {
    if (!name.endsWith(aside)) continue;
    const target = parseTemporaryName(name.slice(0, -aside.length))?.target;
    if (target === undefined) continue;
    const folder = join(hostsFolder, target);
    if ((await statFile(folder)) === undefined) {
      await moveFile(join(hostsFolder, name), folder);
      await syncFolder(hostsFolder);
      sys.say(`brought back the bundle of ${basename(folder)}, whose replacement was cut off`);
    } else {
      await emptyInto(join(hostsFolder, name), folder);
    }
  }
  for (const name of names) {
    if (parseTemporaryName(name) !== undefined) await removeFolder(join(hostsFolder, name));
  }
}

/** Removes a folder that this program built and never put into its place. */
async function removeFolder(folder: string): Promise<void> {
  if ((await statFile(folder))?.kind !== 'folder') return;
  for (const name of await listFolder(folder)) await removeFile(join(folder, name));
  await removeEmptyFolder(folder);
}
