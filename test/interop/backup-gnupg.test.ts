// Backups for keys in a GnuPG keyring: encrypted only to the recipients in the settings, opened by GnuPG here, and not
// made if nothing can open them.

import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';
import { expectError } from '../support/untouched.js';

const keyPassword = 'the-keys-own-password';
let gnupg: Gnupg;
let elsewhere: Gnupg;
let names: Readonly<Record<'open' | 'locked' | 'elsewhere', string>>;
let project: Project;
let other: Project;

beforeAll(() => {
  gnupg = makeGnupg();
  elsewhere = makeGnupg();
  names = {
    open: gnupg.makeKey({ userId: 'Open <open@example.org>' }),
    locked: gnupg.makeKey({ userId: 'Locked <locked@example.org>', password: keyPassword }),
    elsewhere: elsewhere.makeKey({ userId: 'Elsewhere <elsewhere@example.org>' }),
  };
});
beforeEach(() => {
  project = makeProject();
  other = makeProject(null);
});
afterEach(() => {
  for (const one of [project, other]) one.remove();
  gnupg.configureAgent([]);
});
afterAll(() => {
  for (const one of [gnupg, elsewhere]) one.dispose();
});

const run = (args: readonly string[], where = project, home = gnupg.home): Promise<Result> =>
  where.run(args, { env: { GNUPGHOME: home } });
const withRecipients = (...recipients: readonly string[]) => smallSettings({ passphrase: { recipients } });

/** A project with a CA, and its backup. */
async function backUp(...recipients: readonly string[]): Promise<Result> {
  project.settings(withRecipients(...recipients));
  succeed(await run(['make', '--quiet']));
  return run(['backup', 'b.gpg']);
}

it('is for the recipients in the settings, and opens on another machine', async () => {
  writeFileSync(project.path('elsewhere.asc'), elsewhere.gpg(['--armor', '--export', names.elsewhere]));
  const made = succeed(await backUp(names.open, 'elsewhere.asc'));
  expect(made.stderr).toMatch(/it opens for Open <open@example\.org>, Elsewhere <elsewhere@example\.org>/u);
  expect(readFileSync(project.path('b.gpg')).includes('operator')).toBe(false);
  for (const { home } of [gnupg, elsewhere]) {
    const there = makeProject(null);
    succeed(await run(['restore', project.path('b.gpg')], there, home));
    // The recipient's key file comes with it, so that make finds it.
    if (home === gnupg.home) succeed(await run(['make'], there, home));
    succeed(await run(['renew', '--force'], there, home));
    expect(existsSync(join(there.home, '.config/relaycerts/operator-key.asc'))).toBe(false);
    there.remove();
  }
});

it('lists and unpacks with plain gpg and tar, for every recipient', async () => {
  writeFileSync(project.path('elsewhere.asc'), elsewhere.gpg(['--armor', '--export', names.elsewhere]));
  succeed(await backUp(names.open, 'elsewhere.asc'));
  for (const { gpg } of [gnupg, elsewhere]) {
    const { stdout } = spawnSync('tar', ['-t'], { input: gpg(['--decrypt', project.path('b.gpg')]) });
    expect(stdout.toString()).toMatch(/^project\/settings\.json\nproject\/elsewhere\.asc\nproject\/certs\/ca\//u);
  }
});

it("asks for the key's passphrase if it has one, and fails without", async () => {
  gnupg.answerPinentry(keyPassword);
  succeed(await backUp(names.locked));
  gnupg.answerPinentry(undefined);
  rmSync(project.path('b.gpg'));
  expectError(
    await run(['backup', 'b.gpg']),
    1,
    /\/b\.gpg": the question for the passphrase of the OpenPGP key was cancelled/u,
    /: relaycerts backup FILE --password$/u,
  );
  expect(existsSync(project.path('b.gpg'))).toBe(false);
  gnupg.answerPinentry(keyPassword);
  succeed(await run(['backup', 'b.gpg']));
  gnupg.forgetPasswords();
  succeed(await run(['restore', project.path('b.gpg')], other));
});

it('is not made, and not restored, if no secret key opens it', async () => {
  gnupg.gpg(['--import'], elsewhere.gpg(['--armor', '--export', names.elsewhere]));
  const none = /is encrypted to [0-9A-F]{16}, and GnuPG has the secret key of none of them/u;
  expectError(await backUp(names.elsewhere), 1, none, /relaycerts backup FILE --password$/u);
  expect(existsSync(project.path('b.gpg'))).toBe(false);
  succeed(
    project.spawn(['backup', 'b.gpg', '--password-fd', '0', '--passphrase-fd', '3'], {
      input: 'a long password of the backup',
      env: { GNUPGHOME: elsewhere.home },
      under: [
        'sh',
        '-c',
        `gpg --batch --quiet --decrypt "$HOME/.example.org-relaycerts-passphrase.gpg" > "$HOME/p" && exec "$@" 3< "$HOME/p"`,
        'sh',
      ],
    }),
  );
  rmSync(project.path('b.gpg'));
  succeed(await run(['backup', 'b.gpg'], project, elsewhere.home));
  expectError(await run(['restore', project.path('b.gpg')], other), 1, none, /import the secret key/u);
});

it('has a password if only that or the operator key opens the passphrase', async () => {
  project.settings(smallSettings());
  succeed(await run(['make', '--quiet']));
  const operator = join(project.home, '.config/relaycerts/operator-key.asc');
  const { stdout } = spawnSync('gpg', ['--show-keys', '--with-colons', operator], {
    env: { ...process.env, GNUPGHOME: gnupg.home },
  });
  const [, fingerprint = ''] = /^fpr:+([0-9A-F]+):/mu.exec(stdout.toString()) ?? [];
  gnupg.gpg(['--import', operator]);
  // The operator key under another name is the same key, and is lost with the same disk.
  project.settings(withRecipients(fingerprint));
  expectError(await run(['backup', 'b.gpg']), 2, /the backup needs a password/u, /--password-fd/u);
  project.settings(withRecipients(fingerprint, names.open));
  succeed(await run(['make', '--quiet']));
  const made = succeed(await run(['backup', 'b.gpg']));
  expect(made.stderr).toMatch(/it opens for Open <open@example\.org>:\n/u);
  const listed = gnupg.gpg(['--decrypt', project.path('b.gpg')]);
  expect(spawnSync('tar', ['-t'], { input: listed }).stdout.toString()).toContain('operator-key.asc\n');
});

it('leaves nothing if Ctrl-C comes while it is proven', async () => {
  project.settings(withRecipients(names.open));
  succeed(await run(['make', '--quiet']));
  const stub = join(project.home, 'stub');
  mkdirSync(stub);
  const gpg = execFileSync('sh', ['-c', 'command -v gpg']).toString().trim();
  const lines = ['#!/bin/sh', 'case "$*" in *--decrypt*) kill -INT "$PPID"; exec sleep 9 ;; esac', `exec ${gpg} "$@"`];
  writeFileSync(join(stub, 'gpg'), `${lines.join('\n')}\n`, { mode: 0o755 });
  const before = treeOf(project.folder);
  const env = { GNUPGHOME: gnupg.home, PATH: `${stub}:${process.env['PATH'] ?? ''}` };
  const { status, stderr } = project.spawn(['backup', 'b.gpg'], { env });
  expect([status, stderr]).toEqual([null, expect.stringContaining('relaycerts: interrupted; ')]);
  expect(treeOf(project.folder)).toEqual(before);
});
