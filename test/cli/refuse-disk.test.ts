// A disk that is read-only, closed to us, or full: the error names the path and the system's reason, the old state
// stays, and after the hint the same command works.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import {
  as,
  errorsOf,
  giveAll,
  hintOf,
  home,
  inNamespace,
  ownFileSystem,
  stateOf,
  stranger,
} from '../support/refusals.js';
import { requireTools } from '../support/require-tools.js';

let project: Project;
let root: string;
beforeAll(() => {
  requireTools('setpriv', 'unshare', 'mount', 'openssl');
  if (process.geteuid?.() !== 0) throw new Error('these tests mount file systems: run them as root');
});
beforeEach(() => {
  project = makeProject();
  root = dirname(project.folder);
});
afterEach(() => {
  project.remove();
});

const fill = 'dd if=/dev/zero of=filler bs=4k 2>/dev/null || true';

describe('a file system that is read-only', () => {
  it('has the project: each command that would write reports it, and works after a remount', async () => {
    await putMade(project);
    const run = inNamespace(
      project,
      `mount --bind . .
mount -o remount,bind,ro "$PWD"
cd "$PWD"
"$@" make
for words in 'renew --force' 'passphrase change' 'clean --yes'; do refused "$@" $words; done
mount -o remount,bind,rw "$PWD"
"$@" renew --force`,
    );
    expect(run.status, run.stderr).toBe(0);
    const readOnly: unknown = expect.stringMatching(/cannot use the lock ".*": the file system is read-only$/u);
    expect(errorsOf(run.stderr)).toEqual([readOnly, readOnly, readOnly]);
    expect(run.stderr).toContain('nothing to make: all is right here');
    expect(run.stderr).toContain('hint: use a file system that is writable, or remount this one');
  });

  it('is to hold the passphrase: nothing is made, nor is an operator key', () => {
    mkdirSync(join(root, 'stick'));
    project.settings(smallSettings({ passphrase: { file: join(root, 'stick/passphrase.gpg') } }));
    const run = inNamespace(
      project,
      `mount -t tmpfs -o ro,mode=700 tmpfs ../stick
refused "$@" make
[ ! -e "$HOME/.config" ]
mount -o remount,rw ../stick
"$@" make >/dev/null`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/cannot write ".*stick\/passphrase\.gpg": the file system is read-only/u);
  });

  it('is mounted on a bundle: its change waits until it is writable', async () => {
    await putMade(project);
    const bundle = `hosts/${home}`;
    const run = inNamespace(
      project,
      `cp -a ${bundle} "$HOME/copy"
mount -t tmpfs -o mode=777 tmpfs ${bundle}
refused "$@" make
hint | sh
"$@" make >/dev/null
diff -r "$HOME/copy" ${bundle}
umount ${bundle}
diff -r "$HOME/copy" ${bundle}`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual([expect.stringContaining('can be written by all users')]);
  });
});

it.each([
  { owner: stranger, mode: 0o555, says: /cannot use the lock ".*": permission denied/u, hint: 'chmod u+rwX ' },
  {
    owner: 0,
    mode: 0o755,
    says: /cannot make the folder ".*": permission denied/u,
    hint: 'it belongs to root: sudo ',
  },
])('a folder of uid $owner with mode $mode: refused, and the hint fixes it', async ({ owner, mode, says, hint }) => {
  if (owner === 0) await putMade(project);
  giveAll(project, stranger);
  // Root's folder is given away only because it is in one of this user's.
  chownSync(dirname(project.folder), stranger, stranger);
  chownSync(project.folder, owner, owner);
  chmodSync(project.folder, mode);
  if (owner === 0) rmSync(project.path(`hosts/${home}`), { recursive: true });
  const before = stateOf(root);
  const run = (): Result => project.spawn(['make'], as(stranger));
  const refused = run();
  expect([refused.status, refused.stdout]).toEqual([1, '']);
  expect(stateOf(root)).toBe(before);
  expect(refused.stderr).toMatch(says);
  expect(hintOf(refused.stderr)).toContain(hint);
  const fix = spawnSync('sh', ['-c', hintOf(refused.stderr).replace(/^it belongs to root: /u, '')]);
  expect(fix.status, fix.stderr.toString()).toBe(0);
  expect(run().status).toBe(0);
});

describe('a disk that is full', () => {
  it('leaves the old state, whatever the command', async () => {
    await putMade(project);
    const run = inNamespace(
      project,
      `${ownFileSystem('size=400k')}${fill}
for words in 'renew --force' 'renew --rekey mailhost' 'renew --ca' 'renew --ca --rekey' 'revoke mailhost' \\
  'passphrase change'; do refused "$@" $words; done
rm filler
"$@" renew --force`,
    );
    expect(run.status, run.stderr).toBe(0);
    const full: unknown = expect.stringMatching(/cannot .* ".*": the disk is full$/u);
    expect(errorsOf(run.stderr)).toEqual([full, full, full, full, full, full]);
    expect(run.stderr).toMatch(/hint: make room and run the same command again/u);
  });

  it('has room for a part of a first make: nothing is made', () => {
    const run = inNamespace(
      project,
      `${ownFileSystem('size=40k')}refused "$@" make
[ ! -e "$HOME/.config" ]
[ -z "$(find "$HOME" -name '*passphrase*')" ]
mount -o remount,size=1m "$PWD"
"$@" make >/dev/null`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual([expect.stringMatching(/cannot .* ".*": the disk is full$/u)]);
  });

  it('has no room for a request that is signed: it is not stored', () => {
    const request = 'openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout /dev/null';
    expect(spawnSync('sh', ['-c', `${request} -out request.pem`], { cwd: project.folder }).status).toBe(0);
    const run = inNamespace(
      project,
      `${ownFileSystem('size=16k')}refused "$@" sign request.pem --host mailhost
mount -o remount,size=1m "$PWD"
"$@" sign request.pem --host mailhost && "$@" make >/dev/null`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toHaveLength(1);
  });

  it('has no inodes left: the same', () => {
    const run = inNamespace(
      project,
      `${ownFileSystem('nr_inodes=15')}refused "$@" make
mount -o remount,nr_inodes=400 "$PWD"
"$@" make >/dev/null`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual([expect.stringMatching(/cannot .* ".*": the disk is full$/u)]);
  });

  it('has the passphrase: a change of it is refused, the project untouched', () => {
    mkdirSync(join(root, 'stick'));
    project.settings(smallSettings({ passphrase: { file: join(root, 'stick/passphrase.gpg') } }));
    const run = inNamespace(
      project,
      `mount -t tmpfs -o size=100k,mode=700 tmpfs ../stick
"$@" make >/dev/null
(cd ../stick; ${fill})
refused "$@" passphrase change
[ "$(ls -A ../stick | tr '\\n' ' ')" = 'filler passphrase.gpg ' ]
rm ../stick/filler
"$@" passphrase change`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(run.stderr).toMatch(/cannot write ".*stick\/passphrase\.gpg.*": the disk is full/u);
  });

  it('once the change is committed: the next command finishes it', () => {
    const run = inNamespace(
      project,
      `${ownFileSystem('size=1m')}${fill}
until "$@" make >/dev/null 2>"$HOME/said"; do
  ! [ -e .relaycerts.change/journal ] || break
  truncate -s -4k filler
done
sed -n 's/error: /&/p' "$HOME/said" >&2
[ -e .relaycerts.change/journal ]
rm filler
"$@" make >/dev/null`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual([expect.stringMatching(/cannot .* ".*": the disk is full$/u)]);
    expect(run.stderr).toMatch(/finished an interrupted change\nrelaycerts: nothing to make/u);
  });

  it('has room again after clean', async () => {
    await putMade(project);
    const run = inNamespace(
      project,
      `${ownFileSystem('size=400k')}${fill}
truncate -s -16k filler
"$@" clean --yes --all >/dev/null
[ "$(ls -A | tr '\\n' ' ')" = 'filler settings.json ' ]`,
    );
    expect(run.status, run.stderr).toBe(0);
  });
});

// What the administrator mounts at a bundle's path is part of the project, as the path says.
it.each(['../../outside', '..', '.', 'a/../../outside', '/outside', String.raw`a\..\outside`, 'a%2f..'])(
  'no host name leads a bundle out of the project: %s',
  async (hostname) => {
    project.settings(smallSettings({ smtpClients: [{ hostname }] }));
    const before = stateOf(root);
    const run = await project.run(['make']);
    expect(run.status).toBe(2);
    expect(run.stderr).toMatch(/smtpClients\[0\]\.hostname/u);
    expect(stateOf(root)).toBe(before);
  },
);
