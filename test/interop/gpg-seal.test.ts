// Real GnuPG opens what we seal, for every kind of key that people have; and keys that GnuPG will not encrypt to, we
// refuse for the same reason.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPassphrase } from '../../src/custody/open.js';
import { makeOperatorKey, relockOperatorKey } from '../../src/custody/operator-key.js';
import { newPassphrase } from '../../src/custody/passphrase.js';
import { readRecipientKeys, type RecipientKey } from '../../src/custody/recipient-key.js';
import { sealPassphrase } from '../../src/custody/seal.js';
import { Secret } from '../../src/secret.js';
import { expectRefusal, makeGnupg, reveal, type Gnupg, type KeyRequest } from '../support/gnupg.js';
import { requireTools } from '../support/require-tools.js';

// Later than every key that the tests make.
const at = new Date(Date.now() + 3_600_000);
let gnupg: Gnupg;

beforeAll(() => {
  gnupg = makeGnupg();
});
afterAll(() => {
  gnupg.dispose();
});

async function recipient(fingerprint: string, armored = false): Promise<RecipientKey> {
  const bytes = gnupg.gpg([...(armored ? ['--armor'] : []), '--export', fingerprint]);
  const [only, ...others] = await readRecipientKeys(bytes, { from: 'key file', at });
  expect(others).toEqual([]);
  if (only === undefined) throw new Error('no recipient');
  return only;
}

const noGpg = () => Promise.reject(new Error('gpg must not be run here'));

const sealed = (home: Gnupg, bytes: Uint8Array) => ({
  bytes,
  from: 'p.gpg',
  operatorKey: undefined,
  operatorKeyPath: 'operator-key.asc',
  run: home.run,
  tty: undefined,
});

/** Opens with plain gpg, and with our own gpg code, and returns what both agree on. */
async function openBothWays(home: Gnupg, bytes: Uint8Array): Promise<string> {
  const byGpg = home.gpg(['--decrypt'], bytes).toString();
  expect(reveal(await openPassphrase(sealed(home, bytes)))).toBe(byGpg);
  return byGpg;
}

const kinds: readonly (readonly [string, KeyRequest])[] = [
  ['RSA 2048', { userId: 'rsa2048@example.org', algorithm: 'rsa2048', subkey: 'rsa2048' }],
  ['RSA 4096', { userId: 'rsa4096@example.org', algorithm: 'rsa4096', subkey: 'rsa4096' }],
  ['RSA 2048, one key for both', { userId: 'both@example.org', algorithm: 'rsa2048', usage: 'sign,encr' }],
  ['Ed25519 and Cv25519', { userId: 'Äda Löve <ada@example.org>' }],
  ['NIST P-256', { userId: 'nist256@example.org', algorithm: 'nistp256', subkey: 'nistp256' }],
  ['NIST P-384', { userId: 'nist384@example.org', algorithm: 'nistp384', subkey: 'nistp384' }],
  ['NIST P-521', { userId: 'nist521@example.org', algorithm: 'nistp521', subkey: 'nistp521' }],
  ['Ed25519 and brainpoolP256r1', { userId: 'bp@example.org', algorithm: 'ed25519', subkey: 'brainpoolP256r1' }],
];

