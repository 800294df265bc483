// Users and groups of this machine, only from /etc/passwd and /etc/group: Node has no getgrgid(3), and running getent
// at every start would be slow. Accounts of a directory service (LDAP) are not known here, and messages say so.

import { readFileSync } from 'node:fs';

export interface Accounts {
  /** uid -> name. */
  readonly users: ReadonlyMap<number, string>;
  /** gid -> name. */
  readonly groups: ReadonlyMap<number, string>;
  /** gid -> uids; NaN for a member that is not a user of this machine. */
  readonly members: ReadonlyMap<number, ReadonlySet<number>>;
}

/** passwd(5) and group(5); malformed lines are skipped. A group's members are those of either file. */
export function parseAccounts(passwd: string, group: string): Accounts {
  const users = new Map<number, string>();
  const uids = new Map<string, number>();
  const groups = new Map<number, string>();
  const members = new Map<number, Set<number>>();
  const join = (gid: number, uid: number): void => {
    members.set(gid, (members.get(gid) ?? new Set()).add(uid));
  };
  for (const [name = '', , uid = '', gid = ''] of fieldsOf(passwd)) {
    if (!/^\d+$/u.test(uid) || !/^\d+$/u.test(gid)) continue;
    // If two accounts have one uid, getpwuid(3) returns the first.
    if (!users.has(Number(uid))) users.set(Number(uid), name);
    uids.set(name, Number(uid));
    join(Number(gid), Number(uid));
  }
  for (const [name = '', , gid = '', list = ''] of fieldsOf(group)) {
    if (!/^\d+$/u.test(gid)) continue;
    groups.set(Number(gid), name);
    for (const member of list.split(',').filter((one) => one !== '')) join(Number(gid), uids.get(member) ?? Number.NaN);
  }
  return { users, groups, members };
}

function fieldsOf(text: string): readonly (readonly string[])[] {
  return text.split('\n').map((line) => line.trim().split(':'));
}

/** This machine's accounts; empty if a file cannot be read. */
export function readAccounts(): Accounts {
  return parseAccounts(readIfReadable('/etc/passwd'), readIfReadable('/etc/group'));
}

function readIfReadable(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
