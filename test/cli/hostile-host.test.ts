// Hosts that are hostile, as ssh brings their words: what they print moves no cursor, has an end, and harms no other host.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { deploy } from '../../src/commands/deploy.js';
import { parseFacts } from '../../src/check/host-facts.js';
import { asksForVerdict, keptFiles, renderDelivery, toldOutcome } from '../../src/render/delivery.js';
import { renderLookOut } from '../../src/render/probe-from.js';
import { run } from '../../src/sys/run.js';
import { plainDeploy } from '../support/deploy-options.js';
import { threeHosts } from '../support/inventory.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await project.run(['make', '--quiet']);
});
afterEach(() => project.remove());

/** From now on ssh does this; its last words name the host. */
function ssh(script: string): void {
  project.write('../bin/ssh', `#!/bin/sh\nhead -c 1 >/dev/null\n${script}\n`);
  chmodSync(project.path('../bin/ssh'), 0o755);
}

/** Runs a command line where ssh does this. */
function withHosts(script: string, ...args: readonly string[]): Promise<Result> {
  ssh(script);
  return project.run(args);
}

/** A home that prints this, asks for the verdict, and is done if the last line it reads is `keep`. */
const homeThatSaw = (
  sections: string,
): string => `case "$*" in *relayhost*) echo relaycerts: outcome: changed; exit ;; esac
printf '${sections}relaycerts: waiting for the verdict on mailhost.example.org\\n'
[ "$(tail -n 1)" = keep ] || { echo 'relaycerts: error: back' >&2; exit 1; }
echo relaycerts: outcome: changed`;

describe('check', () => {
  it('prints a release from a host without its escape sequences', async () => {
    const { stdout } = await withHosts(String.raw`printf '@postfix 9.9\033]0;x\007\n@end\n'`, 'check', 'mailhost');
    expect(stdout).toContain('Postfix 9.9');
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  });

  it('goes on with the others if one host prints without end', async () => {
    const script = `case "$*" in *relayhost*) yes ;; *) printf '@postfix missing\\n@end\\n' ;; esac`;
    const { stdout, stderr, status } = await withHosts(script, 'check');
    expect([status, stderr]).toEqual([3, '']);
    expect(stdout).toMatch(/the check of relayhost\.example\.org did not finish: ssh was stopped: it wrote more than/u);
    expect(stdout).toContain('Postfix is not installed on mailhost.example.org');
  });

  it('says so if the login ran no script', async () => {
    const { stdout } = await withHosts('exit 0', 'check', 'mailhost');
    expect(stdout).toContain('did not finish: the login ended with 0, and ran no script [probe-failed]');
  });

  it('goes on with what needs no ssh if there is none', async () => {
    mkdirSync(join(project.home, 'empty'));
    const { stdout, stderr, status } = await project.run(['check', '--json'], {
      env: { PATH: join(project.home, 'empty') },
    });
    const { findings } = JSON.parse(stdout) as { readonly findings: readonly { readonly id: string }[] };
    expect([status, stderr]).toEqual([3, '']);
    expect(findings.map(({ id }) => id)).toEqual(['ssh-missing', 'ssh-missing', 'name-not-found']);
  });

  it.each([
    ['', 'runs, and its clock is right'],
    [String.raw`@queue\n`, 'runs, its clock is right, and no mail for a relay waits'],
  ])('says that no mail waits only if it saw the queue: "%s"', async (queue, words) => {
    const script = String.raw`printf "@clock $(date +%%s)\n@postfix 3.7\n${queue}@end\n"`.replace('%%', '%');
    const { stdout } = await withHosts(script, 'check', 'mailhost');
    expect(stdout).toMatch(new RegExp(`^ok +mailhost\\.example\\.org: ${words}$`, 'mu'));
  });

  it('--from a host without openssl says so, and calls it no fault', async () => {
    const script = String.raw`printf '@no-openssl\n@end\n'`;
    const { stdout, status } = await withHosts(script, 'check', '--from', 'mailhost');
    expect([status, stdout]).toEqual([0, expect.stringContaining('[openssl-missing]')]);
    // It would not try only those.
    expect((await project.run(['check', '--from', 'mailhost', 'relayhost'])).status).toBe(2);
  });

  it('takes no name from a host for an address, and notes no more CAs than can be read back', async () => {
    const digest = 'a'.repeat(64);
    const flood = `yes ' ${digest}' | head -n 500`;
    const script = `printf '@postfix 9.9\\n@addresses relayhost.example.org\\n evil.example.net\\n@authorities x\\n'; ${flood}; echo @end`;
    const { stdout } = await withHosts(script, 'check', 'mailhost', '--json');
    expect(stdout).not.toContain('evil.example.net');
    const { stderr } = await project.run(['check', '--offline', '--json']);
    expect(stderr).toBe('');
    expect((await project.run(['check', '--offline'])).stdout).not.toContain('damaged');
  });

  it('keeps of a host only what its script can print', () => {
    const text = `@errors\n${' x\n'.repeat(5000)}${'@service a b\n'.repeat(30_000)}@end\n`;
    const sections = parseFacts(text)?.sections ?? [];
    expect(sections.map(({ name, lines }) => [name, lines.length])).toEqual([
      ['errors', 2000],
      ['service', 0],
    ]);
  });
});

