// Adds a host to the settings or removes one: in the list of its role, or in the clients' file. The rest of the file
// stays as written, comments included. The result has been parsed like any settings; nothing is written here.

import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { RelaycertsError, quotePath } from '../errors.js';
import { completeHostName, type HostName } from '../names.js';
import { addClientRow, readClientRows, readClients, removeClientRow } from './clients-file.js';
import { arrangeList } from './edit.js';
import { parseSettingsText, readSettingsText } from './load.js';
import type { SettingsContext } from './schema.js';
import type { HostSettings, Role, Settings } from './settings.js';

/** A file's path, its text now and its new text. */
export interface SettingsEdit {
  /** With links followed. */
  readonly path: string;
  readonly before: string;
  readonly text: string;
  /** The settings after the edit. */
  readonly settings: Settings;
}

const lists = { 'smtpd-server': 'smtpdServers', 'smtp-client': 'smtpClients' } as const;

/** Adds a host with only its name, as typed. @throws settings, files - the settings would be wrong with it */
export async function addHostTo(
  settings: Settings,
  { role, name }: { readonly role: Role; readonly name: string },
  context: Omit<SettingsContext, 'file'>,
): Promise<SettingsEdit> {
  return editList(settings, role, context, {
    list: (text) => arrangeList(text, [lists[role]], [...settings[lists[role]].keys(), { hostname: name }]),
    rows: (path, text) => addClientRow(path, text, name),
  });
}

/** @throws usage - it is the last host of its role; settings, files */
export async function removeHostFrom(
  settings: Settings,
  { role, hostname }: HostSettings,
  context: Omit<SettingsContext, 'file'>,
): Promise<SettingsEdit> {
  const hosts: readonly HostSettings[] = settings[lists[role]];
  if (hosts.length === 1) {
    const [what, option] = role === 'smtpd-server' ? ['relay', ['--relay']] : ['client', []];
    throw new RelaycertsError('usage', `${hostname} is the only ${what}, and the settings need one`, {
      hint: { run: ['add', 'HOST', ...option], before: 'add another one first:' },
    });
  }
  if (settings.inbound?.home === hostname) {
    throw new RelaycertsError('usage', `${hostname} gets the inbound mail: inbound.home names it in the settings`, {
      hint: 'first name another client there, or remove the key "inbound"',
    });
  }
  const order = [...hosts.keys()].filter((index) => hosts[index]?.hostname !== hostname);
  return editList(settings, role, context, {
    list: (text) => arrangeList(text, [lists[role]], order),
    rows: (path, text) => removeClientRow(text, lineOf(path, hostname, settings)),
  });
}

interface Edits {
  /** In the settings' text. */
  readonly list: (text: string) => string;
  /** In the clients' file. */
  readonly rows: (path: string, text: string) => string;
}

async function editList(
  { file, clientsFile }: Settings,
  role: Role,
  context: Omit<SettingsContext, 'file'>,
  { list, rows }: Edits,
): Promise<SettingsEdit> {
  const text = await readSettingsText(file);
  const place = { ...context, file: resolve(file) };
  if (role === 'smtpd-server' || clientsFile === undefined) {
    const edited = list(text);
    return { path: realpathSync.native(file), before: text, text: edited, settings: parseSettingsText(edited, place) };
  }
  const before = readClients(clientsFile)?.toString('utf8');
  if (before === undefined) throw new RelaycertsError('files', `${quotePath(clientsFile)} has disappeared`);
  const edited = rows(clientsFile, before);
  const settings = parseSettingsText(text, place, Buffer.from(edited));
  return { path: realpathSync.native(clientsFile), before, text: edited, settings };
}

function lineOf(path: string, hostname: HostName, { domain }: Settings): number {
  const row = readClientRows(path).find((one) => completeHostName(one.hostname, domain) === hostname);
  if (row === undefined) throw new RelaycertsError('files', `${quotePath(path)} was changed in the meantime`);
  return row.line;
}
