// Hosts that leave the settings, get another name, or change their role: make reports what they can still do, and
// prints the command that undoes it there, which works as printed.

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { pinsListed, tableFile } from '../support/renewals.js';
import { succeed } from '../support/succeed.js';

const relay = 'relayhost.example.org';
const home = 'mailhost.example.org';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);
const hosts = (relays: readonly string[], clients: readonly string[]) =>
  smallSettings({
    smtpdServers: relays.map((hostname) => ({ hostname })),
    smtpClients: clients.map((hostname) => ({ hostname })),
  });

/** make's warnings, and the hint below each. */
const warned = async (): Promise<readonly string[]> =>
  succeed(await run('make'))
    .stderr.split('\n')
    .filter((line) => /relaycerts: (?:warning|hint): /u.test(line));

/** Runs the end of the hint, after which make reports nothing. */
async function removeLeft(hint: string | undefined): Promise<void> {
  const [, command = ''] = /: relaycerts (remove \S+)$/u.exec(hint ?? '') ?? [];
  const paths = (/: rm -r ((?:\/\S+ ?)+)/u.exec(hint ?? '')?.[1] ?? '').split(' ').filter((path) => path !== '');
  expect(paths.filter((path) => !existsSync(path))).toEqual([]);
  if (command === '') expect(spawnSync('rm', ['-r', ...paths]).status).toBe(0);
  else succeed(await run(...command.split(' ')));
  expect(await warned()).toEqual([]);
}

describe('another name', () => {
  it('of a relay: the old one is still open, and how to close it', async () => {
    await putMade(project);
    project.settings(hosts(['newrelay'], ['mailhost']));
    const [warning, hint, ...more] = await warned();
    expect(more).toEqual([]);
    expect(warning).toContain(
      `${relay} is no longer in the settings: until its configuration is undone there, its port stays open`,
    );
    expect(warning).not.toMatch(/\bpin\b|cannot relay/u);
    expect(hint).toMatch(/hint: relaycerts deploy --undo relayhost\.example\.org; then, or if /u);
    const undo = succeed(await run('show', 'relayhost', '--undo'));
    expect(undo.stdout).toContain(`relaycerts show ${relay} --format sh --undo | ssh root@${relay} sh\n`);
    expect(succeed(await run('show', relay, '--format', 'sh', '--undo')).stdout).toMatch(/\nundo_host </u);
    await removeLeft(hint);
  });

  it('of a client: its pin leaves the table, and a new key has the new name', async () => {
    await putMade(project);
    const [before] = pinsListed(project);
    project.settings(hosts(['relayhost'], ['newhome']));
    const [warning, hint, ...more] = await warned();
    expect(more).toEqual([]);
    expect(warning).toContain(`${home} is no longer in the settings: its pin leaves the tables`);
    expect(hint).toContain(`hint: relaycerts deploy --undo ${home};`);
    expect(succeed(await run('show', home, '--undo')).stdout).toContain('postconf -MX relaycerts/unix\n');
    expect(pinsListed(project).map(([, name]) => name)).toEqual(['newhome.example.org']);
    expect(project.read(tableFile)).not.toContain(before?.[0] ?? '');
    await removeLeft(hint);
  });
});

describe('another role', () => {
  it('of a client that becomes a relay: a new key, no pin, and what to undo first', async () => {
    project.settings(hosts(['relayhost'], ['mailhost', 'second']));
    await putMade(project);
    project.settings(hosts(['relayhost', 'second'], ['mailhost']));
    const [warning, hint, ...more] = await warned();
    expect(more).toEqual([]);
    expect(warning).toContain('second.example.org is no longer a client: its pin leaves the tables');
    expect(hint).toContain('move it back into smtpClients, and do what this prints');
    expect(pinsListed(project).map(([, name]) => name)).toEqual([home]);
    expect(existsSync(project.path('hosts/second.example.org/relay_clientcerts'))).toBe(true);
    expect(project.read('certs/smtpd-server/second.example.org.key.pem')).not.toBe(
      project.read('certs/smtp-client/second.example.org.key.pem'),
    );
    await removeLeft(hint);
  });

  it('of a relay that becomes a client: a pin, and no table once removed', async () => {
    project.settings(hosts(['relayhost', 'second'], ['mailhost']));
    await putMade(project);
    project.settings(hosts(['relayhost'], ['mailhost', 'second']));
    const [warning, hint, ...more] = await warned();
    expect(more).toEqual([]);
    expect(warning).toContain(
      'second.example.org is no longer a relay: until its configuration is undone there, its port stays open',
    );
    expect(hint).toContain('hint: relaycerts deploy second.example.org; then: rm -r ');
    expect(pinsListed(project).map(([, name]) => name)).toEqual([home, 'second.example.org']);
    await removeLeft(hint);
    expect(existsSync(project.path('hosts/second.example.org/relay_clientcerts'))).toBe(false);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
  });

  it('of a host revoked in its new role: its old key does not come back', async () => {
    project.settings(hosts(['relayhost'], ['mailhost', 'second']));
    await putMade(project);
    const old = project.read('certs/smtp-client/second.example.org.key.pem');
    project.settings(hosts(['relayhost', 'second'], ['mailhost']));
    succeed(await run('make'));
    succeed(await run('revoke', 'second'));
    expect(existsSync(project.path('certs/smtp-client/second.example.org.key.pem'))).toBe(false);
    project.settings(hosts(['relayhost'], ['mailhost', 'second']));
    expect(await warned()).toEqual([]);
    succeed(await run('make', '--again', 'second'));
    expect(project.read('certs/smtp-client/second.example.org.key.pem')).not.toBe(old);
    expect(readdirSync(project.path('certs/revoked')).filter((name) => name.endsWith('.key.pem'))).toHaveLength(2);
  });
});
