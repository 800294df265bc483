// The short block at the end of make and its brothers: within its lines for any number of hosts, every command of it runs
// as it is, in an order that loses no mail, and a pipe whose left side fails does too.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { commandsIn, installs } from '../support/now-run.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

let project: Project;
afterEach(() => project.remove());

const linesOf = (text: string): readonly string[] => text.split('\n').slice(0, -1);

/** What a person sees of a command. */
async function seen(
  ...words: readonly string[]
): Promise<{ readonly block: readonly string[]; readonly all: readonly string[] }> {
  const { stdout, stderr } = succeed(await project.run(words));
  return { block: linesOf(stdout), all: [...linesOf(stderr), ...linesOf(stdout)] };
}

function settingsFor(clients: number): Record<string, unknown> {
  return smallSettings({
    smtpClients: Array.from({ length: clients }, (_, at) => ({ hostname: at === 0 ? 'mailhost' : `c${at}` })),
  });
}

describe('the lines', () => {
  it('of a first make of one relay and one home: 25, 80 columns, no path from the root', async () => {
    project = makeProject();
    const { block, all } = await seen('make');
    expect(all.length).toBeLessThanOrEqual(25);
    expect(block.length).toBeLessThanOrEqual(10);
    expect(all.filter((line) => line.length > 80)).toEqual([]);
    expect(all.join('\n')).not.toMatch(/(?<![\w.~])\//u);
    expect(all.join('\n')).toContain('gpg --import ~/.config/relaycerts/operator-key.asc');
    // And with nothing to make, one.
    expect((await seen('make')).all).toEqual([
      'relaycerts: nothing to make: all that the settings ask for is there and right',
    ]);
  });

  it.each([1, 40, 1000])('with %d clients: 10 at the end of every command, 25 in all', async (clients) => {
    project = makeProject(settingsFor(clients));
    const few =
      clients > 40
        ? ['mailhost', 'c1']
        : (settingsFor(clients)['smtpClients'] as { hostname: string }[]).map(({ hostname }) => hostname);
    for (const words of [
      ['make'],
      ['renew', '--force'],
      ['renew', '--rekey', ...few],
      ['retire'],
      ['renew', '--ca'],
      ['renew', '--ca', '--rekey'],
      ['renew', '--ca', '--rekey'],
      ['renew', '--ca', '--rekey'],
      ['revoke', 'mailhost'],
      ['make', '--again', 'mailhost'],
      ['revoke', 'relayhost'],
    ]) {
      const { block, all } = await seen(...words);
      expect(block.length, all.join('\n')).toBeGreaterThan(0);
      expect(block.length, all.join('\n')).toBeLessThanOrEqual(10);
      expect(all.length, all.join('\n')).toBeLessThanOrEqual(25);
      expect(block).toEqual(all.slice(-block.length));
    }
  });

  it('one command is for many hosts; those that are few are named', async () => {
    project = makeProject(settingsFor(5));
    expect(commandsIn((await seen('make')).block.join('\n'))[0]).toBe(installs());
    expect(commandsIn((await seen('renew', '--force', 'c1', 'c2')).block.join('\n'))).toEqual([
      installs('c1'),
      installs('c2'),
    ]);
    const named = (await seen('renew', '--force', 'mailhost', 'c1', 'c2', 'c3', 'c4')).block.join('\n');
    expect(commandsIn(named)).toEqual([installs('mailhost', 'c1', 'c2', 'c3', 'c4')]);
  });
});

/** Runs a line as a person does, where ssh and rsync note where they go; `broken` is a host that they do not reach. */
function runLine(line: string, broken = '-'): Result & { readonly went: readonly string[] } {
  const bin = project.path('../fake');
  const log = project.path('../went');
  mkdirSync(bin, { recursive: true });
  rmSync(log, { force: true });
  writeFileSync(log, '');
  // What comes over ssh has to be a whole script.
  const fakes = {
    rsync: `for target; do :; done\ncase $target in *${broken}*) exit 12 ;; esac\necho "rsync $target" >>'${log}'\n`,
    ssh: `case $1 in *${broken}*) exit 255 ;; esac\necho "ssh $*" >>'${log}'\nscript=$(cat)\ncase $script in *'</dev/null'*) sh -nc "$script" ;; *) sh -c "$script" ;; esac\n`,
  };
  for (const [name, text] of Object.entries(fakes))
    writeFileSync(join(bin, name), `#!/bin/sh\n${text}`, { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
    cwd: project.folder,
    env: { PATH: `${bin}:${project.path('../bin')}:${process.env['PATH'] ?? ''}`, HOME: project.home },
    encoding: 'utf8',
  });
  return { status, stdout, stderr, went: linesOf(readFileSync(log, 'utf8')) };
}

const [relayTarget, homeTarget] = ['relayhost', 'mailhost'].map((name) => [
  `rsync root@${name}.example.org:/etc/postfix/relaycerts/`,
  `ssh root@${name}.example.org sh`,
]);

describe('the commands', () => {
  it('run as they are printed, the relay first', async () => {
    project = makeProject();
    const { block } = await seen('make');
    const ran = commandsIn(block.join('\n')).map((line) => runLine(line));
    expect(ran.map(({ status }) => status)).toEqual([0, 0, 0]);
    expect(ran.map(({ went }) => went)).toEqual([relayTarget, homeTarget, []]);
    expect(ran[2]?.stdout).toContain('openssl s_client');
    for (const words of [
      ['renew', '--rekey', 'mailhost'],
      ['renew', '--ca'],
      ['renew', '--ca', '--rekey'],
      ['revoke', 'mailhost'],
      ['revoke', 'relayhost'],
    ]) {
      const lines = commandsIn((await seen(...words)).block.join('\n'));
      expect(lines.length).toBeGreaterThan(0);
      for (const line of lines) expect(runLine(line), line).toMatchObject({ status: 0 });
    }
  });

  it('of all hosts, and from another folder with other settings', async () => {
    project = makeProject(null);
    mkdirSync(project.path('-odd folder'));
    project.write('-odd folder/other.json', JSON.stringify(smallSettings()));
    const { block } = await seen('--settings', '-odd folder/other.json', 'make');
    for (const line of commandsIn(block.join('\n'))) {
      expect(line).toContain("--settings '-odd folder/other.json'");
      expect(runLine(line), line).toMatchObject({ status: 0 });
    }
    const all = runLine("relaycerts --settings '-odd folder/other.json' show --section deploy --format sh | sh");
    expect(all).toMatchObject({ status: 0, went: [...(relayTarget ?? []), ...(homeTarget ?? [])] });
  });

  it('leave the clients alone if a relay fails, and try every client if one does', async () => {
    project = makeProject(settingsFor(2));
    await seen('make');
    expect(runLine(installs(), 'relayhost')).toMatchObject({
      status: 1,
      went: [],
      stderr: expect.stringContaining(
        'error: not installed: relayhost.example.org; the clients stay as they were',
      ) as string,
    });
    const one = runLine(installs(), 'mailhost');
    expect([one.status, one.went.length]).toEqual([1, 4]);
    expect(one.stderr).toContain('error: not installed: mailhost.example.org\n');
  });

  it('fail if their left side fails, whatever is on the right', async () => {
    project = makeProject();
    // Nothing was made yet.
    for (const line of [
      installs('mailhost'),
      'relaycerts show mailhost --format sh | ssh root@mailhost.example.org sh',
    ]) {
      const { status, stderr } = runLine(line);
      expect([status, stderr]).toEqual([1, expect.stringContaining('no certificate yet')]);
    }
  });

  it('that script is what shellcheck and every shell take', async () => {
    requireTools('shellcheck', 'dash', 'busybox');
    project = makeProject(settingsFor(3));
    await seen('make');
    const { stdout } = succeed(await project.run(['show', '--section', 'deploy', '--format', 'sh']));
    for (const [command = '', ...args] of [
      ['shellcheck', '--shell=sh', '-'],
      ['dash', '-n'],
      ['busybox', 'sh', '-n'],
    ]) {
      const { status, stdout: said, stderr } = spawnSync(command, args, { input: stdout, encoding: 'utf8' });
      expect([command, status, said, stderr]).toEqual([command, 0, '', '']);
    }
  });
});
