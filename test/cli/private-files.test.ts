// No private file is ever wider than 0600, not even for an instant, and no secret reaches a plaintext file, an argument
// or an environment: seen in the system calls of the program itself, under the widest umask.

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, modesOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { joinedLines } from '../support/strace.js';

let project: Project;
beforeEach(() => {
  requireTools('strace');
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const calls = 'open,openat,openat2,creat,chmod,fchmod,fchmodat,rename,renameat,renameat2,link,linkat,mkdir,mkdirat';

/** Whether a path is of a file that holds a private key or the passphrase, under its own or a temporary name. */
function isPrivate(path: string): boolean {
  return /\.(key|chain)\.pem|operator-key\.asc|passphrase\.gpg/u.test(path);
}

describe('under umask 000', () => {
  it('every private file is made with mode 0600, and never widened', () => {
    const trace = join(project.home, 'trace');
    const made = project.spawn(['make'], {
      under: ['sh', '-c', 'umask 000; exec "$@"', 'sh', 'strace', '-f', '-qq', '-s', '4096', '-o', trace, '-e', calls],
    });
    expect(made.status, made.stderr).toBe(0);
    const lines = joinedLines(readFileSync(trace, 'utf8'));
    rmSync(trace);

    // What is staged in .relaycerts.change/ has a number for its name, and is private if its place is.
    const staged = lines.flatMap((line) => {
      const [, from = '', to = ''] = /rename\("([^"]+)", "([^"]+)"\) += 0$/u.exec(line) ?? [];
      return isPrivate(to) ? [from] : [];
    });
    const isSecret = (path: string): boolean => isPrivate(path) || staged.includes(path);
    const created = lines.filter((line) => {
      const path = /\bopen(?:at)?\([^"]*"([^"]+)".*O_CREAT/u.exec(line)?.[1];
      return path !== undefined && isSecret(path);
    });
    // CA key, two host keys, in the bundles two keys and two chains, the operator key, the passphrase file.
    expect(created).toHaveLength(9);
    for (const line of created) {
      expect(line).toMatch(/O_EXCL/u);
      expect(line).toMatch(/, 0600 ?\)/u);
    }
    const descriptors = new Map<string, string>();
    let chmods = 0;
    for (const line of lines) {
      const opened = /open(?:at)?\((?:AT_FDCWD, )?"([^"]+)".* = (\d+)$/u.exec(line);
      if (opened !== null) descriptors.set(opened[2] ?? '', opened[1] ?? '');
      const changed = /fchmod\((\d+), (0\d+) ?\)/u.exec(line);
      if (changed !== null && isSecret(descriptors.get(changed[1] ?? '') ?? '')) {
        chmods += 1;
        expect(changed[2]).toBe('0600');
      }
      expect(line).not.toMatch(/ f?chmod(at)?\([^)]*(key|chain)\.pem[^)]*, 0(?!600)/u);
    }
    // Their mode is right from the start.
    expect(chmods).toBe(0);
    const wide = Object.entries({ ...modesOf(project.folder), ...modesOf(project.home) }).filter(
      ([name, mode]) => isPrivate(name) && mode !== '0600',
    );
    expect(wide).toEqual([]);
  });
});

describe('under umask 777', () => {
  it('still gives every file the mode that it needs', () => {
    const made = project.spawn(['make'], { under: ['sh', '-c', 'umask 777; exec "$@"', 'sh'] });
    // Folders, and the lock, come out closed to everybody but root; files do not.
    expect(made.status, made.stderr).toBe(0);
    const files = Object.entries(modesOf(project.folder)).filter(([name]) => !/\/$|\.lock$/u.test(name));
    for (const [name, mode] of files) expect([name, mode]).toEqual([name, isPrivate(name) ? '0600' : '0644']);
  });
});

describe('the passphrase', () => {
  it('is in no argument, environment or file', () => {
    const trace = join(project.home, 'trace');
    const secret = 'correct-horse-battery-staple';
    const made = project.spawn(['make', '--passphrase-fd', '0'], {
      input: secret,
      under: ['strace', '-f', '-qq', '-v', '-s', '65536', '-o', trace, '-e', 'trace=execve,write,writev,pwrite64'],
    });
    expect(made.status, made.stderr).toBe(0);
    const text = readFileSync(trace, 'utf8');
    rmSync(trace);
    expect(text).toContain('execve(');
    expect(text).toContain('BEGIN ENCRYPTED PRIVATE KEY');
    expect(text).not.toContain(secret);
    expect(made.stdout + made.stderr).not.toContain(secret);
  });
});
