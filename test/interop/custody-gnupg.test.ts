// Whether a passphrase file for keys in GnuPG can be opened, judged without a question: keys with and without a
// passphrase, remembered ones, keys that are elsewhere or on a card, hidden recipients, passwords.

import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { certificatesOf } from '../support/answer.js';
import { openUnasked } from '../../src/custody/open.js';
import type { Run } from '../../src/sys/run.js';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { noteAsInstalled } from '../support/installed.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';

const passphrase = 'the passphrase of a user';
const keyPassword = 'the-keys-own-password';
let gnupg: Gnupg;
let fingerprints: { readonly open: string; readonly locked: string };
let project: Project;

beforeAll(() => {
  gnupg = makeGnupg();
  fingerprints = {
    open: gnupg.makeKey({ userId: 'Open <open@example.org>' }),
    locked: gnupg.makeKey({ userId: 'Locked <locked@example.org>', password: keyPassword }),
  };
});
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
  gnupg.configureAgent([]);
});
afterAll(() => {
  gnupg.dispose();
});

const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
const run = (args: readonly string[], home = gnupg.home): Promise<Result> =>
  project.run(args, { env: { GNUPGHOME: home } });

/** A CA under a passphrase file that its user made. */
async function makeWith(options: readonly string[], text = passphrase): Promise<void> {
  const made = project.spawn(['make', '--passphrase-fd', '0'], { input: text, env: { GNUPGHOME: gnupg.home } });
  expect(made.status, made.stderr).toBe(0);
  seal(options, text);
}

function seal(options: readonly string[], text = passphrase): void {
  const bytes = gnupg.gpg(['--trust-model', 'always', ...options], `${text}\n`);
  gnupg.forgetPasswords();
  writeFileSync(sealedFile(), bytes);
}

const to = (address: string, ...options: readonly string[]): readonly string[] => [
  ...options,
  '--encrypt',
  '--recipient',
  address,
];
const withPassword = ['--pinentry-mode', 'loopback', '--passphrase', keyPassword, '--symmetric'];

/** Asserts that all is well: opened if it `asks` nothing, and otherwise nothing was asked. */
async function expectWell(asks?: RegExp, home = gnupg.home): Promise<void> {
  await noteAsInstalled(project);
  const { status, stdout, stderr } = await run(['status', '--json'], home);
  expect([status, stderr]).toEqual([0, '']);
  const row = certificatesOf<Record<string, unknown>>({ stdout }).find(({ role }) => role === 'passphrase');
  expect(row?.['state']).toBe('ok');
  if (asks === undefined) expect(row?.['why']).toBeNull();
  else for (const said of [asks, /; to prove it: relaycerts status --open$/u]) expect(row?.['why']).toMatch(said);
  expect(existsSync(join(gnupg.home, 'pinentry.log'))).toBe(false);
}

async function expectUnopenable(message: RegExp, hint: RegExp, home = gnupg.home): Promise<string> {
  const { status, stderr } = await run(['status'], home);
  expect([status, stderr]).toEqual([3, expect.stringMatching(message)]);
  const said = /^relaycerts: hint: (.*)$/mu.exec(stderr)?.[1] ?? '';
  expect(said).toMatch(hint);
  expect((await run(['make'], home)).status).toBe(3);
  return said;
}

