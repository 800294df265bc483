// Reads one file of ours for the inventory. What is wrong with it becomes a problem, so that all of them are reported at
// once; nothing is written.

import { dirname } from 'node:path';
import { parseCertificates } from '../certificate/certificate.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import type { FoundCertificate } from '../plan/inventory.js';
import { shellWord } from '../shell-word.js';
import { readFile, statFile } from '../sys/files.js';

/** Collects what is wrong, and what is wrong with many files of one kind as one problem. */
export interface Findings {
  readonly problems: Problem[];
  /** Files with private keys that others can read or change, with their modes. */
  readonly open: { readonly path: string; readonly mode: number }[];
  /** Files with private keys of another user, with that user's id. */
  readonly foreign: { readonly path: string; readonly uid: number }[];
}

/** All that was found; `folders` are what one command for many files goes over. */
export function problemsOf(
  { problems, open, foreign }: Findings,
  uid: number,
  folders: readonly string[],
): readonly Problem[] {
  const where = folders.map((path) => shellWord(path)).join(' ');
  const found: Problem[] = [...problems];
  const [wide, other] = [open[0], foreign[0]];
  if (wide !== undefined) {
    const mode = wide.mode.toString(8).padStart(4, '0');
    found.push({
      message: `${countOf(open)} can be read or changed by others (mode ${mode}); if others use this machine, they may have copied it`,
      hint:
        open.length <= 3
          ? `chmod 600 ${open.map(({ path }) => shellWord(path)).join(' ')}`
          : `find ${where} '(' -name '*.key.pem' -o -name '*.chain.pem' ')' -exec chmod 600 {} +`,
    });
  }
  if (other !== undefined) {
    found.push({
      message: `${countOf(foreign)} belongs to another user (uid ${other.uid})`,
      hint: `${uid === 0 ? '' : 'sudo '}chown ${foreign.length <= 3 ? `${uid} ${foreign.map(({ path }) => shellWord(path)).join(' ')}` : `-R ${uid} ${where}`}`,
    });
  }
  return found;
}

function countOf(files: readonly { readonly path: string }[]): string {
  const more = files.length === 1 ? '' : ` (and ${files.length - 1} more)`;
  return `the private key in ${quotePath(files[0]?.path ?? '')}${more}`;
}

/** The certificate in a file, of a chain the first; undefined if there is no file. @throws certificate, files */
export async function readWholeCertificate(path: string): Promise<FoundCertificate | undefined> {
  const bytes = await readFile(path);
  const [info] = bytes === undefined ? [] : parseCertificates(bytes, { from: quotePath(path) });
  return info === undefined ? undefined : { path, info };
}

export async function readCertificate(path: string, { problems }: Findings): Promise<FoundCertificate | undefined> {
  return collectDamage(problems, path, () => readWholeCertificate(path));
}

/** A file with a private key, whose mode and owner count. */
export async function readPrivate(path: string, uid: number, findings: Findings): Promise<Buffer | undefined> {
  return collect(findings.problems, async () => {
    const state = await statFile(path);
    if (state?.kind === 'file' && (state.mode & 0o077) !== 0) findings.open.push({ path, mode: state.mode });
    // Root may work in the folder of another user.
    const isForeign = async (owner: number): Promise<boolean> =>
      owner !== uid && (uid > 0 || (uid === 0 && owner !== (await statFile(dirname(path)))?.uid));
    if (state?.kind === 'file' && (await isForeign(state.uid))) findings.foreign.push({ path, uid: state.uid });
    return state === undefined ? undefined : readFile(path);
  });
}

/** What `work` gives; undefined if it fails with something that a person can fix. */
export async function collect<T>(problems: Problem[], work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    problems.push(...error.problems);
    return undefined;
  }
}

/** The same for a file that is damaged if it does not hold what it should. */
export async function collectDamage<T>(
  problems: Problem[],
  path: string,
  work: () => T | Promise<T>,
): Promise<T | undefined> {
  return collect(problems, async () => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RelaycertsError) || error.code !== 'certificate') throw error;
      throw new RelaycertsError('certificate', error.message, {
        hint: {
          run: ['make'],
          before: `restore it from a backup, or move it away and see what make says: mv ${shellWord(path)} ${shellWord(`${path}.damaged`)} &&`,
        },
        cause: error,
      });
    }
  });
}
