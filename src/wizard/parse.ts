// The parsers of typed answers: text in, a value of the settings out, with the settings' own parsers (names.ts and the
// schema of settings/file.ts). What answers say about each other is checked in interview.ts.

import { quote, RelaycertsError } from '../errors.js';
import { completeHostName, parseHostName, type HostName } from '../names.js';
import { buildSchema } from '../settings/file.js';

type Schema = ReturnType<typeof buildSchema>;

/** The part of zod that is used here: a schema that says whether it takes a value. */
interface FieldSchema {
  safeParse(value: unknown, options: { readonly jitless: boolean }): FieldResult;
}
type FieldResult =
  | { readonly success: true }
  | { readonly success: false; readonly error: { readonly issues: readonly { readonly message: string }[] } };

/** As many as there may be smtp-clients; nothing else that is asked has more. */
const mostItems = 5000;

/**
 * The items of a list with commas between; an item that holds a comma stands in double quotes.
 * @throws settings - more than 5000
 */
export function parseList(text: string): readonly string[] {
  const items: string[] = [];
  let count = 0;
  for (const [, quoted, plain] of text.matchAll(/\s*(?:"([^"]*)"\s*(?=,|$)|([^,]*))(?:,|$)/gu)) {
    count += 1;
    // The last match is the empty one at the end.
    if (count > mostItems + 1) {
      throw new RelaycertsError('settings', `a list of over ${String(mostItems)} items`, {
        hint: 'write them into the settings file',
      });
    }
    const item = quoted ?? plain?.trim() ?? '';
    if (item !== '') items.push(item);
  }
  return items;
}

/** The inverse of parseList. */
export function formatList(items: readonly string[]): string {
  return items.map((item) => (item.includes(',') ? `"${item}"` : item)).join(', ');
}

/**
 * Host names as the settings write them: a label stays one, and everything is in lower-case A-labels.
 * @throws name
 */
export function parseHostList(text: string, domain: HostName): readonly string[] {
  const items = parseList(text);
  if (items.length === 0) {
    throw new RelaycertsError('name', 'a host name is needed', {
      hint: 'write one, such as relayhost, or several with commas between',
    });
  }
  return items.map((item) => {
    const name = completeHostName(item, domain);
    return item.includes('.') ? name : name.slice(0, -domain.length - 1);
  });
}

/**
 * A number as one field of the settings takes it.
 * @throws settings
 */
export function parseNumber(text: string, field: (places: Schema['places']) => FieldSchema): number {
  const trimmed = text.trim();
  const number: unknown = /^\d{1,15}$/u.test(trimmed) ? Number(trimmed) : trimmed;
  // The fields that hold numbers do not look at the domain.
  const result = field(buildSchema(parseHostName('example.org')).places).safeParse(number, { jitless: true });
  if (result.success && typeof number === 'number') return number;
  const [what = '', hint = ''] = (result.success ? '' : (result.error.issues[0]?.message ?? '')).split('\n');
  throw new RelaycertsError('settings', what, { hint: hint.replace(' without quotes', '') });
}

/**
 * One of some words.
 * @throws settings
 */
export function parseWord<Word extends string>(text: string, words: readonly Word[]): Word {
  const word = words.find((each) => each === text.trim().toLowerCase());
  if (word !== undefined) return word;
  throw new RelaycertsError('settings', `must be one of ${words.join(', ')}: ${quote(text)}`, {
    hint: 'write one of them',
  });
}

/**
 * Fingerprints of OpenPGP keys, upper-cased, without spaces.
 * @throws recipient
 */
export function parseKeyFingerprints(text: string): readonly string[] {
  const items = parseList(text);
  if (items.length === 0) {
    throw new RelaycertsError('recipient', 'no key is chosen', { hint: 'mark one with the space bar, then Enter' });
  }
  return items.map((item) => {
    const hex = item.replaceAll(/\s/gu, '').replace(/^0x/iu, '').toUpperCase();
    if (/^(?:[0-9A-F]{40}|[0-9A-F]{64})$/u.test(hex)) return hex;
    throw new RelaycertsError('recipient', `not the fingerprint of a key: ${quote(item)}`, {
      hint: 'gpg --list-secret-keys shows the fingerprints',
    });
  });
}
