// The short block at the end of make and similar commands: within its limit for any number of hosts, every command in
// it runs as printed, in an order that loses no mail, and a pipe fails if its left side does.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { commandsIn, installs, unasked } from '../support/now-run.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';

let project: Project;
afterEach(() => project.remove());

const linesOf = (text: string): readonly string[] => text.split('\n').slice(0, -1);

/** What a user sees of a command. */
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
  it('a first make of one pair: 25 lines, 80 columns, relative paths', async () => {
    project = makeProject();
    const { block, all } = await seen('make');
    expect(all.length).toBeLessThanOrEqual(25);
    expect(block.length).toBeLessThanOrEqual(10);
    expect(all.filter((line) => line.length > 80)).toEqual([]);
    expect(all.join('\n')).not.toMatch(/(?<![\w.~])\//u);
    expect(all.join('\n')).toContain('gpg --import ~/.config/relaycerts/operator-key.asc');
    succeed(await project.run(['clean', '--yes']));
    const again = (await seen('make')).all;
    expect(again.join('\n')).toContain('passphrase file');
    expect(again.filter((line) => line.length > 80)).toEqual([]);
  });

  it('with 1000 clients, which are made in several batches', async () => {
    project = makeProject(settingsFor(1000));
    const { block, all } = await seen('make');
    expect(block.length, all.join('\n')).toBeLessThanOrEqual(10);
    expect(all.length, all.join('\n')).toBeLessThanOrEqual(25);
    expect(block).toEqual(all.slice(-block.length));
  });

  it.each([1, 40])('with %d clients: 10 at the end of every command, 25 in all', async (clients) => {
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
      if (words.join(' ') !== 'make') continue;
      expect(all.filter((line) => line.length > 80)).toEqual([]);
      expect((await seen('make')).all).toEqual([
        'relaycerts: nothing to make: all is right here (the hosts: relaycerts status)',
      ]);
      for (const look of [['status'], []]) {
        const { status, stdout, stderr } = await project.run(look);
        const lines = linesOf(stdout + stderr);
        expect([status, lines.length <= 30, lines.filter((line) => line.length > 80)]).toEqual([3, true, []]);
      }
    }
  });

  it('one command is for many hosts; those that are few are named', async () => {
    project = makeProject(settingsFor(5));
    expect(commandsIn((await seen('make')).block.join('\n'))[0]).toBe(installs());
    const named = (await seen('renew', '--force', 'c1', 'c2', 'c3', 'c4')).block.join('\n');
    expect(commandsIn(named)).toEqual([installs('c1', 'c2', 'c3', 'c4')]);
    const many = (await seen('renew', '--force', 'mailhost', 'c1', 'c2', 'c3', 'c4')).block.join('\n');
    expect(commandsIn(many)).toEqual([installs()]);
  });
});

/** Runs a line with an ssh that records its target; `broken` is a host that it does not reach. */
function runLine(line: string, broken = '-'): Result & { readonly went: readonly string[] } {
  const bin = project.path('../fake');
  const log = project.path('../went');
  mkdirSync(bin, { recursive: true });
  rmSync(log, { force: true });
  writeFileSync(log, '');
  // deploy's script is followed by an archive, and says what it did; what is piped must be a complete script.
  const fake = `#!/bin/sh
for word; do case $word in *@*) target=$word; break ;; esac; done
case $target in *${broken}*) exit 255 ;; esac
echo "$target" >>'${log}'
for word; do :; done
case $word in
  sh)
    script=$(cat)
    case $script in *'</dev/null'*) sh -nc "$script" && echo 'relaycerts: outcome: changed' ;; *) sh -c "$script" ;; esac
    ;;
  *)
    count=\${word##*count=}
    dd bs=1 count="\${count%% *}" >/dev/null 2>&1
    read -r word size
    head -c "$size" >/dev/null
    echo 'relaycerts: outcome: changed'
    ;;
esac
`;
  writeFileSync(join(bin, 'ssh'), fake, { mode: 0o755 });
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line], {
    cwd: project.folder,
    env: { PATH: `${bin}:${project.path('../bin')}:${process.env['PATH'] ?? ''}`, HOME: project.home },
    encoding: 'utf8',
  });
  return { status, stdout, stderr, went: linesOf(readFileSync(log, 'utf8')) };
}

