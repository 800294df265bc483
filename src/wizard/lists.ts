// Lists as a person types them: with commas. It does not know what the items are or whether they are valid. An item
// with a comma in it is in double quotes; an item cannot contain both a double quote and a comma.

import { RelaycertsError } from '../errors.js';

/** The maximum number of smtp-clients; no other list may be longer. */
const mostItems = 5000;

/** The items of a list, at least one. @throws settings */
export function parseList(text: string): readonly string[] {
  const items = [...text.matchAll(/\s*(?:"([^"]*)"\s*(?=,|$)|([^,]*))(?:,|$)/gu)]
    .map(([, quoted, plain = '']) => quoted ?? plain.trim())
    .filter((item) => item !== '');
  if (items.length > 0 && items.length <= mostItems) return items;
  const [what, hint] =
    items.length === 0
      ? ['expected at least one, found none', 'type one, or several separated by commas']
      : [`a list of over ${String(mostItems)} items`, 'write them into the settings file'];
  throw new RelaycertsError('settings', what, { hint });
}

/** The inverse of parseList. */
export function formatList(items: readonly string[]): string {
  return items.map((item) => (item.includes(',') ? `"${item}"` : item)).join(', ');
}
