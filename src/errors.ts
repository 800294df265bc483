// The errors that a user can fix, and how they are worded. This is the voice of the program:
//   relaycerts: error: what is wrong, with the file and the quoted value
//   relaycerts: hint: one command or edit that fixes it
// Lower case, no full stop. A hint that runs relaycerts is data until it is printed, because only the edge knows how
// the program was called. A problem found by a check is data (a Finding) and is not thrown. Anything thrown that is not
// a RelaycertsError is a bug in relaycerts and ends with exit code 70.

import { unicodeEscape, writeJson } from './json-text.js';
import { pathWord } from './shell-word.js';

/** The exit code of each kind of error. */
const exitCodes = {
  usage: 2, // the command line is wrong; nothing was touched
  settings: 2, // the settings file is wrong; nothing was touched
  name: 2, // a name from outside (hostname, path, user, fingerprint) has characters it may not have
  contradiction: 1, // the files on disk contradict the settings or each other; nothing was touched
  files: 1, // a file could not be read or written
  permissions: 1, // others can read or change a file or folder
  passphrase: 1, // the passphrase could not be obtained, or does not open the key
  recipient: 1, // an OpenPGP recipient cannot be used
  certificate: 1, // a certificate, key or request from outside cannot be used
  lock: 1, // another relaycerts is running
  tool: 1, // a program that relaycerts runs (gpg, ssh, rsync) is missing or failed
  interrupted: 130, // Ctrl-C, or the terminal was closed
} as const;

/** Stable codes. */
export type ErrorCode = keyof typeof exitCodes;

/** A hint that runs relaycerts: its arguments, one word each, and the words before and after the command. */
export interface Command {
  readonly run: readonly string[];
  readonly before?: string;
  readonly after?: string;
}

/** How to fix a problem: words, or a command of relaycerts. */
export type Hint = string | Command;

/** One problem and how to fix it. `message` names the file and quotes the value; neither ever holds a secret. */
export interface Problem {
  readonly message: string;
  readonly hint?: Hint | undefined;
}

/** An error for the user to fix; `problems` holds all of them if there are several (a settings file). */
export class RelaycertsError extends Error {
  override readonly name = 'RelaycertsError';
  readonly code: ErrorCode;
  readonly hint: Hint | undefined;
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      readonly hint?: Hint | undefined;
      readonly cause?: unknown;
      readonly problems?: readonly Problem[];
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.problems = options.problems ?? [{ message, hint: options.hint }];
  }
}

/**
 * A command of relaycerts as it can be typed. `program` is how relaycerts was called, as shell words, with --settings
 * if needed: `relaycerts`, `npx relaycerts --settings mail/settings.json`.
 */
export function commandText(program: string, run: readonly string[]): string {
  return [program, ...run.map(pathWord)].join(' ');
}

/** A hint in words, for `program` as in commandText; an `after` that opens with punctuation follows without a space. */
export function renderHint(hint: Hint, program: string): string {
  if (typeof hint === 'string') return hint;
  const { run, before = '', after = '' } = hint;
  const command = commandText(program, run);
  return `${before}${before === '' ? '' : ' '}${command}${/^(?:$|[,;:.)])/u.test(after) ? '' : ' '}${after}`;
}

/** The exit code for anything thrown: from the table above, or 70 for a bug. */
export function exitCodeOf(error: unknown): number {
  return error instanceof RelaycertsError ? exitCodes[error.code] : 70;
}

/** Problems that are printed; of a fleet there may be one for each host. */
const mostErrors = 100;

/** The lines on stderr for anything thrown, without a stack (see RELAYCERTS_DEBUG in main); `program` as in commandText. */
export function renderError(error: unknown, program = 'relaycerts'): readonly string[] {
  const problems = problemsOf(error);
  const more = problems.length - mostErrors;
  return [
    ...problems.slice(0, mostErrors),
    ...(more > 0 ? [{ message: `${more} more like this`, hint: 'for all of them, run it again with --json' }] : []),
  ].flatMap(({ message, hint }) => [
    `relaycerts: error: ${escapeControls(message)}`,
    ...(hint === undefined ? [] : [`relaycerts: hint: ${escapeControls(renderHint(hint, program))}`]),
  ]);
}

