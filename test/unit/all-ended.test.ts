// Work on several items at a time: the results in order, and after a failure an end that waits for running work.

import { expect, test } from 'vitest';

import { inParallel } from '../../src/sys/all-ended.js';

test("the results are in the items' order, and the limit is kept", async () => {
  let underWay = 0;
  let most = 0;
  const results = await inParallel([3, 1, 2, 0], 2, async (ticks) => {
    underWay += 1;
    most = Math.max(most, underWay);
    for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve();
    underWay -= 1;
    return ticks * 10;
  });
  expect([results, most]).toEqual([[30, 10, 20, 0], 2]);
});

test('after a failure none is begun, and it is thrown once all have ended', async () => {
  const seen: string[] = [];
  const work = inParallel(['slow', 'wrong', 'never'], 2, async (item) => {
    seen.push(`${item} begins`);
    if (item === 'wrong') throw new Error(item);
    for (let tick = 0; tick < 20; tick += 1) await Promise.resolve();
    seen.push(`${item} ends`);
  });
  await expect(work).rejects.toThrow('wrong');
  expect(seen).toEqual(['slow begins', 'wrong begins', 'slow ends']);
});
