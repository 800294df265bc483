// Where relaycerts refuses to write, and what mends it. Pure: store/look.ts looks, this judges.
//
// Whoever may write to a folder can put another file, folder or link in the place of ours, whatever the modes of the
// files in it. So, as sshd (StrictModes), gpg and sudo do, nothing is written where others may write:
// - by all users: refused. In the folder of the passphrase file and of the operator key a sticky one (/tmp, /dev/shm)
//   passes, because nothing of ours is ever replaced there by another user, and what is there already is judged itself.
// - by a group: refused, unless the group's only member is the folder's owner (and root). Debian gives every user such
//   a group and the umask 002 may go with it, so that a plain mkdir makes 0775; Debian's own OpenSSH lets it pass for
//   the same reason. Of a group that is in neither /etc/passwd nor /etc/group (LDAP, a container's user) the members
//   are unknown: gid = uid is then taken for such a group, as pam_umask(8) does, and any other is refused.
// - belonging to a third user: refused; to root it is a warning, for what root makes there its user cannot change.
// Root is trusted. Hard links pass: a backup with `cp -al` makes them, and a rename leaves the other name its old file.
// Access control lists are not read.

import { quotePath, type Problem } from '../errors.js';
import type { Accounts } from '../sys/accounts.js';
import type { FileState } from '../sys/files.js';
import { shellWord } from '../shell-word.js';

/** A file or folder that is there. */
export interface Seen extends Pick<FileState, 'kind' | 'mode' | 'uid' | 'gid'> {
  readonly path: string;
  /** `ours`: below certs/ and hosts/; `custody`: where passphrase file and operator key lie; `ancestor`: above it all. */
  readonly duty: 'project' | 'ours' | 'custody' | 'ancestor';
}

