// A throwaway project: a folder with settings and a HOME of its own, and the built program run in it as a user runs it.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

export const program = resolve(import.meta.dirname, '../../bin/relaycerts.js');

export interface Result {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunInput {
  readonly input?: string | Buffer;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs the program under this command (`['sh', '-c', 'umask 000; exec "$@"', 'sh']`). */
  readonly under?: readonly string[];
}

export interface Project {
  readonly folder: string;
  readonly home: string;
  /** Runs relaycerts in the folder. */
  run(args: readonly string[], input?: RunInput): Result;
  /** The same without waiting for each other. */
  start(args: readonly string[], input?: RunInput): Promise<Result>;
  path(...parts: readonly string[]): string;
  read(...parts: readonly string[]): string;
  write(path: string, content: string | Buffer): void;
  settings(settings: unknown): void;
  remove(): void;
}

/** Settings with one relay and one client, and whatever is to differ. */
export function smallSettings(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    ...change,
  };
}

/** A new project; with `null`, without settings. */
export function makeProject(settings: unknown = smallSettings()): Project {
  const root = mkdtempSync(join(tmpdir(), 'relaycerts-cli-'));
  chmodSync(root, 0o755);
  const folder = join(root, 'project');
  const home = join(root, 'home');
  mkdirSync(folder);
  mkdirSync(home);
  const spawnOf = (args: readonly string[], { env = {}, under = [] }: RunInput) => {
    const [command = process.execPath, ...rest] = [...under, process.execPath, program, ...args];
    // Nothing of the machine's own GnuPG or configuration reaches the program.
    const environment = { PATH: process.env['PATH'] ?? '', HOME: home, LANG: 'C.UTF-8', ...env };
    return { command, rest, options: { cwd: folder, env: environment } };
  };
  const project: Project = {
    folder,
    home,
    run: (args, input = {}) => {
      const { command, rest, options } = spawnOf(args, input);
      const result = spawnSync(command, rest, { ...options, input: input.input ?? '', maxBuffer: 1 << 28 });
      if (result.error !== undefined) throw result.error;
      return { status: result.status, stdout: result.stdout.toString(), stderr: result.stderr.toString() };
    },
    start: (args, input = {}) =>
      new Promise((fulfil, reject) => {
        const { command, rest, options } = spawnOf(args, input);
        const child = spawn(command, rest, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
        let [stdout, stderr] = ['', ''];
        child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
        child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
        child.on('error', reject);
        child.on('close', (status) => fulfil({ status, stdout, stderr }));
      }),
    path: (...parts) => join(folder, ...parts),
    read: (...parts) => readFileSync(join(folder, ...parts), 'utf8'),
    write: (path, content) => writeFileSync(join(folder, path), content),
    settings: (value) => writeFileSync(join(folder, 'settings.json'), JSON.stringify(value, undefined, 2)),
    remove: () => rmSync(root, { recursive: true, force: true }),
  };
  if (settings !== null) project.settings(settings);
  return project;
}

/** Every file and folder below: path -> mode, and for a file its digest and time of change; to compare two states. */
export function treeOf(folder: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const visit = (path: string, name: string): void => {
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o7777).toString(8).padStart(4, '0');
    if (stats.isDirectory()) {
      tree[`${name}/`] = mode;
      for (const entry of readdirSync(path).toSorted()) visit(join(path, entry), `${name}/${entry}`);
    } else {
      const digest = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16);
      tree[name] = `${mode} ${digest} ${stats.mtimeMs}`;
    }
  };
  for (const entry of readdirSync(folder).toSorted()) visit(join(folder, entry), entry);
  return tree;
}

/** The modes alone. */
export function modesOf(folder: string): Record<string, string> {
  return Object.fromEntries(Object.entries(treeOf(folder)).map(([name, state]) => [name, state.slice(0, 4)]));
}
