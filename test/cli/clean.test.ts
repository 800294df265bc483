// `relaycerts clean`: removes what make made, and nothing else.

import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const passphrase = '.example.org-relaycerts-passphrase.gpg';

describe('clean', () => {
  it('refuses without a terminal and without --yes, and removes nothing', async () => {
    const before = treeOf(project.folder);
    const refused = await project.run(['clean']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('relaycerts clean --yes');
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('--yes removes what make made; settings, passphrase, operator key stay', async () => {
    const cleaned = await project.run(['clean', '--yes']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stdout.trimEnd().split('\n')).toHaveLength(16);
    expect(cleaned.stdout).toContain('\ncerts/ca/example.org-ca.key.pem\n');
    expect(cleaned.stderr).toMatch(/warning: these bundles may be installed on hosts/u);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
    expect(readdirSync(project.home).toSorted()).toEqual(['.config', passphrase]);
    expect((await project.run(['clean', '--yes'])).stderr).toContain('nothing to remove');
  });

  it('lists the folders of a fleet, and with --json every file', async () => {
    project.settings(smallSettings({ smtpClients: Array.from('abcdefgh', (hostname) => ({ hostname })) }));
    succeed(await project.run(['make']));
    const files = Object.keys(treeOf(project.folder)).filter((name) => /^(?:certs|hosts)\/.*[^/]$/u.test(name));
    const { stdout } = await project.run(['clean']);
    expect(stdout).toBe(
      'hosts/: 41 files\ncerts/smtp-client/: 18 files\ncerts/smtpd-server/: 2 files\ncerts/ca/: 3 files\n',
    );
    const { removed } = answerOf<{ readonly removed: readonly string[] }>(
      succeed(await project.run(['clean', '--yes', '--json'])).stdout,
    );
    expect(removed.toSorted()).toEqual(files.map((name) => project.path(name)).toSorted());
  });

  it('--all without a terminal says how to remove all without asking', async () => {
    expect((await project.run(['clean', '--all'])).stderr).toMatch(
      /^relaycerts: hint: .*: relaycerts clean --yes --all$/mu,
    );
  });

  it('--all removes the passphrase file too; the operator key stays', async () => {
    const operatorKey = join(project.home, '.config/relaycerts/operator-key.asc');
    const before = treeOf(join(project.home, '.config'));
    const cleaned = await project.run(['clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stdout).toContain(`\n~/${passphrase}\n`);
    expect(cleaned.stderr).toContain('backups of the CA key can then never be opened\n');
    expect(cleaned.stderr).toMatch(
      /warning: other projects of example\.org use this passphrase file by default\nrelaycerts: hint: .*: relaycerts clean\n/u,
    );
    expect(existsSync(join(project.home, passphrase))).toBe(false);
    expect(cleaned.stdout).not.toContain(operatorKey);
    expect(cleaned.stderr).toContain('the operator key stays: ~/.config/relaycerts/operator-key.asc\n');
    expect(treeOf(join(project.home, '.config'))).toEqual(before);
  });

  it('--all names no operator key if there is none', async () => {
    rmSync(join(project.home, '.config/relaycerts/operator-key.asc'));
    expect(succeed(await project.run(['clean', '--yes', '--all'])).stderr).not.toContain('operator key');
  });

  it('--all in one folder leaves what opens the passphrase of another', async () => {
    const other = smallSettings({ domain: 'example.net', passphrase: { file: 'sealed.gpg' } });
    mkdirSync(join(project.home, 'other'));
    project.write('../home/other/settings.json', JSON.stringify(other));
    const inOther = (...args: readonly string[]): Promise<Result> =>
      project.run(['--settings', join(project.home, 'other/settings.json'), ...args]);
    expect((await inOther('make')).status).toBe(0);
    expect((await project.run(['clean', '--yes', '--all'])).status).toBe(0);
    const shown = await inOther('passphrase', 'show', '--yes');
    expect(shown.stdout, shown.stderr).toMatch(/^[0-9a-f]{64}\n$/u);
  });

  it('--all removes the passphrase files that a change kept, too', async () => {
    expect((await project.run(['passphrase', 'change'])).status).toBe(0);
    expect(readdirSync(project.home).toSorted()).toEqual(['.config', passphrase, `${passphrase}.old`]);
    expect((await project.run(['clean', '--yes', '--all'])).status).toBe(0);
    expect(readdirSync(project.home)).toEqual(['.config']);
  });

  it('--all keeps the passphrase file if nothing was made in this folder', async () => {
    mkdirSync(join(project.home, 'twin'));
    project.write('../home/twin/settings.json', project.read('settings.json'));
    const twin = join(project.home, 'twin/settings.json');
    const cleaned = await project.run(['--settings', twin, 'clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stdout).toBe('');
    expect(cleaned.stderr).toContain('nothing to remove');
    expect(cleaned.stderr).toMatch(/passphrase\.gpg" stays: no CA was made here/u);
    expect((await project.run(['passphrase', 'show', '--yes'])).status).toBe(0);
  });

  it('--all keeps anything that is not a passphrase file', async () => {
    project.settings(smallSettings({ passphrase: { file: '~/precious' } }));
    project.write('../home/precious', 'not an OpenPGP message');
    const cleaned = await project.run(['clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stderr).toMatch(/precious" is not an OpenPGP message, so it stays/u);
    expect(cleaned.stderr).not.toContain('other projects');
    expect(existsSync(join(project.home, 'precious'))).toBe(true);
  });

  it('leaves what it does not know, names it, and keeps its folder', async () => {
    const mine = ['certs/ca/mine.pem', 'certs/ca/backup.key.pem', 'hosts/relayhost.example.org/notes', 'hosts/mine/a'];
    mkdirSync(project.path('hosts/mine'));
    // Copies and others' files whose names only look like ours.
    mkdirSync(project.path('hosts/other.example.net'));
    mine.push(
      'certs/ca/example.org-ca.copy.key.pem',
      'certs/smtp-client/mailhost.example.org.backup.key.pem',
      'certs/smtp-client/other.example.net.key.pem',
      'hosts/mailhost.example.org/mailhost.example.org.backup.key.pem',
      'hosts/other.example.net/other.example.net.key.pem',
    );
    for (const path of mine) project.write(path, 'mine');
    const cleaned = await project.run(['clean', '--yes']);
    expect(cleaned.status).toBe(0);
    for (const path of mine) expect(project.read(path), path).toBe('mine');
    expect(cleaned.stderr).toMatch(
      /certs\/ca" stays: .*\("backup\.key\.pem", "example\.org-ca\.copy\.key\.pem", "mine\.pem"\)\n/u,
    );
    expect(cleaned.stderr).toMatch(/hosts\/relayhost\.example\.org" stays: .*\("notes"\)\n/u);
    expect(cleaned.stderr).toMatch(/hosts" stays: .*\("mine", "other\.example\.net"\)\n/u);
  });

  it('knows hosts that the settings no longer name', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'gone' }] }));
    await project.run(['make']);
    project.settings(smallSettings());
    expect((await project.run(['clean', '--yes'])).status).toBe(0);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  it('needs no ledger, and ignores paths in a forged one', async () => {
    const line = {
      ...(JSON.parse(project.read('certs/ca/issued.jsonl').split('\n')[1] ?? '') as object),
      name: '../../../home/victim.example.org',
    };
    project.write('certs/ca/issued.jsonl', `${JSON.stringify(line)}\n`);
    project.write('../home/victim.example.org.key.pem', 'mine');
    expect((await project.run(['clean', '--yes'])).status).toBe(0);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
    expect(existsSync(join(project.home, 'victim.example.org.key.pem'))).toBe(true);
  });

  it('make starts again with the same passphrase', async () => {
    await project.run(['clean', '--yes']);
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).not.toContain('passphrase, encrypted');
  });
});
