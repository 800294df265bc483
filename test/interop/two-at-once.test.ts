// The printed script for a host, run twice at the same time: each run has its turn, and undo gives back what was there. A
// deployment that hangs is ended by the next run, and says so. The host is this machine, with a stock Postfix that only
// this test sees.

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

const hanging = `
"$@" >/mnt/said 2>&1 & deployment=$!
until [ -s ${folder}/saved/waiting ]; do sleep 0.05; done
kill -STOP "$deployment"
"$1" "$2" show relayhost --undo --format sh | sh || :
kill -CONT "$deployment"
wait "$deployment" || cat /mnt/said`;

it('a deployment that hangs says that another run ended it', () => {
  project.settings(smallSettings({ smtpdServers: [{ hostname: 'relayhost', local: true }] }));
  const under = underStockPostfix(hanging);
  const { stdout } = project.spawn(['deploy', 'relayhost', '--yes'], { under });
  expect(stdout).toMatch(/warning: relayhost\.example\.org: another run began on relayhost\.example\.org, /u);
  expect(stdout).toContain('says: deploy again when no other run is left');
});
