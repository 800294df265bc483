// Where relaycerts refuses to work, as tables: no disk, and only these accounts.

import { describe, expect, it } from 'vitest';
import { renderHint } from '../../src/errors.js';
import { judgePlaces } from '../../src/store/safety.js';
import { parseAccounts } from '../../src/sys/accounts.js';

const accounts = parseAccounts(
  `root:x:0:0:root:/root:/bin/bash
alice:x:1000:1000::/home/alice:/bin/sh
bob:x:1001:1001::/home/bob:/bin/sh
carol:x:1002:100::/home/carol:/bin/sh
dave:x:1003:100::/home/dave:/bin/sh
alias:x:1000:1000::/home/alice:/bin/sh
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

type Seen = Parameters<typeof judgePlaces>[0][number];
const seen = (change: Partial<Seen>): Seen => ({
  path: '/p',
  real: '/p',
  hasAcl: false,
  duty: 'project',
  kind: 'folder',
  wanted: change.kind === 'file' ? 'file' : 'folder',
  mode: 0o755,
  uid: 1000,
  gid: 1000,
  ...change,
});
const typed = ['check', 'relay host'];
const judge = (change: Partial<Seen>, uid = 1000) => judgePlaces([seen(change)], uid, accounts, typed);
const hintsOf = (problems: ReturnType<typeof judge>['problems']): readonly string[] =>
  problems.map(({ hint = '' }) => renderHint(hint, 'relaycerts'));

describe('accounts', () => {
  it('are those of passwd(5) and group(5), with members of either', () => {
    expect(accounts.users.get(1002)).toBe('carol');
    expect([...(accounts.members.get(100) ?? [])]).toEqual([1002, 1003]);
    expect([...(accounts.members.get(1001) ?? [])]).toEqual([1001, 1000]);
    expect([...(accounts.members.get(202) ?? [])]).toEqual([1000, Number.NaN]);
    expect(accounts.groups.get(203)).toBe('empty');
  });

  it('have the name that getpwuid(3) gives: the first one', () => {
    expect(accounts.users.get(1000)).toBe('alice');
  });

  it('are none in empty files', () => {
    const { users, groups, members } = parseAccounts('', '');
    expect([users.size, groups.size, members.size]).toEqual([0, 0, 0]);
  });
});

const above = (change: Partial<Seen>) => judge({ duty: 'above', ...change });

describe('who can write', () => {
  it.each<readonly [string, Partial<Seen>, string | undefined]>([
    ['nobody else', {}, undefined],
    ['the umask 002 in a group of one', { mode: 0o775 }, undefined],
    ['the same with the setgid bit', { mode: 0o2775 }, undefined],
    ['all users', { mode: 0o757 }, 'all users'],
    ['all users but the group', { mode: 0o707 }, 'all users'],
    ['a group of its owner and root', { mode: 0o775, gid: 200 }, undefined],
    ['a group of two users', { mode: 0o775, gid: 201 }, 'the group wheel'],
    ['a group that is the first one of others', { mode: 0o775, uid: 1002, gid: 100 }, 'the group users'],
    ['the group of another user that has us in it', { mode: 0o775, gid: 1001 }, 'the group bob'],
    ["a user's group in a folder of root's", { mode: 0o775, uid: 0, gid: 1000 }, 'the group alice'],
    ['a group with a member that nobody knows', { mode: 0o775, gid: 202 }, 'the group ghost'],
    ['a group of nobody, as setgid programs have', { mode: 0o775, gid: 203 }, 'the group empty'],
    ['a nameless group with the number of its user (LDAP)', { mode: 0o775, uid: 5000, gid: 5000 }, undefined],
    ['a nameless group', { mode: 0o775, gid: 5000 }, 'the group 5000'],
    ["root's group in a folder of root's", { mode: 0o775, uid: 0, gid: 0 }, undefined],
    ['a sticky folder for the passphrase', { mode: 0o1777, duty: 'custody', uid: 0 }, undefined],
    ['a sticky folder of a group for the passphrase', { mode: 0o1775, duty: 'custody', gid: 201 }, undefined],
    ['a sticky folder of ours', { mode: 0o1777, duty: 'ours', uid: 0 }, 'all users'],
    ['its own group and an access control list', { mode: 0o775, hasAcl: true }, 'others, by an access control list'],
    ['a list that lets nobody write', { mode: 0o755, hasAcl: true }, undefined],
    ['a file with a sticky bit', { mode: 0o1666, duty: 'custody', kind: 'file' }, 'all users'],
  ])('%s', (_, change, who) => {
    const { problems, warnings } = judge(change, change.uid === 0 ? 1000 : change.uid);
    expect(problems.map(({ message }) => message)).toEqual(
      who === undefined ? [] : [expect.stringContaining(`can be written by ${who}, who could replace what is in it`)],
    );
    expect(warnings).toEqual([]);
  });

  it.each<readonly [string, Partial<Seen>, number, string]>([
    ['is a chmod', { mode: 0o777 }, 1000, 'chmod go-w /p'],
    ['needs sudo if the folder is not ours', { mode: 0o777, uid: 0 }, 1000, 'sudo chmod go-w /p'],
    ['needs no sudo for root', { mode: 0o777 }, 0, 'chmod go-w /p'],
    ['quotes the path', { mode: 0o777, path: "/p q'" }, 1000, String.raw`chmod go-w '/p q'\'''`],
  ])('the hint %s', (_, change, uid, hint) => {
    expect(hintsOf(judge(change, uid).problems)).toEqual([hint]);
  });

  it('many open places are one problem with one command', () => {
    const paths = ['/p', '/p/certs', '/p/hosts'];
    const { problems } = judgePlaces(
      paths.map((path) => seen({ path, duty: path === '/p' ? 'project' : 'ours', mode: 0o777 })),
      1000,
      accounts,
      typed,
    );
    expect(problems).toEqual([
      {
        message: 'the project folder "/p" (and 2 more) can be written by all users, who could replace what is in it',
        hint: 'chmod go-w /p /p/certs /p/hosts',
      },
    ]);
  });

  it('/tmp as the project is left, and its mode stays', () => {
    expect(judge({ mode: 0o1777, path: '/tmp', uid: 0 }).problems).toEqual([
      {
        message: 'all users can write to the project folder "/tmp", so it cannot hold keys',
        hint: 'mkdir -m 700 /tmp/relaycerts, and move the settings, certs and hosts there',
      },
    ]);
  });

  it.each<readonly [string, Partial<Seen>, readonly string[]]>([
    ['is sticky', { mode: 0o1777, uid: 0 }, []],
    ['is sticky, with an access control list', { mode: 0o1775, uid: 0, hasAcl: true }, []],
    ["can be written by its owner's own group", { mode: 0o775 }, []],
    ['can be written by all', { mode: 0o777 }, ['chmod go-w /p']],
    ["is root's and can be written by all", { mode: 0o777, uid: 0 }, ['sudo chmod go-w /p']],
    ["is root's and can be written by a group", { mode: 0o2775, uid: 0, gid: 201 }, ['sudo chmod go-w /p']],
  ])('a folder above that %s', (_, change, hints) => {
    const { problems, warnings } = above(change);
    expect([hintsOf(problems), warnings]).toEqual([hints, []]);
  });
});

describe('whose it is', () => {
  it.each<readonly [string, Partial<Seen>, number, readonly string[], readonly string[]]>([
    ['our own', {}, 1000, [], []],
    ["root's", { uid: 0 }, 1000, [], []],
    ["another user's is refused", { uid: 1001, gid: 1001 }, 1000, ['sudo chown 1000 /p'], []],
    [
      "another user's is a warning for root",
      { uid: 1001, gid: 1001 },
      0,
      [],
      [`to run it as the user bob: sudo -u bob relaycerts check 'relay host'`],
    ],
    [
      'a nameless user is named by number, and sudo does not know it',
      { uid: 5000, gid: 6 },
      0,
      [],
      [
        `to run it as the user with uid 5000: setpriv --reuid=5000 --regid=6 --clear-groups relaycerts check 'relay host'`,
      ],
    ],
  ])('%s', (_, change, uid, problems, warnings) => {
    const judgement = judge(change, uid);
    expect(hintsOf(judgement.problems)).toEqual(problems);
    expect(hintsOf(judgement.warnings)).toEqual(warnings);
  });

  it('a folder above is not taken from its owner: the project moves', () => {
    const project = seen({ path: '/link', real: '/bob/p q' });
    const bobs = seen({ path: '/bob', real: '/bob', duty: 'above', uid: 1001 });
    const { problems } = judgePlaces([project, bobs], 1000, accounts, typed);
    expect(problems).toEqual([
      {
        message: '"/bob" belongs to the user bob, who could replace all that is below',
        hint: `move the project to a folder of your own: sudo mv '/bob/p q' "$HOME"/`,
      },
    ]);
    const elsewhere = judgePlaces([seen({}), { ...bobs, path: '/keys', real: '/keys' }], 1000, accounts, typed);
    expect(hintsOf(elsewhere.problems)).toEqual([
      'set passphrase.file, HOME and XDG_CONFIG_HOME to folders of your own',
    ]);
  });

  it("root may work for the project's owner, and takes nothing from others", () => {
    const project = seen({});
    const settings = seen({ path: '/p/settings.json', duty: 'ours', kind: 'file', wanted: 'file' });
    expect(judgePlaces([project, settings], 0, accounts, typed).problems).toEqual([]);
    const { problems } = judgePlaces([project, { ...settings, uid: 1001 }], 0, accounts, typed);
    expect(problems).toEqual([
      {
        message: '"/p/settings.json" belongs to the user bob, who could change what is in it',
        hint: 'chown 0 /p/settings.json',
      },
    ]);
  });

  it('two owners are two problems', () => {
    const { problems } = judgePlaces(
      [seen({ uid: 1001 }), seen({ path: '/p/certs', duty: 'ours', uid: 1002 }), seen({ path: '/p/hosts', uid: 1002 })],
      1000,
      accounts,
      typed,
    );
    expect(problems.map(({ message }) => message)).toEqual([
      'the project folder "/p" belongs to the user bob, who could change what is in it',
      '"/p/certs" (and 1 more) belongs to the user carol, who could change what is in it',
    ]);
  });
});

describe('what it is', () => {
  it.each<readonly [Seen['kind'], Seen['duty'], readonly string[]]>([
    ['folder', 'ours', []],
    ['file', 'custody', []],
    // The link dangles; if it pointed to a folder, that would take its place.
    ['link', 'ours', ['rm /p']],
    ['link', 'custody', ['rm /p']],
    ['other', 'ours', ['mv /p /p.old']],
    ['other', 'custody', ['name another file as passphrase.file in the settings']],
  ])('%s, %s: %s', (kind, duty, hints) => {
    // A link has all mode bits, and they mean nothing.
    expect(hintsOf(judge({ kind, duty, mode: kind === 'link' ? 0o777 : 0o644 }).problems)).toEqual(hints);
  });
});
