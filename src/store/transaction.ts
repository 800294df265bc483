// One change of several files, all or nothing, whatever happens to the machine.
//
// The new content is staged, and a journal lists what to do with it; both are durable before anything else happens. One
// rename of the journal is the commit. Carrying the journal out may be repeated, so recovery is to carry it out again.
// Before the commit the old state is untouched; after it the new one holds. A file that somebody edited between a crash
// and the recovery is not overwritten: the journal holds the old digests.
//
// carry-out.ts carries it out. Nothing here knows of certificates, locks or terminals.

import { randomBytes } from 'node:crypto';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode } from '../errors.js';
import { shellWord } from '../shell-word.js';
import type { Disk, FileMode, FolderMode } from '../sys/disk.js';
import { attempt, fileError } from '../sys/file-error.js';
import { giveTurn } from '../sys/progress.js';
import { carryOut, type EditedFile } from './carry-out.js';
import {
  changeFolder,
  digestOf,
  gapAfter,
  isBelow,
  journalOf,
  parseJournal,
  noJournal,
  pathAt,
  pathsElsewhere,
  storedPath,
  type Journal,
  type JournalWrite,
} from './journal.js';

/** What to do; paths are absolute. */
export interface Change {
  readonly writes: readonly FileWrite[];
  readonly appends: readonly FileAppend[];
  /** Files. */
  readonly removes: readonly string[];
  /** Folders to remove if they are empty then, the innermost first. */
  readonly empties: readonly string[];
}

export interface FileWrite {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly mode: FileMode;
  /** The mode of its folder, if that has to be made. */
  readonly folderMode: FolderMode;
  /** Nothing may have this name yet, because an overwritten file could not be made again. */
  readonly isNew: boolean;
}

export interface FileAppend {
  readonly path: string;
  /** Whole lines. */
  readonly text: string;
  readonly mode: FileMode;
}

export interface Outcome {
  /** True if this was an interrupted change. */
  readonly isRecovered: boolean;
  readonly edited: readonly EditedFile[];
}

const noMark = (): Promise<void> => Promise.resolve();
const draftOf = (project: string): string => join(changeFolder(project), 'draft');

/**
 * Makes a change durable beside the old state, which stays as it is. Only while holding the lock.
 * @throws files, permissions - nothing has changed then
 */
export async function stageChange(disk: Disk, project: string, change: Change): Promise<void> {
  const folder = changeFolder(project);
  if (await isCutOff(disk, project)) throw new TypeError('a change that was cut off is recovered before the next one');
  await dropDraft(disk, project);
  try {
    const journal = await draftJournal(disk, project, change);
    const staged = journal.writes.map((write) => pathAt(project, write.staged));
    const elsewhere = [...staged.filter((path) => dirname(path) !== folder), ...journal.elsewhere];
    const folders = new Set([project, folder, ...elsewhere.map((path) => dirname(path))]);
    await attempt('make the folder', folder, () => disk.mkdir(folder, 0o700));
    await attempt('write', folder, async () => {
      await disk.create(draftOf(project), Buffer.from(JSON.stringify(journal)), 0o600);
      // Only the draft lists files elsewhere, so it is made durable before any of them exists.
      if (elsewhere.length > 0) await disk.sync([draftOf(project), folder, project]);
    });
    for (const path of journal.elsewhere.toReversed()) {
      await attempt('make the folder', path, () => disk.mkdir(path, 0o700));
    }
    for (const [index, { path, bytes, mode }] of change.writes.entries()) {
      await giveTurn();
      await attempt('write', path, () => disk.create(staged[index] ?? '', bytes, mode));
    }
    await attempt('sync', folder, () => disk.sync([draftOf(project), ...staged, ...folders]));
  } catch (error) {
    await dropDraft(disk, project).catch(() => undefined);
    throw error;
  }
}

/**
 * Commits the staged change, and carries it out. `mark` is called after the commit and before anything is carried out:
 * a reader that finds another mark than before has to read again.
 * @throws files - the next command finishes it
 */
export async function commitChange(disk: Disk, project: string, mark = noMark): Promise<Outcome> {
  try {
    await attempt('write', journalOf(project), () => disk.rename(draftOf(project), journalOf(project)));
  } catch (error) {
    await dropDraft(disk, project).catch(() => undefined);
    throw error;
  }
  return { isRecovered: false, edited: await carryOut(disk, project, mark) };
}

/** Drops what was staged and will not be committed. @throws files */
export async function dropDraft(disk: Disk, project: string): Promise<void> {
  const folder = changeFolder(project);
  // A committed change is not dropped, because without the staged files it could not be finished.
  if (await isCutOff(disk, project)) return;
  await attempt('remove', folder, async () => {
    const bytes = await disk.read(draftOf(project));
    // A draft that cannot be read was not durable, so there is nothing elsewhere yet.
    const draft = bytes === undefined ? undefined : parseJournal(bytes);
    const elsewhere = (draft?.writes ?? []).map(({ staged }) => staged).filter((staged) => isAbsolute(staged));
    for (const path of elsewhere) await disk.unlink(path);
    for (const path of draft?.elsewhere ?? []) await disk.rmdir(path);
    // Only the draft lists them, so their removal is made durable first.
    await disk.sync([...new Set([...elsewhere, ...(draft?.elsewhere ?? [])].map((path) => dirname(path)))]);
    for (const name of await disk.list(folder)) if (name !== 'draft') await disk.unlink(join(folder, name));
    await disk.unlink(draftOf(project));
    await disk.rmdir(folder);
  });
}

