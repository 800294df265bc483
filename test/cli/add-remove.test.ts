// `add` and `remove`: add or remove one host in settings.json or the clients' file, with everything else in the file
// unchanged; a removed host is revoked, and its printed undo runs afterwards, when only the ledger knows the host.

import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installs } from '../support/now-run.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { pinsListed } from '../support/renewals.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const run = (...args: readonly string[]): Promise<Result> => project.run(args);

const commented = `{
  // our domain
  "domain": "example.org",
  "smtpdServers": [
    { "hostname": "relayhost" }, // in Falkenstein
  ],
  "smtpClients": [
    // the cellar
    { "hostname": "mailhost" },
    { "hostname": "office", "sshPort": 2222 } /* upstairs */,
  ],
}
`;

describe('add', () => {
  it('puts a client last and keeps comments, order and mode', async () => {
    project.write('settings.json', commented);
    chmodSync(project.path('settings.json'), 0o600);
    const { stdout, stderr } = succeed(await run('add', 'Laptop'));
    expect(stdout).toBe('Now run:\n  relaycerts make\n');
    expect(stderr).toBe('relaycerts: added laptop.example.org to settings.json\n');
    expect(project.read('settings.json')).toBe(
      commented.replace('/* upstairs */,\n', '/* upstairs */,\n    { "hostname": "Laptop" },\n'),
    );
    expect(lstatSync(project.path('settings.json')).mode & 0o777).toBe(0o600);
    expect(succeed(await run('make')).stderr).toContain('laptop.example.org');
  });

  it('puts a relay last, and prints who must know about it', async () => {
    project.write('settings.json', commented);
    const { stdout } = succeed(await run('add', 'relay.example.net', '--relay'));
    expect(project.read('settings.json')).toContain(
      '"relayhost" }, // in Falkenstein\n    { "hostname": "relay.example.net" },',
    );
    expect(stdout).toBe(
      `Now run:
  relaycerts make
Once the new relay is installed, run:
  ${installs()}
`,
    );
  });

  it.each([
    ['a name that is none', ['add', 'a_b'], 2, 'not a host name'],
    ['a name of the other role', ['add', 'relayhost'], 2, 'is in the settings already, as a relay'],
    ['a name that is another name of a host', ['add', 'mx'], 2, 'is already at'],
    ['a name that takes file names', ['add', 'mail.old'], 2, 'would take the file names of another'],
  ])('writes nothing for %s', async (_, args, status, says) => {
    project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost', altNames: ['mx'] }] }));
    const before = treeOf(project.folder);
    const result = await run(...args);
    expect([result.status, result.stderr]).toEqual([status, expect.stringContaining(says)]);
    rmSync(project.path('.relaycerts.lock'), { force: true });
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('reports a host that is already there, and changes no byte', async () => {
    const before = project.read('settings.json');
    expect(succeed(await run('add', 'mailhost.example.org')).stderr).toContain('is in the settings already');
    expect(project.read('settings.json')).toBe(before);
  });

  it('follows a link, and the link stays', async () => {
    mkdirSync(project.path('real'));
    project.write('real/s.json', project.read('settings.json'));
    rmSync(project.path('settings.json'));
    symlinkSync('real/s.json', project.path('settings.json'));
    succeed(await run('add', 'laptop'));
    expect(lstatSync(project.path('settings.json')).isSymbolicLink()).toBe(true);
    expect(project.read('real/s.json')).toContain('"laptop"');
  });
});

describe('a clients file', () => {
  it.each([
    ['clients.csv', 'sshPort,hostname\n22,c1\n,c2', 'sshPort,hostname\n22,c1\n,c2\n,c3\n', '\n,c2\n'],
    ['clients.csv', 'hostname,sshPort\r\nc1,22\r\nc2,\r\n', 'hostname,sshPort\r\nc1,22\r\nc2,\r\nc3,\r\n', 'c2,\r\n'],
    [
      'clients.jsonl',
      '{"hostname":"c1"}\n\n{"hostname":"c2"}\n',
      '{"hostname":"c1"}\n\n{"hostname":"c2"}\n{"hostname":"c3"}\n',
      '{"hostname":"c2"}\n',
    ],
  ])('gets and loses a line: %s', async (name, before, after, line) => {
    project.settings(smallSettings({ smtpClients: { file: name } }));
    project.write(name, before);
    const settings = project.read('settings.json');
    succeed(await run('add', 'c3'));
    expect(project.read(name)).toBe(after);
    succeed(await run('remove', 'c2'));
    expect(project.read(name)).toBe(after.replace(line, line.startsWith('\n') ? '\n' : ''));
    expect(project.read('settings.json')).toBe(settings);
    expect((await run('add', 'c1.example.org')).stderr).toContain('already');
  });

  it('stays as it is if the new line is wrong', async () => {
    project.settings(smallSettings({ smtpClients: { file: 'c.csv' } }));
    project.write('c.csv', 'hostname\nc1\n');
    const result = await run('add', 'c.old');
    expect([result.status, result.stderr]).toEqual([2, expect.stringContaining('c.csv: line 3')]);
    expect(project.read('c.csv')).toBe('hostname\nc1\n');
  });
});

describe('remove', () => {
  const three = smallSettings({
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'laptop', program: 'exim', sshUser: 'pi' }],
  });
  const two = smallSettings({ smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'second', port: 2600 }] });

  it('revokes a client, and prints what to run: the table first, its undo last', async () => {
    project.settings(three);
    await putMade(project);
    const { stdout, stderr } = succeed(await run('remove', 'laptop'));
    expect(stdout).toBe(
      `Now run:
  ${installs('relayhost')}
Then, unless laptop.example.org is gone:
  relaycerts show laptop.example.org --format sh --undo | ssh pi@laptop.example.org sudo sh
`,
    );
    expect(stderr).toContain('revoked laptop.example.org, serial ');
    expect(stderr).toContain('removed laptop.example.org from settings.json');
    expect(pinsListed(project).map(([, name]) => name)).toEqual(['mailhost.example.org']);
    expect(readdirSync(project.path('certs/revoked')).some((name) => name.startsWith('laptop'))).toBe(true);
    expect(existsSync(project.path('hosts/laptop.example.org'))).toBe(false);
    expect(JSON.parse(project.read('settings.json'))).toEqual(smallSettings());
    // The ledger knows which program ran there.
    expect(succeed(await run('show', 'laptop', '--format', 'sh', '--undo')).stdout).toContain('exim4');
    expect(succeed(await run('make')).stderr).toContain('nothing to make');
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    expect(succeed(await run('add', 'laptop')).stdout).toContain('  relaycerts make --again laptop.example.org\n');
    // With its new key it is not revoked.
    succeed(await run('make', '--again', 'laptop'));
    succeed(await run('remove', 'laptop', '--keep'));
    expect(succeed(await run('add', 'laptop')).stdout).toBe('Now run:\n  relaycerts make\n');
  });

  it('of a relay: every client first, then its undo, on any port', async () => {
    project.settings(two);
    await putMade(project);
    const { stdout } = succeed(await run('remove', 'second'));
    expect(stdout).toBe(
      `Now run:
  ${installs()}
Then, unless second.example.org is gone:
  relaycerts show second.example.org --format sh --undo | ssh root@second.example.org sh
`,
    );
    expect(succeed(await run('show', 'mailhost')).stdout).not.toContain('second');
    const undo = succeed(await run('show', 'second', '--undo')).stdout;
    expect(undo).not.toMatch(/2500|2600/u);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
  });

  it('of a relay: what it prints can be run, with a client that is revoked and a relay without a certificate', async () => {
    project.settings({ ...two, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'office' }] });
    await putMade(project);
    succeed(await run('revoke', 'office'));
    expect(succeed(await run('add', 'third', '--relay')).stdout).toContain(`run:\n  ${installs()}\n`);
    const { stdout } = succeed(await run('remove', 'second', '--json'));
    expect(JSON.parse(stdout)).toMatchObject({ install: [{ host: 'mailhost.example.org', why: ['configuration'] }] });
    expect(succeed(await run('remove', 'relayhost')).stdout).toContain(
      `Now run:\n  relaycerts make\n  ${installs()}\n`,
    );
    succeed(await run('make'));
    expect(succeed(await run('deploy', '--dry-run')).stdout).toContain('third.example.org');
  });

  it('with --keep revokes nothing, and the same key is used again', async () => {
    project.settings(three);
    await putMade(project);
    const key = project.read('certs/smtp-client/laptop.example.org.key.pem');
    const { stdout } = succeed(await run('remove', 'laptop', '--keep'));
    expect(stdout.split('\n')[1]).toBe('  relaycerts make');
    succeed(await run('make'));
    expect(pinsListed(project).map(([, name]) => name)).toEqual(['mailhost.example.org']);
    succeed(await run('add', 'laptop'));
    succeed(await run('make'));
    expect(project.read('certs/smtp-client/laptop.example.org.key.pem')).toBe(key);
  });

  it.each([
    ['the only client', ['remove', 'mailhost'], 'is the only client, and the settings need one', 'relaycerts add HOST'],
    ['the only relay', ['remove', 'relayhost'], 'is the only relay, and the settings need one', 'add HOST --relay'],
    ['inbound.home', ['remove', 'mailhost'], 'mailhost.example.org gets the inbound mail', 'name another client there'],
    ['a host that nobody knows', ['remove', 'nobody'], 'the settings have no host "nobody"', 'the hosts are'],
  ])('refuses %s, and changes nothing', async (what, args, says, hint) => {
    if (what === 'inbound.home') project.settings({ ...three, inbound: { home: 'mailhost' } });
    await putMade(project);
    const before = treeOf(project.folder);
    const { status, stdout, stderr } = await run(...args);
    expect([status, stdout]).toEqual([2, '']);
    expect(stderr).toContain(says);
    expect(stderr).toContain(hint);
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('before make it only edits the settings', async () => {
    project.settings(three);
    expect(succeed(await run('remove', 'laptop')).stdout).toBe('');
    expect(JSON.parse(project.read('settings.json'))).toEqual(smallSettings());
  });

  it('--json is one object', async () => {
    project.settings(three);
    await putMade(project);
    expect(JSON.parse(succeed(await run('remove', 'laptop', '--json')).stdout)).toMatchObject({
      version: 1,
      command: 'remove',
      host: 'laptop.example.org',
      revoked: true,
      install: [{ host: 'relayhost.example.org', why: ['table'] }],
    });
    expect(JSON.parse(succeed(await run('add', 'other', '--json')).stdout)).toMatchObject({
      command: 'add',
      added: true,
    });
  });
});

