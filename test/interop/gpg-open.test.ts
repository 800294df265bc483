// Opening what GnuPG encrypted, and everything that can prevent it, each one produced on purpose.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Run } from '../../src/sys/run.js';
import { decryptWithGpg } from '../../src/custody/gpg.js';
import { openPassphrase } from '../../src/custody/open.js';
import { readPackets } from '../../src/custody/packets.js';
import { expectRefusal, makeGnupg, reveal, type Gnupg } from '../support/gnupg.js';
import { requireTools } from '../support/require-tools.js';

const secretText = 'a-pässphrase of a user';
const keyPassword = 'the-keys-own-pässword';
let gnupg: Gnupg;
let stranger: Gnupg;
/** To a key without and a key with a password. */
let toOpen: Buffer;
let toLocked: Buffer;
let lockedFingerprint: string;

beforeAll(() => {
  gnupg = makeGnupg();
  stranger = makeGnupg();
  gnupg.makeKey({ userId: 'open@example.org' });
  lockedFingerprint = gnupg.makeKey({ userId: 'Locked <locked@example.org>', password: keyPassword });
  toOpen = encryptTo('open@example.org');
  toLocked = encryptTo('locked@example.org');
});
afterEach(() => {
  gnupg.configureAgent([]);
});
afterAll(() => {
  gnupg.dispose();
  stranger.dispose();
});

function encryptTo(address: string, text: string | Uint8Array = secretText, options: readonly string[] = []): Buffer {
  return gnupg.gpg([...options, '--trust-model', 'always', '--encrypt', '--recipient', address], text);
}

function sealed(
  bytes: Uint8Array,
  { run = gnupg.run, tty }: { run?: Run; tty?: string } = {},
  from = '/home/u/.p.gpg',
) {
  return { bytes, from, operatorKey: undefined, operatorKeyPath: '/home/u/operator-key.asc', run, tty };
}

function open(bytes: Uint8Array, options: { run?: Run; tty?: string } = {}) {
  return openPassphrase(sealed(bytes, options));
}

function symmetric(): Buffer {
  const bytes = gnupg.gpg(['--pinentry-mode', 'loopback', '--passphrase', keyPassword, '--symmetric'], secretText);
  gnupg.forgetPasswords();
  return bytes;
}

const tmux = (...args: readonly string[]): string =>
  spawnSync('tmux', ['-S', join(gnupg.home, 'tmux'), ...args], { encoding: 'utf8' }).stdout;

function useCurses(): void {
  const curses = '/usr/bin/pinentry-curses';
  if (!existsSync(curses)) throw new Error('pinentry-curses is missing: apt-get install pinentry-curses');
  gnupg.configureAgent([`pinentry-program ${curses}`]);
}

/** In place of gpg. */
const endless: Run = (_, __, options) => gnupg.run('sh', ['-c', 'exec cat /dev/zero >&2'], options);

function withEnv(env: Record<string, string>): Run {
  return (command, args, options) => gnupg.run(command, args, { ...options, env: { ...options.env, ...env } });
}

const refuseContent = (content: string | Uint8Array, message: RegExp) =>
  expectRefusal(() => open(encryptTo('open@example.org', content)), 'passphrase', message, /one line/u, [
    'first-s3cret',
  ]);

const secrets = [secretText, keyPassword, 'not-the-pässword'];

