// The outside world as commands see it: where they stand, the clock, the terminal, other programs. Files are beside it
// in files.ts. Data goes to stdout; progress, warnings and questions go to stderr.

import type { Hint } from '../errors.js';
import type { Secret } from '../secret.js';
import type { Progress } from './progress.js';
import type { Run } from './run.js';

export type Style = 'red' | 'yellow' | 'cyan' | 'green';

export interface Sys {
  /** The folder that relative paths of the command line start from. */
  readonly cwd: string;
  readonly home: string;
  /** XDG_CONFIG_HOME, or ~/.config where it is unset or not absolute (XDG Base Directory Specification). */
  readonly configHome: string;
  /** The same for XDG_CACHE_HOME and ~/.cache. */
  readonly cacheHome: string;
  /** The effective user id. */
  readonly uid: number;
  readonly pid: number;
  /** This machine's own name, for words. */
  readonly machine: string;
  /** How relaycerts was called, as shell words, with --settings if needed: what a printed command begins with. */
  readonly program: string;
  /** The same for any folder and without --settings, for cron. */
  readonly command: string;
  /** True where questions can be asked: stdin and stderr are terminals. */
  readonly interactive: boolean;
  /** The terminal that pinentry may use (`/dev/pts/3`); undefined where there is none. */
  readonly tty: string | undefined;
  now(): Date;
  /** How long a command waits for another relaycerts that is at work beside the same settings, in seconds. */
  readonly lockWait: number;
  /** True where stdout is a terminal, which binary data would garble. */
  readonly outputIsTerminal: boolean;
  /** Data, to stdout, as it is. */
  write(data: string | Uint8Array): void;
  /** A word for `write`, coloured if stdout is a terminal that wants colour; it says the same without. */
  paint(style: Style, word: string): string;
  /** The same for a secret: warns if stdout is a file that others can read. */
  writeSecret(data: string | Uint8Array): void;
  /** Resolves when stdout has taken all that was written, or its reader has gone. @throws files - a full disk, say */
  flush(): Promise<void>;
  /** With --quiet stdout gets data only. */
  readonly isQuiet: boolean;
  /**
   * Progress: one line to stderr; silent with --quiet. The path that it is about is shown from where the user stands, on
   * a line of its own if both do not fit into 80 columns.
   */
  say(line: string, path?: string): void;
  /** Detail: one line to stderr with --verbose alone. */
  detail(line: string): void;
  /** How far long work is; silent with --quiet. */
  readonly progress: Progress;
  /** One line to stderr, with the hint that mends it; never silent. */
  warn(line: string, hint?: Hint): void;
  /** Asks yes or no; no is the default. Only where `interactive`. */
  confirm(question: string): Promise<boolean>;
  /** Asks for a password, shown nowhere; '' where Enter is all. Only where `interactive`. @throws interrupted */
  askSecret(question: string): Promise<Secret>;
  /** The same for a new one, asked for twice until both are alike. @throws interrupted */
  askNewSecret(question: string): Promise<Secret>;
  /** All of standard input, at most `limit` octets. @throws files */
  readStdin(limit: number): Promise<Buffer>;
  /** Standard input piece by piece, until its end or `stop`. */
  stdin(stop?: AbortSignal): AsyncIterable<Buffer>;
  /** The program's exit code where it ends without an error: 0 unless this says otherwise. */
  endWith(status: number): void;
  readonly run: Run;
}
