// A program that does not end, writes nothing, or writes too much: its stream ends with what was wrong.

import { expect, it } from 'vitest';
import { streamOf } from '../../src/sys/stream.js';

const limits = { octets: 1 << 20, silentMs: 60_000, wholeMs: 60_000 };

it.each([
  ['writes nothing', 'sleep 60', { ...limits, silentMs: 100 }, 'it wrote nothing for 0.1 seconds'],
  [
    'writes on and on',
    'while :; do echo x; sleep 0.01; done',
    { ...limits, wholeMs: 100 },
    'it did not end in 0.1 seconds',
  ],
  ['writes without end', 'exec yes', limits, 'it wrote more than 1 MiB'],
  ['complains without end', 'exec yes >&2', { ...limits, silentMs: 100 }, 'it wrote nothing for 0.1 seconds'],
])('a program that %s is stopped', async (_, script, some, message) => {
  let octets = 0;
  const read = async (): Promise<void> => {
    const options = { input: '', stop: undefined, limits: some, hear: () => undefined };
    for await (const chunk of streamOf('sh', ['-c', script], options)) octets += chunk.length;
  };
  await expect(read()).rejects.toMatchObject({ code: 'tool', message });
  expect(octets).toBeLessThanOrEqual(limits.octets);
});