/** What goes to stdout with --json in place of an answer: the same words, with a stable code. */
export function renderErrorJson(error: unknown, program: string): string {
  return `${writeJson({ version: 1, error: errorObject(error, program) }, 2)}\n`;
}

/** The exit code of a monitoring plugin that could not look. @source Monitoring Plugins Development Guidelines 2.3 */
export const pluginUnknown = 3;

/** The same as the line of a monitoring plugin. */
export function renderErrorPlugin(error: unknown): string {
  const message = problemsOf(error)[0]?.message ?? '';
  return `RELAYCERTS UNKNOWN - ${escapeControls(message).replaceAll('|', ' ')}\n`;
}

/** `problems` has all of them, including the first. */
export function errorObject(error: unknown, program: string): object {
  const code = error instanceof RelaycertsError ? error.code : 'bug';
  const problems = problemsOf(error).map((problem) => problemObject(problem, program));
  const hint = problems.find((one) => one.hint !== null)?.hint ?? null;
  return { code, message: error instanceof RelaycertsError ? error.message : problems[0]?.message, hint, problems };
}

/** A problem in JSON. */
export function problemObject({ message, hint }: Problem, program: string) {
  return { message, hint: hint === undefined ? null : renderHint(hint, program) };
}

/** What is wrong, each problem with its hint; for a bug, what was thrown. */
function problemsOf(error: unknown): readonly Problem[] {
  if (error instanceof RelaycertsError) return error.problems;
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [
    {
      message: `a bug in relaycerts: ${what}`,
      hint: 'run it again with RELAYCERTS_DEBUG=1 and report what it prints; it holds no secret',
    },
  ];
}

/** A value in an error message: quoted, control characters escaped, cut at `limit` characters. */
export function quote(value: unknown, limit = 80): string {
  const text = JSON.stringify(value) ?? String(value);
  const safe = isPlain(text) ? text : text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, unicodeEscape);
  return safe.length <= limit ? safe : `${safe.slice(0, limit - 4)}..."`;
}

/** Printable ASCII, which nearly all text is: V8 takes a while to compile the classes of Unicode. */
function isPlain(text: string): boolean {
  return /^[ -~]*$/u.test(text);
}

/** Text as one line for a terminal: control characters, including line ends, as JSON escapes. */
export function escapeControls(text: string): string {
  if (isPlain(text)) return text;
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    const json = JSON.stringify(character).slice(1, -1);
    return json === character ? unicodeEscape(character) : json;
  });
}

/** The first five of many for an error message, and how many more there are. */
export function listSome(words: readonly string[], separator = ', '): string {
  const more = words.length > 5 ? ` and ${String(words.length - 5)} more` : '';
  return `${words.slice(0, 5).join(separator)}${more}`;
}

/** A number of things: `1 line`, `2 lines`. */
export function howMany(count: number, word: string, plural = 's'): string {
  return `${count} ${word}${count === 1 ? '' : plural}`;
}

/** A path in an error message: quoted like any value but never cut, because a cut path is useless. */
export function quotePath(path: string): string {
  return quote(path, 8192);
}

/** The hint that restores a lost or damaged file that holds a secret; `first` is a command that makes room for it. */
export function restoreHint(path: string, first = ''): string {
  const unpack = 'unpack a file of relaycerts backup first: gpg --decrypt FILE | tar -x';
  return `restore it from a backup: ${first}install -D -m 600 BACKUP ${pathWord(path)}; ${unpack}`;
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof RelaycertsError || !(error instanceof Error && 'code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A time as messages have it, to the second; text is an ISO time already. */
export function timeText(at: Date | string): string {
  return (typeof at === 'string' ? at : at.toISOString()).replace(/\.\d+Z$/u, 'Z');
}