describe('sealed by relaycerts, opened by GnuPG', () => {
  it.each(kinds)('%s', async (_, request) => {
    const fingerprint = gnupg.makeKey(request);
    const passphrase = newPassphrase();
    for (const armored of [false, true]) {
      const key = await recipient(fingerprint, armored);
      expect(key).toMatchObject({ fingerprint, userId: request.userId, expires: undefined, warnings: [] });
      const { bytes, warnings } = await sealPassphrase(passphrase, [key], at);
      expect(warnings).toEqual([]);
      expect(await openBothWays(gnupg, bytes)).toBe(reveal(passphrase));
    }
  });

  it('has v3 session keys, v1 protection, AES-256, no compression', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'packets@example.org' });
    const key = await recipient(fingerprint);
    const { bytes } = await sealPassphrase(new Secret('x'), [key], at);
    const listing = gnupg.gpg(['--list-packets'], bytes).toString();
    expect(listing).toContain(`:pubkey enc packet: version 3, algo 18, keyid ${key.keyId}`);
    expect(listing).toMatch(/:encrypted data packet:\n\s+length: \d+\n\s+mdc_method: 2/u);
    expect(listing).not.toMatch(/aead|compressed|symkey enc/iu);
    expect(listing).toMatch(/:literal data packet:\n\s+mode b \(62\), created \d+, name="",\n\s+raw data: 1 bytes/u);
    const status = gnupg.gpg(['--status-fd', '1', '--decrypt'], bytes).toString();
    expect(status).toContain('[GNUPG:] DECRYPTION_INFO 2 9 0');
    expect(status).toContain('[GNUPG:] GOODMDC');
  });

  it('opens for each of two recipients, and for nobody else', async () => {
    const second = makeGnupg();
    const stranger = makeGnupg();
    try {
      const mine = await recipient(gnupg.makeKey({ userId: 'first@example.org' }));
      const theirs = second.gpg(['--export', second.makeKey({ userId: 'second@example.org' })]);
      const both = [mine, ...(await readRecipientKeys(theirs, { from: 'second', at }))];
      const { bytes } = await sealPassphrase(new Secret('for two'), both, at);
      expect(await openBothWays(gnupg, bytes)).toBe('for two');
      expect(await openBothWays(second, bytes)).toBe('for two');
      stranger.makeKey({ userId: 'stranger@example.org' });
      expect(() => stranger.gpg(['--decrypt'], bytes)).toThrow(/No secret key/u);
      const ids = both.map(({ keyId }) => keyId).join(', ');
      await expectRefusal(
        () => openPassphrase(sealed(stranger, bytes)),
        'passphrase',
        new RegExp(`^"p\\.gpg" is encrypted to ${ids}, and GnuPG has the secret key of none`, 'u'),
        /install -D -m 600 BACKUP operator-key\.asc/u,
        ['for two'],
      );
    } finally {
      second.dispose();
      stranger.dispose();
    }
  });

  it('a key that expires has its date, the earlier one of key and subkey', async () => {
    const later = await recipient(gnupg.makeKey({ userId: 'later@example.org', expire: '2y' }));
    const days = ((later.expires?.getTime() ?? 0) - at.getTime()) / 86_400_000;
    expect(Math.round(days)).toBe(730);
    const request = { userId: 'sooner@example.org', algorithm: 'ed25519', expire: '2y', subkey: 'cv25519' };
    const sooner = await recipient(gnupg.makeKey({ ...request, subkeyExpire: '30d' }));
    expect(Math.round(((sooner.expires?.getTime() ?? 0) - at.getTime()) / 86_400_000)).toBe(30);
  });
});

describe('key files', () => {
  it('with several keys, binary, armored in one block and in several', async () => {
    const one = gnupg.makeKey({ userId: 'one@example.org' });
    const two = gnupg.makeKey({ userId: 'two@example.org' });
    const binary = gnupg.gpg(['--export', one, two]);
    const armored = gnupg.gpg(['--armor', '--export', one, two]);
    const blocks = Buffer.concat([one, two].map((fingerprint) => gnupg.gpg(['--armor', '--export', fingerprint])));
    const windows = Buffer.from(blocks.toString().replaceAll('\n', '\r\n'));
    for (const bytes of [binary, armored, blocks, windows]) {
      const keys = await readRecipientKeys(bytes, { from: 'team.asc', at });
      expect(new Set(keys.map(({ fingerprint }) => fingerprint))).toEqual(new Set([one, two]));
    }
  });
});

const refuse = async (fingerprint: string, message: RegExp, hint: RegExp): Promise<void> => {
  const bytes = gnupg.gpg(['--export', fingerprint]);
  const error = await expectRefusal(() => readRecipientKeys(bytes, { from: 'k.asc', at }), 'recipient', message, hint);
  expect(error.message).toContain(`key ${fingerprint} "`);
  expect(error.message).toContain('from "k.asc"');
};

describe('keys that are refused', () => {
  it('expired', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'old@example.org', madeAt: '20200101T000000', expire: '30d' });
    await refuse(fingerprint, /expired on 2020-01-31$/u, new RegExp(`gpg --quick-set-expire ${fingerprint} 2y`, 'u'));
  });

  it('its encryption subkey expired', async () => {
    const fingerprint = gnupg.makeKey({
      userId: 'oldsub@example.org',
      algorithm: 'ed25519',
      madeAt: '20200101T000000',
      subkey: 'cv25519',
      subkeyExpire: '30d',
    });
    await refuse(
      fingerprint,
      /cannot encrypt: its encryption subkey [0-9A-F]{16} expired on 2020-01-31$/u,
      /gpg --quick-set-expire [0-9A-F]{40} 2y [0-9A-F]{40}, and/u,
    );
  });

  it('revoked', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'revoked@example.org' });
    const file = join(gnupg.home, 'openpgp-revocs.d', `${fingerprint}.rev`);
    const { stdout } = spawnSync('sed', ['s/^:-----BEGIN/-----BEGIN/', file]);
    gnupg.gpg(['--import'], stdout);
    await refuse(fingerprint, /is revoked$/u, /passphrase\.recipients/u);
  });

  it('its encryption subkey revoked', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'revsub@example.org' });
    gnupg.gpg(['--command-fd', '0', '--no-tty', '--edit-key', fingerprint], 'key 1\nrevkey\ny\n0\n\ny\nsave\n');
    await refuse(fingerprint, /cannot encrypt: its encryption subkey [0-9A-F]{16} is revoked$/u, /--quick-add-key/u);
  });

  it('can only sign', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'signs@example.org', algorithm: 'ed25519', usage: 'sign' });
    await refuse(fingerprint, /can only sign/u, new RegExp(`gpg --quick-add-key ${fingerprint} cv25519 encr`, 'u'));
    gnupg.gpg(['--pinentry-mode', 'loopback', '--passphrase', '', '--quick-add-key', fingerprint, 'cv25519', 'encr']);
    expect((await recipient(fingerprint)).fingerprint).toBe(fingerprint);
  });

  it('too weak', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'weak@example.org', algorithm: 'rsa1024', usage: 'sign,encr' });
    await refuse(fingerprint, /is too weak \(RSA keys shorter than 2047 bits/u, /gpg --quick-generate-key/u);
  });

  it('a curve whose signatures cannot be checked', async () => {
    const fingerprint = gnupg.makeKey({
      userId: 'brainpool@example.org',
      algorithm: 'brainpoolP256r1',
      subkey: 'brainpoolP256r1',
    });
    await refuse(fingerprint, /signs with brainpoolP256r1, which openpgp\.js cannot verify/u, /gpg --quick-gen/u);
  });

  it('a private key given by mistake', async () => {
    const fingerprint = gnupg.makeKey({ userId: 'private@example.org' });
    for (const armor of [[], ['--armor']]) {
      const bytes = gnupg.gpg([...armor, '--export-secret-keys', fingerprint]);
      await expectRefusal(
        () => readRecipientKeys(bytes, { from: 'k.asc', at }),
        'recipient',
        /^"k\.asc" holds a private key: a recipient is a public key$/u,
        /gpg --export --armor/u,
      );
    }
  });
});

