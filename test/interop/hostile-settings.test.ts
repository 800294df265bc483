// The whole alphabet that each key of the settings accepts, tested in the parser character by character, and what is
// refused: exit 2, one line per problem with its hint, the value quoted and escaped, nothing written.

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostsOf } from '../../src/settings/settings.js';
import { keyTypes, tableTypes } from '../../src/settings/settings.js';
import { parseSettings, settingsJsonSchema } from '../../src/settings/schema.js';
import { isPathTaken, isTaken, textKeys } from '../support/alphabets.js';
import { badSettings, smallest } from '../support/bad-settings.js';
import { alphabetOf, codePoints } from '../support/code-points.js';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

const isAscii = (character: string): boolean => character <= '\x7f';
const context = {
  file: '/srv/mail/settings.json',
  home: '/home/postmaster',
  program: 'relaycerts',
  command: 'relaycerts',
};

/** `a.b` for every key in the JSON Schema that takes text. */
function textKeysOf(schema: unknown, path: readonly string[] = []): readonly string[] {
  const {
    type,
    items,
    anyOf,
    properties = {},
    enum: words,
  } = schema as {
    readonly type?: string;
    readonly anyOf?: readonly unknown[];
    readonly items?: unknown;
    readonly properties?: Readonly<Record<string, unknown>>;
    readonly enum?: unknown;
  };
  if (anyOf !== undefined) return anyOf.flatMap((one) => textKeysOf(one, path));
  if (items !== undefined) return textKeysOf(items, path);
  if (type === 'string' || words !== undefined) return [path.join('.')];
  return Object.entries(properties).flatMap(([key, value]) => textKeysOf(value, [...path, key]));
}

describe('the alphabet of', () => {
  it('every key that takes text is tested', () => {
    // $schema is for editors, and is not used. The path of the clients file is only opened, and never printed for a
    // shell.
    const elsewhere = ['$schema', 'smtpClients.file'];
    const all = textKeysOf(settingsJsonSchema()).filter((key) => !elsewhere.includes(key));
    expect([...new Set(textKeys.map(({ key }) => key))].toSorted()).toEqual(all.toSorted());
    expect(codePoints.length).toBeGreaterThan(400);
  });

  it.each(textKeys)('$key', ({ filler, settings, ascii, beyond }) => {
    if (filler !== '' && filler !== 'N') expect(isTaken(settings(filler))).toBe(true);
    const found = alphabetOf((text) => isTaken(settings(text)), filler);
    for (const [at, place] of (['first', 'middle', 'last'] as const).entries()) {
      const wanted = codePoints.filter((character) => isAscii(character) && ascii[at]?.test(character) === true);
      expect([place, found[place].filter(isAscii)]).toEqual([place, wanted]);
      const odd = found[place].filter((character) => !isAscii(character) && !beyond.test(character));
      expect([place, odd]).toEqual([place, []]);
    }
    if (beyond.test('\u00fc')) expect(found.middle).toContain('\u00fc');
  });

  it('names is letters, digits, hyphens and dots once they are parsed', () => {
    const names = textKeys.filter(({ key }) => /hostname|altNames|sshHost|permittedDomains|domain$/u.test(key));
    expect(names).toHaveLength(8);
    for (const { settings, filler } of names) {
      for (const character of codePoints.filter((each) => isTaken(settings(filler + each)))) {
        const parsed = parseSettings(settings(filler + character), context);
        const all = [
          parsed.domain,
          ...parsed.ca.permittedDomains,
          ...hostsOf(parsed).flatMap((host) => [host.hostname, ...host.altNames]),
        ];
        for (const name of all) expect(name).toMatch(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/u);
        for (const { ssh } of hostsOf(parsed)) expect(ssh.host).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]*$/u);
      }
    }
  });

  it("the settings file's own path: everything but control characters", async () => {
    const taken = await Promise.all(codePoints.map((character) => isPathTaken(`/nowhere/a${character}b.json`)));
    const refused = codePoints.filter((_, at) => taken[at] === false);
    expect(refused).toEqual(codePoints.filter((character) => /\p{Cc}/u.test(character)));
  });

  it('choices is their words', () => {
    const choices = { tableType: tableTypes, pin: ['public-key', 'certificate'], unlisted: ['defer', 'reject'] };
    for (const [key, words] of Object.entries({ ...choices, masterChroot: ['y', 'n', '-'] })) {
      for (const word of words) {
        expect(isTaken({ ...smallest, postfix: { [key]: word } })).toBe(true);
        for (const wrong of [` ${word}`, `${word} `, `${word}\n`, `${word}\0`, `${word}$x`, `\uff59${word}`]) {
          expect(isTaken({ ...smallest, postfix: { [key]: wrong } })).toBe(false);
        }
      }
    }
    for (const keyType of keyTypes) expect(isTaken({ ...smallest, ca: { keyType: `${keyType} -x` } })).toBe(false);
  });
});

