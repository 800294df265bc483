// A line of a log, or an entry of a journal, as all its formats have it. Texts are latin1, as lines are (sys/lines.ts).
// What reads the formats is in record.ts and journal.ts.

export interface LogRecord {
  /** As the log writes it; '' if it does not. */
  readonly time: string;
  /** Who logged it; '' if the log does not say. */
  readonly host: string;
  /** `postfix/relaycerts/smtpd`, `exim`...; '' if the line says nothing of it. */
  readonly program: string;
  readonly pid: string;
  readonly text: string;
}
