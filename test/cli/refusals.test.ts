// What relaycerts refuses to work in: each refusal is an error that names the place, touches nothing, and has one command
// as its hint, after which the same command works. The hints are run to the letter.

import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project, type Result, type SpawnInput } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { openTerminal } from '../support/terminal.js';

let project: Project;
let root: string;
let template: Project;
beforeAll(async () => {
  requireTools('setpriv', 'sudo', 'unshare', 'mount', 'faketime', 'strace');
  if (process.geteuid?.() !== 0) throw new Error('these tests give files to other users: run them as root');
  template = makeProject();
  expect((await template.run(['make'])).status).toBe(0);
});
afterAll(() => {
  template.remove();
});
beforeEach(() => {
  project = makeProject();
  root = dirname(project.folder);
});
afterEach(() => {
  project.remove();
});

/** The project as a first make leaves it. */
function putMade(): void {
  for (const folder of ['folder', 'home'] as const) {
    expect(spawnSync('cp', ['-a', `${template[folder]}/.`, project[folder]]).status).toBe(0);
  }
}

/** A user of no name, with a group of the same number. */
const stranger = 4711;
const as = (uid: number, gid = uid): SpawnInput => ({
  under: ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
});

/** All that is below, links unfollowed: names, modes, owners, times of files, contents. A lock changes a folder's time. */
function stateOf(folder: string): string {
  const script = `find . -type d -printf '%p %m %U:%G %n\\n' -o -printf '%p %y %m %U:%G %l %T@ %s %n\\n' | sort; find . -type f | sort | xargs -r sha256sum`;
  const { status, stdout } = spawnSync('sh', ['-c', script], { cwd: folder });
  expect(status).toBe(0);
  return stdout.toString();
}

function giveAll(uid: number): void {
  expect(spawnSync('chown', ['-Rh', `${uid}:${uid}`, project.folder, project.home]).status).toBe(0);
}

function errorsOf(stderr: string): readonly string[] {
  return stderr.split('\n').filter((line) => line.startsWith('relaycerts: error: '));
}

function hintOf(stderr: string): string {
  const hints = [...stderr.matchAll(/^relaycerts: hint: (.+)$/gmu)].map((match) => match[1] ?? '');
  expect(hints, stderr).toHaveLength(1);
  return hints[0] ?? '';
}

/** Asserts the refusal, that nothing was touched, and that the hint mends it. */
async function expectMended(
  says: RegExp,
  run: () => Result | Promise<Result> = () => project.run(['make']),
): Promise<Result> {
  const before = stateOf(root);
  const refused = await run();
  expect(refused.stderr).toMatch(says);
  expect(refused.status, refused.stderr).toBe(1);
  expect(refused.stdout).toBe('');
  expect(refused.stderr).not.toMatch(/\n\s+at |TypeError|\bbug\b/u);
  expect(errorsOf(refused.stderr)).toHaveLength(1);
  expect(stateOf(root)).toBe(before);
  const mend = spawnSync('sh', ['-c', hintOf(refused.stderr)], { cwd: project.folder });
  expect(mend.status, mend.stderr.toString()).toBe(0);
  const mended = await run();
  expect(mended.status, mended.stderr).toBe(0);
  return mended;
}

const lock = (): string => project.path('.relaycerts.lock');
const relay = 'relayhost.example.org';
const home = 'mailhost.example.org';

