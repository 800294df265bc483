// `relaycerts deploy` before it reaches a host: what it refuses, and what it says of hosts that it cannot reach. What it
// does on hosts is in test/e2e.

import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../src/commands/deploy.js';
import { putMade } from '../support/made-project.js';
import { makeProject, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => project.remove());

describe('deploy', () => {
  it.each([
    [['--parallel', '0'], /--parallel <n>.*a number of hosts, 1 or more\n.*hint: relaycerts deploy --help\n/u],
    [['--max-failures', '0'], /a number of hosts, 1 or more\n/u],
    [['--yes', '--canary', 'nobody'], /^relaycerts: error: the settings have no host "nobody"\n/u],
  ])('%j is refused before anything is shown', async (words, error) => {
    const { status, stdout, stderr } = await project.run(['deploy', ...words]);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(error);
  });

  it('does not call a revoked host well installed', async () => {
    succeed(await project.run(['revoke', 'mailhost']));
    const { status, stdout, stderr } = await project.run(['deploy', 'mailhost', '--yes']);
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/error: mailhost\.example\.org is revoked\n.*hint: .*make --again mailhost/u);
  });

  it('is not held up by a new client, but by one whose certificate is lost', async () => {
    succeed(await project.run(['add', 'shop']));
    const { status, stdout, stderr } = await project.run(['deploy', '--dry-run']);
    expect([status, stdout.includes('shop')], stderr).toEqual([0, false]);
    expect(stdout).toContain('relayhost.example.org');
    expect(stderr).toBe(
      'relaycerts: warning: left out, because there is no certificate yet: shop.example.org\nrelaycerts: hint: relaycerts make\n',
    );
    const named = await project.run(['deploy', 'shop', '--dry-run']);
    expect([named.status, named.stderr]).toEqual([
      1,
      'relaycerts: error: there is no certificate yet for shop.example.org\nrelaycerts: hint: relaycerts make\n',
    ]);
    rmSync(project.path('certs/smtp-client/mailhost.example.org.crt.pem'));
    const lost = await project.run(['deploy', '--dry-run']);
    expect(lost.status).toBe(1);
    expect(lost.stderr).toContain('no certificate yet for mailhost.example.org\n');
  });

  it('with a canary that has nothing to install, begins nowhere', async () => {
    const { status, stdout, stderr } = await project.run(['deploy', 'mailhost', '--canary', 'relayhost', '--yes']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /error: the canary relayhost\.example\.org has nothing to install\n.*hint: relaycerts deploy mailhost\n$/u,
    );
    expect((await project.run(['deploy', '--undo', '--canary', 'relayhost'])).status).toBe(2);
  });

  it('answered with no, changes nothing and says so', async () => {
    const sys = { ...project.sys(), interactive: true, confirm: () => Promise.resolve(false) };
    const options = { hosts: [], dryRun: false, yes: false, undo: false, forceRoutes: false, parallel: 8 };
    const all = { ...options, canary: undefined, maxFailures: 10, settings: project.path('settings.json'), json: true };
    await expect(deploy(all, sys)).rejects.toMatchObject({ code: 'interrupted', message: 'no host was changed' });
  });
});

describe('what is wrong on a command line', () => {
  it.each([
    [['show', '--section', 'nothing'], 'show --help'],
    [['revoke'], 'revoke --help'],
    [['sign', 'x.pem'], 'sign --help'],
    [['export', 'p12'], 'export p12 --help'],
    [['--wait', 'x', 'make'], '--help'],
    [['help', 'nothing'], '--help'],
  ])('%j: the hint is the help of that command', async (words, help) => {
    const { status, stderr } = await project.run(words);
    expect([status, stderr.split('\n').at(-2)]).toEqual([2, `relaycerts: hint: relaycerts ${help}`]);
    expect(succeed(await project.run(help.split(' '))).stdout).toContain('Usage: relaycerts');
  });
});
