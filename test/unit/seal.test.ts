import { mkdtempSync, openSync, closeSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import * as openpgp from 'openpgp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseOpener, openPassphrase, openWithOperatorKey } from '../../src/custody/open.js';
import {
  makeOperatorKey,
  relockOperatorKey,
  operatorRecipient,
  readOperatorKey,
  type OperatorKeyFile,
} from '../../src/custody/operator-key.js';
import { readPackets } from '../../src/custody/packets.js';
import { newPassphrase, parsePassphrase, readPassphraseFd } from '../../src/custody/passphrase.js';
import { readRecipientKeys } from '../../src/custody/recipient-key.js';
import { sealPassphrase } from '../../src/custody/seal.js';
import { readSealedTo } from '../../src/custody/sealed-to.js';
import { Secret } from '../../src/secret.js';
import { expectRefusal, reveal } from '../support/gnupg.js';

const at = new Date('2026-11-20T12:00:00Z');
const secretText = 'correct horse battery staple';
const secret = new Secret(secretText);
const gpg = {
  operatorKeyPath: 'operator-key.asc',
  run: () => Promise.reject(new Error('gpg must not be run here')),
  tty: undefined,
};
const keyFile = (
  { armored }: Pick<Made, 'armored'>,
  password?: Secret,
  from = 'operator-key.asc',
): OperatorKeyFile => ({
  armored,
  from,
  password,
});

type Made = Awaited<ReturnType<typeof makeOperatorKey>>;
let operator: Made;
let other: Made;
let locked: Made;
let sealed: Uint8Array;

beforeAll(async () => {
  [operator, other, locked] = await Promise.all([
    makeOperatorKey(at, 'relaycerts operator key'),
    makeOperatorKey(at, 'somebody else'),
    makeOperatorKey(at, 'locked operator key'),
  ]);
  const password = new Secret('pässword of its own');
  locked = { ...locked, armored: await relockOperatorKey({ armored: locked.armored, from: 'k.asc' }, password) };
  ({ bytes: sealed } = await sealPassphrase(secret, [operator.recipient], at));
});

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

const sealTo = async (options: openpgp.KeyOptions) => {
  const { publicKey, privateKey } = await openpgp.generateKey({ ...options, date: at, format: 'object' });
  const [recipient] = await readRecipientKeys(publicKey.write(), { from: 'k.asc', at });
  if (recipient === undefined) throw new Error('no recipient');
  const { bytes, warnings } = await sealPassphrase(secret, [recipient], at);
  return { bytes, warnings, privateKey };
};

const choose = async (recipients: readonly Made[], key: Made | undefined, password?: Secret) => {
  const { bytes } = await sealPassphrase(
    secret,
    recipients.map(({ recipient }) => recipient),
    at,
  );
  return chooseOpener({ bytes, from: 'x', operatorKey: key === undefined ? undefined : keyFile(key, password) });
};

const refuseKeys = (bytes: Uint8Array, message: RegExp, hint = /gpg --export/u) =>
  expectRefusal(() => readRecipientKeys(bytes, { from: 'k.asc', at }), 'recipient', message, hint);

describe('newPassphrase', () => {
  it('is 256 random bits on one line, different each time', () => {
    const made = Array.from({ length: 50 }, () => reveal(newPassphrase()));
    for (const each of made) expect(each).toMatch(/^[0-9a-f]{64}$/u);
    expect(new Set(made).size).toBe(50);
  });

  it('survives parsing as it is', () => {
    const made = newPassphrase();
    expect(reveal(parsePassphrase(made, 'x'))).toBe(reveal(made));
  });
});

describe('parsePassphrase', () => {
  it.each([
    ['no newline', 'abc', 'abc'],
    ['a newline', 'abc\n', 'abc'],
    ['a Windows newline', 'abc\r\n', 'abc'],
    ['spaces around', '  a b  \n', '  a b  '],
    ['a tab at its end', 'abc\t\n', 'abc\t'],
    ['a lone carriage return', 'abc\r', 'abc\r'],
    ['UTF-8', 'pässwörd €\n', 'pässwörd €'],
    ['nothing but a space', ' \n', ' '],
    ['as long as openssl takes', `${'x'.repeat(1023)}\n`, 'x'.repeat(1023)],
  ])('%s', (_, raw, expected) => {
    expect(reveal(parsePassphrase(new Secret(raw), 'x'))).toBe(expected);
  });

  it('keeps bytes that are not UTF-8', () => {
    expect([...parsePassphrase(new Secret(Uint8Array.of(0xff, 0xfe, 0x0a)), 'x').revealBytes()]).toEqual([0xff, 0xfe]);
  });

  it.each([
    ['', /from "pass\.gpg" is empty/u],
    ['\n', /is empty/u],
    ['\r\n', /is empty/u],
    ['one-s3cret\ntwo', /more than one line/u],
    ['one-s3cret\n\n', /more than one line/u],
    ['\none-s3cret', /more than one line/u],
    ['one-s3cret\0two', /NUL byte/u],
    ['one-s3cret'.padEnd(1024, 'x'), /1024 bytes, more than 1023/u],
  ])('refuses %j', async (raw, message) => {
    await expectRefusal(() => parsePassphrase(new Secret(raw), 'pass.gpg'), 'passphrase', message, /one line/u, [
      'one-s3cret',
    ]);
  });
});

describe('readPassphraseFd', () => {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-fd-'));
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  const withFile = async <T>(content: string, work: (fd: number) => Promise<T>): Promise<T> => {
    const file = join(folder, 'content');
    writeFileSync(file, content);
    const fd = openSync(file, 'r');
    try {
      return await work(fd);
    } finally {
      closeSync(fd);
    }
  };

  it.each([
    ['abc\n', 'abc'],
    [' ä b', ' ä b'],
  ])('reads %j', async (content, expected) => {
    expect(reveal(await withFile(content, readPassphraseFd))).toBe(expected);
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 31])('refuses %s', async (fd) => {
    await expectRefusal(() => readPassphraseFd(fd), 'usage', /not a file descriptor/u, /--passphrase-fd 0/u);
  });

  it('refuses a descriptor that is not open, or not for reading, or a folder', async () => {
    await expectRefusal(() => readPassphraseFd(9999), 'usage', /--passphrase-fd 9999: not open/u, /--passphrase-fd/u);
    for (const [path, flags, why] of [
      [join(folder, 'out'), 'w', /not open for reading/u],
      [folder, 'r', /EISDIR/u],
    ] as const) {
      const fd = openSync(path, flags);
      await expectRefusal(() => readPassphraseFd(fd), 'usage', why, /--passphrase-fd/u);
      closeSync(fd);
    }
  });

  it('refuses an endless one, and an empty one', async () => {
    const fd = openSync('/dev/zero', 'r');
    await expectRefusal(() => readPassphraseFd(fd), 'usage', /more than 65536 bytes/u, /--passphrase-fd/u);
    closeSync(fd);
    await withFile('', (empty) =>
      expectRefusal(() => readPassphraseFd(empty), 'passphrase', /file descriptor \d+" is empty/u, /one line/u),
    );
  });
});

describe('the operator key', () => {
  it('opens what was sealed to it, and the content is just the passphrase', async () => {
    expect(reveal(await openWithOperatorKey(sealed, 'p.gpg', keyFile(operator)))).toBe(secretText);
  });

  it('is a version 4 key of two legacy 25519 parts that never expires', async () => {
    const key = await openpgp.readPrivateKey({ armoredKey: reveal(operator.armored) });
    expect(key.keyPacket.version).toBe(4);
    expect(key.getKeys().map((each) => each.getAlgorithmInfo())).toEqual([
      { algorithm: 'eddsaLegacy', curve: 'ed25519Legacy' },
      { algorithm: 'ecdh', curve: 'curve25519Legacy' },
    ]);
    expect(await key.getExpirationTime()).toBe(Infinity);
    expect(key.getUserIDs()).toEqual(['relaycerts operator key']);
    expect(key.getCreationTime()).toEqual(at);
    expect(operator.recipient.fingerprint).toBe(key.getFingerprint().toUpperCase());
    expect(operator.recipient.expires).toBeUndefined();
    expect(operator.recipient.warnings).toEqual([]);
  });

  it('read again from its file seals to the same key', async () => {
    const recipient = await operatorRecipient(keyFile(operator), at);
    expect(recipient.fingerprint).toBe(operator.recipient.fingerprint);
    const { bytes } = await sealPassphrase(secret, [recipient], at);
    expect(reveal(await openWithOperatorKey(bytes, 'p.gpg', keyFile(operator)))).toBe(secretText);
    expect(inspect(recipient, { depth: 12 })).not.toContain('PRIVATE');
    expect(recipient.key.isPrivate()).toBe(false);
  });

  it('with a password opens only with that', async () => {
    const { bytes } = await sealPassphrase(secret, [locked.recipient], at);
    const open = (password?: Secret) => openWithOperatorKey(bytes, 'p.gpg', keyFile(locked, password, 'k.asc'));
    expect((await readOperatorKey(keyFile(locked))).isLocked).toBe(true);
    expect((await readOperatorKey(keyFile(operator))).isLocked).toBe(false);
    expect(reveal(await open(new Secret('pässword of its own')))).toBe(secretText);
    await expectRefusal(
      () => open(),
      'passphrase',
      /operator key "k\.asc" has a password, and none/u,
      /--passphrase-fd/u,
    );
    const wrong = 'not-the-password';
    await expectRefusal(
      () => open(new Secret(wrong)),
      'passphrase',
      /that is not the password of the operator key/u,
      /again/u,
      [wrong, secretText],
    );
  });

  it("if it is not one, is refused without showing the file's contents", async () => {
    for (const content of ['very-s3cret plain text', '', operator.recipient.key.armor()]) {
      await expectRefusal(
        () =>
          openWithOperatorKey(
            sealed,
            'p.gpg',
            keyFile({ armored: new Secret(content) }, undefined, '/home/x/operator-key.asc'),
          ),
        'passphrase',
        /the operator key "\/home\/x\/operator-key\.asc" is not an armored OpenPGP private key/u,
        /backup/u,
        ['very-s3cret'],
      );
    }
  });
});

describe('sealPassphrase', () => {
  it('seals to each of several recipients, and counts one key once', async () => {
    const recipients = [operator.recipient, other.recipient, operator.recipient];
    const { bytes } = await sealPassphrase(secret, recipients, at);
    expect(readPackets(bytes).packets.map(({ tag }) => tag)).toEqual([1, 1, 18]);
    expect(readSealedTo(bytes, { from: 'x' }).keyIds).toEqual([operator.recipient.keyId, other.recipient.keyId]);
    for (const { armored } of [operator, other]) {
      expect(reveal(await openWithOperatorKey(bytes, 'x', keyFile({ armored })))).toBe(secretText);
    }
  });

  it('differs each time, and never holds the passphrase in the clear', async () => {
    const { bytes } = await sealPassphrase(secret, [operator.recipient], at);
    expect(Buffer.from(bytes).equals(sealed)).toBe(false);
    expect(Buffer.from(bytes).includes(secretText)).toBe(false);
  });

  it('to nobody is our own mistake', async () => {
    await expect(sealPassphrase(secret, [], at)).rejects.toThrow(TypeError);
  });
});

describe('recipients whose keys ask for more', () => {
  it.each([
    ['version 6', { type: 'curve25519', config: { v6Keys: true } }, /is of version 6, which GnuPG cannot read$/u],
    ['X25519', { type: 'curve25519' }, /encrypts with x25519 of RFC 9580, which GnuPG cannot read$/u],
    ['X448', { type: 'curve448' }, /encrypts with x448 of RFC 9580/u],
  ] as const)('%s is refused', async (_, options, message) => {
    const key = { ...options, userIDs: [{ email: 'n@example.org' }] };
    await expectRefusal(() => sealTo(key), 'recipient', message, /gpg --quick-generate-key/u);
  });

  it('AEAD: one warning, and still version 1 protection that opens', async () => {
    const userIDs = [{ email: 'n@example.org' }];
    const { bytes, warnings, privateKey } = await sealTo({ type: 'ecc', config: { aeadProtect: true }, userIDs });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/^key [0-9A-F]+ "<n@example\.org>" from "k\.asc" asks for AEAD encryption; it gets/u);
    expect(readPackets(bytes).packets.map(({ tag, body }) => [tag, body[0]])).toEqual([
      [1, 3],
      [18, 1],
    ]);
    const armored = new Secret(privateKey.armor());
    expect(reveal(await openWithOperatorKey(bytes, 'x', keyFile({ armored })))).toBe(secretText);
  });

  it('a plain key warns of nothing', async () => {
    expect((await sealTo({ type: 'ecc', userIDs: [{ name: 'plain' }] })).warnings).toEqual([]);
  });
});

describe('files that are not recipients', () => {
  it.each([
    ['an empty file', text(''), /"k\.asc" is empty/u],
    ['text', text('ssh-ed25519 AAAAC3 someone\n'), /"k\.asc" is not an OpenPGP public key/u],
    ['garbage', Uint8Array.of(0, 1, 2, 3), /is not an OpenPGP public key/u],
    ['garbage with a high bit', Uint8Array.of(0xff, 0xfe, 0x80, 0x00, 0x91), /is not an OpenPGP public key/u],
    ['armor without end', text('-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDME\n'), /is not an OpenPGP public key/u],
  ])('%s', async (_, bytes, message) => {
    await refuseKeys(bytes, message);
  });

  it('a private key, a message, half a key', async () => {
    const privateKey = text(reveal(operator.armored));
    const secretPart = reveal(operator.armored).split('\n')[5] ?? '-';
    const error = await refuseKeys(privateKey, /holds a private key/u);
    expect(inspect(error)).not.toContain(secretPart);
    const binary = (await openpgp.readPrivateKey({ armoredKey: reveal(operator.armored) })).write();
    await refuseKeys(binary, /holds a private key/u);
    await refuseKeys(sealed, /is OpenPGP, but not a public key/u);
    await refuseKeys(operator.recipient.key.write().subarray(0, 100), /is damaged: it ends inside a key/u);
  });

  it('a key of a version that nobody reads is not passed over in silence', async () => {
    const odd = operator.recipient.key.write();
    odd[2] = 9;
    const good = other.recipient.key.write();
    await refuseKeys(
      Buffer.concat([good, odd]),
      /holds a key that cannot be read \(version 4, algorithm 22; version 9/u,
    );
    await refuseKeys(odd, /cannot be read \(version 9/u);
  });

  it('a weak key, one that cannot encrypt, one that is not valid yet', async () => {
    const weak = await openpgp.generateKey({
      type: 'rsa',
      rsaBits: 1024,
      userIDs: [{ name: 'weak' }],
      date: at,
      format: 'object',
      config: { minRSABits: 1024 },
    });
    await refuseKeys(weak.publicKey.write(), /is too weak \(RSA keys shorter than 2047 bits/u, /quick-generate-key/u);
    const signs = await openpgp.generateKey({
      type: 'ecc',
      userIDs: [{ name: 'signs' }],
      date: at,
      format: 'object',
      subkeys: [],
    });
    signs.publicKey.subkeys = [];
    const bytes = signs.publicKey.write();
    await refuseKeys(bytes, /can only sign: it has no subkey/u, /quick-add-key [0-9A-F]{40} cv25519 encr/u);
    const [user] = other.recipient.key.users;
    const certifications = user?.selfCertifications ?? [];
    const taken = certifications.splice(0);
    const bare = other.recipient.key.write();
    certifications.push(...taken);
    await refuseKeys(bare, /has no valid signature of its own on a user ID$/u, /passphrase\.recipients/u);
    const later = await makeOperatorKey(new Date('2030-01-01T00:00:00Z'), 'later');
    await refuseKeys(later.recipient.key.write(), /begins on 2030-01-01, in the future/u, /date/u);
  });
});

describe('files that are not sealed passphrases', () => {
  const refuse = (bytes: Uint8Array, message: RegExp, hint = /backup/u) =>
    expectRefusal(
      () => openPassphrase({ bytes, from: '/root/.p.gpg', operatorKey: keyFile(operator), ...gpg }),
      'passphrase',
      message,
      hint,
      [secretText],
    );

  it.each([
    ['empty', text(''), /"\/root\/\.p\.gpg" is empty/u, /backup/u],
    ['plain text', text(`${secretText}\n`), /is plain text, not an OpenPGP message/u, /gpg --encrypt/u],
    ['plain UTF-8', text('über'), /is plain text/u, /gpg --encrypt/u],
    ['garbage', Uint8Array.of(0, 1, 2), /is not an OpenPGP message/u, /backup/u],
    ['too large', new Uint8Array(70_000), /is too large for a passphrase/u, /backup/u],
    [
      'signed',
      text('-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n'),
      /is signed but not encrypted/u,
      /--encrypt/u,
    ],
    ['broken armor', text('-----BEGIN PGP MESSAGE-----\n\nwQIH\n'), /armor is broken or cut off/u, /backup/u],
  ])('%s', async (_, bytes, message, hint) => {
    await refuse(bytes, message, hint);
  });

  it('a key, a literal message', async () => {
    await refuse(operator.recipient.key.write(), /holds an OpenPGP key/u);
    await refuse(text(operator.recipient.key.armor()), /holds an OpenPGP key/u);
    await refuse(text(reveal(operator.armored)), /holds an OpenPGP key/u);
    const literal: unknown = (await openpgp.createMessage({ text: 'x' })).write();
    if (!(literal instanceof Uint8Array)) throw new Error('a stream');
    await refuse(literal, /OpenPGP, but not encrypted/u, /--encrypt/u);
  });

  it('cut off anywhere, one bit turned anywhere, or something added', async () => {
    for (const length of [1, 10, 50, 96, 97, sealed.length - 20, sealed.length - 1]) {
      await refuse(sealed.subarray(0, length), /is damaged|is not an OpenPGP message/u);
    }
    for (let octet = 12; octet < sealed.length; octet += 7) {
      const turned = Uint8Array.from(sealed);
      turned[octet] = (turned[octet] ?? 0) ^ 0x10;
      await refuse(turned, /is damaged/u);
    }
    await refuse(Buffer.concat([sealed, text('tail')]), /is damaged/u);
  });

  it('armored works', async () => {
    const armored = text(openpgp.armor(openpgp.enums.armor.message, sealed));
    const opened = await openPassphrase({ bytes: armored, from: 'p.asc', operatorKey: keyFile(operator), ...gpg });
    expect(reveal(opened)).toBe(secretText);
  });
});

describe('chooseOpener', () => {
  it('uses the operator key if it is named, and leaves the rest to gpg', async () => {
    expect(await choose([operator], operator)).toHaveProperty('opener', 'operator-key');
    expect(await choose([other, operator], operator)).toHaveProperty('opener', 'operator-key');
    expect(await choose([other], operator)).toHaveProperty('opener', 'gpg');
    expect(await choose([other], undefined)).toHaveProperty('opener', 'gpg');
    expect(await choose([locked], locked)).toHaveProperty('opener', 'operator-key');
    expect(await choose([locked, other], locked)).toHaveProperty('opener', 'gpg');
    expect(await choose([locked, other], locked, new Secret('pässword of its own'))).toHaveProperty(
      'opener',
      'operator-key',
    );
  });
});
