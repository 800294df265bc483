// One sync of a whole file system instead of one for each of many files: a tenth of the time for a fleet. Node has no
// syncfs(2), so sync(1) of coreutils does it. Since Linux 5.8 it fails if something could not be written.

import { readdirSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { statIfThere, unlessMissing } from './missing.js';

/**
 * Makes durable what is on the file systems of these paths. Returns the paths that are left to sync one by one: a
 * folder of each file system, which shows whether it can sync folders at all, or all paths if it cannot be done here.
 * @throws Error with the code EIO
 */
export async function syncFileSystems(paths: readonly string[]): Promise<readonly string[]> {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  if (process.platform !== 'linux' || major < 5 || (major === 5 && minor < 8)) return paths;
  const folders = new Map<number, string>();
  const files = new Map<number, string>();
  for (const path of withoutPlainFiles(paths)) {
    const stats = statIfThere(path);
    // A link may point elsewhere.
    if (stats?.isSymbolicLink() === true) return paths;
    if (stats !== undefined) (stats.isDirectory() ? folders : files).set(stats.dev, path);
  }
  const each = [...new Map([...files, ...folders]).values()];
  if (each.length === 0) return [];
  const { status, stderr } = await runSync(each);
  if (status === 0) return [...folders.values()];
  // No such program, or one without this option.
  if (status === undefined || /option|usage/iu.test(stderr)) return paths;
  throw Object.assign(new Error(stderr.trim()), { code: 'EIO' });
}

/**
 * The paths, but only one of the files in each folder: the folder's list shows which names are files, and a look at
 * each would take longer.
 */
function withoutPlainFiles(paths: readonly string[]): readonly string[] {
  const byFolder = new Map<string, string[]>();
  for (const path of paths) {
    const folder = dirname(path);
    const group = byFolder.get(folder);
    if (group === undefined) byFolder.set(folder, [path]);
    else group.push(path);
  }
  return [...byFolder].flatMap(([folder, group]) => {
    // Folders are looked at one by one anyway, and those of a fleet make a long list.
    if (group.length < manyFiles || statIfThere(group[0] ?? '')?.isFile() !== true) return group;
    const entries = unlessMissing(() => readdirSync(folder, { withFileTypes: true })) ?? [];
    const files = new Set(entries.flatMap((entry) => (entry.isFile() ? [`${folder}/${entry.name}`] : [])));
    const plain = group.filter((path) => files.has(path));
    return [...plain.slice(0, 1), ...group.filter((path) => !files.has(path))];
  });
}

const manyFiles = 16;

async function runSync(paths: readonly string[]): Promise<{ status: number | null | undefined; stderr: string }> {
  // See flock.ts.
  const { spawn } = await import('node:child_process');
  return new Promise((resolve) => {
    const env = { ...process.env, LC_ALL: 'C' };
    const child = spawn('sync', ['-f', '--', ...paths], { stdio: ['ignore', 'ignore', 'pipe'], env });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.on('error', () => {
      resolve({ status: undefined, stderr });
    });
    child.on('close', (status) => {
      resolve({ status, stderr });
    });
  });
}
