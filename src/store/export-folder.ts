// A folder of files for another program, which may be written again after each change. It has a note of what was written
// (.relaycerts.sha256, in the form of sha256sum), so that a file that somebody edited, or that was never ours, is known
// and never overwritten: the export is refused then, except that a new configuration is written beside the edited one.
// The note is written before the files with both digests, and after them with the new ones, so a run that was cut off
// can be repeated.

import { hash } from 'node:crypto';
import { dirname, join, relative } from 'node:path';
import { RelaycertsError, listSome, quotePath } from '../errors.js';
import { realDisk, type FolderMode } from '../sys/disk.js';
import { attempt } from '../sys/file-error.js';
import { listFolder, lookAt, readFile, replaceFile, replaceFiles } from '../sys/files.js';
import { assertSafeFolder } from './safety.js';

export interface ExportFile {
  /** Relative to the folder, with plain names. */
  readonly path: string;
  readonly bytes: Buffer;
  /** Material is ours alone; configuration may be edited. */
  readonly kind: 'secret' | 'material' | 'configuration';
}

export interface ExportedFile {
  readonly path: string;
  /** `kept`: it was edited, and what is new is beside it, in `PATH.new`, if anything is. */
  readonly outcome: 'written' | 'unchanged' | 'kept' | 'removed';
}

const noteName = '.relaycerts.sha256';

/** More octets than any file here has: the inventory of 10,000 hosts has 5 million. */
const limit = 1 << 24;

/**
 * Writes the files that differ, and removes from their folders what only an earlier export wrote; does nothing if one of
 * the files may not be written.
 * @throws files - a file there is not ours, or was edited; permissions - somebody else may write there
 */
export async function exportFolder(
  folder: string,
  files: readonly ExportFile[],
  sys: Parameters<typeof assertSafeFolder>[2],
): Promise<readonly ExportedFile[]> {
  const folders = foldersOf(folder, files);
  const parent = dirname(folder);
  await assertSafeFolder(parent, 'custody', sys);
  const there = folders.map(({ path }) => path).filter((path) => lookAt(path) !== undefined);
  assertNone(there.filter((path) => lookAt(path)?.kind !== 'folder'));
  for (const path of there) await assertSafeFolder(path, 'custody', sys);
  const note = join(folder, noteName);
  const known = readNote(note);
  const { wanted, writes, results } = planExport(folder, files, known);
  const left = await findLeft(folder, there, known, wanted);
  if (writes.size === 0 && noteOf(wanted) === noteOf(known)) return results;
  const disk = realDisk();
  for (const { path, mode } of folders) await attempt('make', path, () => disk.mkdir(path, mode));
  await replaceFile(note, noteOf(new Set([...known, ...wanted])), 0o600);
  await replaceFiles(
    [...writes].map(({ path, bytes, kind }) => ({
      path: join(folder, path),
      bytes,
      mode: kind === 'secret' ? 0o600 : 0o644,
    })),
  );
  for (const path of left) await attempt('remove', join(folder, path), () => disk.unlink(join(folder, path)));
  await disk.sync([parent, ...folders.map(({ path }) => path)]);
  await replaceFile(note, noteOf(wanted), 0o600);
  return [...results, ...left.map((path): ExportedFile => ({ path, outcome: 'removed' }))];
}