describe('the operator key in GnuPG', () => {
  it.each([
    ['without a password', undefined],
    ['with a password', 'öperator pässword'],
  ])('%s: gpg --import, then gpg --decrypt', async (_, password) => {
    const home = makeGnupg();
    try {
      const secret = password === undefined ? undefined : new Secret(password);
      const operator = await makeOperatorKey(new Date(), 'relaycerts operator key');
      const key = { armored: operator.armored, from: 'operator-key.asc' };
      const armored = await relockOperatorKey(key, secret);
      const { bytes } = await sealPassphrase(new Secret('for the operator'), [operator.recipient], new Date());
      home.gpg(['--import'], armored.revealBytes());
      const listing = home.gpg(['--with-colons', '--list-secret-keys']).toString();
      expect(listing).toContain(`fpr:::::::::${operator.recipient.fingerprint}:`);
      expect(listing).toContain('relaycerts operator key');
      const loopback = password === undefined ? [] : ['--pinentry-mode', 'loopback', '--passphrase', password];
      expect(home.gpg([...loopback, '--decrypt'], bytes).toString()).toBe('for the operator');
    } finally {
      home.dispose();
    }
  });

  it('opens what gpg encrypted to it', async () => {
    const home = makeGnupg();
    try {
      const operator = await makeOperatorKey(new Date(), 'relaycerts operator key');
      home.gpg(['--import'], operator.armored.revealBytes());
      const encrypt = ['--trust-model', 'always', '--encrypt', '--recipient', operator.recipient.fingerprint];
      const operatorKey = { armored: operator.armored, from: 'operator-key.asc', password: undefined };
      for (const options of [[], ['--armor'], ['--compress-algo', 'bzip2'], ['--cipher-algo', 'AES']]) {
        const bytes = home.gpg([...options, ...encrypt], ' pässwörd of a user \n');
        const opened = await openPassphrase({ ...sealed(home, bytes), operatorKey, run: noGpg });
        expect(reveal(opened), options.join(' ')).toBe(' pässwörd of a user ');
      }
    } finally {
      home.dispose();
    }
  });
});

const openssl = (...args: readonly string[]): number | null => spawnSync('openssl', args).status;

describe('the passphrase and openssl', () => {
  it('opens a key encrypted with it, by gpg --decrypt and -passin file:', async () => {
    requireTools('openssl');
    const folder = mkdtempSync(join(tmpdir(), 'relaycerts-seal-'));
    try {
      const key = await recipient(gnupg.makeKey({ userId: 'openssl@example.org' }));
      const { bytes } = await sealPassphrase(newPassphrase(), [key], at);
      const given = join(folder, 'given');
      writeFileSync(given, gnupg.gpg(['--decrypt'], bytes));
      const pem = join(folder, 'key.pem');
      const opened = await openPassphrase(sealed(gnupg, bytes));
      writeFileSync(join(folder, 'ours'), reveal(opened));
      const algorithm = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
      expect(openssl('genpkey', ...algorithm, '-aes256', '-pass', `file:${join(folder, 'ours')}`, '-out', pem)).toBe(0);
      expect(openssl('pkey', '-in', pem, '-passin', `file:${given}`, '-noout')).toBe(0);
      writeFileSync(given, 'another');
      expect(openssl('pkey', '-in', pem, '-passin', `file:${given}`, '-noout')).not.toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
