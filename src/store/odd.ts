// Looks for what is not what it should be: links in the place of files and folders of ours, and other things in the
// place of folders. Below a link lies what is somebody else's.

import { realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { quotePath, systemCode, type Problem } from '../errors.js';
import { inGroups } from '../sys/all-ended.js';
import { listFolder, listLinks, statFile, type FileState } from '../sys/files.js';
import { findHostName } from '../names.js';
import { shellWord } from '../shell-word.js';
import { hostsOf, type Settings } from '../settings/settings.js';
import { judgeOdd, type Odd } from './guard.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';
import { fixedFolders, lookersAtOnce, type Onlooker } from './look.js';

/** Each with what mends it. @throws files */
export async function findOdd(settings: Settings, sys: Pick<Onlooker, 'configHome'>): Promise<readonly Problem[]> {
  const lock = (await oddAt(layoutOf(settings).lock, 'file')).map((one) => ({ ...one, mayVanish: true }));
  return [...lock.map(judgeOdd), ...(await findOddPlaces(settings, sys))];
}

/** For commands that only read and go on: a warning each. What a lock is, they see by themselves. @throws files */
export async function warnOfOdd(settings: Settings, sys: Pick<Onlooker, 'configHome' | 'warn'>): Promise<void> {
  for (const { message, hint } of await findOddPlaces(settings, sys)) sys.warn(message, hint);
}

async function findOddPlaces(
  settings: Settings,
  { configHome }: Pick<Onlooker, 'configHome'>,
): Promise<readonly Problem[]> {
  const folders = await listFolders(layoutOf(settings));
  const odd: Odd[] = [...(await oddFolders(settings, folders))];
  if (odd.length === 0) {
    const links = (await inGroups(folders, lookersAtOnce, listLinks)).flat().filter(isOurs);
    odd.push(...(await inGroups(links, lookersAtOnce, (path) => oddAt(path, 'file'))).flat());
  }
  odd.push(...(await oddAt(operatorKeyPlace(configHome).path, 'file')));
  // A link is the user's own way to keep this one elsewhere; but not one that leads nowhere.
  const [passphrase] = await oddAt(settings.passphrase.file, 'file');
  if (passphrase !== undefined && passphrase.target?.kind !== 'file') odd.push(passphrase);
  return [...odd.map(judgeOdd), ...(await findOtherCa(settings))];
}

/** What concerns what is read too: folders that lead elsewhere or nowhere, and another domain's CA. @throws files */
export async function findOddFolders(settings: Settings): Promise<readonly Problem[]> {
  const odd = await oddFolders(settings, await listFolders(layoutOf(settings)));
  return [...odd.map(judgeOdd), ...(await findOtherCa(settings))];
}

/** The CA of another domain: hosts/, the ledger and the hosts' files are then of two, and would be taken for one's. */
async function findOtherCa(settings: Settings): Promise<readonly Problem[]> {
  const { file, folder, domain } = settings;
  const { caFolder } = layoutOf(settings);
  const names = await listFolder(caFolder);
  const found = names.find((name) => {
    const other = /^(.+)-ca\.crt\.pem$/u.exec(name)?.[1];
    if (other === undefined || other === domain || findHostName(other) === undefined) return false;
    return names.includes(`${other}-ca.key.pem`);
  });
  if (found === undefined) return [];
  const own = join(folder, domain);
  return [
    {
      message: `the settings ${quotePath(file)} are for ${domain}, and this folder has the CA of another domain: ${quotePath(join(caFolder, found))}`,
      hint: `mkdir ${shellWord(own)} && mv ${shellWord(file)} ${shellWord(join(own, 'settings.json'))}`,
    },
  ];
}

/** The folders of every project, and below hosts/ those of any host, unless hosts/ leads elsewhere itself. */
async function listFolders(layout: Layout): Promise<readonly string[]> {
  const isFolder = (await oddAt(layout.hostsFolder, 'folder')).length === 0;
  const names = isFolder ? await listFolder(layout.hostsFolder) : [];
  const hosts = names.filter((name) => findHostName(name) !== undefined);
  return [...fixedFolders(layout), ...hosts.map((name) => join(layout.hostsFolder, name))];
}

async function oddFolders(settings: Settings, folders: readonly string[]): Promise<readonly Odd[]> {
  const { hostsFolder } = layoutOf(settings);
  const names = new Set<string>(hostsOf(settings).map(({ hostname }) => hostname));
  const odd = (await inGroups(folders, lookersAtOnce, (path) => oddAt(path, 'folder'))).flat();
  // A file may have a name that would do for a host: README.md.
  return odd.filter(({ path, kind }) => kind === 'link' || dirname(path) !== hostsFolder || names.has(basename(path)));
}

function isOurs(path: string): boolean {
  return /\.pem$|^issued\.jsonl$|^to-install\.json$|\.gpg$|^relay_clientcerts$/u.test(basename(path));
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
