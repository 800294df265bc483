// A command, at each of its points in turn, on a disk that fails there with each error in turn: it says so, once and
// clearly, ends with 1, and leaves the old state whole or one that the next run heals. What two errors at one point leave
// alike is healed once; with RELAYCERTS_DEEP=1 each by itself, and a used-up quota is tried too.

import { expect } from 'vitest';
import { copyOf, diskErrors, inPairs, listPoints, nameOf, runFailing, type DiskError, type Point } from './faults.js';
import { healByTurns, toldBy, type CrashSweep } from './crash-sweep.js';
import { holdingsOf, wrongAtOnce, wrongAtRest, type Holdings } from './invariants.js';
import { treeOf, type Project, type Result } from './project.js';
import { requireTools } from './require-tools.js';

export interface ErrorSweep extends CrashSweep {
  /** Where no CA is to be judged: what is wrong after the run, and again after the same command has been run again. */
  readonly judge?: (victim: Project, isAtRest: boolean) => readonly string[];
  /** Where the command goes on, with a warning in place of the error, because something else must not wait. */
  readonly goesOn?: (point: Point) => boolean;
}

const meanings: Readonly<Record<DiskError, string>> = {
  ENOSPC: 'the disk is full',
  EIO: 'the disk failed',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
  EDQUOT: 'the disk quota is used up',
};
const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const errors: readonly DiskError[] = isDeep ? [...diskErrors, 'EDQUOT'] : diskErrors;

/** The failures that do not matter, so that the command may end well. */
function isHarmless({ call, path }: Point): boolean {
  // A temporary file that cannot be removed has done its work, or was never used; a later run sweeps it away.
  return call === 'unlink' && path.endsWith('.tmp');
}

/** Lets the command fail everywhere, and expects a clear error and every invariant. */
export async function errorSweep(sweep: ErrorSweep): Promise<void> {
  requireTools('strace', 'openssl');
  const { what, base } = sweep;
  const none: Holdings = { keys: new Map(), certificates: new Map(), listed: [], passphrase: '' };
  const found = sweep.judge === undefined ? await holdingsOf(base) : none;
  const before = sweep.isEnd === true ? { ...found, listed: [] } : found;
  const points = await listPoints(sweep);
  const began = Date.now();
  let [told, whole, healed, alike] = [0, 0, 0, 0];
  const wrong = await inPairs(
    points,
    async (point, index) => {
      const lines: string[] = [];
      const seen = new Set<string>();
      for (const error of errors) {
        const victim = await copyOf(base);
        try {
          const result = await runFailing(sweep, victim, point, error);
          const mayWarn = sweep.goesOn?.(point) === true;
          const said = [...wrongWords(result, point, error, before, mayWarn), ...leftBy(victim, point)];
          const shape = shapeOf(victim, base);
          if (result.status === 1) told += 1;
          if (shape === shapeOf(base, base)) {
            whole += 1;
          } else if (seen.has(shape) && !isDeep) {
            alike += 1;
          } else {
            const rest =
              sweep.judge === undefined ? await healAll(sweep, victim, before, index) : await judgeAgain(sweep, victim);
            said.push(...rest);
            if (rest.length === 0) healed += 1;
          }
          seen.add(shape);
          lines.push(...said.map((line) => `${error}: ${line}`));
        } finally {
          victim.remove();
        }
      }
      return lines;
    },
    nameOf,
  );
  const seconds = ((Date.now() - began) / 1000).toFixed(0);
  const faults = points.length * errors.length;
  process.stderr.write(
    `fault points of ${what}: ${points.length}, faults ${faults}, told ${told}, untouched ${whole}, healed ${healed}, left like one that was healed ${alike} (${seconds} s)\n`,
  );
  expect(wrong).toEqual([]);
  expect(points.length).toBeGreaterThan(5);
  expect(whole + healed + alike).toBe(faults);
}

async function healAll(
  sweep: ErrorSweep,
  victim: Project,
  before: Holdings,
  index: number,
): Promise<readonly string[]> {
  const { mayGo, check = () => [], heal = (one, at) => healOnce(sweep, one, at) } = sweep;
  const atOnce = (await wrongAtOnce(victim, before, mayGo)).map((line) => `at once, ${line}`);
  const runs = await heal(victim, index);
  if (runs.length > 0) return [...atOnce, ...runs];
  return [...atOnce, ...(await wrongAtRest(victim, before, mayGo)), ...check(victim, before)];
}