/** The characters that no line of ours may hold as they are: a terminal or a reader would take them for something. */
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const raw = /[\0-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u;

describe('what is refused', () => {
  let project: Project;
  beforeAll(() => {
    project = makeProject(null);
  });
  afterAll(() => {
    project.remove();
  });

  /** Refused: exit 2, nothing on stdout, lines of problems with a hint each, and nothing on the disk. */
  async function expectRefused(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const before = treeOf(join(project.folder, '..'));
    const { status, stdout, stderr } = await project.run(args, { env });
    expect([status, stdout.slice(0, 80)], stderr).toEqual([2, '']);
    const lines = stderr.split('\n').slice(0, -1);
    expect(lines.length % 2).toBe(0);
    lines.forEach((line, at) => {
      expect(line).toMatch(at % 2 === 0 ? /^relaycerts: error: \S/u : /^relaycerts: hint: \S/u);
      expect(line).not.toMatch(raw);
    });
    expect(treeOf(join(project.folder, '..'))).toEqual(before);
    return stderr;
  }

  // In the process the whole list is property's and unit's; here some of every kind go through the program.
  const each = process.env['RELAYCERTS_DEEP'] === '1' ? 1 : 9;
  it.each(badSettings.filter((_, at) => at % each === 0))('$name', async ({ value, at, says }) => {
    project.settings(value);
    const said = await expectRefused(['make']);
    expect(said).toContain(`settings.json: ${at}`);
    expect(said).toContain(says);
  });

  it('a file with every text wrong: a line each, control characters escaped', async () => {
    const bad = '\u001b[2J\r\n\u0085\u202e\u2028\u0000x';
    const host = { hostname: bad, sshUser: bad, sshHost: bad };
    project.settings({
      domain: bad,
      smtpdServers: [{ ...host, altNames: [bad] }],
      smtpClients: [host],
      subject: { country: bad, state: bad, locality: bad, organization: bad, organizationalUnit: bad },
      ca: { commonName: bad, keyType: bad, permittedDomains: [bad] },
      certificates: { keyType: bad },
      passphrase: { file: bad, recipients: [bad] },
      postfix: { directory: bad, tableType: bad, pin: bad, unlisted: bad, masterChroot: bad },
      [bad]: 1,
    });
    const said = await expectRefused(['make']);
    expect(said.match(/error: settings\.json: /gu)).toHaveLength(25);
    expect(said.match(/\\u001b\[2J\\r\\n\\u0085\\u202e\\u2028\\u0000x/gu)?.length).toBeGreaterThanOrEqual(22);
  });

  it.each(['a\nb', 'a\u001b[31mb', 'a\u0085b', 'a\tb'])('a folder named %j', async (name) => {
    mkdirSync(project.path(name), { recursive: true });
    writeFileSync(project.path(name, 'settings.json'), JSON.stringify(smallSettings()));
    const file = join(name, 'settings.json');
    for (const args of [['make'], ['show'], ['status']]) {
      expect(await expectRefused(['--settings', file, ...args])).toContain('control character');
    }
  });

  it.each(['HOME', 'XDG_CONFIG_HOME'])('%s with a line feed or an escape', async (name) => {
    project.settings(smallSettings());
    for (const value of ['a\nb', 'a\u001b[31mb']) {
      mkdirSync(project.path('homes', value), { recursive: true });
      const said = await expectRefused(['make'], { [name]: project.path('homes', value) });
      expect(said).toContain(name);
    }
  });
});

describe('a file that the command line names, with a line feed in its name', () => {
  it('is reported on one line, whatever it is', async () => {
    const project = makeProject();
    const name = 'a\nb\u001b[31m$(canary)';
    mkdirSync(project.path(name));
    await project.run(['make', '--quiet']);
    for (const args of [
      ['fingerprint', name],
      ['sign', name, '--host', 'mailhost'],
      ['export', 'p12', 'mailhost', '--out', name],
      ['export', 'p12', 'mailhost', '--out', `${name}2`],
      ['export', 'p12', 'mailhost', '--out', `${name}/x/y`, '--password-fd', '0'],
      ['fingerprint', `${name}2`],
      ['show', name],
      ['revoke', name],
      ['show', '--section', name],
      [`--${name}`],
      ['status', '--warn', name],
      [name],
      ['export', 'p12', 'mailhost', '--out', `${name}3`, '--password-fd', '0'],
    ]) {
      const input = { input: 'password' };
      const result = args.includes('--password-fd') ? project.spawn(args, input) : await project.run(args, input);
      const { status, stdout, stderr } = result;
      expect([args, stdout]).toEqual([args, '']);
      expect([0, 1, 2], stderr).toContain(status);
      for (const line of stderr.split('\n').slice(0, -1)) expect(line).toMatch(/^relaycerts: /u);
      expect(stderr).not.toMatch(raw);
    }
    project.remove();
  });
});
