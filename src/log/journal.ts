// journalctl -o json and -o export (systemd's "Journal Export Formats"), and Docker's json-file. An entry that is
// damaged, or longer than a line may be, is skipped. A field that is not printable is an array of octets in JSON, and is
// preceded by its length in the export format.

import type { LogRecord } from './log-record.js';

/** The fields that are used; no others are kept. */
const names = ['MESSAGE', 'SYSLOG_IDENTIFIER', '_COMM', '_PID', 'SYSLOG_PID', '_HOSTNAME', '__REALTIME_TIMESTAMP'];
type Fields = ReadonlyMap<string, string>;

/** A line of `-o json` or json-seq; of json-file, the line that the container wrote; undefined if it is none of them. */
export function readJsonLine(line: string): LogRecord | string | undefined {
  const from = line.startsWith('\u001E') ? 1 : 0;
  if (line[from] !== '{') return undefined;
  const entry = parseObject(line.slice(from));
  if (entry === undefined) return undefined;
  if (typeof entry['log'] === 'string') return entry['log'].trimEnd();
  return recordOf(new Map(names.flatMap((name) => textOf(entry[name]).map((text) => [name, text] as const))));
}

function parseObject(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

/** A field's first value; none if it is too long for journalctl to show. */
function textOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  if (!Array.isArray(value)) return [];
  if (value.every((one) => typeof one === 'number')) return [Buffer.from(value).toString('latin1')];
  return textOf(value[0]);
}

/**
 * Reads the export format: returns an entry's record with its last line, nothing for the others, and 'other' for a line
 * that is not in this format.
 */
export function journalExport(): {
  readonly read: (line: string, octets: number) => LogRecord | undefined | 'other';
  readonly isInside: () => boolean;
} {
  let fields: Map<string, string> | undefined;
  let binary: { readonly name: string; size: number; text: string } | undefined;
  const endBinary = (length: number): void => {
    if (binary !== undefined && names.includes(binary.name)) fields?.set(binary.name, binary.text.slice(8, 8 + length));
    binary = undefined;
  };
  const read = (line: string, octets: number): LogRecord | undefined | 'other' => {
    if (fields === undefined) {
      if (!line.startsWith('__CURSOR=')) return 'other';
      fields = new Map();
      return undefined;
    }
    if (binary !== undefined) {
      // The value begins with the eight octets of its length, and the line feed belongs to it.
      if (binary.text.length < mostOfField) binary.text += `${line}\n`;
      binary.size += octets + 1;
      const length = binary.size < 8 ? 0 : lengthIn(binary.text);
      if (binary.size > 8 + length) endBinary(length);
      return undefined;
    }
    if (line === '') {
      const record = recordOf(fields);
      fields = undefined;
      return record;
    }
    const equals = line.indexOf('=');
    if (equals < 0) binary = { name: line, size: 0, text: '' };
    else if (names.includes(line.slice(0, equals))) fields.set(line.slice(0, equals), line.slice(equals + 1));
    return undefined;
  };
  return { read, isInside: () => fields !== undefined };
}

const mostOfField = 1 << 16;

/** Little-endian. An impossible length is damage, and ends the field. */
function lengthIn(text: string): number {
  const octets = Buffer.from(text.slice(0, 8), 'latin1');
  const length = octets.readUInt32LE(0);
  return octets.readUInt32LE(4) > 0 || length > 1 << 28 ? 0 : length;
}

function recordOf(fields: Fields): LogRecord {
  const micros = Number(fields.get('__REALTIME_TIMESTAMP'));
  const at = new Date(micros / 1000);
  return {
    time: Number.isNaN(at.getTime()) ? '' : at.toISOString(),
    host: fields.get('_HOSTNAME') ?? '',
    program: fields.get('SYSLOG_IDENTIFIER') ?? fields.get('_COMM') ?? '',
    pid: fields.get('SYSLOG_PID') ?? fields.get('_PID') ?? '',
    text: fields.get('MESSAGE') ?? '',
  };
}
