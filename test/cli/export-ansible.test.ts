// `relaycerts export ansible`: what is in the files and what is not, which hosts are left out, and that only files that it
// wrote itself are replaced. ansible-lint reads them, and Ansible takes no value for a template; test/e2e runs them.

import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { filesBelow } from '../support/secrets.js';

const role = 'ansible/roles/relaycerts';
const clients = [
  { hostname: 'mailhost', sshUser: 'admin', sshPort: 2222 },
  { hostname: 'here', local: true },
  { hostname: 'exim', program: 'exim', sshHost: '192.0.2.7' },
];

let project: Project;
beforeAll(async () => {
  requireTools('ansible-playbook', 'ansible-inventory', 'ansible-lint');
  project = makeProject(smallSettings({ smtpClients: clients }));
  expect((await project.run(['make'])).status).toBe(0);
});
afterAll(() => {
  project.remove();
});

const run = (...words: readonly string[]): Promise<Result> => project.run(['export', 'ansible', ...words]);

interface Answer {
  readonly hosts: readonly string[];
  readonly written: readonly string[];
  readonly removed: readonly string[];
}
const answer = async (): Promise<Answer> => answerOf<Answer>((await run('--json')).stdout);

function runAnsible(program: string, words: readonly string[], folder = project.path('ansible')): string {
  const env = { PATH: process.env['PATH'] ?? '', HOME: project.home, LC_ALL: 'C.UTF-8', ANSIBLE_NOCOLOR: '1' };
  const { stdout, stderr, status } = spawnSync(program, words, { cwd: folder, encoding: 'utf8', env });
  expect(status, stdout + stderr).toBe(0);
  return stdout;
}

describe('the files', () => {
  it('say how each host is reached, and hold no key and no passphrase', async () => {
    const { status, stdout, stderr } = await run();
    expect([status, stderr]).toEqual([0, 'relaycerts: made the Ansible files of 4 hosts: ansible\n']);
    expect(stdout).toMatch(/\n {2}ansible-playbook -i ansible\/inventory\.yml ansible\/playbook\.yml\n$/u);
    const listed = JSON.parse(runAnsible('ansible-inventory', ['-i', 'inventory.yml', '--list'])) as {
      readonly ['_meta']: { readonly hostvars: Readonly<Record<string, object>> };
      readonly relaycerts_homes: { readonly hosts: readonly string[] };
    };
    expect(listed.relaycerts_homes.hosts).toEqual(['mailhost.example.org', 'here.example.org', 'exim.example.org']);
    const { hostvars } = listed['_meta'];
    expect(hostvars['mailhost.example.org']).toMatchObject({
      ansible_host: 'mailhost.example.org',
      ansible_user: 'admin',
      ansible_port: 2222,
      ansible_pipelining: true,
      relaycerts_sudo: true,
      relaycerts_bundles: project.path('hosts'),
    });
    expect(hostvars['here.example.org']).toMatchObject({ ansible_connection: 'local' });
    expect(hostvars['exim.example.org']).toMatchObject({
      ansible_host: '192.0.2.7',
      relaycerts_kind: 'smtp-client-exim',
    });
    const files = filesBelow(project.path('ansible'));
    expect(files.length).toBeGreaterThan(9);
    for (const file of files) {
      expect(readFileSync(file, 'utf8')).not.toMatch(/^-----BEGIN/mu);
      expect((statSync(file).mode & 0o777).toString(8)).toBe(file.endsWith('/.relaycerts.sha256') ? '600' : '644');
    }
  });

  it('pass ansible-lint', () => {
    runAnsible('ansible-lint', ['--offline', '--strict', 'inventory.yml', 'playbook.yml', 'roles/relaycerts']);
  });

  it('are the same the second time', async () => {
    const before = treeOf(project.path('ansible'));
    const { written, removed } = await answer();
    expect([written, removed, treeOf(project.path('ansible'))]).toEqual([[], [], before]);
  });

  it('read every path as it is, whatever Jinja and YAML see in it', async () => {
    const folder = join(project.folder, `it's {{ 7 * 7 }} "{% ü %}"\\n: #`);
    mkdirSync(folder, { mode: 0o700 });
    writeFileSync(join(folder, 'settings.json'), JSON.stringify(smallSettings()));
    const call = ['--settings', join(folder, 'settings.json')];
    expect((await project.run([...call, 'make'])).status).toBe(0);
    expect((await project.run([...call, 'export', 'ansible'], { cwd: folder })).status).toBe(0);
    const tree = join(folder, 'ansible');
    const tasks = [
      {
        'ansible.builtin.command': {
          argv: [
            'sh',
            '-c',
            'printf "%s\\n" {{ relaycerts_settings }}; cat "$1"',
            'sh',
            '{{ relaycerts_bundles }}/relayhost.example.org/relay_clientcerts',
          ],
        },
      },
    ];
    const play = [{ hosts: 'relaycerts_relays', gather_facts: false, connection: 'local', tasks }];
    writeFileSync(join(tree, 'own.yml'), JSON.stringify(play));
    const said = runAnsible('ansible-playbook', ['-v', '-i', 'inventory.yml', 'own.yml'], tree);
    const result = said.slice(said.indexOf('=> {') + 3, said.indexOf('\n\nPLAY RECAP'));
    const { stdout: lines } = JSON.parse(result) as { readonly stdout: string };
    expect(lines).toBe(
      `${join(folder, 'settings.json')}\n${readFileSync(join(folder, 'hosts/relayhost.example.org/relay_clientcerts'), 'utf8')}`.trimEnd(),
    );
  });
});

