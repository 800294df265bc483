// Edits of a settings file's text: the value is the requested one, and no comment on what stays is lost.

import * as fc from '../support/fast-check.js';
import { expect, test } from 'vitest';
import { arrangeList, setValue } from '../../src/settings/edit.js';
import { parseJsonc } from '../../src/settings/jsonc.js';

const factor = process.env['RELAYCERTS_DEEP'] === '1' ? 50 : 1;

function valueOf(text: string): unknown {
  const parsed = parseJsonc(text);
  if ('flaws' in parsed) throw new Error(`${parsed.flaws[0].what} in ${text}`);
  return parsed.value;
}

/** White space and comments around an item; the comments name it. What is above it begins on a new line. */
const spaces = fc.constantFrom('', ' ', '\n', '\n  ', '\r\n\t', '\n\n    ');
const comment = fc.constantFrom('', '/*NAME*/', ' // NAME "x",]}\n', '\n  // NAME\n  ', ' /* NAME // */ ');
const around = (first = spaces) => fc.tuple(first, comment, spaces).map((parts) => parts.join(''));
const above = fc.oneof(spaces, around(fc.constantFrom('\n', '\r\n\t')));
const behind = fc.constantFrom('', ' // NAME "x",]}\n', ' /* NAME // */ // , NAME\r\n');

const list = fc
  .record({
    items: fc.array(fc.record({ before: above, between: around(), after: behind }), { maxLength: 5 }),
    tail: around(),
    lastComma: fc.boolean(),
    outer: around(),
  })
  .map(({ items, tail, lastComma, outer }) => {
    const parts = items.map(({ before, between, after }, index) => {
      const comma = index < items.length - 1 || lastComma ? ',' : '';
      return `${before}{ "id": ${index} /* in ${index} // , */ }${between}${comma}${after}`.replaceAll(
        'NAME',
        `of ${index}`,
      );
    });
    const written = `[${parts.join('')}${tail}]`;
    const text = `{${outer} "a": { "list": ${written}${outer} }${outer} }`.replaceAll('NAME', 'other');
    return { text, written: written.replaceAll('NAME', 'other'), count: items.length };
  });

test('a list is arranged: its items in that order, each with its comments', () => {
  const lists = list.chain(({ text, count }) =>
    fc.record({
      text: fc.constant(text),
      order: fc.shuffledSubarray(Array.from({ length: count }, (_, index) => index)),
      added: fc.array(fc.nat({ max: 5 }), { maxLength: 2 }),
    }),
  );
  fc.assert(
    fc.property(lists, ({ text, order, added }) => {
      const wanted: unknown[] = [...order];
      for (const at of added) wanted.splice(at, 0, { new: 'x // y' });
      const edited = arrangeList(text, ['a', 'list'], wanted);
      const ids = wanted.map((each) => (typeof each === 'number' ? { id: each } : each));
      expect(valueOf(edited)).toEqual({ a: { list: ids } });
      for (const index of order) expect(edited).toContain(`/* in ${index} // , */`);
      for (const name of text.match(/of \d/gu) ?? []) {
        if (order.includes(Number(name.slice(3)))) expect(edited).toContain(name);
      }
    }),
    { numRuns: 1000 * factor },
  );
});

test('an order that is the old one changes no byte', () => {
  fc.assert(
    fc.property(list, ({ text, count }) => {
      const order = Array.from({ length: count }, (_, index) => index);
      const edited = arrangeList(text, ['a', 'list'], order);
      expect(edited.replaceAll(/\s/gu, '')).toBe(text.replaceAll(/\s/gu, ''));
    }),
    { numRuns: 300 * factor },
  );
});

test('a value is set, there or not, and every comment stays', () => {
  const paths = fc.constantFrom<readonly (string | number)[]>(
    ['a', 'list'],
    ['a', 'b'],
    ['c'],
    ['c', 'd', 'e'],
    ['__proto__'],
  );
  fc.assert(
    fc.property(list, paths, fc.jsonValue(), ({ text, written }, path, value) => {
      const edited = setValue(text, path, value);
      const at = path.reduce<unknown>((inside, key) => (inside as Record<string, unknown>)[key], valueOf(edited));
      expect(JSON.stringify(at)).toBe(JSON.stringify(value));
      if (path.join('.') === 'a.list') return;
      expect(edited).toContain(written);
      expect(edited.split('other')).toHaveLength(text.split('other').length);
    }),
    { numRuns: 500 * factor },
  );
});
