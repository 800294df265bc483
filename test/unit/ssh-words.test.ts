// The messages of ssh and sudo if a script does not run, and what they mean; each was printed by OpenSSH 9.2 or sudo
// 1.9.

import { describe, expect, it } from 'vitest';
import { sshFailureOf } from '../../src/remote/ssh-words.js';

describe('ssh that ends with 255', () => {
  it.each([
    [
      'host-key',
      '@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed.',
    ],
    [
      'host-key',
      'No ED25519 host key is known for relay.example.org and you have requested strict checking.\r\nHost key verification failed.',
    ],
    ['denied', 'root@relay.example.org: Permission denied (publickey,password).'],
    ['denied', 'Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures\r\nDisconnected'],
    ['unreachable', 'ssh: Could not resolve hostname relay.example.org: Name or service not known'],
    ['unreachable', 'ssh: connect to host relay.example.org port 22: Connection refused'],
    ['unreachable', 'ssh: connect to host relay.example.org port 22: Connection timed out'],
    ['unreachable', 'ssh: connect to host relay.example.org port 22: No route to host'],
    ['unreachable', 'kex_exchange_identification: read: Connection reset by peer'],
    ['unreachable', 'Connection to relay.example.org closed by remote host.'],
    ['unreachable', ''],
  ])('%s: %s', (kind, stderr) => {
    expect(sshFailureOf(255, stderr)?.kind).toBe(kind);
  });

  it('returns the line with the reason, not the banner before it', () => {
    const stderr = 'Authorized use only\nroot@h: Permission denied (publickey).\n';
    expect(sshFailureOf(255, stderr)?.words).toBe('root@h: Permission denied (publickey).');
  });
});

describe('a script that ran', () => {
  it.each([
    [0, ''],
    [1, 'relaycerts: error: something'],
    [0, 'Permission denied'],
    [254, 'Permission denied'],
    [1, 'sudo: unable to resolve host mailhost: Name or service not known\nrelaycerts: error: something'],
  ])('ended with %d', (status, stderr) => {
    expect(sshFailureOf(status, stderr)).toBeUndefined();
  });
});

it.each([
  'sudo: a password is required',
  'sudo: a terminal is required to read the password; either use the -S option to read from standard input',
  "env: 'sudo': No such file or directory",
])('sudo that wants more: %s', (stderr) => {
  expect(sshFailureOf(1, `${stderr}\n`)).toEqual({ kind: 'no-sudo', words: stderr });
});