export interface Judgement {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** What is wrong with where things lie, for the user with this effective uid. `entries` is what a project moves with. */
export function judgePlaces(
  seen: readonly Seen[],
  {
    uid,
    accounts,
    entries = [],
  }: { readonly uid: number; readonly accounts: Accounts; readonly entries?: readonly string[] },
): Judgement {
  const problems: Problem[] = [];
  const warnings: Problem[] = [];
  const above = seen.filter(({ duty }) => duty === 'ancestor');
  const own = seen.filter(({ duty }) => duty !== 'ancestor');
  const sudo = (some: readonly Seen[]): string => (uid === 0 || some.every((one) => one.uid === uid) ? '' : 'sudo ');

  const shared = own.find((one) => one.duty === 'project' && isWorldWritable(one) && isSticky(one));
  if (shared !== undefined) problems.push(sharedProblem(shared, entries));
  const open = own.filter((one) => one !== shared && isOpen(one, accounts));
  if (open.length > 0) {
    problems.push({
      message: `${nameAll(open)} can be written by ${whoWrites(open, accounts)}, who could put other files in the place of ours`,
      hint: `${sudo(open)}chmod go-w ${words(open)}`,
    });
  }
  const swappable = above.filter((one) => isWorldWritable(one) && !isSticky(one));
  if (swappable.length > 0) {
    warnings.push({
      message: `${nameAll(swappable)} can be written by all users, who could put another folder in the project's place`,
      hint: `${sudo(swappable)}chmod o-w ${words(swappable)}`,
    });
  }

  const owners = new Set(own.map((one) => one.uid).filter((owner) => owner !== 0 && owner !== uid));
  for (const owner of owners) {
    const his = own.filter((one) => one.uid === owner);
    const name = userName(owner, accounts);
    if (uid !== 0) {
      problems.push({
        message: `${nameAll(his)} belongs to ${name}, who could change what lies there`,
        hint: `sudo chown ${uid} ${words(his)}`,
      });
    } else if (his.some(({ kind }) => kind === 'folder')) {
      warnings.push({
        message: `running as root in a folder of ${name}: ${nameAll(his)}; what is made now will belong to root`,
        hint: `${runAs(his[0], accounts)} relaycerts ...`,
      });
    } else {
      warnings.push({
        message: `${nameAll(his)} belongs to ${name}, who can read and change it`,
        hint: `chown 0 ${words(his)}`,
      });
    }
  }
  return { problems, warnings };
}

function isWorldWritable({ mode }: Seen): boolean {
  return (mode & 0o002) !== 0;
}

function isSticky({ kind, mode }: Seen): boolean {
  return kind === 'folder' && (mode & 0o1000) !== 0;
}

function isOpen(one: Seen, accounts: Accounts): boolean {
  if (one.duty === 'custody' && isSticky(one)) return false;
  return isWorldWritable(one) || ((one.mode & 0o020) !== 0 && !isPrivateGroup(one, accounts));
}

/** Whether the owner is the group's only member; root may be one too. */
function isPrivateGroup({ uid, gid }: Seen, { groups, members }: Accounts): boolean {
  const all = members.get(gid);
  if (all === undefined) return !groups.has(gid) && gid === uid;
  return all.has(uid) && [...all].every((member) => member === uid || member === 0);
}

function whoWrites(open: readonly Seen[], { groups }: Accounts): string {
  if (open.some(isWorldWritable)) return 'all users';
  const names = new Set(open.map(({ gid }) => groups.get(gid) ?? String(gid)));
  return `the group ${[...names].join(', ')}`;
}

/** /tmp itself, or a folder like it: its mode is right, and the project in the wrong place. */
function sharedProblem({ path }: Seen, entries: readonly string[]): Problem {
  const folder = path.endsWith('/') ? `${path}relaycerts` : `${path}/relaycerts`;
  const move = entries.length === 0 ? '' : ` && mv ${entries.map(shellWord).join(' ')} ${shellWord(`${folder}/`)}`;
  return {
    message: `the project folder ${quotePath(path)} can be written by all users, and is no place for keys`,
    hint: `mkdir -m 700 ${shellWord(folder)}${move}`,
  };
}

function userName(uid: number, { users }: Accounts): string {
  const name = users.get(uid);
  return name === undefined ? `the user with uid ${uid}` : `the user ${name}`;
}

function nameAll(some: readonly Seen[]): string {
  const [first] = some;
  if (first === undefined) return '';
  const more = some.length === 1 ? '' : ` (and ${some.length - 1} more)`;
  return `${first.duty === 'project' ? 'the project folder ' : ''}${quotePath(first.path)}${more}`;
}

/** sudo knows no user that is in no file of this machine, as those of containers are. */
function runAs(one: Seen | undefined, { users }: Accounts): string {
  const { uid, gid } = one ?? { uid: 0, gid: 0 };
  const name = users.get(uid);
  return name === undefined ? `setpriv --reuid=${uid} --regid=${gid} --clear-groups` : `sudo -u ${shellWord(name)}`;
}

function words(some: readonly Seen[]): string {
  return some.map(({ path }) => shellWord(path)).join(' ');
}

/** A link, or something that is no folder, where a file or folder of ours should be. */
export interface Odd {
  readonly path: string;
  readonly wanted: 'file' | 'folder';
  readonly kind: FileState['kind'];
  /** What a link leads to, and the kind of it; undefined where that is nothing. */
  readonly target: { readonly path: string; readonly kind: FileState['kind'] } | undefined;
  /** True for the lock: what is there is not worth keeping, and what a link leads to is no lock. */
  readonly mayVanish?: boolean;
}

/** What does not lie in its place itself. */
export function judgeOdd({ path, wanted, kind, target, mayVanish = false }: Odd): Problem {
  const word = shellWord(path);
  if (kind !== 'link') {
    return {
      message: `${quotePath(path)} is no ${wanted === 'file' ? 'regular file' : 'folder'}`,
      hint: `mv ${word} ${shellWord(`${path}.old`)}`,
    };
  }
  const where = target === undefined ? 'that leads nowhere' : `to ${quotePath(target.path)}`;
  const message = `cannot use ${quotePath(path)}: it is a symbolic link ${where}`;
  if (mayVanish || target?.kind !== wanted) return { message, hint: `rm ${word}` };
  const from = shellWord(target.path);
  return wanted === 'file'
    ? { message, hint: `cp -p --remove-destination ${from} ${word}` }
    : { message, hint: `rm ${word} && cp -a ${from} ${word}` };
}

/** What the settings name as passphrase.file and is none, such as /dev/null: its modes are not ours to change. */
export function judgeNoFile(path: string, settingsFile: string): Problem {
  return {
    message: `the passphrase file ${quotePath(path)} is no regular file`,
    hint: `name another one as passphrase.file in ${quotePath(settingsFile)}`,
  };
}

/** No relaycerts of this kind was there before; a clock that says so lies. A board without a clock wakes up in 1970. */
const firstYear = 2026;
/** No clock that is right says this while anybody runs this version. */
const lastYear = 2099;

/** A clock with which certificates are made that are of no use to anybody. */
export function judgeClock(at: Date): Problem | undefined {
  const year = at.getUTCFullYear();
  if (year >= firstYear && year <= lastYear) return undefined;
  return {
    message: `this machine's clock says ${at.toISOString()}, which cannot be right, and certificates made now would be of no use`,
    hint: 'timedatectl set-ntp true',
  };
}
