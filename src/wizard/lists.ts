// Lists as a person types them, with commas, and how they are shown again. What the items are is not known here: their
// own parsers are in names.ts and settings/fields.ts.

import { RelaycertsError } from '../errors.js';

/** As many as there may be smtp-clients; no other list has more. */
const mostItems = 5000;

/** The items of a list, at least one; an item with a comma in it is in double quotes. @throws settings */
export function parseList(text: string): readonly string[] {
  const items: string[] = [];
  for (const [, quoted, plain] of text.matchAll(/\s*(?:"([^"]*)"\s*(?=,|$)|([^,]*))(?:,|$)/gu)) {
    const item = quoted ?? plain?.trim() ?? '';
    if (item !== '') items.push(item);
    if (items.length > mostItems) {
      const hint = 'write them into the settings file';
      throw new RelaycertsError('settings', `a list of over ${String(mostItems)} items`, { hint });
    }
  }
  if (items.length > 0) return items;
  throw new RelaycertsError('settings', 'expected at least one, found none', {
    hint: 'type one, or several with commas',
  });
}

/** The inverse of parseList. */
export function formatList(items: readonly string[]): string {
  return items.map((item) => (item.includes(',') ? `"${item}"` : item)).join(', ');
}
