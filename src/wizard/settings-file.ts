// The settings file as the wizard finds it and writes it: whole or not at all, and never over something that it has not
// seen. A link is followed, so that the file it names is the one that changes.

import { constants } from 'node:fs';
import { access, mkdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { quote, RelaycertsError } from '../errors.js';
import { readFile, replaceFile, statFile, writeNewFile } from '../sys/files.js';
import { fileError } from '../sys/file-error.js';
import { parseJsonc } from '../settings/jsonc.js';
import { readSettings } from '../settings/load.js';
import { pathWord } from '../shell-word.js';
import { nameFile, settingsJsonSchema, type SettingsContext } from '../settings/schema.js';
import { asObject, schemaName, type JsonObject, type Start } from './answers.js';

/** The settings file as it was found. */
export interface Found {
  readonly start: Start;
  /** Where it lies, links followed. */
  readonly path: string;
  readonly bytes: Buffer;
  readonly mode: 0o600 | 0o644;
}

/** The settings file that is there. @throws settings where it is not right: the wizard builds on nothing else */
export async function findSettings(file: string, sys: Omit<SettingsContext, 'file'>): Promise<Found | undefined> {
  if ((await statFile(file)) === undefined) return undefined;
  const name = nameFile(file);
  try {
    const settings = await readSettings(file, sys);
    const path = await realpath(file);
    const bytes = await readFile(path);
    const state = await statFile(path);
    if (bytes === undefined || state === undefined) throw new RelaycertsError('settings', `${name} went away`);
    const parsed = parseJsonc(bytes.toString());
    const value = 'value' in parsed ? asObject(parsed.value) : {};
    return { start: { value, settings }, path, bytes, mode: (state.mode & 0o077) === 0 ? 0o600 : 0o644 };
  } catch (error) {
    if (!(error instanceof RelaycertsError) || error.code !== 'settings') throw error;
    throw new RelaycertsError('settings', error.message, {
      cause: error,
      problems: [
        ...error.problems,
        {
          message: `the wizard starts from right settings alone, and left ${name} as it is`,
          hint: `mend it, or move it away: mv ${pathWord(file)} ${pathWord(`${file}.old`)}`,
        },
      ],
    });
  }
}

/** Refuses a folder that cannot be written: said before anything is asked, not after the last answer. @throws files */
export async function assertWritable(file: string): Promise<void> {
  let folder = dirname(file);
  while ((await statFile(folder)) === undefined && dirname(folder) !== folder) folder = dirname(folder);
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw fileError(error, 'write', file);
  }
}

/** Writes the text whole; what appeared or changed since it was found is left alone. @throws files */
export async function writeSettings(file: string, text: string, found: Found | undefined): Promise<void> {
  if (found === undefined) {
    await mkdir(dirname(file), { recursive: true });
    await writeNewFile(file, text, 0o644);
    return;
  }
  const now = await readFile(found.path);
  if (now === undefined || !now.equals(found.bytes)) {
    throw new RelaycertsError('files', `${quote(found.path)} changed while the wizard ran, and was left as it is`, {
      hint: 'run relaycerts wizard again; it starts from what is there now',
    });
  }
  await replaceFile(found.path, text, found.mode);
}

/** The schema that settings written here name, beside them, where none is there yet: for editors alone. @throws files */
export async function writeSchema(file: string, { $schema: name }: JsonObject): Promise<boolean> {
  if (name !== schemaName) return false;
  const path = join(dirname(file), schemaName);
  if ((await statFile(path)) !== undefined) return false;
  await writeNewFile(path, `${JSON.stringify(settingsJsonSchema(), undefined, 2)}\n`, 0o644);
  return true;
}
