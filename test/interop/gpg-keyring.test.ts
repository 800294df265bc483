// What passphrase.recipients can say, looked up in real keyrings and real files.

import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Run } from '../../src/sys/run.js';
import { listPublicKeys, listSecretKeys } from '../../src/custody/keyring.js';
import { findRecipient } from '../../src/custody/recipients.js';
import { renderHint } from '../../src/errors.js';
import { expectRefusal, makeGnupg, type Gnupg } from '../support/gnupg.js';

// Later than every key that the tests make.
const at = new Date(Date.now() + 3_600_000);
let gnupg: Gnupg;
let folder: string;
let alice: string;
let aliceSubkey: string;

beforeAll(() => {
  gnupg = makeGnupg();
  folder = join(gnupg.home, 'settings');
  mkdirSync(folder);
  alice = gnupg.makeKey({ userId: 'Alice Ünsal <alice@example.org>' });
  const listing = gnupg.gpg(['--with-colons', '--list-keys', alice]).toString();
  aliceSubkey = /^sub:.*\nfpr:+([0-9A-F]+):/mu.exec(listing)?.[1] ?? '';
});
afterAll(() => {
  gnupg.dispose();
});

function find(recipient: string, run: Run = gnupg.run) {
  return findRecipient(recipient, { folder, home: gnupg.home, at, run, readFile });
}

function refuse(recipient: string, message: RegExp, hint: RegExp) {
  return expectRefusal(() => find(recipient), 'recipient', message, hint);
}

const spaced = (hex: string): string => hex.replaceAll(/(.{4})(?!$)/gu, '$1 ');

const withEnv =
  (env: Record<string, string>): Run =>
  (command, args, options) =>
    gnupg.run(command, args, { ...options, env: { ...options.env, ...env } });

// GnuPG's doc/DETAILS, field 15; a card is nothing that a test can have.
const listing = (token: string): string =>
  [
    'sec:u:255:22:E541E91CA2C0FA5F:1795201560:::u:::scESC:::#::ed25519:::0:',
    `fpr:::::::::${alice}:`,
    'uid:u::::1795201560::B76D::card@example.org::::::::::0:',
    `ssb:u:255:18:129495BC83B9AF0A:1795201560::::::e:::${token}::cv25519::`,
    `fpr:::::::::${aliceSubkey}:`,
  ].join('\n');
const withListing =
  (text: string): Run =>
  () =>
    Promise.resolve({ status: 0, stdout: Buffer.from(text), stderr: '', statusText: '' });