const inventory = (): string => project.path('ansible/inventory.yml');

async function expectRefused(path: string): Promise<void> {
  const { status, stderr } = await run();
  expect(status).toBe(1);
  expect(stderr).toContain(`edited since, and not overwritten: "${project.path(path)}"`);
  expect(stderr).toContain('hint: move them away, and do this again; or name another folder: --output FOLDER');
}

describe('a file there', () => {
  it('that was edited is not overwritten, nor is a link', async () => {
    const kept = readFileSync(inventory(), 'utf8');
    appendFileSync(inventory(), '# mine\n');
    await expectRefused('ansible/inventory.yml');
    expect(readFileSync(inventory(), 'utf8')).toMatch(/\n# mine\n$/u);
    rmSync(inventory());
    symlinkSync('playbook.yml', inventory());
    await expectRefused('ansible/inventory.yml');
    rmSync(inventory());
    project.write('ansible/inventory.yml', kept);
  });

  it('of a folder that is a link is not written', async () => {
    renameSync(project.path(role, 'tasks'), project.path('tasks'));
    symlinkSync(project.path('tasks'), project.path(role, 'tasks'));
    rmSync(inventory());
    await expectRefused(`${role}/tasks`);
    expect(existsSync(inventory())).toBe(false);
    rmSync(project.path(role, 'tasks'));
    renameSync(project.path('tasks'), project.path(role, 'tasks'));
  });

  it('would be among those of relaycerts, and is refused', async () => {
    const { status, stderr } = await run('--output', 'hosts');
    expect([status, stderr]).toMatchObject([2, expect.stringContaining('is within what relaycerts writes itself')]);
  });

  it('of a host that left goes, and nothing else does', async () => {
    project.write(`${role}/files/hosts/mine.sh`, 'echo mine\n');
    project.settings(smallSettings({ smtpClients: clients.slice(0, 2) }));
    const { removed, hosts } = await answer();
    expect(removed.toSorted()).toEqual([
      'roles/relaycerts/files/hosts/exim.example.org.sh',
      'roles/relaycerts/files/smtp-client-exim.sh',
    ]);
    expect(hosts).toEqual(['relayhost.example.org', 'mailhost.example.org', 'here.example.org']);
    expect(existsSync(project.path(role, 'files/hosts/mine.sh'))).toBe(true);
  });
});

describe('a host', () => {
  it('without a certificate is left out if it is a home', async () => {
    project.settings(smallSettings({ smtpClients: [...clients, { hostname: 'new' }] }));
    const { status, stderr } = await run();
    expect([status, stderr]).toEqual([
      0,
      expect.stringContaining('left out, because there is no certificate yet: new.'),
    ]);
    expect(project.read('ansible/inventory.yml')).not.toContain('new.example.org');
  });

  it('that is revoked is left out', async () => {
    expect((await project.run(['revoke', 'mailhost'])).status).toBe(0);
    const { hosts } = await answer();
    expect(hosts).toEqual(['relayhost.example.org', 'here.example.org', 'exim.example.org']);
  });

  it('without a certificate is an error if it is a relay', async () => {
    project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relay2' }] }));
    const { status, stderr } = await run();
    expect([status, stderr]).toEqual([1, expect.stringContaining('no certificate yet for relay2.example.org')]);
  });
});