describe('files that users made', () => {
  it.each([
    ['echo', `${secretText}\n`, secretText],
    ['printf', secretText, secretText],
    ['a Windows shell', `${secretText}\r\n`, secretText],
    ['spaces around', '  two  spaces  \n', '  two  spaces  '],
    ['UTF-8', 'pässwörd € 密码\n', 'pässwörd € 密码'],
  ])('%s', async (_, content, expected) => {
    expect(reveal(await open(encryptTo('open@example.org', content)))).toBe(expected);
    expect(reveal(await open(encryptTo('open@example.org', content, ['--armor'])))).toBe(expected);
  });

  it('from a pipe of printf into gpg', async () => {
    const line = `printf '%s\\n' "$S" | gpg --batch --quiet --trust-model always -e -r open@example.org`;
    const { stdout } = spawnSync('sh', ['-c', line], { env: { ...process.env, GNUPGHOME: gnupg.home, S: secretText } });
    expect(reveal(await open(stdout))).toBe(secretText);
  });

  it.each([
    ['signed as well', ['--sign', '--local-user', 'open@example.org']],
    ['to a hidden recipient', ['--throw-keyids']],
    ['compressed', ['--compress-algo', 'zlib']],
  ])('%s', async (_, options) => {
    expect(reveal(await open(encryptTo('open@example.org', secretText, options)))).toBe(secretText);
  });

  it('signed by somebody whom nobody knows', async () => {
    const signer = makeGnupg();
    try {
      signer.makeKey({ userId: 'signer@example.org' });
      signer.gpg(['--import'], gnupg.gpg(['--export', 'open@example.org']));
      const args = ['--trust-model', 'always', '--sign', '--encrypt', '--recipient', 'open@example.org'];
      expect(reveal(await open(signer.gpg(args, secretText)))).toBe(secretText);
    } finally {
      signer.dispose();
    }
  });

  it('encrypted with a password only', async () => {
    const bytes = symmetric();
    const tty = '/dev/pts/42';
    gnupg.answerPinentry(keyPassword);
    expect(reveal(await open(bytes, { tty }))).toBe(secretText);
    gnupg.answerPinentry('not-the-pässword');
    const wrong = /^gpg cannot open "\/home\/u\/\.p\.gpg": that is not the password that it is encrypted with$/u;
    await expectRefusal(() => open(bytes, { tty }), 'passphrase', wrong, /give the password/u, secrets);
    useCurses();
    const run = withEnv({ GPG_TTY: '', DISPLAY: '' });
    const nobody = /there is no terminal to ask for the password that it is encrypted with$/u;
    await expectRefusal(() => open(bytes, { run }), 'tool', nobody, /on a terminal/u, secrets);
  });

  it('that hold no passphrase are refused', async () => {
    await refuseContent('\n', /the passphrase from "\/home\/u\/\.p\.gpg" is empty/u);
    await refuseContent('first-s3cret\nsecond\n', /more than one line/u);
    await refuseContent('first-s3cret\0', /NUL/u);
  });
});

describe('what gpg writes has an end', () => {
  it('a file of some hundred octets that holds megabytes', async () => {
    const packed = encryptTo('open@example.org', Buffer.alloc(1 << 26), ['--compress-algo', 'bzip2']);
    expect(packed.length).toBeLessThan(4096);
    let got = 0;
    const run: Run = async (...call) => {
      const result = await gnupg.run(...call);
      got = result.stdout.length;
      return result;
    };
    await expectRefusal(() => open(packed, { run }), 'passphrase', /holds too much/u, /backup/u, []);
    expect(got).toBe(65_536);
  });

  it('and a program that does not stop writing is stopped', async () => {
    await expectRefusal(
      () => open(toOpen, { run: endless }),
      'tool',
      /sh was stopped: it wrote more than/u,
      /hand/u,
      [],
    );
  });
});

