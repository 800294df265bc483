// Runs printed shell text with a stub for every program, which records its arguments, so that it is known which
// programs ran, with exactly which words. Nothing else is on the PATH: any other program is an error on stderr. /etc is
// the child's own (a mount namespace), and is removed with it.

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What hostile values try to run. */
export const canary = 'canary';

/** Programs that the printed text runs; `canary` is never one of them. */
const programs = [
  [canary, 'relaycerts', 'ssh', 'rsync', 'sudo', 'postconf', 'postfix', 'postmap', 'openssl', 'posttls-finger', 'ss'],
  [
    'sendmail',
    'systemctl',
    'sleep',
    'cp',
    'mv',
    'rm',
    'mkdir',
    'chmod',
    'cat',
    'grep',
    'id',
    'touch',
    'tail',
    'pkill',
    'sh',
  ],
  ['gpg', 'ls', 'install'],
].flat();

interface StubRun {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What ran: the program's name, then its arguments; sorted, because the parts of a pipe run in parallel. */
  readonly ran: readonly (readonly string[])[];
}

export interface Stubs {
  /** Runs text under a shell (`['dash']`), with its own /etc that has these folders. */
  readonly run: (shell: readonly [string, ...string[]], text: string, folders?: readonly string[]) => StubRun;
  readonly remove: () => void;
}

const stub = `#!/bin/dash
printf '%s\\0' "\${0##*/}" "$@" >"$RECORDS/$$"
case "$*" in
  '-h config_directory') echo /etc/postfix ;;
esac
# To its end, so that nobody who writes to it is stopped.
while read -r _; do :; done
`;

export function makeStubs(): Stubs {
  const root = mkdtempSync(join(tmpdir(), 'relaycerts-stubs-'));
  const [bin, records, cwd] = [join(root, 'bin'), join(root, 'records'), join(root, 'cwd')];
  mkdirSync(bin);
  writeFileSync(join(bin, '.stub'), stub, { mode: 0o755 });
  for (const program of programs) symlinkSync('.stub', join(bin, program));
  const run: Stubs['run'] = (shell, text, folders = []) => {
    for (const folder of [records, cwd]) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
    }
    const prelude = ['mount -t tmpfs none /etc', ...folders.map((folder) => `mkdir -p ${folder}`)];
    // The shell gets its text with -c, as a person's shell gets pasted text: standard input stays empty.
    const script = ['set -e', ...prelude, 'cd "$CWD"', 'export PATH="$STUBS"', 'exec "$@"'].join('\n');
    const path = shell[0].startsWith('/') ? shell[0] : `/usr/bin/${shell[0]}`;
    const argv = ['--mount', '/bin/sh', '-c', script, 'sh', path, ...shell.slice(1), '-c', text];
    const env = { PATH: process.env['PATH'] ?? '', LANG: 'C.UTF-8', STUBS: bin, RECORDS: records, CWD: cwd };
    const result = spawnSync('unshare', argv, { env, input: '', maxBuffer: 1 << 26 });
    if (result.error !== undefined) throw result.error;
    const ran = readdirSync(records).map((name) => readFileSync(join(records, name), 'utf8').split('\0').slice(0, -1));
    const left = readdirSync(cwd);
    return {
      status: result.status,
      stdout: result.stdout.toString(),
      stderr: `${result.stderr.toString()}${left.map((name) => `left behind: ${name}\n`).join('')}`,
      ran: ran.toSorted((one, other) => (one.join('\0') < other.join('\0') ? -1 : 1)),
    };
  };
  return { run, remove: () => rmSync(root, { recursive: true, force: true }) };
}
