// JSON for a terminal, because it may contain text from other people's keys and certificates, and the object around
// what every command prints with --json. It only writes; the settings are read by settings/jsonc.ts.

import { inPieces } from './pieces.js';

/** JSON without anything a terminal acts on: JSON.stringify leaves DEL, C1 controls and direction marks as they are. */
export function writeJson(value: unknown, indent?: number): string {
  return (JSON.stringify(value, undefined, indent) ?? 'null').replaceAll(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu,
    unicodeEscape,
  );
}

/** What `command` prints with --json: always one object, and a newline. docs/json.md describes the fields. */
export function writeAnswer(command: string, fields: object): string {
  return `${writeJson({ version: 1, command, ...fields }, 2)}\n`;
}

/**
 * The same in pieces. An iterable that is no array is a list whose values are made one by one; it may be in the object,
 * or in another such value.
 */
export function* answerParts(command: string, fields: object): Generator<string, undefined> {
  yield* inPieces(jsonParts({ version: 1, command, ...fields }, '\n'));
  yield '\n';
  return undefined;
}

/** `line`: a line feed and the indentation. */
function* jsonParts(value: unknown, line: string): Generator<string, undefined> {
  const next = `${line}  `;
  if (isLazyList(value)) {
    let before = `[${next}`;
    for (const one of value) {
      yield before;
      yield* jsonParts(one, next);
      before = `,${next}`;
    }
    yield before === `[${next}` ? '[]' : `${line}]`;
  } else if (typeof value === 'object' && value !== null && Object.values(value).some(isLazyList)) {
    let before = '{';
    for (const [key, one] of Object.entries(value).filter(([, each]) => each !== undefined)) {
      yield `${before}${next}${writeJson(key)}: `;
      yield* jsonParts(one, next);
      before = ',';
    }
    yield `${line}}`;
  } else yield writeJson(value, 2).replaceAll('\n', line);
  return undefined;
}

function isLazyList(value: unknown): value is Iterable<unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && Symbol.iterator in value;
}

/** A character as JSON escapes it, by its UTF-16 units. */
export function unicodeEscape(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
