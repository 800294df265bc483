// Cut off in the middle: Ctrl-C, SIGKILL at every write, a full disk. The next run goes on from what is there.

import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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

describe('Ctrl-C', () => {
  it('ends with 130, leaves no lock and no temporary file, and the next run goes on', async () => {
    project.settings(smallSettings({ certificates: { keyType: 'rsa-4096' }, ca: { keyType: 'rsa-4096' } }));
    const child = spawn(process.execPath, [program, 'make'], {
      cwd: project.folder,
      env: { PATH: process.env['PATH'], HOME: project.home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
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
    const again = project.run(['make']);
    expect(again.status, again.stderr).toBe(0);
  });
});

const calls = 'rename,link,unlink,mkdir,fsync,fchmod';
/** One thread for all file work, because strace counts the calls of each thread by itself. */
const env = { UV_THREADPOOL_SIZE: '1' };

describe('SIGKILL', () => {
  it('at every system call that changes the file system: the next run heals', { timeout: 600_000 }, () => {
    requireTools('strace');
    const trace = join(project.home, 'trace');
    const whole = project.run(['make'], { env, under: ['strace', '-f', '-qq', '-o', trace, '-e', `trace=${calls}`] });
    expect(whole.status, whole.stderr).toBe(0);
    const counts = new Map<string, number>();
    const points: { readonly call: string; readonly nth: number }[] = [];
    for (const line of readFileSync(trace, 'utf8').split('\n')) {
      const call = /^\d+ +(\w+)\(/u.exec(line)?.[1];
      if (call === undefined) continue;
      const nth = (counts.get(call) ?? 0) + 1;
      counts.set(call, nth);
      points.push({ call, nth });
    }
    expect(points.length).toBeGreaterThan(60);
    // A sample in the daily run, every one of them on request.
    const step = process.env['RELAYCERTS_DEEP'] === '1' ? 1 : 9;
    const chosen = points.filter((_point, at) => at % step === 0);
    let killed = 0;
    for (const { call, nth } of chosen) {
      const victim = makeProject();
      try {
        const inject = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `inject=${call}:signal=SIGKILL:when=${nth}`];
        const cut = victim.run(['make'], { env, under: inject });
        if (cut.status !== 0) killed += 1;
        const healed = victim.run(['make']);
        expect([
          call,
          nth,
          healed.status,
          healed.stderr.replaceAll(/^relaycerts: (?:made|took|  ).*\n/gmu, ''),
        ]).toEqual([call, nth, 0, expect.stringMatching(/^$|^relaycerts: nothing to make/u)]);
        expect(victim.run(['make']).stderr).toContain('nothing to make');
        // A lock's own temporary file is another process's for all that make can know, until it is old.
        const left = Object.keys(modesOf(victim.folder)).filter(
          (name) => name.endsWith('.lock') || (name.endsWith('.tmp') && !name.includes('.lock.')),
        );
        expect([call, nth, left]).toEqual([call, nth, []]);
      } finally {
        victim.remove();
      }
    }
    process.stderr.write(`crash points of a first make: ${points.length}, tried ${chosen.length}, killed ${killed}\n`);
    expect(killed).toBe(chosen.length);
  });
});

describe('a full disk', () => {
  it('is said, and what was there stays as it was', () => {
    requireTools('unshare', 'mount');
    project.run(['make']);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    // A small file system of its own under the project, filled to the last block.
    const script = `set -e
cp -a . "$HOME/copy"
mount -t tmpfs -o size=200k tmpfs "$PWD"
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
    expect(stderr).toMatch(/relaycerts: error: cannot \w+ .*: the disk is full\nrelaycerts: hint: make room/u);
    expect(stderr).not.toMatch(/^[<>] /mu);
    expect(result.status).toBe(1);
    rmSync(join(project.home, 'copy'), { recursive: true });
  });
});

describe('many at once', () => {
  it('one makes, the others say that it is at work, and one state comes out', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => project.start(['make'])));
    for (const { status, stderr } of results) {
      expect(
        status === 0 || (status === 1 && /another relaycerts \(process \d+\) is at work/u.test(stderr)),
        stderr,
      ).toBe(true);
    }
    expect(results.some(({ status }) => status === 0)).toBe(true);
    expect(temporaries()).toEqual([]);
    const before = treeOf(project.folder);
    expect(project.run(['make']).stderr).toContain('nothing to make');
    expect(treeOf(project.folder)).toEqual(before);
    expect(project.read('certs/ca/issued.jsonl').trimEnd().split('\n')).toHaveLength(3);
  });
});
