// A folder of files for another program, which may be written again after each change. It has a note of what was written
// (.relaycerts.sha256, in the form of sha256sum), so that a file that somebody edited is known and never overwritten:
// new keys and pins are refused then, and a new configuration is written beside the edited one. The note is written
// before the files with both digests, and after them with the new ones, so a run that was cut off can be repeated.

import { hash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { RelaycertsError, quotePath } from '../errors.js';
import { realDisk, type FileMode, type FolderMode } from '../sys/disk.js';
import { attempt } from '../sys/file-error.js';
import { lookAt, readFile, replaceFile, writeNewFile } from '../sys/files.js';
import { foldersFor } from '../sys/generated-files.js';
import { assertSafeFolder } from './safety.js';

export interface ExportFile {
  /** Relative to the folder, with plain names. */
  readonly path: string;
  readonly bytes: Buffer;
  /** A person may edit configuration. */
  readonly kind: 'secret' | 'material' | 'configuration';
}

export interface ExportedFile {
  readonly path: string;
  /** `kept`: it was edited, and what is new is beside it, in `PATH.new`, if anything is. */
  readonly outcome: 'written' | 'unchanged' | 'kept';
}

const noteName = '.relaycerts.sha256';

/** One file to write, with what is there now. */
interface Write extends ExportFile {
  readonly isNew: boolean;
}

/**
 * Writes the files that differ; nothing if any of them may not be written.
 * @throws files - keys, certificates or pins there were edited; permissions - somebody else may write there
 */
export async function exportFolder(
  folder: string,
  files: readonly ExportFile[],
  sys: Parameters<typeof assertSafeFolder>[2],
): Promise<readonly ExportedFile[]> {
  const folders = foldersOf(folder, files);
  const parent = dirname(folder);
  await assertSafeFolder(parent, 'custody', sys);
  for (const { path } of folders) if (lookAt(path) !== undefined) await assertSafeFolder(path, 'custody', sys);
  const known = await readNote(folder);
  const writes: Write[] = [];
  const results: ExportedFile[] = [];
  const wanted = new Set(files.map(lineOf));
  for (const file of files) {
    const state = await stateOf(folder, file, known);
    if (state !== 'edited') {
      if (state !== 'same') writes.push({ ...file, isNew: state === 'missing' });
      results.push({ path: file.path, outcome: state === 'same' ? 'unchanged' : 'written' });
      continue;
    }
    if (file.kind !== 'configuration') throw editedError(join(folder, file.path));
    results.push({ path: file.path, outcome: 'kept' });
    const beside = { ...file, path: `${file.path}.new` };
    wanted.add(lineOf(beside));
    if (known.has(lineOf(file))) continue;
    const there = await stateOf(folder, beside, known);
    if (there === 'edited') throw editedError(join(folder, beside.path));
    if (there !== 'same') writes.push({ ...beside, isNew: there === 'missing' });
  }
  if (writes.length === 0 && isSame(wanted, known)) return results;
  await attempt('make the folder', folder, async () => {
    for (const { path, mode } of folders) await realDisk().mkdir(path, mode);
    await realDisk().sync([parent, ...folders.map(({ path }) => path)]);
  });
  await writeNote(folder, new Set([...known, ...wanted]));
  for (const { path, bytes, kind, isNew } of writes) {
    const mode: FileMode = kind === 'secret' ? 0o600 : 0o644;
    await (isNew ? writeNewFile : replaceFile)(join(folder, path), bytes, mode);
  }
  await writeNote(folder, wanted);
  return results;
}

/** The folder and those in it, the outermost first. Where no key is, a program that is not root may have to read. */
function foldersOf(
  folder: string,
  files: readonly ExportFile[],
): readonly { readonly path: string; readonly mode: FolderMode }[] {
  const closed = new Set(files.flatMap(({ path, kind }) => (kind === 'secret' ? [dirname(join(folder, path))] : [])));
  return foldersFor(
    folder,
    files.map(({ path }) => path),
  ).map((path) => ({ path, mode: path === folder || closed.has(path) ? 0o700 : 0o755 }));
}

/** A secret that others can read is written once more, so that it is private again. */
async function stateOf(
  folder: string,
  { path, bytes, kind }: ExportFile,
  known: ReadonlySet<string>,
): Promise<'missing' | 'same' | 'old' | 'edited'> {
  const there = await readFile(join(folder, path));
  if (there === undefined) return 'missing';
  const isOpen = kind === 'secret' && ((lookAt(join(folder, path))?.mode ?? 0) & 0o077) !== 0;
  if (there.equals(bytes)) return isOpen ? 'old' : 'same';
  return known.has(lineOf({ path, bytes: there })) ? 'old' : 'edited';
}

function editedError(path: string): RelaycertsError {
  return new RelaycertsError('files', `${quotePath(path)} is not as it was written, and is not overwritten`, {
    hint: 'move it away, and do this again; or name another folder: --output DIR',
  });
}

const lineOf = ({ path, bytes }: Pick<ExportFile, 'path' | 'bytes'>): string => `${hash('sha256', bytes)}  ${path}`;

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((line) => other.has(line));
}

/** Its lines; a line that is none of ours matches no file. */
async function readNote(folder: string): Promise<ReadonlySet<string>> {
  const bytes = await readFile(join(folder, noteName));
  return new Set(bytes?.toString('utf8').split('\n').filter(Boolean));
}

async function writeNote(folder: string, lines: ReadonlySet<string>): Promise<void> {
  await replaceFile(join(folder, noteName), `${[...lines].toSorted().join('\n')}\n`, 0o600);
}
