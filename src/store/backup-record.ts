// When the last backup was made, and of what: certs/backup.json. It is compared by content and not by time, because
// clocks can be wrong and a restored folder has other dates. It is a note: no decision reads it, and removing it only
// causes a reminder.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { commandText } from '../errors.js';
import type { Inventory } from '../plan/inventory.js';
import { readClients } from '../settings/clients-file.js';
import { readSettingsText } from '../settings/load.js';
import type { Settings } from '../settings/settings.js';
import { lookAt, readFile, replaceFile } from '../sys/files.js';
import { layoutOf } from './layout.js';

export const recordName = 'backup.json';

export interface BackupRecord {
  readonly version: 1;
  /** ISO 8601, in UTC. */
  readonly made: string;
  /** SHA-256, in hexadecimal, of everything whose change calls for a new backup. */
  readonly state: string;
}

/** The state of the last backup; `made` is null if there is none. */
export interface BackupAge {
  readonly made: string | null;
  readonly isCurrent: boolean;
}

/** The record of a backup made of this state. */
export async function recordOf(settings: Settings, inventory: Inventory, at: Date): Promise<BackupRecord> {
  return { version: 1, made: at.toISOString(), state: await stateDigest(settings, inventory) };
}

/** Records that a backup was made. @throws files */
export async function writeBackupRecord(settings: Settings, record: BackupRecord): Promise<void> {
  await replaceFile(pathOf(settings), JSON.stringify(record), 0o644);
}

/** Undefined if there is nothing to back up. */
export async function readBackupAge(settings: Settings, inventory: Inventory): Promise<BackupAge | undefined> {
  if (inventory.caKey === undefined) return undefined;
  const record = readRecord(pathOf(settings));
  if (record === undefined) return { made: null, isCurrent: false };
  return { made: record.made, isCurrent: record.state === (await stateDigest(settings, inventory)) };
}

/** That something has changed since the last backup; undefined if nothing has, or there was none. */
export function backupAgeText({ made, isCurrent }: BackupAge, program: string): string | undefined {
  if (made === null || isCurrent) return undefined;
  const command = commandText(program, ['backup', 'FILE']);
  return `the last backup, of ${made.slice(0, 10)}, is older than the last change: ${command}`;
}

function pathOf(settings: Settings): string {
  return join(layoutOf(settings).certsFolder, recordName);
}

function readRecord(path: string): BackupRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFile(path)?.toString() ?? '');
    const { made, state } = { made: undefined, state: undefined, ...(typeof value === 'object' ? value : {}) };
    if (typeof made !== 'string' || typeof state !== 'string') return undefined;
    const at = new Date(made);
    return Number.isNaN(at.getTime()) ? undefined : { version: 1, made: at.toISOString(), state };
  } catch {
    return undefined;
  }
}

/** Every certificate adds a line to the ledger, and every other change is in one of the files. */
async function stateDigest(settings: Settings, { caKey, passphraseFile }: Inventory): Promise<string> {
  const { clientsFile } = settings;
  const digest = createHash('sha256');
  const parts = [
    Buffer.from(await readSettingsText(settings.file)),
    clientsFile === undefined ? undefined : readClients(clientsFile),
    caKey,
    passphraseFile,
    Buffer.from(String(lookAt(layoutOf(settings).ledger.path)?.size)),
  ];
  for (const part of parts) digest.update(`${part?.length ?? -1}:`).update(part ?? '');
  return digest.digest('hex');
}
