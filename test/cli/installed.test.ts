// certs/installed.json in a project: written under the lock as one change, and known to commands that check the
// project's files.

import { chmodSync, existsSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { noteInstalled } from '../../src/commands/locked.js';
import { readInstalled } from '../../src/store/installed.js';
import { layoutOf } from '../../src/store/layout.js';
import { hostName } from '../support/chain.js';
import { noteAsInstalled } from '../support/installed.js';
import { putMade } from '../support/made-project.js';
import { makeProject, modesOf, smallSettings, treeOf, type Project } from '../support/project.js';
import { expectFixed, home, relay } from '../support/refusals.js';

const file = 'certs/installed.json';

let project: Project;
beforeEach(async () => {
  project = makeProject();
  await putMade(project);
});
afterEach(() => {
  project.remove();
});

const noted = (): readonly string[] => {
  const { hosts, problems } = readInstalled(layoutOf({ folder: project.folder, domain: hostName('example.org') }));
  expect(problems).toEqual([]);
  return [...hosts.keys()];
};

describe('what was seen of hosts', () => {
  it('is one new file, and nothing else changes', async () => {
    const before = treeOf(project.folder);
    await noteAsInstalled(project);
    const after = treeOf(project.folder);
    expect(noted()).toEqual([home, relay]);
    expect(modesOf(project.folder)[file]).toBe('0644');
    delete after[file];
    expect(after).toEqual(before);
  });

  it('is kept by make, and of a host that leaves the settings too', async () => {
    await noteAsInstalled(project);
    project.settings(smallSettings({ smtpClients: [{ hostname: 'other' }] }));
    expect((await project.run(['make'])).status).toBe(0);
    await noteAsInstalled(project, { hosts: ['other'] });
    expect(noted()).toEqual([home, 'other.example.org', relay]);
    const settings = { settings: project.path('settings.json') };
    await noteInstalled(settings, project.sys(), new Map([[hostName(home), undefined]]));
    expect(noted()).toEqual(['other.example.org', relay]);
  });

  it('is noted whatever becomes of the output, which is not its fault', async () => {
    const settings = { settings: project.path('settings.json') };
    const full = { ...project.sys(), flush: () => Promise.reject(new Error('the disk is full')) };
    await noteAsInstalled(project);
    await noteInstalled(settings, full, new Map([[hostName(home), undefined]]));
    expect(noted()).toEqual([relay]);
  });

  it('is removed by clean', async () => {
    await noteAsInstalled(project);
    const cleaned = await project.run(['clean', '--yes']);
    expect([cleaned.status, cleaned.stdout.includes(`${file}\n`)]).toEqual([0, true]);
    expect(existsSync(project.path('certs'))).toBe(false);
  });

  it('that all users can write is refused, and the hint fixes it', async () => {
    await noteAsInstalled(project);
    chmodSync(project.path(file), 0o666);
    await expectFixed(project, /installed\.json" can be written by all users/u);
  });
});
