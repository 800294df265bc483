// What `check` prints to do runs as printed, and is one command if several hosts need it: over a new CA, which no host can
// get by itself. ssh is a script here; what the commands do on real hosts is in test/e2e.

import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { noteAsInstalled } from '../support/installed.js';
import { unasked } from '../support/now-run.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { succeed } from '../support/succeed.js';

/** Each host has an old CA file; what is sent there is taken. */
const ssh = `#!/bin/sh
head -c 1 >/dev/null
case "$*" in *' -c '*) echo relaycerts: outcome: changed; exit 0 ;; esac
printf '@postfix 3.7.11\\n@running yes\\n@file /etc/postfix/relaycerts/example.org/example.org-ca.crt.pem 0:0 644\\n'
printf ' names root:root\\n mode -rw-r--r--\\n owner 0:0\\n sha256 00\\n@end\\n'
`;

let project: Project;
beforeEach(() => {
  project = makeProject(smallSettings({ smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] }));
  mkdirSync(join(project.home, 'bin'));
  project.write('../home/bin/ssh', ssh);
  chmodSync(join(project.home, 'bin/ssh'), 0o755);
});
afterEach(() => project.remove());

const run = (...args: readonly string[]): Promise<Result> =>
  project.run(args, { env: { PATH: `${join(project.home, 'bin')}:${process.env['PATH'] ?? ''}` } });

it('after a new CA one deploy is the cure, and every cure runs', async () => {
  succeed(await run('make'));
  await noteAsInstalled(project);
  succeed(await run('renew', '--ca', '--rekey'));
  const text = await run('check');
  expect(text.stdout.match(/^ +relaycerts deploy.*$/gmu)).toEqual(['             relaycerts deploy']);
  const { findings } = JSON.parse((await run('check', '--json')).stdout) as {
    readonly findings: readonly { readonly cure: readonly { readonly kind: string; readonly text: string }[] }[];
  };
  const cures = new Set(
    findings.flatMap(({ cure }) => cure.filter(({ kind }) => kind === 'command')).map((one) => one.text),
  );
  expect([...cures]).toContain('relaycerts deploy');
  for (const cure of cures) {
    const [program, ...words] = unasked(cure).split(' ');
    expect(program).toBe('relaycerts');
    expect([cure, (await run(...words)).status]).toEqual([cure, words[0] === 'check' ? 3 : 0]);
  }
});
