// Carries out a committed change: does what its journal says, from wherever it was cut off. Each step may be repeated,
// and finds what an earlier run did. store/transaction.ts stages and commits.

import { basename, dirname, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { shellWord } from '../shell-word.js';
import type { Disk, FileMode, FolderMode } from '../sys/disk.js';
import { attempt } from '../sys/file-error.js';
import { giveTurn } from '../sys/progress.js';
import { changeFolder, digestOf, gapAfter, isBelow, journalOf, parseJournal, pathAt, type Journal } from './journal.js';

/**
 * A file that was edited since and is therefore kept; `kept` is the path of the change's own version, if there is one.
 */
export interface EditedFile {
  readonly path: string;
  readonly kept: string | undefined;
}

/** Does what the journal says, from wherever it was cut off. The journal is removed last. */
export async function carryOut(disk: Disk, project: string, mark: () => Promise<void>): Promise<readonly EditedFile[]> {
  const at = (path: string): string => pathAt(project, path);
  const folder = changeFolder(project);
  // A killed process may have left a journal whose name is not durable yet.
  await attempt('sync', journalOf(project), () => disk.sync([folder]));
  await mark();
  const bytes = await attempt('read', journalOf(project), () => disk.read(journalOf(project)));
  const journal = bytes === undefined ? undefined : parseJournal(bytes);
  if (journal === undefined) throw damagedError(project, journalOf(project));
  const edited: EditedFile[] = [];
  const touched = new Set<string>();
  const above = new Set<string>();
  /** Folders made just now, which need no look inside. */
  const made = new Set<string>();
  for (const { path, mode } of journal.folders) {
    if (await makeFolder(disk, at(path), mode, 0o755)) made.add(at(path));
    // All of them up to the project: an interrupted run may have made the ones above without syncing them.
    for (let one = at(path); isBelow(project, one); one = dirname(one)) above.add(dirname(one));
  }
  // A file moved into a folder is lost with it, so the folders are made durable first.
  await attempt('sync', project, () => disk.sync([...above]));
  const stagedHere = new Set(await attempt('list', folder, () => disk.list(folder)));
  for (const write of journal.writes) {
    await giveTurn();
    const [path, staged] = [at(write.path), at(write.staged)];
    const isHere = dirname(staged) === folder;
    const found = made.has(dirname(path)) ? undefined : await attempt('read', path, () => disk.read(path));
    const now = found === undefined ? null : digestOf(found);
    await attempt('write', path, async () => {
      const isEdited = now !== write.old && now !== write.new;
      const kept = isEdited ? await keptName(disk, path, write.new) : undefined;
      // Also if the content is the same, because the mode may differ.
      const isStaged = isHere ? stagedHere.has(basename(staged)) : (await disk.read(staged)) !== undefined;
      if (isStaged) await moveInto(disk, staged, path, kept?.name ?? path, write.mode);
      else if (kept === undefined ? now !== write.new : !kept.isThere) {
        if (!isEdited || now === null) throw damagedError(project, staged);
        // It was edited after it had been written, so there is no other version to keep.
        return;
      }
      if (kept !== undefined) edited.push({ path, kept: kept.name });
    });
    touched.add(dirname(path));
  }
  for (const append of journal.appends) {
    const path = at(append.path);
    await attempt('append to', path, () => appendOnce(disk, { ...append, path }));
    touched.add(path).add(dirname(path));
  }
  for (const { path, old } of journal.removes) {
    await attempt('remove', at(path), async () => {
      const found = await disk.read(at(path));
      if (found === undefined) return;
      if (digestOf(found) === old) await disk.unlink(at(path));
      else edited.push({ path: at(path), kept: undefined });
    });
    touched.add(dirname(at(path)));
  }
  for (const path of journal.empties) {
    await attempt('remove', at(path), () => disk.rmdir(at(path)));
    touched.add(dirname(at(path)));
  }
  await attempt('sync', project, () => disk.sync([...touched]));
  await attempt('remove', journalOf(project), async () => {
    await disk.unlink(journalOf(project));
    await disk.sync([folder]);
    await disk.rmdir(folder);
  });
  return edited;
}

/** Writes lines at their place in a log, unless they are there; after an edit by hand, at the end. */
async function appendOnce(disk: Disk, { path, offset, text, mode }: Journal['appends'][number]): Promise<void> {
  const wanted = Buffer.from(text);
  const { size, bytes: tail } = (await disk.readEnd(path, offset)) ?? { size: 0, bytes: Buffer.alloc(0) };
  // A power failure may leave the new size, with zeros for what was not written. Lines that look complete are written
  // again too: after a failed sync, the system may show what never reached the disk.
  const isOurs =
    size >= offset &&
    tail.length <= wanted.length &&
    tail.every((octet, index) => octet === 0 || octet === wanted[index]);
  if (isOurs) {
    await disk.writeAt(path, offset, wanted, mode);
    return;
  }
  const found = (await disk.read(path)) ?? Buffer.alloc(0);
  if (!found.includes(text.trim())) {
    await disk.writeAt(path, found.length, Buffer.from(`${gapAfter(found)}${text.trimStart()}`), mode);
  }
}

/** A rename; into another file system (a mount below the project), a copy that is durable before it gets the name. */
async function moveInto(disk: Disk, staged: string, path: string, place: string, mode: FileMode): Promise<void> {
  try {
    await disk.rename(staged, place);
  } catch (error) {
    const bytes = systemCode(error) === 'EXDEV' ? await disk.read(staged) : undefined;
    if (bytes === undefined) throw error;
    // Named after the file and not its place, so that a recovery finds the copy of an earlier one.
    const beside = join(dirname(path), `.${basename(path)}.relaycerts-copy`);
    await disk.unlink(beside);
    await disk.create(beside, bytes, mode);
    await disk.sync([beside]);
    await disk.rename(beside, place);
    await disk.sync([dirname(path)]);
    await disk.unlink(staged);
  }
}

/** Makes a folder and the missing ones above it; true if it was missing. */
async function makeFolder(disk: Disk, path: string, mode: FolderMode, modeAbove: FolderMode): Promise<boolean> {
  return attempt('make the folder', path, async () => {
    try {
      return await disk.mkdir(path, mode);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
      await makeFolder(disk, dirname(path), modeAbove, modeAbove);
      return disk.mkdir(path, mode);
    }
  });
}

/** Where the change's version of an edited file goes; an interrupted recovery may have put it there. */
async function keptName(
  disk: Disk,
  path: string,
  digest: string,
): Promise<{ readonly name: string; readonly isThere: boolean }> {
  for (let number = 1; ; number += 1) {
    const name = `${path}.relaycerts-new${number === 1 ? '' : `-${number}`}`;
    const found = await disk.read(name);
    if (found === undefined) return { name, isThere: false };
    if (digestOf(found) === digest) return { name, isThere: true };
  }
}

function damagedError(project: string, path: string): RelaycertsError {
  return new RelaycertsError(
    'files',
    `an interrupted change cannot be finished: ${quotePath(path)} is missing or damaged`,
    {
      hint: `if its file system is not mounted, mount it and run the same command again; to give the change up: rm -r ${shellWord(changeFolder(project))}`,
    },
  );
}
