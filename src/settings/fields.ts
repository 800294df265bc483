// The kinds of values that stand in a settings file, as zod schemas that carry both sides: what the parser takes, and
// what the JSON Schema says of it. Their errors say what is wrong and what mends it. Which keys there are is in file.ts.

import { closestMatch } from 'leven';
import * as z from 'zod/mini';
import { quote, RelaycertsError, renderHint } from '../errors.js';

const label = String.raw`[\p{L}\p{M}\p{Nd}](?:[\p{L}\p{M}\p{Nd}\-]{0,61}[\p{L}\p{M}\p{Nd}])?`;
const noNumberLast = String.raw`(?!.*\.(?:[0-9]+|0[xX][0-9A-Fa-f]*)$)`;
const unprintable = String.raw`\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}`;
/** What the JSON Schema says of each kind of text (ECMA-262 with `u`): all that the parsers take, and little more. */
export const textFormats = {
  hostOrLabel: { maxLength: 253, pattern: `^${noNumberLast}${label}(?:\\.${label})*$` },
  hostName: { maxLength: 253, pattern: `^${noNumberLast}${label}(?:\\.${label})+$` },
  sshHost: {
    maxLength: 253,
    pattern: `^(?:[A-Za-z0-9][A-Za-z0-9._\\-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+|${label}(?:\\.${label})*)$`,
  },
  sshUser: { pattern: '^[A-Za-z_][A-Za-z0-9_.\\-]{0,31}$' },
  directory: { maxLength: 200, pattern: '^(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._][A-Za-z0-9._\\-]*){2,}/?$' },
  country: { pattern: '^[A-Za-z]{2}$' },
  passphraseFile: { maxLength: 1024, pattern: `^(?!~(?!/)|\\$)[^${unprintable}]*[^${unprintable}/]$` },
  recipient: { maxLength: 1024, pattern: `^[^\\-${unprintable}\\p{Z}](?:[^${unprintable}]*[^${unprintable}\\p{Z}])?$` },
} as const;
const attributePattern = `^[^${unprintable}\\p{Z}](?:[^${unprintable}]*[^${unprintable}\\p{Z}])?$`;

/** What zod carries for one issue: what is wrong, a line feed, and what mends it. */
export function say(what: string, hint: string): string {
  return `${what.replaceAll('\n', ' ')}\n${hint}`;
}

/** `example` is how the value is written, quotes and brackets included. */
function missingOr(input: unknown, what: string, hint: string, example: string): string {
  return input === undefined ? say('is missing', `add it, for example ${example}`) : say(what, hint);
}

const kinds: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
};

/** Says an object's or a list's kind instead of its value: a passphrase may have been written there by mistake. */
function kindOf(input: unknown): string {
  if (input === null) return 'null';
  if (Array.isArray(input)) return 'a list';
  return kinds[typeof input] ?? typeof input;
}

/** An object with these keys and no others. */
export function section<Shape extends z.core.$ZodLooseShape>(description: string, shape: Shape) {
  const hint = 'write { ... } there, as settings.example.json does';
  const error = ({ code, input }: z.core.$ZodRawIssue): string | undefined =>
    code === 'invalid_type' ? missingOr(input, `must be an object, is ${kindOf(input)}`, hint, '{}') : undefined;
  return z.strictObject(shape, { error }).check(z.meta({ description }));
}

/** A list; `example` is one as JSON. */
export function list<Item extends z.core.SomeType>(
  item: Item,
  meta: Readonly<Record<string, unknown>>,
  example: string,
) {
  const hint = `write [ ... ] there, for example ${example}`;
  const error = ({ input }: z.core.$ZodRawIssue): string =>
    missingOr(input, `must be a list, is ${kindOf(input)}`, hint, example);
  return z.array(item, { error }).check(z.meta(meta));
}