/** @throws files - a file there is not ours, or was edited */
function planExport(folder: string, files: readonly ExportFile[], known: ReadonlySet<string>) {
  const besides = new Map<ExportFile, ExportFile>();
  for (const file of files) {
    const isKept = file.kind === 'configuration' && stateOf(folder, file, known) === 'foreign';
    if (isKept) besides.set(file, { ...file, path: `${file.path}.new` });
  }
  const placed = files.flatMap((file) => {
    // What is new is put beside an edited file once, so that it can be taken away.
    const isDone = besides.has(file) && known.has(lineOf(file));
    return isDone ? [] : [besides.get(file) ?? file];
  });
  const states = placed.map((file) => ({ file, state: stateOf(folder, file, known) }));
  assertNone(states.filter(({ state }) => state === 'foreign').map(({ file }) => join(folder, file.path)));
  const writes = new Set(states.filter(({ state }) => state === 'outdated').map(({ file }) => file));
  const results = files.map((file): ExportedFile => {
    const outcome = writes.has(file) ? 'written' : 'unchanged';
    return { path: file.path, outcome: besides.has(file) ? 'kept' : outcome };
  });
  return { wanted: new Set([...files, ...besides.values()].map(lineOf)), writes, results };
}

/** What is in these folders as an earlier export wrote it, and is not wanted now. */
async function findLeft(
  folder: string,
  folders: readonly string[],
  known: ReadonlySet<string>,
  wanted: ReadonlySet<string>,
): Promise<readonly string[]> {
  const [ours, stays] = [pathsOf(known), pathsOf(wanted)];
  const names = await Promise.all(
    folders.map(async (part) => (await listFolder(part)).map((name) => join(part, name))),
  );
  const paths = names.flat().map((path) => relative(folder, path));
  return paths.filter((path) => ours.has(path) && !stays.has(path) && known.has(lineThere(folder, path) ?? ''));
}

/** The folder and those in it, the outermost first. Where no key is, a program that is not root may have to read. */
function foldersOf(
  folder: string,
  files: readonly ExportFile[],
): readonly { readonly path: string; readonly mode: FolderMode }[] {
  const closed = new Set(files.flatMap(({ path, kind }) => (kind === 'secret' ? ['.', dirname(path)] : [])));
  const parts = new Set(['.']);
  for (const { path } of files) {
    const names = path.split('/');
    for (let end = 1; end < names.length; end += 1) parts.add(names.slice(0, end).join('/'));
  }
  return [...parts].map((part) => ({ path: join(folder, part), mode: closed.has(part) ? 0o700 : 0o755 }));
}

/** A secret that others can read is written once more, so that it is private again. */
function stateOf(folder: string, file: ExportFile, known: ReadonlySet<string>): 'same' | 'outdated' | 'foreign' {
  const line = lineThere(folder, file.path);
  if (line === undefined) return 'outdated';
  const isOpen = file.kind === 'secret' && ((lookAt(join(folder, file.path))?.mode ?? 0) & 0o077) !== 0;
  if (line === lineOf(file)) return isOpen ? 'outdated' : 'same';
  return known.has(line) ? 'outdated' : 'foreign';
}

/** @throws files - there are some */
function assertNone(foreign: readonly string[]): void {
  if (foreign.length === 0) return;
  const paths = listSome(foreign.map(quotePath));
  throw new RelaycertsError('files', `not made by relaycerts, or edited since, and not overwritten: ${paths}`, {
    hint: 'move them away, and do this again; or name another folder: --output FOLDER',
  });
}

const lineOf = ({ path, bytes }: Pick<ExportFile, 'path' | 'bytes'>): string => `${hash('sha256', bytes)}  ${path}`;

/** The line of what is there; undefined if nothing is, and empty if it is not a file. */
function lineThere(folder: string, path: string): string | undefined {
  const full = join(folder, path);
  const kind = lookAt(full)?.kind;
  if (kind !== 'file') return kind === undefined ? undefined : '';
  return lineOf({ path, bytes: readFile(full, { limit }) ?? Buffer.of() });
}

const pathsOf = (lines: ReadonlySet<string>): ReadonlySet<string> => new Set([...lines].map((line) => line.slice(66)));

/** A line that is none of ours matches no file. */
function readNote(path: string): ReadonlySet<string> {
  return new Set(readFile(path, { limit })?.toString('utf8').split('\n').filter(Boolean));
}

const noteOf = (lines: ReadonlySet<string>): string => `${[...lines].toSorted().join('\n')}\n`;
