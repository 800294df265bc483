// Folders and files with every kind of name: the settings, the passphrase file, recipients' keys, the home. Every file
// is where it should be, nothing is beside it, and a printed command gets such a path as one word.

import { existsSync, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, afterAll, describe, expect, it } from 'vitest';
import { pathWord } from '../../src/shell-word.js';
import { renderError } from '../../src/errors.js';
import { findSettings } from '../../src/wizard/settings-file.js';
import { isTaken } from '../support/alphabets.js';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { makeStubs, type Stubs } from '../support/shell-stubs.js';

/** Each is a name of a folder or a file; `canary` is a stub that nothing may run. */
const names = [
  ' ',
  ' a b ',
  "it's",
  '"quoted"',
  '$(canary)',
  '`canary`',
  '; canary #',
  '-rf',
  '--settings',
  '~',
  '$HOME',
  '*',
  'a\\',
  'a:b',
  '%s%n',
  '\u00fc\u0301\u4f8b\u{1f4a9}',
  '\u202egpj',
  '\u2028',
  '...',
  'settings.json',
] as const;

let gnupg: Gnupg;
let stubs: Stubs;
let project: Project;
beforeAll(() => {
  stubs = makeStubs();
  gnupg = makeGnupg();
  gnupg.makeKey({ userId: 'alice@example.org' });
});
afterAll(() => {
  stubs.remove();
  gnupg.dispose();
});
beforeEach(() => {
  project = makeProject(null);
});
afterEach(() => {
  project.remove();
});

const sorted = (paths: readonly string[]): readonly string[] => paths.toSorted((one, other) => (one < other ? -1 : 1));
const isGood = ({ status, stderr }: Result): void => expect(status, stderr).toBe(0);

/** The command after these words, as a shell splits it. */
function toldCommand(said: string, after: string): readonly (readonly string[])[] {
  const line = said.split('\n').find((each) => each.includes(after)) ?? '';
  const command = line.slice(line.indexOf(after) + after.length);
  const { ran, stderr } = stubs.run(['dash'], command);
  expect(stderr.replaceAll(/^left behind: .*\n/gmu, ''), command).toBe('');
  return ran;
}

describe.each(names)('%j', (name) => {
  it('is a folder of settings and a home: all is made in them', async () => {
    mkdirSync(project.path(name));
    project.write(join(name, 'settings.json'), JSON.stringify(smallSettings()));
    const home = join(project.home, name);
    mkdirSync(home);
    const env = { HOME: home };
    const made = await project.run([`--settings=${name}/settings.json`, 'make'], { env });
    isGood(made);
    expect(readdirSync(project.folder)).toEqual([name]);
    expect(sorted(readdirSync(project.path(name)))).toEqual(['.relaycerts.lock', 'certs', 'hosts', 'settings.json']);
    const again = await project.run(['make'], { env, cwd: project.path(name) });
    expect(again.stderr).toContain('nothing to make');
    const copy = (await project.run([`--settings=${name}/settings.json`, 'show', 'mailhost', '--section', 'rsync']))
      .stdout;
    const files = stubs.run(['dash'], copy).ran[0]?.filter((word) => word.startsWith(project.folder)) ?? [];
    const bundle = project.path(name, 'hosts', 'mailhost.example.org');
    expect(sorted(files)).toEqual(sorted(readdirSync(bundle).map((file) => join(bundle, file))));

    const key = join(home, '.config/relaycerts/operator-key.asc');
    const said = made.stderr.replace(
      /^relaycerts: {3}gpg --import ~\//mu,
      () => `TAKE: gpg --import ${pathWord(home)}/`,
    );
    const [[gpg, option, file] = []] = toldCommand(said, 'TAKE: ');
    expect([gpg, option, file]).toEqual(['gpg', '--import', key]);
    for (const path of [key, join(home, '.example.org-relaycerts-passphrase.gpg')]) {
      expect(statSync(path).mode & 0o7777).toBe(0o600);
    }
    expect(sorted(readdirSync(home))).toEqual(['.config', '.example.org-relaycerts-passphrase.gpg']);
  });
});

describe('a file of settings', () => {
  it('has any of these names, and is named by what is printed', async () => {
    project.settings(smallSettings());
    isGood(await project.run(['make', '--quiet']));
    for (const name of names) {
      project.write(name, JSON.stringify(smallSettings()));
      const text = (await project.run([`--settings=${name}`, 'show', 'mailhost'])).stdout;
      const piped = /^ {4}(relaycerts [^\n]*\| ssh [^\n]*)/mu.exec(text)?.[1] ?? '';
      const own = name === 'settings.json' ? [] : ['--settings', name];
      expect(stubs.run(['dash'], piped).ran).toEqual([
        ['relaycerts', ...own, 'show', 'mailhost.example.org', '--format', 'sh'],
        ['ssh', 'root@mailhost.example.org', 'sh'],
      ]);
    }
  });
});

// Some of them: each takes half a dozen runs.
const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
describe.each(names.filter((_, at) => isDeep || at % 3 === 1))('%j', (name) => {
  it('of a passphrase or recipient file: accepted or refused', async () => {
    const file = `keys/${name}`;
    const recipient = `keys/recipient ${name}`;
    const settings = smallSettings({ passphrase: { file, recipients: [recipient] } });
    project.settings(settings);
    const env = { GNUPGHOME: gnupg.home };
    mkdirSync(project.path('keys'));
    const refused = await project.run(['make'], { env });
    expect(existsSync(project.path('certs'))).toBe(false);
    if (!isTaken(settings)) {
      // Invisible, or a space at the end: reported with its place, escaped.
      expect([refused.status, name]).toEqual([2, expect.stringMatching(/^[ \u2028]|^\u202e/u)]);
      expect(refused.stderr).toMatch(/settings\.json: passphrase\.(?:file|recipients\[0\])/u);
      return;
    }
    expect(refused.status).toBe(1);
    const where = project.path(recipient);
    expect(toldCommand(refused.stderr, 'hint: ')).toEqual([['gpg', '--export', '--armor', 'FINGERPRINT']]);
    expect(existsSync(where)).toBe(true);
    writeFileSync(where, gnupg.gpg(['--export', '--armor', 'alice@example.org']));
    isGood(await project.run(['make'], { env }));
    expect(sorted(readdirSync(project.path('keys')))).toEqual(sorted([`recipient ${name}`, name]));
    expect(statSync(project.path(file)).mode & 0o7777).toBe(0o600);
    isGood(await project.run(['renew', 'mailhost', '--force'], { env }));
    expect((await project.run(['passphrase', 'show', '--yes'], { env })).stdout).toMatch(/^[0-9a-f]{64}\n$/u);
    // A file that is not an OpenPGP message: every printed command names it as one word.
    renameSync(project.path(file), project.path('keys', 'away'));
    writeFileSync(project.path(file), 'x', { mode: 0o600 });
    const damaged = await project.run(['renew', 'mailhost', '--force'], { env });
    expect(damaged.status).toBe(1);
    for (const line of damaged.stderr.trimEnd().split('\n')) expect(line).toMatch(/^relaycerts: /u);
  });
});

describe('a hint for a path', () => {
  it('that the wizard cannot use gets a command with it as one word', async () => {
    for (const name of names) {
      const path = project.path(name);
      project.write(name, '{');
      const error: unknown = await findSettings(path, {
        home: project.home,
        program: 'relaycerts',
        command: 'relaycerts',
      }).catch((reason: unknown) => reason);
      expect(toldCommand(renderError(error).join('\n'), 'move it away: ')).toEqual([['mv', path, `${path}.old`]]);
    }
  });
});