describe('a folder that others may write', () => {
  const places: readonly { readonly name: string; readonly place: () => string; readonly mode: number }[] = [
    { name: 'the project folder', place: () => project.folder, mode: 0o777 },
    ...['certs', 'certs/ca', 'certs/smtp-client', 'certs/smtpd-server', 'certs/retired', 'certs/revoked', 'hosts'].map(
      (folder) => ({ name: folder, place: () => project.path(folder), mode: 0o757 }),
    ),
    { name: "a host's bundle", place: () => project.path(`hosts/${home}`), mode: 0o702 },
    { name: 'the folder of the passphrase file', place: () => project.home, mode: 0o777 },
    {
      name: 'the passphrase file',
      place: () => join(project.home, '.example.org-relaycerts-passphrase.gpg'),
      mode: 0o622,
    },
    { name: 'the folder of the operator key', place: () => join(project.home, '.config/relaycerts'), mode: 0o777 },
    { name: 'the settings file', place: () => project.path('settings.json'), mode: 0o666 },
  ];
  it.each(places)('$name: refused, and mended by the hint', async ({ place, mode }) => {
    putMade();
    for (const folder of ['certs/retired', 'certs/revoked']) mkdirSync(project.path(folder));
    chmodSync(place(), mode);
    const mended = await expectMended(/can be written by all users, who could put other files in the place of ours/u);
    expect(mended.stderr).toContain('nothing to make');
  });

  it('several at once: one error, one command', async () => {
    putMade();
    for (const folder of ['certs/ca', `hosts/${home}`, `hosts/${relay}`]) chmodSync(project.path(folder), 0o777);
    await expectMended(/certs\/ca" \(and 2 more\) can be written by all users/u);
  });

  it('a shared group: refused by its name', async () => {
    putMade();
    chownSync(project.folder, 0, 8);
    chmodSync(project.folder, 0o775);
    await expectMended(/the project folder ".*" can be written by the group mail, who/u);
  });

  it("the user's own group, as mkdir makes it under the umask 002: no word of it", () => {
    // Debian's user mail is alone in the group mail; the other user is one of a container, in no file of this machine.
    for (const uid of [8, stranger]) {
      giveAll(uid);
      chmodSync(project.folder, 0o775);
      const made = project.spawn(['make'], {
        under: [...(as(uid).under ?? []), 'sh', '-c', 'umask 002; exec "$@"', 'sh'],
      });
      expect(made.status, made.stderr).toBe(0);
      expect(made.stderr).not.toMatch(/warning|error/u);
      for (const folder of ['certs', 'certs/ca', 'hosts']) {
        expect(spawnSync('stat', ['-c', '%a', project.path(folder)]).stdout.toString()).toBe('755\n');
      }
      project.spawn(['clean', '--yes', '--all'], as(uid));
    }
  });

  it('the group nogroup, which programs share: refused', async () => {
    giveAll(65_534);
    chmodSync(project.folder, 0o775);
    await expectMended(/can be written by the group nogroup/u, () => project.spawn(['make'], as(65_534)));
  });

  it('a shared folder like /tmp is no project; the hint moves it into a folder of its own', async () => {
    putMade();
    chmodSync(project.folder, 0o1777);
    const run = async (): Promise<Result> => {
      const moved = project.path('relaycerts/settings.json');
      return project.run(['--settings', existsSync(moved) ? moved : 'settings.json', 'make']);
    };
    const mended = await expectMended(/can be written by all users, and is no place for keys/u, run);
    expect(mended.stderr).toContain('nothing to make');
  });

  it('but it may hold the passphrase file, and the project may lie below it', async () => {
    mkdirSync(join(root, 'shared'));
    chmodSync(join(root, 'shared'), 0o1777);
    project.settings(smallSettings({ passphrase: { file: join(root, 'shared/passphrase.gpg') } }));
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).not.toContain('warning');
    // Nobody but its owner can remove a file there: what another's relaycerts left stays, and what ours left goes.
    giveAll(stranger);
    for (const name of ['passphrase.gpg', '.other.relaycerts-999999-abcd.tmp', '.own.relaycerts-999999-abcd.tmp']) {
      const path = join(root, 'shared', name);
      if (name.startsWith('.')) writeFileSync(path, '');
      if (!name.startsWith('.other')) chownSync(path, stranger, stranger);
    }
    for (const words of [['make'], ['renew', '--force'], ['revoke', home]]) {
      const result = project.spawn(words, as(stranger));
      expect(result.status, result.stderr).toBe(0);
    }
    expect(readdirSync(join(root, 'shared')).toSorted()).toEqual([
      '.other.relaycerts-999999-abcd.tmp',
      'passphrase.gpg',
    ]);
  });

  it('above the project: a warning', async () => {
    chmodSync(root, 0o777);
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).toMatch(/warning: ".*" can be written by all users, who could put another folder in the/u);
    expect(spawnSync('sh', ['-c', hintOf(made.stderr)]).status).toBe(0);
    expect((await project.run(['make'])).stderr).not.toContain('warning');
  });

  const writers: readonly (readonly string[])[] = [
    ['make'],
    ['renew', '--force'],
    ['renew', '--rekey', 'mailhost'],
    ['renew', '--ca'],
    ['renew', '--ca', '--rekey'],
    ['retire'],
    ['revoke', 'mailhost'],
    ['sign', 'request.pem', '--host', 'second'],
    ['clean', '--yes'],
    ['passphrase', 'change'],
  ];
  it.each(writers.map((args) => ({ args, name: args.join(' ') })))('$name refuses it too', async ({ args }) => {
    putMade();
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const made = spawnSync(
      'openssl',
      ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'].concat([
        '-keyout',
        '/dev/null',
        '-out',
        project.path('request.pem'),
      ]),
    );
    expect(made.status, made.stderr.toString()).toBe(0);
    chmodSync(project.folder, 0o777);
    await expectMended(/the project folder ".*" can be written by all users/u, () => project.run(args));
  });

  it('a PKCS#12 file is not made where others may replace it', async () => {
    putMade();
    mkdirSync(join(root, 'drop'));
    chmodSync(join(root, 'drop'), 0o777);
    const args = ['export', 'p12', 'mailhost', '--password-fd', '0', '--out', join(root, 'drop/mail.p12')];
    await expectMended(/drop" can be written by all users/u, () => project.spawn(args, { input: 'correct horse\n' }));
  });

  it('the operator key gets no password there, and its old one stays', async () => {
    putMade();
    const folder = join(project.home, '.config/relaycerts');
    chmodSync(folder, 0o777);
    const before = stateOf(root);
    const terminal = await openTerminal({
      command: [process.execPath, programPath(), 'passphrase', 'operator-password'],
      cwd: project.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
      columns: 300,
    });
    try {
      expect(await terminal.ended()).toBe(1);
      expect(terminal.screen()).toMatch(/relaycerts" can be written by all users/u);
      expect(terminal.screen()).toContain(`chmod go-w ${folder}`);
    } finally {
      terminal.dispose();
    }
    expect(stateOf(root)).toBe(before);
  });

  it('a change of the passphrase that was cut off is not ended by passphrase show there', async () => {
    putMade();
    const sealed = join(project.home, '.example.org-relaycerts-passphrase.gpg');
    cpSync(sealed, project.path('certs/ca/example.org-ca.passphrase.new.gpg'));
    chmodSync(project.path('certs/ca/example.org-ca.passphrase.new.gpg'), 0o600);
    chmodSync(project.path('certs/ca'), 0o777);
    await expectMended(/certs\/ca" can be written by all users/u, () => project.run(['passphrase', 'show', '--yes']));
  });

  it.each([['status'], ['show'], ['fingerprint'], ['make', '--dry-run'], ['passphrase', 'recipients']])(
    '%s %s reads, and only warns',
    async (...args) => {
      putMade();
      const right = await project.run(args);
      chmodSync(project.folder, 0o777);
      const read = await project.run(args);
      expect(read.status).toBe(right.status);
      expect(read.stdout).toBe(right.stdout);
      expect(read.stderr).toMatch(/warning: the project folder ".*" can be written by all users/u);
      expect(hintOf(read.stderr)).toBe(`chmod go-w ${project.folder}`);
    },
  );
});

describe('what belongs to somebody else', () => {
  it.each([
    ['the project folder', () => project.folder],
    ['a folder of keys', () => project.path('certs/smtp-client')],
    ['a bundle', () => project.path(`hosts/${home}`)],
    ['the folder of the operator key', () => join(project.home, '.config/relaycerts')],
    ['the passphrase file', () => join(project.home, '.example.org-relaycerts-passphrase.gpg')],
  ])('%s: refused, and mended by the hint', async (_, place) => {
    putMade();
    giveAll(stranger);
    chownSync(place(), 8, 8);
    // What is 0700 and another's cannot even be looked into, so that this case is of a folder that can.
    if (!place().endsWith('.gpg')) chmodSync(place(), 0o755);
    else chmodSync(place(), 0o644);
    await expectMended(/belongs to the user mail, who could change what lies there/u, () =>
      project.spawn(['make'], as(stranger)),
    );
  });

  it('a key: refused, and mended by the hint', () => {
    putMade();
    giveAll(stranger);
    const key = project.path(`hosts/${home}/${home}.key.pem`);
    chownSync(key, 8, stranger);
    // Readable all the same for whom the group is.
    chmodSync(key, 0o640);
    const refused = project.spawn(['make'], as(stranger));
    expect(refused.status).toBe(1);
    const hints = [...refused.stderr.matchAll(/^relaycerts: hint: (.+)$/gmu)].map((match) => match[1] ?? '');
    expect(hints).toEqual([`chmod 600 ${key}`, `sudo chown ${stranger} ${key}`]);
    for (const hint of hints) expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
    expect(project.spawn(['make'], as(stranger)).stderr).toContain('nothing to make');
  });

  it('a key of mode 0640: refused, and mended by the hint', async () => {
    putMade();
    chmodSync(project.path(`certs/smtp-client/${home}.key.pem`), 0o640);
    await expectMended(/holds a private key and has mode 0640: others can read or change it/u);
  });

  it('as root: a warning that names the user, and how to run as that user', async () => {
    putMade();
    giveAll(8);
    const run = await project.run(['make']);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/warning: running as root in a folder of the user mail: the project folder ".*"/u);
    expect(hintOf(run.stderr)).toBe('sudo -u mail relaycerts ...');
    const sudo = ['sudo', '-u', 'mail', 'env', `HOME=${project.home}`];
    expect(project.spawn(['make'], { under: sudo }).stderr).toMatch(/^relaycerts: nothing to make.*\n$/u);
    giveAll(stranger);
    const hint = hintOf((await project.run(['make'])).stderr);
    expect(hint).toBe('setpriv --reuid=4711 --regid=4711 --clear-groups relaycerts ...');
    const under = hint.split(' ').slice(0, -2);
    expect(project.spawn(['make'], { under }).stderr).toMatch(/^relaycerts: nothing to make.*\n$/u);
  });

  it("as root: somebody else's key in a folder of root's is a warning, mended by the hint", async () => {
    putMade();
    chownSync(project.path(`certs/smtp-client/${home}.key.pem`), 8, 8);
    const run = await project.run(['make']);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/warning: ".*mailhost.*key\.pem" belongs to the user mail, who can read and change it/u);
    expect(spawnSync('sh', ['-c', hintOf(run.stderr)]).status).toBe(0);
    expect((await project.run(['make'])).stderr).not.toContain('warning');
  });
});