/** As after a crash; in the daily run without the last make, which would find nothing to make as it does there. */
async function healOnce(sweep: ErrorSweep, victim: Project, at: number): Promise<readonly string[]> {
  const { args, under = [], refusal } = sweep;
  if (isDeep) return healByTurns(sweep, victim, at);
  const isSame = at % 2 === 0;
  const next = await victim.start(isSame ? args : ['make'], isSame ? { under } : {});
  if (isSame && next.status === 1 && refusal?.test(next.stderr) === true) return [];
  return next.status === 0 ? [] : [toldBy('the next run', next)];
}

async function judgeAgain(
  { judge, args, under = [], refusal }: ErrorSweep,
  victim: Project,
): Promise<readonly string[]> {
  const atOnce = judge?.(victim, false) ?? [];
  const again = await victim.start(args, { under });
  const isRefused = again.status === 1 && refusal?.test(again.stderr) === true;
  if (again.status !== 0 && !isRefused) return [...atOnce, `again: ${again.stderr}`];
  return [...atOnce, ...(judge?.(victim, true) ?? [])];
}

/** The error, or the warning: one, that names the file and the reason, with a hint, and nothing that only a programmer reads. */
function wrongWords(
  { status, stderr }: Result,
  point: Point,
  error: DiskError,
  { passphrase }: Holdings,
  mayWarn: boolean,
): readonly string[] {
  if (status === 0 && isHarmless(point)) return [];
  const isWarned = status === 0 && mayWarn;
  if (status !== 1 && !isWarned) return [`ended with ${String(status)}: ${stderr}`];
  const kind = isWarned ? 'warning' : 'error';
  const told = stderr.split('\n').filter((line) => line.startsWith(`relaycerts: ${kind}: `));
  const [line = ''] = told;
  const end = stderr.slice(stderr.indexOf(line)).split('\n');
  const name = finalName(point);
  return [
    ...(told.length === 1 ? [] : [`told ${told.length} times: ${stderr}`]),
    ...(line.includes(meanings[error]) ? [] : [`does not say that ${meanings[error]}: ${line}`]),
    ...(line.includes(name) ? [] : [`does not name ${name}: ${line}`]),
    ...(end[1]?.startsWith('relaycerts: hint: ') === true ? [] : [`has no hint: ${line}`]),
    ...(/^ +at |a bug in/mu.test(stderr) ? [`shows a stack: ${stderr}`] : []),
    ...(/-----BEGIN|PRIVATE KEY/u.test(stderr) || (passphrase !== '' && stderr.includes(passphrase))
      ? ['tells a secret']
      : []),
  ];
}

/** The name that a person knows: of a file that is written aside its own, of a bundle's folder the folder's. */
function finalName({ path }: Point): string {
  return path.replace(/\/\.([^/]+?)\.relaycerts-\d+-[0-9a-f]{4}\.tmp.*$/u, '/$1');
}

/** Temporary files that the run could have removed. */
function leftBy({ folder, home }: Project, { call, path }: Point): readonly string[] {
  const names = [...Object.keys(treeOf(folder)), ...Object.keys(treeOf(home))];
  const isExcused = (name: string): boolean => call === 'unlink' && path.endsWith(name);
  const left = names.filter((name) => /\.tmp$|\.lock$/u.test(name) && !isExcused(name));
  return left.map((name) => `${name} is left over`);
}

/** Modes and bytes of everything, without times. */
function stateOf({ folder, home }: Project): ReadonlyMap<string, string> {
  return new Map(
    [treeOf(folder), treeOf(home)].flatMap((tree, at) =>
      Object.entries(tree).map(([name, state]) => [`${at} ${name}`, state.split(' ').slice(0, 2).join(' ')] as const),
    ),
  );
}

/** Names and modes of everything, and what is as it was in the base; keys are other ones in every run, and count alike. */
function shapeOf(victim: Project, base: Project): string {
  const known = stateOf(base);
  return [...stateOf(victim)]
    .map(([name, state]) => `${name} ${known.get(name) === state ? 'same' : (state.split(' ')[0] ?? '')}`)
    .join('\n');
}
