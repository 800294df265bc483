// `relaycerts clean`: removes what make made, and nothing else.

import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
  expect(project.run(['make']).status).toBe(0);
});
afterEach(() => {
  project.remove();
});

const passphrase = '.example.org-relaycerts-passphrase.gpg';

describe('clean', () => {
  it('refuses without a terminal and without --yes, and removes nothing', () => {
    const before = treeOf(project.folder);
    const refused = project.run(['clean']);
    expect(refused.status).toBe(2);
    expect(refused.stderr).toContain('relaycerts clean --yes');
    expect(treeOf(project.folder)).toEqual(before);
  });

  it('--yes lists and removes all that make made, and keeps settings, passphrase and operator key', () => {
    const cleaned = project.run(['clean', '--yes']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stdout.trimEnd().split('\n')).toHaveLength(16);
    expect(cleaned.stdout).toContain(project.path('certs/ca/example.org-ca.key.pem'));
    expect(cleaned.stderr).toMatch(/warning: .*may be deployed/u);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
    expect(readdirSync(project.home).toSorted()).toEqual(['.config', passphrase]);
    expect(project.run(['clean', '--yes']).stderr).toContain('nothing to remove');
  });

  it('--all takes the passphrase file and the operator key too', () => {
    const cleaned = project.run(['clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(existsSync(join(project.home, passphrase))).toBe(false);
    expect(existsSync(join(project.home, '.config/relaycerts/operator-key.asc'))).toBe(false);
  });

  it('--all keeps the operator key where another project has a passphrase, and whatever is no passphrase file', () => {
    project.write('../home/.example.net-relaycerts-passphrase.gpg', 'of another project');
    project.settings(smallSettings({ passphrase: { file: '~/precious' } }));
    project.write('../home/precious', 'not an OpenPGP message');
    const cleaned = project.run(['clean', '--yes', '--all']);
    expect(cleaned.status, cleaned.stderr).toBe(0);
    expect(cleaned.stderr).toMatch(/precious" is no OpenPGP message, so it stays/u);
    expect(cleaned.stderr).toMatch(/the operator key stays: it may open .*example\.net/u);
    expect(existsSync(join(project.home, 'precious'))).toBe(true);
    expect(existsSync(join(project.home, '.config/relaycerts/operator-key.asc'))).toBe(true);
  });

  it('leaves what it does not know, names it, and keeps its folder', () => {
    project.write('certs/ca/mine.pem', 'mine');
    project.write('hosts/relayhost.example.org/notes', 'mine');
    mkdirSync(project.path('hosts/other.example.org'));
    const cleaned = project.run(['clean', '--yes']);
    expect(cleaned.status).toBe(0);
    expect(project.read('certs/ca/mine.pem')).toBe('mine');
    expect(project.read('hosts/relayhost.example.org/notes')).toBe('mine');
    expect(existsSync(project.path('hosts/other.example.org'))).toBe(true);
    expect(cleaned.stderr).toMatch(/certs\/ca" stays: .*mine\.pem/u);
  });

  it('knows hosts that the settings no longer name, from the ledger', () => {
    project.settings(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'gone' }] }));
    project.run(['make']);
    project.settings(smallSettings());
    expect(project.run(['clean', '--yes']).status).toBe(0);
    expect(readdirSync(project.folder)).toEqual(['settings.json']);
  });

  it('never follows what a changed ledger says to a path outside', () => {
    const outside = join(project.home, 'victim.key.pem');
    const line = {
      ...(JSON.parse(project.read('certs/ca/issued.jsonl').split('\n')[1] ?? '') as object),
      name: '../../../home/victim',
    };
    project.write('certs/ca/issued.jsonl', `${JSON.stringify(line)}\n`);
    project.write('../home/victim.key.pem', 'mine');
    expect(project.run(['clean', '--yes']).status).toBe(0);
    expect(existsSync(outside)).toBe(true);
  });

  it('and make begins anew with the same passphrase', () => {
    project.run(['clean', '--yes']);
    const made = project.run(['make']);
    expect(made.status, made.stderr).toBe(0);
    expect(made.stderr).not.toContain('passphrase, encrypted');
  });
});
