// Runs a POSIX sh script as root on a host in the settings: over the system's OpenSSH with the user's own
// configuration, agent and known hosts, or on this machine. Nothing is asked: a password or a new host key is a result,
// as is everything else that keeps the script from running. The caller interprets the script's output.

import type { HostSettings } from '../settings/settings.js';
import { textWord } from '../shell-word.js';
import type { RunOptions, RunResult } from '../sys/run.js';
import type { Sys } from '../sys/sys.js';
import { RelaycertsError, systemCode } from '../errors.js';
import { sshFailureOf, type SshFailure } from './ssh-words.js';

/** A script that ran to its end, successfully or not, or was stopped because it wrote too much; or why it did not start, in ssh's or sudo's own words. */
export type Outcome =
  | { readonly kind: 'ran'; readonly status: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: SshFailure | 'slow'; readonly words: string };

/** The words for a login that ended and said nothing, as a shell that runs no commands does. */
export const saidNothing = (status: number | null): string =>
  `the login ended with ${status ?? 'a signal'}, and ran no script`;

export interface ScriptRun {
  readonly script: string;
  /** Seconds for everything, including the connection. */
  readonly seconds: number;
}

/** Seconds until a host that does not answer counts as unreachable. */
const connectSeconds = 10;
/** Seconds between two questions whether a host is still there; ssh gives up after three without an answer. */
const aliveSeconds = 10;

/** Hosts that are worked on in parallel. */
export const mostAtOnce = 8;

/**
 * Runs a script on a host.
 * @throws tool - ssh is missing here
 */
export function runOnHost(host: HostSettings, { script, seconds }: ScriptRun, sys: Sys): Promise<Outcome> {
  return outcomeOf(shellOn(host), { input: Buffer.from(script), timeoutMs: seconds * 1000 }, sys);
}

export interface Feeding extends ScriptRun {
  /** For the script's stdin. */
  readonly input: Uint8Array;
  readonly answer: NonNullable<RunOptions['answer']>;
}

/**
 * Runs a short script with an input of its own, which follows it on standard input, and answers its output.
 * @throws tool - ssh is missing here
 */
export function feedHost(host: HostSettings, { script, seconds, input, answer }: Feeding, sys: Sys): Promise<Outcome> {
  const all = Buffer.concat([Buffer.from(script), input]);
  return outcomeOf(shellOn(host, Buffer.byteLength(script)), { input: all, answer, timeoutMs: seconds * 1000 }, sys);
}

async function outcomeOf(
  [command, ...args]: readonly [string, ...string[]],
  options: RunOptions & { readonly timeoutMs: number },
  sys: Sys,
): Promise<Outcome> {
  let result: RunResult;
  try {
    result = await sys.run(command, args, options);
  } catch (error) {
    // One host must not end the work on all others.
    if (error instanceof RelaycertsError && error.code === 'tool') {
      return { kind: 'ran', status: 1, stdout: '', stderr: error.message };
    }
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new RelaycertsError('tool', `${command} is not installed here`, {
      hint: command === 'ssh' ? 'install it: apt-get install openssh-client' : 'run this as root',
      cause: error,
    });
  }
  const { status, stderr } = result;
  if (status === 'late') return { kind: 'slow', words: String(options.timeoutMs / 1000) };
  if (status === null) {
    return { kind: 'ran', status: 1, stdout: result.stdout.toString(), stderr: `${stderr}\n${command} was killed` };
  }
  const failure = sshFailureOf(status, stderr);
  return failure ?? { kind: 'ran', status, stdout: result.stdout.toString(), stderr };
}

/**
 * The words that start a root shell on a host, which reads a script from standard input; with `octets` only so many, and
 * leaves the rest to the script. A login shell other than POSIX sh (csh, fish) sees only words that it reads alike.
 */
export function shellOn({ ssh }: HostSettings, octets?: number): readonly [string, ...string[]] {
  const shell = ssh.needsSudo ? sudo : (['sh'] as const);
  // A shell itself, or head -c of busybox, may read more from a pipe.
  const begin = `eval "$(dd bs=1 count=${octets} 2>/dev/null)"`;
  if (ssh.isLocal) return octets === undefined ? shell : [...shell, '-c', begin];
  const { user, host, port } = ssh;
  const options = [
    'BatchMode=yes',
    // What the user's configuration may ask of a login by hand.
    'RemoteCommand=none',
    'ClearAllForwardings=yes',
    `ConnectTimeout=${connectSeconds}`,
    `ServerAliveInterval=${aliveSeconds}`,
  ].flatMap((one) => ['-o', one]);
  const place = [...(port === 22 ? [] : ['-p', String(port)]), `${user}@${host}`];
  const words = octets === undefined ? shell : [...shell, '-c', textWord(begin)];
  return ['ssh', '-T', '-a', '-x', ...options, ...place, words.join(' ')];
}

/** sudo uses the user's language, and its messages are parsed. */
const sudo = ['env', 'LC_ALL=C', 'sudo', '-n', 'sh'] as const;
