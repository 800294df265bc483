// Cures as commands, for hosts reached in each way, as a shell reads them.

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { findingOf } from '../../src/findings/finding.js';
import { cureLines, type NamesToDeploy } from '../../src/render/cure.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostName } from '../support/chain.js';

const settings = parseSettings(
  {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'second', sshUser: 'admin', sshPort: 2222 }],
    smtpClients: [{ hostname: 'mailhost', local: true }],
  },
  { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts', uid: 0 },
);

/** The words that the host's shell runs, and as which user: ssh joins its arguments, as sshd's shell gets them. */
function runs(command: string): string {
  const fakes = `ssh() { while [ "$1" = -p ]; do shift 2; done; shift; eval "$*"; }
sudo() { echo "sudo:"; "$@"; }
sh() { eval "$2"; }
chown() { printf 'chown'; printf ' [%s]' "$@"; echo; }
chmod() { printf 'chmod'; printf ' [%s]' "$@"; echo; }
`;
  const { stdout, stderr } = spawnSync('sh', ['-c', fakes + command], { encoding: 'utf8' });
  return stdout + stderr;
}

const file = "/etc/a b'$(c)";

describe('a command for root on a host', () => {
  it.each([
    ['over ssh as root', 'relayhost.example.org', ''],
    ['over ssh with sudo', 'second.example.org', 'sudo:\n'],
    ['on this machine', 'mailhost.example.org', ''],
  ])('%s: both parts run there, each value is one word', (_, host, before) => {
    const lines = cureLines(settings, findingOf('folder-open', host, { file }));
    expect(lines.map(({ kind }) => kind)).toEqual(['command']);
    expect(runs(lines[0]?.text ?? '')).toBe(`${before}chown [root] [${file}]\nchmod [go-w] [${file}]\n`);
  });

  it("contains no line end of a host's text", () => {
    const [line] = cureLines(settings, findingOf('folder-open', 'relayhost.example.org', { file: '/a\nb' }));
    expect(line?.text).not.toContain('\n');
  });
});

describe('an installation', () => {
  const hosts = { host: 'relayhost.example.org', peer: 'mailhost.example.org' };
  const commandsOf = (id: string, names?: NamesToDeploy): readonly string[] =>
    cureLines(settings, findingOf(id, hosts.host, hosts), names).map(({ text }) => text);

  it('is one command, for any host', () => {
    expect(commandsOf('not-installed')).toEqual(['relaycerts deploy relayhost.example.org']);
  });

  it('of two hosts is one command', () => {
    expect(commandsOf('untrusted-issuer')).toEqual(['relaycerts deploy relayhost.example.org mailhost.example.org']);
  });

  it('names the hosts that come first, and none if deploy finds them', () => {
    const second = hostName('second.example.org');
    expect(commandsOf('not-installed', (host) => [second, host])).toEqual([
      'relaycerts deploy second.example.org relayhost.example.org',
    ]);
    expect(commandsOf('untrusted-issuer', (host) => (host === hosts.peer ? [] : [host]))).toEqual([
      'relaycerts deploy',
    ]);
  });
});
