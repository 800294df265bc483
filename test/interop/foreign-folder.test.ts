// A host on which somebody else had the folder that root installs to, or can change one above it: root neither runs what is
// in it nor writes where a link there leads. The host is this machine, with a stock Postfix that only this test sees.

import { afterAll, beforeAll, expect, it } from 'vitest';
import { folder } from '../support/folder.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { underStockPostfix } from '../support/stock-postfix.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeAll(async () => {
  requireTools('unshare', 'mount', 'postconf', 'openssl');
  project = makeProject(smallSettings({ smtpdServers: [{ hostname: 'relayhost', local: true }] }));
  succeed(await project.run(['make', '--quiet']));
});
afterAll(() => project.remove());

it.each([
  ['deploy, above it', ['deploy'], `rm -r ${folder} && chown 1000 /etc/postfix/relaycerts`, 'can be changed by others'],
  ['deploy, its scripts', ['deploy'], `chown -R 1000 ${folder}`, 'saved is not a folder of root'],
  ['undo, above it', ['deploy', '--undo'], 'chown -R 1000 /etc/postfix/relaycerts', 'can be changed by others'],
  ['undo, its scripts', ['deploy', '--undo'], `chown -R 1000 ${folder}`, 'saved is not a folder of root'],
])('%s', (_, words, make, says) => {
  const alone = `
mkdir -p ${folder}/saved/parts && echo '>/etc/postfix/run' >${folder}/saved/parts/any
echo other >/etc/postfix/other && ln -s /etc/postfix/other /etc/postfix/relaycerts/.relaycerts-full
${make}
"$@" || :
cat /etc/postfix/other
ls /etc/postfix/run 2>&1`;
  const under = underStockPostfix(alone);
  const { stdout, stderr } = project.spawn([...words, 'relayhost', '--yes'], { under });
  expect(stderr).toContain(says);
  expect(stdout).toMatch(/^other$/mu);
  expect(stdout).toMatch(/^ls: .*run/mu);
});