describe('a host that only the ledger knows', () => {
  const gone = 'relayhost.example.org';

  beforeEach(async () => {
    await putMade(project);
    project.settings(smallSettings({ smtpdServers: [{ hostname: 'newrelay' }] }));
    succeed(await run('make'));
    for (const path of [`hosts/${gone}`, `certs/smtpd-server/${gone}.key.pem`, `certs/smtpd-server/${gone}.crt.pem`]) {
      rmSync(project.path(path), { recursive: true });
    }
  });

  it('is in status, until it is removed; its undo can be printed', async () => {
    const { status, stderr } = await run('status');
    expect(status).toBe(3);
    expect(stderr).toContain(`${gone} is no longer in the settings: until its configuration is undone there`);
    const [, undo = ''] = /hint: relaycerts (deploy --undo \S+);/u.exec(stderr) ?? [];
    expect(succeed(await run(...undo.split(' '), '--dry-run')).stdout).toContain(`to undo: ${gone}\n`);
    const [, remove = ''] = /: relaycerts (remove \S+)\n/u.exec(stderr) ?? [];
    expect(succeed(await run(...remove.split(' '))).stdout).toContain(`show ${gone} --format sh --undo`);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    expect(succeed(await run(...remove.split(' '))).stderr).toContain('nothing to do');
  });

  it('is in status by name and by pattern, over or not', async () => {
    for (const word of [gone, 'relayh*']) {
      const { status, stdout, stderr } = await run('status', word);
      expect([status, stdout]).toEqual([3, 'no hosts\n']);
      expect(stderr).toContain(`${gone} is no longer in the settings: until its configuration is undone there`);
    }
    succeed(await run('remove', gone));
    expect(await run('status', gone)).toEqual({
      status: 0,
      stdout: 'no hosts\n',
      stderr: `relaycerts: ${gone} is no longer in the settings; its certificate is revoked or retired\n`,
    });
    expect((await run('status', 'never')).status).toBe(2);
  });

  it('can be revoked, once', async () => {
    expect(succeed(await run('revoke', gone, '--reason', 'stolen')).stderr).toContain(`revoked ${gone}`);
    await noteAsInstalled(project);
    expect((await run('status')).status).toBe(0);
    expect(succeed(await run('revoke', gone)).stderr).toContain('nothing to do');
  });

  it('has no instructions but its undo', async () => {
    const { status, stderr } = await run('show', gone);
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/no longer in the settings\n.*: relaycerts show \S+ --undo\n$/u),
    ]);
  });
});

