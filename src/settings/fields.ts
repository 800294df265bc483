// The kinds of values in a settings file, both sides of each: what the parser accepts, and what the JSON Schema says.
// Errors say what is wrong and how to fix it. The keys themselves are in file.ts.

import { closestMatch } from 'leven';
import { quote, RelaycertsError, renderHint } from '../errors.js';
import { checked, noValue, optional, withDefault } from './kinds.js';
import type { JsonSchema, Kind, ValueOf, Words } from './kinds.js';

const label = String.raw`[\p{L}\p{M}\p{Nd}](?:[\p{L}\p{M}\p{Nd}\-]{0,61}[\p{L}\p{M}\p{Nd}])?`;
const noNumberLast = String.raw`(?!.*\.(?:[0-9]+|0[xX][0-9A-Fa-f]*)$)`;
const unprintable = String.raw`\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}`;
/**
 * What the JSON Schema says of each kind of text (ECMA-262 with `u`): everything the parsers accept, and little more.
 */
export const textFormats = {
  hostOrLabel: { maxLength: 253, pattern: `^${noNumberLast}${label}(?:\\.${label})*$` },
  hostName: { maxLength: 253, pattern: `^${noNumberLast}${label}(?:\\.${label})+$` },
  sshHost: {
    maxLength: 253,
    pattern: `^(?:[A-Za-z0-9][A-Za-z0-9._\\-]*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+|${label}(?:\\.${label})*)$`,
  },
  sshUser: { pattern: '^[A-Za-z_][A-Za-z0-9_.\\-]{0,31}$' },
  sender: {
    maxLength: 318,
    pattern: `^(?:[A-Za-z0-9_+\\-]+(?:\\.[A-Za-z0-9_+\\-]+)*@)?${noNumberLast}${label}(?:\\.${label})+$`,
  },
  /** A name, and the answers that mean "listed", as Postfix writes them; without them, any answer means it. */
  blockList: {
    maxLength: 253,
    pattern: `^${label}(?:\\.${label})+(?:=127(?:\\.(?:[0-9]{1,3}|\\[[0-9.;]{1,60}\\])){3})?$`,
  },
  directory: { maxLength: 300, pattern: '^(?:/(?!\\.{1,2}(?:/|$))[A-Za-z0-9._][A-Za-z0-9._\\-]*){2,}/?$' },
  country: { pattern: '^[A-Za-z]{2}$' },
  address: {
    maxLength: 318,
    pattern: `^[A-Za-z0-9_+\\-]+(?:\\.[A-Za-z0-9_+\\-]+)*@${noNumberLast}${label}(?:\\.${label})+$`,
  },
  path: { maxLength: 1024, pattern: `^(?!~(?!/)|\\$)[^${unprintable}]*[^${unprintable}/]$` },
  recipient: {
    maxLength: 1024,
    pattern: `^(?!~(?!/)|\\$)[^\\-${unprintable}\\p{Z}](?:[^${unprintable}]*[^${unprintable}\\p{Z}])?$`,
  },
} as const;
const attributePattern = `^[^${unprintable}\\p{Z}](?:[^${unprintable}]*[^${unprintable}\\p{Z}])?$`;

/** `example` is the value as it is written, quotes and brackets included. */
function missingOr(input: unknown, what: string, hint: string, example: string): Words {
  return input === undefined ? { what: 'is missing', hint: `add it, for example ${example}` } : { what, hint };
}

const kindNames: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  boolean: 'true or false',
  object: 'an object',
};

/** Names an object's or a list's kind instead of its value: somebody may have put a passphrase there by mistake. */
function kindOf(input: unknown): string {
  if (input === null) return 'null';
  if (Array.isArray(input)) return 'a list';
  return kindNames[typeof input] ?? typeof input;
}

type Section<Shape> = Kind<{ readonly [Key in keyof Shape]: ValueOf<Shape[Key]> }> & { readonly shape: Shape };

