// What `deploy` writes on a host, by its system calls, for a user whose umask is 000: a key is never open to others, not for
// an instant. The host is this machine, with a stock Postfix that only this test sees.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { underStockPostfix } from '../support/stock-postfix.js';
import { succeed } from '../support/succeed.js';

let project: Project;
beforeAll(async () => {
  requireTools('unshare', 'mount', 'strace', 'postconf', 'openssl');
  project = makeProject(smallSettings({ smtpdServers: [{ hostname: 'relayhost', local: true }] }));
  succeed(await project.run(['make', '--quiet']));
});
afterAll(() => project.remove());

const alone = `umask 000
exec strace -f --seccomp-bpf -qq -s 300 -o "$HOME/trace" -e trace=open,openat,creat,chmod,fchmodat,fchmod "$@"`;

it('keys are made, and stay, with mode 0600', () => {
  const under = underStockPostfix(alone);
  // Exit code 1: nothing answers for the relay here.
  expect(project.spawn(['deploy', 'relayhost', '--yes'], { under }).stdout).toContain('deploy: 1 installed');
  const calls = readFileSync(join(project.home, 'trace'), 'utf8')
    .split('\n')
    .filter((line) => /\.(?:key|chain)\.pem"/u.test(line) && /O_CREAT|creat\(|chmod/u.test(line));
  const modes = calls.map((line) => /, (0\d+)(?:\) += |, | <)/u.exec(line)?.[1] ?? line);
  expect(modes.length).toBeGreaterThan(3);
  expect(new Set(modes)).toEqual(new Set(['0600']));
});
