// Finds out why ssh or sudo did not run a script, by their own messages: OpenSSH's are English in every locale, sudo
// runs with LC_ALL=C. Pure.

export type SshFailure = 'unreachable' | 'host-key' | 'denied' | 'no-sudo';

/** The first match wins. @source OpenSSH 8.4 to 10.0: ssh.c, sshconnect.c, sshconnect2.c, packet.c; sudo 1.9 */
const words: readonly (readonly [SshFailure, RegExp])[] = [
  [
    'host-key',
    /host identification has changed|host key verification failed|no \S+ host key is known|host key .*revoked/iu,
  ],
  ['denied', /permission denied|too many authentication failures|no supported authentication methods/iu],
  [
    'unreachable',
    /could not resolve hostname|connection (?:refused|timed out|closed|reset)|no route to host|network is unreachable|operation timed out|kex_exchange_identification|connection to .* timed out|broken pipe|banner exchange/iu,
  ],
];
const sudoWords = /^sudo: |^env: .?sudo|sudo: (?:command )?not found/mu;
/** A script that ran and failed: sudo may have warned before it (unable to resolve host). */
const scriptWords = /^relaycerts: /mu;

/** Undefined if the script ran: its own status and output are then the result. */
export function sshFailureOf(
  status: number,
  stderr: string,
): { readonly kind: SshFailure; readonly words: string } | undefined {
  if (status === 255) {
    const kind = words.find(([, pattern]) => pattern.test(stderr))?.[0] ?? 'unreachable';
    return { kind, words: lineOf(stderr, words.find(([one]) => one === kind)?.[1]) };
  }
  if (status !== 0 && sudoWords.test(stderr) && !scriptWords.test(stderr))
    return { kind: 'no-sudo', words: lineOf(stderr, sudoWords) };
  return undefined;
}

/** The line with the reason; ssh may print a banner of the host before it. */
function lineOf(stderr: string, pattern: RegExp | undefined): string {
  const lines = stderr.split('\n').map((line) => line.trim());
  const found = lines.find((line) => pattern?.test(line) === true) ?? lines.findLast((line) => line !== '');
  return found ?? 'ssh ended with 255';
}
