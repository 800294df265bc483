// `relaycerts deploy` before it reaches a host: what it refuses, and what it says of hosts that it cannot reach; and which
// hosts of a fleet it visits. What it does on hosts is in test/e2e.

import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../src/commands/deploy.js';
import { plainDeploy } from '../support/deploy-options.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
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

  it('with nothing to do says how old that knowledge is, and how to look again', async () => {
    await noteAsInstalled(project, { hosts: ['mailhost'] });
    await noteAsInstalled(project, { hosts: ['relayhost'], seen: new Date(Date.now() - 3 * 86_400_000) });
    expect(succeed(await project.run(['deploy'])).stdout).toBe(
      'nothing to deploy: every host is up to date, as last seen 3 days ago; to look again: relaycerts check\n',
    );
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

  it('of relays by name is not held up by a relay that was never made', async () => {
    succeed(await project.run(['add', 'second', '--relay']));
    const { stdout, stderr } = succeed(await project.run(['deploy', 'relayhost', '--dry-run']));
    expect(stdout).toContain('1. relayhost.example.org');
    expect(stderr).toContain('left out, because there is no certificate yet: second.example.org\n');
    const named = await project.run(['deploy', 'second', '--dry-run']);
    expect([named.status, named.stderr]).toEqual([1, expect.stringContaining('yet for second.example.org\n')]);
  });

  it.each([[[]], [['relayhost', 'mailhost']]])('%j: of a relay that was never made, only homes wait', async (words) => {
    succeed(await project.run(['add', 'second', '--relay']));
    const { stdout, stderr } = succeed(await project.run(['deploy', ...words, '--dry-run']));
    expect(stdout).toBe(
      'to install, in this order:\n  1. relayhost.example.org: everything\nwaiting for other hosts: mailhost.example.org\n',
    );
    expect(stderr).toContain('left out, because there is no certificate yet: second.example.org\n');
    const result = await deployWith('', ...words);
    expect([result.status, result.visited]).toEqual([1, ['relayhost']]);
    expect(result.stdout).toContain(
      '\ndeploy: 1 installed, 1 waiting for other hosts\nnot done: mailhost.example.org\n',
    );
  });

  it('names what waits for a host that is not named, and asks nothing if that is all', async () => {
    for (const option of ['--dry-run', '--yes']) {
      const { status, stdout, stderr } = await project.run(['deploy', 'mailhost', option]);
      expect([status, stdout]).toEqual([1, 'deploy: 1 waiting for other hosts\nnot done: mailhost.example.org\n']);
      expect(stderr).toMatch(/warning: other hosts must be installed first\n.*hint: relaycerts deploy\n$/u);
    }
    succeed(await project.run(['add', 'second', '--relay']));
    succeed(await project.run(['make']));
    expect(succeed(await project.run(['deploy', 'relayhost', 'mailhost', '--dry-run'])).stdout).toBe(
      'to install, in this order:\n  1. relayhost.example.org: everything\nwaiting for other hosts: mailhost.example.org\n',
    );
  });

  it.each([
    ['exec sleep 1000', 20, 'it took longer than 10 minutes, and was stopped'],
    ['kill -9 $$', 600_000, 'ssh was killed'],
    ['exit 0', 600_000, 'the login ended with 0, and ran no script'],
  ])('says in words why a visit failed: %s', async (script, timeoutMs, words) => {
    const ssh = join(project.folder, '../bin/ssh');
    writeFileSync(ssh, `#!/bin/sh\n${script}\n`);
    chmodSync(ssh, 0o755);
    const sys = project.sys();
    const warned: string[] = [];
    await deploy(
      { ...plainDeploy(project), hosts: ['relayhost'], yes: true },
      {
        ...sys,
        run: (command, args, options) => sys.run(command, args, { ...options, timeoutMs }),
        warn: (message) => void warned.push(message),
      },
    );
    expect(warned).toContain(`relayhost.example.org: ${words}`);
  });

  it('--undo names the hosts in the order in which it visits them, and what stays there', async () => {
    const { stdout } = succeed(await project.run(['deploy', '--undo', '--dry-run']));
    expect(stdout).toBe(
      'to undo: mailhost.example.org, relayhost.example.org\nkeys and certificates stay there: rm -r /etc/postfix/relaycerts/example.org\nthe next deploy, by hand or by the renewal timer, installs what the settings name\n',
    );
  });

  it('with a canary that has nothing to install, begins nowhere', async () => {
    const { status, stdout, stderr } = await project.run(['deploy', 'mailhost', '--canary', 'relayhost', '--yes']);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /error: the canary relayhost\.example\.org has nothing to install\n.*hint: relaycerts deploy mailhost\n$/u,
    );
    expect((await project.run(['deploy', '--undo', '--canary', 'relayhost'])).status).toBe(2);
  });

  it.each([
    ['deploy mailhost relayhost', '--canary relayhost --force-routes', '--force-routes --canary relayhost'],
    ['deploy', '--undo', '--undo'],
  ])('%s %s: without a terminal it names the same command that does not ask', async (command, options, same) => {
    const { status, stderr } = await project.run([...command.split(' '), ...options.split(' ')]);
    expect([status, stderr.split('\n').at(-2)]).toEqual([2, `relaycerts: hint: relaycerts ${command} ${same} --yes`]);
  });

  it('answered with no, changes nothing and says so', async () => {
    const sys = { ...project.sys(), interactive: true, confirm: () => Promise.resolve(false) };
    await expect(deploy({ ...plainDeploy(project), json: true }, sys)).rejects.toMatchObject({
      code: 'interrupted',
      message: 'no host was changed',
    });
  });
});

