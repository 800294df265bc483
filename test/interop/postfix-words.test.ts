// What Postfix itself says of its configuration, in the words of the script that finds it: the host is this machine, with
// a stock Postfix that only this test sees.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { folder } from '../support/folder.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { underStockPostfix } from '../support/stock-postfix.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeAll(async () => {
  requireTools('unshare', 'mount', 'postconf', 'openssl');
  project = makeProject(smallSettings({ smtpdServers: [{ hostname: 'relayhost', local: true }] }));
  succeed(await project.run(['make', '--quiet']));
});
afterAll(() => project.remove());

/** Runs a command line where Postfix has been configured with this besides. */
function withPostfix(configure: string, ...words: readonly string[]): ReturnType<Project['spawn']> {
  return project.spawn(words, { under: underStockPostfix(`${configure}\n"$@"`) });
}

describe('a line of main.cf that is none', () => {
  it.each(['deploy', 'deploy --undo'])('is named by %s', (command) => {
    const { stderr } = withPostfix('echo none >>/etc/postfix/main.cf', ...command.split(' '), 'relayhost', '--yes');
    expect(stderr).toMatch(/relayhost\S+: Postfix cannot read its configuration: .*main\.cf, line \d+: .*"none"$/mu);
  });
});

it('a warning that each postconf repeats is printed once by a check', () => {
  const { stdout } = withPostfix(
    `printf 'x unix - - n - - smtp\\n  -o none=1\\n' >>/etc/postfix/master.cf
mkdir -p ${folder}
cp hosts/relayhost.example.org/* ${folder}
set -- sh -c '"$@" | sh 2>&1' sh "$@"`,
    'show',
    'relayhost',
    '--format',
    'sh',
  );
  expect(stdout).toContain('relayhost.example.org is set up');
  // Before and after the change.
  expect(stdout.match(/unused parameter: none/gu)).toHaveLength(2);
});
