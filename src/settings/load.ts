// Reads the settings file from disk: a regular UTF-8 file without a byte order mark, at most 1 MiB. It never hangs or
// shows a stack, whatever is at the path (a folder, a FIFO, a device, another user's file). The grammar is in jsonc.ts,
// the meaning of the settings in schema.ts.

import { hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { escapeControls, quote, RelaycertsError, systemCode, type Hint } from '../errors.js';
import { pathWord } from '../shell-word.js';
import { readClients } from './clients-file.js';
import { parseWithClients } from './fleet.js';
import { parseJsonc } from './jsonc.js';
import { nameFile, type SettingsContext } from './schema.js';
import type { Settings } from './settings.js';

const maxBytes = 1_048_576;
const chunkSize = 65_536;

/** The source of settings, so that the same text is not parsed twice. */
const sources = new WeakMap<Settings, { readonly text: string; readonly clients: string }>();

/** The settings of a file; `before` is returned if the file has not changed since. @throws settings */
export async function readSettings(
  file: string,
  context: Omit<SettingsContext, 'file'>,
  before?: Settings,
): Promise<Settings> {
  const text = await readSettingsText(file);
  const source = before && sources.get(before);
  if (before !== undefined && source?.text === text && source.clients === digestOf(before)) return before;
  // Not a copy of it all: a Sys opens standard input when it is asked for its terminal.
  const { home, program, command, uid } = context;
  const settings = parseSettingsText(text, { home, program, command, uid, file: resolve(file) });
  sources.set(settings, { text, clients: digestOf(settings) });
  return settings;
}

function digestOf({ clientsFile }: Settings): string {
  const bytes = clientsFile === undefined ? undefined : readClients(clientsFile);
  return bytes === undefined ? '' : hash('sha256', bytes);
}

/** The text of a settings file, valid or not. @throws settings */
// oxlint-disable-next-line typescript/require-await -- what is thrown becomes a rejection
export async function readSettingsText(file: string): Promise<string> {
  const path = resolve(file);
  // Commands with this path are printed for a shell, one per line.
  if (escapeControls(path) !== path) {
    throw refuse(`the settings file's path has a control character: ${quote(path, 200)}`, 'move it to another folder');
  }
  return decodeText(readBounded(path), path);
}

/**
 * The settings of a settings file's text; `clients` are the future bytes of the clients file. @throws settings - all
 * problems at once
 */
export function parseSettingsText(text: string, context: SettingsContext, clients?: Buffer): Settings {
  const parsed = parseJsonc(text);
  if ('value' in parsed) return parseWithClients(parsed.value, context, clients);
  const name = nameFile(context.file);
  const problems = parsed.flaws.map(({ line, column, what, hint }) => ({
    message: `${name}: line ${String(line)}, column ${String(column)}: ${what}`,
    hint,
  }));
  throw new RelaycertsError('settings', problems[0]?.message ?? '', { problems });
}

function refuse(message: string, hint: Hint, cause?: unknown): RelaycertsError {
  return new RelaycertsError('settings', message, { hint, cause });
}

function readBounded(path: string): Buffer {
  try {
    // Opening a FIFO waits for a writer unless it is non-blocking; a terminal must not become our controlling terminal.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const stats = fstatSync(file);
      if (stats.isDirectory()) {
        throw refuse(
          `the settings file is a folder: ${quote(path)}`,
          `name the file in it: --settings ${quote(join(path, 'settings.json'))}`,
        );
      }
      if (!stats.isFile()) {
        throw refuse(`the settings file is not a regular file: ${quote(path)}`, 'copy the settings into a file first');
      }
      // One octet over the limit, because the size may have changed since.
      const bytes = readUpTo(file, maxBytes + 1);
      if (bytes.length > maxBytes) {
        throw refuse(`${nameFile(path)}: over 1 MiB long`, 'is that the settings file? see settings.example.json');
      }
      return bytes;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (error instanceof RelaycertsError) throw error;
    throw explainSystemError(error, path);
  }
}

/** A file's contents, at most `limit` octets, even if its size has changed since it was opened. */
function readUpTo(file: number, limit: number): Buffer {
  const chunks: Buffer[] = [];
  for (let left = limit; left > 0;) {
    const chunk = Buffer.alloc(Math.min(left, chunkSize));
    const size = readSync(file, chunk);
    if (size === 0) break;
    chunks.push(chunk.subarray(0, size));
    left -= size;
  }
  return Buffer.concat(chunks);
}

function explainSystemError(error: unknown, path: string): RelaycertsError {
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return refuse(`no settings file ${quote(path)}`, { run: ['wizard'] }, error);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return refuse(
      `the settings file may not be read: ${quote(path)}`,
      `look at its owner and mode: ls -l ${pathWord(path)}`,
      error,
    );
  }
  if (code === 'ELOOP') {
    return refuse(`the settings file is a link to itself: ${quote(path)}`, startOver(path), error);
  }
  const what = `the settings file cannot be read (${code ?? String(error)}): ${quote(path)}`;
  return refuse(what, 'name another file with --settings FILE', error);
}

/** The wizard writes over no file that it cannot read. */
function startOver(path: string): Hint {
  return { run: ['wizard'], before: `rm ${pathWord(path)} &&` };
}

function decodeText(bytes: Buffer, path: string): string {
  const name = nameFile(path);
  const saveAs = 'save it as UTF-8 without a byte order mark';
  const start = bytes.toString('hex', 0, 3);
  if (start === '') throw refuse(`${name}: empty`, startOver(path));
  if (start === 'efbbbf') throw refuse(`${name}: begins with a byte order mark`, saveAs);
  if (/^(?:fffe|feff)/u.test(start)) throw refuse(`${name}: is UTF-16, not UTF-8`, saveAs);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw refuse(`${name}: not UTF-8${placeOfBadOctet(bytes)}`, saveAs, error);
  }
}

/** `: line 3`: the line of the first octet that does not survive decoding and encoding. */
function placeOfBadOctet(bytes: Buffer): string {
  const again = new TextEncoder().encode(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
  const bad = bytes.findIndex((octet, index) => octet !== again[index]);
  return bad === -1 ? '' : `: line ${String(bytes.subarray(0, bad).filter((octet) => octet === 0x0a).length + 1)}`;
}
