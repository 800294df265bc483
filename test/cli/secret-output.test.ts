// A secret printed into a file that others can read: a warning names the file and its mode, and the hint closes it. A
// pipe, a terminal and /dev/null are the user's business.

import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, type Project, type Result } from '../support/project.js';
import { hintOf } from '../support/refusals.js';

let project: Project;
beforeAll(async () => {
  project = makeProject();
  await putMade(project);
});
afterAll(() => {
  project.remove();
});

const commands = [
  'passphrase show --yes',
  'passphrase show --yes --json',
  'passphrase export-key --yes',
  'passphrase export-key --yes --json',
  'export p12 mailhost --password-fd 0 --out -',
];

/** Runs a command with its output redirected by `redirect`, under a umask. */
function printTo(redirect: string, command: string, umask: string): Result {
  const under = ['sh', '-c', `umask ${umask}; exec "$@" ${redirect}`, 'sh'];
  const result = project.spawn(command.split(' '), { under, input: 'correct horse battery staple\n' });
  expect(result.status, result.stderr).toBe(0);
  return result;
}

describe.each(commands)('%s', (command) => {
  it.each([
    ['022', '0644'],
    ['027', '0640'],
    ['000', '0666'],
    ['075', '0602'],
  ])('into a file under umask %s: a warning, and the hint closes the file', (umask, mode) => {
    const file = project.path('it is "secret"');
    const { stderr } = printTo('>"it is \\"secret\\""', command, umask);
    try {
      expect(stderr).toContain(
        `relaycerts: warning: a secret goes to ${JSON.stringify(file)} that others can read or change (mode ${mode})\n`,
      );
      expect(readFileSync(file).length).toBeGreaterThan(40);
      expect(spawnSync('sh', ['-c', hintOf(stderr)]).status).toBe(0);
      expect(statSync(file).mode & 0o777).toBe(0o600);
    } finally {
      spawnSync('rm', ['-f', file]);
    }
  });

  it.each([
    ['>closed', '077'],
    ['| cat >piped', '022'],
    ['>/dev/null', '022'],
  ])('%s under umask %s: no word', (redirect, umask) => {
    expect(printTo(redirect, command, umask).stderr).not.toMatch(/warning|hint/u);
    spawnSync('rm', ['-f', 'closed', 'piped'], { cwd: project.folder });
  });
});

it('what is not secret goes into any file without a warning', () => {
  for (const command of ['show mailhost', 'fingerprint', 'make --check --json', 'passphrase recipients --json']) {
    expect(printTo('>public', command, '022').stderr, command).toBe('');
  }
});
