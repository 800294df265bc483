// Looks at where things lie before anything is written, and refuses what store/guard.ts judges unsafe. Every command
// that writes calls it once, before it takes its lock; commands that only read get warnings.

import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RelaycertsError, systemCode, type Problem } from '../errors.js';
import { readAccounts } from '../host/accounts.js';
import { inGroups } from '../host/all-ended.js';
import { listFolder, listLinks, statFile, type FileState } from '../host/files.js';
import type { Host } from '../host/host.js';
import { findHostName } from '../names.js';
import { roles, type Settings } from '../settings/settings.js';
import { judgeClock, judgeOdd, judgePlaces, type Judgement, type Odd, type Seen } from './guard.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';
import { assertRoom } from './room.js';
import { findUnwritable } from './writable.js';

type Outside = Pick<Host, 'uid' | 'configHome' | 'now' | 'warn'>;

/** How many folders are looked at at the same time. */
const lookersAtOnce = 32;

/** @throws permissions - nothing may be written here as it is, each reason with what mends it; files */
export async function guardWriting(settings: Settings, host: Outside): Promise<void> {
  refuse(await findOdd(settings, host));
  const { seen, judgement } = await judgeAll(settings, host);
  for (const { message, hint } of judgement.warnings) host.warn(message, hint);
  const clock = judgeClock(host.now());
  refuse([...judgement.problems, ...(clock === undefined ? [] : [clock])]);
  // Where custody lies is asked when something is to be written there.
  refuse(await findUnwritable(foldersOf(seen.filter(({ duty }) => duty !== 'custody')), host.uid));
  await assertRoom(settings, host, { hosts: 0, custody: false });
}

/** The same as warnings, for what reads alone; that root reads is none. */
export async function guardReading(settings: Settings, host: Outside): Promise<void> {
  const { judgement } = await judgeAll(settings, host);
  for (const { message, hint } of judgement.problems) host.warn(message, hint);
}

/** For what writes one file, be it the settings or the operator key. @throws permissions, files */
export async function guardFolder(path: string, duty: 'project' | 'custody', host: Outside): Promise<void> {
  const seen = await see(path, duty, true);
  const { problems, warnings } = await judge(seen, host, []);
  for (const { message, hint } of warnings) host.warn(message, hint);
  refuse(problems);
  refuse(await findUnwritable(foldersOf(seen), host.uid));
}

function foldersOf(seen: readonly Seen[]): readonly string[] {
  return seen.filter(({ kind, duty }) => kind === 'folder' && duty !== 'ancestor').map(({ path }) => path);
}

function refuse(problems: readonly Problem[]): void {
  if (problems.length === 0) return;
  throw new RelaycertsError('permissions', problems.map(({ message }) => message).join('; '), { problems });
}

async function judgeAll(
  settings: Settings,
  host: Outside,
): Promise<{ readonly seen: readonly Seen[]; readonly judgement: Judgement }> {
  const layout = layoutOf(settings);
  const { path: operatorKey } = operatorKeyPlace(host.configHome);
  const { file } = settings.passphrase;
  const names = (await listFolder(layout.hostsFolder)).filter((name) => findHostName(name) !== undefined);
  const seen = [
    await see(layout.folder, 'project', true),
    await see(settings.file, 'ours', true),
    ...(await inGroups(fixedFolders(layout), lookersAtOnce, (path) => see(path, 'ours'))),
    ...(await inGroups(names, lookersAtOnce, (name) => see(join(layout.hostsFolder, name), 'ours'))),
    await see(dirname(file), 'custody', true),
    await see(file, 'custody', true),
    await see(dirname(operatorKey), 'custody', true),
    ...(host.uid === 0
      ? await inGroups(await keysOf(layout, operatorKey), lookersAtOnce, (path) => see(path, 'ours'))
      : []),
    ...(await ancestorsOf(layout.folder)),
  ].flat();
  const entries = [settings.file, layout.certsFolder, layout.hostsFolder];
  const there = entries.filter((path) => path === settings.file || seen.some((one) => one.path === path));
  return { seen, judgement: await judge(seen, host, there) };
}

async function judge(seen: readonly Seen[], { uid }: Outside, entries: readonly string[]): Promise<Judgement> {
  // Where there are no users, there are no others.
  if (uid < 0) return { problems: [], warnings: [] };
  const isPlain = seen.every((one) => (one.mode & 0o022) === 0 && (one.uid === uid || one.uid === 0));
  return isPlain ? { problems: [], warnings: [] } : judgePlaces(seen, { uid, accounts: await readAccounts(), entries });
}

/** What is at a path, if it is there; what a link leads to only where users may put links. */
async function see(path: string, duty: Seen['duty'], followLink = false): Promise<readonly Seen[]> {
  const real = followLink ? await realpath(path).catch(() => path) : path;
  const state = await statFile(real);
  if (state === undefined || state.kind === 'link') return [];
  const { kind, mode, uid, gid } = state;
  return [{ path, duty, kind, mode, uid, gid }];
}

function fixedFolders(layout: Layout): readonly string[] {
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

/** Links in the place of files and folders of ours, and other things in the place of folders. */
async function findOdd(settings: Settings, { configHome }: Outside): Promise<readonly Problem[]> {
  const layout = layoutOf(settings);
  const folders = fixedFolders(layout);
  const odd: Odd[] = [];
  for (const folder of folders) odd.push(...(await oddAt(folder, 'folder')));
  // Below a link lies what is somebody else's.
  if (odd.length === 0) {
    const hosts = (await listFolder(layout.hostsFolder))
      .filter((name) => findHostName(name) !== undefined)
      .map((name) => join(layout.hostsFolder, name));
    odd.push(...(await inGroups(hosts, lookersAtOnce, (path) => oddAt(path, 'folder'))).flat());
    const searched = odd.length === 0 ? [...folders, ...hosts] : [];
    const links = (await inGroups(searched, lookersAtOnce, listLinks)).flat().filter(isOurs);
    odd.push(...(await inGroups(links, lookersAtOnce, (path) => oddAt(path, 'file'))).flat());
  }
  for (const path of [layout.lock, operatorKeyPlace(configHome).path]) odd.push(...(await oddAt(path, 'file')));
  // A link is the user's own way to keep this one elsewhere; but not one that leads nowhere.
  const [passphrase] = await oddAt(settings.passphrase.file, 'file');
  if (passphrase !== undefined && passphrase.target?.kind !== 'file') odd.push(passphrase);
  return odd.map(judgeOdd);
}

function isOurs(path: string): boolean {
  return /\.pem$|^issued\.jsonl$|\.gpg$|^relay_clientcerts$/u.test(basename(path));
}

async function oddAt(path: string, wanted: Odd['wanted']): Promise<readonly Odd[]> {
  const state = await statFile(path);
  if (state === undefined || state.kind === wanted) return [];
  if (state.kind !== 'link') return wanted === 'folder' ? [{ path, wanted, kind: state.kind, target: undefined }] : [];
  return [{ path, wanted, kind: 'link', target: await leadsTo(path) }];
}

async function leadsTo(path: string): Promise<Odd['target']> {
  try {
    const target = await realpath(path);
    const stats = await stat(target);
    const kind: FileState['kind'] = stats.isFile() ? 'file' : stats.isDirectory() ? 'folder' : 'other';
    return { path: target, kind };
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
