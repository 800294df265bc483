// Whether the CA's passphrase can be opened, judged long before it is needed: with the operator key, and with files that
// belong to other projects. Keys in GnuPG are in test/interop/custody-gnupg.test.ts.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { certificatesOf } from '../support/answer.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, program, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { openTerminal } from '../support/terminal.js';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const sealedFile = (): string => join(project.home, '.example.org-relaycerts-passphrase.gpg');
const operatorKey = (): string => join(project.home, '.config/relaycerts/operator-key.asc');
const caKey = (): string => project.path('certs/ca/example.org-ca.key.pem');
const places = { passphrase: sealedFile, 'operator key': operatorKey, 'CA key': caKey } as const;

/** Without ~/.gnupg, which gpg makes when it is asked for keys. */
const trees = (): readonly unknown[] => [
  treeOf(project.folder),
  Object.entries(treeOf(project.home)).filter(([path]) => !path.startsWith('.gnupg')),
];

interface Row {
  readonly role: string;
  readonly state: string;
  readonly why: string | null;
}

async function passphraseRow(): Promise<Row | undefined> {
  return certificatesOf<Row>(await project.run(['status', '--json'])).find(({ role }) => role === 'passphrase');
}

/** Asserts that every form of status, and make, reports what is wrong with which file; returns the hint. */
async function expectUnopenable(file: string, message: RegExp): Promise<string> {
  const before = trees();
  const status = await project.run(['status']);
  expect([status.status, status.stderr], status.stderr).toEqual([3, expect.stringMatching(message)]);
  expect(status.stderr).toContain(file);
  const row = await passphraseRow();
  expect(row?.state).toBe('unopenable');
  expect(row?.why).toMatch(message);
  expect((await project.run(['status', '--json'])).status).toBe(3);
  const nagios = await project.run(['status', '--format', 'nagios']);
  expect([nagios.status, nagios.stdout]).toEqual([1, expect.stringMatching(message)]);
  for (const args of [['make'], ['make', '--check'], ['make', '--dry-run']]) {
    const made = await project.run(args);
    expect([args, made.status, made.stderr]).toEqual([args, 3, expect.stringMatching(message)]);
    expect(made.stdout + made.stderr).toMatch(/nothing to make, but the CA's passphrase cannot be opened\n/u);
  }
  expect(trees()).toEqual(before);
  return /^relaycerts: hint: (.*)$/mu.exec(status.stderr)?.[1] ?? '';
}

async function expectWell(): Promise<void> {
  if (!existsSync(project.path('certs/installed.json'))) await noteAsInstalled(project);
  expect(await project.run(['status'])).toMatchObject({ status: 0, stderr: '' });
  expect(await passphraseRow()).toMatchObject({ state: 'ok', why: null });
  expect((await project.run(['make', '--check'])).status).toBe(0);
}

/** Runs the command in a hint to the letter, with BACKUP a real file. */
function follow(hint: string, backup = ''): void {
  const command = /(?:^|: )((?:mv|cp|install) [^;]*)/u.exec(hint)?.[1] ?? 'false';
  execFileSync('sh', ['-ec', command.replace('BACKUP', backup)], { cwd: project.folder });
}

const cut = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length / 2);
const none = (): Buffer => Buffer.alloc(0);
const text = (): Buffer => Buffer.from('not what it should be\n');
const noise = (): Buffer => Buffer.from(Array.from({ length: 300 }, (_, at) => (at * 37 + 11) % 256));

