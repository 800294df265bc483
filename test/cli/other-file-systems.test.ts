// File systems that lack Unix features: exFAT, which USB sticks use, has no modes and no hard links; others refuse to
// change a mode or to sync a folder. On these it works, or refuses at once; a dry run too. And ext4, the usual one.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { errorsOf, hintOf, inNamespace } from '../support/refusals.js';
import { requireTools } from '../support/require-tools.js';

let project: Project;
beforeAll(() => {
  requireTools('strace', 'unshare', 'mount', 'losetup', 'mkfs.ext4', 'mkfs.exfat', 'mount.exfat-fuse');
  if (process.geteuid?.() !== 0) throw new Error('these tests mount file systems: run them as root');
});
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

/** Runs a script with an exFAT file system at ../stick, which `stick OPTIONS` mounts again. */
function withStick(options: string, script: string): Result {
  mkdirSync(join(dirname(project.folder), 'stick'));
  return inNamespace(
    project,
    `truncate -s 8M "$HOME/image"
mkfs.exfat "$HOME/image" >/dev/null
loop=$(losetup --find --show "$HOME/image")
place=$PWD/../stick
trap 'cd /; umount "$place" || :; losetup --detach "$loop"; rm "$HOME/image"' EXIT
stick() {
  ! mountpoint -q "$place" || umount "$place"
  mount.exfat-fuse -o "$1" "$loop" "$place" >/dev/null
}
stick ${options}
${script}`,
  );
}

const everything = `cp settings.json ../stick
cd ../stick
for words in make 'make --dry-run' 'renew --force' 'renew --rekey mailhost' 'retire' 'passphrase change' \\
  'renew --ca' 'show mailhost --format sh' 'revoke mailhost' 'make --again mailhost'; do
  "$@" $words >/dev/null
done
"$@" status >/dev/null || [ $? = 3 ]
echo 'correct horse' | "$@" export p12 mailhost --password-fd 0
[ -s mailhost.example.org.p12 ]
"$@" clean --yes --all
ls -A | grep -v lost+found | tr '\\n' ' '`;

function expectEverything({ status, stdout, stderr }: Result): void {
  expect(status, stderr).toBe(0);
  expect(stderr).not.toMatch(/error|file system/u);
  expect(stdout).toMatch(/mailhost\.example\.org\.p12 settings\.json $/u);
}

it('ext4, where the temporary folders of the tests are in memory', () => {
  mkdirSync(join(dirname(project.folder), 'stick'));
  const run = inNamespace(
    project,
    `truncate -s 64M "$HOME/image"
mkfs.ext4 -q "$HOME/image"
mount -o loop "$HOME/image" ../stick
chmod 700 ../stick
${everything}`,
  );
  expectEverything(run);
});

describe('exFAT', () => {
  it.each(['umask=022', 'umask=000', 'umask=027'])(
    'mounted with %s: refused before anything, a dry run too',
    (options) => {
      const run = withStick(
        options,
        `cp settings.json ../stick
cd ../stick
refused "$@" make --dry-run
refused "$@" make
[ "$(ls -A)" = settings.json ]
[ ! -e "$HOME/.config" ]
cd ..
stick umask=077
cd stick
"$@" make --dry-run >/dev/null
"$@" make >/dev/null 2>&1`,
      );
      expect(run.status, run.stderr).toBe(0);
      const cannot: unknown = expect.stringMatching(/the file system of ".*stick" cannot keep a file private$/u);
      expect(errorsOf(run.stderr)).toEqual([cannot, cannot]);
      expect(run.stderr).toContain('hint: work on another file system, or mount this one with umask=077');
    },
  );

  it('mounted with umask=077 accepts everything', () => {
    expectEverything(withStick('umask=077', everything));
  });

  it('for the passphrase only: refused before anything, also in a dry run', () => {
    project.settings(smallSettings({ passphrase: { file: join(dirname(project.folder), 'stick/passphrase.gpg') } }));
    const run = withStick(
      'umask=022',
      `refused "$@" make --dry-run
refused "$@" make
[ -z "$(ls -A ../stick)" ]
[ ! -e "$HOME/.config" ]
stick umask=077
"$@" make >/dev/null 2>&1
"$@" passphrase change
"$@" renew --force >/dev/null`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toHaveLength(2);
  });

  it('is to hold a PKCS#12 file: refused before a password is asked for', async () => {
    await putMade(project);
    const run = withStick(
      'umask=000',
      `refused "$@" export p12 mailhost --out ../stick/mail.p12
[ -z "$(ls -A ../stick)" ]`,
    );
    expect(run.status, run.stderr).toBe(0);
    expect(errorsOf(run.stderr)).toEqual([expect.stringMatching(/".*stick" cannot keep a file private$/u)]);
    expect(hintOf(run.stderr)).toContain('umask=077');
  });
});

const wasRefused = (): boolean => readFileSync(join(project.home, 'trace'), 'utf8').includes('(INJECTED)');

describe.each(['EPERM', 'EOPNOTSUPP', 'ENOSYS'])('a file system that answers with %s', (error) => {
  const refusing = (calls: string): readonly string[] => [
    'strace',
    '-fqqo',
    join(project.home, 'trace'),
    '-e',
    `trace=${calls}`,
    '-e',
    `inject=${calls}:error=${error}`,
  ];

  it('when a mode is changed: make and renew work, and a key is private', () => {
    const refused = [['make'], ['renew', '--force'], ['renew', '--rekey', 'mailhost']].map((words) => {
      const run = project.spawn(words, { under: refusing('fchmod') });
      expect(run.status, run.stderr).toBe(0);
      return wasRefused();
    });
    expect(refused).toContain(true);
    expect(project.spawn(['status']).stderr).not.toMatch(/error|others/u);
  });

  it('when a file gets a second name: export p12 works', async () => {
    await putMade(project);
    const args = ['export', 'p12', 'mailhost', '--password-fd', '0'];
    const run = project.spawn(args, { under: refusing('link,linkat'), input: 'correct horse\n' });
    expect(run.status, run.stderr).toBe(0);
    expect(wasRefused()).toBe(true);
    expect(readdirSync(project.folder).filter((name) => name.includes('p12'))).toEqual(['mailhost.example.org.p12']);
  });
});