describe('keys in GnuPG', () => {
  it.each([
    ['binary', to('open@example.org')],
    ['armored', to('open@example.org', '--armor')],
    ['to a hidden recipient', to('open@example.org', '--throw-keyids')],
    ['signed as well', to('open@example.org', '--sign', '--local-user', 'open@example.org')],
    ['to a second key as well', to('open@example.org', '--recipient', 'locked@example.org')],
  ])('a key without a passphrase opens it unasked: %s', async (_how, options) => {
    await makeWith(options);
    await expectWell();
  });

  it('a key with a passphrase: reported, not asked; --open proves it', async () => {
    await makeWith(to('locked@example.org'));
    gnupg.answerPinentry(keyPassword);
    await expectWell(/^opens with the passphrase of its OpenPGP key; /u);
    expect((await run(['status'])).stderr).toMatch(/passphrase\.gpg: opens with the passphrase of its OpenPGP key; /u);
    gnupg.answerPinentry('not-the-password');
    const wrong = await run(['status', '--open']);
    expect([wrong.status, wrong.stderr]).toEqual([
      3,
      expect.stringMatching(/that is not the passphrase of the OpenPGP key\n/u),
    ]);
    gnupg.answerPinentry(keyPassword);
    expect(await run(['status', '--open'])).toMatchObject({ status: 0, stderr: '' });
    rmSync(join(gnupg.home, 'pinentry.log'));
    await expectWell();
  });

  it('is asked each time, because its keys come and go unseen', async () => {
    await makeWith(to('open@example.org'));
    const env = { GNUPGHOME: gnupg.home, XDG_CACHE_HOME: join(project.home, 'cache') };
    for (const command of ['status', 'make']) {
      expect((await project.run([command], { env })).stderr).not.toContain('passphrase.gpg');
    }
    expect(existsSync(join(project.home, '.config/relaycerts/operator-key.asc'))).toBe(true);
    expect(existsSync(env.XDG_CACHE_HOME)).toBe(false);
  });

  it('a hidden recipient with a passphrase: reported as far as known', async () => {
    await makeWith(to('locked@example.org', '--throw-keyids'));
    await expectWell(/^opens with the key of its hidden recipient; /u);
  });

  it('a password: reported, and asked for by --open', async () => {
    await makeWith(withPassword);
    await expectWell(/^opens with the password that it is encrypted with; /u);
    gnupg.answerPinentry(keyPassword);
    expect(await run(['status', '--open'])).toMatchObject({ status: 0, stderr: '' });
    rmSync(join(gnupg.home, 'pinentry.log'));
    gnupg.answerPinentry('not-the-password');
    expect((await run(['status', '--open'])).stderr).toMatch(/that is not the password that it is encrypted with\n/u);
    rmSync(join(gnupg.home, 'pinentry.log'));
  });

  it('a short passphrase in it is named, by make and by status', async () => {
    seal(to('open@example.org'), 'abc');
    const made = await run(['make']);
    const said = /warning: the passphrase in "[^"]*" is short or simple: /u;
    expect([made.status, made.stderr]).toEqual([0, expect.stringMatching(said)]);
    const status = await run(['status']);
    expect([status.status, status.stderr]).toEqual([3, expect.stringMatching(said)]);
  });

  it('none of them here: the hint brings one back', async () => {
    await makeWith(to('open@example.org'));
    project.settings(smallSettings({ passphrase: { recipients: [fingerprints.open] } }));
    const elsewhere = makeGnupg();
    try {
      elsewhere.gpg(['--import'], gnupg.gpg(['--export', fingerprints.open]));
      const none = /is encrypted to [0-9A-F]{16}, and GnuPG has the secret key of none of them/u;
      const hint = await expectUnopenable(none, /gpg --import BACKUP/u, elsewhere.home);
      const backup = join(project.home, 'backup');
      writeFileSync(backup, gnupg.gpg(['--export-secret-keys', fingerprints.open]));
      const command = /gpg --import BACKUP/u.exec(hint)?.[0].replace('gpg', 'gpg --batch -q').replace('BACKUP', backup);
      execFileSync('sh', ['-ec', command ?? 'false'], { env: { ...process.env, GNUPGHOME: elsewhere.home } });
      await expectWell(undefined, elsewhere.home);
    } finally {
      elsewhere.dispose();
    }
  });

  it('only its primary key here, or a damaged operator key beside it', async () => {
    await makeWith(to('open@example.org'));
    project.settings(smallSettings({ passphrase: { recipients: [fingerprints.open] } }));
    const elsewhere = makeGnupg();
    try {
      elsewhere.gpg(['--import'], gnupg.gpg(['--export-secret-keys', fingerprints.open]));
      writeFileSync(join(project.home, '.config/relaycerts/operator-key.asc'), 'damaged\n');
      await expectWell(undefined, elsewhere.home);
      const listing = elsewhere.gpg(['--with-colons', '--with-keygrip', '--list-secret-keys']).toString();
      const grip = /^ssb:.*\nfpr:.*\ngrp:+([0-9A-F]+):/mu.exec(listing)?.[1] ?? '';
      rmSync(join(elsewhere.home, 'private-keys-v1.d', `${grip}.key`));
      elsewhere.forgetPasswords();
      const none = /GnuPG has the secret key of none of them, and the operator key "[^"]*" is not an armored/u;
      await expectUnopenable(none, /gpg --import BACKUP/u, elsewhere.home);
    } finally {
      elsewhere.dispose();
    }
  });

  it('an encryption subkey that has expired still opens', async () => {
    await makeWith(to('open@example.org'));
    const subkey = /^fpr:+([0-9A-F]+):/mu.exec(
      gnupg.gpg(['--with-colons', '--list-keys', 'open@example.org']).toString().split('\nsub:')[1] ?? '',
    )?.[1];
    const expire = (until: string): Buffer =>
      gnupg.gpg(['--quick-set-expire', fingerprints.open, until, subkey ?? 'none']);
    expire('seconds=1');
    await expect
      .poll(() => gnupg.gpg(['--with-colons', '--list-keys', 'open@example.org']).toString(), { timeout: 240_000 })
      .toMatch(/^sub:e:/mu);
    await expectWell();
    expire('0');
  });

  it('gpg is missing: named, if the file is for GnuPG', async () => {
    await makeWith(to('open@example.org'));
    project.settings(smallSettings({ passphrase: { recipients: [fingerprints.open] } }));
    const { status, stderr } = await project.run(['status'], { env: { PATH: '/nonexistent' } });
    expect([status, stderr]).toEqual([3, expect.stringMatching(/gpg is not installed\n.*apt-get install gnupg/u)]);
  });
});

describe('a key on a card', () => {
  it('is not asked, because it may wait for a touch', async () => {
    const bytes = gnupg.gpg(['--trust-model', 'always', ...to('open@example.org')], passphrase);
    const asked: string[] = [];
    const onCard: Run = async (command, args, options) => {
      asked.push(args.join(' '));
      const result = await gnupg.run(command, args, options);
      // Field 15: the card's serial number in place of the plus sign for "here".
      const listing = result.stdout
        .toString()
        .replaceAll(/^((?:sec|ssb):(?:[^:]*:){13})\+/gmu, '$1D2760001240103040006');
      return { ...result, stdout: Buffer.from(listing) };
    };
    const sealed = { bytes, from: 'p.gpg', operatorKey: undefined, operatorKeyPath: undefined, tty: undefined };
    expect(await openUnasked({ ...sealed, run: onCard })).toEqual({ asksFor: 'the card that has its OpenPGP key' });
    expect(asked).toEqual([expect.stringContaining('--list-secret-keys')]);
  });
});
