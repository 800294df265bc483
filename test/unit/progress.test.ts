// What long work shows: nothing at first, then a bar on a terminal, or a line every ten seconds in a log.

import { expect, it } from 'vitest';
import { batchSizeFor } from '../../src/commands/certify.js';
import { makeProgress } from '../../src/sys/progress.js';

/** The output for `count` of 1000 parts, each of which takes this many seconds. */
async function shown(isTerminal: boolean, seconds: number, count: number, columns = 80): Promise<readonly string[]> {
  const lines: string[] = [];
  let now = 100;
  const show = (line: string): void => void lines.push(line);
  const progress = makeProgress(
    () => ({ isTerminal, columns, draw: show, erase: () => show('erased'), say: show }),
    () => now,
  );
  progress.begin('keys', 1000);
  for (let done = 0; done < count; done += 1) {
    now += seconds;
    await progress.add();
  }
  progress.end();
  return lines;
}

it('shows nothing for work of less than a second', async () => {
  expect(await shown(true, 0.0009, 1000)).toEqual([]);
  expect(await shown(false, 0.009, 1000)).toEqual([]);
});

it('is a bar on a terminal, with rate and time left, and is erased', async () => {
  const bars = await shown(true, 0.5, 1000);
  expect(bars[0]).toBe('keys [--------------------] 2 of 1000, 2.0/s, 9 min left');
  expect(bars[498]).toBe('keys [##########----------] 500 of 1000, 2.0/s, 5 min left');
  expect(bars.slice(-2)).toEqual(['keys [####################] 1000 of 1000, 2.0/s, 0 s left', 'erased']);
  // A bar at most every tenth of a second.
  expect((await shown(true, 0.02, 1000)).length).toBeLessThan(200);
});

it('fits into the terminal', async () => {
  for (const columns of [1, 10, 40]) {
    expect((await shown(true, 0.5, 10, columns)).every((bar) => bar === 'erased' || bar.length < columns)).toBe(true);
  }
});

it('is a line every ten seconds in a log', async () => {
  expect((await shown(false, 0.5, 60)).slice(0, 3)).toEqual([
    'keys: 20 of 1000, 2.0/s, 9 min left',
    'keys: 40 of 1000, 2.0/s, 8 min left',
    'keys: 60 of 1000, 2.0/s, 8 min left',
  ]);
  expect((await shown(false, 60, 1))[0]).toBe('keys: 1 of 1000, 1.0/min, 16.6 h left');
});

it('keeps what is done: a batch of long RSA keys takes a minute, not many', () => {
  expect(batchSizeFor(10_000, 'rsa-4096')).toBe(25);
  expect([40, 10_000, 50_000].map((hosts) => batchSizeFor(hosts, 'ecdsa-p256'))).toEqual([250, 250, 500]);
});
