// `relaycerts export docker` in the whole program: the folder for each image, its modes, what is not in it, what is
// never overwritten, and what make, status, show, deploy and check say of a host in a container.

import { lstatSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { answerOf, certificatesOf } from '../support/answer.js';
import { variablesOf } from '../support/env-file.js';
import { commandsIn } from '../support/now-run.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';

const settings = smallSettings({
  smtpdServers: [
    { hostname: 'gw1', container: 'mail-gateway' },
    { hostname: 'gw2', container: 'boky' },
    { hostname: 'gw3', container: 'docker-mailserver' },
  ],
  smtpClients: [
    { hostname: 'home1', container: 'mail-gateway' },
    { hostname: 'home2', container: 'boky' },
    { hostname: 'home3', container: 'docker-mailserver' },
    { hostname: 'home4', container: 'mailcow' },
    { hostname: 'plain' },
  ],
});

let project: Project;
beforeAll(async () => {
  project = makeProject(settings);
  expect((await project.run(['make'])).status).toBe(0);
});
afterAll(() => {
  project.remove();
});

const exportHost = (host: string, ...words: readonly string[]): Promise<Result> =>
  project.run(['export', 'docker', host, ...words]);

/** Every file below a folder, by its path, with the mode. */
function filesIn(folder: string): ReadonlyMap<string, string> {
  const entries = readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();
  return new Map(
    entries.flatMap((path) => {
      const stats = lstatSync(join(folder, path));
      return stats.isDirectory() ? [] : [[path, (stats.mode & 0o7777).toString(8)] as const];
    }),
  );
}

interface Status {
  readonly host: string;
  readonly state: string;
}

async function stateOf(host: string): Promise<string | undefined> {
  const rows = certificatesOf<Status>(await project.run(['status', '--json']));
  return rows.find((row) => row.host === `${host}.example.org`)?.state;
}

describe('the folder', () => {
  const chain = 'relaycerts/example.org-ca.crt.pem=644';
  it.each([
    [
      'gw1',
      'compose.yaml=644 mail-gateway.env=644 tls/bundle.crt=644 tls/cert.key=600 tls/relay_clientcerts=644 tls/rootCA.crt=644',
    ],
    [
      'gw2',
      `boky.env=644 compose.yaml=644 ${chain} relaycerts/gw2.example.org.chain.pem=600 relaycerts/relay_clientcerts=644`,
    ],
    [
      'gw3',
      `compose.override.yaml=644 ${chain} relaycerts/gw3.example.org.chain.pem=600 relaycerts/relay_clientcerts=644 user-patches.sh=644`,
    ],
    [
      'home1',
      'compose.yaml=644 mail-gateway.env=644 tls/client.crt=644 tls/client.key=600 tls/replies=644 trust/ca.crt=644',
    ],
    [
      'home2',
      `boky.env=644 compose.yaml=644 ${chain} relaycerts/home2.example.org.chain.pem=600 relaycerts/replies=644`,
    ],
    ['home3', `compose.override.yaml=644 ${chain} relaycerts/home3.example.org.chain.pem=600 user-patches.sh=644`],
    [
      'home4',
      'data/conf/postfix/extra.cf=644 data/conf/postfix/relaycerts/example.org-ca.crt.pem=644 data/conf/postfix/relaycerts/home4.example.org.chain.pem=600 data/conf/postfix/relaycerts/replies=644',
    ],
  ])('of %s has what its image looks for, and only the key is secret', async (host, expected) => {
    const { status, stdout } = await exportHost(host);
    expect(status).toBe(0);
    expect(commandsIn(stdout)).toEqual([expect.stringMatching(/^docker compose (?:up -d --force-recreate|restart )/u)]);
    const folder = project.path(`${host}.example.org-docker`);
    expect(lstatSync(folder).mode & 0o7777).toBe(0o700);
    // smtp(8), which is not root, reads only the CA there.
    if (host === 'home1') expect(lstatSync(join(folder, 'trust')).mode & 0o7777).toBe(0o755);
    const { '.relaycerts.sha256': note, ...files } = Object.fromEntries(filesIn(folder));
    expect(note).toBe('600');
    expect(
      Object.entries(files)
        .map(([path, mode]) => `${path}=${mode}`)
        .join(' '),
    ).toBe(expected);
    const role = host.startsWith('gw') ? 'smtpd-server' : 'smtp-client';
    const key = project.read('certs', role, `${host}.example.org.key.pem`).split('\n')[1] ?? '';
    for (const [path, mode] of Object.entries(files)) {
      const text = readFileSync(join(folder, path), 'utf8');
      expect(text.includes(key), path).toBe(mode === '600');
      if (path.endsWith('.env')) expect(variablesOf(text).size).toBeGreaterThan(15);
      if (path.endsWith('.yaml')) {
        const { services } = parseYaml(text) as { readonly services: Readonly<Record<string, object>> };
        const [service = {}] = Object.values(services);
        const port = { gw1: '2500:25', gw2: '2500:587', gw3: '2500:2500' }[host];
        expect(service).toMatchObject(port === undefined ? {} : { ports: [port] });
        expect('ports' in service).toBe(port !== undefined);
      }
    }
  });

  it('is the same the second time, and nothing is written', async () => {
    expect((await exportHost('gw1')).status).toBe(0);
    const before = treeOf(project.path('gw1.example.org-docker'));
    const { stdout, stderr } = await exportHost('gw1', '--json');
    const answer = answerOf<{ readonly files: readonly { readonly outcome: string }[] }>(stdout);
    expect(new Set(answer.files.map(({ outcome }) => outcome))).toEqual(new Set(['unchanged']));
    expect(stderr).toBe('');
    expect(treeOf(project.path('gw1.example.org-docker'))).toEqual(before);
  });

  it('keeps an edited configuration, with what is new beside it', async () => {
    const at = (name: string): string => project.path('edited', name);
    expect((await exportHost('home2', '--output', 'edited')).status).toBe(0);
    const edited = `${readFileSync(at('boky.env'), 'utf8')}TZ=Europe/Amsterdam\n`;
    writeFileSync(at('boky.env'), edited);
    expect((await exportHost('home2', '--output', 'edited')).stderr).toContain(
      'edited by you, so not overwritten: boky.env',
    );
    expect([...filesIn(project.path('edited')).keys()]).not.toContain('boky.env.new');
    for (const level of [2, 3]) {
      project.settings({
        ...settings,
        smtpClients: [{ hostname: 'home2', container: 'boky', tlsLogLevel: level }],
      });
      expect((await exportHost('home2', '--output', 'edited')).status).toBe(0);
      expect(readFileSync(at('boky.env'), 'utf8')).toBe(edited);
      expect(readFileSync(at('boky.env.new'), 'utf8')).toContain(`POSTFIX_smtp_tls_loglevel=${level}\n`);
    }
    // What is new takes the place of the edited file.
    writeFileSync(at('boky.env'), readFileSync(at('boky.env.new')));
    const { stdout } = await exportHost('home2', '--output', 'edited', '--json');
    expect(answerOf<object>(stdout)).toMatchObject({
      files: expect.arrayContaining([{ path: 'boky.env.new', outcome: 'removed' }]) as unknown,
    });
    expect([...filesIn(project.path('edited')).keys()]).not.toContain('boky.env.new');
    project.settings(settings);
  });

  it('refuses to replace edited pins and foreign files', async () => {
    expect((await exportHost('gw1', '--output', 'pins')).status).toBe(0);
    writeFileSync(project.path('pins/tls/relay_clientcerts'), 'mine\n');
    writeFileSync(project.path('pins/compose.yaml'), 'mine\n');
    rmSync(project.path('pins/tls/rootCA.crt'));
    const before = treeOf(project.path('pins'));
    const { status, stderr } = await exportHost('gw1', '--output', 'pins');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/and not overwritten: "\S+relay_clientcerts"\n/u)]);
    expect(treeOf(project.path('pins'))).toEqual(before);
  });

  it('makes a key that others can read private again', async () => {
    expect((await exportHost('home1')).status).toBe(0);
    const key = project.path('home1.example.org-docker/tls/client.key');
    const bytes = readFileSync(key);
    rmSync(key);
    writeFileSync(key, bytes, { mode: 0o644 });
    expect((await exportHost('home1')).status).toBe(0);
    expect(lstatSync(key).mode & 0o7777).toBe(0o600);
  });

  it.each([
    ['a host that is no container', ['plain'], 2, /plain\.example\.org is not a container in the settings/u],
    ['a folder of relaycerts', ['home1', '--output', 'hosts/x'], 2, /within what relaycerts writes itself/u],
    ['a folder that is not there', ['home1', '--output', 'no/such/folder'], 1, /no such|does not exist|no folder/iu],
  ] as const)('is not written for %s', async (_what, words, code, says) => {
    const { status, stdout, stderr } = await project.run(['export', 'docker', ...words]);
    expect(stderr).toMatch(says);
    expect([status, stdout]).toEqual([code, '']);
  });
});

