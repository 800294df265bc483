// Cut off in the middle: Ctrl-C, a full disk. The next run goes on from what is there. SIGKILL: crash-*.test.ts.

import { spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process';
import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, modesOf, program, smallSettings, treeOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const temporaries = (): readonly string[] =>
  Object.keys({ ...modesOf(project.folder), ...modesOf(project.home) }).filter((name) => /\.tmp$|\.lock/u.test(name));

/** A make that runs, by a program before it where there is one; its words are to be read. */
function startMake(under: readonly string[]): ChildProcessByStdio<null, null, Readable> {
  const [command, ...args] = [...under, process.execPath, program, 'make'] as const;
  return spawn(command, args, {
    cwd: project.folder,
    env: { PATH: process.env['PATH'], HOME: project.home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
}

describe('Ctrl-C', () => {
  it('ends with 130, leaves no lock and no temporary file, and the next run goes on', async () => {
    project.settings(smallSettings({ certificates: { keyType: 'rsa-4096' }, ca: { keyType: 'rsa-4096' } }));
    const child = startMake([]);
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      // The passphrase is there, and the keys are being made.
      if (stderr.includes("made the CA's passphrase")) child.kill('SIGINT');
    });
    const status = await new Promise((resolve) => child.on('exit', resolve));
    expect(stderr).toContain('relaycerts: interrupted');
    expect(status).toBe(130);
    expect(temporaries()).toEqual([]);
    project.settings(smallSettings());
    const again = project.spawn(['make']);
    expect(again.status, again.stderr).toBe(0);
  });
});

it('Ctrl-C where nothing can be removed any more: still 130, without a stack, and the lock is let go of last', async () => {
  requireTools('setpriv');
  const user = '4711';
  expect(spawnSync('chown', ['-R', user, project.folder, project.home]).status).toBe(0);
  project.settings(smallSettings({ certificates: { keyType: 'rsa-4096' }, ca: { keyType: 'rsa-4096' } }));
  const child = startMake(['setpriv', `--reuid=${user}`, '--clear-groups']);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    if (!stderr.includes("made the CA's passphrase") || child.killed) return;
    chmodSync(project.folder, 0o555);
    child.kill('SIGINT');
  });
  const status = await new Promise((resolve) => child.on('exit', resolve));
  chmodSync(project.folder, 0o755);
  expect(stderr).not.toMatch(/^ +at /mu);
  expect(status).toBe(130);
  expect(temporaries()).toEqual(['.relaycerts.lock']);
  expect(spawnSync('chown', ['-R', '0', project.folder, project.home]).status).toBe(0);
  project.settings(smallSettings());
  expect(project.spawn(['make']).status).toBe(0);
});

/** One thread for all file work, because strace counts the calls of each thread by itself. */
const env = { UV_THREADPOOL_SIZE: '1' };

describe('a full disk', () => {
  it('is said, and what was there stays as it was', () => {
    requireTools('unshare', 'mount');
    project.spawn(['make']);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    // A small file system of its own under the project, filled to the last block.
    const script = `set -e
cp -a . "$HOME/copy"
mount -t tmpfs -o size=600k tmpfs "$PWD"
cd "$PWD"
cp -a "$HOME/copy/." .
dd if=/dev/zero of=filler bs=4k 2>/dev/null || true
find . -type f ! -name filler | sort | xargs sha256sum >"$HOME/before"
status=0
"$@" make || status=$?
rm -f filler
find . -type f | sort | xargs sha256sum >"$HOME/after"
diff "$HOME/before" "$HOME/after" >&2
"$@" make >/dev/null
exit $status`;
    const result = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', process.execPath, program], {
      cwd: project.folder,
      env: { PATH: process.env['PATH'], HOME: project.home },
    });
    const stderr = result.stderr.toString();
    expect(stderr).toMatch(/relaycerts: error: the disk has too little room at .*\nrelaycerts: hint: make room/u);
    expect(stderr).not.toMatch(/^[<>] /mu);
    expect(result.status).toBe(1);
    rmSync(join(project.home, 'copy'), { recursive: true });
  });

  it('that fills up while the files are written: is said, and the next run goes on', { timeout: 300_000 }, () => {
    requireTools('strace');
    project.spawn(['make']);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const before = treeOf(project.folder);
    // As another program that takes the room, or a quota of the user's: each later fsync finds none. A first make of
    // this host has about twenty; the first two are those of the lock.
    for (const nth of [3, 4, 6, 8, 11, 14]) {
      const victim = makeProject();
      try {
        expect(spawnSync('cp', ['-a', `${project.folder}/.`, victim.folder]).status).toBe(0);
        expect(spawnSync('cp', ['-a', `${project.home}/.`, victim.home]).status).toBe(0);
        const inject = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=fsync:error=ENOSPC:when=${nth}+`];
        const cut = victim.spawn(['make'], { env, under: inject });
        expect([nth, cut.status, cut.stderr]).toEqual([
          nth,
          1,
          expect.stringMatching(/relaycerts: error: cannot \w+ .*: the disk is full\nrelaycerts: hint: make room/u),
        ]);
        const after = treeOf(victim.folder);
        // Of what was there only the ledger grows, and the relay's table and the bundles are written last.
        for (const [name, state] of Object.entries(before)) {
          if (/\.key\.pem$|certs\/.*\.crt\.pem$/u.test(name))
            expect([nth, name, after[name]]).toEqual([nth, name, state]);
        }
        expect(Object.keys(after).filter((name) => /\.tmp$|\.lock/u.test(name))).toEqual([]);
        const again = victim.spawn(['make']);
        expect(again.status, again.stderr).toBe(0);
        expect(victim.spawn(['make']).stderr).toContain('nothing to make');
      } finally {
        victim.remove();
      }
    }
  });
});