describe('what opens the CA', () => {
  it('is proven after make, and nothing is written for it', async () => {
    await noteAsInstalled(project);
    const before = trees();
    await expectWell();
    expect(trees()).toEqual(before);
  });

  it.each([
    ['passphrase', 'empty', none, /passphrase\.gpg\\?" is empty/u],
    ['passphrase', 'cut', cut, /passphrase\.gpg\\?" is (?:damaged|not an OpenPGP message)/u],
    ['passphrase', 'text', text, /passphrase\.gpg\\?" is plain text, not an OpenPGP message/u],
    ['passphrase', 'noise', noise, /passphrase\.gpg\\?" is (?:damaged|not an OpenPGP message)/u],
    ['passphrase', 'with a tail', (bytes: Buffer) => Buffer.concat([bytes, text()]), /passphrase\.gpg\\?" is damaged/u],
    ['passphrase', 'two messages', (bytes: Buffer) => Buffer.concat([bytes, bytes]), /passphrase\.gpg\\?" is damaged/u],
    [
      'passphrase',
      'damaged inside',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]),
      /passphrase\.gpg\\?" is damaged and does not decrypt/u,
    ],
    ['CA key', 'empty', none, /-ca\.key\.pem\\?" holds no private key in PEM form/u],
    ['CA key', 'cut', cut, /-ca\.key\.pem\\?" holds a PEM block that does not end/u],
    ['CA key', 'text', text, /-ca\.key\.pem\\?" holds no private key in PEM form/u],
    ['operator key', 'empty', none, /operator-key\.asc\\?" is not an armored OpenPGP private key/u],
    ['operator key', 'cut', cut, /operator-key\.asc\\?" is not an armored OpenPGP private key/u],
    ['operator key', 'text', text, /operator-key\.asc\\?" is not an armored OpenPGP private key/u],
  ] as const)('%s %s: exit 3 at once, and the hint brings it back', async (what, _how, spoil, message) => {
    const path = places[what]();
    const backup = join(project.home, 'backup');
    copyFileSync(path, backup);
    writeFileSync(path, spoil(readFileSync(path)));
    follow(await expectUnopenable(path, message), backup);
    await expectWell();
  });

  it('operator key gone: its file is blamed, and the hint makes its folder', async () => {
    const backup = join(project.home, 'backup');
    copyFileSync(operatorKey(), backup);
    rmSync(dirname(operatorKey()), { recursive: true });
    const hint = await expectUnopenable(operatorKey(), /operator-key\.asc\\?" is missing/u);
    expect(hint).toContain('XDG_CONFIG_HOME');
    follow(hint, backup);
    await expectWell();
  });

  it('operator key gone, and no gpg: its file is to blame all the same', async () => {
    rmSync(operatorKey());
    const { status, stderr } = await project.run(['status'], { env: { PATH: '/nonexistent' } });
    expect([status, stderr]).toEqual([3, expect.stringMatching(/operator-key\.asc" is missing\n.*install -D -m 600/u)]);
  });

  it('operator key in another XDG_CONFIG_HOME than now: the place is named', async () => {
    const { status, stderr } = await project.run(['status'], { env: { XDG_CONFIG_HOME: join(project.home, 'xdg') } });
    expect([status, stderr]).toEqual([
      3,
      expect.stringContaining(join(project.home, 'xdg/relaycerts/operator-key.asc')),
    ]);
  });

  it("another project's passphrase: the right one comes back, both stay", async () => {
    const other = makeProject({ ...smallSettings(), domain: 'example.net' });
    try {
      // The same user, so the same operator key opens both.
      mkdirSync(dirname(join(other.home, '.config/relaycerts/x')), { recursive: true });
      copyFileSync(operatorKey(), join(other.home, '.config/relaycerts/operator-key.asc'));
      expect((await other.run(['make'])).status).toBe(0);
      const backup = join(project.home, 'backup');
      copyFileSync(sealedFile(), backup);
      copyFileSync(join(other.home, '.example.net-relaycerts-passphrase.gpg'), sealedFile());
      const foreign = readFileSync(sealedFile());
      follow(await expectUnopenable(sealedFile(), /does not open the CA's key/u), backup);
      expect(readFileSync(`${sealedFile()}.other`).equals(foreign)).toBe(true);
      await expectWell();
    } finally {
      other.remove();
    }
  });

  it("another operator key: it stays, and the right one's place is named", async () => {
    const right = readFileSync(operatorKey());
    const other = makeProject();
    try {
      expect((await other.run(['make'])).status).toBe(0);
      copyFileSync(join(other.home, '.config/relaycerts/operator-key.asc'), operatorKey());
    } finally {
      other.remove();
    }
    const hint = await expectUnopenable(operatorKey(), /operator-key\.asc\\?" is another key/u);
    expect(hint).toMatch(/gpg --import BACKUP/u);
    writeFileSync(operatorKey(), right);
    await expectWell();
  });

  it('a CA key from before a passphrase change: the kept file opens it', async () => {
    const old = readFileSync(caKey());
    expect((await project.run(['passphrase', 'change'])).status).toBe(0);
    writeFileSync(caKey(), old);
    const hint = await expectUnopenable(sealedFile(), /does not open the CA's key .*an older state/u);
    expect(hint).toContain('passphrase.gpg.old');
    follow(hint);
    await expectWell();
  });

  it('a CA key that does not belong to the certificate', async () => {
    const [right, certificate] = [readFileSync(caKey()), 'certs/ca/example.org-ca.crt.pem'];
    const mine = project.read(certificate);
    for (const path of [caKey(), project.path(certificate)]) rmSync(path);
    rmSync(project.path('certs'), { recursive: true });
    rmSync(project.path('hosts'), { recursive: true });
    expect((await project.run(['make'])).status).toBe(0);
    const other = readFileSync(caKey());
    project.write(certificate, mine);
    expect((await project.run(['status', '--json'])).stdout).toContain('does not belong to its certificate');
    expect(other.equals(right)).toBe(false);
  });

  it('the next CA of a rekey is opened too', async () => {
    expect((await project.run(['renew', '--ca', '--rekey'])).status).toBe(0);
    expect(await passphraseRow()).toMatchObject({ state: 'ok', why: null });
    const next = project.path('certs/ca/example.org-ca.new.key.pem');
    writeFileSync(next, '');
    expect(await passphraseRow()).toMatchObject({ state: 'unopenable', why: expect.stringContaining(next) as string });
  });

  it('a new project has no row for it yet', async () => {
    expect((await project.run(['clean', '--yes'])).status).toBe(0);
    expect(await passphraseRow()).toBeUndefined();
  });
});

const onTerminal = (...args: readonly string[]) =>
  openTerminal({
    command: [process.execPath, program, ...args],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
  });

describe('status --open', () => {
  it("asks for the operator key's password; plain status does not", async () => {
    const setting = await onTerminal('passphrase', 'operator-password');
    try {
      for (let times = 0; times < 2; times += 1) {
        await setting.waitFor(times === 0 ? 'New password' : 'again');
        setting.type('a password of its own');
        setting.press('Enter');
      }
      expect(await setting.ended()).toBe(0);
    } finally {
      setting.dispose();
    }
    const said = /opens with the password of the operator key .*: relaycerts status --open$/mu;
    await noteAsInstalled(project);
    expect(await project.run(['status'])).toMatchObject({ status: 0, stderr: expect.stringMatching(said) as string });
    expect((await passphraseRow())?.why).toMatch(said);
    const nobody = await project.run(['status', '--open']);
    expect([nobody.status, nobody.stderr]).toEqual([3, expect.stringMatching(/has a password, and none was given/u)]);
    for (const [password, status] of [
      ['a password of its own', 0],
      ['another', 3],
    ] as const) {
      const asking = await onTerminal('status', '--open');
      try {
        await asking.waitFor('Password of the operator key');
        asking.type(password);
        asking.press('Enter');
        expect(await asking.ended(), asking.screen()).toBe(status);
        expect(asking.screen()).not.toContain('to prove it');
      } finally {
        asking.dispose();
      }
    }
  });

  it('accepts the passphrase itself, even if its file is elsewhere', async () => {
    const passphrase = (await project.run(['passphrase', 'show', '--yes'])).stdout;
    await noteAsInstalled(project);
    rmSync(sealedFile());
    const status = (input: string): Result => project.spawn(['status', '--open', '--passphrase-fd', '0'], { input });
    expect(status(passphrase)).toMatchObject({ status: 0, stderr: '' });
    const wrong = status('another passphrase, long enough');
    expect([wrong.status, wrong.stderr]).toEqual([3, expect.stringMatching(/the passphrase does not open/u)]);
  });
});

/** Settings from somebody else, who wants example.org's passphrase encrypted to their own key. */
const settings = (recipients: readonly string[]): unknown => ({
  ...smallSettings({ passphrase: { file: sealedFile(), recipients } }),
  domain: 'example.net',
});

describe('a passphrase file that this project did not make', () => {
  let theirs: string;
  let victim: Buffer;
  let stranger: Project;
  beforeEach(async () => {
    stranger = makeProject(null);
    theirs = stranger.path('their-key.asc');
    victim = readFileSync(sealedFile());
    const { generateKey } = await import('openpgp');
    const { publicKey } = await generateKey({ userIDs: [{ name: 'Somebody else' }], config: { v6Keys: false } });
    writeFileSync(theirs, publicKey);
  });
  afterEach(() => {
    stranger.remove();
  });
  /** By the owner of the passphrase. */
  const run = (args: readonly string[]): Promise<Result> => stranger.run(args, { env: { HOME: project.home } });

  it('is not encrypted to others before there is a CA that it opens', async () => {
    stranger.settings(settings([theirs]));
    for (const args of [['make'], ['make', '--dry-run']]) {
      const { status, stderr } = await run(args);
      expect([status, stderr]).toEqual([1, expect.stringMatching(/so another project may need it/u)]);
    }
    expect(readFileSync(sealedFile()).equals(victim)).toBe(true);
    expect(existsSync(stranger.path('certs'))).toBe(false);
    // Either half of the hint.
    stranger.settings({ ...smallSettings({ passphrase: { file: stranger.path('own.gpg'), recipients: [theirs] } }) });
    expect((await run(['make'])).status).toBe(0);
    expect(readFileSync(sealedFile()).equals(victim)).toBe(true);
  });

  it('is used as it is without recipients', async () => {
    stranger.settings(settings([]));
    const { status, stderr } = await run(['make']);
    expect([status, stderr]).toEqual([0, expect.stringContaining('used the existing passphrase file')]);
    expect(readFileSync(sealedFile()).equals(victim)).toBe(true);
    await noteAsInstalled(stranger);
    expect((await run(['status'])).status).toBe(0);
  });

  it('is not replaced for a CA that it does not open', async () => {
    stranger.settings({ ...smallSettings({ passphrase: { file: stranger.path('own.gpg') } }), domain: 'example.net' });
    expect((await run(['make'])).status).toBe(0);
    const own = (await run(['passphrase', 'show', '--yes'])).stdout;
    stranger.settings(settings([theirs]));
    const env = { HOME: project.home };
    for (const args of [
      ['make', '--passphrase-fd', '0'],
      ['passphrase', 'change', '--passphrase-fd', '0'],
    ]) {
      const given = stranger.spawn(args, { input: own, env });
      expect([args, given.status, given.stderr]).toEqual([
        args,
        1,
        expect.stringMatching(/holds another passphrase than the given one/u),
      ]);
      const unasked = await run(args.slice(0, -2));
      expect([unasked.status, unasked.stderr]).toEqual([1, expect.stringMatching(/does not open/u)]);
    }
    expect(readFileSync(sealedFile()).equals(victim)).toBe(true);
  });

  it('stays as it is if it is not a passphrase file', async () => {
    const file = stranger.path('diary.txt');
    writeFileSync(file, 'dear diary\n');
    for (const recipients of [[], [theirs]]) {
      stranger.settings(smallSettings({ passphrase: { file, recipients } }));
      expect((await run(['make'])).status).toBe(1);
      expect(readFileSync(file, 'utf8')).toBe('dear diary\n');
      expect(existsSync(stranger.path('certs'))).toBe(false);
    }
  });
});

describe('a weak passphrase', () => {
  it.each(['abc', 'fourteen chars', 'aaaaaaaaaaaaaaaaaaaaaaaa'])('%j is named, and change ends it', async (weak) => {
    expect((await project.run(['clean', '--yes', '--all'])).status).toBe(0);
    const made = project.spawn(['make', '--passphrase-fd', '0'], { input: weak });
    const said = /warning: the passphrase (?:that was given|in "[^"]*") is short or simple: /u;
    expect([made.status, made.stderr]).toEqual([0, expect.stringMatching(said)]);
    expect(made.stderr).not.toContain(JSON.stringify(weak));
    const status = await project.run(['status']);
    expect([status.status, status.stderr]).toEqual([3, expect.stringMatching(said)]);
    expect(status.stderr).toMatch(/^relaycerts: hint: .*: relaycerts passphrase change$/mu);
    expect((await project.run(['passphrase', 'change'])).status).toBe(0);
    await expectWell();
  });

  it('a long one is not', async () => {
    expect((await project.run(['clean', '--yes', '--all'])).status).toBe(0);
    const made = project.spawn(['make', '--passphrase-fd', '0'], { input: 'correct horse battery staple' });
    expect([made.status, made.stderr]).toEqual([0, expect.not.stringMatching(/short or simple/u)]);
    await expectWell();
  });
});
