// Where nothing may be written, as tables: no disk, no accounts but these.

import { describe, expect, it } from 'vitest';
import { parseAccounts } from '../../src/sys/accounts.js';
import { parseMount } from '../../src/sys/file-system.js';
import { judgeClock, judgeOdd, judgePlaces, type Seen } from '../../src/store/guard.js';
import { estimateRoom, judgeRoom, workOf } from '../../src/store/room.js';
import { parseSettings } from '../../src/settings/schema.js';

const accounts = parseAccounts(
  `root:x:0:0:root:/root:/bin/bash
alice:x:1000:1000::/home/alice:/bin/sh
bob:x:1001:1001::/home/bob:/bin/sh
carol:x:1002:100::/home/carol:/bin/sh
dave:x:1003:100::/home/dave:/bin/sh
+::::::
broken:x:no:number
`,
  `root:x:0:
alice:x:1000:
bob:x:1001:alice
users:x:100:
admins:x:200:root,alice
wheel:x:201:alice,carol
ghost:x:202:alice,nobody-here
empty:x:203:
`,
);

const seen = (change: Partial<Seen>): Seen => ({
  path: '/p',
  duty: 'project',
  kind: 'folder',
  mode: 0o755,
  uid: 1000,
  gid: 1000,
  ...change,
});
const judge = (change: Partial<Seen>, uid = 1000) =>
  judgePlaces([seen(change)], { uid, accounts, entries: ['/p/s.json'] });

describe('accounts', () => {
  it('are those of passwd(5) and group(5), with members of either', () => {
    expect(accounts.users.get(1002)).toBe('carol');
    expect([...(accounts.members.get(100) ?? [])]).toEqual([1002, 1003]);
    expect([...(accounts.members.get(1001) ?? [])]).toEqual([1001, 1000]);
    expect([...(accounts.members.get(202) ?? [])]).toEqual([1000, Number.NaN]);
    expect(accounts.groups.get(203)).toBe('empty');
    expect(parseAccounts('', '').members.size).toBe(0);
  });
});

describe('who may write', () => {
  it.each<readonly [string, Partial<Seen>, boolean]>([
    ['nobody else', {}, false],
    ['the umask 002 in a group of one', { mode: 0o775 }, false],
    ['the same with the setgid bit', { mode: 0o2775 }, false],
    ['all users', { mode: 0o757 }, true],
    ['all users, who find the group closed', { mode: 0o707 }, true],
    ["a group with root besides its user's", { mode: 0o775, gid: 200 }, false],
    ['a group of two users', { mode: 0o775, gid: 201 }, true],
    ['a group that others have as theirs', { mode: 0o775, uid: 1002, gid: 100 }, true],
    ["another user's group, with ours in it", { mode: 0o775, gid: 1001 }, true],
    ["another user's group", { mode: 0o775, uid: 0, gid: 1000 }, true],
    ['a group with a member that nobody knows', { mode: 0o775, gid: 202 }, true],
    ['a group of nobody, as setgid programs have', { mode: 0o775, gid: 203 }, true],
    [
      'a group of no name with the number of its user, as in LDAP or a container',
      { mode: 0o775, uid: 5000, gid: 5000 },
      false,
    ],
    ['a group of no name', { mode: 0o775, gid: 5000 }, true],
    ["root's group in a folder of root's", { mode: 0o775, uid: 0, gid: 0 }, false],
    ['a sticky folder for the passphrase', { mode: 0o1777, duty: 'custody', uid: 0 }, false],
    ['a sticky folder of ours', { mode: 0o1777, duty: 'ours', uid: 0 }, true],
    ['a file with a sticky bit', { mode: 0o1666, duty: 'custody', kind: 'file' }, true],
  ])('%s', (_, change, isRefused) => {
    const uid = change.uid === undefined || change.uid === 0 ? 1000 : change.uid;
    const { problems, warnings } = judge(change, uid);
    expect(problems.map(({ message }) => message)).toEqual(
      isRefused ? [expect.stringMatching(/can be written by (?:all users|the group \w+), who/u)] : [],
    );
    expect(warnings).toEqual([]);
  });

  it('the hint asks for sudo where the folder is not ours', () => {
    expect(judge({ mode: 0o777 }).problems[0]?.hint).toBe('chmod go-w /p');
    expect(judge({ mode: 0o777, uid: 0 }).problems[0]?.hint).toBe('sudo chmod go-w /p');
    expect(judge({ mode: 0o777, path: "/p q'" }, 0).problems[0]?.hint).toBe(String.raw`chmod go-w '/p q'\'''`);
  });

  it('a shared folder as the project is left, and not closed', () => {
    expect(judge({ mode: 0o1777, path: '/tmp', uid: 0 }).problems).toEqual([
      {
        message: 'the project folder "/tmp" can be written by all users, and is no place for keys',
        hint: 'mkdir -m 700 /tmp/relaycerts && mv /p/s.json /tmp/relaycerts/',
      },
    ]);
  });

  it('above the project, only what is not sticky, and only a warning', () => {
    expect(judge({ duty: 'ancestor', mode: 0o1777, uid: 0 })).toEqual({ problems: [], warnings: [] });
    const { problems, warnings } = judge({ duty: 'ancestor', mode: 0o777, uid: 1001 });
    expect(problems).toEqual([]);
    expect(warnings[0]?.hint).toBe('sudo chmod o-w /p');
  });
});

