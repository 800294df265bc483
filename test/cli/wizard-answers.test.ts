// `wizard --answers`: the settings without questions, and what it says where they cannot be made.

import { chmodSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeProject, program, treeOf, type Project } from '../support/project.js';
import { openTerminal } from '../support/terminal.js';

let project: Project;

beforeEach(() => {
  project = makeEmptyProject();
});
afterEach(() => project.remove());

function makeEmptyProject(): Project {
  const made = makeProject();
  rmSync(made.path('settings.json'));
  return made;
}

const answered = (answers: unknown, args: readonly string[] = []) =>
  project.run([...args, 'wizard', '--answers', '-'], { input: JSON.stringify(answers) });

describe('wizard --answers', () => {
  test('makes, byte for byte, what a person who types the same makes', async () => {
    const terminal = await openTerminal({
      command: [process.execPath, program, 'wizard'],
      cwd: project.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
    });
    try {
      const steps: readonly (readonly [wait: string, text: string, ...keys: readonly string[]])[] = [
        ['? Mail domain:', 'Example.org'],
        ['? Relay:', 'r1, r2.example.net'],
        ['? Port on the relay:', '2525'],
        ['? ssh user on the relay:', 'admin'],
        ['? Mail server at home:', 'm1,m2'],
        ['? ssh user on it:', ''],
        ['? Key type:', '', 'Down', 'Down', 'Down'],
        ['? Days a certificate is valid:', '90'],
        ['? Who opens the passphrase:', ''],
        ['? Write settings.json:', '', 'Down'],
      ];
      for (const [wait, text, ...keys] of steps) {
        await terminal.waitFor(wait);
        if (text !== '') terminal.type(text);
        for (const key of [...keys, 'Enter']) terminal.press(key);
      }
      expect(await terminal.ended()).toBe(0);
    } finally {
      terminal.dispose();
    }
    const typed = project.read('settings.json');
    const other = makeEmptyProject();
    try {
      other.write(
        'answers.json',
        JSON.stringify({
          domain: 'Example.org',
          relays: ['r1', 'r2.example.net'],
          relayPort: 2525,
          relayUser: 'admin',
          clients: 'm1,m2',
          keyType: 'rsa-3072',
          validDays: '90',
        }),
      );
      const result = await other.run(['wizard', '--answers', 'answers.json']);
      expect(result).toEqual({ status: 0, stdout: '', stderr: 'relaycerts: wrote settings.json\n' });
      expect(other.read('settings.json')).toBe(typed);
      // The schema that the settings name for editors is beside them, the one of this version; and never replaced.
      const schema = JSON.parse(
        readFileSync(resolve(import.meta.dirname, '../../settings.schema.json'), 'utf8'),
      ) as unknown;
      for (const one of [project, other]) expect(JSON.parse(one.read('settings.schema.json'))).toEqual(schema);
      other.write('settings.schema.json', 'mine');
      expect((await other.run(['wizard', '--answers', 'answers.json'])).status).toBe(0);
      expect(other.read('settings.schema.json')).toBe('mine');
    } finally {
      other.remove();
    }
  });

  test('from standard input, with --json: the settings on stdout; a second time nothing changes', async () => {
    const first = await answered({ domain: 'example.org' }, ['--json']);
    expect(first.status).toBe(0);
    expect(first.stdout).toBe(project.read('settings.json'));
    const before = treeOf(project.folder);
    const second = await answered({});
    expect(second).toEqual({
      status: 0,
      stdout: '',
      stderr: 'relaycerts: settings.json says all this already, and stays as it is\n',
    });
    expect(treeOf(project.folder)).toEqual(before);
    expect((await project.run(['make'])).status).toBe(0);
  });

  test('into a folder that is not there yet', async () => {
    expect((await answered({ domain: 'example.org' }, ['--settings', 'a/b/settings.json'])).status).toBe(0);
    expect(readdirSync(project.path('a/b'))).toEqual(['settings.json', 'settings.schema.json']);
  });

  test('all problems at once, each with its id; nothing is written', async () => {
    const result = await answered({
      domain: 'example.org',
      relays: 'a, A.example.org',
      relayPort: 25,
      clientUser: '$(reboot)',
      keyType: 'rsa',
      validDays: 12,
      recipientsFrom: 'typed',
      recipients: 'nobody.asc',
      gnupgKeys: ['x'],
    });
    expect(result.status).toBe(2);
    const errors = result.stderr.split('\n').filter((line) => line.startsWith('relaycerts: error: '));
    expect(errors.map((line) => line.slice('relaycerts: error: standard input: '.length))).toEqual([
      'relays: stands already at smtpdServers[0].hostname: "a.example.org"',
      expect.stringMatching(/^relayPort: must not be 25/u),
      'clientUser: not a login name: "$(reboot)"',
      expect.stringMatching(/^keyType: must be one of .*: "rsa"$/u),
      'validDays: certificates.renewBeforeDays must be less than certificates.validDays (12): 30',
      expect.stringMatching(/^recipients: recipient "nobody\.asc" is neither/u),
      'gnupgKeys: is not asked where recipientsFrom is "typed"',
    ]);
    expect(readdirSync(project.folder)).toEqual([]);
    expect(readdirSync(project.home)).toEqual([]);
  });

  test.each<[string, string, string]>([
    ['{', 'line 1', ''],
    ['[]', 'must be an object', ''],
    ['{}', 'domain: is missing', ''],
    ['{"domian":"example.org"}', 'unknown key "domian", did you mean "domain"?', 'rename it to "domain"'],
    ['{"relay_port":1}', 'did you mean "relayPort"?', ''],
    ['{"hjkl":1}', 'unknown key "hjkl"', 'the keys are domain, relays'],
    ['{"domain":["a",1]}', 'domain: must be text, a number or a list of text', ''],
    [
      '{"domain":"example.org","gnupgKeys":["alice"]}',
      'not the fingerprint of a key: "alice"',
      'gpg --list-secret-keys',
    ],
    ['{"domain":"a.example","domain":"b.example"}', 'twice', ''],
    ['{"__proto__":{"domain":"example.org"}}', 'unknown key "__proto__"', ''],
  ])('%s is refused: %s', async (input, message, hint) => {
    const result = await project.run(['wizard', '--answers', '-'], { input });
    expect(result.status).toBe(2);
    expect(result.stderr).toContain(message);
    expect(result.stderr).toContain(hint);
    expect(result.stderr).toMatch(/^relaycerts: error: standard input: /u);
    expect(readdirSync(project.folder)).toEqual([]);
  });

  test('hosts with ports and users of their own keep them, unless the answers set them', async () => {
    const hosts = [
      { hostname: 'r1', port: 2501 },
      { hostname: 'r2', port: 2502, sshUser: 'x' },
    ];
    project.settings({ domain: 'example.org', smtpdServers: hosts, smtpClients: [{ hostname: 'm' }] });
    expect((await answered({ keyType: 'ed25519' })).status).toBe(0);
    expect(JSON.parse(project.read('settings.json'))).toMatchObject({ smtpdServers: hosts });
    expect((await answered({ relayPort: 2600 })).status).toBe(0);
    expect(JSON.parse(project.read('settings.json'))).toMatchObject({
      smtpdServers: hosts.map((host) => ({ ...host, port: 2600 })),
      certificates: { keyType: 'ed25519' },
    });
  });

  test('thousands of clients stay as they are, and a relay named like one is refused', async () => {
    const smtpClients = Array.from({ length: 2000 }, (_, index) => ({ hostname: `m${index}` }));
    project.settings({ domain: 'example.org', smtpdServers: [{ hostname: 'r' }], smtpClients });
    expect((await answered({ relays: 'r, m1999' })).stderr).toContain('"m1999.example.org"');
    expect((await answered({ relays: 'r, s' })).status).toBe(0);
    expect(JSON.parse(project.read('settings.json'))).toMatchObject({ smtpClients });
  });
});

describe('without a terminal', () => {
  test('it says so and names the other way: exit 2', async () => {
    const result = await project.run(['wizard']);
    expect(result).toEqual({
      status: 2,
      stdout: '',
      stderr:
        'relaycerts: error: the wizard asks, and there is no terminal to ask on\n' +
        'relaycerts: hint: relaycerts wizard --answers FILE\n',
    });
    expect(readdirSync(project.folder)).toEqual([]);
  });

  test('an answers file that is not there', async () => {
    const result = await project.run(['wizard', '--answers', 'nope.json']);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('there is no answers file "nope.json"');
  });

  test('a folder that cannot be written is told before anything is asked', () => {
    chmodSync(project.folder, 0o555);
    // Root may write anywhere, so that the program must not be root here.
    const under = process.geteuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
    const result = project.spawn(['wizard', '--answers', '-'], { input: '{ "domain": "example.org" }', under });
    chmodSync(project.folder, 0o755);
    expect(result.stderr).toContain('settings.json": permission denied');
    expect(result.status).toBe(1);
    expect(readdirSync(project.folder)).toEqual([]);
  });
});
