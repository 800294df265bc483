// Commands in hints, warnings and instructions, where the settings are not ./settings.json: they are run as printed.

import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { makeProject, program, smallSettings, type Project, type Result } from '../support/project.js';

const home = 'mailhost.example.org';

let project: Project;
beforeEach(() => {
  project = makeProject();
  mkdirSync(`${project.home}/bin`);
  symlinkSync(program, `${project.home}/bin/relaycerts`);
});
afterEach(() => {
  project.remove();
});

/** A command line as a shell in the folder takes it. */
function shell(line: string, cwd = project.folder): Result {
  const PATH = `${project.home}/bin:${process.env['PATH'] ?? ''}`;
  const run = spawnSync('/bin/sh', ['-c', line], { cwd, env: { PATH, HOME: project.home }, encoding: 'utf8' });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

const hintOf = ({ stderr }: Result, start = ''): string =>
  stderr
    .split('\n')
    .flatMap((line) => (line.startsWith(`relaycerts: hint: ${start}`) ? [line.slice(18 + start.length)] : []))[0] ?? '';

it.each([
  ['another name', 'other.json', ''],
  ['a name for quoting', "it's mine.json", ''],
  ['settings.json of another folder', 'settings.json', '..'],
])('%s: the hint is a command that works', (_name, file, from) => {
  renameSync(project.path('settings.json'), project.path(file));
  const cwd = project.path(from);
  const words = ['--settings', project.path(file)]
    .map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`)
    .join(' ');
  const refused = shell(`relaycerts ${words} show mailhost`, cwd);
  expect(refused.status).toBe(1);
  expect(hintOf(refused)).toMatch(/^relaycerts --settings .* make$/u);
  expect(shell(hintOf(refused), cwd).status).toBe(0);
  // A warning, and an error with words around its command.
  expect(shell(`relaycerts ${words} revoke mailhost`, cwd).status).toBe(0);
  const again = hintOf(shell(`relaycerts ${words} show mailhost`, cwd), 'to let it relay again, with a new key: ');
  expect(again).toMatch(/^relaycerts --settings .* make --again mailhost\.example\.org$/u);
  expect(shell(again, cwd).status).toBe(0);
  rmSync(project.path(`certs/smtp-client/${home}.key.pem`));
  const status = shell(`relaycerts ${words} status`, cwd);
  expect(status.status).toBe(3);
});

it.each([['make'], ['renew --ca'], ['renew --rekey mailhost'], ['revoke mailhost']])(
  '%s, from another folder: the commands in its output work there',
  (words) => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
    const folder = project.path('..');
    const call = (line: string): Result =>
      shell(`relaycerts --settings '${project.path('settings.json')}' ${line}`, folder);
    expect(call('make').status).toBe(0);
    const { status, stdout, stderr } = call(words);
    expect(status).toBe(0);
    const commands = [
      ...`${stdout}${stderr}`.matchAll(/\brelaycerts (?:--settings \S+ )?(?:show|retire)\b[^|,:;`)\n]*/gu),
    ];
    expect(commands.length).toBeGreaterThan(0);
    for (const [command] of commands) {
      expect(command).toContain(`--settings ${project.path('settings.json')} `);
      expect(shell(command.trimEnd(), folder)).toMatchObject({ status: 0 });
    }
  },
);

it('names no settings where they are the ones that are taken anyway', () => {
  for (const words of [
    'show mailhost',
    '--settings settings.json show mailhost',
    '--settings ./x/../settings.json show mailhost',
  ]) {
    expect(hintOf(shell(`relaycerts ${words}`))).toBe('relaycerts make');
  }
});

it('leaves alone what is no command', () => {
  renameSync(project.path('settings.json'), project.path('other.json'));
  expect(shell('relaycerts --settings other.json make').status).toBe(0);
  const { stderr } = shell('relaycerts --settings other.json nonsense');
  expect(stderr).toContain('relaycerts: error: unknown command "nonsense"');
  expect(shell('relaycerts --settings other.json make').stderr).toMatch(/^relaycerts: nothing to make/u);
});
