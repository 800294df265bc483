// Runs a script of POSIX sh as root on a host of the settings: over the system's OpenSSH with the user's own
// configuration, agent and known hosts, or on this machine. Nothing is asked: a password or a new host key is an outcome,
// as is everything else that keeps the script from running. What the script says is the caller's business.

import type { HostSettings } from '../settings/settings.js';
import type { RunResult } from '../sys/run.js';
import type { Sys } from '../sys/sys.js';
import { RelaycertsError, systemCode } from '../errors.js';
import { sshFailureOf, type SshFailure } from './ssh-words.js';

/** A script that ran to its end, whatever that was, or why it did not begin, in ssh's or sudo's own words. */
export type Outcome =
  | { readonly kind: 'ran'; readonly status: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: SshFailure | 'slow'; readonly words: string };

export interface ScriptRun {
  readonly script: string;
  /** Seconds for all of it, the connection included. */
  readonly seconds: number;
}

/** Seconds until a host that does not answer counts as unreachable. */
const connectSeconds = 10;

/** Hosts that are worked on at the same time. */
export const mostAtOnce = 8;

/**
 * Runs a script on a host.
 * @throws tool - there is no ssh here, or the host wrote too much
 */
export async function runOnHost(host: HostSettings, { script, seconds }: ScriptRun, sys: Sys): Promise<Outcome> {
  const [command, ...args] = shellOn(host);
  let result: RunResult;
  try {
    result = await sys.run(command, args, { input: Buffer.from(script), timeoutMs: seconds * 1000 });
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    throw new RelaycertsError('tool', `${command} is not installed here`, {
      hint: command === 'ssh' ? 'install it: apt-get install openssh-client' : 'run this as root',
      cause: error,
    });
  }
  const { status, stderr } = result;
  if (status === null) return { kind: 'slow', words: String(seconds) };
  const failure = sshFailureOf(status, stderr);
  return failure ?? { kind: 'ran', status, stdout: result.stdout.toString(), stderr };
}

/** The words that start root's shell on a host; it reads its script from standard input. */
export function shellOn(host: HostSettings): readonly [string, ...string[]] {
  return host.ssh.isLocal ? localShell(host) : sshShell(host);
}

/** sudo speaks the user's language, and what it says is read. */
const sudo = ['env', 'LC_ALL=C', 'sudo', '-n', 'sh'] as const;

function localShell({ ssh }: HostSettings): readonly [string, ...string[]] {
  return ssh.needsSudo ? sudo : ['sh'];
}

function sshShell({ ssh: { user, host, port, needsSudo } }: HostSettings): readonly [string, ...string[]] {
  const options = ['BatchMode=yes', `ConnectTimeout=${connectSeconds}`].flatMap((one) => ['-o', one]);
  const place = [...(port === 22 ? [] : ['-p', String(port)]), `${user}@${host}`];
  return ['ssh', '-T', ...options, ...place, needsSudo ? sudo.join(' ') : 'sh'];
}