const folders = [
  'certs',
  'certs/ca',
  'certs/smtp-client',
  'certs/smtpd-server',
  'certs/retired',
  'certs/revoked',
  'hosts',
  `hosts/${home}`,
];
const files = [
  'certs/ca/example.org-ca.key.pem',
  'certs/ca/example.org-ca.crt.pem',
  'certs/ca/issued.jsonl',
  `certs/smtp-client/${home}.key.pem`,
  `certs/smtp-client/${home}.crt.pem`,
  `certs/smtpd-server/${relay}.key.pem`,
  `certs/smtpd-server/${relay}.crt.pem`,
  `hosts/${relay}/example.org-ca.crt.pem`,
  `hosts/${relay}/${relay}.crt.pem`,
  `hosts/${relay}/${relay}.key.pem`,
  `hosts/${relay}/${relay}.chain.pem`,
  `hosts/${relay}/relay_clientcerts`,
  '../home/.config/relaycerts/operator-key.asc',
];
const passphrase = '../home/.example.org-relaycerts-passphrase.gpg';
/** What is not there in a project at rest. */
const passing = [
  '.relaycerts.lock',
  'certs/ca/example.org-ca.new.key.pem',
  'certs/ca/example.org-ca.new.crt.pem',
  'certs/ca/example.org-ca.old.key.pem',
  'certs/ca/example.org-ca.passphrase.new.gpg',
  `certs/smtp-client/${home}.new.key.pem`,
  `certs/smtp-client/${home}.new.crt.pem`,
  `certs/smtp-client/${home}.old.crt.pem`,
  `certs/smtp-client/${home}.csr.pem`,
  `certs/retired/${home}-0123456789.crt.pem`,
  `certs/revoked/${home}-0123456789.key.pem`,
];