describe('"local": true', () => {
  const local = smallSettings({
    smtpClients: [{ hostname: 'mailhost', local: true, sshUser: 'pi', sshPort: 2222, sshHost: '192.0.2.1' }],
  });
  const asked = [[], ['--undo'], ['--format', 'sh'], ['--section', 'rsync'], ['--section', 'request']] as const;

  it.each([
    [0, ''],
    [1000, 'sudo '],
  ])('no printed command has ssh; user %i puts "%s" before root commands', async (uid, sudo) => {
    project.settings(local);
    await putMade(project);
    const of = async (...args: readonly string[]) =>
      succeed(await project.run(['show', 'mailhost', ...args], { uid })).stdout;
    for (const args of asked) expect(await of(...args)).not.toMatch(/\bssh\b|2222|192\.0\.2\.1|\bpi\b/u);
    expect(await of()).toContain(`relaycerts show mailhost.example.org --format sh | ${sudo}sh\n`);
    const copy = await of('--section', 'rsync');
    expect(copy).toContain(
      `\n${sudo}mkdir -p -m 0700 /etc/postfix/relaycerts/example.org &&\n  ${sudo}rsync --checksum`,
    );
    expect(copy).toContain('  /etc/postfix/relaycerts/example.org/\n# <<<');
    expect(await of('--section', 'request')).toContain(
      `\n${sudo}cat /etc/postfix/relaycerts/example.org/mailhost.example.org.csr.pem >mailhost.example.org.csr.pem &&`,
    );
    expect(await of('--format', 'sh')).toContain(`shell: ... | ${sudo}sh`);
  });
});
