// The outside world as commands see it: the current folder, the clock, the terminal, other programs. Files are in
// files.ts. Data goes to stdout; progress, warnings and questions go to stderr.

import type { Hint } from '../errors.js';
import type { Secret } from '../secret.js';
import type { Progress } from './progress.js';
import type { Run } from './run.js';

export type Style = 'red' | 'yellow' | 'cyan' | 'green';

export interface Sys {
  /** The folder for relative paths on the command line. */
  readonly cwd: string;
  readonly home: string;
  /** XDG_CONFIG_HOME, or ~/.config if it is unset or not absolute (XDG Base Directory Specification). */
  readonly configHome: string;
  /** The same for XDG_CACHE_HOME and ~/.cache. */
  readonly cacheHome: string;
  /** The effective user id. */
  readonly uid: number;
  readonly pid: number;
  /** This machine's own name, for messages. */
  readonly machine: string;
  /** How relaycerts was called, as shell words, with --settings if needed: the start of every printed command. */
  readonly program: string;
  /** The same for any folder and without --settings, for cron. */
  readonly command: string;
  /** The command and its words, as typed; global options are not among them. */
  readonly typed: readonly string[];
  /** True if questions can be asked: stdin and stderr are terminals. */
  readonly interactive: boolean;
  /** The terminal for pinentry (`/dev/pts/3`); undefined if there is none. */
  readonly tty: string | undefined;
  now(): Date;
  /** How long a command waits for another relaycerts with the same settings, in seconds. */
  readonly lockWait: number;
  /** True if stdout is a terminal, which binary data would garble. */
  readonly outputIsTerminal: boolean;
  /** Writes data to stdout, unchanged. */
  write(data: string | Uint8Array): void;
  /** A word for `write`, coloured if stdout is a terminal that supports it; colour adds no meaning. */
  paint(style: Style, word: string): string;
  /** The same for a secret: warns if stdout is a file that others can read. */
  writeSecret(data: string | Uint8Array): void;
  /**
   * Resolves when stdout has accepted everything written; false if its reader has gone. @throws files - such as a full
   * disk
   */
  flush(): Promise<boolean>;
  /** With --quiet stdout gets data only. */
  readonly isQuiet: boolean;
  /**
   * Progress: one line to stderr; silent with --quiet. The path that it is about is shown relative to the current
   * folder, on a line of its own if both do not fit into 80 columns.
   */
  say(line: string, path?: string): void;
  /** Detail: one line to stderr, only with --verbose. */
  detail(line: string): void;
  /** The progress of long work; silent with --quiet. */
  readonly progress: Progress;
  /** One line to stderr, with the hint that fixes it; never silent. */
  warn(line: string, hint?: Hint): void;
  /** Asks yes or no; the default is no. Only if `interactive`. */
  confirm(question: string): Promise<boolean>;
  /**
   * Asks for a password without showing it; '' if the user only presses Enter. Only if `interactive`. @throws
   * interrupted
   */
  askSecret(question: string): Promise<Secret>;
  /** The same for a new password, asked for twice until both match. @throws interrupted */
  askNewSecret(question: string): Promise<Secret>;
  /** All of standard input, at most `limit` octets. @throws files */
  readStdin(limit: number): Promise<Buffer>;
  /** Standard input in pieces, until its end or `stop`. */
  stdin(stop?: AbortSignal): AsyncIterable<Buffer>;
  /** The program's exit code if it ends without an error; 0 by default. */
  endWith(status: number): void;
  readonly run: Run;
}