describe('a symbolic link where a file or folder of ours should be', () => {
  it.each([...folders, ...files])('%s, led to where it was moved: refused, and mended by the hint', async (name) => {
    putMade();
    for (const folder of ['certs/retired', 'certs/revoked']) mkdirSync(project.path(folder));
    renameSync(project.path(name), join(root, 'moved'));
    symlinkSync(join(root, 'moved'), project.path(name));
    const target = stateOf(root).match(/^\.\/moved.*$/gmu);
    if (folders.includes(name)) {
      const { status, stderr } = await project.run(['make', '--dry-run']);
      expect([status, stderr]).toEqual([1, expect.stringContaining('it is a symbolic link to')]);
    }
    // Who only reads says so, and goes on where there is something to read.
    for (const command of ['show', 'fingerprint']) {
      const { status, stderr } = await project.run([command]);
      expect([command, status === 0 || /error: /u.test(stderr)]).toEqual([command, true]);
      expect(stderr).toMatch(/warning: cannot use ".*": it is a symbolic link to ".*\/moved"/u);
    }
    const mended = await expectMended(/cannot use ".*": it is a symbolic link to ".*\/moved"/u);
    expect(mended.stderr).toContain('nothing to make');
    expect(stateOf(root).match(/^\.\/moved.*$/gmu)).toEqual(target);
  });

  it.each([
    ...[...folders, ...files, ...passing, passphrase].map((name) => ({ name, to: '/nowhere/at/all' })),
    ...['hosts', `hosts/${home}`, ...files.slice(0, 4), '.relaycerts.lock', passphrase].map((name) => ({
      name,
      to: '/dev/null',
    })),
  ])('$name, led to $to: refused before a first make, and mended by the hint', async ({ name, to }) => {
    mkdirSync(dirname(project.path(name)), { recursive: true });
    symlinkSync(to, project.path(name));
    const mended = await expectMended(
      /cannot use ".*": it is a symbolic link (?:that leads nowhere|to "\/dev\/null")/u,
    );
    expect(mended.stderr).toContain("made the CA's certificate");
    expect(existsSync('/nowhere')).toBe(false);
  });

  it('a folder of a host that the settings no longer name: clean does not remove through it', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'gone' }] }));
    await project.run(['make']);
    project.settings(smallSettings());
    renameSync(project.path('hosts/gone.example.org'), join(root, 'moved'));
    symlinkSync(join(root, 'moved'), project.path('hosts/gone.example.org'));
    const before = stateOf(join(root, 'moved'));
    await expectMended(/hosts\/gone\.example\.org": it is a symbolic link/u, () => project.run(['clean', '--yes']));
    expect(stateOf(join(root, 'moved'))).toBe(before);
  });

  it('the settings and the passphrase file may be links, and their folders too', async () => {
    const real = join(root, 'real');
    mkdirSync(join(real, 'config'), { recursive: true });
    renameSync(project.path('settings.json'), join(real, 'settings.json'));
    symlinkSync(join(real, 'settings.json'), project.path('settings.json'));
    symlinkSync(join(real, 'config'), join(project.home, '.config'));
    symlinkSync(project.folder, join(root, 'shortcut'));
    expect((await project.run(['make'])).status).toBe(0);
    const sealed = join(project.home, '.example.org-relaycerts-passphrase.gpg');
    renameSync(sealed, join(real, 'sealed.gpg'));
    symlinkSync(join(real, 'sealed.gpg'), sealed);
    const again = await project.run(['--settings', join(root, 'shortcut/settings.json'), 'make']);
    expect(again.stderr).toMatch(/^relaycerts: nothing to make.*\n$/u);
  });

  it('a hard link of a key, as a backup makes it, keeps the old key when that is replaced', async () => {
    putMade();
    const key = project.path(`certs/smtp-client/${home}.key.pem`);
    linkSync(key, join(root, 'backup.pem'));
    const before = readFileSync(key);
    const rekeyed = await project.run(['renew', '--rekey', 'mailhost']);
    expect(rekeyed.status, rekeyed.stderr).toBe(0);
    expect(readFileSync(join(root, 'backup.pem')).equals(before)).toBe(true);
    expect(readFileSync(key).equals(before)).toBe(false);
  });

  it.each<readonly [string, () => void, RegExp, RegExp]>([
    ['a FIFO', () => execFileSync('mkfifo', [lock()]), /it is not a regular file/u, /^rm \S+$/u],
    ['a folder', () => mkdirSync(lock()), /it is a folder/u, /^rmdir \S+$/u],
    [
      'a folder with something in it',
      () => mkdirSync(join(lock(), 'x/y'), { recursive: true }),
      /it is a folder/u,
      /^mv \S+ \S+$/u,
    ],
    ['too large', () => writeFileSync(lock(), 'x'.repeat(4097)), /it is larger than 4096 octets/u, /^rm \S+$/u],
    ['a link', () => symlinkSync('settings.json', lock()), /it is a symbolic link/u, /^rm \S+$/u],
  ])('a lock that is %s: refused, mended by the hint, also for who only reads', async (_, put, says, hint) => {
    putMade();
    const refusal = new RegExp(`cannot use .*[.]lock": ${says.source}`, 'u');
    for (const run of [() => project.run(['make']), () => project.run(['show'])]) {
      rmSync(`${lock()}.old`, { recursive: true, force: true });
      put();
      expect(hintOf((await run()).stderr)).toMatch(hint);
      await expectMended(refusal, run);
    }
  });

  it.each([
    ['/dev/null', '/dev/null'],
    ['a folder', '~/folder'],
  ])('%s as the passphrase file: refused, and no command that would change it', async (_, file) => {
    mkdirSync(join(project.home, 'folder'));
    chmodSync(join(project.home, 'folder'), 0o777);
    project.settings(smallSettings({ passphrase: { file } }));
    const before = stateOf(root);
    const run = await project.run(['make']);
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^relaycerts: error: .*the passphrase file ".*" is no regular file/mu);
    expect(run.stderr).toMatch(/^relaycerts: hint: name another one as passphrase\.file in ".*settings\.json"$/mu);
    const read = await project.run(['make', '--dry-run']);
    expect(read.stderr).toMatch(/is no regular file/u);
    expect(run.stderr + read.stderr).not.toContain('chmod');
    expect(stateOf(root)).toBe(before);
  });

  it('a file where a folder should be: refused, and mended by the hint', async () => {
    project.write('hosts', 'mine');
    await expectMended(/hosts" is no folder/u);
    expect(project.read('hosts.old')).toBe('mine');
  });
});

