// One line of a log as who logged what and when. Syslog in its traditional form (in any language: only the time has to
// be in digits), RFC 3339 and RFC 5424; the short forms, JSON and export of journalctl; Exim's and msmtp's own logs;
// and what containers prepend or leave out. A time stays as written. Texts are latin1, as lines are (sys/lines.ts).

import { journalExport, readJsonLine } from './journal.js';
import type { LogRecord } from './log-record.js';

const clock = String.raw`\d\d:\d\d:\d\d\S*`;
const zone = String.raw`(?: (?:[A-Z]{3,5}|[+-]\d{4})(?= \S+ \S))?`;
// Month names and their place depend on the language. A later clock may be a client's words.
const time = String.raw`((?:(?!${clock}).){0,48}${clock}${zone}|\[ *\d{1,12}\.\d{1,6}\]|\d{9,11}\.\d{1,6})`;
// Busybox's syslogd writes facility and level after the host, FreeBSD's before it, in brackets.
const facility = String.raw`(?:<?[a-z0-9]{1,8}\.[a-z0-9]{1,8}>? )?`;
const priority = String.raw`^(?:<\d{1,3}>)?`;
const syslog = new RegExp(
  String.raw`${priority}${time} +${facility}((?!\[)\S{0,254}[^\s:]) ${facility}([^\s:[\]]{1,100})(?:\[(\d{1,10})\])?: ?`,
);
/** Busybox's and metalog can leave out the host; metalog writes only the program, in brackets. */
const hostless = new RegExp(
  String.raw`${priority}${time} +${facility}(?:([^\s:[\]]{1,100})\[(\d{1,10})\]: ?|\[([^\s:[\]]{1,100})\] )`,
);
/** RFC 5424 6: priority, version, time, host, program, process, message ID, structured data, and perhaps a BOM. */
const structured =
  /^(?:<\d{1,3}>)?1 (\S{1,64}) (\S{1,255}) (\S{1,100}) (\S{1,128}) \S{1,32} (?:-|(?:\[(?:[^\]"\\]|\\.|"(?:[^"\\]|\\.)*")*\])+) ?(?:\xEF\xBB\xBF)?/;
const ownOfExim = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?: [+-]\d{4})?)(?: \[\d{1,10}\])? /;
const ownOfMsmtp = new RegExp(String.raw`^(.{0,48}?${clock}) (?=host=\S+ tls=)`);
const leading = new RegExp(String.raw`^(?:(?!${clock}).){0,48}${clock}`);
const anywhere = /(?:^|[\s|])(postfix[\w.-]{0,64}(?:\/[\w.-]{1,64}){1,3})\[(\d{1,10})\]: /;

export interface RecordReader {
  /** A record, or nothing for a line that is a part of one. */
  readonly read: (line: string, octets: number) => LogRecord | undefined;
  /** Inside an entry of several lines. */
  readonly isInside: () => boolean;
}

/** Of a line that says nothing of itself. */
export const nothing: LogRecord = { time: '', host: '', program: '', pid: '', text: '' };

/** Reads one line after the other. */
export function recordReader(): RecordReader {
  const { read, isInside } = journalExport();
  return {
    read: (line, octets) => {
      const entry = read(line, octets);
      return entry === 'other' ? readRecord(line) : entry;
    },
    isInside,
  };
}

/** A line that is a record by itself. */
export function readRecord(line: string): LogRecord {
  const whole = line.endsWith('\r') ? line.slice(0, -1) : line;
  const found = readJsonLine(whole);
  return typeof found === 'object' ? found : readSyslog(found ?? whole);
}

function readSyslog(line: string): LogRecord {
  const found = syslog.exec(line);
  if (found !== null) {
    const [all, at = '', host = '', program = '', pid = ''] = found;
    return { time: at, host, program, pid, text: line.slice(all.length) };
  }
  return readOther(line);
}

function readOther(line: string): LogRecord {
  const record = (all: string, parts: Partial<LogRecord>): LogRecord => ({
    ...nothing,
    ...parts,
    text: line.slice(all.length),
  });
  const five = structured.exec(line);
  if (five !== null) {
    const [all, at = '', host = '', program = '', pid = ''] = five;
    return record(all, { time: at, host, program, pid });
  }
  const exim = ownOfExim.exec(line);
  if (exim !== null) return record(exim[0], { time: exim[1] ?? '', program: 'exim' });
  const msmtp = ownOfMsmtp.exec(line);
  if (msmtp !== null) return record(msmtp[0], { time: msmtp[1] ?? '', program: 'msmtp' });
  const own = hostless.exec(line);
  if (own !== null) {
    const [all, at = '', named = '', pid = '', program = named] = own;
    return record(all, { time: at, program, pid });
  }
  const head = line.slice(0, 400);
  const tagged = anywhere.exec(head);
  if (tagged === null) return record('', {});
  const before = head.slice(0, tagged.index);
  return record(before + tagged[0], { time: timeIn(before), program: tagged[1] ?? '', pid: tagged[2] ?? '' });
}

/** Whatever forwarded the line may have put a time before it. */
function timeIn(text: string): string {
  return leading.exec(text)?.[0] ?? '';
}
