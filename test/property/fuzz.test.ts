// Every parser of what comes from outside, with tens of thousands of inputs that are nearly right, odd, or made to be
// slow: each ends within a second with a value or with an error of ours that can be printed, in a small heap.
// The seed is the same every day; RELAYCERTS_DEEP=1 looks 125 times longer, with a seed from the clock, which is printed;
// RELAYCERTS_FUZZ_SEED takes another, RELAYCERTS_FUZZ_ONLY a part of a parser's name.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import type { FuzzReport } from '../support/fuzz-child.js';
import { makeSeeds } from '../support/fuzz-seeds.js';

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const seed = process.env['RELAYCERTS_FUZZ_SEED'] ?? (isDeep ? String(Date.now() % 2 ** 32) : '20261120');
const factor = isDeep ? 10 : 0.08;
const only = process.env['RELAYCERTS_FUZZ_ONLY'] ?? '';
/** Ten times what a machine needs today. */
const cpuSeconds = 600;
/** MiB: the bundle, the seeds and one input of a mebibyte in a few copies need a fifth; what grows without bound ends. */
const heap = 256;
/** MiB: what is resident besides the heap is buffers and OpenSSL's own. */
const mostResident = 700;

test(
  'every parser gives a value or a refusal, soon and in little memory',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'relaycerts-fuzz-'));
    try {
      const program = join(folder, 'fuzz.mjs');
      await build({
        entryPoints: [new URL('../support/fuzz-child.ts', import.meta.url).pathname],
        outfile: program,
        bundle: true,
        platform: 'node',
        format: 'esm',
        mainFields: ['module', 'main'],
        banner: {
          js: "import{createRequire as createRequire_}from'node:module';const require=createRequire_(import.meta.url);",
        },
      });
      const seeds: readonly (readonly [string, readonly Buffer[]])[] = Object.entries(await makeSeeds());
      const texts = seeds.map(([kind, files]) => [kind, files.map((file) => file.toString('base64'))]);
      writeFileSync(join(folder, 'seeds.json'), JSON.stringify(Object.fromEntries(texts)));
      const work = join(folder, 'work');
      const args = [`--max-old-space-size=${heap}`, program, join(folder, 'seeds.json'), seed, String(factor), work];
      // The limit is on processor time: on a busy machine it only waits longer.
      const limited = ['-c', 'ulimit -t "$0"; exec "$@"', String(factor * cpuSeconds), process.execPath, ...args];
      const { status, signal, stdout, stderr } = spawnSync('sh', [...limited, only], {
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '', HOME: folder },
        maxBuffer: 1 << 28,
      });
      if (status !== 0) {
        const [name = '', ...input] = readFileSync(work, 'latin1').split('\n');
        const base64 = Buffer.from(input.join('\n'), 'latin1').toString('base64');
        throw new Error(
          `seed ${seed}: the run ended (${String(status ?? signal)}) at ${name} with ${base64.slice(0, 8192)}\n${stderr.slice(-3000)}`,
        );
      }
      const report: FuzzReport = JSON.parse(stdout) as FuzzReport;
      print(report);
      const failures = report.failures.map(
        ({ parser, why, input }) => `${parser}, seed ${seed}: ${why}\nbase64: ${input}`,
      );
      expect(failures.join('\n\n')).toBe('');
      expect(report.polluted).toEqual([]);
      expect(report.peak).toBeLessThan(mostResident);
      // If nothing is accepted, or nothing refused, the inputs prove nothing.
      for (const { name, accepted, refused } of report.parsers) {
        expect(accepted, `${name}: taken`).toBeGreaterThan((accepted + refused) / 100);
        expect(refused, `${name}: refused`).toBeGreaterThan((accepted + refused) / 100);
      }
      const inputs = report.parsers.reduce((sum, { accepted, refused }) => sum + accepted + refused, 0);
      expect(inputs).toBeGreaterThanOrEqual(100_000 * factor);
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  factor * 7_200_000,
);

function print({ parsers, peak }: FuzzReport): void {
  const rows = parsers.map(({ name, accepted, refused, slowest, total }) =>
    [
      name.padEnd(32),
      String(accepted + refused).padStart(7),
      String(accepted).padStart(7),
      String(refused).padStart(7),
      slowest.toFixed(0).padStart(6),
      (total / 1000).toFixed(1).padStart(6),
    ].join(' '),
  );
  const inputs = parsers.reduce((sum, { accepted, refused }) => sum + accepted + refused, 0);
  process.stdout.write(
    `seed ${seed}: ${inputs} inputs, ${peak} MiB at the most\n${'parser'.padEnd(32)}  inputs   taken refused slowest ms, total s\n${rows.join('\n')}\n`,
  );
}