/** What an unfinished change would touch outside the project. @throws files */
export async function findElsewhere(disk: Disk, project: string): Promise<readonly string[]> {
  return attempt('read', changeFolder(project), async () => {
    const found = await Promise.all([disk.read(journalOf(project)), disk.read(draftOf(project))]);
    return found.flatMap((bytes) => pathsElsewhere((bytes && parseJournal(bytes)) ?? noJournal));
  });
}

/** True if a change was committed but is not carried out yet. @throws files */
export async function isCutOff(disk: Disk, project: string): Promise<boolean> {
  return (await attempt('list', changeFolder(project), () => disk.list(changeFolder(project)))).includes('journal');
}

/**
 * Finishes an interrupted change, or drops one that was only staged; `mark` as in commitChange. Only while holding the
 * lock. @throws files
 */
export async function recoverChange(disk: Disk, project: string, mark = noMark): Promise<Outcome> {
  const nothing = { isRecovered: false, edited: [] };
  if (!(await attempt('look at', changeFolder(project), () => disk.has(changeFolder(project))))) return nothing;
  if (await isCutOff(disk, project)) return { isRecovered: true, edited: await carryOut(disk, project, mark) };
  // A killed process may have removed the journal, and a power failure could bring it back.
  await attempt('sync', changeFolder(project), () => disk.sync([changeFolder(project)]));
  await dropDraft(disk, project);
  return nothing;
}

async function draftJournal(disk: Disk, project: string, change: Change): Promise<Journal> {
  const id = randomBytes(4).toString('hex');
  const folder = changeFolder(project);
  const stored = (path: string): string => storedPath(project, path);
  const read = async (path: string): Promise<Buffer | undefined> => attempt('read', path, () => disk.read(path));
  const isFolderThere = new Map<string, boolean>();
  /** A missing folder is empty: a fleet's bundles need only one look each. */
  const readIn = async (parent: string, path: string): Promise<Buffer | undefined> => {
    const isThere = isFolderThere.get(parent) ?? (await attempt('look at', parent, () => disk.has(parent)));
    isFolderThere.set(parent, isThere);
    return isThere ? read(path) : undefined;
  };
  const writes: JournalWrite[] = [];
  for (const [index, { path, bytes, mode, isNew }] of change.writes.entries()) {
    await giveTurn();
    const before = await readIn(dirname(path), path);
    if (isNew && before !== undefined) throw appearedError(path);
    // Files for elsewhere are staged there, so that no private key is copied to another disk on its way.
    const staged = isBelow(project, path)
      ? `${folder}/${index}`
      : join(dirname(path), `.${basename(path)}.relaycerts-${id}`);
    const old = before === undefined ? null : digestOf(before);
    writes.push({ path: stored(path), staged: stored(staged), mode, old, new: digestOf(bytes) });
  }
  const removes = [];
  for (const path of change.removes) {
    const before = await read(path);
    if (before !== undefined) removes.push({ path: stored(path), old: digestOf(before) });
  }
  const appends = [];
  for (const { path, text, mode } of change.appends) {
    const before = await attempt('read', path, () => disk.readEnd(path, -1));
    const gap = before === undefined ? '' : gapAfter(before.bytes);
    appends.push({ path: stored(path), offset: before?.size ?? 0, text: `${gap}${text}`, mode });
  }
  const elsewhere = new Set<string>();
  for (const { path } of change.writes) {
    if (!isBelow(project, path)) for (const one of await missingFolders(disk, dirname(path))) elsewhere.add(one);
  }
  const folders = new Map<string, FolderMode>();
  for (const { path } of change.appends) folders.set(dirname(path), 0o755);
  for (const { path, folderMode } of change.writes) folders.set(dirname(path), folderMode);
  return {
    version: 1,
    elsewhere: [...elsewhere].toSorted((a, b) => b.length - a.length),
    folders: [...folders].flatMap(([path, mode]) => (isBelow(project, path) ? [{ path: stored(path), mode }] : [])),
    writes,
    appends,
    removes,
    empties: change.empties.map(stored),
  };
}

/** The missing folders that a file elsewhere needs, the innermost first. */
async function missingFolders(disk: Disk, path: string): Promise<readonly string[]> {
  const above = dirname(path);
  if (above === path) return [];
  try {
    if ((await disk.list(above)).includes(basename(path))) return [];
  } catch (error) {
    // /home may be closed to its users, and then the folders below it exist.
    if (systemCode(error) === 'EACCES') return [];
    throw fileError(error, 'list', above);
  }
  return [path, ...(await missingFolders(disk, above))];
}

function appearedError(path: string): RelaycertsError {
  return new RelaycertsError('files', `${quotePath(path)} is in the way of a new file with this name`, {
    hint: `nothing was changed; keep it elsewhere: mv ${shellWord(path)} ${shellWord(`${path}.away`)}`,
  });
}
