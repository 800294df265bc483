// Where relaycerts refuses to work, and how to fix that.
//
// Anybody who can write to a folder can replace the files in it, whatever their modes. So, like sshd (StrictModes), gpg
// and sudo, nothing is written where others can write, here or in any folder above:
// - by all users: refused. A sticky folder (/tmp) is accepted above ours, and for the passphrase file and the operator
//   key, because there nobody can rename or replace another user's files.
// - by a group: refused, unless its only member is the folder's owner (and root): Debian gives each user such a group,
//   and its OpenSSH accepts it. If a group is in neither /etc/passwd nor /etc/group, gid = uid means such a group.
//   An access control list that lets others write shows in the group's bits; then no group is accepted.
// - owned by a third user: refused; only a warning for root, because its files are then in that user's folder.
// A folder of ours that is a link is refused too. Files are opened without following links, so they need no check here.

import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { RelaycertsError, quotePath, type Problem } from '../errors.js';
import { findHostName } from '../names.js';
import { hostsOf, roles, type Settings } from '../settings/settings.js';
import { shellWord, shellWords } from '../shell-word.js';
import { readAccounts, type Accounts } from '../sys/accounts.js';
import { assertKeepsModes } from '../sys/disk.js';
import { linkHint } from '../sys/file-error.js';
import { listFolder, lookAt, type FileState } from '../sys/files.js';
import { resolveLinks } from '../sys/missing.js';
import type { Sys } from '../sys/sys.js';
import { layoutOf, operatorKeyPlace, type Layout } from './layout.js';
import { rootsProblem } from './ownership.js';

type Onlooker = Pick<Sys, 'uid' | 'configHome' | 'warn' | 'run' | 'typed'>;

interface Seen extends Pick<FileState, 'kind' | 'mode' | 'uid' | 'gid'> {
  readonly path: string;
  /** The same with links resolved. */
  readonly real: string;
  readonly wanted: 'file' | 'folder';
  /** `ours` is below the project; `custody` holds the passphrase file and the operator key. */
  readonly duty: 'project' | 'ours' | 'custody' | 'above';
  /** The folder has an access control list besides its mode. */
  readonly hasAcl: boolean;
}