/** Deploys where ssh does this to the host `$host`, after noting it; the relay is installed. */
async function deployWith(script: string, ...words: readonly string[]): Promise<Result & { visited: string[] }> {
  const log = join(project.home, 'visited');
  project.write(
    '../bin/ssh',
    `#!/bin/sh
head -c 1 >/dev/null
for word; do case $word in *@*) host=\${word#*@} host=\${host%%.*}; break ;; esac; done
echo "$host" >>'${log}'
[ "$host" != relayhost ] || { echo relaycerts: outcome: changed; exit; }
${script}
`,
  );
  chmodSync(project.path('../bin/ssh'), 0o755);
  const result = await project.run(['deploy', '--yes', ...words]);
  const visited = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
  return { ...result, visited };
}

const failing = 'echo relaycerts: outcome: postfix-check; exit 1';

describe('of a fleet', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  beforeEach(async () => {
    project.settings(smallSettings({ smtpClients: names.map((hostname) => ({ hostname })) }));
    succeed(await project.run(['make', '--quiet']));
  });

  it('--max-failures is where it stops', async () => {
    const { status, stdout, visited } = await deployWith(failing, '--max-failures', '2', '--parallel', '1');
    // With more than can be visited in parallel, one goes first by itself, and its failure counts for all.
    expect([status, visited]).toEqual([1, ['relayhost', 'a']]);
    expect(stdout).toContain('deploy: 1 installed, 1 failed and left as before, 4 waiting for other hosts\n');
    const unreachable = await deployWith('exit 255', '--max-failures', '2', '--parallel', '1');
    expect([unreachable.status, unreachable.visited.slice(2)]).toEqual([1, ['a', 'b']]);
    expect(unreachable.stdout).toContain('deploy: 2 failed and left as before, 3 waiting for other hosts\n');
  });

  it('--max-failures is where --undo stops', async () => {
    const { status, stdout, visited } = await deployWith(failing, '--undo', '--max-failures', '2', '--parallel', '1');
    expect([status, visited]).toEqual([1, ['a', 'b']]);
    expect(stdout).toContain('undo: 2 failed and left as before, 4 waiting for other hosts\n');
  });

  it('a canary goes first, and if it fails, no other host of its role', async () => {
    const { status, stdout, visited } = await deployWith(failing, '--canary', 'd');
    expect([status, visited]).toEqual([1, ['relayhost', 'd']]);
    expect(stdout).toMatch(
      /^deploy: 1 installed, 1 failed and left as before, 4 waiting for other hosts\nnot done: /mu,
    );
    const { visited: all } = await deployWith('echo relaycerts: outcome: changed', '--canary', 'd');
    expect([all.slice(2, 3), all.slice(3).toSorted()]).toEqual([['d'], ['a', 'b', 'c', 'e']]);
  });

  it('if the canary cannot be reached, the next one goes first', async () => {
    const { status, stdout, visited } = await deployWith(`[ "$host" != d ] || exit 255\n${failing}`, '--canary', 'd');
    expect([status, visited]).toEqual([1, ['relayhost', 'd', 'a']]);
    expect(stdout).toContain('deploy: 1 installed, 2 failed and left as before, 3 waiting for other hosts\n');
  });

  it('a canary that is lost with the new files is not called as before, and stops the others', async () => {
    const lost = 'echo "relaycerts: waiting for the verdict on $host"; read -r verdict; exit 255';
    const { status, stdout, stderr, visited } = await deployWith(lost, '--canary', 'd');
    expect([status, visited]).toEqual([1, ['relayhost', 'd']]);
    expect(stdout).toContain('deploy: 1 installed, 1 lost while it was installed, 4 waiting for other hosts\n');
    expect(stderr).toMatch(/hint: it has its old files if it is up, .*: deploy again\n/u);
  });

  it('a revocation reaches every relay, whichever fails', async () => {
    const relays = ['a', 'b', 'c'];
    const smtpClients = [{ hostname: 'home' }, { hostname: 'lost' }];
    project.settings(smallSettings({ smtpdServers: relays.map((hostname) => ({ hostname })), smtpClients }));
    succeed(await project.run(['make', '--quiet']));
    expect((await deployWith('echo relaycerts: outcome: changed')).visited).toHaveLength(5);
    succeed(await project.run(['revoke', 'lost']));
    const one = `[ "$host" != a ] || { ${failing}; }\necho relaycerts: outcome: changed`;
    const { status, visited } = await deployWith(one, '--parallel', '2');
    expect([status, visited.slice(5).toSorted()]).toEqual([1, relays]);
  });

  it('visits as many hosts at a time as --parallel says', async () => {
    // The first goes by itself. Of the others each waits until three are there, and would see a fourth.
    const script = `[ "$host" != a ] || { echo relaycerts: outcome: changed; exit; }
mkdir -p "$HOME/there" && : >"$HOME/there/$host"
tries=0
until [ -e "$HOME/full" ] || [ "$tries" = 200 ]; do
  [ "$(ls "$HOME/there" | wc -l)" -lt 3 ] || : >"$HOME/full"
  tries=$((tries + 1))
  sleep 0.05
done
[ "$(ls "$HOME/there" | wc -l)" -le 3 ] && [ "$tries" -lt 200 ] || exit 1
rm "$HOME/there/$host"
echo relaycerts: outcome: changed`;
    const { status, stdout, stderr } = await deployWith(script, '--parallel', '3');
    expect([status, stdout], stderr).toEqual([0, expect.stringContaining('deploy: 6 installed\n')]);
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
    [['help', 'export', 'p13'], '--help'],
  ])('%j: the hint is the help of that command', async (words, help) => {
    const { status, stderr } = await project.run(words);
    expect([status, stderr.split('\n').at(-2)]).toEqual([2, `relaycerts: hint: relaycerts ${help}`]);
    expect(succeed(await project.run(help.split(' '))).stdout).toContain('Usage: relaycerts');
  });
});
