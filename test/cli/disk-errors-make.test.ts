// A disk that fails while the first make is at work, in the project's folder or in HOME: one clear error, exit code 1, and
// the next run goes on. The other commands are in disk-errors.test.ts.

import { afterEach, describe, expect, it } from 'vitest';
import { errorSweep } from '../support/error-sweep.js';
import { makeProject, modesOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

let project: Project;
afterEach(() => {
  project.remove();
});

describe('a disk error at every system call that changes files', () => {
  it('a first make', { timeout: 3_600_000 }, async () => {
    project = makeProject();
    await errorSweep({ what: 'a first make', base: project, args: ['make'] });
  });
});

describe('a file system that is read-only', () => {
  it.each(['folder', 'home'] as const)('the %s: one clear error, and no key is made', async (which) => {
    requireTools('unshare', 'mount');
    project = makeProject();
    const path = project[which];
    const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$PWD" && exec "$@"';
    const { status, stderr } = await project.start(['make'], {
      under: ['unshare', '--mount', 'sh', '-c', script, path],
    });
    expect(status, stderr).toBe(1);
    const told = stderr.split('\n').filter((line) => line !== '');
    expect(told).toHaveLength(2);
    expect(told[0]).toMatch(/^relaycerts: error: cannot write in ".*": the file system at ".*" is read-only$/u);
    expect(told[0]).toContain(path);
    expect(told[1]).toMatch(/^relaycerts: hint: mount -o remount,/u);
    expect([modesOf(project.folder), modesOf(project.home)]).toEqual([{ 'settings.json': '0644' }, {}]);
  });
});
