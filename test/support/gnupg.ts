// Throwaway GnuPG homes for tests, driven by the same function that runs gpg in the program. The path is short, for
// the sockets of gpg-agent; disposing ends the agent and removes the home.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect } from 'vitest';
import { RelaycertsError, renderHint, type ErrorCode } from '../../src/errors.js';
import { run as runProgram, type Run } from '../../src/sys/run.js';
import type { Secret } from '../../src/secret.js';
import { requireTools } from './require-tools.js';

export interface KeyRequest {
  readonly userId: string;
  /** As for `gpg --quick-generate-key`; `future-default` is Ed25519 with Cv25519. */
  readonly algorithm?: string;
  readonly usage?: string;
  readonly expire?: string;
  readonly password?: string;
  /** `gpg --faked-system-time`: 20200101T000000 */
  readonly madeAt?: string;
  /** The algorithm of an encryption subkey to add, for primary keys that cannot encrypt. */
  readonly subkey?: string;
  readonly subkeyExpire?: string;
}

export interface Gnupg {
  readonly home: string;
  /** The program's own `run`, with this home. */
  readonly run: Run;
  /** Runs gpg for a test's own purposes and returns its stdout. @throws Error if gpg fails */
  readonly gpg: (args: readonly string[], input?: string | Uint8Array) => Buffer;
  /** Makes a key and returns its fingerprint. */
  readonly makeKey: (request: KeyRequest) => string;
  /** Answers gpg-agent's questions: a passphrase, or undefined to cancel. */
  readonly answerPinentry: (answer: string | undefined) => void;
  readonly configureAgent: (lines: readonly string[]) => void;
  readonly forgetPasswords: () => void;
  readonly dispose: () => void;
}

/** A new, empty GnuPG home. @throws Error naming the Debian package if gpg is missing */
export function makeGnupg(): Gnupg {
  requireTools('gpg');
  const home = mkdtempSync('/tmp/rcg-');
  chmodSync(home, 0o700);
  const env = { ...process.env, GNUPGHOME: home, LC_ALL: 'C.UTF-8' };
  const gpg: Gnupg['gpg'] = (args, input) => {
    const { status, stdout, stderr } = spawnSync('gpg', ['--batch', '--quiet', ...args], { env, input: input ?? '' });
    if (status !== 0) throw new Error(`gpg ${args.join(' ')}: ${stderr.toString()}`);
    return stdout;
  };
  const forgetPasswords = (): void => {
    spawnSync('gpgconf', ['--kill', 'gpg-agent'], { env });
    // It ends a little later, and until then a new gpg would connect to it and lose it.
    const socket = spawnSync('gpgconf', ['--list-dirs', 'agent-socket'], { env }).stdout.toString().trim();
    for (const end = Date.now() + 10_000; existsSync(socket) && Date.now() < end;) spawnSync('sleep', ['0.01']);
  };
  const configureAgent = (lines: readonly string[]): void => {
    writeFileSync(join(home, 'gpg-agent.conf'), `${lines.join('\n')}\n`);
    forgetPasswords();
  };
  return {
    home,
    run: (command, args, options) =>
      runProgram(command, args, { ...options, env: { GNUPGHOME: home, ...options.env } }),
    gpg,
    makeKey: (request) => makeKey(gpg, request),
    answerPinentry: (answer) => {
      configureAgent([`pinentry-program ${writePinentry(home, answer)}`]);
    },
    configureAgent,
    forgetPasswords,
    dispose: () => {
      forgetPasswords();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function makeKey(gpg: Gnupg['gpg'], request: KeyRequest): string {
  const { userId, algorithm = 'future-default', usage = 'default', expire = 'never', password = '' } = request;
  const common = [
    '--pinentry-mode',
    'loopback',
    '--passphrase',
    password,
    // "!" stops the clock: a subkey that seems a second older than its key is refused.
    ...(request.madeAt === undefined ? [] : ['--faked-system-time', `${request.madeAt}!`]),
  ];
  const before = new Set(fingerprints(gpg));
  gpg([...common, '--quick-generate-key', userId, algorithm, usage, expire]);
  const made = fingerprints(gpg).find((fingerprint) => !before.has(fingerprint));
  if (made === undefined) throw new Error(`gpg made no key for ${userId}`);
  if (request.subkey !== undefined) {
    gpg([...common, '--quick-add-key', made, request.subkey, 'encr', request.subkeyExpire ?? 'never']);
  }
  return made;
}

function fingerprints(gpg: Gnupg['gpg']): readonly string[] {
  return [
    ...gpg(['--with-colons', '--list-keys'])
      .toString()
      .matchAll(/^pub:.*\nfpr:+([0-9A-F]+):/gmu),
  ].map((match) => match[1] ?? '');
}

/** A pinentry that gives one answer, and records what the agent told it about the terminal. */
function writePinentry(home: string, answer: string | undefined): string {
  const file = join(home, 'pinentry');
  const reply =
    answer === undefined ? 'echo "ERR 83886179 Operation cancelled <Pinentry>"' : `printf 'D %s\\nOK\\n' '${answer}'`;
  writeFileSync(
    file,
    `#!/bin/sh
echo "OK ready"
while read -r word rest; do
  case $word in
    GETPIN) ${reply} ;;
    BYE) echo OK; exit ;;
    *) printf '%s %s\\n' "$word" "$rest" >> '${join(home, 'pinentry.log')}'; echo OK ;;
  esac
done
`,
    { mode: 0o700 },
  );
  return file;
}

/**
 * Asserts that `work` fails with one clear line and a hint, and that nothing printable in the error, including its
 * causes and stacks, contains any of the secrets.
 */
export async function expectRefusal(
  work: () => unknown,
  code: ErrorCode,
  message: RegExp,
  hint: RegExp,
  secrets: readonly string[] = [],
): Promise<RelaycertsError> {
  const error = await (async () => work())().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(RelaycertsError);
  if (!(error instanceof RelaycertsError)) throw new Error('not reached');
  expect(error.message).toMatch(message);
  expect(error.code).toBe(code);
  const said = renderHint(error.hint ?? '', 'relaycerts');
  expect(said).toMatch(hint);
  for (const line of [error.message, said]) {
    expect(line).toMatch(/^[^\n\r]+[^.\n\r]$/u);
    expect(line).toMatch(/^(?:[a-z"-]|GnuPG|OpenPGP)/u);
  }
  const printed = inspect(error, { depth: 10, showHidden: true });
  for (const secret of secrets) expect(printed).not.toContain(secret);
  return error;
}

/** A secret's text, for comparing. */
export function reveal(secret: Secret): string {
  return secret.revealText();
}
