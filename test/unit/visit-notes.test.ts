// What deploy records about its visits: nothing is left out, and a fleet's file is not written after each visit.

import { describe, expect, test } from 'vitest';
import { visitNotes, type Seen } from '../../src/commands/visit-notes.js';
import { hostName } from '../support/chain.js';

const nameOf = (number: number) => hostName(`host${number}.example.org`);

/** 1000 visits, of which one ends each 10 ms, and a write takes `cost` ms. */
async function visitAll(cost: number): Promise<readonly number[]> {
  let time = 0;
  const writes: Seen[] = [];
  const { note, end } = visitNotes(
    (seen) => {
      time += cost;
      writes.push(seen);
      return Promise.resolve();
    },
    () => time,
  );
  for (let number = 0; number < 1000; number += 1) {
    time += 10;
    await note(nameOf(number), undefined);
  }
  await end();
  await end();
  expect(new Set(writes.flatMap((seen) => [...seen.keys()])).size).toBe(1000);
  return writes.map(({ size }) => size);
}

describe('the notes of a deployment', () => {
  test('are written at once if that takes no time', async () => {
    expect(await visitAll(0)).toEqual(Array.from({ length: 1000 }, () => 1));
  });

  test('take a twentieth of the time of a fleet', async () => {
    expect((await visitAll(50)).length).toBeLessThan(15);
  });

  test('of visits that end together are written one after the other', async () => {
    let running = 0;
    const sizes: number[] = [];
    const { note, end } = visitNotes(
      async (seen) => {
        running += 1;
        expect(running).toBe(1);
        await Promise.resolve();
        running -= 1;
        sizes.push(seen.size);
      },
      () => 0,
    );
    await Promise.all([0, 1, 2].map((number) => note(nameOf(number), undefined)));
    await end();
    expect(sizes.reduce((sum, size) => sum + size)).toBe(3);
  });

  test('that cannot be written are an error of the visit', async () => {
    const { note } = visitNotes(
      () => Promise.reject(new Error('no space left')),
      () => 0,
    );
    await expect(note(nameOf(1), undefined)).rejects.toThrow('no space left');
  });
});
