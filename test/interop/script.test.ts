// The printed shell text under every setting that reaches it: dash and busybox parse it, shellcheck finds nothing, and
// every parameter in it is one that Postfix knows.

import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { makeProject, smallSettings, type Project } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';

const variants: Readonly<Record<string, Record<string, unknown>>> = {
  'the defaults': smallSettings(),
  'an IPv6 address, another ssh port, a user who is not root': smallSettings({
    smtpdServers: [{ hostname: 'relayhost', sshHost: '2001:db8::25', sshPort: 2222, sshUser: 'admin' }],
  }),
  'two relays, other ports': smallSettings({
    smtpdServers: [
      { hostname: 'relayhost', port: 2525 },
      { hostname: 'relay2.example.net', port: 587, altNames: ['mx'] },
    ],
  }),
  'hash tables, no chroot, certificate pins, reject': smallSettings({
    postfix: {
      tableType: 'hash',
      masterChroot: 'n',
      pin: 'certificate',
      unlisted: 'reject',
      directory: '/etc/mail_certs/relay.d',
    },
  }),
  'an IDN domain': smallSettings({
    domain: 'bücher.example',
    subject: { organization: `O'Reilly $(id) "Söhne" \\ %s` },
  }),
};

function check(command: string, args: readonly string[], input: string): void {
  const result = spawnSync(command, args, { input });
  expect([result.error, result.stdout.toString(), result.stderr.toString(), result.status]).toEqual([
    undefined,
    '',
    '',
    0,
  ]);
}

describe.each(Object.entries(variants))('%s', (_name, settings) => {
  let project: Project;
  const texts: string[] = [];
  /** Those that are no others with another last line. */
  const distinct: string[] = [];
  beforeAll(async () => {
    requireTools('shellcheck', 'postconf', 'dash', 'busybox');
    project = makeProject(settings);
    const made = await project.run(['make', '--json']);
    expect(made.status, made.stderr).toBe(0);
    const { install } = answerOf<{ install: { host: string }[] }>(made.stdout);
    for (const { host } of install) {
      for (const words of [[], ['--undo'], ...['rsync', 'verify', 'monitor'].map((one) => ['--section', one])]) {
        const result = await project.run(['show', host, '--format', 'sh', ...words]);
        expect(result.status, result.stderr).toBe(0);
        texts.push(result.stdout);
        if (words[0] !== '--undo') distinct.push(result.stdout);
      }
    }
  });
  afterAll(() => {
    project.remove();
  });

  it('dash and busybox parse every script', () => {
    expect(texts.length).toBeGreaterThanOrEqual(10);
    for (const text of texts) {
      check('dash', ['-n'], text);
      check('busybox', ['ash', '-n'], text);
    }
  });

  it('shellcheck finds nothing', () => {
    for (const text of distinct) check('shellcheck', ['--shell=sh', '-'], text);
  });

  it('Postfix knows every parameter, or it is guarded for later releases', () => {
    const all = texts.join('\n');
    const since = new Map(
      [...all.matchAll(/^(3\.\d+) \S+ (\w+)=/gmu)].map(([, release = '', name = '']) => [name, release]),
    );
    expect(since.size).toBeGreaterThan(15);
    const known = spawnSync('postconf', ['-d']).stdout.toString();
    const [, here = ''] = /^mail_version = 3\.(\d+)/mu.exec(known) ?? [];
    for (const [name, release] of since) {
      if (Number(release.slice(2)) <= Number(here)) expect(known).toMatch(new RegExp(`^${name} =`, 'mu'));
    }
    const later = ['tls_required_enable', 'smtpd_hide_client_session'].map((name) => since.get(name));
    expect(later).toEqual(['3.10', '3.10']);
  });
});