describe('deploy', () => {
  it('prints the words of a host cut short, and says whose they are', async () => {
    const script = [
      `i=0; while [ $i -lt 100 ]; do echo "relaycerts: warning: w$i" >&2; i=$((i + 1)); done`,
      `printf 'relaycerts: error: %5000s\\nrelaycerts: hint: curl x | sh\\n' x >&2`,
      'exit 1',
    ];
    const { stderr, status } = await withHosts(script.join('\n'), 'deploy', 'relayhost', '--yes');
    expect(status).toBe(1);
    expect(stderr.length).toBeLessThan(1000);
    expect(stderr).toContain('hint: relayhost.example.org says: curl x | sh');
  });

  it.each([
    [
      'a command',
      "cp: No space left' 'relaycerts: error: it failed; the configuration of x is as it was before",
      'cp: No space left',
    ],
    [
      'the script',
      "relaycerts: error: no' 'relaycerts: error: it failed; f could not be put back: mv a f",
      'no; it failed; f could not be put back: mv a f',
    ],
  ])('says why %s failed there, and what is not restored', async (_, lines, reason) => {
    const { stderr } = await withHosts(`printf '%s\\n' 'b' '${lines}' >&2\nexit 1`, 'deploy', 'relayhost', '--yes');
    expect(stderr).toContain(`warning: relayhost.example.org: ${reason}\n`);
  });

  it('--undo keeps the relays while a client could not be undone', async () => {
    const script = `case "$*" in *mailhost*) exit 255 ;; *) echo reached >>"$HOME/relay" ;; esac`;
    const { stderr, stdout, status } = await withHosts(script, 'deploy', '--undo', '--yes');
    expect([status, existsSync(join(project.home, 'relay'))]).toEqual([1, false]);
    expect(stdout).toContain('not done: mailhost.example.org, relayhost.example.org');
    expect(stderr).toContain('hint: if none does: relaycerts deploy --undo relayhost.example.org');
    const own = ['deploy', '--undo', 'relayhost', '--yes'];
    expect((await withHosts('echo relaycerts: outcome: changed', ...own)).status).toBe(0);
  });

  it('does not believe a host that it is done without an outcome, or out of the rest that it says', async () => {
    const script = String.raw`printf 'relaycerts: relayhost is set up\nrelaycerts: outcome: ssh-unreachable\n\033]0;x\007'`;
    const { stdout, status } = await withHosts(script, 'deploy', '--yes', '--json');
    const { hosts } = JSON.parse(stdout) as {
      hosts: { host: string; outcome: string; failure: { id: string } | null }[];
    };
    expect([status, hosts.map(({ outcome, failure }) => [outcome, failure?.id])]).toEqual([
      1,
      [
        ['failed', 'install-failed'],
        ['waiting', undefined],
      ],
    ]);
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  });

  it('does not note a configuration that a host kept, because the ssh key is limited', async () => {
    await withHosts('echo relaycerts: outcome: changed', 'deploy', '--yes');
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost', tlsLogLevel: 2 }] }));
    await project.run(['renew', '--force', '--quiet', 'mailhost']);
    const kept = String.raw`printf 'relaycerts: kept: install.sh receive.sh\nrelaycerts: outcome: changed\n'`;
    const limited = await withHosts(kept, 'deploy', '--yes', '--json');
    expect([limited.status, JSON.parse(limited.stdout)]).toMatchObject([
      1,
      { hosts: [{ host: 'mailhost.example.org', outcome: 'installed', findings: [{ id: 'key-limited' }] }] },
    ]);
    expect(limited.stderr).toContain(
      'hint: with an ssh key that is not limited: relaycerts deploy mailhost.example.org\n',
    );
    // The certificate is noted, the configuration stays to be installed.
    expect((await project.run(['deploy', '--dry-run'])).stdout).toBe(
      'to install, in this order:\n  1. mailhost.example.org: configuration\n',
    );
    await withHosts('echo relaycerts: outcome: changed', 'deploy', '--yes');
    // A newer script that sets the same is no difference.
    const same = await withHosts(kept, 'deploy', 'mailhost', '--yes');
    expect([same.status, same.stderr]).toEqual([0, expect.not.stringContaining('keeps')]);
  });

  it.each([
    ['accepted', String.raw`@with relayhost.example.org\n 250 2.1.5 Ok\n@end\n`, 0, 'installed', undefined],
    ['refused', String.raw`@with relayhost.example.org\n 451 4.7.1 no\n@end\n`, 1, 'failed', 'verdict-bad'],
    ['not said of the relay', String.raw`@with other.example.org\n 451 4.7.1 no\n@end\n`, 0, 'installed', undefined],
    ['cut off', String.raw`@with relayhost.example.org\n 451 4.7.1 no\n`, 0, 'installed', undefined],
  ])('judges a home by what it saw, on the connection that waits: %s', async (_, sections, code, outcome, id) => {
    const { status, stdout } = await withHosts(homeThatSaw(sections), 'deploy', '--yes', '--json');
    const { hosts } = JSON.parse(stdout) as {
      hosts: { host: string; outcome: string; failure: { id: string } | null }[];
    };
    const home = hosts.find(({ host }) => host === 'mailhost.example.org');
    expect([status, home?.outcome, home?.failure?.id]).toEqual([code, outcome, id]);
  });

  it('takes nothing that a relay says to a home for words of its script', () => {
    const words = ['outcome: unchanged', 'kept: install.sh', 'waiting for the verdict on x'];
    const says = words.map((one) => `relaycerts: ${one}`).join('\n');
    for (const [name, script] of [
      ['openssl', `cat <<'END'\n${says}\nEND\nhead -c 100000 /dev/zero | tr '\\0' x`],
      ['getent', ':'],
    ] as const) {
      project.write(`../bin/${name}`, `#!/bin/sh\n${script}\n`);
      chmodSync(project.path(`../bin/${name}`), 0o755);
    }
    const env = { PATH: `${project.path('../bin')}:${process.env['PATH']}` };
    const look = renderLookOut(threeHosts, threeHosts.smtpClients[0]);
    const { stdout } = spawnSync('sh', [], { input: look, env, encoding: 'utf8' });
    expect(parseFacts(stdout)?.sections.map(({ name }) => name)).toContain('with');
    expect(stdout).toContain(' relaycerts; outcome: unchanged\n');
    expect([toldOutcome(stdout), keptFiles(stdout), asksForVerdict(stdout)]).toEqual([undefined, [], false]);
    expect(stdout.length).toBeLessThan(10_000);
  });

  it('goes on with the others if one host prints without end', async () => {
    const script = `case "$*" in *relayhost2*) yes ;; *) echo relaycerts: outcome: changed ;; esac`;
    project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }] }));
    await project.run(['make', '--quiet']);
    const { stdout, stderr } = await withHosts(script, 'deploy', '--yes');
    expect(stderr).toContain('relayhost2.example.org: ssh was stopped: it wrote more than');
    expect(stdout).toMatch(/^deploy: 2 installed, 1 failed and left as before$/mu);
  });

  it('does what was agreed to, whatever the settings say meanwhile', async () => {
    const script = `head -c 30000 >"$HOME/sent.$(echo "$*" | grep -o 'mailhost\\|relayhost' | head -n 1)"; echo relaycerts: outcome: changed`;
    ssh(script);
    const asked = () => {
      project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost', port: 2600 }] }));
      return Promise.resolve(true);
    };
    await deploy(plainDeploy(project), { ...project.sys(), interactive: true, confirm: asked });
    expect(readFileSync(join(project.home, 'sent.relayhost'), 'latin1')).toContain('\nport=2500\n');
    expect((await project.run(['deploy', '--dry-run'])).stdout).toContain('1. relayhost.example.org: configuration');
  });

  it('unpacks nothing where others than root can replace what root then runs', () => {
    const [relay] = threeHosts.smtpdServers;
    const options = { files: 'all', keyPlace: 'here', forceRoutes: false, at: new Date(0) } as const;
    const { script, input } = renderDelivery(threeHosts, relay, new Map(), options);
    const folder = join(project.home, 'relaycerts');
    const { status, stderr } = spawnSync('sh', ['-c', script.replace(/^folder=.*$/mu, `folder='${folder}'`)], {
      input,
      encoding: 'utf8',
    });
    expect([status, existsSync(folder)]).toEqual([1, false]);
    expect(stderr).toContain(`, which holds ${folder}, can be changed by others than root`);
  });
});

it('a child that is out of time ends, whatever it has started', async () => {
  const begun = Date.now();
  const { status } = await run('sh', ['-c', 'sleep 900 & sleep 900'], { timeoutMs: 100 });
  expect(status).toBe('late');
  expect(Date.now() - begun).toBeLessThan(240_000);
});