describe('in the keyring', () => {
  it.each([
    ['the fingerprint', () => alice],
    ['the fingerprint in lower case with 0x', () => `0x${alice.toLowerCase()}`],
    ['the fingerprint as gpg prints it', () => spaced(alice)],
    ['the key ID', () => alice.slice(-16)],
    ["the subkey's fingerprint", () => aliceSubkey],
    ["the subkey's key ID", () => aliceSubkey.slice(-16)],
    ['the address', () => 'alice@example.org'],
    ['the address in brackets', () => '<alice@example.org>'],
    ['the address in capitals', () => 'Alice@Example.ORG'],
    ['the whole user ID, not ASCII', () => 'Alice Ünsal <alice@example.org>'],
  ])('%s', async (_, name) => {
    const found = await find(name());
    expect(found).toMatchObject([{ fingerprint: alice, userId: 'Alice Ünsal <alice@example.org>', warnings: [] }]);
    expect(found[0]?.encryptionFingerprint).toBe(aliceSubkey);
    expect(found[0]?.keyId).toBe(aliceSubkey.slice(-16));
  });

  it('a user ID that is only an address', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'bare@example.org' });
    expect(await find('bare@example.org')).toMatchObject([{ fingerprint }]);
  });

  it('a subkey that is not the one encrypted to is refused', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'subkeys@example.org' });
    gnupg.gpg(['--pinentry-mode', 'loopback', '--passphrase', '', '--quick-add-key', fingerprint, 'ed25519', 'sign']);
    const lines = gnupg.gpg(['--with-colons', '--list-keys', fingerprint]).toString();
    const signing = /^sub:(?:[^:]*:){10}s:.*\nfpr:+([0-9A-F]+):/mu.exec(lines)?.[1] ?? '';
    expect(await find(fingerprint)).toHaveLength(1);
    await refuse(signing, /is not the key that the keyring would encrypt to/u, /gpg --list-keys/u);
  });

  it('a short key ID, with a warning', async () => {
    const [found] = await find(alice.slice(-8));
    expect(found?.warnings).toEqual([
      expect.stringMatching(/short key ID, which can be forged: put [0-9A-F]{40} into/u),
    ]);
  });

  it('an address that nobody vouches for: a warning; none by fingerprint', async () => {
    const other = makeGnupg();
    try {
      const fingerprint = other.makeKey({ userId: 'unknown@example.org' });
      gnupg.gpg(['--import'], other.gpg(['--export', fingerprint]));
      const [byAddress] = await find('unknown@example.org');
      expect(byAddress?.warnings).toEqual([
        expect.stringMatching(/nothing in the keyring vouches for.*put [0-9A-F]{40}/u),
      ]);
      expect((await find(fingerprint))[0]?.warnings).toEqual([]);

      // A certification of one user ID says nothing about the others.
      const secret = ['--pinentry-mode', 'loopback', '--passphrase', ''];
      other.gpg([...secret, '--quick-add-uid', fingerprint, 'Claimed <claimed@example.org>']);
      gnupg.gpg(['--import'], other.gpg(['--export', fingerprint]));
      gnupg.gpg([...secret, '--quick-lsign-key', fingerprint, 'unknown@example.org']);
      expect((await find('unknown@example.org'))[0]?.warnings).toEqual([]);
      expect((await find('claimed@example.org'))[0]?.warnings).toHaveLength(1);
    } finally {
      other.dispose();
    }
  });

  it('an ambiguous address lists the matches', async () => {
    const first = gnupg.makeKey({ userId: 'Two One <two@example.org>', expire: '2y' });
    const second = gnupg.makeKey({ userId: 'Two Two <two@example.org>' });
    const old = gnupg.makeKey({ userId: 'Old Two <two@example.org>', madeAt: '20200101T000000', expire: '30d' });
    const { message } = await refuse(
      'two@example.org',
      /^recipient "two@example\.org" matches 3 keys: /u,
      /fingerprint/u,
    );
    expect(message).toContain(`${second} "Two Two <two@example.org>" (never expires)`);
    expect(message).toMatch(
      new RegExp(`${first} "Two One <two@example\\.org>" \\(expires 20\\d\\d-\\d\\d-\\d\\d\\)`, 'u'),
    );
    expect(message).toContain(`${old} "Old Two <two@example.org>" (expired 2020-01-31)`);
    expect(await find(second)).toMatchObject([{ fingerprint: second }]);
  });

  it('no part of an address or name is enough', async () => {
    const neither = /is neither a file beside the settings nor a fingerprint, a key ID or an address$/u;
    for (const part of [
      'alice',
      'Alice Ünsal',
      'example.org',
      '@example.org',
      '',
      '-',
      '*',
      '--version',
      'a@b\nc',
      '<x>',
    ]) {
      await refuse(part, neither, /gpg --list-keys/u);
    }
    await refuse('lice@example.org', /is not in the GnuPG keyring$/u, /gpg --import/u);
  });

  it('unknown ones', async () => {
    await refuse(
      'nobody@example.org',
      /^recipient "nobody@example\.org" is not in the GnuPG keyring$/u,
      /gpg --import/u,
    );
    await refuse('0123456789ABCDEF0123456789ABCDEF01234567', /is not in the GnuPG keyring/u, /gpg --import/u);
    await refuse('--list-options@example.org', /is not in the GnuPG keyring/u, /gpg --import/u);
  });

  it('an expired one, with the reason and the keyring named', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'gone@example.org', madeAt: '20200101T000000', expire: '30d' });
    await refuse(
      'gone@example.org',
      /from "GnuPG keyring, gone@example\.org" expired on 2020-01-31$/u,
      /--quick-set-expire/u,
    );
    await refuse(fingerprint, /expired on 2020-01-31$/u, /--quick-set-expire/u);
  });

  it('whose encryption subkey expired, with a command that helps', async () => {
    const fingerprint = gnupg.makeKey({
      userId: 'sub@example.org',
      algorithm: 'ed25519',
      madeAt: '20200101T000000',
      subkey: 'cv25519',
      subkeyExpire: '30d',
    });
    const { hint } = await refuse(
      fingerprint,
      /cannot encrypt: its encryption subkey [0-9A-F]{16} expired on 2020-01-31$/u,
      /^gpg --quick-set-expire [0-9A-F]{40} 2y [0-9A-F]{40}, and export it again if it comes from a file$/u,
    );
    const [, command = ''] = /^gpg (.*),/u.exec(renderHint(hint ?? '', 'relaycerts')) ?? [];
    gnupg.gpg(['--pinentry-mode', 'loopback', '--passphrase', '', ...command.split(' ')]);
    expect(await find(fingerprint)).toMatchObject([{ fingerprint }]);
  });

  it('a disabled one', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'disabled@example.org' });
    gnupg.gpg(['--command-fd', '0', '--no-tty', '--edit-key', fingerprint], 'disable\nsave\n');
    await refuse('disabled@example.org', /is disabled in the keyring$/u, new RegExp(`--edit-key ${fingerprint}`, 'u'));
  });

  it('an export that gives nothing, or another key, is refused', async () => {
    const instead =
      (answer: Buffer): Run =>
      async (command, args, options) => {
        const result = await gnupg.run(command, args, options);
        return args.includes('--export') ? { ...result, stdout: answer } : result;
      };
    const nothing = () => find(alice, instead(Buffer.alloc(0)));
    await expectRefusal(nothing, 'recipient', /could not be exported from the keyring$/u, /gpg --export/u);
    const other = gnupg.gpg(['--export', gnupg.makeKey({ userId: 'other@example.org' })]);
    for (const name of [alice, alice.slice(-16), 'alice@example.org']) {
      const swapped = () => find(name, instead(other));
      await expectRefusal(
        swapped,
        'recipient',
        /is not the key that the keyring would encrypt to: [0-9A-F]{40}$/u,
        /--list-keys/u,
      );
    }
  });

  it('gpg is missing, or fails', async () => {
    await expectRefusal(
      () => find(alice, withEnv({ PATH: folder })),
      'tool',
      /^gpg is not installed$/u,
      /^apt-get install gnupg$/u,
    );
    await expectRefusal(
      () => find(alice, withEnv({ GNUPGHOME: '/nonexistent/gnupg' })),
      'tool',
      /^gpg --list-keys failed \(.*does not exist/u,
      /gpg --list-keys/u,
    );
  });
});

