// A disk that is full, broken, read-only, or closed to this user, at every system call with which a command changes
// files: one clear error, exit code 1, and the old state whole or healed by the next run.

import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toldBy } from '../support/crash-sweep.js';
import { errorSweep } from '../support/error-sweep.js';
import { runTool } from '../support/openssl.js';
import { makeProject, modesOf, smallSettings, type Project } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): void => {
  const { status, stderr } = project.run(args);
  expect(status, stderr).toBe(0);
};
const isLeaf = (name: string): boolean => /^certs\/smtp[^/]+\/[^/]+\.crt\.pem$/u.test(name);
const isCa = (name: string): boolean => name === 'certs/ca/example.org-ca.crt.pem';
const deep = { timeout: 3_600_000 };

describe('a disk error at every system call that changes files', () => {
  it('make that adds a client', deep, async () => {
    run('make');
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await errorSweep({ what: 'make that adds a client', base: project, args: ['make'] });
  });

  it('renew --force', deep, async () => {
    run('make');
    await errorSweep({ what: 'renew --force', base: project, args: ['renew', '--force'], mayGo: isLeaf });
  });

  it('renew --rekey', deep, async () => {
    run('make');
    await errorSweep({
      what: 'renew --rekey',
      base: project,
      args: ['renew', '--rekey', 'mailhost'],
      mayGo: (name) => name === 'certs/smtp-client/mailhost.example.org.key.pem',
    });
  });

  it('retire', deep, async () => {
    run('make');
    run('renew', '--rekey', 'mailhost');
    await errorSweep({ what: 'retire', base: project, args: ['retire'] });
  });

  it('revoke', deep, async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    run('make');
    run('renew', '--rekey', 'mailhost');
    await errorSweep({
      what: 'revoke',
      base: project,
      args: ['revoke', 'mailhost'],
      // The table without the pin does not wait for a note of who was told.
      goesOn: ({ path }) => /to-install\.json|certs\/ca$/u.test(path),
    });
  });

  it('passphrase change', deep, async () => {
    run('make');
    await errorSweep({ what: 'passphrase change', base: project, args: ['passphrase', 'change'] });
  });

  it('clean --all', deep, async () => {
    run('make');
    const args = ['clean', '--yes', '--all'];
    await errorSweep({
      what: 'clean --all',
      base: project,
      args,
      mayGo: () => true,
      isEnd: true,
      heal: async (victim) => {
        const next = await victim.start(args);
        const left = [...Object.keys(modesOf(victim.folder)), ...Object.keys(modesOf(victim.home))];
        expect(left.filter((name) => !/^settings\.json$|^\.config\//u.test(name))).toEqual([]);
        const again = await victim.start(['make']);
        return [toldBy('the next clean', next), toldBy('a new make', again)].filter((line) => !line.includes('with 0'));
      },
    });
  });

  it('sign', deep, async () => {
    run('make');
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const key = join(project.home, 'own.key');
    const made = runTool('openssl', [
      'genpkey',
      '-algorithm',
      'EC',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-out',
      key,
    ]);
    expect(made.status).toBe(0);
    const out = project.path('second.csr');
    expect(runTool('openssl', ['req', '-new', '-key', key, '-subj', '/CN=second', '-out', out]).status).toBe(0);
    const args = ['sign', 'second.csr', '--host', 'second'];
    await errorSweep({
      what: 'sign',
      base: project,
      args,
      // make before the request is stored would make a key for the host: so the same command alone.
      heal: async (victim) => {
        const next = await victim.start(args);
        const last = await victim.start(['make']);
        if (!last.stderr.includes('nothing to make')) return [toldBy('make after sign', last)];
        return next.status === 0 ? [] : [toldBy('sign again', next)];
      },
    });
  });

  it('renew --ca', deep, async () => {
    run('make');
    await errorSweep({ what: 'renew --ca', base: project, args: ['renew', '--ca'], mayGo: isCa });
  });

  it('export p12', deep, async () => {
    run('make');
    writeFileSync(join(project.home, 'password'), 'a long password', { mode: 0o600 });
    const file = 'mailhost.example.org.p12';
    await errorSweep({
      what: 'export p12',
      base: project,
      args: ['export', 'p12', 'mailhost', '--password-fd', '3'],
      under: ['sh', '-c', 'exec "$@" 3<"$HOME/password"', 'sh'],
      refusal: /mailhost\.example\.org\.p12" is there already/u,
      judge: (victim, isAtRest) => {
        const path = victim.path(file);
        if (!existsSync(path)) return isAtRest ? [`no ${file}`] : [];
        const wrong = (statSync(path).mode & 0o777) === 0o600 ? [] : [`${file} is too wide`];
        const pkcs12 = ['pkcs12', '-in', path, '-passin', 'stdin', '-noout'];
        return runTool('openssl', pkcs12, 'a long password\n').status === 0
          ? wrong
          : [...wrong, `${file} is not whole`];
      },
    });
  });
});
