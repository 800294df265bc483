// A clock that cannot be right: certificates made with it would be useless.

import { dirname } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { putMade } from '../support/made-project.js';
import { makeProject, type Project } from '../support/project.js';
import { hintOf, stateOf } from '../support/refusals.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

it.each(['1970-01-01T00:10:00Z', '2025-12-31T12:00:00Z', '2100-01-02T00:00:00Z', '9999-06-01T00:00:00Z'])(
  '%s: refused, with the command that sets the clock',
  async (time) => {
    const before = stateOf(dirname(project.folder));
    const refused = await project.run(['make'], { now: new Date(time) });
    expect([refused.status, refused.stdout]).toEqual([1, '']);
    expect(refused.stderr).toContain(`this machine's clock says ${time.slice(0, 16)}`);
    expect(hintOf(refused.stderr)).toBe('timedatectl set-ntp true');
    expect(stateOf(dirname(project.folder))).toBe(before);
    expect((await project.run(['make'])).status).toBe(0);
  },
);

it.each(['make', 'renew --force', 'renew --rekey mailhost'])('before the CA is valid, %s: refused', async (command) => {
  await putMade(project);
  const before = stateOf(dirname(project.folder));
  const run = await project.run(command.split(' '), { now: new Date(Date.now() - 100 * 86_400_000) });
  expect([run.status, run.stdout]).toEqual([1, '']);
  expect(run.stderr).toMatch(/-ca\.crt\.pem" is not valid before \d{4}-.*, and it is \d{4}-/u);
  expect(run.stderr).toMatch(/hint: .*timedatectl set-ntp true/u);
  expect(stateOf(dirname(project.folder))).toBe(before);
});