interface Judgement {
  readonly problems: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** For commands that write. @throws permissions - each reason with its fix; nothing was touched */
export async function assertSafe(settings: Settings, sys: Onlooker): Promise<void> {
  const seen = await seeProject(settings, sys);
  await refuse(seen, sys);
  const roots = seen.filter(({ duty, uid, path }) => duty === 'ours' && uid === 0 && path !== settings.file);
  if (sys.uid <= 0 || roots.every(isWritable)) return;
  const problem = await rootsProblem(settings, sys);
  if (problem !== undefined) throw new RelaycertsError('permissions', problem.message, problem);
}

/** For a command that writes one file elsewhere. @throws permissions */
export async function assertSafeFolder(folder: string, duty: 'project' | 'custody', sys: Onlooker): Promise<void> {
  const seen = see(folder, duty, 'folder', true);
  await refuse([...seen, ...seeAbove([folder], seen)], sys);
}

/** For a preview of a first make: the file systems can keep a key private. @throws permissions */
export async function assertKeepsKeys(settings: Settings): Promise<void> {
  const { file } = settings.passphrase;
  for (const { path, folder } of [
    { path: layoutOf(settings).lock, folder: settings.folder },
    { path: file, folder: dirname(resolveLinks(file)) },
  ]) {
    if (lookAt(path) === undefined) await assertKeepsModes(folder);
  }
}

/** For commands that only read: what the others would refuse, as warnings. */
export async function warnUnsafe(settings: Settings, sys: Onlooker): Promise<void> {
  const { problems } = await judge(await seeProject(settings, sys), sys);
  for (const { message, hint } of problems) sys.warn(message, hint);
}

async function refuse(seen: readonly Seen[], sys: Onlooker): Promise<void> {
  const { problems, warnings } = await judge(seen, sys);
  // On a file system without modes, chmod cannot close anything.
  const open = seen.find(({ duty, wanted, mode }) => duty !== 'above' && wanted === 'folder' && (mode & 0o022) !== 0);
  if (problems.length > 0 && open !== undefined) await assertKeepsModes(open.real);
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
  const own = [
    see(layout.folder, 'project', 'folder', true),
    see(settings.file, 'ours', 'file', true),
    ...(settings.clientsFile === undefined ? [] : [see(settings.clientsFile, 'ours', 'file', true)]),
    ...foldersOf(layout).map((path) => see(path, 'ours', 'folder')),
    see(layout.ledger.path, 'ours', 'file'),
    see(layout.installed.path, 'ours', 'file'),
    see(dirname(file), 'custody', 'folder', true),
    see(file, 'custody', 'file', true),
    see(dirname(operatorKey), 'custody', 'folder', true),
    see(operatorKey, 'custody', 'file'),
  ].flat();
  for (const name of names) {
    const found = see(join(layout.hostsFolder, name), 'ours', 'folder');
    // A file there may be the user's own, if it is not in a bundle's place.
    own.push(...found.filter(({ kind }) => kind !== 'file' || known.has(name)));
  }
  return [...own, ...seeAbove([layout.folder, settings.file, file, operatorKey], own)];
}

/** The folders of every project, the outermost first. */
export function foldersOf(layout: Layout): readonly string[] {
  const { certsFolder, caFolder, roleFolder, retiredFolder, revokedFolder, dkimFolder, hostsFolder } = layout;
  return [certsFolder, caFolder, ...roles.map(roleFolder), retiredFolder, revokedFolder, dkimFolder, hostsFolder];
}

/** A link is followed only if no other user could have put it there. */
function see(path: string, duty: Seen['duty'], wanted: Seen['wanted'], followLink = false): readonly Seen[] {
  const real = followLink ? resolveLinks(path) : path;
  const state = lookAt(real);
  return state === undefined ? [] : [{ ...state, path, real, duty, wanted, hasAcl: false }];
}

/** Every folder above these places up to the root, links resolved, except those already seen. */
function seeAbove(paths: readonly string[], own: readonly Seen[]): readonly Seen[] {
  const folders = new Set<string>();
  for (const path of paths.map(resolveLinks)) {
    for (let folder = dirname(path); !folders.has(folder); folder = dirname(folder)) folders.add(folder);
  }
  for (const { real } of own) folders.delete(real);
  return [...folders].flatMap((folder) => see(folder, 'above', 'folder'));
}

function isWritable({ real }: Seen): boolean {
  try {
    accessSync(real, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

async function judge(seen: readonly Seen[], { uid, run, typed }: Onlooker): Promise<Judgement> {
  const isPlain = (one: Seen): boolean =>
    one.kind === one.wanted && !isShared(one) && (one.uid === uid || one.uid === 0);
  // A system without user ids has no other users.
  if (seen.every(isPlain) || uid < 0) return { problems: [], warnings: [] };
  const looked = seen.map(async (one) => ({
    ...one,
    hasAcl: isShared(one) && (one.mode & 0o020) !== 0 && (await isListed(one, run)),
  }));
  return judgePlaces(await Promise.all(looked), uid, readAccounts(), typed);
}

/** The plus sign of ls(1); Node cannot read the list itself. */
async function isListed({ kind, real }: Seen, run: Sys['run']): Promise<boolean> {
  if (kind === 'link') return false;
  const found = await run('ls', ['-ldn', '--', real], {}).catch(() => undefined);
  return /^\S{10}\+/u.test(found?.stdout.toString() ?? '');
}

/** What is wrong with these places, for the user with this effective uid, who typed this command. */
export function judgePlaces(
  seen: readonly Seen[],
  uid: number,
  accounts: Accounts,
  typed: readonly string[],
): Judgement {
  const right = seen.filter(({ kind, wanted }) => kind === wanted);
  const problems = seen.filter((one) => !right.includes(one)).map(strangeProblem);
  const warnings: Problem[] = [];
  const project = right.find(({ duty }) => duty === 'project');
  const shared = project && isOpenToAll(project) && isSticky(project) ? project : undefined;
  if (shared !== undefined) problems.push(sharedProblem(shared));
  const open = right.filter((one) => one !== shared && isOpen(one, accounts));
  if (open.length > 0) {
    const sudo = uid === 0 || open.every((one) => one.uid === uid) ? '' : 'sudo ';
    problems.push({
      message: `${nameAll(open)} can be written by ${whoWrites(open, accounts)}, who could replace what is in it`,
      hint: `${sudo}chmod go-w ${shellWords(open.map(({ path }) => path))}`,
    });
  }
  for (const owner of new Set(right.map((one) => one.uid))) {
    if (owner === 0 || owner === uid) continue;
    const his = right.filter((one) => one.uid === owner);
    const own = his.filter(({ duty }) => duty !== 'above');
    const who = nameUser(owner, accounts);
    if (uid !== 0) {
      if (own.length > 0) problems.push(ownerProblem(own, who, uid));
      else problems.push(aboveProblem(his, who, project));
    } else if (project?.uid === owner || own.every(({ duty }) => duty !== 'ours')) {
      warnings.push(rootWarning(own.length > 0 ? own : his, who, accounts, typed));
    } else problems.push(ownerProblem(own, who, uid));
  }
  return { problems, warnings };
}

const isOpenToAll = ({ mode }: Seen): boolean => (mode & 0o002) !== 0;
const isSticky = ({ kind, mode }: Seen): boolean => kind === 'folder' && (mode & 0o1000) !== 0;

/**
 * Others can write there; in a sticky folder they cannot replace other users' files, which is enough above ours and for
 * custody.
 */
const isShared = (one: Seen): boolean =>
  (one.mode & 0o022) !== 0 && !(isSticky(one) && (one.duty === 'custody' || one.duty === 'above'));

function isOpen(one: Seen, { groups, members }: Accounts): boolean {
  if (!isShared(one)) return false;
  if (isOpenToAll(one)) return true;
  if (one.hasAcl) return true;
  const all = members.get(one.gid);
  if (all === undefined) return groups.has(one.gid) || one.gid !== one.uid;
  return !all.has(one.uid) || [...all].some((member) => member !== one.uid && member !== 0);
}

function whoWrites(open: readonly Seen[], { groups }: Accounts): string {
  if (open.some(isOpenToAll)) return 'all users';
  if (open.some(({ hasAcl }) => hasAcl)) return 'others, by an access control list';
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

function nameUser(uid: number, { users }: Accounts): string {
  const name = users.get(uid);
  return name === undefined ? `the user with uid ${uid}` : `the user ${name}`;
}

function ownerProblem(his: readonly Seen[], who: string, uid: number): Problem {
  return {
    message: `${nameAll(his)} belongs to ${who}, who could change what is in it`,
    hint: `${uid === 0 ? '' : 'sudo '}chown ${uid} ${shellWords(his.map(({ path }) => path))}`,
  };
}

/** Taking a folder above from its owner goes too far: it may be a home. */
function aboveProblem(his: readonly Seen[], who: string, project: Seen | undefined): Problem {
  const isAbove = his.some(({ real }) => project?.real.startsWith(`${real}/`) === true);
  return {
    message: `${nameAll(his)} belongs to ${who}, who could replace all that is below`,
    hint:
      project !== undefined && isAbove
        ? `move the project to a folder of your own: sudo mv ${shellWord(project.real)} "$HOME"/`
        : 'set passphrase.file, HOME and XDG_CONFIG_HOME to folders of your own',
  };
}

function rootWarning(his: readonly Seen[], who: string, { users }: Accounts, typed: readonly string[]): Problem {
  const [{ uid, gid } = { uid: 0, gid: 0 }] = his;
  const name = users.get(uid);
  // sudo does not know a user who is in no file of this machine.
  const nameless = `setpriv --reuid=${uid} --regid=${gid} --clear-groups`;
  const as = name === undefined ? nameless : `sudo -u ${shellWord(name)}`;
  return {
    message: `running as root, but ${nameAll(his)} belongs to ${who}, who can change it; what root makes there is root's`,
    hint: { run: typed, before: `to run it as ${who}: ${as}` },
  };
}

function nameAll([first, ...more]: readonly Seen[]): string {
  if (first === undefined) return '';
  const what = first.duty === 'project' ? 'the project folder ' : '';
  return `${what}${quotePath(first.path)}${more.length === 0 ? '' : ` (and ${more.length} more)`}`;
}
