// Looks at who may write where things lie, and has store/guard.ts judge it. Commands that only read warn of what is
// wrong; those that write refuse it (store/guard-writing.ts).

import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readAccounts } from '../sys/accounts.js';
import { inGroups } from '../sys/all-ended.js';
import { listFolder, statFile } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { findHostName } from '../names.js';
import { roles, type Settings } from '../settings/settings.js';
import { judgeNoFile, judgePlaces, type Judgement, type Seen } from './guard.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';

/** What looking needs of the host. */
export type Onlooker = Pick<Sys, 'uid' | 'configHome' | 'now' | 'warn'>;

/** How many folders are looked at at the same time. */
export const lookersAtOnce = 32;

/** Warns of what commands that write would refuse; that root reads is none. */
export async function guardReading(settings: Settings, sys: Onlooker): Promise<void> {
  const { judgement } = await judgeProject(settings, sys);
  for (const { message, hint } of judgement.problems) sys.warn(message, hint);
}

/** Everything that there is of a project, and what is wrong with where it lies. */
export async function judgeProject(
  settings: Settings,
  sys: Onlooker,
): Promise<{ readonly seen: readonly Seen[]; readonly judgement: Judgement }> {
  const layout = layoutOf(settings);
  const { path: operatorKey } = operatorKeyPlace(sys.configHome);
  const { file } = settings.passphrase;
  const names = (await listFolder(layout.hostsFolder)).filter((name) => findHostName(name) !== undefined);
  const found = await Promise.all([
    see(layout.folder, 'project', true),
    see(settings.file, 'ours', true),
    inGroups(fixedFolders(layout), lookersAtOnce, (path) => see(path, 'ours')),
    inGroups(names, lookersAtOnce, (name) => see(join(layout.hostsFolder, name), 'ours')),
    see(dirname(file), 'custody', true),
    see(dirname(operatorKey), 'custody', true),
    sys.uid === 0 ? inGroups(await keysOf(layout, operatorKey), lookersAtOnce, (path) => see(path, 'ours')) : [],
    ancestorsOf(layout.folder),
  ]);
  const sealed = await see(file, 'custody', true);
  const isFile = sealed.every(({ kind }) => kind === 'file');
  const seen = [...found.flat(2), ...(isFile ? sealed : [])];
  const entries = [settings.file, layout.certsFolder, layout.hostsFolder];
  const there = entries.filter((path) => path === settings.file || seen.some((one) => one.path === path));
  const { problems, warnings } = await judge(seen, sys, there);
  const noFile = isFile ? [] : [judgeNoFile(file, settings.file)];
  return { seen, judgement: { problems: [...noFile, ...problems], warnings } };
}

/** What is wrong with where these lie. */
export async function judge(seen: readonly Seen[], { uid }: Onlooker, entries: readonly string[]): Promise<Judgement> {
  // Where there are no users, there are no others.
  if (uid < 0) return { problems: [], warnings: [] };
  const isPlain = seen.every((one) => (one.mode & 0o022) === 0 && (one.uid === uid || one.uid === 0));
  return isPlain ? { problems: [], warnings: [] } : judgePlaces(seen, { uid, accounts: await readAccounts(), entries });
}

/** What is at a path, if it is there; what a link leads to only where users may put links. */
export async function see(path: string, duty: Seen['duty'], followLink = false): Promise<readonly Seen[]> {
  const real = followLink ? await realpath(path).catch(() => path) : path;
  const state = await statFile(real);
  if (state === undefined || state.kind === 'link') return [];
  const { kind, mode, uid, gid } = state;
  return [{ path, duty, kind, mode, uid, gid }];
}

/** The folders of every project. */
export function fixedFolders(layout: Layout): readonly string[] {
  return [
    layout.certsFolder,
    layout.caFolder,
    ...roles.map((role) => layout.roleFolder(role)),
    layout.retiredFolder,
    layout.revokedFolder,
    layout.hostsFolder,
  ];
}

/** The keys, whose owner is looked at here for root alone: readPrivate refuses those of others to everybody else. */
async function keysOf(layout: Layout, operatorKey: string): Promise<readonly string[]> {
  const folders = [layout.caFolder, ...roles.map((role) => layout.roleFolder(role))];
  const names = await Promise.all(
    folders.map(async (folder) => (await listFolder(folder)).map((name) => join(folder, name))),
  );
  return [...names.flat().filter((path) => path.endsWith('.key.pem')), operatorKey];
}

async function ancestorsOf(folder: string): Promise<readonly Seen[]> {
  const found: Seen[] = [];
  let path = await realpath(folder).catch(() => folder);
  while (dirname(path) !== path) {
    path = dirname(path);
    found.push(...(await see(path, 'ancestor')));
  }
  return found;
}
