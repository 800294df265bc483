// JSON with text of others in it, as a terminal may see it.

/** JSON without what a terminal would obey: JSON.stringify leaves C1 controls and marks of direction as they are. */
export function writeJson(value: unknown, indent?: number): string {
  return (JSON.stringify(value, undefined, indent) ?? 'null').replaceAll(
    /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
