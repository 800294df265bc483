// make, killed at every system call that changes the file system: a first one, and one that adds a client.

import { afterEach, describe, it } from 'vitest';
import { crashSweep } from '../support/crash-sweep.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';

let project: Project;
afterEach(() => {
  project.remove();
});

describe('SIGKILL at every system call of make that changes files: the next run heals', () => {
  it('a first make', { timeout: 900_000 }, async () => {
    project = makeProject();
    await crashSweep({ what: 'a first make', base: project, args: ['make'] });
  });

  it('make that adds a client', { timeout: 900_000 }, async () => {
    project = makeProject();
    project.spawn(['make']);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await crashSweep({ what: 'make that adds a client', base: project, args: ['make'] });
  });
});
