// The envelope of --json in pieces: the same text as in one.

import { expect, it } from 'vitest';
import { answerParts, writeAnswer } from '../../src/json-text.js';

const toValue = (name: string) => ({ name, lines: [{ text: `${name}\n` }], none: [] });

it.each([[[]], [['one']], [['a\nb', '""', '\u202e']]])('an answer in pieces is the same for %j', (names) => {
  const parts = [...answerParts('show', 'hosts', names, toValue)];
  expect(parts).toHaveLength(names.length + 1);
  expect(parts.join('')).toBe(writeAnswer('show', { hosts: names.map(toValue) }));
});