describe('a container', () => {
  it('is named by make, judged by status, and done by the command that status prints', async () => {
    const other = makeProject(
      smallSettings({
        smtpdServers: [{ hostname: 'relayhost', container: 'boky' }],
        smtpClients: [{ hostname: 'mailhost', container: 'mailcow' }],
      }),
    );
    try {
      const { stdout } = await other.run(['make']);
      const commands = commandsIn(stdout);
      expect(commands.slice(0, 2)).toEqual(['relaycerts export docker relayhost', 'relaycerts export docker mailhost']);
      expect(stdout).not.toContain('deploy');
      const before = await other.run(['status']);
      expect(before.status).toBe(3);
      expect(before.stdout.replaceAll(/\s+/gu, ' ')).toContain(
        'not exported for its container: relaycerts export docker relayhost.example.org',
      );
      expect((await other.run([])).stdout).toContain('next: relaycerts export docker');
      for (const command of commands.slice(0, 2)) expect((await other.run(command.split(' ').slice(1))).status).toBe(0);
      expect((await other.run(['status'])).status).toBe(0);
      expect((await other.run(['renew', 'mailhost', '--force'])).stdout).toContain('relaycerts export docker mailhost');
      const after = await other.run(['status', 'mailhost']);
      expect(after.stdout.replaceAll(/\s+/gu, ' ')).toMatch(
        /exported .* with another certificate: relaycerts export docker/u,
      );
      expect((await other.run(['export', 'docker', 'mailhost'])).status).toBe(0);
      expect((await other.run(['status'])).status).toBe(0);
      // Not a container any more: nothing was ever seen on the host.
      other.settings(smallSettings());
      expect((await other.run(['status', 'mailhost'])).stdout).toContain('not seen on the host');
    } finally {
      other.remove();
    }
  });

  it('is not deployed to: that says so, and others wait for it', async () => {
    const named = await project.run(['deploy', 'home1']);
    expect([named.status, named.stdout]).toEqual([2, '']);
    expect(named.stderr).toContain('hint: relaycerts export docker home1.example.org');
    expect((await project.run(['deploy', '--undo', 'home1'])).stderr).toContain(
      'hint: relaycerts show home1.example.org --undo',
    );
    rmSync(project.path('certs/installed.json'));
    const waits = await project.run(['deploy', '--dry-run', '--json']);
    expect(waits.stderr).toContain('deploy installs nothing in containers: gw1.example.org');
    expect(answerOf<object>(waits.stdout)).toMatchObject({ plan: [] });
    for (const host of ['gw1', 'gw2', 'gw3']) expect((await exportHost(host)).status).toBe(0);
    const goes = answerOf<object>((await project.run(['deploy', '--dry-run', '--json'])).stdout);
    expect(goes).toMatchObject({ plan: [{ host: 'plain.example.org', files: 'all' }] });
  });

  it('is left out for Ansible, which says so', async () => {
    const { stdout, stderr } = await project.run(['export', 'ansible', '--json']);
    expect(answerOf<object>(stdout)).toMatchObject({ hosts: ['plain.example.org'] });
    expect(stderr).toContain('left out, because they run in containers: gw1.example.org');
  });

  it('has instructions, no script, and is not looked into', async () => {
    const shown = (await project.run(['show', 'home4'])).stdout;
    expect(shown).toContain('# >>> relaycerts: run here\nrelaycerts export docker home4.example.org\n');
    expect(shown).toContain('    docker compose restart postfix-mailcow\n');
    expect(shown).toContain('mailcow cannot be a relay');
    expect((await project.run(['show', 'home4', '--undo'])).stdout).toContain('    docker compose down\n');
    const script = await project.run(['show', 'gw1', '--format', 'sh']);
    // For a pipe into sh.
    expect([script.status, script.stdout]).toEqual([2, 'exit 1\n']);
    expect(script.stderr).toContain('hint: relaycerts export docker gw1.example.org');
    expect((await project.run(['show', 'gw1', '--json'])).status).toBe(0);
    expect((await project.run(['show', 'gw1', '--format', 'html'])).stdout).not.toContain('--format sh');
    expect((await project.run(['show', 'gw1', '--section', 'rsync'])).stdout).toContain('nothing to do in rsync');
    const log = await project.run(['explain', 'gw1']);
    expect(log.stderr).toContain('docker compose logs --no-log-prefix | relaycerts explain -');
    expect((await project.run(['check', '--from', 'home1'])).stderr).toContain('hint: relaycerts check gw1');
  });

  it('takes a revoked pin out of its table with the next export', async () => {
    const table = 'gw1.example.org-docker/tls/relay_clientcerts';
    expect((await exportHost('gw1')).status).toBe(0);
    expect(project.read(table)).toContain(' home3.example.org\n');
    const revoked = await project.run(['revoke', 'home3']);
    expect(commandsIn(revoked.stdout)[0]).toMatch(/export docker gw1$|status --state not-installed$/u);
    expect(await stateOf('gw1')).toBe('not-installed');
    expect((await exportHost('gw1')).status).toBe(0);
    expect(project.read(table)).not.toContain('home3.example.org');
    expect((await exportHost('home3')).stderr).toContain('home3.example.org is revoked');
  });

  it('is removed with a word on stopping it', async () => {
    const removed = await project.run(['remove', 'home4']);
    expect(removed.stdout).toContain('Then stop the container of home4.example.org');
    expect(removed.stdout).not.toContain('ssh');
  });
});

it('of a host that left the settings: what undoes it, until it is removed', async () => {
  const left = makeProject(settings);
  const run = (...args: readonly string[]) => left.run(args);
  succeed(await run('make'));
  succeed(await run('export', 'docker', 'home2'));
  left.settings({ ...settings, smtpClients: [{ hostname: 'plain' }] });
  expect((await run('status')).stderr).toContain('hint: relaycerts deploy --undo home2.example.org; then');
  expect((await run('deploy', '--undo', 'home2', '--yes')).stderr).toBe(
    'relaycerts: error: home2.example.org runs in a container, where deploy installs nothing\nrelaycerts: hint: relaycerts show home2.example.org --undo\n',
  );
  expect(succeed(await run('show', 'home2.example.org', '--undo')).stdout).toContain('docker compose down');
  expect(succeed(await run('remove', 'home2')).stdout).toContain('stop the container of home2.example.org');
  left.remove();
});