/** An object with these keys and no others. */
export function section<Shape extends Readonly<Record<string, Kind<unknown>>>>(
  description: string,
  shape: Shape,
): Section<Shape> {
  const hint = 'write { ... } there, as settings.example.json does';
  const kinds = Object.entries(shape);
  const read: Section<Shape>['read'] = (input, path, flaws) => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      flaws.push({ path, ...missingOr(input, `must be an object, is ${kindOf(input)}`, hint, '{}') });
      return noValue;
    }
    const given: ReadonlyMap<string, unknown> = new Map(Object.entries(input));
    const values = kinds.map(([key, kind]) => [key, kind.read(given.get(key), [...path, key], flaws)] as const);
    for (const unknownKey of given.keys()) {
      if (Object.hasOwn(shape, unknownKey)) continue;
      const known = Object.keys(shape).join(', ');
      flaws.push({
        path,
        unknownKey,
        what: `unknown key ${quote(unknownKey)}`,
        hint: `remove it; known here: ${known}`,
      });
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of `shape`, each with what its kind reads
    return Object.fromEntries(values) as ValueOf<Section<Shape>>;
  };
  const required = kinds.flatMap(([key, { isOptional }]) => (isOptional ? [] : [key]));
  const jsonSchema = {
    type: 'object',
    properties: Object.fromEntries(kinds.map(([key, kind]) => [key, kind.jsonSchema])),
    ...(required.length > 0 && { required }),
    additionalProperties: false,
    description,
  };
  return { read, jsonSchema, shape };
}

/** A list; `example` is one in JSON. With `uniqueItems`, items may not be alike once they are read. */
export function list<Item>(item: Kind<Item>, meta: JsonSchema, example: string): Kind<readonly Item[]> {
  const hint = `write [ ... ] there, for example ${example}`;
  return {
    read: (input, path, flaws) => {
      if (Array.isArray(input)) {
        const values = input.map((each: unknown, at) => item.read(each, [...path, at], flaws));
        const seen = new Set<Item>();
        for (const [at, value] of meta['uniqueItems'] === true ? values.entries() : []) {
          const isTwin = value !== noValue && seen.has(value);
          if (isTwin)
            flaws.push({ path: [...path, at], what: `is there twice: ${quote(input[at])}`, hint: 'remove one' });
          seen.add(value);
        }
        return values;
      }
      flaws.push({ path, ...missingOr(input, `must be a list, is ${kindOf(input)}`, hint, example) });
      return noValue;
    },
    jsonSchema: { type: 'array', items: item.jsonSchema, ...meta },
  };
}

/** The list, which must not be empty; `example` is what to write then. */
export function oneOrMore<Item>(kind: Kind<readonly Item[]>, what: string, example: string): Kind<readonly Item[]> {
  const words = { what: `must name ${what}, is empty`, hint: `write ${example}` };
  return checked(kind, ({ length }) => (length === 0 ? words : undefined), { minItems: 1 });
}

/** A whole number from `min` to `max`; optional. */
export function whole(min: number, max: number, description: string, standard: number): Kind<number> {
  const words = (input: unknown): Words => ({
    what: `must be a whole number from ${String(min)} to ${String(max)}: ${quote(input)}`,
    hint:
      typeof input === 'number'
        ? `write ${String(Math.min(Math.max(Math.round(input), min), max))}`
        : `write a number without quotes, for example ${String(standard)}`,
  });
  const read: Kind<number>['read'] = (input, path, flaws) => {
    if (typeof input === 'number' && Number.isInteger(input) && input >= min && input <= max) return input;
    flaws.push({ path, ...words(input) });
    return noValue;
  };
  const jsonSchema = { type: 'integer', minimum: min, maximum: max, description };
  return withDefault({ read, jsonSchema }, standard);
}

const readFlag: Kind<boolean>['read'] = (input, path, flaws) => {
  if (typeof input === 'boolean') return input;
  flaws.push({ path, what: `must be true or false: ${quote(input)}`, hint: 'write true or false, without quotes' });
  return noValue;
};

/** True or false; the default is false. */
export function flag(description: string): Kind<boolean> {
  return withDefault({ read: readFlag, jsonSchema: { type: 'boolean', description } }, false);
}

/** One of some words; the default is the first. */
export function choice<const Value extends string>(
  values: readonly [Value, ...Value[]],
  description: string,
): Kind<Value> {
  return withDefault(word(values, description), values[0]);
}

/** One of some words, or none. */
export function oneOf<const Value extends string>(
  values: readonly Value[],
  description: string,
): Kind<Value | undefined> {
  return optional(word(values, description));
}

