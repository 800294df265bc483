// The passphrase reaches no argument, no environment, no plaintext file and no log: seen in the system calls of the
// program and of every program that it starts, and in what is on the disk afterwards. Each trace also has to show what
// it must show, so that an empty one cannot pass.

import { spawnSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeGnupg, type Gnupg } from '../support/gnupg.js';
import { makeProject, smallSettings, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { joinedLines } from '../support/strace.js';

let gnupg: Gnupg;
let project: Project;
beforeAll(() => {
  requireTools('strace');
  gnupg = makeGnupg();
  gnupg.makeKey({ userId: 'alice@example.org' });
});
afterAll(() => {
  gnupg.dispose();
});
beforeEach(() => {
  project = makeProject(smallSettings({ passphrase: { recipients: ['alice@example.org'] } }));
  mkdirSync(temporary());
  // A daemon that the trace would wait for; it handles session keys, and never sees the passphrase.
  spawnSync('gpgconf', ['--launch', 'gpg-agent'], { env: { ...process.env, GNUPGHOME: gnupg.home } });
});
afterEach(() => {
  project.remove();
});

const second = { smtpClients: [{ hostname: 'mailhost' }, { hostname: 'second' }] };
const temporary = (): string => join(project.home, 'tmp');
/** What writes or hands over bytes or names; whatever a program is given at its start. */
const calls = [
  'execve,execveat,write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,sendfile,splice,vmsplice',
  'read,readv,pread64,recvfrom,recvmsg,open,openat,rename,renameat,renameat2,link,linkat,symlink,mkdir,unlink',
];

interface Traced extends Result {
  readonly lines: readonly string[];
}

function traced(args: readonly string[], input = '', options: readonly string[] = []): Traced {
  const file = join(project.folder, '..', 'trace');
  const strace = ['strace', '-f', '-qq', '-v', '-yy', '-s', '1000000', '-o', file];
  strace.push('-e', `trace=${calls.join(',')}`, ...options);
  const env = { GNUPGHOME: gnupg.home, TMPDIR: temporary(), UV_USE_IO_URING: '0' };
  const result = project.run([...args, '--verbose'], { under: strace, env, input });
  expect(result.status, result.stderr).toBe(0);
  const lines = joinedLines(readFileSync(file, 'latin1'));
  rmSync(file);
  return { ...result, lines };
}

/** The lines that hold the secret; all of them reads and writes of pipes and sockets between the programs. */
function linesWith({ lines, stdout, stderr }: Traced, secret: string): readonly string[] {
  expect(stdout + stderr).not.toContain(secret);
  const found = lines.filter((line) => line.includes(secret));
  for (const line of found) {
    const [, call, target] = /^\d+ +(\w+)\(\d+<([^>]*)/u.exec(line) ?? [];
    expect(['read', 'write', 'readv', 'writev', 'recvmsg', 'sendmsg', 'recvfrom', 'sendto'], line).toContain(call);
    expect(target, line).toMatch(/^(?:pipe|UNIX|UNIX-STREAM|socket):/u);
  }
  return found;
}

const isStarted = ({ lines }: Traced, name: string): boolean =>
  lines.some((line) => / execve\("[^"]*"/u.test(line) && line.includes(`/${name}"`) && line.endsWith(' = 0'));

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats?.isDirectory() === true) return filesBelow(path);
    return stats?.isFile() === true ? [path] : [];
  });
}

function expectOnNoDisk(secret: string | Buffer): void {
  const files = [...filesBelow(join(project.folder, '..')), ...filesBelow(gnupg.home)];
  expect(files.length).toBeGreaterThan(10);
  for (const file of files) expect(readFileSync(file).includes(secret), file).toBe(false);
  expect(filesBelow(temporary())).toEqual([]);
}

function shown(): string {
  return project.run(['passphrase', 'show', '--yes'], { env: { GNUPGHOME: gnupg.home } }).stdout.trimEnd();
}

describe('the passphrase', () => {
  it('of a first make is in nothing that leaves the process', () => {
    const made = traced(['make']);
    const passphrase = shown();
    expect(passphrase).toMatch(/^[0-9a-f]{64}$/u);
    expect(linesWith(made, passphrase)).toEqual([]);
    expect(isStarted(made, 'gpg')).toBe(true);
    expect(made.lines.some((line) => /write\(\d+<[^>]*passphrase\.gpg[^>]*>/u.test(line))).toBe(true);
    expectOnNoDisk(passphrase);
  });

  it('opened by gpg for a new client goes through a pipe, and nowhere else', () => {
    project.run(['make'], { env: { GNUPGHOME: gnupg.home } });
    const passphrase = shown();
    project.settings(smallSettings({ passphrase: { recipients: ['alice@example.org'] }, ...second }));
    const made = traced(['make']);
    expect(isStarted(made, 'gpg')).toBe(true);
    const found = linesWith(made, passphrase);
    expect(found.some((line) => / write\(/u.test(line))).toBe(true);
    expectOnNoDisk(passphrase);
  });

  it.each([
    ['a renewal', ['renew', 'mailhost', '--force']],
    ['a new key', ['renew', 'mailhost', '--rekey']],
    ["a renewal of the CA's certificate", ['renew', '--ca']],
  ])('opened by gpg for %s goes through a pipe, and nowhere else', (_name, args) => {
    project.run(['make'], { env: { GNUPGHOME: gnupg.home } });
    const passphrase = shown();
    const renewed = traced(args);
    expect(isStarted(renewed, 'gpg')).toBe(true);
    expect(linesWith(renewed, passphrase).some((line) => / write\(/u.test(line))).toBe(true);
    expectOnNoDisk(passphrase);
  });

  it('given by --passphrase-fd is read, and nothing more', () => {
    const passphrase = 'correct horse battery staple';
    const made = traced(['make', '--passphrase-fd', '0'], `${passphrase}\n`);
    const found = linesWith(made, passphrase);
    expect(found.length).toBeGreaterThan(0);
    for (const line of found) expect(line).toMatch(/ (?:read|recv\w*)\(0</u);
    expectOnNoDisk(passphrase);
  });

  it('that is changed, and the new one, leave by pipes of gpg alone', () => {
    project.run(['make'], { env: { GNUPGHOME: gnupg.home } });
    const before = shown();
    const changed = traced(['passphrase', 'change']);
    const after = shown();
    expect(after).not.toBe(before);
    for (const passphrase of [before, after]) {
      expect(linesWith(changed, passphrase).length).toBeGreaterThan(0);
      expectOnNoDisk(passphrase);
    }
  });

  it('encrypted anew to other recipients leaves by a pipe of gpg alone', () => {
    project.run(['make'], { env: { GNUPGHOME: gnupg.home } });
    const passphrase = shown();
    gnupg.makeKey({ userId: 'bob@example.org' });
    project.settings(smallSettings({ passphrase: { recipients: ['alice@example.org', 'bob@example.org'] } }));
    const made = traced(['make']);
    expect(made.stderr).toContain('encrypted anew');
    expect(linesWith(made, passphrase).length).toBeGreaterThan(0);
    expectOnNoDisk(passphrase);
  });
});

describe('the CA key', () => {
  it('is on the disk in its encrypted form alone, also while the passphrase changes', () => {
    project.run(['make'], { env: { GNUPGHOME: gnupg.home } });
    const passphrase = shown();
    const path = project.path('certs/ca/example.org-ca.key.pem');
    const pem = spawnSync('openssl', ['pkey', '-in', path, '-passin', 'stdin'], { input: passphrase }).stdout;
    const number = Buffer.from(createPrivateKey(pem).export({ format: 'jwk' }).d ?? '', 'base64url');
    expect(number).toHaveLength(32);
    const changed = traced(['passphrase', 'change'], '', ['-xx']);
    const holds = (bytes: Buffer | string): boolean => {
      const escaped = [...Buffer.from(bytes)].map((octet) => `\\x${octet.toString(16).padStart(2, '0')}`).join('');
      return changed.lines.some((line) => line.includes(escaped));
    };
    expect(holds(readFileSync(path))).toBe(true);
    expect(holds(number)).toBe(false);
    // Neither as DER nor as PEM, which begins with the number's frame.
    const line = pem.toString().split('\n')[1] ?? '';
    expect(line).toHaveLength(64);
    expect(holds(line)).toBe(false);
    expectOnNoDisk(number);
    expectOnNoDisk(line);
  });
});
