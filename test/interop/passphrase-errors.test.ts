// Everything that can keep the passphrase from make, produced on purpose with the built program and a real GnuPG: one
// error, one hint, no stack, no secret, and nothing touched.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, program, smallSettings, treeOf, type Project } from '../support/project.js';
import { bare, openTerminal } from '../support/terminal.js';

const keyPassword = 'the-keys-own-password';
let gnupg: Gnupg;
let stranger: Gnupg;
let project: Project;
let secret: string;

beforeAll(() => {
  [gnupg, stranger] = [makeGnupg(), makeGnupg()];
  gnupg.makeKey({ userId: 'Open <open@example.org>' });
  gnupg.makeKey({ userId: 'Locked <locked@example.org>', password: keyPassword });
  gnupg.makeKey({ userId: 'Two <two@example.org>' });
  gnupg.makeKey({ userId: 'Too <two@example.org>', algorithm: 'ed25519', usage: 'sign' });
  gnupg.makeKey({ userId: 'Signer <signer@example.org>', algorithm: 'ed25519', usage: 'sign' });
  gnupg.makeKey({ userId: 'Old <old@example.org>', madeAt: '20200101T000000', expire: '1y' });
  const revoked = gnupg.makeKey({ userId: 'Revoked <revoked@example.org>' });
  const certificate = join(gnupg.home, 'openpgp-revocs.d', `${revoked}.rev`);
  gnupg.gpg(['--import'], readFileSync(certificate, 'utf8').replace(':-----BEGIN', '-----BEGIN'));
  stranger.makeKey({ userId: 'Stranger <stranger@example.org>' });
});
afterAll(() => {
  gnupg.dispose();
  stranger.dispose();
});
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  rmSync(join(gnupg.home, 'gpg.conf'), { force: true });
  gnupg.configureAgent([]);
  project.remove();
});

const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');

/** A CA whose passphrase is encrypted to `recipient`, and a second client in the settings that needs it. */
function prepare(recipient: string): void {
  const passphrase = { recipients: [recipient] };
  project.settings(smallSettings({ passphrase }));
  secret = 'a passphrase that nobody says';
  const made = project.spawn(['make', '--passphrase-fd', '0'], { input: secret, env: { GNUPGHOME: gnupg.home } });
  expect(made.status, made.stderr).toBe(0);
  const smtpClients = [{ hostname: 'mailhost' }, { hostname: 'second' }];
  project.settings(smallSettings({ passphrase, smtpClients }));
}

async function expectRefusal(message: RegExp, hint: RegExp, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const before = [{ '.relaycerts.lock': '0600', ...treeOf(project.folder) }, treeOf(project.home)];
  const refused = await project.run(['make'], { env: { GNUPGHOME: gnupg.home, ...env } });
  const lines = refused.stderr.trimEnd().split('\n');
  expect(lines[0]).toMatch(message);
  expect(lines[1]).toMatch(hint);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatch(/^relaycerts: error: .*[^.]$/u);
  expect(lines[1]).toMatch(/^relaycerts: hint: .*[^.]$/u);
  expect(refused.status).toBe(1);
  expect(refused.stdout).toBe('');
  for (const word of [secret, keyPassword]) expect(refused.stderr).not.toContain(word);
  expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
}

/** The same on a terminal, where pinentry may ask; `answer` is what it gives, undefined if it cancels. */
async function expectRefusalOnTerminal(answer: string | undefined, message: string, hint: string): Promise<void> {
  gnupg.answerPinentry(answer);
  const before = [treeOf(project.folder), treeOf(project.home)];
  const terminal = await openTerminal({
    command: [process.execPath, program, 'make'],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home, GNUPGHOME: gnupg.home, LANG: 'C.UTF-8' },
  });
  try {
    expect(await terminal.ended()).toBe(1);
    const screen = bare(terminal.screen());
    expect(screen).toContain(bare(message));
    expect(screen).toContain(bare(`relaycerts: hint: ${hint}`));
    expect(screen.match(/relaycerts:error:/gu)).toHaveLength(1);
    expect(terminal.sent()).not.toContain(secret);
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
  } finally {
    terminal.dispose();
  }
}

