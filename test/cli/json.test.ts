// What --json promises for every command: one object on stdout, also for an error, as in the schema and in
// docs/json.md. All other tests validate their output with the schema as well (test/support/answer.ts).

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sections } from '../../src/render/sections.js';
import { answerOf, schemaFile } from '../support/answer.js';
import { leafCommands } from '../support/command-tree.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';

let project: Project;
beforeAll(async () => {
  project = makeProject();
  await putMade(project);
});
afterAll(() => project.remove());

/** Commands that print only text. */
const plain = ['help'];

describe('the contract', () => {
  it('has every command, in the schema and in the document', () => {
    const commands = leafCommands().filter((name) => !plain.includes(name));
    expect(commands).toContain('passphrase show');
    const { definitions, oneOf } = JSON.parse(readFileSync(schemaFile, 'utf8')) as {
      readonly definitions: Readonly<Record<string, unknown>>;
      readonly oneOf: readonly { readonly $ref: string }[];
    };
    const document = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8');
    for (const name of commands) {
      expect(definitions[name], name).toMatchObject({
        properties: { version: { const: 1 }, command: { const: name } },
      });
      expect(oneOf).toContainEqual({ $ref: `#/definitions/${name}` });
      expect(document).toContain(`\n- \`${name}\`: `);
    }
  });

  it('has every section of show that is data', async () => {
    const full = makeProject(
      smallSettings({
        inbound: { home: 'mailhost', via: 'tunnel' },
        dkim: { signAt: 'relay' },
        relayPort25: { dnsbl: ['zen.spamhaus.org'] },
      }),
    );
    await full.run(['make']);
    for (const section of sections.filter((one) => one !== 'renewal-timer')) {
      const { stdout } = await full.run(['show', '--section', section, '--json']);
      const { hosts } = answerOf<{ readonly hosts: readonly { readonly sections: object }[] }>(stdout);
      // config is of other mail programs than Postfix.
      expect(hosts.some((host) => section in host.sections)).toBe(section !== 'config');
    }
    full.remove();
  });

  it('refuses what has a field more, or one less', () => {
    const text = '{ "version": 1, "command": "clean", "removed": [] }';
    expect(answerOf(text)).toMatchObject({ removed: [] });
    for (const wrong of [
      text.replace('[]', '[], "more": 1'),
      text.replace(', "removed": []', ''),
      text.replace('"version": 1', '"version": 2'),
      '[]',
    ]) {
      expect(() => answerOf(wrong)).toThrow('not as docs/json.schema.json says');
    }
  });
});

describe('an error', () => {
  it.each([
    ['an option that is none', ['make', '--json', '--bogus'], 2, 'usage', 'relaycerts make --help'],
    ['a value that is none, before --json', ['--wait', 'x', 'make', '--json'], 2, 'usage', 'relaycerts --help'],
    ['a command that is none', ['--json', 'mkae'], 2, 'usage', 'relaycerts make'],
    ['no command and no settings', ['--settings', 'none.json', '--json'], 2, 'settings', null],
    ['settings that are not there', ['--settings', 'none.json', '--json', 'status'], 2, 'settings', null],
    ['a host that is none', ['show', 'nobody', '--json'], 2, 'usage', null],
    ['a host that is none, with --format json', ['show', 'nobody', '--format', 'json'], 2, 'usage', null],
    ['a file that is none, with --format=json', ['fingerprint', 'none.pem', '--format=json'], 1, 'files', null],
    [
      'a question without a terminal',
      ['clean', '--json'],
      2,
      'usage',
      'to remove without asking: relaycerts clean --yes',
    ],
  ] as const)('%s is an object', async (_what, args, status, code, hint) => {
    const result = await project.run(args);
    expect(result.status).toBe(status);
    const { error } = answerOf<{ readonly error: { readonly message: string; readonly hint: string | null } }>(
      result.stdout,
    );
    expect(error).toMatchObject({ code, ...(hint === null ? {} : { hint }) });
    // In words too, for people who watch.
    expect(result.stderr).toContain(`relaycerts: error: ${error.message}`);
  });

  it('has every problem of a settings file', async () => {
    project.write('bad.json', '{ "domain": "example.org", "smtpdServers": [], "colour": 1 }');
    const { stdout } = await project.run(['--settings', 'bad.json', 'make', '--json']);
    const { error } = answerOf<{ readonly error: { readonly problems: readonly unknown[] } }>(stdout);
    expect(error).toMatchObject({ code: 'settings' });
    expect(error.problems.length).toBeGreaterThan(2);
  });

  it('a bug of ours says so', async () => {
    const broken = makeProject();
    // The clock is read in the middle of a command.
    const { status, stdout } = await broken.run(['make', '--json'], { now: new Date(Number.NaN) });
    broken.remove();
    expect([status, answerOf(stdout)]).toEqual([
      70,
      expect.objectContaining({ error: expect.objectContaining({ code: 'bug' }) as object }),
    ]);
  });
});

describe('make --check', () => {
  it('ends with 3 if something would be made, and with 0 if nothing would', async () => {
    const fresh = makeProject();
    const first = await fresh.run(['make', '--check', '--json']);
    fresh.remove();
    expect(first.status).toBe(3);
    expect(answerOf(first.stdout)).toMatchObject({
      dryRun: true,
      install: [
        { host: 'relayhost.example.org', why: ['key', 'certificate', 'ca', 'table'] },
        { host: 'mailhost.example.org', why: ['key', 'certificate', 'ca'] },
      ],
    });
    expect(await project.run(['make', '--check', '--json'])).toMatchObject({ status: 0, stderr: '' });
  });
});
