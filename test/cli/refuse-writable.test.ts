// Nothing is written where others can write: they could replace our files. This covers all users, and a group with
// other members; not the user's own group, and not a sticky folder that only holds the passphrase file.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { noJournal } from '../../src/store/journal.js';
import { putMade } from '../support/made-project.js';
import { makeProject, program, smallSettings, type Project, type Result } from '../support/project.js';
import {
  as,
  expectFixed,
  giveAll,
  hintOf,
  home,
  passphraseFile,
  relay,
  stateOf,
  stranger,
} from '../support/refusals.js';
import { requireTools } from '../support/require-tools.js';
import { openTerminal } from '../support/terminal.js';

let project: Project;
let root: string;
beforeAll(() => {
  requireTools('setpriv', 'openssl');
  if (process.geteuid?.() !== 0) throw new Error('these tests give files to other users: run them as root');
});
beforeEach(() => {
  project = makeProject();
  root = dirname(project.folder);
});
afterEach(() => {
  project.remove();
});

describe('a place that all users can write', () => {
  it.each([
    { place: '.', mode: 0o777 },
    ...['certs', 'certs/ca', 'certs/smtp-client', 'certs/smtpd-server', 'certs/retired', 'certs/revoked', 'hosts'].map(
      (place) => ({ place, mode: 0o757 }),
    ),
    { place: `hosts/${home}`, mode: 0o702 },
    { place: '../home', mode: 0o777 },
    { place: passphraseFile, mode: 0o622 },
    { place: '../home/.config/relaycerts', mode: 0o777 },
    { place: 'settings.json', mode: 0o666 },
    { place: 'certs/ca/issued.jsonl', mode: 0o666 },
  ])('$place: refused, and the hint fixes it', async ({ place, mode }) => {
    await putMade(project);
    for (const folder of ['certs/retired', 'certs/revoked']) mkdirSync(project.path(folder));
    chmodSync(project.path(place), mode);
    const fixed = await expectFixed(project, /can be written by all users, who could replace what is in it/u);
    expect(fixed.stderr).toContain('nothing to make');
  });

  it('several at once: one error, one command', async () => {
    await putMade(project);
    for (const folder of ['certs/ca', `hosts/${home}`, `hosts/${relay}`]) chmodSync(project.path(folder), 0o777);
    await expectFixed(project, /certs\/ca" \(and 2 more\) can be written by all users/u);
  });

  it.each([
    'make',
    'renew --force',
    'renew --rekey mailhost',
    'renew --ca',
    'renew --ca --rekey',
    'retire',
    'revoke mailhost',
    'sign request.pem --host second',
    'clean --yes',
    'passphrase change',
  ])('%s refuses to write there', async (command) => {
    await putMade(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const request = 'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout /dev/null';
    expect(spawnSync('sh', ['-c', `${request} -out request.pem`], { cwd: project.folder }).status).toBe(0);
    chmodSync(project.folder, 0o777);
    await expectFixed(project, /the project folder ".*" can be written by all users/u, () =>
      project.run(command.split(' ')),
    );
  });

  it.each(['status', 'show', 'fingerprint', 'make --dry-run', 'passphrase recipients'])(
    '%s reads, and only warns',
    async (command) => {
      const args = command.split(' ');
      await putMade(project);
      const right = await project.run(args);
      chmodSync(project.folder, 0o777);
      const read = await project.run(args);
      expect(read.status).toBe(right.status);
      expect(read.stdout).toBe(right.stdout);
      expect(read.stderr).toMatch(/warning: the project folder ".*" can be written by all users/u);
      expect(hintOf(read.stderr)).toBe(`chmod go-w ${project.folder}`);
    },
  );

  it('a reader does not finish there what was cut off', async () => {
    await putMade(project);
    mkdirSync(project.path('.relaycerts.change'));
    project.write('.relaycerts.change/journal', JSON.stringify(noJournal));
    chmodSync(project.folder, 0o777);
    const run = (): Promise<Result> => project.run(['show']);
    const fixed = await expectFixed(project, /the project folder ".*" can be written by all users/u, run);
    expect(fixed.stderr).toContain('finished an interrupted change');
  });

  it('gets no PKCS#12 file', async () => {
    await putMade(project);
    mkdirSync(join(root, 'drop'));
    chmodSync(join(root, 'drop'), 0o777);
    const args = ['export', 'p12', 'mailhost', '--password-fd', '0', '--out', join(root, 'drop/mail.p12')];
    const run = (): Result => project.spawn(args, { input: 'correct horse\n' });
    await expectFixed(project, /drop" can be written by all users/u, run);
  });

  it('gets no operator key with another password', async () => {
    await putMade(project);
    const folder = join(project.home, '.config/relaycerts');
    chmodSync(folder, 0o777);
    const before = stateOf(root);
    const terminal = await openTerminal({
      command: [process.execPath, program, 'passphrase', 'operator-password'],
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
});

describe('a folder that a group can write', () => {
  it('shared by several users: refused, with its name', async () => {
    await putMade(project);
    chownSync(project.folder, 0, 8);
    chmodSync(project.folder, 0o775);
    await expectFixed(project, /the project folder ".*" can be written by the group mail, who/u);
  });

  it('nogroup, which programs share: refused', async () => {
    await putMade(project);
    giveAll(project, 65_534);
    chmodSync(project.folder, 0o775);
    const run = (): Result => project.spawn(['make'], as(65_534));
    await expectFixed(project, /can be written by the group nogroup/u, run);
  });

  // Debian's user mail is the only member of the group mail; the other user is in a container, in no file of this
  // machine.
  it.each([8, stranger])("the group of user %i's own, as umask 002 makes it: passes", (uid) => {
    giveAll(project, uid);
    chmodSync(project.folder, 0o775);
    const under = [...as(uid).under, 'sh', '-c', 'umask 002; exec "$@"', 'sh'];
    const made = project.spawn(['make'], { under });
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).not.toMatch(/warning|error/u);
    for (const [folder, mode] of [
      ['certs', '755'],
      ['certs/ca', '755'],
      ['hosts', '755'],
      [`hosts/${home}`, '700'],
    ] as const) {
      expect(spawnSync('stat', ['-c', '%a', project.path(folder)]).stdout.toString()).toBe(`${mode}\n`);
    }
  });
});

describe('a shared folder like /tmp', () => {
  it('is not a project; the hint moves it into a folder of its own', async () => {
    await putMade(project);
    chmodSync(project.folder, 0o1777);
    const run = async (): Promise<Result> => {
      const moved = project.path('relaycerts/settings.json');
      return project.run(['--settings', existsSync(moved) ? moved : 'settings.json', 'make']);
    };
    const refused = await run();
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/all users can write to the project folder ".*", so it cannot hold keys/u);
    const [mkdir = ''] = hintOf(refused.stderr).split(', and move');
    expect(hintOf(refused.stderr)).toBe(`${mkdir}, and move the settings, certs and hosts there`);
    const fix = `${mkdir} && mv settings.json certs hosts relaycerts`;
    expect(spawnSync('sh', ['-c', fix], { cwd: project.folder }).status).toBe(0);
    expect((await run()).stderr).toContain('nothing to make');
  });

  it('may hold the passphrase file, with the project in a folder below', async () => {
    mkdirSync(join(root, 'shared'));
    chmodSync(join(root, 'shared'), 0o1777);
    project.settings(smallSettings({ passphrase: { file: join(root, 'shared/passphrase.gpg') } }));
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).not.toContain('warning');
    giveAll(project, stranger);
    chownSync(join(root, 'shared/passphrase.gpg'), stranger, stranger);
    for (const words of [['make'], ['passphrase', 'change'], ['revoke', home]]) {
      const result = project.spawn(words, as(stranger));
      expect(result.status, result.stderr).toBe(0);
    }
    const { stdout } = spawnSync('ls', ['-A', join(root, 'shared')]);
    expect(stdout.toString()).toBe('passphrase.gpg\npassphrase.gpg.old\n');
  });
});
