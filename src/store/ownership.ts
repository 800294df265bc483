// What belongs to root after a run under sudo. Its user cannot open such files, one after the other, so all of them are
// found at once and given back with one command. Nothing that another user could have put there is judged here: that is
// in safety.ts.

import { constants, promises as fs } from 'node:fs';
import { dirname, join } from 'node:path';
import { RelaycertsError, quotePath, systemCode, type Problem } from '../errors.js';
import type { Settings } from '../settings/settings.js';
import { pathWord } from '../shell-word.js';
import type { Sys } from '../sys/sys.js';
import { changeFolder } from './journal.js';
import { keptPassphrases } from './kept-passphrases.js';
import { layoutOf, operatorKeyPlace } from './layout.js';

type Owner = Pick<Sys, 'uid' | 'configHome'>;

/**
 * The files of this project and its custody that belong to root, and the command that fixes it; undefined if there are
 * none.
 */
export async function rootsProblem(settings: Settings, { uid, configHome }: Owner): Promise<Problem | undefined> {
  if (uid <= 0) return undefined;
  const { lock, certsFolder, hostsFolder, folder } = layoutOf(settings);
  const { file } = settings.passphrase;
  const kept = await keptPassphrases(file).catch(() => []);
  // That run may have made ~/.config as well.
  const isRoots = (await fs.lstat(configHome).catch(() => undefined))?.uid === 0;
  const configFolder = isRoots ? configHome : dirname(operatorKeyPlace(configHome).path);
  const places = [
    ...[file, ...kept].map(async (path) => ((await isClosed(path)) ? rootsBelow(path) : [])),
    ...[lock, changeFolder(folder), certsFolder, hostsFolder, configFolder].map(rootsBelow),
  ];
  const found = (await Promise.all(places)).filter((paths) => paths.length > 0);
  const [first, ...more] = found.flat();
  if (first === undefined) return undefined;
  const others = more.length === 0 ? '' : ` (and ${more.length} more)`;
  return {
    message: `${quotePath(first.path)}${others} belongs to root, as after a run under sudo, and this user cannot open it`,
    hint: `sudo chown -R ${uid} ${found.flatMap(([one]) => (one === undefined ? [] : [pathWord(one.place)])).join(' ')}`,
  };
}

/**
 * The result of `work`; a "permission denied" that comes from a run as root is reported with everything that run left.
 */
export async function orNameRoot<T>(settings: Settings, sys: Owner, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const problem = isDenied(error) ? await rootsProblem(settings, sys) : undefined;
    if (problem === undefined) throw error;
    throw new RelaycertsError('permissions', problem.message, { ...problem, cause: error });
  }
}

/** True for an error of ours whose cause is the system's "permission denied". */
export function isDenied(error: unknown): boolean {
  return error instanceof RelaycertsError && ['EACCES', 'EPERM'].includes(systemCode(error.cause) ?? '');
}

async function isClosed(path: string): Promise<boolean> {
  return fs.access(path, constants.R_OK).then(
    () => false,
    (error: unknown) => systemCode(error) === 'EACCES',
  );
}

interface Owned {
  readonly path: string;
  /** The paths that one command for it has to name. */
  readonly place: string;
}

async function rootsBelow(place: string): Promise<readonly Owned[]> {
  const found: Owned[] = [];
  const visit = async (path: string): Promise<void> => {
    const stats = await fs.lstat(path).catch(() => undefined);
    if (stats?.uid === 0) found.push({ path, place });
    if (stats?.isDirectory() !== true) return;
    for (const name of await fs.readdir(path).catch(() => [])) await visit(join(path, name));
  };
  await visit(place);
  return found;
}