describe('whose it is', () => {
  it.each<readonly [string, Partial<Seen>, number, readonly string[], readonly string[]]>([
    ['our own', {}, 1000, [], []],
    ["root's", { uid: 0 }, 1000, [], []],
    ["another's", { uid: 1001 }, 1000, ['sudo chown 1000 /p'], []],
    ["another's, to root", { uid: 1001 }, 0, [], ['sudo -u bob relaycerts ...']],
    [
      'of a user without a name, to root',
      { uid: 5000, gid: 6 },
      0,
      [],
      ['setpriv --reuid=5000 --regid=6 --clear-groups relaycerts ...'],
    ],
    ["another's file, to root", { uid: 1001, kind: 'file', duty: 'ours' }, 0, [], ['chown 0 /p']],
  ])('%s', (_, change, uid, problems, warnings) => {
    const judgement = judge(change, uid);
    expect(judgement.problems.map(({ hint }) => hint)).toEqual(problems);
    expect(judgement.warnings.map(({ hint }) => hint)).toEqual(warnings);
  });
});

describe('links and the like', () => {
  it.each([
    ['file', 'link', { path: '/t', kind: 'file' }, 'cp -p --remove-destination /t /p'],
    ['file', 'link', { path: '/dev/null', kind: 'other' }, 'rm /p'],
    ['file', 'link', undefined, 'rm /p'],
    ['folder', 'link', { path: '/t', kind: 'folder' }, 'rm /p && cp -a /t /p'],
    ['folder', 'link', { path: '/t', kind: 'file' }, 'rm /p'],
    ['folder', 'file', undefined, 'mv /p /p.old'],
  ] as const)('%s wanted, %s there, led to %o: %s', (wanted, kind, target, hint) => {
    expect(judgeOdd({ path: '/p', wanted, kind, target }).hint).toBe(hint);
  });
});

describe('a lock that is a link', () => {
  it('is removed, whatever it leads to', () => {
    const target = { path: '/t', kind: 'file' } as const;
    expect(judgeOdd({ path: '/p', wanted: 'file', kind: 'link', target, mayVanish: true }).hint).toBe('rm /p');
  });
});

describe('the clock', () => {
  it.each([
    ['1970-01-01T00:00:00Z', false],
    ['2025-12-31T23:59:59Z', false],
    ['2026-01-01T00:00:00Z', true],
    ['2050-01-01T00:00:00Z', true],
    ['2099-12-31T23:59:59Z', true],
    ['2100-01-01T00:00:00Z', false],
    ['9999-12-31T23:59:59Z', false],
  ])('%s: %s', (time, isRight) => {
    expect(judgeClock(new Date(time)) === undefined).toBe(isRight);
  });
});

describe('room', () => {
  const settings = parseSettings(
    { domain: 'example.org', smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] },
    { file: '/p/settings.json', home: '/home/alice', program: 'relaycerts', command: 'relaycerts' },
  );

  it('grows with hosts and blocks, and has a floor', () => {
    const none = estimateRoom({ hosts: 0, custody: false }, settings, 4096).project;
    expect(none).toEqual({ files: 16, octets: 65_536 });
    const two = estimateRoom({ hosts: 2, custody: false }, settings, 4096).project;
    expect(two.files).toBe(2 * (8 + 2 * 9 + 1));
    expect(estimateRoom({ hosts: 2, custody: false }, settings, 65_536).project.octets).toBeGreaterThan(
      two.octets * 10,
    );
  });

  it('is for the hosts of a plan, and for the passphrase where the plan has it', () => {
    const hostname = settings.smtpClients[0].hostname;
    const key = { kind: 'key', path: '/k', role: 'smtp-client', hostname, keyType: 'ed25519' } as const;
    expect(workOf([])).toEqual({ hosts: 0, custody: false });
    expect(workOf([key, key])).toEqual({ hosts: 1, custody: false });
    expect(workOf([key, { kind: 'operator-key', path: '/o' }])).toEqual({ hosts: 1, custody: true });
  });

  it.each([
    [{ octets: 8192, files: 2 }, undefined],
    [{ octets: 8191, files: 2 }, 'room for 7 KiB of data, and this may need 8 KiB'],
    [{ octets: 8192, files: 1 }, 'room for 1 more files (inodes), and this may need 2'],
    [{ octets: undefined, files: undefined }, undefined],
    [{ octets: undefined, files: 0 }, 'room for 0 more files (inodes), and this may need 2'],
  ])('%o: %s', (room, lack) => {
    expect(judgeRoom(room, { octets: 8192, files: 2 })).toBe(lack);
  });
});

describe('the mount of a path', () => {
  const mountinfo = String.raw`22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:30 / /home rw - tmpfs tmpfs ro,size=1k
31 22 254:0 /x /home/a\040b ro,relatime - ext4 /dev/vda rw
32 31 254:0 /y /home/a\040b rw,relatime - ext4 /dev/vda rw
33 22 254:0 /z /srv ro - ext4 /dev/vda rw
`;
  it.each([
    ['/etc', { point: '/', isOfMount: false }],
    ['/home', { point: '/home', isOfMount: false }],
    ['/homework', { point: '/', isOfMount: false }],
    ['/home/a b/c', { point: '/home/a b', isOfMount: false }],
    ['/srv/project', { point: '/srv', isOfMount: true }],
  ])('%s', (path, mount) => {
    expect(parseMount(mountinfo, path)).toEqual(mount);
  });
});
