// A command, killed at every one of its points, each time in a new copy of the project; then the next run, which is the
// same command again or a plain make, turn about, heals what was cut off.

import { expect } from 'vitest';
import { copyOf, inPairs, listPoints, nameOf, runKilled, type Point, type Scene } from './faults.js';
import { holdingsOf, wrongAtOnce, wrongAtRest, type Holdings, type MayGo } from './invariants.js';
import type { Project, Result } from './project.js';
import { requireTools } from './require-tools.js';

export interface CrashSweep extends Scene {
  readonly what: string;
  /** What the command may replace, or remove; nothing, where this says nothing. */
  readonly mayGo?: MayGo;
  /** What the command says where it was cut off after its work was done, and has nothing to do any more. */
  readonly refusal?: RegExp;
  /** The command ends what was deployed: pins that were listed need not be any more. */
  readonly isEnd?: boolean;
  /** More that must hold when all is healed. */
  readonly check?: (victim: Project, before: Holdings) => readonly string[];
  /** Instead of the two ways to heal: brings a victim to rest, by whatever runs. */
  readonly heal?: (victim: Project, index: number) => Promise<readonly string[]>;
}

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';

/** A process that dies before a sync leaves the very files that it leaves before the call after that: one point of the two. */
function isSync({ call }: Point): boolean {
  return call === 'fsync' || call === 'fdatasync';
}

/** Kills the command everywhere, and expects every invariant of every victim. */
export async function crashSweep(sweep: CrashSweep): Promise<void> {
  requireTools('strace', 'openssl');
  const { what, base, mayGo, check = () => [], heal = (victim, at) => healByTurns(sweep, victim, at) } = sweep;
  const found = await holdingsOf(base);
  const before = sweep.isEnd === true ? { ...found, listed: [] } : found;
  const all = await listPoints(sweep);
  const points = all.filter((point) => isDeep || !isSync(point));
  const began = Date.now();
  let [killed, healed] = [0, 0];
  const wrong = await inPairs(
    points,
    async (point, index) => {
      const victim = await copyOf(base);
      try {
        await runKilled(sweep, victim, point);
        killed += 1;
        const atOnce = (await wrongAtOnce(victim, before, mayGo)).map((line) => `at once, ${line}`);
        const runs = await heal(victim, index);
        const atRest =
          runs.length > 0 ? runs : [...(await wrongAtRest(victim, before, mayGo)), ...check(victim, before)];
        if (atRest.length === 0) healed += 1;
        return [...atOnce, ...atRest];
      } finally {
        victim.remove();
      }
    },
    nameOf,
  );
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  process.stderr.write(
    `crash points of ${what}: ${points.length} of ${all.length} calls, the others syncs; killed ${killed}, healed ${healed} (${seconds} s)\n`,
  );
  expect(wrong).toEqual([]);
  expect(points.length).toBeGreaterThan(5);
  expect([killed, healed]).toEqual([points.length, points.length]);
}

/** Heals with the same command, or with make; after both, make finds nothing to make. What went wrong, as lines. */
export async function healByTurns(
  { args, under = [], refusal }: CrashSweep,
  victim: Project,
  at: number,
): Promise<readonly string[]> {
  const isSame = at % 2 === 0;
  const next = await victim.start(isSame ? args : ['make'], isSame ? { under } : {});
  const isRefused = isSame && next.status === 1 && refusal?.test(next.stderr) === true;
  if (next.status !== 0 && !isRefused) return [toldBy(isSame ? 'the same command' : 'make', next)];
  // The same command has healed all by itself; only where it refused is it left to make.
  if (isRefused) await victim.start(['make']);
  const last = await victim.start(['make']);
  return last.status === 0 && last.stderr.includes('nothing to make') ? [] : [toldBy('the last make', last)];
}

/** A run that did not end as it should. */
export function toldBy(what: string, { status, stderr }: Result): string {
  return `${what} ended with ${String(status)}: ${stderr}`;
}
