// The settings file as the wizard finds and writes it: all or nothing, and never over something it has not seen. A link
// is followed, so that the file it points to is the one that changes.

import { constants } from 'node:fs';
import { access, mkdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RelaycertsError } from '../errors.js';
import { lookAt, replaceUnchanged, writeNewFile } from '../sys/files.js';
import { fileError } from '../sys/file-error.js';
import { parseSettingsText, readSettingsText } from '../settings/load.js';
import { pathWord } from '../shell-word.js';
import { nameFile, settingsJsonSchema, type SettingsContext } from '../settings/schema.js';
import { schemaName, type KnownDraft } from './answers.js';

/** The settings file as it was found. */
export interface Found extends KnownDraft {
  /** Its path, with links followed. */
  readonly path: string;
}

/**
 * The existing settings file; undefined if there is none. @throws settings - the wizard changes only settings without
 * errors
 */
export async function findSettings(file: string, sys: Omit<SettingsContext, 'file'>): Promise<Found | undefined> {
  if (lookAt(file) === undefined) return undefined;
  const name = nameFile(file);
  try {
    const text = await readSettingsText(file);
    const settings = parseSettingsText(text, { ...sys, file });
    const path = await realpath(file);
    return { text, settings, path };
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code !== 'settings') throw error;
    const message = `the wizard changes only settings without errors; ${name} is as it was`;
    const hint = `correct it, or move it away: mv ${pathWord(file)} ${pathWord(`${file}.old`)}`;
    throw new RelaycertsError('settings', error.message, {
      cause: error,
      problems: [...error.problems, { message, hint }],
    });
  }
}

/** Refuses a folder that cannot be written before anything is asked, not after the last answer. @throws files */
export async function assertWritable(file: string): Promise<void> {
  let folder = dirname(file);
  while (lookAt(folder) === undefined && dirname(folder) !== folder) folder = dirname(folder);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError(error, 'write', file);
  }
}

/** Writes the whole text; a file that appeared or changed since it was read is left as it is. @throws files */
export async function writeSettings(file: string, text: string, found: Found | undefined): Promise<void> {
  if (found === undefined) {
    await mkdir(dirname(file), { recursive: true });
    await writeNewFile(file, text, 0o644);
    return;
  }
  await replaceUnchanged(found.path, found.text, text, { run: ['wizard'], after: 'starts from what is there now' });
}

/** Puts the schema, for editors, beside settings that name it, unless a file of that name exists. @throws files */
export async function writeSchema(file: string, name: unknown): Promise<void> {
  const path = join(dirname(file), schemaName);
  if (name !== schemaName || lookAt(path) !== undefined) return;
  await writeNewFile(path, `${JSON.stringify(settingsJsonSchema(), undefined, 2)}\n`, 0o644);
}
