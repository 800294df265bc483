// What belongs to a third user is refused, because that user can change it: folders, the passphrase file, keys. Root
// may work there, with a warning.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, type Project, type Result } from '../support/project.js';
import { as, expectFixed, giveAll, hintOf, hintsOf, home, passphraseFile, stranger } from '../support/refusals.js';
import { requireTools } from '../support/require-tools.js';

let project: Project;
beforeAll(() => {
  requireTools('setpriv', 'sudo');
  if (process.geteuid?.() !== 0) throw new Error('these tests give files to other users: run them as root');
});
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const key = `certs/smtp-client/${home}.key.pem`;

it.each(['.', 'certs/smtp-client', `hosts/${home}`, '../home/.config/relaycerts', passphraseFile])(
  '%s of a third user: refused, and the hint fixes it',
  async (place) => {
    giveAll(project, stranger);
    chownSync(project.path(place), 8, 8);
    // A folder of another user with mode 0700 cannot even be read, so this case is a readable one.
    chmodSync(project.path(place), place.endsWith('.gpg') ? 0o644 : 0o755);
    await expectFixed(project, /belongs to the user mail, who could change what is in it/u, () =>
      project.spawn(['make'], as(stranger)),
    );
  },
);

it("a third user's key: refused, and the hints fix it", () => {
  giveAll(project, stranger);
  chownSync(project.path(key), 8, stranger);
  // Still readable, by its group.
  chmodSync(project.path(key), 0o640);
  const refused = project.spawn(['make'], as(stranger));
  expect(refused.status).toBe(1);
  expect(refused.stderr).toMatch(/the private key in ".*" belongs to another user \(uid 8\)/u);
  const hints = hintsOf(refused.stderr);
  expect(hints).toEqual([`chmod 600 ${project.path(key)}`, `sudo chown ${stranger} ${project.path(key)}`]);
  for (const hint of hints) expect(spawnSync('sh', ['-c', hint]).status).toBe(0);
  expect(project.spawn(['make'], as(stranger)).stderr).toContain('nothing to make');
});

it.each([0o640, 0o604, 0o660])('a key of mode %o: refused, and the hint fixes it', async (mode) => {
  chmodSync(project.path(key), mode);
  const says = `the private key in ".*" can be read or changed by others \\(mode 0${mode.toString(8)}\\)`;
  await expectFixed(project, new RegExp(says, 'u'));
});

it.each([
  [8, 'the user mail', 'sudo -u mail'],
  [stranger, 'the user with uid 4711', 'setpriv --reuid=4711 --regid=4711 --clear-groups'],
])('root in a folder of uid %i: a warning with how to run as that user', async (uid, who, command) => {
  giveAll(project, uid);
  const run = await project.run(['make']);
  expect(run.status, run.stderr).toBe(0);
  expect(run.stderr).toContain('warning: running as root, but the project folder ');
  expect(run.stderr).toContain(` belongs to ${who}, who can change it; what root makes there is root's`);
  expect(hintOf(run.stderr)).toBe(`to run it as ${who}: ${command} relaycerts make`);
  // Root's run made nothing of its own but the lock, which was there.
  const under = [...command.split(' '), 'env', `HOME=${project.home}`];
  expect(project.spawn(['make'], { under }).stderr).toMatch(/^relaycerts: nothing to make.*\n$/u);
});

it("root, with a key of neither root nor the folder's owner: refused", async () => {
  chownSync(project.path(key), 8, 8);
  await expectFixed(project, /the private key in ".*mailhost.*key\.pem" belongs to another user \(uid 8\)/u);
});

const asUser = (words: readonly string[]): Result => project.spawn(words, as(stranger));
const rootsOwn = (): string => spawnSync('find', [project.folder, project.home, '-user', '0']).stdout.toString().trim();

/** Root's run leaves what is closed to the user. */
async function runAsRoot(...words: readonly string[]): Promise<void> {
  const run = await project.run(words);
  expect(run.status, run.stderr).toBe(0);
  expect(rootsOwn()).not.toBe('');
}

describe('after a run as root in the folder of a user', () => {
  it.each([
    'make',
    'make --dry-run',
    'renew --force',
    'revoke mailhost',
    'export p12 mailhost --password-fd 0',
    'passphrase recipients',
  ])('that made everything: %s names root, and one chown fixes all of it', async (words) => {
    for (const folder of ['certs', 'hosts', '.relaycerts.lock']) rmSync(project.path(folder), { recursive: true });
    rmSync(project.path(passphraseFile));
    rmSync(join(project.home, '.config'), { recursive: true });
    giveAll(project, stranger);
    await runAsRoot('make');
    const run = (): Result => project.spawn(words.split(' '), { ...as(stranger), input: 'correct horse\n' });
    await expectFixed(project, /\(and \d+ more\) belongs to root, as after a run under sudo/u, run);
    expect(rootsOwn()).toBe('');
    expect(asUser(['make']).status).toBe(0);
  });

  it.each([
    ['renew', '--force'],
    ['renew', '--rekey', 'mailhost'],
    ['passphrase', 'change'],
    ['revoke', 'mailhost'],
    ['renew', '--ca', '--rekey'],
  ])('of %s %s: one chown fixes all of it, and make works', async (...words) => {
    giveAll(project, stranger);
    await runAsRoot(...words);
    const refused = asUser(['make']);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/belongs to root, as after a run under sudo, and this user cannot open it/u);
    expect(spawnSync('sh', ['-c', hintOf(refused.stderr)]).status).toBe(0);
    const made = asUser(['make']);
    expect(made.status, made.stderr).toBe(0);
  });

  it('status reports it once, with the same chown', async () => {
    giveAll(project, stranger);
    await runAsRoot('renew', '--force');
    const { status, stderr } = asUser(['status']);
    expect(status).toBe(3);
    expect(hintsOf(stderr).filter((hint) => hint.includes('chown'))).toEqual([
      `sudo chown -R ${stranger} ${project.path('certs')} ${project.path('hosts')}`,
    ]);
  });

  it("is not reported if root's files can be read", async () => {
    chmodSync(project.home, 0o755);
    spawnSync('chown', ['-R', `${stranger}:${stranger}`, project.home]);
    const shown = asUser(['show']);
    expect([shown.status, shown.stderr]).toEqual([0, '']);
  });
});