/** A whole number from `min` to `max`, which may be left out; `checks` are more that zod has for it. */
export function whole(
  min: number,
  max: number,
  description: string,
  standard: number,
  ...checks: readonly z.core.$ZodCheck<number>[]
) {
  const error = ({ input }: { readonly input?: unknown }): string =>
    say(
      `must be a whole number from ${String(min)} to ${String(max)}: ${quote(input)}`,
      typeof input === 'number'
        ? `write ${String(Math.min(Math.max(Math.round(input), min), max))}`
        : `write a number without quotes, for example ${String(standard)}`,
    );
  const limits = [z.minimum(min, { error }), z.maximum(max, { error }), z.meta({ description })];
  return z.prefault(z.int({ error }).check(...limits, ...checks), standard);
}

/** One of some words; the first where it is left out. */
export function choice<const Value extends string>(values: readonly [Value, ...Value[]], description: string) {
  const all = values.map((value) => `"${value}"`).join(', ');
  const error = ({ input }: z.core.$ZodRawIssue): string => {
    const text = typeof input === 'string' ? input.slice(0, 64).toLowerCase() : '';
    const near =
      text === ''
        ? undefined
        : (values.find((value) => value.startsWith(text)) ?? closestMatch(text, values, { maxDistance: 3 }));
    return say(`must be one of ${all}: ${quote(input)}`, `write ${near === undefined ? `one of them` : `"${near}"`}`);
  };
  return z.prefault(z.enum(values, { error }).check(z.meta({ description })), values[0]);
}

/** Text that one parser of names.ts (or one below) takes; `format` is what the JSON Schema says of it. */
export function parsed<Value>(
  parse: (input: string) => Value,
  format: Readonly<Record<string, unknown>>,
  example: string,
  description?: string,
) {
  const hint = `write text in double quotes, for example "${example}"`;
  const text = z.string({
    error: ({ input }) => missingOr(input, `must be text: ${quote(input)}`, hint, `"${example}"`),
  });
  return z.pipe(
    text.check(z.meta({ description, ...format })),
    z.transform((input: string, payload) => {
      try {
        return parse(input);
      } catch (error) {
        if (!(error instanceof RelaycertsError)) throw error;
        const message = say(error.message, renderHint(error.hint ?? hint, 'relaycerts'));
        payload.issues.push({ code: 'custom', input, message });
        return z.NEVER;
      }
    }),
  );
}

/** A DN attribute's text: printable, no space around it, at most `max` characters (RFC 5280 appendix A.1 upper bounds). */
export function attribute(max: number, description: string, example: string) {
  const pattern = new RegExp(attributePattern, 'u');
  const parse = (input: string): string => {
    const length = Array.from(input).length;
    if (length >= 1 && length <= max && pattern.test(input)) return input;
    throw new RelaycertsError('name', describeBadText(input, length, max), {
      hint: length === 0 ? 'write a value, or remove the key' : `write plain text, for example "${example}"`,
    });
  };
  const format = { minLength: 1, maxLength: max, pattern: attributePattern };
  return z.optional(parsed(parse, format, example, description));
}

function describeBadText(input: string, length: number, max: number): string {
  if (length === 0) return 'must not be empty';
  if (length > max) return `must be at most ${String(max)} characters long, is ${String(length)}: ${quote(input)}`;
  if (input.trim() !== input) return `must not begin or end with a space: ${quote(input)}`;
  return `must hold no control, invisible or unassigned character: ${quote(input)}`;
}

/** The path of the passphrase file as written, `~/` and all: no control character, no trailing slash. @throws name */
export function parsePassphraseFile(input: string): string {
  if (fits(input, textFormats.passphraseFile)) return input;
  throw new RelaycertsError('name', `not a file's path: ${quote(input)}`, {
    hint: 'write a path such as "~/.example.org-relaycerts-passphrase.gpg", without variables and control characters',
  });
}

/** A recipient as written: no option of gpg, no control character, no space around it. @throws name */
export function parseRecipient(input: string): string {
  if (fits(input, textFormats.recipient)) return input;
  throw new RelaycertsError('name', `not a recipient: ${quote(input)}`, {
    hint: 'write a path to a public key, a fingerprint, a key ID or an address; a path must not begin with a hyphen',
  });
}

function fits(input: string, format: { readonly maxLength: number; readonly pattern: string }): boolean {
  return input.length <= format.maxLength && new RegExp(format.pattern, 'u').test(input);
}
