// A folder of generated files that a user may keep under version control and add to. Each file's first line has the
// digest of the rest, so that a later run replaces and removes only what an earlier one wrote and nobody edited. The
// files can be made again at any time, so each is replaced by a rename, and there is no transaction.

import { hash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { RelaycertsError, listSome, quotePath, type Hint } from '../errors.js';
import { realDisk } from './disk.js';
import { attempt } from './file-error.js';
import { listFolder, lookAt, readFileNow } from './files.js';

export interface Generated {
  /** The first words of each file, in a comment. */
  readonly by: string;
  /** By path below the folder. */
  readonly files: ReadonlyMap<string, string>;
  /** Folders below it in which no generated file stays that is not in `files`. */
  readonly swept: readonly string[];
  /** What to do about files that are not ours. */
  readonly hint: Hint;
}

/**
 * Makes the folder and its files what they should be; returns the paths that changed. Checks all files before it writes
 * the first one. @throws files - a file there is not ours, or was edited
 */
export async function writeGenerated(
  folder: string,
  { by, files, swept, hint }: Generated,
): Promise<{ readonly written: readonly string[]; readonly removed: readonly string[] }> {
  const marked = new Map([...files].map(([name, text]) => [name, withMark(by, text)]));
  const foreign: string[] = [];
  const written: string[] = [];
  const removed: string[] = [];
  for (const part of foldersFor(folder, marked.keys())) {
    if ((lookAt(part)?.kind ?? 'folder') !== 'folder') foreign.push(part);
  }
  for (const [name, text] of foreign.length > 0 ? [] : marked) {
    const path = join(folder, name);
    const kind = lookAt(path)?.kind;
    const found = kind === 'file' ? readFileNow(path, { limit: mostOctets })?.toString('utf8') : undefined;
    if (found === text) continue;
    if (kind !== undefined && (found === undefined || !isMarked(by, found))) foreign.push(path);
    written.push(name);
  }
  if (foreign.length > 0) {
    throw new RelaycertsError(
      'files',
      `not made by relaycerts, or edited since, and not overwritten: ${listSome(foreign.map(quotePath))}`,
      { hint },
    );
  }
  for (const part of swept) {
    for (const name of await listFolder(join(folder, part))) {
      const path = join(folder, part, name);
      if (marked.has(join(part, name)) || lookAt(path)?.kind !== 'file') continue;
      const found = readFileNow(path, { limit: mostOctets })?.toString('utf8');
      if (found !== undefined && isMarked(by, found)) removed.push(join(part, name));
    }
  }
  const disk = realDisk();
  const folders = foldersFor(folder, marked.keys());
  for (const part of folders) await attempt('make', part, () => disk.mkdir(part, 0o755));
  for (const name of written) {
    const path = join(folder, name);
    const temporary = join(dirname(path), `.${basename(path)}.relaycerts`);
    await attempt('write', path, async () => {
      await disk.unlink(temporary);
      await disk.create(temporary, Buffer.from(marked.get(name) ?? ''), 0o644);
      await disk.rename(temporary, path);
    });
  }
  for (const name of removed) await attempt('remove', join(folder, name), () => disk.unlink(join(folder, name)));
  await disk.sync([...written.map((name) => join(folder, name)), ...folders]);
  return { written, removed };
}

/** More than any generated file has. */
const mostOctets = 1 << 24;

/** The folder and those below it that hold the files, the outermost first. */
export function foldersFor(folder: string, names: Iterable<string>): readonly string[] {
  const found = new Set([folder]);
  for (const name of names) {
    const parts = dirname(name).split('/');
    for (let end = 1; end <= parts.length; end += 1) found.add(join(folder, ...parts.slice(0, end)));
  }
  return [...found];
}

function withMark(by: string, text: string): string {
  return `# ${by}; sha256 of what follows: ${hash('sha256', text)}\n${text}`;
}

function isMarked(by: string, found: string): boolean {
  const end = found.indexOf('\n') + 1;
  return found === withMark(by, found.slice(end));
}
