// A line of a log, or an entry of a journal, in the form common to all formats. Texts are latin1, as lines are
// (sys/lines.ts). record.ts and journal.ts read the formats.

export interface LogRecord {
  /** As written in the log; '' if missing. */
  readonly time: string;
  /** Who logged it; '' if the log does not say. */
  readonly host: string;
  /** `postfix/relaycerts/smtpd`, `exim`...; '' if the line does not say. */
  readonly program: string;
  readonly pid: string;
  readonly text: string;
}