const [relay, home] = ['root@relayhost.example.org', 'root@mailhost.example.org'];

describe('the commands', () => {
  it('run as they are printed, the relay first', async () => {
    project = makeProject();
    const { block } = await seen('make');
    const ran = commandsIn(block.join('\n')).map((line) => runLine(unasked(line)));
    expect(ran.map(({ status }) => status)).toEqual([0, 0]);
    expect(ran.map(({ went }) => went)).toEqual([[relay, home], []]);
    expect(ran[1]?.stdout).toContain('openssl s_client');
    for (const words of [
      ['renew', '--rekey', 'mailhost'],
      ['renew', '--ca'],
      // The first prints the second, and the third is the last stage.
      ['renew', '--ca', '--rekey'],
      ['renew', '--ca', '--rekey'],
      ['revoke', 'mailhost'],
      ['revoke', 'relayhost'],
    ]) {
      const lines = commandsIn((await seen(...words)).block.join('\n'));
      expect(lines.length).toBeGreaterThan(0);
      // What the last of them changed has to be installed before the next stage.
      for (const line of [...lines, installs()]) expect(runLine(unasked(line)), line).toMatchObject({ status: 0 });
    }
  });

  it('of all hosts, and from another folder with other settings', async () => {
    project = makeProject(null);
    mkdirSync(project.path('-odd folder'));
    project.write('-odd folder/other.json', JSON.stringify(smallSettings()));
    const { block } = await seen('--settings', '-odd folder/other.json', 'make');
    const lines = commandsIn(block.join('\n'));
    for (const line of lines) expect(line).toContain("--settings '-odd folder/other.json'");
    expect(runLine(unasked(lines[0] ?? ''))).toMatchObject({ status: 0, went: [relay, home] });
  });

  it('skip the clients if a relay fails, and try every client if one does', async () => {
    project = makeProject(settingsFor(2));
    await seen('make');
    const none = runLine(unasked(installs()), 'relayhost');
    expect([none.status, none.went]).toEqual([1, []]);
    expect(none.stdout).toContain('1 failed and left as before, 2 waiting for other hosts');
    const one = runLine(unasked(installs()), 'mailhost');
    expect([one.status, one.went]).toEqual([1, [relay, 'root@c1.example.org']]);
    expect(one.stdout).toContain('not done: mailhost.example.org\n');
  });

  it('for a client before its relay say what comes first, and that works', async () => {
    project = makeProject();
    await seen('make');
    const early = runLine(unasked(installs('mailhost')));
    expect([early.status, early.went]).toEqual([1, []]);
    expect(early.stderr).toContain('hint: relaycerts deploy\n');
    expect(runLine(unasked('relaycerts deploy'))).toMatchObject({ status: 0, went: [relay, home] });
  });

  it('fail if their left side fails, whatever is on the right', async () => {
    project = makeProject();
    // Nothing was made yet.
    for (const line of [
      unasked(installs('mailhost')),
      'relaycerts show mailhost --format sh | ssh root@mailhost.example.org sh',
    ]) {
      const { status, stderr } = runLine(line);
      expect([status, stderr]).toEqual([1, expect.stringContaining('no certificate yet')]);
    }
  });

  it('with --quiet say nothing, and with --json one object', async () => {
    project = makeProject();
    expect(succeed(await project.run(['make', '--quiet'])).stdout).toBe('');
    const dry = JSON.parse(runLine('relaycerts deploy --dry-run --json').stdout) as unknown;
    const plan = ['relayhost', 'mailhost'].map((name) => ({ host: `${name}.example.org`, files: 'all' }));
    expect(dry).toMatchObject({ version: 1, command: 'deploy', plan, hosts: [] });
    for (const words of ['', '', '--undo']) {
      expect(runLine(`relaycerts --quiet deploy --yes ${words}`)).toMatchObject({ status: 0, stdout: '', stderr: '' });
    }
  });
});
