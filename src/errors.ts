// The errors that a user can mend, and how they are said.
//
// The voice: lower case, no full stop, the file named and the value quoted:
//   relaycerts: error: what is wrong, with the file and the quoted value
//   relaycerts: hint: one command or edit that mends it
// A problem that a check found is data (a Finding), never one of these. Everything that is thrown and is not a
// RelaycertsError is a bug in relaycerts and ends with exit code 70.

/** Stable codes; the table below gives each its exit code. */
export type ErrorCode =
  | 'usage' // the command line is wrong; nothing was touched
  | 'settings' // the settings file is wrong; nothing was touched
  | 'name' // a name from outside (hostname, path, user, fingerprint) is not in its alphabet
  | 'contradiction' // what exists on disk contradicts the settings or itself; nothing was touched
  | 'files' // a file could not be read or written
  | 'permissions' // a file or folder is open to others
  | 'passphrase' // the passphrase could not be had, or opens nothing
  | 'recipient' // an OpenPGP recipient cannot be used
  | 'certificate' // a certificate, key or request from outside cannot be used
  | 'lock' // another relaycerts is at work
  | 'tool' // a program that relaycerts runs (gpg, ssh, rsync) is missing or failed
  | 'check' // a check found something; the findings were printed
  | 'interrupted'; // Ctrl-C, or the terminal went away

const exitCodes: Readonly<Record<ErrorCode, number>> = {
  usage: 2,
  settings: 2,
  name: 2,
  contradiction: 1,
  files: 1,
  permissions: 1,
  passphrase: 1,
  recipient: 1,
  certificate: 1,
  lock: 1,
  tool: 1,
  check: 3,
  interrupted: 130,
};

/** One problem with what mends it. `message` names the file and quotes the value; neither ever holds a secret. */
export interface Problem {
  readonly message: string;
  readonly hint?: string;
}

/** An error for the user to mend; `problems` holds all of them where there are several (a settings file). */
export class RelaycertsError extends Error {
  override readonly name = 'RelaycertsError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { readonly hint?: string; readonly cause?: unknown; readonly problems?: readonly Problem[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.problems = options.problems ?? [options.hint === undefined ? { message } : { message, hint: options.hint }];
  }
}

/** The exit code of whatever was thrown: the table above, or 70 for a bug. */
export function exitCodeOf(error: unknown): number {
  return error instanceof RelaycertsError ? exitCodes[error.code] : 70;
}

/** The lines that stderr gets for whatever was thrown, without a stack (see RELAYCERTS_DEBUG in main). */
export function renderError(error: unknown): readonly string[] {
  if (error instanceof RelaycertsError) {
    return error.problems.flatMap(({ message, hint }) => [
      `relaycerts: error: ${escapeControls(message)}`,
      ...(hint === undefined ? [] : [`relaycerts: hint: ${escapeControls(hint)}`]),
    ]);
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return [
    `relaycerts: error: a bug in relaycerts: ${escapeControls(what)}`,
    'relaycerts: hint: run it again with RELAYCERTS_DEBUG=1 and report what it prints; it holds no secret',
  ];
}

/** A value in an error message: quoted, control characters escaped, cut at `limit` characters. */
export function quote(value: unknown, limit = 80): string {
  const text = JSON.stringify(value) ?? String(value);
  const safe = text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    Array.from({ length: character.length }, (_, unit) => character.charCodeAt(unit))
      .map((code) => `\\u${code.toString(16).padStart(4, '0')}`)
      .join(''),
  );
  return safe.length <= limit ? safe : `${safe.slice(0, limit - 4)}..."`;
}

/** One line for a terminal, whatever is in it: control characters (line ends too) as JSON writes them. */
export function escapeControls(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    const json = JSON.stringify(character).slice(1, -1);
    return json === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : json;
  });
}

/** The first of many in an error message, and how many more there are. */
export function listSome(words: readonly string[], separator = ', '): string {
  const more = words.length > 5 ? ` and ${String(words.length - 5)} more` : '';
  return `${words.slice(0, 5).join(separator)}${more}`;
}

/** A path in an error message: quoted like any value, but whole, because a cut path names nothing. */
export function quotePath(path: string): string {
  return quote(path, 8192);
}

/** The `code` of a Node system error (`ENOENT`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  if (error instanceof RelaycertsError) return undefined;
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code;
  return undefined;
}
