// revoke, killed at every system call that changes the file system: the next run ends what the ledger says, and no later
// one lists the pin again.

import { afterEach, describe, expect, it } from 'vitest';
import { crashSweep } from '../support/crash-sweep.js';
import { ledgerOf } from '../support/invariants.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';

let project: Project;
afterEach(() => {
  project.remove();
});

describe('SIGKILL at every system call of revoke that changes files: the next run heals', () => {
  it('of a host with an old pin', { timeout: 900_000 }, async () => {
    project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    project.spawn(['make']);
    project.spawn(['renew', '--rekey', 'mailhost']);
    let revoked = 0;
    await crashSweep({
      what: 'revoke',
      base: project,
      args: ['revoke', 'mailhost'],
      check: (victim) => {
        if (ledgerOf(victim).some(({ event }) => event === 'revoked')) revoked += 1;
        return [];
      },
    });
    // Cut off before the ledger had it, a plain make leaves the host as it was.
    expect(revoked).toBeGreaterThan(10);
  });
});
