// The script of `show --section renewal-timer`, run as printed: what it runs, what it says, and that it runs once at a
// time. test/e2e/deploy-failures.test.ts runs it on hosts.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blocksFor } from '../support/blocks.js';
import { makeProject, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

let project: Project;
let units: string;
beforeEach(async () => {
  project = makeProject();
  mkdirSync(join(project.home, '.local/bin'), { recursive: true });
  // Notes its words, and fails in the verb that the file `failing` names.
  stub(
    'relaycerts',
    `[ "$1" != --settings ] || shift 2
echo "$*" >>"$HOME/ran"
if grep -qsx -e "$1" -e "\${3-none}" "$HOME/failing"; then echo "relaycerts: error: no"; exit 1; fi`,
  );
  stub('sendmail', `{ echo "to $*"; cat; } >"$HOME/mail"`);
  const shown = succeed(await project.run(['show', '--section', 'renewal-timer'])).stdout;
  const [make = '', , last = ''] = blocksFor(shown, 'here');
  units = last;
  expect(shell(make).stderr).toBe('');
});
afterEach(() => project.remove());

function stub(name: string, script: string): void {
  project.write(`../home/.local/bin/${name}`, `#!/bin/sh\n${script}\n`);
  chmodSync(join(project.home, '.local/bin', name), 0o755);
}

function shell(script: string) {
  const env = { HOME: project.home, PATH: process.env['PATH'] ?? '' };
  return spawnSync('sh', ['-c', script], { cwd: project.folder, env, encoding: 'utf8' });
}

const inHome = (name: string): string => readFileSync(join(project.home, name), 'utf8');
const work = ['--wait 600 renew --due', '--wait 600 deploy --yes', 'check', 'status --due'];

describe('the renewal script', () => {
  it('renews, deploys, checks and looks at the status, and says nothing', () => {
    const { status, stdout, stderr } = shell('sh renewal.sh');
    expect([status, stdout, stderr, inHome('ran').trim().split('\n')]).toEqual([0, '', '', work]);
  });

  it.each([
    ['renew', work],
    ['deploy', work.filter((words) => words !== 'check')],
    ['check', work],
    ['status', work],
  ])('prints what %s says when it fails; the status comes last', (verb, ran) => {
    project.write('../home/failing', `${verb}\n`);
    const { status, stdout, stderr } = shell('sh renewal.sh');
    expect([status, stdout, stderr]).toEqual([1, 'relaycerts: error: no\n', '']);
    expect(inHome('ran').trim().split('\n')).toEqual(ran);
  });

  it('for systemd sends that as a mail, and none if all is well', () => {
    expect(shell('sh renewal.sh mail').status).toBe(0);
    expect(existsSync(join(project.home, 'mail'))).toBe(false);
    project.write('../home/failing', 'deploy\n');
    const { status, stdout, stderr } = shell('sh renewal.sh mail');
    expect([status, stdout, stderr]).toEqual([1, '', '']);
    expect(inHome('mail')).toMatch(
      /^to \S+\nSubject: relaycerts: the certificates of example\.org need attention\n\nrelaycerts: error: no\n$/u,
    );
  });

  it('for systemd prints it, for the journal, if no mail can be sent', () => {
    project.write('../home/failing', 'deploy\n');
    stub('sendmail', 'exit 75');
    const { status, stdout } = shell('sh renewal.sh mail');
    expect([status, stdout]).toEqual([1, 'relaycerts: error: no\n']);
  });

  it('does nothing while another one runs', () => {
    const { status } = shell('exec 8>renewal.lock && flock 8 && sh renewal.sh 8>&-');
    expect([status, existsSync(join(project.home, 'ran'))]).toEqual([0, false]);
    expect([shell('sh renewal.sh').status, existsSync(join(project.home, 'ran'))]).toEqual([0, true]);
  });
});

it('only root can let the timer run without a login, where polkit is missing: said with the command', () => {
  for (const name of ['systemctl', 'loginctl']) stub(name, `echo ${name} "$*" >>"$HOME/ran"; [ ${name} = systemctl ]`);
  const { status, stderr } = shell(`PATH=$HOME/.local/bin:$PATH\n${units}`);
  expect([status, stderr]).toEqual([0, expect.stringMatching(/; as root: loginctl enable-linger \S+\n$/u)]);
  expect(inHome('ran')).toMatch(/^systemctl --user enable --now \S+\.timer\nloginctl enable-linger\n$/u);
});

describe('the lines for authorized_keys', () => {
  it('leave out a host that is revoked', async () => {
    const places = async (): Promise<readonly string[]> => {
      const { stdout } = succeed(await project.run(['show', '--section', 'renewal-timer']));
      return [...stdout.matchAll(/authorized_keys on (\S+)/gu)].map(([, name = '']) => name);
    };
    succeed(await project.run(['make']));
    expect(await places()).toEqual(['relayhost.example.org', 'mailhost.example.org']);
    succeed(await project.run(['revoke', 'mailhost']));
    expect(await places()).toEqual(['relayhost.example.org']);
  });
});
