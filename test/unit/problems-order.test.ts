// Files are read in parallel, in any order; their problems are reported in one order.

import { expect, it } from 'vitest';
import { problemsOf, type Findings } from '../../src/store/read-file.js';

const names = ['a', 'b', 'c', 'd', 'e'];

/** The findings in this order. */
const found = (order: readonly string[]): Findings => ({
  uid: 1000,
  problems: order.map((name) => ({ message: `cannot read "${name}"` })),
  open: order.map((path) => ({ path: `/p/${path}`, mode: 0o644 })),
  denied: order.map((name) => ({ message: `"${name}" is closed` })),
  foreign: order.map((path) => ({ path: `/p/${path}`, uid: 7 })),
});

const noRoots = async (): Promise<undefined> => Promise.resolve(undefined);

it('has one order, whichever file was read first', async () => {
  const first = await problemsOf(found(names), ['/p'], noRoots);
  expect(first.map(({ message }) => message).slice(0, 11)).toEqual([
    ...names.map((name) => `cannot read "${name}"`),
    ...names.map((name) => `"${name}" is closed`),
    expect.stringContaining('the private key in "/p/a" (and 4 more)'),
  ]);
  for (const order of [names.toReversed(), ['c', 'a', 'e', 'b', 'd']]) {
    expect(await problemsOf(found(order), ['/p'], noRoots)).toEqual(first);
  }
});