/** Runs a script as root in a mount namespace of its own, the program's words as its arguments. */
function inNamespace(script: string): Result {
  const result = spawnSync('unshare', ['--mount', 'sh', '-euc', script, 'sh', process.execPath, programPath()], {
    cwd: project.folder,
    env: { PATH: process.env['PATH'], HOME: project.home },
  });
  return { status: result.status, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
}

function programPath(): string {
  return join(import.meta.dirname, '../../bin/relaycerts.js');
}

/** Shell: runs the words after it, which must be refused with 1, touch nothing and say so; keeps what they said. */
const refused = `state() { find . -type d -printf '%p %m\\n' -o ! -name filler -printf '%p %y %m %l %T@ %s\\n' | sort; }
refused() {
  state >"$HOME/before"
  status=0
  "$@" >"$HOME/stdout" 2>"$HOME/said" || status=$?
  cat "$HOME/said" >&2
  [ "$status" = 1 ] || { echo "status $status: $*" >&2; exit 99; }
  [ ! -s "$HOME/stdout" ] || exit 98
  state | diff "$HOME/before" - >&2
}
hint() { sed -n 's/^relaycerts: hint: //p' "$HOME/said"; }
`;

describe('a file system that is read-only', () => {
  it('as a mount: one error before anything is made, mended by the hint', () => {
    const run = inNamespace(`${refused}
mount --bind . .
mount -o remount,bind,ro "$PWD"
cd "$PWD"
for words in make 'renew --force' 'passphrase change' 'clean --yes'; do refused "$@" $words; done
hint | sh
"$@" make >/dev/null`);
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual(
      Array.from({ length: 4 }, () =>
        expect.stringMatching(/cannot write in ".*": the file system at ".*project" is read-only$/u),
      ),
    );
    expect(run.stderr).toContain(`hint: mount -o remount,bind,rw ${project.folder}\n`);
  });

  it('as a whole: the same', () => {
    const run = inNamespace(`${refused}
cp -a . "$HOME/copy"
mount -t tmpfs tmpfs "$PWD"
cd "$PWD"
cp -a "$HOME/copy/." .
mount -o remount,ro "$PWD"
refused "$@" make
hint | sh
"$@" make >/dev/null`);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toContain(`hint: mount -o remount,rw ${project.folder}\n`);
  });

  it('where the passphrase would lie: nothing is made, the operator key neither', () => {
    mkdirSync(join(root, 'stick'));
    project.settings(smallSettings({ passphrase: { file: join(root, 'stick/passphrase.gpg') } }));
    const run = inNamespace(`${refused}
mount -t tmpfs -o ro,mode=700 tmpfs ../stick
refused "$@" make
[ ! -e "$HOME/.config" ]
hint | sh
"$@" make >/dev/null`);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/cannot write in ".*stick": the file system at ".*stick" is read-only/u);
  });

  it('a folder without the right to write: refused, and mended by the hint', async () => {
    giveAll(stranger);
    chmodSync(project.folder, 0o555);
    await expectMended(/cannot write in ".*": permission denied \(mode 0555/u, () =>
      project.spawn(['make'], as(stranger)),
    );
    chownSync(project.folder, 0, 0);
    await expectMended(/cannot write in ".*": permission denied \(mode 0755, uid 0\)/u, () =>
      project.spawn(['renew', '--force'], as(stranger)),
    );
  });
});

describe('a bundle outside the project', () => {
  // Links are above. What the administrator mounts in the place of a bundle is in the project, as the path says.
  it.each(['../../outside', '..', '.', 'a/../../outside', '/outside', String.raw`a\..\outside`, 'a%2f..'])(
    'is named by no host: %s',
    async (hostname) => {
      project.settings(smallSettings({ smtpClients: [{ hostname }] }));
      const before = stateOf(root);
      const run = await project.run(['make']);
      expect(run.status).toBe(2);
      expect(run.stderr).toMatch(/smtpClients\[0\]\.hostname/u);
      expect(stateOf(root)).toBe(before);
    },
  );

  it('a file system of its own for a bundle is one more place to look at', () => {
    putMade();
    const bundle = `hosts/${home}`;
    const run = inNamespace(`${refused}
cp -a ${bundle} "$HOME/copy"
mount -t tmpfs -o mode=777 tmpfs ${bundle}
chmod 777 ${bundle}
refused "$@" make
hint | sh
mount -o remount,ro ${bundle}
refused "$@" make
hint | sh
"$@" make >/dev/null
diff -r "$HOME/copy" ${bundle}
umount ${bundle}
diff -r "$HOME/copy" ${bundle}`);
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toHaveLength(2);
  });
});

/** Shell: a file system of its own under the project. */
function small(options: string): string {
  return `${refused}
cp -a . "$HOME/copy"
mount -t tmpfs -o ${options} tmpfs "$PWD"
cd "$PWD"
cp -a "$HOME/copy/." .
`;
}

describe('a disk without room', () => {
  it('is refused with the numbers before each command replaces anything', () => {
    putMade();
    const run = inNamespace(`${small('size=400k')}
dd if=/dev/zero of=filler bs=4k count=$(( ($(df --output=avail -k . | tail -n 1) - 80) / 4 )) 2>/dev/null
for words in 'renew --force' 'renew --rekey mailhost' 'renew --ca' 'renew --ca --rekey' 'revoke mailhost'; do
  refused "$@" $words
done
dd if=/dev/zero of=filler bs=4k 2>/dev/null || true
for words in make 'renew --force' retire 'passphrase change'; do refused "$@" $words; done
rm filler
"$@" renew --force`);
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toHaveLength(9);
    for (const line of errorsOf(run.stderr)) {
      expect(line).toMatch(
        /the disk has too little room at ".*": room for \d+ KiB of data, and this may need \d+ KiB$/u,
      );
    }
    expect(run.stderr).toMatch(/hint: make room there and run the same command again; see: df -h/u);
  });

  it('is no reason to refuse clean, which makes room: it needs a block for its lock, and none where the operator key is', () => {
    putMade();
    const run = inNamespace(`${small('size=400k')}
mkdir "$HOME/kept"
cp -a "$HOME/.config/relaycerts/." "$HOME/kept"
mount -t tmpfs -o size=64k,mode=700 tmpfs "$HOME/.config/relaycerts"
cp -a "$HOME/kept/." "$HOME/.config/relaycerts"
for folder in "$HOME/.config/relaycerts" .; do
  dd if=/dev/zero of="$folder/filler" bs=4k 2>/dev/null || true
done
refused "$@" clean --yes --all
truncate -s -4k filler
[ "$(df --output=avail -k . | tail -n 1)" -eq 4 ]
"$@" clean --yes --all
[ "$(ls -A | tr '\\n' ' ')" = 'filler settings.json ' ]
diff "$HOME/kept/operator-key.asc" "$HOME/.config/relaycerts/operator-key.asc.old"`);
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual([expect.stringMatching(/cannot write ".*\.lock": the disk is full$/u)]);
    expect(run.stderr).toMatch(/hint: make room and run the same command again/u);
  });

  it('is refused before a first make, and before sign stores the request', () => {
    expect(
      spawnSync(
        'openssl',
        ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'].concat([
          '-subj',
          '/CN=x',
          '-keyout',
          '/dev/null',
          '-out',
          project.path('request.pem'),
        ]),
      ).status,
    ).toBe(0);
    const run = inNamespace(`${small('size=100k')}
for words in make 'sign request.pem --host mailhost'; do refused "$@" $words; done
[ ! -e "$HOME/.config" ]
mount -o remount,size=1m "$PWD"
"$@" sign request.pem --host mailhost && "$@" make >/dev/null`);
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toHaveLength(2);
  });

  it('without inodes: the same', () => {
    const run = inNamespace(`${small('nr_inodes=40')}
refused "$@" make
mount -o remount,nr_inodes=400 "$PWD"
"$@" make >/dev/null`);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/room for \d+ more files \(inodes\), and this may need \d+$/mu);
  });

  it('where the passphrase lies: a change of it is refused, the project untouched', () => {
    mkdirSync(join(root, 'stick'));
    project.settings(smallSettings({ passphrase: { file: join(root, 'stick/passphrase.gpg') } }));
    const run = inNamespace(`${refused}
mount -t tmpfs -o size=100k,mode=700 tmpfs ../stick
"$@" make >/dev/null
dd if=/dev/zero of=../stick/filler bs=4k 2>/dev/null || true
refused "$@" passphrase change
rm ../stick/filler
"$@" passphrase change`);
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/too little room at ".*stick": room for 0 KiB/u);
  });
});

