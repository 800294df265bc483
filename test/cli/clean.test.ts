// `relaycerts clean`: removes what make made, and nothing else.

import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { joinedLines } from '../support/strace.js';

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

  it('--yes lists and removes all that make made, and keeps settings, passphrase and operator key', async () => {
    const cleaned = await project.run(['clean', '--yes']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stdout.trimEnd().split('\n')).toHaveLength(16);
    expect(cleaned.stdout).toContain(project.path('certs/ca/example.org-ca.key.pem'));
    expect(cleaned.stderr).toMatch(/warning: .*may be deployed/u);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
    expect(readdirSync(project.home).toSorted()).toEqual(['.config', passphrase]);
    expect((await project.run(['clean', '--yes'])).stderr).toContain('nothing to remove');
  });

  it('--all without a terminal says how to remove all without a question', async () => {
    expect((await project.run(['clean', '--all'])).stderr).toMatch(
      /^relaycerts: hint: .*: relaycerts clean --yes --all$/mu,
    );
  });

  it('--all takes the passphrase file too, which other projects may share, and keeps the operator key aside', async () => {
    const operatorKey = join(project.home, '.config/relaycerts/operator-key.asc');
    const before = readFileSync(operatorKey, 'utf8');
    const cleaned = await project.run(['clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stdout).toContain(`${join(project.home, passphrase)}\n`);
    expect(cleaned.stderr).toMatch(
      /warning: other projects may share it, for each with the domain example\.org has it/u,
    );
    expect(existsSync(join(project.home, passphrase))).toBe(false);
    expect(cleaned.stdout).toContain(`${operatorKey}\n`);
    expect(cleaned.stderr).toContain('warning: the operator key is kept aside');
    expect(cleaned.stderr).toContain(`; where you are certain that nothing needs it: rm ${operatorKey}.old\n`);
    expect(existsSync(operatorKey)).toBe(false);
    expect(readFileSync(`${operatorKey}.old`, 'utf8')).toBe(before);
    expect(statSync(`${operatorKey}.old`).mode & 0o777).toBe(0o600);
  });

  it('--all in one folder loses nothing that opens the passphrase of another, wherever that lies', async () => {
    const other = smallSettings({ domain: 'example.net', passphrase: { file: 'sealed.gpg' } });
    mkdirSync(join(project.home, 'other'));
    project.write('../home/other/settings.json', JSON.stringify(other));
    const inOther = (...args: readonly string[]): Promise<Result> =>
      project.run(['--settings', join(project.home, 'other/settings.json'), ...args]);
    expect((await inOther('make')).status).toBe(0);
    const { stderr } = await project.run(['clean', '--yes', '--all']);
    const bringBack = /to bring it back: (mv [^;]*);/u.exec(stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-euc', bringBack]).status, stderr).toBe(0);
    const shown = await inOther('passphrase', 'show', '--yes');
    expect(shown.stdout, shown.stderr).toMatch(/^[0-9a-f]{64}\n$/u);
  });

  it('--all leaves the operator key in its place where another passphrase file is seen, or this one is not for it', async () => {
    const operatorKey = join(project.home, '.config/relaycerts/operator-key.asc');
    const other = join(project.home, '.example.net-relaycerts-passphrase.gpg');
    copyFileSync(join(project.home, passphrase), other);
    const cleaned = await project.run(['clean', '--yes', '--all']);
    expect(cleaned.stderr).toContain(`stays: it may open ${JSON.stringify(other)} too`);
    expect(existsSync(operatorKey)).toBe(true);
    rmSync(other);
    await project.run(['make']);
    const another = makeProject();
    await another.run(['make']);
    copyFileSync(join(another.home, passphrase), join(project.home, passphrase));
    another.remove();
    expect((await project.run(['clean', '--yes', '--all'])).stderr).toContain(
      'stays: this passphrase is not encrypted to it',
    );
    expect(existsSync(operatorKey)).toBe(true);
  });

  it('--all where nothing was made leaves the passphrase file of the folder that shares it', async () => {
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

  it('--all keeps whatever is no passphrase file', async () => {
    project.settings(smallSettings({ passphrase: { file: '~/precious' } }));
    project.write('../home/precious', 'not an OpenPGP message');
    const cleaned = await project.run(['clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stderr).toMatch(/precious" is no OpenPGP message, so it stays/u);
    expect(cleaned.stderr).not.toContain('other projects may share');
    expect(existsSync(join(project.home, 'precious'))).toBe(true);
  });

  it('--all removes in an order that holds when power fails too: each group is durably gone before the next', () => {
    requireTools('strace');
    const trace = join(project.home, '../trace');
    const under = ['strace', '-f', '-qq', '-y', '-s', '300', '-o', trace, '-e', 'trace=link,unlink,rmdir,fsync'];
    const cleaned = project.spawn(['clean', '--yes', '--all'], { under });
    expect(cleaned.status, cleaned.stderr).toBe(0);
    const calls = joinedLines(readFileSync(trace, 'utf8')).filter((line) => line.endsWith(' = 0'));
    const config = join(project.home, '.config/relaycerts');
    const [ca, name] = [project.path('certs/ca'), 'mailhost.example.org'];
    const order = [
      `unlink("${project.path('hosts', name, `${name}.crt.pem`)}"`,
      `rmdir("${project.path('hosts', name)}"`,
      `<${project.path('hosts')}>`,
      `unlink("${project.path('certs/smtp-client', `${name}.key.pem`)}"`,
      `<${project.path('certs/smtp-client')}>`,
      `unlink("${ca}/example.org-ca.crt.pem"`,
      `<${ca}>`,
      `unlink("${ca}/example.org-ca.key.pem"`,
      `<${ca}>`,
      `unlink("${join(project.home, passphrase)}"`,
      `<${project.home}>`,
      `link("${config}/operator-key.asc", "${config}/operator-key.asc.old"`,
      `<${config}>`,
      `unlink("${config}/operator-key.asc"`,
      `<${config}>`,
      `rmdir("${project.path('certs/smtp-client')}"`,
      `<${project.path('certs')}>`,
      `unlink("${ca}/issued.jsonl"`,
      `<${ca}>`,
      `rmdir("${project.path('certs')}"`,
      `<${project.folder}>`,
    ];
    let at = -1;
    for (const part of order) {
      const next = calls.findIndex((line, index) => index > at && line.includes(part));
      expect(next, `${part} after ${calls[at] ?? 'the start'}`).toBeGreaterThan(at);
      at = next;
    }
  });

  it('--all where the operator key was kept aside before takes the next name, and a cut-off one goes on', async () => {
    const operatorKey = join(project.home, '.config/relaycerts/operator-key.asc');
    writeFileSync(`${operatorKey}.old`, 'another key');
    linkSync(operatorKey, `${operatorKey}.old2`);
    const before = readFileSync(operatorKey, 'utf8');
    expect((await project.run(['clean', '--yes', '--all'])).status).toBe(0);
    expect(readdirSync(join(project.home, '.config/relaycerts')).toSorted()).toEqual([
      'operator-key.asc.old',
      'operator-key.asc.old2',
    ]);
    expect(readFileSync(`${operatorKey}.old`, 'utf8')).toBe('another key');
    expect(readFileSync(`${operatorKey}.old2`, 'utf8')).toBe(before);
  });

  it('ends a change of the passphrase that was cut off by taking its file after the key, which may open with it alone', async () => {
    project.write('certs/ca/example.org-ca.passphrase.new.gpg', readFileSync(join(project.home, passphrase)));
    const { stdout } = await project.run(['clean', '--yes']);
    const names = stdout.split('\n');
    const pending = names.indexOf(project.path('certs/ca/example.org-ca.passphrase.new.gpg'));
    expect(pending).toBeGreaterThan(names.indexOf(project.path('certs/ca/example.org-ca.key.pem')));
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  it('leaves what it does not know, names it, and keeps its folder', async () => {
    project.write('certs/ca/mine.pem', 'mine');
    project.write('hosts/relayhost.example.org/notes', 'mine');
    mkdirSync(project.path('hosts/other.example.org'));
    const cleaned = await project.run(['clean', '--yes']);
    expect(cleaned.status).toBe(0);
    expect(project.read('certs/ca/mine.pem')).toBe('mine');
    expect(project.read('hosts/relayhost.example.org/notes')).toBe('mine');
    expect(existsSync(project.path('hosts/other.example.org'))).toBe(true);
    expect(cleaned.stderr).toMatch(/certs\/ca" stays: .*mine\.pem/u);
  });

  it('knows hosts that the settings no longer name, from the ledger', async () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'gone' }] }));
    await project.run(['make']);
    project.settings(smallSettings());
    expect((await project.run(['clean', '--yes'])).status).toBe(0);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  it('never follows what a changed ledger says to a path outside', async () => {
    const outside = join(project.home, 'victim.key.pem');
    const line = {
      ...(JSON.parse(project.read('certs/ca/issued.jsonl').split('\n')[1] ?? '') as object),
      name: '../../../home/victim',
    };
    project.write('certs/ca/issued.jsonl', `${JSON.stringify(line)}\n`);
    project.write('../home/victim.key.pem', 'mine');
    expect((await project.run(['clean', '--yes'])).status).toBe(0);
    expect(existsSync(outside)).toBe(true);
  });

  it('and make begins anew with the same passphrase', async () => {
    await project.run(['clean', '--yes']);
    const made = await project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).not.toContain('passphrase, encrypted');
  });
});