describe('files', () => {
  it('beside the settings, absolute, in the home, with or without armor', async () => {
    writeFileSync(join(folder, 'alice.asc'), gnupg.gpg(['--armor', '--export', alice]));
    writeFileSync(join(folder, 'alice.gpg'), gnupg.gpg(['--export', alice]));
    for (const name of ['alice.asc', './alice.asc', 'alice.gpg', join(folder, 'alice.gpg'), '~/settings/alice.asc']) {
      const found = await find(name, () => Promise.reject(new Error('gpg must not be run here')));
      expect(found, name).toMatchObject([{ fingerprint: alice }]);
      expect(found[0]?.from).toContain(join(folder, 'alice.'));
    }
  });

  it('come before the keyring if the name is a file', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'infile@example.org' });
    writeFileSync(join(folder, 'alice@example.org'), gnupg.gpg(['--export', fingerprint]));
    expect(await find('alice@example.org')).toMatchObject([{ fingerprint }]);
  });

  it('with two keys are two recipients', async () => {
    const bob = gnupg.makeKey({ userId: 'bob@example.org' });
    writeFileSync(join(folder, 'team.asc'), gnupg.gpg(['--armor', '--export', alice, bob]));
    expect((await find('team.asc')).map(({ fingerprint }) => fingerprint).toSorted()).toEqual([alice, bob].toSorted());
  });

  it('that are not there, or are folders', async () => {
    await refuse(
      './missing.asc',
      /the recipient's key file ".*missing\.asc" does not exist$/u,
      /gpg --export --armor/u,
    );
    await refuse('/nonexistent/k', /"\/nonexistent\/k" does not exist$/u, /gpg --export/u);
    await refuse('missing.asc', /is neither a file beside the settings nor/u, /gpg --list-keys/u);
    await refuse('.', /cannot be read \(EISDIR\)$/u, /ls -ld/u);
  });
});

describe('listSecretKeys', () => {
  it('gives what a question about recipients needs', async () => {
    const home = makeGnupg();
    try {
      expect(await listSecretKeys(home.run)).toEqual([]);
      const both = home.makeKey({ userId: 'Colon: \\Ü <colon@example.org>', expire: '1y' });
      const signs = home.makeKey({ userId: 'signs@example.org', algorithm: 'rsa2048', usage: 'sign' });
      const old = home.makeKey({ userId: 'old@example.org', madeAt: '20200101T000000', expire: '30d' });
      const nist = home.makeKey({ userId: 'nist@example.org', algorithm: 'nistp256', subkey: 'nistp256' });
      const keys = new Map((await listSecretKeys(home.run)).map((key) => [key.fingerprint, key]));
      expect([...keys.keys()].toSorted()).toEqual([both, signs, old, nist].toSorted());
      expect(keys.get(both)).toMatchObject({
        userIds: [{ text: 'Colon: \\Ü <colon@example.org>', isTrusted: true }],
        algorithm: 'ed25519',
        state: 'usable',
        canEncrypt: true,
        isOnCard: false,
      });
      expect(Math.round(((keys.get(both)?.expires?.getTime() ?? 0) - at.getTime()) / 86_400_000)).toBe(365);
      expect(keys.get(signs)).toMatchObject({ algorithm: 'rsa2048', canEncrypt: false, expires: undefined });
      expect(keys.get(old)).toMatchObject({ state: 'expired', canEncrypt: false });
      expect(keys.get(old)?.expires?.toISOString()).toBe('2020-01-31T00:00:00.000Z');
      expect(keys.get(nist)).toMatchObject({ algorithm: 'nistp256', canEncrypt: true });
    } finally {
      home.dispose();
    }
  });

  it('distinguishes a key on a card from one whose secret part is elsewhere', async () => {
    expect(await listSecretKeys(withListing(listing('D2760001240103040006123456780000')))).toMatchObject([
      { canEncrypt: true, isOnCard: true },
    ]);
    expect(await listSecretKeys(withListing(listing('+')))).toMatchObject([{ canEncrypt: true, isOnCard: false }]);
    expect(await listSecretKeys(withListing(listing('#')))).toMatchObject([{ canEncrypt: false, isOnCard: false }]);
  });

  it('and public keys list what cannot be opened here as well', async () => {
    expect(await listPublicKeys(gnupg.run, alice)).toMatchObject([
      { fingerprint: alice, canEncrypt: true, isOnCard: false },
    ]);
  });
});
