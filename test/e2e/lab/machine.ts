// One machine of the lab: a process that holds network, mount, UTS, IPC and PID namespaces, and a way to run programs
// and to read and write files inside. It knows nothing about mail.
//
// Everything that a machine writes goes to memory (tmpfs) that only it sees; the rest of the file system is read-only
// for it. The holder waits for the end of its standard input: when this Node process ends, for whatever reason, the
// holder ends too, and the kernel removes every process, mount and interface of the machine. Nothing can be left
// behind.

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFile, readdir, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * How long the lab waits for something that must happen, in milliseconds: long, because the machine may be busy, and
 * less than Postfix waits until it tries a mail again by itself.
 */
export const patienceMs = 240_000;
/** The same for a program, which may do the work of many waits. */
export const programMs = 900_000;

export interface ExecOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds until the call fails; `programMs` if not given. */
  readonly timeoutMs?: number;
  /** Resolve whatever the exit code is, instead of rejecting unless it is 0. */
  readonly anyExit?: boolean;
}

export interface ExecResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The account that programs on a machine run as. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly home: string;
  readonly path: string;
}

export const rootAccount: Account = {
  name: 'root',
  uid: 0,
  home: '/root',
  path: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

// PID 1 of a machine. A shell that waits for a child also reaps the machine's orphans; `cat` alone would not.
const holderScript = `set -eu
cd /
read -r pid rest < /proc/self/stat
echo "pid $pid"
mount -t proc proc /proc
mount -t tmpfs -o mode=0755 lab /mnt
cp -a /etc/. /mnt
mount --move /mnt /etc
mount -t tmpfs -o mode=0755 lab /run
mkdir -m 0700 /run/lab
mkdir -m 1777 /run/lock
if [ -n "$2" ]; then
  mkdir /run/lab/checkout
  mount --bind "$2" /run/lab/checkout
  mount -o remount,bind,ro /run/lab/checkout
  : > /run/lab/node
  mount --bind "$3" /run/lab/node
  mount -t tmpfs -o mode=0755 lab /opt
  mkdir /opt/relaycerts /opt/bin
  mount --move /run/lab/checkout /opt/relaycerts
  : > /opt/bin/node
  mount --move /run/lab/node /opt/bin/node
  # A link, as npm install -g makes one.
  ln -s /opt/relaycerts/bin/relaycerts.js /opt/bin/relaycerts
fi
mount -t tmpfs -o mode=0755 lab /var
mkdir -p /var/cache /var/lib /var/log /var/spool/cron
mkdir -m 1777 /var/tmp
mkdir -m 2775 /var/mail
chgrp mail /var/mail
ln -s ../mail /var/spool/mail
ln -s /run /var/run
ln -s /run/lock /var/lock
mount -t tmpfs -o mode=0755 lab /home
mount -t tmpfs -o mode=0700 lab /root
mount -t tmpfs -o mode=1777 lab /tmp
mount -t tmpfs -o mode=1777 lab /dev/shm
mount -o remount,bind,ro /
rm -f /etc/hostname /etc/hosts /etc/resolv.conf /etc/nsswitch.conf
hostname "$1"
echo "$1" > /etc/hostname
ip link set lo up
echo ready
cat > /dev/null
exit 0
`;

/** What a call resolves with, or this if the file or folder does not exist. */
async function orWithout<Answer>(call: Promise<Answer>, otherwise: Answer): Promise<Answer> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return otherwise;
    throw error;
  }
}

/** Asks again every 15 ms until the answer is not undefined; undefined after the time limit. */
export async function poll<Answer>(
  ask: () => Promise<Answer | undefined>,
  timeoutMs: number,
): Promise<Answer | undefined> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined || performance.now() > end) return answer;
    await sleep(15);
  }
}

/** A running machine; make one with `bootMachine`. */
export class Machine {
  readonly hostname: string;
  readonly account: Account;
  /** The process ID of the machine's PID 1, as this process sees it. */
  readonly pid: number;
  /** The PID namespace (`pid:[4026532...]`): what `/proc/PID/ns/pid` of each of its processes says. */
  readonly namespace: string;
  readonly #holder: ChildProcess;

  constructor(hostname: string, account: Account, pid: number, namespace: string, holder: ChildProcess) {
    this.hostname = hostname;
    this.account = account;
    this.pid = pid;
    this.namespace = namespace;
    this.#holder = holder;
  }

