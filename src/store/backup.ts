// The contents of a backup, as files of a tar archive: the project's folder without the bundles, which can be derived,
// the passphrase files, and the operator key if it opens them. A backup to restore may come from anybody: a file that
// no backup has makes the whole archive refused. custody/backup-file.ts encrypts it.
//
//   project/settings.json, the clients' file, recipients' key files, project/certs/...
//   passphrase.gpg, passphrase.gpg.old..., operator-key.asc

import { join, relative } from 'node:path';
import { RelaycertsError, quotePath } from '../errors.js';
import type { Inventory } from '../plan/inventory.js';
import { parseSettingsText, readSettingsText } from '../settings/load.js';
import type { SettingsContext } from '../settings/schema.js';
import type { Settings } from '../settings/settings.js';
import type { FileMode } from '../sys/disk.js';
import { listFolder, lookAt, readFile } from '../sys/files.js';
import { recordName, type BackupRecord } from './backup-record.js';
import { isBelow } from './journal.js';
import { keptPassphrases } from './kept-passphrases.js';
import { layoutOf } from './layout.js';
import { isTarName, readTar, type TarFile } from './tar.js';

const projectPrefix = 'project/';
const settingsName = 'project/settings.json';
const passphraseName = 'passphrase.gpg';
const operatorKeyName = 'operator-key.asc';
/** Octets of one file; a ledger and a clients' file have at most this many. */
const limit = 64 << 20;

/** A backup that was read: its files, each by its place. */
export interface BackupContent {
  readonly settings: Settings;
  /** Files of the project's folder, with absolute paths; the settings first. */
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array; readonly mode: FileMode }[];
  readonly passphraseFile: Buffer | undefined;
  /** Older passphrase files, by the suffix of their name: `.old`, `.old2`. */
  readonly kept: ReadonlyMap<string, Buffer>;
  readonly operatorKey: Buffer | undefined;
}

/** The files of a backup, and those left out. @throws files, usage */
export async function collectBackup(
  settings: Settings,
  { passphraseFile, passphrasePath }: Pick<Inventory, 'passphraseFile' | 'passphrasePath'>,
  operatorKey: Buffer | undefined,
  record: BackupRecord,
): Promise<{ readonly files: readonly TarFile[]; readonly left: readonly string[] }> {
  const { folder, clientsFile } = settings;
  const { certsFolder } = layoutOf(settings);
  if (clientsFile !== undefined && !isBelow(folder, clientsFile)) {
    const message = `the clients are in ${quotePath(clientsFile)}, and a backup holds only what is in ${quotePath(folder)}`;
    throw new RelaycertsError('files', message, { hint: 'move that file beside the settings, and name it there' });
  }
  const files: TarFile[] = [];
  const left: string[] = [];
  const add = (name: string, bytes: Uint8Array | undefined, mode: FileMode = 0o600): void => {
    if (bytes !== undefined) files.push({ name, bytes, mode: isPrivateName(name) ? 0o600 : mode });
  };
  const addFile = (path: string): void => {
    const name = `${projectPrefix}${relative(folder, path)}`;
    const state = lookAt(path);
    if (state?.kind !== 'file' || !isTarName(name)) left.push(path);
    else add(name, readFile(path, { limit }), (state.mode & 0o077) === 0 ? 0o600 : 0o644);
  };
  const visit = async (path: string): Promise<void> => {
    if (lookAt(path)?.kind !== 'folder') addFile(path);
    else for (const name of await listFolder(path)) if (name !== recordName) await visit(join(path, name));
  };
  add(settingsName, Buffer.from(await readSettingsText(settings.file)), 0o644);
  for (const path of filesBeside(settings)) if (lookAt(path) !== undefined) addFile(path);
  await visit(certsFolder);
  add(`${projectPrefix}${relative(folder, join(certsFolder, recordName))}`, Buffer.from(JSON.stringify(record)), 0o644);
  add(passphraseName, passphraseFile);
  for (const path of await keptPassphrases(passphrasePath)) {
    add(`${passphraseName}${path.slice(passphrasePath.length)}`, readFile(path));
  }
  add(operatorKeyName, operatorKey);
  return { files, left };
}

/** The clients' file, and those recipients' key files that are in the folder. */
function filesBeside({ folder, clientsFile, passphrase }: Settings): readonly string[] {
  const keys = passphrase.recipients.map((recipient) => join(folder, recipient));
  const isBeside = (path: string | undefined): path is string => path !== undefined && isBelow(folder, path);
  return [...new Set([clientsFile, ...keys].filter(isBeside))];
}

const isKept = (name: string): boolean => /^passphrase\.gpg\.old(?:[2-9]|[1-9]\d{1,5})?$/.test(name);

/** A file with a secret is for its owner only, whatever the archive says. */
function isPrivateName(name: string): boolean {
  return !name.startsWith(projectPrefix) || name.endsWith('.key.pem');
}

/**
 * The contents of an archive, for a project whose settings will be `context.file`; or a text that says what is wrong
 * with it. @throws settings - those in it
 */
export function parseBackup(archive: Buffer, context: SettingsContext): BackupContent | { readonly flaw: string } {
  const found = readTar(archive);
  if ('flaw' in found) return found;
  const byName = new Map(found.map((file) => [file.name, file]));
  const settingsFile = byName.get(settingsName);
  if (settingsFile === undefined) return { flaw: 'it has no settings' };
  const open = found.find(({ name, mode }) => isPrivateName(name) && mode !== 0o600);
  if (open !== undefined) return { flaw: `${open.name} in it is open to others` };
  const inside = found.find(({ name }) => found.some((other) => other.name.startsWith(`${name}/`)));
  if (inside !== undefined) return { flaw: `${inside.name} in it is a file and a folder` };
  const bytesOf = (name: string): Buffer | undefined => {
    const bytes = byName.get(name)?.bytes;
    return bytes && Buffer.from(bytes);
  };
  const folder = join(context.file, '..');
  const nameOf = (path: string): string => `${projectPrefix}${relative(folder, path)}`;
  const readClients = (path: string): Buffer | undefined => bytesOf(nameOf(path));
  const settings = parseSettingsText(new TextDecoder().decode(settingsFile.bytes), { ...context, readClients });
  const beside = new Set(filesBeside(settings).map(nameOf));
  const certsPrefix = `${nameOf(layoutOf(settings).certsFolder)}/`;
  const isOfProject = (name: string): boolean => name.startsWith(certsPrefix) || beside.has(name);
  const known = new Set([settingsName, passphraseName, operatorKeyName]);
  const strange = found.find(({ name }) => !known.has(name) && !isKept(name) && !isOfProject(name));
  if (strange !== undefined) return { flaw: `it has ${strange.name}, which no backup has` };
  const others = found.filter(({ name }) => name !== settingsName && isOfProject(name));
  return {
    settings,
    files: [
      { ...settingsFile, path: context.file },
      ...others.map((file) => ({ ...file, path: join(folder, file.name.slice(projectPrefix.length)) })),
    ],
    passphraseFile: bytesOf(passphraseName),
    kept: new Map(
      found.flatMap(({ name, bytes }) =>
        isKept(name) ? [[name.slice(passphraseName.length), Buffer.from(bytes)]] : [],
      ),
    ),
    operatorKey: bytesOf(operatorKeyName),
  };
}
