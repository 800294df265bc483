// The files of a folder from somebody else, for `adopt`: regular files only, of a bounded size and number. Links are
// not followed, so nothing outside the folder is read; hidden folders are left out. It only reads.

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { RelaycertsError, quotePath } from '../errors.js';
import { attempt } from '../sys/file-error.js';
import { lookAt, readFile, type FileState } from '../sys/files.js';
import { giveTurn } from '../sys/progress.js';

/** A file with its contents. */
export interface ScannedFile {
  readonly path: string;
  readonly bytes: Buffer;
  readonly state: FileState;
}

export interface Scan {
  readonly files: readonly ScannedFile[];
  /** What was not read, though it is there: links, pipes, large files, files of others. */
  readonly passedOver: readonly string[];
}

const mostFiles = 10_000;
const mostFolders = 1000;
const deepest = 6;
/** Octets; of a ledger, a line has about 100. */
const largest = 1 << 20;
/** Octets of all files together. */
const mostOctets = 128 << 20;

/** Every file below `folder`, except below `without`. @throws usage - it is too large to be a CA's; files */
export async function scanFolder(folder: string, without: string): Promise<Scan> {
  const files: ScannedFile[] = [];
  const passedOver: string[] = [];
  const folders = [{ path: folder, depth: 0 }];
  let octets = 0;
  for (const { path, depth } of folders) {
    await giveTurn();
    // oxlint-disable-next-line typescript/require-await -- what is thrown becomes a rejection
    for (const name of (await attempt('list', path, async () => readdirSync(path))).toSorted()) {
      const one = join(path, name);
      const state = lookAt(one);
      if (state?.kind === 'folder') {
        if (!name.startsWith('.') && one !== without && depth < deepest) folders.push({ path: one, depth: depth + 1 });
        continue;
      }
      const bytes = state?.kind === 'file' && state.size <= largest ? readOrUndefined(one) : undefined;
      if (state === undefined || bytes === undefined) {
        passedOver.push(one);
      } else {
        octets += bytes.length;
        files.push({ path: one, bytes, state });
      }
      if (files.length + passedOver.length > mostFiles || folders.length > mostFolders || octets > mostOctets) {
        throw new RelaycertsError('usage', `${quotePath(folder)} has too many files for the folder of a CA`, {
          hint: 'name the folder that has the CA and its certificates, or its files with --ca-key and --ca-cert',
        });
      }
    }
  }
  return { files, passedOver };
}

/** Undefined if it cannot be read: one such file does not stop the others. */
function readOrUndefined(path: string): Buffer | undefined {
  try {
    return readFile(path, { limit: largest });
  } catch (error) {
    if (error instanceof RelaycertsError) return undefined;
    throw error;
  }
}

/** A file that a person named; a link is followed. @throws files */
export function readNamed(path: string): ScannedFile {
  let state: FileState | undefined;
  const bytes = readFile(path, { followLink: true, limit: largest, see: (found) => (state = found) });
  if (bytes !== undefined && state !== undefined) return { path, bytes, state };
  throw new RelaycertsError('files', `there is no file ${quotePath(path)}`, { hint: 'name a file that is there' });
}
