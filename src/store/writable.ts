// Whether files can be made in folders at all, and the command after which they can.

import { quotePath, type Problem } from '../errors.js';
import { findMount, unwritable } from '../sys/file-system.js';
import { statFile } from '../sys/files.js';
import { shellWord } from '../shell-word.js';

/** One problem at most: a file system that is read-only is so for all of them. A missing folder stands for its parent. */
export async function findUnwritable(paths: readonly string[], uid: number): Promise<readonly Problem[]> {
  const found = (await Promise.all(paths.map(unwritable))).filter((flaw) => flaw !== undefined);
  const [first] = found;
  if (first === undefined) return [];
  const { folder, code } = first;
  if (code === 'EROFS') return [await describeReadOnly(folder, uid)];
  const state = await statFile(folder);
  const mode = state?.mode.toString(8).padStart(4, '0') ?? '?';
  const message = `cannot write in ${quotePath(folder)}: permission denied (mode ${mode}, uid ${state?.uid ?? '?'})`;
  const all = [...new Set(found.map((flaw) => flaw.folder))].map(shellWord).join(' ');
  // Only an attribute keeps root out (EPERM).
  if (uid === 0) return [{ message, hint: `chattr -i ${all}` }];
  return [{ message, hint: state?.uid === uid ? `chmod u+rwx ${all}` : `sudo chown ${uid} ${all}` }];
}

async function describeReadOnly(folder: string, uid: number): Promise<Problem> {
  const mount = await findMount(folder);
  const point = mount?.point ?? folder;
  return {
    message: `cannot write in ${quotePath(folder)}: the file system at ${quotePath(point)} is read-only`,
    hint: `${uid === 0 ? '' : 'sudo '}mount -o remount,${mount?.isOfMount === true ? 'bind,' : ''}rw ${shellWord(point)}`,
  };
}
