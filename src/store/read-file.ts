// Reads one file of ours for the inventory. Anything wrong with it becomes a problem, so that all problems are reported
// at once; nothing is written.

import { dirname } from 'node:path';
import {
  parseCertificate,
  parseSignedCertificate,
  type CertificateInfo,
  type Signer,
} from '../certificate/certificate.js';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import type { FoundCertificate } from '../plan/inventory.js';
import { shellWord, shellWords } from '../shell-word.js';
import { lookAt, readFile, type FileState } from '../sys/files.js';
import { isDenied } from './ownership.js';

/** Collects problems; the same problem of many files of one kind becomes one. */
export interface Findings {
  /** The user who should own these files. */
  readonly uid: number;
  readonly problems: Problem[];
  /** Files with private keys that others can read or change, with their modes. */
  readonly open: { readonly path: string; readonly mode: number }[];
  /** Files with private keys of another user, with that user's id. */
  readonly foreign: { readonly path: string; readonly uid: number }[];
  /** Files that this user cannot open. */
  readonly denied: Problem[];
}

export function noFindings(uid: number): Findings {
  return { uid, problems: [], open: [], foreign: [], denied: [] };
}

/** How many there are. */
export function countOf({ problems, open, foreign, denied }: Findings): number {
  return problems.length + open.length + foreign.length + denied.length;
}

/**
 * All problems; `folders` are the arguments of one command for many files. `findRoots` looks up what belongs to root,
 * if this user cannot open something. Files are read in parallel, but their problems have a fixed order.
 */
export async function problemsOf(
  findings: Findings,
  folders: readonly string[],
  findRoots: () => Promise<Problem | undefined>,
): Promise<readonly Problem[]> {
  const { uid } = findings;
  const [problems, denied] = [findings.problems.toSorted(byMessage), findings.denied.toSorted(byMessage)];
  const [open, foreign] = [findings.open.toSorted(byPath), findings.foreign.toSorted(byPath)];
  const roots = denied.length + foreign.length > 0 ? await findRoots() : undefined;
  const found: Problem[] = [...problems, ...(roots === undefined ? denied : [roots])];
  const [wide, other] = [open[0], roots === undefined ? foreign[0] : undefined];
  if (wide !== undefined) {
    const mode = wide.mode.toString(8).padStart(4, '0');
    const everywhere = `find ${shellWords(folders)} '(' -name '*.key.pem' -o -name '*.chain.pem' ')' -exec chmod 600 {} +`;
    found.push({
      message: `${describeKeys(open)} can be read or changed by others (mode ${mode}); if others use this machine, they may have copied it`,
      hint: open.length <= 3 ? `chmod 600 ${shellWords(open.map(({ path }) => path))}` : everywhere,
    });
  }
  if (other !== undefined) {
    const which =
      foreign.length <= 3
        ? `${uid} ${shellWords(foreign.map(({ path }) => path))}`
        : `-R ${uid} ${shellWords(folders)}`;
    found.push({
      message: `${describeKeys(foreign)} belongs to another user (uid ${other.uid})`,
      hint: `${uid === 0 ? '' : 'sudo '}chown ${which}`,
    });
  }
  return found;
}

function byMessage(a: Problem, b: Problem): number {
  return a.message < b.message ? -1 : 1;
}

function byPath(a: { readonly path: string }, b: { readonly path: string }): number {
  return a.path < b.path ? -1 : 1;
}

function describeKeys(files: readonly { readonly path: string }[]): string {
  const more = files.length === 1 ? '' : ` (and ${files.length - 1} more)`;
  return `the private key in ${quotePath(files[0]?.path ?? '')}${more}`;
}

/**
 * The certificate in a file (of a chain, the first); undefined if the file does not exist. @throws certificate, files
 */
export function readWholeCertificate(path: string, signers: readonly Signer[] = []): FoundCertificate | undefined {
  const bytes = readFile(path);
  return bytes && { path, info: parseFoundCertificate(path, bytes, signers) };
}

/** `signers`: the CAs whose certificates OpenSSL need not read. @throws certificate */
export function parseFoundCertificate(path: string, bytes: Buffer, signers: readonly Signer[]): CertificateInfo {
  const signed = parseSignedCertificate(bytes, () => quotePath(path), signers);
  return signed ?? parseCertificate(bytes, { from: quotePath(path) });
}

export function readCertificate(path: string, findings: Findings): FoundCertificate | undefined {
  return collect(findings, path, () => readWholeCertificate(path));
}

/** A file with a private key; its mode and owner are checked. */
export function readPrivate(path: string, findings: Findings, same?: Buffer): Buffer | undefined {
  const { uid, open, foreign } = findings;
  const see = (state: FileState): void => {
    if ((state.mode & 0o077) !== 0) open.push({ path, mode: state.mode });
    if (uid < 0 || state.uid === uid) return;
    // Root may work in the folder of another user.
    if (uid === 0 && lookAt(dirname(path))?.uid === state.uid) return;
    foreign.push({ path, uid: state.uid });
  };
  return collect(findings, path, () => {
    try {
      return readFile(path, { same, see });
    } catch (error) {
      // The owner matters even if the file is closed.
      const state = lookAt(path);
      if (state?.kind === 'file') see(state);
      throw error;
    }
  });
}

/** The result of `work` for a file; undefined if it fails with something that a person can fix. */
export function collect<T>({ problems, denied }: Findings, path: string, work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RelaycertsError)) throw error;
    if (error.code !== 'certificate') (isDenied(error) ? denied : problems).push(...error.problems);
    else {
      const move = `mv ${shellWord(path)} ${shellWord(`${path}.damaged`)}`;
      const before = `restore it from a backup, or move it away and see what make says: ${move} &&`;
      problems.push({ message: error.message, hint: { run: ['make'], before } });
    }
    return undefined;
  }
}
