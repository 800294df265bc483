// The envelope of --json in pieces: the same text as in one.

import { expect, it } from 'vitest';
import { answerParts, writeAnswer } from '../../src/json-text.js';
import { oneByOne } from '../../src/pieces.js';

const toValue = (name: string) => ({ name, lines: [{ text: `${name}\n` }], none: [], nothing: undefined });

it.each([[[]], [['one']], [['a\nb', '""', '\u202e']]])('an answer in pieces is the same for %j', (names) => {
  const rows = (lists: (of: readonly string[]) => Iterable<unknown>) => ({
    count: names.length,
    outer: lists(names),
    inner: names.map((name) => ({ name, all: lists(names) })).values(),
    one: { all: lists(names), after: null },
    nothing: undefined,
  });
  const parts = [
    ...answerParts(
      'show',
      rows((of) => oneByOne(of, toValue)),
    ),
  ];
  const whole = rows((of) => of.map(toValue));
  expect(parts.join('')).toBe(writeAnswer('show', { ...whole, inner: [...whole.inner] }));
});

it('a long answer has several pieces, made while they are taken', () => {
  let made = 0;
  const many = Array.from({ length: 20_000 }, (_, index) => index);
  const parts = answerParts('show', { numbers: oneByOne(many, (one) => (made += 1) && `number ${one}`) });
  const [first] = parts;
  expect(first?.length).toBeGreaterThan(60_000);
  expect(made).toBeLessThan(many.length);
});