function word<const Value extends string>(values: readonly Value[], description: string): Kind<Value> {
  const all = values.map((value) => `"${value}"`).join(', ');
  const words = (input: unknown): Words => {
    const text = typeof input === 'string' ? input.slice(0, 64).toLowerCase() : '';
    const near =
      text === ''
        ? undefined
        : (values.find((value) => value.startsWith(text)) ?? closestMatch(text, values, { maxDistance: 3 }));
    return {
      what: `must be one of ${all}: ${quote(input)}`,
      hint: `write ${near === undefined ? `one of them` : `"${near}"`}`,
    };
  };
  const read: Kind<Value>['read'] = (input, path, flaws) => {
    const found = values.find((value) => value === input);
    if (found !== undefined) return found;
    flaws.push({ path, ...words(input) });
    return noValue;
  };
  return { read, jsonSchema: { type: 'string', enum: values, description } };
}

/** Text that a parser of names.ts (or one below) accepts; `format` is what the JSON Schema says of it. */
export function parsed<Value>(
  parse: (input: string) => Value,
  format: JsonSchema,
  example: string,
  description?: string,
): Kind<Value> {
  const hint = `write text in double quotes, for example "${example}"`;
  const read: Kind<Value>['read'] = (input, path, flaws) => {
    if (typeof input !== 'string') {
      flaws.push({ path, ...missingOr(input, `must be text: ${quote(input)}`, hint, `"${example}"`) });
      return noValue;
    }
    try {
      return parse(input);
    } catch (error) {
      if (!(error instanceof RelaycertsError)) throw error;
      const { message: what } = error;
      flaws.push({ path, what, hint: renderHint(error.hint ?? hint, 'relaycerts') });
      return noValue;
    }
  };
  return { read, jsonSchema: { type: 'string', ...(description !== undefined && { description }), ...format } };
}

/** A DN attribute's text: printable, no space around it, at most `max` characters (RFC 5280 appendix A.1 upper bounds). */
export function attribute(max: number, description: string, example: string): Kind<string | undefined> {
  const parse = (input: string): string => {
    const length = Array.from(input).length;
    if (length >= 1 && length <= max && matches(attributePattern, input)) return input;
    throw new RelaycertsError('name', describeBadText(input, length, max), {
      hint: length === 0 ? 'write a value, or remove the key' : `write plain text, for example "${example}"`,
    });
  };
  const format = { minLength: 1, maxLength: max, pattern: attributePattern };
  return optional(parsed(parse, format, example, description));
}

function describeBadText(input: string, length: number, max: number): string {
  if (length === 0) return 'must not be empty';
  if (length > max) return `must be at most ${String(max)} characters long, is ${String(length)}: ${quote(input)}`;
  if (input.trim() !== input) return `must not begin or end with a space: ${quote(input)}`;
  return `must hold no control, invisible or unassigned character: ${quote(input)}`;
}

/** The path of a file as written, including `~/`: no control character, no trailing slash. @throws name */
export function parsePath(input: string): string {
  if (fits(input, textFormats.path)) return input;
  throw new RelaycertsError('name', `not a file's path: ${quote(input)}`, {
    hint: 'write a path such as "~/.example.org-relaycerts-passphrase.gpg", without variables and control characters',
  });
}

/** A recipient as written: no option of gpg, no control character, no space around it. @throws name */
export function parseRecipient(input: string): string {
  if (fits(input, textFormats.recipient)) return input;
  throw new RelaycertsError('name', `not a recipient: ${quote(input)}`, {
    hint: 'write a path to a public key, a fingerprint, a key ID or an address; a path begins with no hyphen and no variable',
  });
}

function fits(input: string, format: { readonly maxLength: number; readonly pattern: string }): boolean {
  return input.length <= format.maxLength && matches(format.pattern, input);
}

/** V8 takes a millisecond to compile the classes of Unicode, and nearly all text is ASCII. */
function matches(pattern: string, input: string): boolean {
  const isAscii = /^[\0-\x7f]*$/u.test(input);
  const classes = isAscii
    ? pattern.replaceAll(unprintable, String.raw`\0-\x1f\x7f`).replaceAll(String.raw`\p{Z}`, ' ')
    : pattern;
  return new RegExp(classes, 'u').test(input);
}