describe('opening', () => {
  it('no secret key: the keyring is empty, or somebody else’s', async () => {
    prepare('open@example.org');
    // Both know the public key, which the comparison with the settings needs.
    stranger.gpg(['--import'], gnupg.gpg(['--export', 'open@example.org']));
    await expectRefusal(
      /passphrase\.gpg" is encrypted to [0-9A-F]{16}, and GnuPG has the secret key of none/u,
      /gpg --import/u,
      {
        GNUPGHOME: stranger.home,
      },
    );
  });

  it('encrypted to somebody else, with no recipients in the settings', async () => {
    prepare('open@example.org');
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await expectRefusal(/is encrypted to [0-9A-F]{16}, and GnuPG has/u, /--passphrase-fd/u, {
      GNUPGHOME: stranger.home,
    });
  });

  it('a wrong answer to pinentry, and none', async () => {
    prepare('locked@example.org');
    await expectRefusalOnTerminal(
      'not-the-password',
      `relaycerts: error: gpg cannot open "${sealedFile()}": that is not the passphrase of the OpenPGP key`,
      'run it again and give the passphrase of the OpenPGP key',
    );
    await expectRefusalOnTerminal(
      undefined,
      `relaycerts: error: cannot open "${sealedFile()}": the question for the passphrase of the OpenPGP key was cancelled`,
      'run it again and give the passphrase of the OpenPGP key',
    );
  });

  it('no terminal to ask on, with loopback', async () => {
    prepare('locked@example.org');
    writeFileSync(join(gnupg.home, 'gpg.conf'), 'pinentry-mode loopback\n');
    await expectRefusal(
      /there is no terminal to ask for the passphrase of the OpenPGP key$/mu,
      /terminal, or .*--passphrase-fd/u,
    );
  });

  it('no pinentry', async () => {
    prepare('locked@example.org');
    gnupg.configureAgent(['pinentry-program /nonexistent/pinentry']);
    await expectRefusal(/gpg-agent finds no pinentry/u, /apt-get install pinentry-curses/u);
  });

  it('the agent does not run', async () => {
    prepare('open@example.org');
    gnupg.forgetPasswords();
    writeFileSync(join(gnupg.home, 'gpg.conf'), 'agent-program /nonexistent/gpg-agent\n');
    await expectRefusal(/gpg-agent cannot be started/u, /gpgconf --launch gpg-agent/u);
  });

  it('gpg is missing', async () => {
    prepare('open@example.org');
    const empty = join(project.home, 'empty');
    mkdirSync(empty);
    await expectRefusal(/^relaycerts: error: gpg is not installed$/u, /apt-get install gnupg/u, { PATH: empty });
  });

  it.each([
    ['cut off', (bytes: Buffer) => bytes.subarray(0, -9), /passphrase\.gpg" is damaged: it is cut off/u],
    ['one bit turned', (bytes: Buffer) => turn(bytes, bytes.length - 25), /passphrase\.gpg" is damaged and does not/u],
    ['empty', () => Buffer.alloc(0), /passphrase\.gpg" is empty/u],
    ['something else', () => Buffer.from([0, 1, 2, 3, 4, 255]), /passphrase\.gpg" is not an OpenPGP message/u],
  ] as const)('the file is damaged: %s', async (_, damage, message) => {
    prepare('open@example.org');
    writeFileSync(sealedFile(), damage(readFileSync(sealedFile())));
    await expectRefusal(message, /restore it from a backup/u);
  });

  it('the file holds the passphrase in the clear', async () => {
    prepare('open@example.org');
    writeFileSync(sealedFile(), `${secret}\n`);
    await expectRefusal(/is plain text, not an OpenPGP message/u, /gpg --encrypt --recipient/u);
  });

  it('a passphrase that does not open the CA key', async () => {
    prepare('open@example.org');
    const args = ['--trust-model', 'always', '--encrypt', '--recipient', 'open@example.org'];
    writeFileSync(sealedFile(), gnupg.gpg(args, 'another one\n'));
    await expectRefusal(/the passphrase does not open ".*example\.org-ca\.key\.pem"/u, /made together with this key/u);
  });
});

function turn(bytes: Buffer, octet: number): Buffer {
  const turned = Buffer.from(bytes);
  turned[octet] = (turned[octet] ?? 0) ^ 1;
  return turned;
}

describe('recipients of a new CA', () => {
  it.each([
    ['expired', 'old@example.org', /Old <old@example\.org>.* expired on 2020-12-31/u, /gpg --quick-set-expire/u],
    ['revoked', 'revoked@example.org', /Revoked <revoked@example\.org>.* is revoked/u, /owner's current key/u],
    ['sign-only', 'signer@example.org', /can only sign: it has no subkey for encryption/u, /gpg --quick-add-key/u],
    ['unknown', 'nobody@example.org', /"nobody@example\.org" is not in the GnuPG keyring/u, /gpg --import/u],
    [
      'ambiguous',
      'two@example.org',
      /matches 2 keys: [0-9A-F]{40} .*Two .*, [0-9A-F]{40} .*Too /u,
      /fingerprint of the right/u,
    ],
    ['an empty file', 'empty.asc', /empty\.asc" is empty: it holds no OpenPGP public key/u, /gpg --export/u],
    ['a private key', 'private.asc', /private\.asc" holds a private key/u, /gpg --export/u],
    ['no key', 'text.asc', /text\.asc" is not an OpenPGP public key/u, /gpg --export/u],
    ['a file that is missing', './missing.asc', /missing\.asc" does not exist/u, /gpg --export/u],
    ['neither', 'what is this', /"what is this" is neither a file .* nor a fingerprint/u, /gpg --list-keys/u],
  ])('%s', async (_, recipient, message, hint) => {
    project.write('empty.asc', '');
    project.write('text.asc', 'hello\n');
    const exported = ['--pinentry-mode', 'loopback', '--passphrase', '', '--armor', '--export-secret-keys'];
    project.write('private.asc', gnupg.gpg([...exported, 'open@example.org']));
    project.settings(smallSettings({ passphrase: { recipients: [recipient] } }));
    await expectRefusal(message, hint);
    const planned = await project.run(['make', '--dry-run'], { env: { GNUPGHOME: gnupg.home } });
    expect([planned.status, planned.stdout]).toEqual([1, '']);
    expect(planned.stderr).toMatch(message);
  });

  it('a change to one that cannot encrypt: the dry run says so too', async () => {
    const env = { GNUPGHOME: gnupg.home };
    project.settings(smallSettings({ passphrase: { recipients: ['open@example.org'] } }));
    expect((await project.run(['make'], { env })).status).toBe(0);
    project.settings(smallSettings({ passphrase: { recipients: ['signer@example.org'] } }));
    const planned = await project.run(['make', '--dry-run'], { env });
    expect([planned.status, planned.stdout]).toEqual([1, '']);
    expect(planned.stderr).toMatch(/can only sign/u);
  });
});