  /** Runs a program as the machine's account, in its home folder, with an environment independent of the tests'. */
  exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    return this.execAs(this.account, argv, options);
  }

  /** Runs a program as another account of the machine; see `exec`. */
  async execAs(account: Account, argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const { command, env } = this.within(account, argv);
    const result = await runProcess(command, { ...env, ...options.env }, options);
    if (result.code !== 0 && options.anyExit !== true) {
      throw new Error(
        `${this.hostname}: exit ${result.code} of: ${argv.join(' ').slice(0, 2000)}\n${result.stdout}${result.stderr}`,
      );
    }
    return result;
  }

  /** The command and the whole environment that run a program as an account of the machine, in its home folder. */
  within(
    account: Account,
    argv: readonly string[],
  ): { readonly command: readonly [string, ...string[]]; readonly env: Readonly<Record<string, string>> } {
    // The holder's root as well: in a chroot, the mount namespace alone would lead to the real machine's files.
    const enter = ['--target', String(this.pid), '--mount', '--root', '--wd', '--uts', '--ipc', '--net', '--pid'];
    if (account.uid !== 0) enter.push(`--setuid=${account.uid}`, `--setgid=${account.uid}`);
    const env = {
      PATH: account.path,
      HOME: account.home,
      USER: account.name,
      LOGNAME: account.name,
      SHELL: '/bin/sh',
      LANG: 'C.UTF-8',
    };
    return { command: ['nsenter', ...enter, '--', 'sh', '-c', 'umask 022; cd && exec "$@"', 'sh', ...argv], env };
  }

  /** Runs a POSIX shell script as the machine's account. */
  sh(script: string, options: ExecOptions = {}): Promise<ExecResult> {
    return this.exec(['sh', '-c', script], options);
  }

  /** The file's text. */
  async readFile(path: string): Promise<string> {
    return (await this.exec(['cat', '--', path])).stdout;
  }

  /**
   * The file's text, or '' if there is no file. It starts no program, so it may be called often; the path must not lead
   * through an absolute symbolic link, which would be followed on the real machine.
   */
  peek(path: string): Promise<string> {
    return orWithout(readFile(this.#outside(path), 'utf8'), '');
  }

  /** The paths of the files below a folder, as `peek` takes them; none if there is no folder. */
  async peekBelow(folder: string): Promise<readonly string[]> {
    const entries = await orWithout(readdir(this.#outside(folder), { withFileTypes: true, recursive: true }), []);
    const prefix = this.#outside('');
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => `${entry.parentPath}/${entry.name}`.slice(prefix.length));
  }

  /** Where this process sees a file of the machine. */
  #outside(path: string): string {
    return `/proc/${this.pid}/root${path}`;
  }

  /** Writes a file, making its folders. `mode` is octal digits. */
  async writeFile(path: string, content: string | Uint8Array, mode = '0644'): Promise<void> {
    const script = 'mkdir -p -- "$(dirname -- "$1")" && umask 077 && cat > "$1" && chmod "$2" -- "$1"';
    await this.exec(['sh', '-c', script, 'sh', path, mode], { input: content });
  }

  async exists(path: string): Promise<boolean> {
    return (await this.exec(['test', '-e', path], { anyExit: true })).code === 0;
  }

  /** Ends every process of the machine and waits until they are gone. */
  async powerOff(): Promise<void> {
    const holder = this.#holder;
    if (holder.exitCode !== null || holder.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
    holder.stdin?.end();
    // PID 1 and not the holder, which is gone before what it holds; the holder waits for PID 1, and PID 1 for the rest.
    const timer = setTimeout(() => process.kill(this.pid, 'SIGKILL'), 10_000);
    await gone;
    clearTimeout(timer);
  }
}

export interface BootOptions {
  readonly hostname: string;
  readonly account?: Account;
  /** The absolute path of the checkout, for a machine that runs relaycerts: at /opt/relaycerts, with node in /opt/bin. */
  readonly checkout?: string;
}

/** Starts a machine with a loopback interface and nothing else running. */
export async function bootMachine({ hostname, account = rootAccount, checkout = '' }: BootOptions): Promise<Machine> {
  const label = hostname.split('.')[0] ?? hostname;
  const namespaces = ['--net', '--mount', '--uts', '--ipc', '--pid', '--propagation', 'private'];
  const [program, ...args] = [
    'unshare',
    ...namespaces,
    '--fork',
    '--kill-child=KILL',
    '--',
    'sh',
    '-c',
    holderScript,
  ] as const;
  const holder = spawn(program, [...args, 'sh', label, checkout, process.execPath], {
    // A process group of its own: Ctrl-C reaches only Node, whose end then ends the machine.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: rootAccount.path },
  });
  const pid = await new Promise<number>((resolve, reject) => {
    let stdout = '';
    let stderr = '';
    holder.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString();
      if (stdout.endsWith('ready\n')) resolve(Number(/^pid (\d+)$/m.exec(stdout)?.[1]));
    });
    holder.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    holder.once('error', reject);
    holder.once('close', () => reject(new Error(`the lab cannot start ${hostname}: ${stderr.trim()}`)));
    // An early exit closes the pipe that powerOff ends.
    holder.stdin.on('error', () => undefined);
  });
  return new Machine(hostname, account, pid, await readlink(`/proc/${pid}/ns/pid`), holder);
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}

/** Runs a process on the real machine; resolves whatever its exit code is (255 if a signal ended it). */
export async function runProcess(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
  { input, timeoutMs = programMs }: ExecOptions,
): Promise<ExecResult> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'pipe'] });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.stdout.destroy();
      child.stderr.destroy();
      reject(new Error(`no end after ${timeoutMs} ms: ${argv.join(' ')}\n${textOf(stdout)}${textOf(stderr)}`));
    }, timeoutMs);
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    // A program may end without reading its input.
    child.stdin.on('error', () => undefined);
    child.once('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code: code ?? 255, stdout: textOf(stdout), stderr: textOf(stderr) });
    });
    child.stdin.end(input);
  });
}
