// A disk that is full, broken, read-only or closed to this user, at the calls with which a command changes files: one clear
// error, exit code 1, and the old state, or the new one as soon as the next command has finished the change. Daily at two
// points of each command, with RELAYCERTS_DEEP=1 at every call and with every error.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chooseIndexes,
  diskErrors,
  isDeep,
  nameOf,
  runFailing,
  runWhole,
  type DiskError,
  type WholeRun,
} from '../support/faults.js';
import { leftOver, shapeOf, wrongIn } from '../support/invariants.js';
import {
  copyOf,
  makeProject,
  modesOf,
  program,
  sharedCache,
  smallSettings,
  type Project,
  type Result,
} from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const clients = (...hostnames: readonly string[]) =>
  smallSettings({ smtpClients: hostnames.map((hostname) => ({ hostname })) });

let made: Project;
beforeAll(async () => {
  requireTools('strace', 'openssl', 'unshare', 'mount');
  made = makeProject(clients('mailhost', 'second'));
  succeed(await made.run(['make']));
});
afterAll(() => made.remove());

const meanings: Readonly<Record<DiskError, string>> = {
  ENOSPC: 'the disk is full',
  EIO: 'the disk failed',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
};

describe('a disk error leaves the old state, or what the next command finishes', () => {
  it.each<readonly [string, number, readonly string[], (project: Project) => void]>([
    ['make', 0, ['make'], (project) => project.settings(clients('mailhost', 'second', 'third'))],
    ['renew --force', 1, ['renew', '--force'], () => undefined],
    ['revoke', 2, ['revoke', 'mailhost'], () => undefined],
    ['passphrase change', 3, ['passphrase', 'change'], () => undefined],
    ['clean --all', 4, ['clean', '--yes', '--all'], () => undefined],
  ])('%s', { timeout: 7_200_000 }, async (_, turn, args, prepare) => {
    const base = copyOf(made);
    prepare(base);
    const scene = { base, args };
    const whole = await runWhole(scene);
    try {
      for (const [count, index] of chooseIndexes(whole, turn).entries()) {
        const point = whole.points[index];
        if (point === undefined) throw new Error(`there is no call ${index}`);
        const all = diskErrors.filter((_error, at) => isDeep || at === (turn + count) % diskErrors.length);
        for (const error of all) {
          const victim = copyOf(base);
          const result = await runFailing(scene, victim, point, error);
          const wrong = [...wrongWords(result, victim, error), ...(await wrongAfter(base, whole, victim, index))];
          expect([nameOf(point), error, wrong]).toEqual([nameOf(point), error, []]);
          victim.remove();
        }
      }
    } finally {
      base.remove();
      whole.after.remove();
    }
  });
});

/** One error that names a file of the project or of HOME, one hint, and no stack. */
function wrongWords({ status, stderr }: Result, { folder }: Project, error: DiskError): readonly string[] {
  const [hint = '', line = '', ...before] = stderr.trimEnd().split('\n').toReversed();
  const named = /^relaycerts: error: cannot [a-z ]+ "([^"]+)": (.*)$/u.exec(line);
  const isRight =
    status === 1 &&
    named?.[1]?.startsWith(folder.replace(/project$/u, '')) === true &&
    named[2] === meanings[error] &&
    /^relaycerts: hint: [a-z]/u.test(hint) &&
    !before.some((one) => /error:|^ +at /u.test(one));
  return isRight ? [] : [`exit ${String(status)}: ${stderr}`];
}

async function wrongAfter(base: Project, whole: WholeRun, victim: Project, index: number): Promise<readonly string[]> {
  const isNew = index > whole.commit;
  const isCutOff = existsSync(victim.path('.relaycerts.change/journal'));
  const wrong = isCutOff === (isNew && index <= whole.end) ? [] : ['there is a journal, or there is none'];
  const expected = isNew ? shapeOf(whole.after, base) : shapeOf(base, base);
  if (!isNew) wrong.push(...leftOver(victim));
  const { stderr } = await victim.run(['status']);
  if (stderr.includes('finished an interrupted change') !== isCutOff) wrong.push(stderr);
  const found = shapeOf(victim, base);
  if (found !== expected) wrong.push(`${found} instead of ${expected}`);
  const again = await victim.run(['make']);
  if (again.status !== 0) wrong.push(again.stderr);
  return [...wrong, ...(await wrongIn(victim))];
}

/** Runs a sh script in its own mount namespace; its arguments are the program. */
function runMounted(project: Project, script: string): { readonly status: number | null; readonly stderr: string } {
  const { status, stderr } = spawnSync('unshare', ['--mount', 'sh', '-ec', script, 'sh', process.execPath, program], {
    cwd: project.folder,
    env: { PATH: process.env['PATH'], HOME: project.home, ...sharedCache },
  });
  return { status, stderr: stderr.toString() };
}

describe('a real file system', () => {
  it('that is full: the error says so, and the old state is untouched', () => {
    const project = copyOf(made);
    project.settings(clients('mailhost', 'second', 'third'));
    const { status, stderr } = runMounted(
      project,
      `cp -a . "$HOME/copy"
      mount -t tmpfs -o size=600k tmpfs "$PWD"
      cd "$PWD"
      cp -a "$HOME/copy/." .
      touch .relaycerts.lock
      dd if=/dev/zero of=filler bs=4k 2>/dev/null || true
      list() { find . ! -name .relaycerts.lock ! -name filler | sort; }
      list >"$HOME/before"
      status=0
      "$@" make || status=$?
      list | diff "$HOME/before" - >&2
      rm filler
      "$@" make
      exit $status`,
    );
    expect(stderr).toMatch(/relaycerts: error: cannot \w+ .*: the disk is full\nrelaycerts: hint: make room/u);
    expect(stderr).not.toMatch(/^[<>] /mu);
    expect(status).toBe(1);
    project.remove();
  });

  it.each(['folder', 'home'] as const)('that is read-only, at the %s: one clear error, and no key', (which) => {
    const project = makeProject();
    const script = `mount --bind "${project[which]}" "${project[which]}"
      mount -o remount,bind,ro "${project[which]}"
      cd "$PWD"
      exec "$@" make`;
    const { status, stderr } = runMounted(project, script);
    expect(status, stderr).toBe(1);
    expect(stderr).toMatch(/^relaycerts: error: cannot .*read-only\nrelaycerts: hint: .*\n$/u);
    expect(stderr).toContain(project[which]);
    const names = [...Object.keys(modesOf(project.folder)), ...Object.keys(modesOf(project.home))];
    expect(names.filter((name) => name !== '.relaycerts.lock')).toEqual(['settings.json']);
    project.remove();
  });
});
