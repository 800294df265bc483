// Standard output on a full disk: what nobody can read changes nothing, and the same command works afterwards. Each
// command here changes something beside `changing` of run.ts, which all others share.

import { afterEach, beforeEach, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, smallSettings, treeOf, type Project } from '../support/project.js';

let project: Project;
beforeEach(async () => {
  project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'office' }] }));
  await putMade(project);
});
afterEach(() => project.remove());

it.each([
  ['add', 'laptop'],
  ['add', 'relay2', '--relay', '--json'],
  ['remove', 'office'],
  ['remove', 'office', '--keep'],
  ['clean', '--yes'],
])('%s %s', async (...args) => {
  const before = treeOf(project.folder);
  const full = project.spawn(args, { under: ['sh', '-c', 'exec "$@" >/dev/full', 'sh'] });
  expect(full.stderr).toContain('relaycerts: error: cannot write to standard output: the disk is full\n');
  expect(full.status).toBe(1);
  expect(treeOf(project.folder)).toEqual(before);
  expect((await project.run(args)).status).toBe(0);
  expect(treeOf(project.folder)).not.toEqual(before);
});
