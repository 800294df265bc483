// Runs openssl, certtool, keytool and NSS's tools for the tests, and keeps their files in a folder that is removed at
// the end. A missing program fails the test with the Debian package that has it.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const packages = {
  openssl: 'openssl',
  certtool: 'gnutls-bin',
  keytool: 'default-jre-headless',
  java: 'default-jre-headless',
  certutil: 'libnss3-tools',
  pk12util: 'libnss3-tools',
} as const;

export interface ToolResult {
  readonly status: number;
  readonly stdout: string;
  readonly bytes: Buffer;
  readonly stderr: string;
}

/** Runs the program to its end, whatever its exit code. */
export function runTool(
  program: keyof typeof packages,
  args: readonly string[],
  input: string | Uint8Array = '',
): ToolResult {
  // keytool would use the user's language otherwise; and no setting of the machine may influence the test.
  const environment = { PATH: process.env['PATH'], HOME: tmpdir(), LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  const run = spawnSync(program, [...args], { input, env: environment, maxBuffer: 16 * 2 ** 20 });
  if (run.error !== undefined) {
    throw new Error(`${program} cannot be run: apt-get install ${packages[program]}`, { cause: run.error });
  }
  return {
    status: run.status ?? -1,
    stdout: run.stdout.toString('utf8'),
    bytes: run.stdout,
    stderr: run.stderr.toString('utf8'),
  };
}

/** Runs openssl and returns its stdout; a failure fails the test. */
export function openssl(args: readonly string[], input: string | Uint8Array = ''): string {
  const { status, stdout, stderr } = runTool('openssl', args, input);
  if (status !== 0) throw new Error(`openssl ${args.join(' ')} exited ${status}: ${stderr}`);
  return stdout;
}

/** The same, with its message about a signature, which is on stderr in OpenSSL 3.0 and on stdout in 3.5. */
export function verified(args: readonly string[], input: string | Uint8Array = ''): string {
  const { status, stdout, stderr } = runTool('openssl', args, input);
  if (status !== 0) throw new Error(`openssl ${args.join(' ')} exited ${status}: ${stderr}`);
  return `${stdout}${stderr}`;
}

/** A folder for the files that the programs want. */
export interface Scratch {
  /** Writes a file (0600) and returns its path. */
  readonly write: (name: string, contents: string | Uint8Array) => string;
  readonly path: (name: string) => string;
  readonly remove: () => void;
}

export function makeScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'relaycerts-x509-'));
  const path = (name: string): string => join(folder, name);
  return {
    path,
    write(name, contents) {
      writeFileSync(path(name), contents, { mode: 0o600 });
      return path(name);
    },
    remove() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
