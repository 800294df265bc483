// Reads a fleet's clients from a file of their own: CSV with a header (RFC 4180), or JSON lines. Each row has a
// hostname and the keys in which that client differs. Rows with the same keys are checked only once, so a hundred
// thousand clients take no longer than their names do. Only keys whose values are not text are known here; the
// settings' schema knows the rest.

import { basename } from 'node:path';
import { quote, RelaycertsError } from '../errors.js';
import { readFile } from '../sys/files.js';
import { keepHeapSmall } from '../sys/heap.js';

/** Octets; a line with a hostname has about 30. */
const mostOctets = 64 << 20;
const mostClients = 200_000;
/** Octets of a file whose rows alone would fill a heap that is not kept small (store/read-host.ts does so for others). */
const manyOctets = 512 << 10;

const listKeys: ReadonlySet<string> = new Set(['altNames', 'senders']);
const numberKeys: ReadonlySet<string> = new Set(['sshPort', 'tlsLogLevel']);

/** A client as written in the file. */
export interface ClientRow {
  /** Counted from 1. */
  readonly line: number;
  readonly hostname: unknown;
  /** The other keys of its settings, as JSON values. */
  readonly rest: Readonly<Record<string, unknown>>;
  /** The same text for all rows with the same `rest`. */
  readonly kind: string;
}

/** The file's bytes; undefined if the file does not exist. @throws files */
export function readClients(path: string): Buffer | undefined {
  return readFile(path, { limit: mostOctets, followLink: true });
}

/** The rows of the file at this path, or of the bytes it will have. @throws settings - with the line */
export function readClientRows(path: string, bytes = readClients(path)): readonly ClientRow[] {
  if (bytes === undefined) {
    throw refuse(`no clients file ${quote(path)}`, 'make it, or write the clients into the settings: [ ... ]');
  }
  if (bytes.length > manyOctets) keepHeapSmall();
  const name = basename(path);
  const lines = linesOf(bytes, name);
  const rows = path.endsWith('.csv') ? readCsv(lines, name) : readJsonLines(lines, name);
  if (rows.length === 0) throw refuse(`${name}: names no client`, 'write a hostname a line');
  return rows;
}

interface Line {
  readonly line: number;
  readonly text: string;
}

/** Counts lines that are not empty. */
function* linesOf(bytes: Buffer, name: string): Generator<Line, undefined> {
  let line = 0;
  for (let start = 0; start < bytes.length;) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed === -1 ? bytes.length : feed;
    line += 1;
    const text = bytes.toString('utf8', start, end).replace(/\r$/, '');
    if (text.includes('\uFFFD')) throw refuse(`${name}: line ${line}: not UTF-8`, 'save it as UTF-8');
    if (text.trim() !== '') yield { line, text: line === 1 ? text.replace(/^\uFEFF/, '') : text };
    start = end + 1;
  }
  return undefined;
}

function readCsv(lines: Generator<Line, undefined>, name: string): readonly ClientRow[] {
  const header = lines.next().value;
  const keys = header === undefined ? [] : cellsOf(header, name).map((cell) => cell.trim());
  const twin = keys.find((key, index) => keys.indexOf(key) !== index);
  if (!keys.includes('hostname') || twin !== undefined || keys.includes('')) {
    const what = twin === undefined ? 'a header with the column "hostname"' : `the column ${quote(twin)} once`;
    throw refuse(`${name}: line ${header?.line ?? 1}: expected ${what}`, 'begin with a line such as: hostname,sshPort');
  }
  const rows: ClientRow[] = [];
  for (const one of lines) {
    const cells = cellsOf(one, name);
    if (cells.length !== keys.length) {
      const found = `${cells.length} cells, and the header ${keys.length}`;
      throw refuse(`${name}: line ${one.line}: has ${found}`, 'give every row a cell for each column');
    }
    const values = Object.fromEntries(
      keys.flatMap((key, index): readonly [string, unknown][] => {
        const text = cells[index]?.trim() ?? '';
        return text === '' && key !== 'hostname' ? [] : [[key, valueOf(key, text)]];
      }),
    );
    rows.push(rowOf(one.line, values, rows.length, name));
  }
  return rows;
}

/** The file's text with a row for one more client, which has a hostname and nothing else. */
export function addClientRow(path: string, text: string, hostname: string): string {
  const end = text.includes('\r\n') ? '\r\n' : '\n';
  const [header] = linesOf(Buffer.from(text), basename(path));
  const keys = path.endsWith('.csv') && header !== undefined ? cellsOf(header, basename(path)) : undefined;
  const row = keys?.map((key) => (key.trim() === 'hostname' ? hostname : '')).join(',') ?? JSON.stringify({ hostname });
  return `${text}${text === '' || text.endsWith('\n') ? '' : end}${row}${end}`;
}

/** The file's text without one line; lines are counted from 1. */
export function removeClientRow(text: string, line: number): string {
  return text
    .split(/(?<=\n)/u)
    .toSpliced(line - 1, 1)
    .join('');
}

function valueOf(key: string, text: string): unknown {
  if (listKeys.has(key)) return text.split(/\s+/);
  if (numberKeys.has(key) && /^\d{1,9}$/.test(text)) return Number(text);
  return text === 'true' || text === 'false' ? text === 'true' : text;
}

/** RFC 4180 2, without line breaks in a cell. */
function cellsOf({ line, text }: Line, name: string): readonly string[] {
  if (!text.includes('"')) return text.split(',');
  const cells = [...text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)];
  if (cells.map(([whole]) => whole).join('') !== text) {
    throw refuse(`${name}: line ${line}: a quote in the wrong place`, 'write a cell with a comma as "a, b"');
  }
  return cells.map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
}

function readJsonLines(lines: Generator<Line>, name: string): readonly ClientRow[] {
  const rows: ClientRow[] = [];
  for (const { line, text } of lines) {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw refuse(`${name}: line ${line}: not JSON`, 'write an object a line: {"hostname": "c1"}');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw refuse(`${name}: line ${line}: not an object`, 'write an object a line: {"hostname": "c1"}');
    }
    rows.push(rowOf(line, value, rows.length, name));
  }
  return rows;
}

const plain = {};

function rowOf(line: number, value: object, before: number, name: string): ClientRow {
  if (before >= mostClients) {
    throw refuse(`${name}: line ${line}: over ${mostClients} clients`, 'split it into several projects');
  }
  const { hostname, ...rest }: { readonly hostname?: unknown; readonly [key: string]: unknown } = { ...value };
  const kind = JSON.stringify(rest);
  return { line, hostname, rest: kind === '{}' ? plain : rest, kind };
}

function refuse(message: string, hint: string): RelaycertsError {
  return new RelaycertsError('settings', message, { hint });
}
