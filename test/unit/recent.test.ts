// The map of what a log had last: what it keeps, what it forgets, and that it takes no longer the more it has forgotten.

import { expect, it } from 'vitest';
import { Recent } from '../../src/log/recent.js';

it('keeps what was set last, and forgets each of the others once', () => {
  const gone: number[] = [];
  const recent = new Recent<number>(10, (value) => gone.push(value));
  for (let at = 0; at < 35; at += 1) recent.set(`${at}`, at);
  expect(gone).toEqual(Array.from({ length: 20 }, (_, at) => at));
  expect([recent.size, recent.has('19'), recent.get('20'), recent.get('34')]).toEqual([15, false, 20, 34]);
  expect([recent.delete('20'), recent.delete('20'), recent.size]).toEqual([true, false, 14]);
  // Set again, it is one of the last.
  recent.set('21', 210);
  for (let at = 35; at < 39; at += 1) recent.set(`${at}`, at);
  expect([recent.get('21'), gone.slice(20)]).toEqual([210, [22, 23, 24, 25, 26, 27, 28, 29]]);
  recent.clear();
  expect([recent.size, gone.length]).toEqual([0, 38]);
});

function timeOf(recent: Pick<Recent<true>, 'set'>): number {
  const begun = process.cpuUsage().user;
  for (let at = 0; at < 400_000; at += 1) recent.set(`${at}`, true);
  return process.cpuUsage().user - begun;
}

it('takes no longer for each entry the more it has forgotten', () => {
  const [all, few] = [timeOf(new Recent<true>(1_000_000)), timeOf(new Recent<true>())];
  expect(few).toBeLessThan(5 * all + 200_000);
});
