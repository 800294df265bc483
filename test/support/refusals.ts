// What a refusal promises: one error that names the place, nothing touched, and one command as its hint, after which
// the same command works. The hints are run to the letter. Disks are made full or read-only in a mount namespace.

import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import { program, sharedCache, type Project, type Result, type SpawnInput } from './project.js';

export const relay = 'relayhost.example.org';
export const home = 'mailhost.example.org';
export const passphraseFile = '../home/.example.org-relaycerts-passphrase.gpg';

/** A user without a name, with a group of the same number. */
export const stranger = 4711;

/** Runs the program as this user. */
export function as(uid: number): SpawnInput & { readonly under: readonly string[] } {
  return { under: ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'] };
}

export function giveAll({ folder, home: userHome }: Project, uid: number): void {
  expect(spawnSync('chown', ['-Rh', `${uid}:${uid}`, folder, userHome]).status).toBe(0);
}

/** Everything below except the lock, links not followed: names, modes, owners, times of files, contents. */
export function stateOf(folder: string): string {
  const script = `find . -type d -printf '%p %m %U:%G %n\\n' -o -type f -name .relaycerts.lock -o -printf '%p %y %m %U:%G %l %T@ %s %n\\n' | sort
find . -type f ! -name .relaycerts.lock | sort | xargs -r sha256sum`;
  const { status, stdout } = spawnSync('sh', ['-c', script], { cwd: folder });
  expect(status).toBe(0);
  return stdout.toString();
}

export function errorsOf(stderr: string): readonly string[] {
  return stderr.split('\n').filter((line) => line.startsWith('relaycerts: error: '));
}

export function hintsOf(stderr: string): readonly string[] {
  return [...stderr.matchAll(/^relaycerts: hint: (.+)$/gmu)].map((match) => match[1] ?? '');
}

/** The only hint. */
export function hintOf(stderr: string): string {
  const hints = hintsOf(stderr);
  expect(hints, stderr).toHaveLength(1);
  return hints[0] ?? '';
}

/** Asserts the refusal, that nothing was touched, and that the hint fixes it. */
export async function expectFixed(
  project: Project,
  says: RegExp,
  run: () => Result | Promise<Result> = () => project.run(['make']),
): Promise<Result> {
  const root = dirname(project.folder);
  const before = stateOf(root);
  const refused = await run();
  expect(refused.stderr).toMatch(says);
  expect(refused.status, refused.stderr).toBe(1);
  // A script that could not be made stops the shell that it is piped to.
  expect(refused.stdout).toMatch(/^(?:exit 1\n)?$/u);
  expect(refused.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
  expect(errorsOf(refused.stderr)).toHaveLength(1);
  expect(stateOf(root)).toBe(before);
  const fix = spawnSync('sh', ['-c', hintOf(refused.stderr)], { cwd: project.folder });
  expect(fix.status, fix.stderr.toString()).toBe(0);
  const fixed = await run();
  expect(fixed.status, fixed.stderr).toBe(0);
  return fixed;
}

/** Runs a script as root in a mount namespace of its own, the program's words as its arguments. */
export function inNamespace(project: Project, script: string): Result {
  const result = spawnSync(
    'unshare',
    ['--mount', 'sh', '-euc', `${refused}${script}`, 'sh', process.execPath, program],
    {
      cwd: project.folder,
      env: { PATH: process.env['PATH'], HOME: project.home, ...sharedCache },
    },
  );
  return { status: result.status, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
}

/** Shell: `refused` runs the words after it, which must fail with 1 and touch nothing; `hint` prints their hint. */
const refused = `state() { find . -type d -printf '%p %m\\n' -o ! -name filler ! -name .relaycerts.lock -printf '%p %y %m %l %T@ %s\\n' | sort; }
refused() {
  state >"$HOME/before"
  status=0
  "$@" >"$HOME/stdout" 2>"$HOME/said" || status=$?
  cat "$HOME/said" >&2
  [ "$status" = 1 ] || { echo "status $status: $*" >&2; exit 99; }
  [ ! -s "$HOME/stdout" ] || exit 98
  state | diff "$HOME/before" - >&2
}
hint() { sed -n 's/^relaycerts: hint: //p' "$HOME/said"; }
`;

/** Shell: a separate file system under the project. */
export function ownFileSystem(options: string): string {
  return `cp -a . "$HOME/copy"
mount -t tmpfs -o ${options} tmpfs "$PWD"
cd "$PWD"
cp -a "$HOME/copy/." .
`;
}
