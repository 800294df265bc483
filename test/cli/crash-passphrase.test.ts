// passphrase change, killed at every system call that changes the file system: one of the two passphrases opens the key
// at every instant, and the next run says which.

import { copyFileSync, existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { crashSweep } from '../support/crash-sweep.js';
import { makeProject, type Project } from '../support/project.js';

let project: Project;
afterEach(() => {
  project.remove();
});

describe('SIGKILL at every system call of passphrase change that changes files: the next run heals', () => {
  it('with a passphrase of its own', { timeout: 900_000 }, async () => {
    project = makeProject();
    project.spawn(['make']);
    await crashSweep({ what: 'passphrase change', base: project, args: ['passphrase', 'change'] });
  });
});

describe('a change that was cut off, where nobody can open the files', () => {
  it('is warned of by make, which keeps both', () => {
    project = makeProject();
    project.spawn(['make']);
    const file = join(project.home, '.example.org-relaycerts-passphrase.gpg');
    const pending = project.path('certs/ca/example.org-ca.passphrase.new.gpg');
    copyFileSync(file, pending);
    renameSync(join(project.home, '.config/relaycerts'), join(project.home, 'elsewhere'));
    const { status, stderr } = project.spawn(['make']);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(
      /warning: a change of the passphrase was cut off, and could not be ended here \(.*keep ".*new/u,
    );
    expect(stderr).toMatch(/^relaycerts: hint: where a recipient can open it: relaycerts passphrase show$/mu);
    expect(existsSync(pending)).toBe(true);
    renameSync(join(project.home, 'elsewhere'), join(project.home, '.config/relaycerts'));
    expect(project.spawn(['make']).stderr).toMatch(/was cut off: removed .*\n.*nothing to make/u);
    expect(existsSync(pending)).toBe(false);
  });
});