describe('a clock that cannot be right', () => {
  it.each(['1970-01-01 00:10:00', '2025-12-31 12:00:00', '2100-01-02 00:00:00', '9999-06-01 00:00:00'])(
    '%s: refused, and mended by the hint',
    async (time) => {
      // A timedatectl of the test's own: it sets the test's clock, as the real one does a machine's.
      const tools = join(root, 'tools');
      mkdirSync(tools);
      writeFileSync(join(tools, 'timedatectl'), `#!/bin/sh\n[ "$*" = 'set-ntp true' ] && rm '${root}/wrong'\n`, {
        mode: 0o755,
      });
      writeFileSync(join(root, 'wrong'), '');
      const under = ['sh', '-c', `[ -e '${root}/wrong' ] || exec "$@"; exec faketime -f '@${time}' "$@"`, 'sh'];
      const before = process.env['PATH'];
      process.env['PATH'] = `${tools}:${before ?? ''}`;
      try {
        await expectMended(/this machine's clock says \d{4}-.*Z, which cannot be right/u, () =>
          project.spawn(['make'], { under, env: { TZ: 'UTC' } }),
        );
      } finally {
        process.env['PATH'] = before;
      }
    },
  );

  it('before the CA begins: both times, and nothing is touched', async () => {
    cpSync(project.path('settings.json'), join(root, 'settings.json'));
    expect((await project.run(['make'])).status).toBe(0);
    const before = stateOf(root);
    for (const args of [['make'], ['renew', '--force'], ['renew', '--rekey', 'mailhost']]) {
      const run = await project.run(args, { now: new Date(Date.now() - 100 * 86_400_000) });
      expect(run.status, run.stderr).toBe(1);
      expect(run.stderr).toMatch(
        /-ca\.crt\.pem" is valid from \d{4}-\d\d-\d\dT[\d:.]+Z on, and it is \d{4}-\d\d-\d\dT[\d:.]+Z now/u,
      );
      expect(run.stderr).toMatch(/hint: set this machine's clock: timedatectl set-ntp true; /u);
      rmSync(project.path('.relaycerts.lock'), { force: true });
      expect(stateOf(root)).toBe(before);
    }
  });
});
