// Ctrl-C, SIGTERM and SIGHUP at any moment: the program ends by the signal, which a shell reports as 130, 143 and 129,
// and leaves the complete old state or the new one. Daily a few moments, with RELAYCERTS_DEEP=1 every call that changes
// files.

import { spawn } from 'node:child_process';
import { closeSync, existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isDeep, nameOf, runSignalled, runWhole, type WholeRun } from '../support/faults.js';
import { leftOver, shapeOf, tooWide, wrongIn } from '../support/invariants.js';
import { copyOf, makeProject, program, smallSettings, treeOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';
import { openWithLock } from '../../src/sys/flock.js';

const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type Signal = (typeof names)[number];
const words = 'relaycerts: interrupted; ';
const settings = (...hostnames: readonly string[]) =>
  smallSettings({ smtpClients: hostnames.map((hostname) => ({ hostname })) });

let base: Project;
let whole: WholeRun;
beforeAll(async () => {
  requireTools('strace', 'openssl');
  base = makeProject(settings('mailhost'));
  succeed(await base.run(['make']));
  base.settings(settings('mailhost', 'second'));
  whole = await runWhole({ base, args: ['make'] });
});
afterAll(() => {
  base.remove();
  whole.after.remove();
});

/** The lock, the staging, the commit, the middle of carrying out, and its end; each gets the signals in turn. */
function moments(): readonly (readonly [number, Signal])[] {
  const { points, commit, end } = whole;
  if (isDeep) return points.flatMap((_, index) => names.map((name) => [index, name] as const));
  const staging = points.findIndex(({ path }) => path === 'project/.relaycerts.change');
  const chosen = [0, staging, commit, Math.floor((commit + end) / 2), end];
  return chosen.map((index, count) => [index, names[count % names.length] ?? 'SIGINT'] as const);
}

describe('a signal', () => {
  it('ends make with its exit code, and the state is whole', { timeout: 7_200_000 }, async () => {
    for (const [index, signal] of moments()) {
      const point = whole.points[index];
      if (point === undefined) throw new Error(`there is no call ${index}`);
      const victim = copyOf(base);
      const { status, stderr } = await runSignalled({ base, args: ['make'] }, victim, point, signal);
      const wrong = [...tooWide(victim)];
      // After the last call it may have ended by itself.
      const isInterrupted = status === null && stderr.includes(words);
      if (!isInterrupted && status !== 0) wrong.push(`exit ${String(status)}: ${stderr}`);
      if (/^ +at |error:/mu.test(stderr)) wrong.push(stderr);
      const isCutOff = existsSync(victim.path('.relaycerts.change/journal'));
      const next = await victim.run(['status']);
      if (next.stderr.includes('finished an interrupted change') !== isCutOff) wrong.push(next.stderr);
      const [found, old, done] = [victim, base, whole.after].map((project) => shapeOf(project, base));
      if (found !== done && (found !== old || isCutOff)) wrong.push(`neither old nor new: ${found}`);
      const again = await victim.run(['make']);
      if (again.status !== 0 || shapeOf(victim, base) !== done) wrong.push(again.stderr);
      wrong.push(...leftOver(victim), ...(await wrongIn(victim)));
      expect([nameOf(point), signal, wrong]).toEqual([nameOf(point), signal, []]);
      victim.remove();
    }
  });

  it.each(names)('%s ends a command that waits for the lock', async (signal) => {
    const victim = copyOf(base);
    const lock = await openWithLock(victim.path('.relaycerts.lock'));
    const before = treeOf(victim.folder);
    const child = spawn(process.execPath, [program, '--wait', '99999', 'make'], {
      cwd: victim.folder,
      env: { PATH: process.env['PATH'], HOME: victim.home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (stderr.includes('waiting up to') && !child.killed) child.kill(signal);
    });
    const ended = await new Promise((resolve) => child.on('close', (_, by) => resolve(by)));
    expect(ended, stderr).toBe(signal);
    expect(stderr).toContain(words);
    expect(treeOf(victim.folder)).toEqual(before);
    if (lock !== undefined) closeSync(lock);
    victim.remove();
  });
});
