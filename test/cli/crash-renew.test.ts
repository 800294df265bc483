// renew, for the same key and for a new one, and retire, killed at every system call that changes the file system.

import { afterEach, beforeEach, describe, it } from 'vitest';
import { crashSweep } from '../support/crash-sweep.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const isLeaf = (name: string): boolean => /^certs\/smtp[^/]+\/[^/]+\.crt\.pem$/u.test(name);

describe('SIGKILL at every system call that changes files: the next run heals', () => {
  it('renew --force', { timeout: 900_000 }, async () => {
    project.spawn(['make']);
    // With the key pinned, the certificate before is of no use to anybody.
    await crashSweep({ what: 'renew --force', base: project, args: ['renew', '--force'], mayGo: isLeaf });
  });

  it('renew where the certificate is pinned', { timeout: 900_000 }, async () => {
    project.settings(smallSettings({ postfix: { pin: 'certificate' } }));
    project.spawn(['make']);
    await crashSweep({
      what: 'renew where the certificate is pinned',
      base: project,
      args: ['renew', 'mailhost', '--force'],
      refusal: /mailhost\.example\.org has an old pin that is still listed/u,
    });
  });

  it('renew --rekey', { timeout: 900_000 }, async () => {
    project.spawn(['make']);
    await crashSweep({
      what: 'renew --rekey',
      base: project,
      args: ['renew', '--rekey', 'mailhost'],
      // The host has its old key itself until it is installed anew; the old pin stays listed with its certificate.
      mayGo: (name) => name === 'certs/smtp-client/mailhost.example.org.key.pem',
    });
  });

  it('retire', { timeout: 900_000 }, async () => {
    project.spawn(['make']);
    project.spawn(['renew', '--rekey', 'mailhost']);
    await crashSweep({ what: 'retire', base: project, args: ['retire', 'mailhost'] });
  });
});
