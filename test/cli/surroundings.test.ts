// Other things in a project's folder, or missing around it: other domains' files, the user's own files, the current
// folder, HOME.

import { spawnSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, program, smallSettings, treeOf, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { succeed } from '../support/succeed.js';

const home = 'mailhost.example.org';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

describe('settings of another domain in the same folder', () => {
  const other = JSON.stringify(smallSettings({ domain: 'example.net' }));

  it.each([[['make']], [['make', '--dry-run']], [['clean', '--yes']], [['clean', '--yes', '--all']], [['renew']]])(
    '%j: refused, and the hint moves them to another folder',
    async (words) => {
      project.write('other.json', other);
      const before = treeOf(project.folder);
      const refused = await project.run(['--settings', 'other.json', ...words]);
      expect(refused.status).toBe(1);
      expect(refused.stderr).toContain('this folder has the CA of another domain');
      expect(treeOf(project.folder)).toEqual(before);

      const hint = /^relaycerts: hint: (.*)$/mu.exec(refused.stderr)?.[1] ?? '';
      expect(spawnSync('sh', ['-euc', hint], { cwd: project.folder }).status).toBe(0);
      const own = 'example.net/settings.json';
      expect(project.read(own)).toBe(other);
      expect(succeed(await project.run(['--settings', own, 'make'])).stderr).toContain("made the CA's certificate");
      expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
    },
  );

  it('is reported by status', async () => {
    project.write('other.json', other);
    expect((await project.run(['--settings', 'other.json', 'status'])).stderr).toContain('the CA of another domain');
  });

  it("a stray file with such a name is the user's own business", async () => {
    project.write('certs/ca/example.net-ca.crt.pem', 'a copy');
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
  });
});

it("the user's own files and folders in hosts/ are not touched", async () => {
  project.write('hosts/README.md', 'mine');
  project.write('hosts/notes.txt', 'mine');
  mkdirSync(project.path('hosts/old.d'));
  project.write('hosts/old.d/notes.txt', 'mine');
  const made = succeed(await project.run(['make']));
  expect(made.stderr).toBe('relaycerts: nothing to make: all is right here (the hosts: relaycerts status)\n');
  succeed(await project.run(['revoke', home]));
  expect(project.read('hosts/README.md')).toBe('mine');
});

it('export p12 reads no key through a folder that is a link', () => {
  renameSync(project.path('certs/smtp-client'), project.path('elsewhere'));
  symlinkSync('../elsewhere', project.path('certs/smtp-client'));
  const { status, stderr } = project.spawn(['export', 'p12', home, '--password-fd', '0'], { input: 'a password' });
  expect([status, stderr]).toEqual([1, expect.stringContaining('is a symbolic link, which is not followed')]);
});

describe('what a process is born with', () => {
  it('a current folder that is gone', () => {
    const result = spawnSync(
      'sh',
      ['-c', `mkdir gone && cd gone && rmdir ../gone && ${process.execPath} ${program} make`],
      {
        cwd: project.folder,
        encoding: 'utf8',
      },
    );
    expect([result.status, result.stderr]).toEqual([
      1,
      'relaycerts: error: the folder that this runs in is gone\nrelaycerts: hint: cd to the folder of the settings, and run it again\n',
    ]);
  });

  it('no HOME, and a user that nobody knows', () => {
    requireTools('setpriv');
    const as = ['--reuid=54321', '--regid=54321', '--clear-groups', process.execPath, program, 'fingerprint'];
    const result = spawnSync('setpriv', as, { cwd: '/', env: { PATH: process.env['PATH'] }, encoding: 'utf8' });
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(/^relaycerts: error: HOME is not set.*\nrelaycerts: hint: export HOME=.*\n$/u);
  });
});

describe('a damaged file of ours', () => {
  it.each([
    ['garbage for a certificate', 'crt', 'garbage\n'],
    ['an empty certificate', 'crt', ''],
    ['garbage for a key', 'key', 'garbage\n'],
  ])('%s: the hint puts it aside, and make works', async (_name, kind, text) => {
    const path = `certs/smtp-client/${home}.${kind}.pem`;
    project.write(path, text);
    for (let turn = 0; turn < 2; turn += 1) {
      const result = await project.run(['make']);
      if (result.status === 0) break;
      const hint = /: ((?:mv|rm) .*) && relaycerts make$/mu.exec(result.stderr)?.[1] ?? 'exit 1';
      expect(spawnSync('sh', ['-euc', hint]).status, result.stderr).toBe(0);
    }
    succeed(await project.run(['make']));
    await noteAsInstalled(project);
    succeed(await project.run(['status']));
    expect(project.read(`${path}.damaged`)).toBe(text);
  });

  it("the CA's certificate is gone: the hint takes it from a bundle", async () => {
    const path = 'certs/ca/example.org-ca.crt.pem';
    const before = project.read(path);
    rmSync(project.path(path));
    const { status, stderr } = await project.run(['make']);
    expect(status).toBe(1);
    const hint = /^relaycerts: hint: (cp -p .*)$/mu.exec(stderr)?.[1] ?? '';
    expect(spawnSync('sh', ['-euc', hint]).status, stderr).toBe(0);
    expect(project.read(path)).toBe(before);
    expect(succeed(await project.run(['make'])).stderr).toContain('nothing to make');
  });
});

it.each(['18.20.0', '20.18.3', '4.9.1'])('Node %s gets one line with the version that is needed', (version) => {
  const older = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`;
  const { status, stdout, stderr } = spawnSync(process.execPath, [
    '--import',
    `data:text/javascript,${encodeURIComponent(older)}`,
    program,
    '--version',
  ]);
  expect([status, stdout.toString()]).toEqual([1, '']);
  expect(stderr.toString()).toBe(`relaycerts: error: it needs Node 20.19 or newer, and this is ${version}\n`);
});
