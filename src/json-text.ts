// JSON for a terminal, because it may contain text from other people's keys and certificates, and the object around
// what every command prints with --json. It only writes; the settings are read by settings/jsonc.ts.

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

/** The same with one list, in pieces, because that of a fleet could exceed the length of a string. */
export function* answerParts<Item>(
  command: string,
  list: string,
  items: readonly Item[],
  toValue: (item: Item) => unknown,
): Generator<string, undefined> {
  const [head = '', tail = ''] = writeAnswer(command, { [list]: [''] }).split('""');
  let before = head;
  for (const item of items) {
    yield `${before}${writeJson(toValue(item), 2).replaceAll('\n', '\n    ')}`;
    before = ',\n    ';
  }
  yield items.length > 0 ? tail : writeAnswer(command, { [list]: [] });
  return undefined;
}

/** A character as JSON escapes it, by its UTF-16 units. */
export function unicodeEscape(character: string): string {
  const units = Array.from({ length: character.length }, (_, index) => character.charCodeAt(index));
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('');
}
