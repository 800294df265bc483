// `adopt` cut off by SIGKILL: before the commit nothing is there, after it the next command finishes the rest; adopt
// once more ends in the complete state, and the source is never touched. Daily at a few points, with RELAYCERTS_DEEP=1
// at every call that changes files.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isDeep, nameOf, runKilled, runWhole } from '../support/faults.js';
import { makeFlatCa } from '../support/foreign-folders.js';
import { leftOver, shapeOf, tooWide, wrongIn } from '../support/invariants.js';
import { copyOf, makeProject, treeOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

let base: Project;
const sourceOf = ({ home }: Project) => treeOf(join(home, 'old'));
beforeAll(() => {
  requireTools('strace', 'openssl');
  base = makeProject(null);
  makeFlatCa(join(base.home, 'old'));
});
afterAll(() => base.remove());

it('ends in nothing or everything, and once more in everything', { timeout: 3_600_000 }, async () => {
  const args = ['adopt', '../home/old', '--yes'];
  const scene = { base, args };
  const whole = await runWhole(scene);
  const { points, commit, end, after } = whole;
  const few = [Math.floor(commit / 2), commit, commit + 2, Math.floor((commit + end) / 2), end];
  const done = shapeOf(after, base);
  for (const index of isDeep ? points.keys() : few) {
    const point = points[index];
    if (point === undefined) throw new Error(`there is no call ${index}`);
    const victim = copyOf(base);
    await runKilled(scene, victim, point);
    const wrong = [...tooWide(victim)];
    const isCommitted = existsSync(victim.path('.relaycerts.change/journal'));
    if (isCommitted !== (index > commit && index <= end)) wrong.push('there is a journal, or there is none');
    if (index <= commit && existsSync(victim.path('settings.json'))) wrong.push('settings before the commit');
    const again = await victim.run(args);
    if (again.status !== 0) wrong.push(again.stderr);
    if (isCommitted !== again.stderr.includes('finished an interrupted change')) wrong.push(again.stderr);
    if (shapeOf(victim, base) !== done) wrong.push(shapeOf(victim, base));
    wrong.push(...leftOver(victim));
    // The bundles are made by make.
    if ((await victim.run(['make'])).status !== 0) wrong.push('make');
    wrong.push(...(await wrongIn(victim)));
    expect([nameOf(point), wrong]).toEqual([nameOf(point), []]);
    expect(sourceOf(victim)).toEqual(sourceOf(base));
    victim.remove();
  }
  after.remove();
});
