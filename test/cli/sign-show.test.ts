// What show, as text and as a script, and export p12 print for a host that makes its own key.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { blocksOf } from '../support/blocks.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { home, relay, request, writeRequest } from '../support/sign-request.js';
import { succeed } from '../support/succeed.js';
import { expectError } from '../support/untouched.js';

let project: Project;
beforeEach(() => {
  project = makeProject();
});
afterEach(() => {
  project.remove();
});

const sign = (...words: readonly string[]): Promise<Result> =>
  project.run(['sign', request, '--host', 'mailhost', ...words]);

describe('show for such a host', () => {
  it('begins with the key, copies no key, and the host makes the chain', async () => {
    writeRequest(project);
    succeed(await sign());
    succeed(await project.run(['make']));
    const all = succeed(await project.run(['show', home])).stdout;
    const blocks = blocksOf(all);
    expect(blocks.slice(0, 4).map(({ where }) => where)).toEqual(['host', 'here', 'here', 'host']);
    expect(blocks[0]?.text).toContain('openssl genpkey');
    const rsync = blocks[2]?.text ?? '';
    expect(rsync).toContain(`/hosts/${home}/${home}.crt.pem`);
    expect(rsync).toContain(`/hosts/${home}/example.org-ca.crt.pem`);
    expect(rsync).not.toMatch(/key\.pem|chain\.pem/u);
    expect(blocks[3]?.text).toContain(`cat ${home}.key.pem ${home}.crt.pem >${home}.chain.pem.new`);
    expect(succeed(await project.run(['show'])).stdout).toContain(all);
    const [json] = answerOf<{ hosts: { sections: object; script: string }[] }>(
      succeed(await project.run(['show', home, '--json'])).stdout,
    ).hosts;
    expect(Object.keys(json?.sections ?? {})[0]).toBe('request');
    expect(json?.script).toBe(succeed(await project.run(['show', home, '--format', 'sh'])).stdout);
    // The relay, whose key is here, gets none of this.
    expect(succeed(await project.run(['show', relay])).stdout).not.toMatch(/genpkey|csr\.pem/u);
  });

  it('prints the request before anything was made, also as a script', async () => {
    for (const host of ['mailhost', 'relayhost']) {
      const script = succeed(await project.run(['show', host, '--section', 'request', '--format', 'sh'])).stdout;
      expect(script).toMatch(
        /^#!\/bin\/sh\n\{\nset -eu\n\(\n {2}mkdir -p \/etc\/postfix\/relaycerts\n[^]*\n\)\n\}\n$/u,
      );
      expect(script).not.toContain('relaycerts sign');
    }
    expectError(await project.run(['show', 'mailhost']), 1, /no certificate yet/u, /make/u);
  });

  it('shellcheck finds nothing, dash and busybox parse it', async () => {
    requireTools('shellcheck', 'dash', 'busybox');
    writeRequest(project);
    succeed(await sign());
    writeRequest(project, [], { name: 'relay.csr' });
    succeed(await project.run(['sign', 'relay.csr', '--host', 'relayhost']));
    for (const words of [[], ['--undo'], ['--section', 'request'], ['--section', 'rsync'], ['--section', 'verify']]) {
      for (const host of [home, relay]) {
        const { stdout } = succeed(await project.run(['show', host, '--format', 'sh', ...words]));
        for (const check of [
          ['shellcheck', '--shell=sh', '-'],
          ['dash', '-n'],
          ['busybox', 'ash', '-n'],
        ]) {
          const [command = '', ...args] = check;
          const result = spawnSync(command, args, { input: stdout });
          expect([check, result.stdout.toString(), result.stderr.toString()]).toEqual([check, '', '']);
        }
      }
    }
  });

  it('a name over 64 characters: openssl makes the request all the same', async () => {
    const label = 'a'.repeat(60);
    project.settings(smallSettings({ smtpClients: [{ hostname: label }] }));
    const printed = succeed(await project.run(['show', label, '--section', 'request', '--format', 'sh'])).stdout;
    const script = printed.replaceAll('/etc/postfix/relaycerts/example.org', join(project.home, 'there'));
    expect(spawnSync('sh', { input: script }).status).toBe(0);
    const file = join(project.home, 'there', `${label}.example.org.csr.pem`);
    succeed(await project.run(['sign', file, '--host', label]));
  });
});

it('export p12 tells how to do it there', async () => {
  writeRequest(project);
  succeed(await sign());
  const result = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: 'x' });
  expectError(
    result,
    1,
    /was made there, so it is not here/u,
    /openssl pkcs12 -export -inkey mailhost\.example\.org\.key\.pem/u,
  );
});
