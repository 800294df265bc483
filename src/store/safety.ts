// Where relaycerts refuses to work, and how to fix that.
//
// Whoever can write to a folder can put another file or link in the place of ours, whatever the modes of the files in it.
// So, like sshd (StrictModes), gpg and sudo, nothing is written where others can write:
// - by all users: refused. A sticky folder (/tmp) passes for the passphrase file and the operator key only, because there
//   nobody can replace the file of another user.
// - by a group: refused, unless its only member is the folder's owner (and root): Debian gives each user such a group,
//   and its own OpenSSH lets it pass. If a group is in neither /etc/passwd nor /etc/group, gid = uid means such a group.
// - owned by a third user: refused; a warning for root, because its own files then lie in that user's folder.
// A folder of ours that is a link is refused too. Files are opened without following links, so they need no look here.
// Access control lists are not read. A full or read-only disk speaks for itself when a change is staged.

import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { findHostName } from '../names.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { shellWord } from '../shell-word.js';
import { readAccounts, type Accounts } from '../sys/accounts.js';
import { linkHint } from '../sys/file-error.js';
import { listFolder, statFile, type FileState } from '../sys/files.js';
import type { Sys } from '../sys/sys.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';

type Onlooker = Pick<Sys, 'uid' | 'configHome' | 'warn'>;

interface Seen extends Pick<FileState, 'kind' | 'mode' | 'uid' | 'gid'> {
  readonly path: string;
  readonly wanted: 'file' | 'folder';
  /** `ours` is below the project; `custody` is where the passphrase file and the operator key are. */
  readonly duty: 'project' | 'ours' | 'custody' | 'ancestor';
}