describe("the user's own key has a passphrase", () => {
  it('by pinentry: right, wrong and cancelled; it gets the terminal', async () => {
    gnupg.answerPinentry(keyPassword);
    expect(reveal(await open(toLocked, { tty: '/dev/pts/42' }))).toBe(secretText);
    expect(readFileSync(join(gnupg.home, 'pinentry.log'), 'utf8')).toContain('OPTION ttyname=/dev/pts/42');

    gnupg.answerPinentry('not-the-pässword');
    const wrong = /that is not the passphrase of the OpenPGP key$/u;
    await expectRefusal(() => open(toLocked, { tty: '/dev/pts/42' }), 'passphrase', wrong, /again/u, secrets);

    gnupg.answerPinentry(undefined);
    const cancelled =
      /^cannot open "\/home\/u\/\.p\.gpg": the question for the passphrase of the OpenPGP key was cancelled$/u;
    await expectRefusal(() => open(toLocked, { tty: '/dev/pts/42' }), 'passphrase', cancelled, /again/u, secrets);
  });

  it('by pinentry-curses on a terminal that is not our standard input', async () => {
    requireTools('tmux');
    useCurses();
    tmux('new-session', '-d', '-x', '80', '-y', '24', 'sleep 600');
    try {
      // On TERM=dumb, which the tests may run under, pinentry-curses shows nothing but the first words.
      const run = withEnv({ TERM: 'screen' });
      const opening = open(toLocked, { run, tty: tmux('display-message', '-p', '#{pane_tty}').trim() });
      await vi.waitFor(() => expect(tmux('capture-pane', '-p')).toMatch(/Locked <locked@example\.org>/u), {
        timeout: 240_000,
      });
      tmux('send-keys', '-l', keyPassword);
      tmux('send-keys', 'Enter');
      expect(reveal(await opening)).toBe(secretText);
      expect(tmux('capture-pane', '-p')).not.toContain(secretText);
    } finally {
      tmux('kill-server');
    }
  });

  it('that the agent remembers is not asked for', async () => {
    gnupg.answerPinentry(keyPassword);
    await open(toLocked);
    rmSync(join(gnupg.home, 'pinentry'));
    expect(reveal(await open(toLocked))).toBe(secretText);
  });

  it('without a terminal, with pinentry-curses, is a clear error', async () => {
    useCurses();
    const run = withEnv({ GPG_TTY: '', DISPLAY: '' });
    await expectRefusal(
      () => open(toLocked, { run }),
      'tool',
      /there is no terminal to ask for the passphrase of the OpenPGP key$/u,
      /--passphrase-fd/u,
      secrets,
    );
  });

  it('without a terminal, with loopback in gpg.conf, is the same error', async () => {
    writeFileSync(join(gnupg.home, 'gpg.conf'), 'pinentry-mode loopback\n');
    try {
      await expectRefusal(
        () => open(toLocked),
        'tool',
        /there is no terminal to ask for/u,
        /--passphrase-fd/u,
        secrets,
      );
    } finally {
      rmSync(join(gnupg.home, 'gpg.conf'));
    }
  });

  it('and there is no pinentry', async () => {
    gnupg.configureAgent(['pinentry-program /nonexistent/pinentry']);
    await expectRefusal(
      () => open(toLocked),
      'tool',
      /finds no pinentry/u,
      /apt-get install pinentry-curses/u,
      secrets,
    );
  });

  it('and the pinentry ends before it answers', async () => {
    gnupg.answerPinentry(keyPassword);
    writeFileSync(
      join(gnupg.home, 'pinentry'),
      `#!/bin/sh
echo "OK ready"
while read -r word rest; do
  if [ "$word" = GETPIN ]; then exit 1; fi
  echo OK
done
`,
    );
    await expectRefusal(
      () => open(toLocked, { tty: '/dev/pts/42' }),
      'tool',
      /gpg-agent or its pinentry stopped \(public key decryption failed: /u,
      /gpg --decrypt/u,
      secrets,
    );
  });

  it('and there is no pinentry for a file with a password only', async () => {
    const bytes = symmetric();
    gnupg.configureAgent(['pinentry-program /nonexistent/pinentry']);
    await expectRefusal(() => open(bytes), 'tool', /finds no pinentry/u, /pinentry-curses/u, secrets);
  });
});

describe('nothing opens it', () => {
  it('because GnuPG has no such secret key', async () => {
    await expectRefusal(
      () => open(toOpen, { run: stranger.run }),
      'passphrase',
      /^"\/home\/u\/\.p\.gpg" is encrypted to [0-9A-F]{16}, and GnuPG has the secret key of none of them, and the operator key "\/home\/u\/operator-key\.asc" is missing$/u,
      /^restore it from a backup: install -D -m 600 BACKUP \/home\/u\/operator-key\.asc; unpack a file of relaycerts backup first: gpg --decrypt FILE \| tar -x;/u,
      secrets,
    );
  });

  it('because only the public key is there', async () => {
    stranger.gpg(['--import'], gnupg.gpg(['--export', lockedFingerprint]));
    await expectRefusal(
      () => open(toLocked, { run: stranger.run }),
      'passphrase',
      /none of them/u,
      /install -D -m 600 BACKUP \/home\/u\/operator-key\.asc/u,
      secrets,
    );
  });

  it('because nobody here is its hidden recipient', async () => {
    stranger.makeKey({ userId: 'stranger@example.org' });
    await expectRefusal(
      () => open(encryptTo('open@example.org', secretText, ['--throw-keyids']), { run: stranger.run }),
      'passphrase',
      /^"\/home\/u\/\.p\.gpg" is encrypted to a hidden recipient, and GnuPG has the secret key of none of them, and the operator key "\/home\/u\/operator-key\.asc" is missing$/u,
      /install -D -m 600 BACKUP \/home\/u\/operator-key\.asc/u,
      secrets,
    );
  });

  it('because only the public key of an owner named after an agent is there', async () => {
    gnupg.makeKey({ userId: 'Agent <agent@example.org>' });
    stranger.gpg(['--import'], gnupg.gpg(['--export', 'agent@example.org']));
    await expectRefusal(
      () => open(encryptTo('agent@example.org'), { run: stranger.run }),
      'passphrase',
      /none of them, /u,
      /install -D -m 600 BACKUP \/home\/u\/operator-key\.asc/u,
      secrets,
    );
  });

  it('because gpg is missing', async () => {
    const empty = join(gnupg.home, 'empty');
    mkdirSync(empty);
    const run = withEnv({ PATH: empty });
    await expectRefusal(
      () => open(toOpen, { run }),
      'passphrase',
      /is encrypted to [0-9A-F]{16}, and gpg is not installed, and the operator key "\/home\/u\/operator-key\.asc" is missing$/u,
      /install -D -m 600 BACKUP/u,
      secrets,
    );
  });

  it('because gpg may not be run', async () => {
    const folder = join(gnupg.home, 'forbidden');
    mkdirSync(folder);
    writeFileSync(join(folder, 'gpg'), '', { mode: 0o644 });
    const run = withEnv({ PATH: folder });
    await expectRefusal(() => open(toOpen, { run }), 'tool', /^gpg cannot be started \(EACCES\)$/u, /gpg/u, secrets);
  });

  it('because the agent cannot be started', async () => {
    gnupg.forgetPasswords();
    writeFileSync(join(gnupg.home, 'gpg.conf'), 'agent-program /nonexistent/gpg-agent\n');
    try {
      await expectRefusal(
        () => open(toOpen),
        'tool',
        /gpg-agent cannot be started/u,
        /gpgconf --launch gpg-agent/u,
        secrets,
      );
    } finally {
      rmSync(join(gnupg.home, 'gpg.conf'));
    }
  });

  it('because GnuPG itself is broken', async () => {
    const run = withEnv({ GNUPGHOME: '/nonexistent/gnupg' });
    await expectRefusal(
      () => open(toOpen, { run }),
      'tool',
      /its keyring is missing.*No such file/u,
      /gpg --list-secret-keys/u,
      secrets,
    );
  });
});

describe('the file is damaged', () => {
  it('cut off anywhere', async () => {
    for (const length of [0, 1, 20, 60, 95, toOpen.length - 1]) {
      await expectRefusal(
        () => open(toOpen.subarray(0, length)),
        'passphrase',
        /^"\/home\/u\/\.p\.gpg" is (?:empty|damaged|not an OpenPGP message)/u,
        /backup/u,
        secrets,
      );
    }
  });

  it('one bit turned: in the session key, in the data, in the check', async () => {
    // Offsets from the start of each packet's encrypted part; gpg finds each in another way.
    for (const octet of [40, 80, toOpen.length - 40, toOpen.length - 25, toOpen.length - 1]) {
      const turned = Uint8Array.from(toOpen);
      turned[octet] = (turned[octet] ?? 0) ^ 0x01;
      await expectRefusal(() => open(turned), 'passphrase', /\.p\.gpg" is damaged/u, /backup/u, secrets);
    }
  });

  it('not protected against changes at all', async () => {
    // GnuPG 2.2 writes no such file any more: its data packet is type 9 instead of 18, without the version octet.
    const [session, data] = readPackets(toOpen).packets;
    if (session === undefined || data === undefined) throw new Error('not two packets');
    const body = data.body.subarray(1);
    const bytes = Buffer.concat([toOpen.subarray(0, 2), session.body, Buffer.from([0xc9, body.length]), body]);
    expect(toOpen[1]).toBe(session.body.length);
    expect(body.length).toBeLessThan(192);
    await expectRefusal(() => open(bytes), 'passphrase', /without protection against changes/u, /again/u, secrets);
    await expectRefusal(
      () => decryptWithGpg(sealed(bytes, {}, 'p.gpg'), 'missing'),
      'passphrase',
      /"p\.gpg" is damaged/u,
      /backup/u,
      secrets,
    );
  });

  it('not encrypted: gpg would print it, we refuse it', async () => {
    const signed = gnupg.gpg(['--sign', '--local-user', 'open@example.org'], secretText);
    await expectRefusal(() => open(signed), 'passphrase', /OpenPGP, but not encrypted/u, /--encrypt/u, secrets);
    await expectRefusal(
      () => decryptWithGpg(sealed(signed, {}, 'p.gpg'), 'missing'),
      'passphrase',
      /^"p\.gpg" is signed but not encrypted$/u,
      /--encrypt/u,
      secrets,
    );
    await expectRefusal(
      () => decryptWithGpg(sealed(new TextEncoder().encode(secretText), {}, 'p.gpg'), 'missing'),
      'passphrase',
      /^"p\.gpg" is not an OpenPGP message, or is damaged$/u,
      /backup/u,
      secrets,
    );
  });
});

describe('how gpg is run', () => {
  it('with neither the secret nor the password in argv or environment', async () => {
    const seen: string[] = [];
    const run: Run = (command, args, options) => {
      seen.push(JSON.stringify([command, args, options.env]));
      return gnupg.run(command, args, options);
    };
    gnupg.answerPinentry(keyPassword);
    expect(reveal(await open(toLocked, { run, tty: '/dev/pts/42' }))).toBe(secretText);
    expect(seen).toHaveLength(1);
    for (const secret of [secretText, keyPassword]) expect(seen.join('')).not.toContain(secret);
  });
});
