// The built program with real GnuPG keyrings: CAs made for recipients of every kind of key and every way to name one,
// clients added later with what gpg opens, and recipients that change.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeGnupg, type Gnupg, type KeyRequest } from '../support/gnupg.js';
import { makeProject, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { openTerminal } from '../support/terminal.js';

const keyPassword = 'the-keys-own-password';
let alice: Gnupg;
let bob: Gnupg;
let aliceFingerprint: string;
let bobFingerprint: string;
let project: Project;

beforeAll(() => {
  [alice, bob] = [makeGnupg(), makeGnupg()];
  aliceFingerprint = alice.makeKey({ userId: 'Alice <alice@example.org>' });
  bobFingerprint = bob.makeKey({ userId: 'Bob <bob@example.org>' });
  // Each knows the other's public key.
  alice.gpg(['--import'], bob.gpg(['--export', bobFingerprint]));
  bob.gpg(['--import'], alice.gpg(['--export', aliceFingerprint]));
});
afterAll(() => {
  alice.dispose();
  bob.dispose();
});
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const caKey = 'certs/ca/example.org-ca.key.pem';
const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
const operatorKey = (): string => join(project.home, '.config/relaycerts/operator-key.asc');

function settings(recipients: readonly string[], clients: readonly string[] = ['mailhost']): void {
  project.settings(
    smallSettings({ passphrase: { recipients }, smtpClients: clients.map((hostname) => ({ hostname })) }),
  );
}

async function run(args: readonly string[], gnupg: Gnupg = alice): Promise<Result> {
  return project.run(args, { env: { GNUPGHOME: gnupg.home } });
}

async function succeed(args: readonly string[], gnupg: Gnupg = alice): Promise<Result> {
  const result = await run(args, gnupg);
  expect(result.status, result.stderr).toBe(0);
  return result;
}

const opensKey = (passphrase: string): boolean =>
  spawnSync('openssl', ['pkey', '-in', project.path(caKey), '-passin', 'stdin', '-noout'], { input: passphrase })
    .status === 0;

/** Plain GnuPG, without relaycerts, opens the passphrase file, and openssl the key with it. */
function expectOpens(gnupg: Gnupg): void {
  expect(opensKey(gnupg.gpg(['--decrypt', sealedFile()]).toString())).toBe(true);
}

const kinds: readonly (readonly [string, KeyRequest])[] = [
  ['Ed25519 with Cv25519', { userId: 'k25519@example.org' }],
  ['RSA 2048', { userId: 'rsa2048@example.org', algorithm: 'rsa2048', subkey: 'rsa2048' }],
  ['RSA 4096', { userId: 'rsa4096@example.org', algorithm: 'rsa4096', subkey: 'rsa4096' }],
  ['NIST P-256', { userId: 'p256@example.org', algorithm: 'nistp256', subkey: 'nistp256' }],
  ['NIST P-384', { userId: 'p384@example.org', algorithm: 'nistp384', subkey: 'nistp384' }],
  ['NIST P-521', { userId: 'p521@example.org', algorithm: 'nistp521', subkey: 'nistp521' }],
];

describe('make for one recipient', () => {
  describe.each(kinds)('%s', (_, request) => {
    let gnupg: Gnupg;
    let fingerprint: string;
    beforeAll(() => {
      gnupg = makeGnupg();
      fingerprint = gnupg.makeKey(request);
    });
    afterAll(() => {
      gnupg.dispose();
    });

    it.each([
      ['by fingerprint', () => fingerprint],
      ['by key ID', () => fingerprint.slice(-16)],
      ['by address', () => request.userId],
      ['by armored file', () => 'key.asc'],
      ['by binary file', () => 'key.gpg'],
    ])('%s', async (_way, name) => {
      project.write('key.asc', gnupg.gpg(['--armor', '--export', fingerprint]));
      project.write('key.gpg', gnupg.gpg(['--export', fingerprint]));
      settings([name()]);
      await succeed(['make'], gnupg);
      expect(existsSync(operatorKey())).toBe(false);
      expectOpens(gnupg);
      // The same again compares the file with the settings, and changes nothing.
      const before = [treeOf(project.folder), treeOf(project.home)];
      expect((await succeed(['make'], gnupg)).stderr).toMatch(/nothing to make/u);
      expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
      settings([name()], ['mailhost', 'second']);
      await succeed(['make'], gnupg);
      expect(existsSync(project.path('certs/smtp-client/second.example.org.crt.pem'))).toBe(true);
    });
  });

  it('a key file with two keys: both can open it', async () => {
    const both = alice.gpg(['--armor', '--export', aliceFingerprint, bobFingerprint]);
    project.write('both.asc', both);
    settings(['both.asc']);
    await succeed(['make']);
    expectOpens(alice);
    expectOpens(bob);
    expect((await succeed(['make'])).stderr).toMatch(/nothing to make/u);
  });

  it('a key with a password: gpg asks, by pinentry or loopback', async () => {
    const gnupg = makeGnupg();
    try {
      gnupg.makeKey({ userId: 'Locked <locked@example.org>', password: keyPassword });
      settings(['locked@example.org']);
      await succeed(['make'], gnupg);
      const onTerminal = () =>
        openTerminal({
          command: [process.execPath, program, 'make', '--quiet'],
          cwd: project.folder,
          env: { PATH: process.env['PATH'] ?? '', HOME: project.home, GNUPGHOME: gnupg.home, LANG: 'C.UTF-8' },
          stdout: '/dev/null',
        });
      settings(['locked@example.org'], ['mailhost', 'second']);
      gnupg.answerPinentry(keyPassword);
      const first = await onTerminal();
      expect(await first.ended(), first.screen()).toBe(0);
      first.dispose();

      gnupg.configureAgent([]);
      writeFileSync(join(gnupg.home, 'gpg.conf'), 'pinentry-mode loopback\n');
      settings(['locked@example.org'], ['mailhost', 'second', 'third']);
      const second = await onTerminal();
      try {
        await second.waitFor('Enter passphrase:');
        second.type(keyPassword);
        second.press('Enter');
        expect(await second.ended(), second.screen()).toBe(0);
        expect(second.sent()).not.toContain(keyPassword);
      } finally {
        second.dispose();
      }
      expect(existsSync(project.path('certs/smtp-client/third.example.org.crt.pem'))).toBe(true);
    } finally {
      gnupg.dispose();
    }
  });
});

describe('two recipients', () => {
  it('each by itself opens it, and adds a client', async () => {
    settings([aliceFingerprint, 'bob@example.org']);
    await succeed(['make']);
    expectOpens(alice);
    expectOpens(bob);
    settings([aliceFingerprint, 'bob@example.org'], ['mailhost', 'second']);
    await succeed(['make'], alice);
    settings([aliceFingerprint, 'bob@example.org'], ['mailhost', 'second', 'third']);
    await succeed(['make'], bob);
    const { stdout } = await succeed(['passphrase', 'recipients']);
    expect(stdout).toContain(`${aliceFingerprint}  "Alice <alice@example.org>" (keyring, its secret key is here)`);
    expect(stdout).toContain(`${bobFingerprint}  "Bob <bob@example.org>" (keyring)`);
    const json = JSON.parse((await succeed(['passphrase', 'recipients', '--json'], bob)).stdout) as {
      recipients: unknown[];
    };
    expect(json.recipients).toMatchObject([
      { fingerprint: aliceFingerprint, from: 'keyring', isHere: false },
      { fingerprint: bobFingerprint, from: 'keyring', isHere: true },
    ]);
  });

  it('and change makes a new passphrase for both', async () => {
    settings([aliceFingerprint, bobFingerprint]);
    await succeed(['make']);
    const before = (await succeed(['passphrase', 'show', '--yes'])).stdout;
    await succeed(['passphrase', 'change'], bob);
    expectOpens(alice);
    expectOpens(bob);
    expect(opensKey(before)).toBe(false);
  });
});

describe('a file that the user made', () => {
  it.each([
    ["echo 'four words of mine'", 'four words of mine'],
    ["printf %s 'pässwörd  €'", 'pässwörd  €'],
  ])('%s | gpg -e -r', async (way, passphrase) => {
    const env = { ...process.env, GNUPGHOME: alice.home, OUT: sealedFile() };
    const sealed = spawnSync('sh', ['-c', `${way} | gpg --batch -e -r alice@example.org -o "$OUT"`], { env });
    expect(sealed.status, sealed.stderr.toString()).toBe(0);
    const bytes = readFileSync(sealedFile());
    await succeed(['make']);
    expect(opensKey(passphrase)).toBe(true);
    expect(existsSync(operatorKey())).toBe(false);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    await succeed(['make']);
    // Without recipients in the settings, the file is right whatever it is encrypted to.
    expect(readFileSync(sealedFile()).equals(bytes)).toBe(true);
    await succeed(['passphrase', 'change']);
    expectOpens(alice);
  });

  it('is not changed with hidden recipients, and make says so', async () => {
    writeFileSync(sealedFile(), alice.gpg(['--encrypt', '--hidden-recipient', aliceFingerprint], 'hidden\n'));
    const bytes = readFileSync(sealedFile());
    settings([bobFingerprint]);
    expect((await succeed(['make'])).stderr).toMatch(
      /warning: the passphrase file .* hides its recipients, so it stays/u,
    );
    expect(readFileSync(sealedFile()).equals(bytes)).toBe(true);
    expect((await succeed(['passphrase', 'recipients'])).stdout).toMatch(/0{16} {2}a hidden recipient/u);
  });
});

describe('recipients that change', () => {
  it('from the operator key to one of the keyring: only the file changes', async () => {
    await succeed(['make']);
    const passphrase = (await succeed(['passphrase', 'show', '--yes'])).stdout;
    const before = treeOf(join(project.folder, 'certs'));
    settings([aliceFingerprint]);
    const bytes = readFileSync(sealedFile());
    const planned = await succeed(['make', '--dry-run']);
    expect(planned.stdout).toMatch(
      /the CA's passphrase, re-encrypted to [0-9A-F]{40} and no longer to [0-9A-F]{16}: /u,
    );
    expect(JSON.parse((await succeed(['make', '--dry-run', '--json'])).stdout)).toMatchObject({
      steps: [{ kind: 'reseal' }],
    });
    expect(readFileSync(sealedFile()).equals(bytes)).toBe(true);

    const made = await succeed(['make']);
    expect(made.stderr).toMatch(/those who could open the old passphrase file \([0-9A-F]{16}\) may still know/u);
    expect(made.stderr).toMatch(/hint: relaycerts passphrase change/u);
    expect(existsSync(`${sealedFile()}.old`)).toBe(false);
    expect(statSync(sealedFile()).mode & 0o7777).toBe(0o600);
    expect(treeOf(join(project.folder, 'certs'))).toEqual(before);
    rmSync(operatorKey());
    expect((await succeed(['passphrase', 'show', '--yes'])).stdout).toBe(passphrase);
    expectOpens(alice);
    expect((await succeed(['make'])).stderr).toMatch(/nothing to make/u);
  });

  it('one more: no warning, because nobody has lost it', async () => {
    settings([aliceFingerprint]);
    await succeed(['make']);
    settings([aliceFingerprint, bobFingerprint]);
    const made = await succeed(['make']);
    expect(made.stderr).not.toMatch(/may still know/u);
    expectOpens(alice);
    expectOpens(bob);
  });

  it('together with a new client: opened once, both done', async () => {
    settings([aliceFingerprint]);
    await succeed(['make']);
    settings([aliceFingerprint, bobFingerprint], ['mailhost', 'second']);
    await succeed(['make']);
    expectOpens(bob);
    expect(existsSync(project.path('certs/smtp-client/second.example.org.crt.pem'))).toBe(true);
  });

  it('to one whose secret key is elsewhere: the old file is kept', async () => {
    settings([aliceFingerprint]);
    await succeed(['make']);
    const old = readFileSync(sealedFile());
    settings([bobFingerprint]);
    const made = await succeed(['make']);
    expect(made.stderr).toMatch(
      /no secret key here can open the new passphrase file.*not proven to open; the old one is/u,
    );
    expect(readFileSync(`${sealedFile()}.old`).equals(old)).toBe(true);
    expect(statSync(`${sealedFile()}.old`).mode & 0o7777).toBe(0o600);
    expectOpens(bob);
    expect((await run(['passphrase', 'show', '--yes'], alice)).status).toBe(1);
    const changed = await succeed(['passphrase', 'change'], bob);
    expect(changed.stderr).toMatch(/\.old" holds an old passphrase/u);
  });

  it('by one who cannot open it: an error, and the old file is whole', async () => {
    settings([aliceFingerprint]);
    await succeed(['make']);
    settings([bobFingerprint]);
    const before = [treeOf(project.folder), treeOf(project.home)];
    const refused = await run(['make'], bob);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(
      /^relaycerts: error: .* GnuPG has the secret key of none of them\nrelaycerts: hint: /u,
    );
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    // With the passphrase itself it can be done; a wrong one cannot.
    const passphrase = (await succeed(['passphrase', 'show', '--yes'], alice)).stdout;
    const env = { GNUPGHOME: bob.home };
    const wrong = project.spawn(['make', '--passphrase-fd', '0'], { env, input: 'wrong' });
    expect(wrong.stderr).toMatch(/error: the passphrase does not open ".*example\.org-ca\.key\.pem"/u);
    expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    const given = project.spawn(['make', '--passphrase-fd', '0'], { env, input: passphrase });
    expect(given.status, given.stderr).toBe(0);
    expectOpens(bob);
  });

  it('to one that cannot be used: an error, and the old file is whole', async () => {
    alice.makeKey({ userId: 'old@example.org', madeAt: '20200101T000000', expire: '1y' });
    alice.makeKey({ userId: 'signer@example.org', algorithm: 'ed25519', usage: 'sign' });
    settings([aliceFingerprint]);
    await succeed(['make']);
    for (const [recipient, message] of [
      ['old@example.org', /expired on 2020-12-31/u],
      ['signer@example.org', /can only sign/u],
      ['nobody@example.org', /is not in the GnuPG keyring/u],
      ['./no.asc', /does not exist/u],
    ] as const) {
      settings([recipient]);
      const before = [treeOf(project.folder), treeOf(project.home)];
      const refused = await run(['make']);
      expect(refused.stderr).toMatch(message);
      expect(refused.stderr).toMatch(/\nrelaycerts: hint: \S/u);
      expect(refused.status).toBe(1);
      expect([treeOf(project.folder), treeOf(project.home)]).toEqual(before);
    }
  });

  it('but not because a recipient has expired since', async () => {
    const gnupg = makeGnupg();
    try {
      const fingerprint = gnupg.makeKey({ userId: 'soon@example.org' });
      settings([fingerprint]);
      await succeed(['make'], gnupg);
      gnupg.gpg(['--quick-set-expire', fingerprint, 'seconds=1', '*']);
      gnupg.gpg(['--quick-set-expire', fingerprint, 'seconds=1']);
      const isExpired = (): boolean =>
        ['pub', 'sub'].every((kind) => gnupg.gpg(['--with-colons', '--list-keys']).toString().includes(`${kind}:e:`));
      await expect.poll(isExpired, { timeout: 240_000 }).toBe(true);
      expect((await succeed(['make'], gnupg)).stderr).toMatch(/nothing to make/u);
    } finally {
      gnupg.dispose();
    }
  });
});
