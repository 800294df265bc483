// The printed script for a host, run twice at the same time: each run has its turn, and undo gives back what was there. The
// host is this machine, with a stock Postfix that only this test sees.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { folder } from '../support/folder.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { underStockPostfix } from '../support/stock-postfix.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeAll(async () => {
  requireTools('unshare', 'mount', 'postconf', 'openssl');
  project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost', local: true }] }));
  succeed(await project.run(['make', '--quiet']));
});
afterAll(() => project.remove());

const together = `
"$@" >/mnt/install
"$@" --undo >/mnt/undo
mkdir -p -m 700 ${folder}
cp hosts/mailhost.example.org/* ${folder}
cp /etc/postfix/m*.cf /mnt/
sh /mnt/install & first=$!
sh /mnt/install
wait "$first"
grep '^default_transport = relaycerts$' /etc/postfix/main.cf
sh /mnt/undo
for file in main.cf master.cf; do cmp "/mnt/$file" "/etc/postfix/$file"; done`;

it('both are done, one after the other', () => {
  const under = underStockPostfix(together);
  const { status, stdout, stderr } = project.spawn(['show', 'mailhost', '--format', 'sh'], { under });
  expect([status, stderr.replaceAll(/^relaycerts: warning: Postfix is not running.*\n/gmu, '')]).toEqual([0, '']);
  expect(stdout).toContain('mailhost.example.org is set up');
  expect(stdout).toContain('nothing to change on mailhost.example.org');
  expect(stdout).toContain('mailhost.example.org is as it was before');
});