interface Judgement {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** For commands that write. @throws permissions - each reason with how to fix it; nothing was touched */
export async function assertSafe(settings: Settings, sys: Onlooker): Promise<void> {
  refuse(await judge(await seeProject(settings, sys), sys), sys);
}

/** For a command that writes one file elsewhere. @throws permissions */
export async function assertSafeFolder(folder: string, duty: 'project' | 'custody', sys: Onlooker): Promise<void> {
  refuse(await judge(await see(folder, duty, 'folder', true), sys), sys);
}

/** For commands that only read: what the others would refuse, as warnings. */
export async function warnUnsafe(settings: Settings, sys: Onlooker): Promise<void> {
  const { problems } = await judge(await seeProject(settings, sys), sys);
  for (const { message, hint } of problems) sys.warn(message, hint);
}

function refuse({ problems, warnings }: Judgement, sys: Onlooker): void {
  for (const { message, hint } of warnings) sys.warn(message, hint);
  if (problems.length === 0) return;
  throw new RelaycertsError('permissions', problems.map(({ message }) => message).join('; '), { problems });
}

async function seeProject(settings: Settings, { configHome }: Onlooker): Promise<readonly Seen[]> {
  const layout = layoutOf(settings);
  const operatorKey = operatorKeyPlace(configHome).path;
  const { file } = settings.passphrase;
  const known = new Set<string>(hostsOf(settings).map(({ hostname }) => hostname));
  const names = (await listFolder(layout.hostsFolder)).filter(
    (name) => known.has(name) || findHostName(name) !== undefined,
  );
  const seen = await Promise.all([
    see(layout.folder, 'project', 'folder', true),
    see(settings.file, 'ours', 'file', true),
    ...(settings.clientsFile === undefined ? [] : [see(settings.clientsFile, 'ours', 'file', true)]),
    ...foldersOf(layout).map((path) => see(path, 'ours', 'folder')),
    ...names.map(async (name) => {
      const found = await see(join(layout.hostsFolder, name), 'ours', 'folder');
      // A file there may be somebody's own, if it is not in the place of a bundle.
      return found.filter(({ kind }) => kind !== 'file' || known.has(name));
    }),
    see(layout.ledger.path, 'ours', 'file'),
    see(dirname(file), 'custody', 'folder', true),
    see(file, 'custody', 'file', true),
    see(dirname(operatorKey), 'custody', 'folder', true),
    see(operatorKey, 'custody', 'file'),
  ]);
  return [...seen.flat(), ...(await ancestorsOf(layout.folder))];
}

/** The folders of every project, the outer ones first. */
export function foldersOf(layout: Layout): readonly string[] {
  const { certsFolder, caFolder, roleFolder, retiredFolder, revokedFolder, hostsFolder } = layout;
  return [certsFolder, caFolder, ...roles.map(roleFolder), retiredFolder, revokedFolder, hostsFolder];
}

/** A link is followed only if users may put one there themselves. */
async function see(
  path: string,
  duty: Seen['duty'],
  wanted: Seen['wanted'],
  followLink = false,
): Promise<readonly Seen[]> {
  const state = await statFile(followLink ? await realpath(path).catch(() => path) : path);
  return state === undefined ? [] : [{ ...state, path, duty, wanted }];
}

async function ancestorsOf(folder: string): Promise<readonly Seen[]> {
  const path = await realpath(folder).catch(() => folder);
  if (dirname(path) === path) return [];
  return [...(await see(dirname(path), 'ancestor', 'folder')), ...(await ancestorsOf(dirname(path)))];
}

async function judge(seen: readonly Seen[], { uid }: Onlooker): Promise<Judgement> {
  const isPlain = ({ kind, wanted, mode, uid: owner }: Seen): boolean =>
    kind === wanted && (mode & 0o022) === 0 && (owner === uid || owner === 0);
  // A system without user ids has no other users.
  if (seen.every(isPlain) || uid < 0) return { problems: [], warnings: [] };
  return judgePlaces(seen, uid, await readAccounts());
}

/** What is wrong with these places, for the user with this effective uid. */
export function judgePlaces(seen: readonly Seen[], uid: number, accounts: Accounts): Judgement {
  const all = seen.filter(({ duty }) => duty !== 'ancestor');
  const own = all.filter(({ kind, wanted }) => kind === wanted);
  const problems = all.filter(({ kind, wanted }) => kind !== wanted).map(strangeProblem);
  const warnings: Problem[] = [];
  const report = (list: Problem[], open: readonly Seen[], who: string, what: string, change: string): void => {
    if (open.length === 0) return;
    const sudo = uid === 0 || open.every((one) => one.uid === uid) ? '' : 'sudo ';
    list.push({
      message: `${nameAll(open)} can be written by ${who}, who could replace ${what}`,
      hint: `${sudo}chmod ${change} ${words(open)}`,
    });
  };

  const shared = own.find((one) => one.duty === 'project' && isOpenToAll(one) && isSticky(one));
  if (shared !== undefined) problems.push(sharedProblem(shared));
  const open = own.filter((one) => one !== shared && isOpen(one, accounts));
  report(problems, open, whoWrites(open, accounts), 'what is in it', 'go-w');
  const swappable = seen.filter((one) => one.duty === 'ancestor' && isOpenToAll(one) && !isSticky(one));
  report(warnings, swappable, 'all users', 'the whole project', 'o-w');

  for (const owner of new Set(own.map((one) => one.uid))) {
    if (owner === 0 || owner === uid) continue;
    const his = own.filter((one) => one.uid === owner);
    (uid === 0 ? warnings : problems).push(ownerProblem(his, uid, accounts));
  }
  return { problems, warnings };
}

const isOpenToAll = ({ mode }: Seen): boolean => (mode & 0o002) !== 0;
const isSticky = ({ kind, mode }: Seen): boolean => kind === 'folder' && (mode & 0o1000) !== 0;

function isOpen(one: Seen, { groups, members }: Accounts): boolean {
  if (one.duty === 'custody' && isSticky(one)) return false;
  if (isOpenToAll(one)) return true;
  if ((one.mode & 0o020) === 0) return false;
  const all = members.get(one.gid);
  if (all === undefined) return groups.has(one.gid) || one.gid !== one.uid;
  return !all.has(one.uid) || [...all].some((member) => member !== one.uid && member !== 0);
}

function whoWrites(open: readonly Seen[], { groups }: Accounts): string {
  if (open.some(isOpenToAll)) return 'all users';
  return `the group ${[...new Set(open.map(({ gid }) => groups.get(gid) ?? String(gid)))].join(', ')}`;
}

function strangeProblem({ path, kind, duty, wanted }: Seen): Problem {
  const name = quotePath(path);
  if (kind === 'link') {
    return { message: `${name} is a symbolic link, which is not followed`, hint: linkHint(path, wanted) };
  }
  const move = `mv ${shellWord(path)} ${shellWord(`${path}.old`)}`;
  return {
    message: `${name} is not a ${wanted === 'file' ? 'regular file' : 'folder'}`,
    hint: duty === 'custody' ? 'name another file as passphrase.file in the settings' : move,
  };
}

/** /tmp itself, or a folder like it. */
function sharedProblem({ path }: Seen): Problem {
  const folder = shellWord(join(path, 'relaycerts'));
  return {
    message: `all users can write to the project folder ${quotePath(path)}, so it cannot hold keys`,
    hint: `mkdir -m 700 ${folder}, and move the settings, certs and hosts there`,
  };
}

function ownerProblem(his: readonly Seen[], uid: number, { users }: Accounts): Problem {
  const [{ uid: owner, gid } = { uid: 0, gid: 0 }] = his;
  const name = users.get(owner);
  const who = name === undefined ? `the user with uid ${owner}` : `the user ${name}`;
  const whose = `${nameAll(his)} belongs to ${who}`;
  if (uid !== 0)
    return { message: `${whose}, who could change what is in it`, hint: `sudo chown ${uid} ${words(his)}` };
  // sudo does not know a user who is in no file of this machine.
  const nameless = `setpriv --reuid=${owner} --regid=${gid} --clear-groups`;
  const as = name === undefined ? nameless : `sudo -u ${shellWord(name)}`;
  return {
    message: `running as root, but ${whose}, who can change it; what root makes there is root's`,
    hint: { run: ['make'], before: `to run it as ${who}: ${as}` },
  };
}

function nameAll([first, ...more]: readonly Seen[]): string {
  if (first === undefined) return '';
  const what = first.duty === 'project' ? 'the project folder ' : '';
  return `${what}${quotePath(first.path)}${more.length === 0 ? '' : ` (and ${more.length} more)`}`;
}

function words(some: readonly Seen[]): string {
  return some.map(({ path }) => shellWord(path)).join(' ');
}
