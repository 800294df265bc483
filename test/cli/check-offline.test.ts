// `relaycerts check --offline`: only the files here; and what check reports about hosts that ssh does not reach.

import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { putMade } from '../support/made-project.js';
import { makeProject, program, sharedCache, treeOf, type Project, type RunInput } from '../support/project.js';
import { openTerminal } from '../support/terminal.js';

const day = 86_400_000;

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

interface Found {
  readonly id: string;
  readonly host: string | null;
  readonly severity: string;
  readonly message: string;
}

async function idsOf(words: readonly string[] = ['--offline'], input: RunInput = {}): Promise<readonly string[]> {
  const { status, stdout } = await project.run(['check', '--json', ...words], input);
  const { findings, command, version } = answerOf<{
    readonly version: number;
    readonly command: string;
    readonly findings: readonly Found[];
  }>(stdout);
  expect([version, command]).toEqual([1, 'check']);
  expect(status).toBe(findings.some(({ severity }) => severity !== 'unknown') ? 3 : 0);
  return findings.map(({ id }) => id);
}

/** An ssh that prints these words and ends with 255. */
function sshThatSays(words: string): RunInput {
  mkdirSync(join(project.home, 'bin'));
  const file = join(project.home, 'bin/ssh');
  project.write(
    '../home/bin/ssh',
    `#!/bin/sh\nprintf '%s\\n' "$*" >>"$HOME/calls"\ncat >/dev/null\necho '${words}' >&2\nexit 255\n`,
  );
  chmodSync(file, 0o755);
  return { env: { PATH: `${join(project.home, 'bin')}:${process.env['PATH'] ?? ''}` } };
}

describe('check --offline', () => {
  it('after make: exit 0, a line that sums up, nothing written', async () => {
    const before = treeOf(project.folder);
    const { status, stdout, stderr } = await project.run(['check', '--offline']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      /^ok +here: .*\nok +here: 3 certificates and the passphrase are as they should be\n2 ok\n$/u,
    );
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('of named hosts looks at their files, and not at those of others', async () => {
    const { status, stdout } = await project.run(['check', '--offline', 'mailhost']);
    expect([status, stdout]).toEqual([0, expect.stringContaining('here: 1 certificate is as it should be\n2 ok\n')]);
    project.write('hosts/relayhost.example.org/relay_clientcerts', '# nobody\n');
    rmSync(project.path('certs/smtpd-server/relayhost.example.org.key.pem'));
    expect(await idsOf(['--offline', 'mailhost'])).toEqual([]);
    expect(await idsOf(['--offline', 'relayhost'])).toContain('project-problem');
  });

  it.each([
    ['a certificate that is due', 'state-due', { now: new Date(Date.now() + 380 * day) }, (): void => undefined],
    ['expired certificates', 'state-expired', { now: new Date(Date.now() + 400 * day) }, (): void => undefined],
    ['an expired CA', 'state-expired', { now: new Date(Date.now() + 3700 * day) }, (): void => undefined],
    ['a clock that is behind', 'state-not-yet-valid', { now: new Date(Date.now() - 9 * day) }, (): void => undefined],
    [
      'a key that is gone',
      'project-problem',
      {},
      (): void => rmSync(project.path('certs/smtp-client/mailhost.example.org.key.pem')),
    ],
    [
      'a key that is open',
      'project-problem',
      {},
      (): void => chmodSync(project.path('certs/smtp-client/mailhost.example.org.key.pem'), 0o644),
    ],
    [
      'a bundle that was edited',
      'project-warning',
      {},
      (): void => project.write('hosts/relayhost.example.org/relay_clientcerts', '# nobody\n'),
    ],
    [
      'a certificate of another host',
      'project-problem',
      {},
      (): void =>
        project.write(
          'certs/smtp-client/mailhost.example.org.crt.pem',
          project.read('certs/smtpd-server/relayhost.example.org.crt.pem'),
        ),
    ],
    [
      'a passphrase that is gone',
      'state-missing',
      {},
      (): void => rmSync(join(project.home, '.example.org-relaycerts-passphrase.gpg')),
    ],
    [
      'an operator key that is gone',
      'state-unopenable',
      {},
      (): void => rmSync(join(project.home, '.config'), { recursive: true }),
    ],
    ['no CA key', 'project-problem', {}, (): void => rmSync(project.path('certs/ca/example.org-ca.key.pem'))],
  ] as const)('%s: %s', async (_, id, input, put) => {
    put();
    expect(await idsOf(['--offline'], input)).toContain(id);
  });

  it('as a monitoring plugin: one line, and its codes', async () => {
    const good = await project.run(['check', '--offline', '--format', 'nagios']);
    expect([good.status, good.stdout]).toEqual([0, 'RELAYCERTS OK - 2 ok | errors=0;;0 warnings=0;0 unknown=0 ok=2\n']);
    project.write('hosts/relayhost.example.org/relay_clientcerts', '# nobody\n');
    const warned = await project.run(['check', '--offline', '--format', 'nagios']);
    expect(warned.status).toBe(1);
    expect(warned.stdout).toMatch(/^RELAYCERTS WARNING - project-warning \| errors=0;;0 warnings=1;0 /u);
    const { status, stderr } = await project.run(['check', '--json', '--format', 'nagios']);
    expect([status, stderr]).toEqual([2, expect.stringContaining('--json cannot be used')]);
    for (const command of ['check', 'status']) {
      const unable = await project.run([command, '--settings', 'a|b.json', '--format', 'nagios']);
      expect([unable.status, unable.stdout]).toEqual([
        3,
        expect.stringMatching(/^RELAYCERTS UNKNOWN - no settings file "[^|]*a b\.json"\n$/u),
      ]);
    }
  });
});

it('on a terminal, an error is red; with --no-color it is not', async () => {
  rmSync(project.path('certs/ca/example.org-ca.key.pem'));
  for (const options of [[], ['--no-color']]) {
    const terminal = await openTerminal({
      command: [process.execPath, program, ...options, 'check', '--offline'],
      cwd: project.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: project.home, ...sharedCache },
    });
    expect(await terminal.ended()).toBe(3);
    expect(terminal.sent().includes('\u001B[31merror')).toBe(options.length === 0);
    terminal.dispose();
  }
});

describe('check of hosts that ssh does not reach', () => {
  it.each([
    ['ssh-denied', 'root@mailhost.example.org: Permission denied (publickey).'],
    ['ssh-host-key', 'Host key verification failed.'],
    ['ssh-unreachable', 'ssh: connect to host mailhost.example.org port 22: Connection timed out'],
  ])('%s: is reported, asks nobody, and records nothing', async (id, words) => {
    const input = sshThatSays(words);
    expect(await idsOf(['mailhost'], input)).toContain(id);
    expect(project.read('../home/calls')).toBe(
      '-T -a -x -o BatchMode=yes -o RemoteCommand=none -o ClearAllForwardings=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 root@mailhost.example.org sh\n',
    );
    expect(Object.keys(treeOf(project.folder))).not.toContain('certs/installed.json');
  });

  it('a host that prints an escape sequence moves no cursor', async () => {
    const { stdout } = await project.run(['check', 'mailhost'], sshThatSays('Permission denied \u001B[2J\u202E'));
    expect(stdout).toContain('Permission denied');
    expect(stdout).not.toMatch(/(?!\n)[\p{Cc}\p{Cf}]/u);
  });
});
