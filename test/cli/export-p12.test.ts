// `relaycerts export p12` with the built program: the path and mode of the file, the sources of the password and that
// it never shows, and what is refused.

import { spawnSync } from 'node:child_process';
import { chmodSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { answerOf } from '../support/answer.js';
import { runTool } from '../support/openssl.js';
import { makeProject, program, treeOf, type Project, type Result } from '../support/project.js';
import { requireTools } from '../support/require-tools.js';
import { openTerminal, type Terminal } from '../support/terminal.js';

const name = 'mailhost.example.org.p12';
const secret = 'correct-horse-battery-staple';

let project: Project;
let before: Record<string, string>;
let terminal: Terminal | undefined;
beforeAll(async () => {
  project = makeProject();
  expect((await project.run(['make'])).status).toBe(0);
  before = treeOf(project.folder);
});
afterEach(() => {
  terminal?.dispose();
  terminal = undefined;
  for (const file of [name, 'other.pfx']) rmSync(project.path(file), { force: true });
  // Nothing else has changed after any attempt.
  expect(treeOf(project.folder)).toEqual(before);
});
afterAll(() => {
  project.remove();
});

const exportHost = (...words: readonly string[]): Result =>
  project.spawn(['export', 'p12', 'mailhost', ...words, '--password-fd', '0'], { input: `${secret}\n` });

const runExport = (...words: readonly string[]): Promise<Result> =>
  project.run(['export', ...words], { input: secret });

/** The certificates and the key that openssl finds in a file. */
function contentsOf(file: string, password = secret): string {
  const args = ['pkcs12', '-in', project.path(file), '-passin', 'stdin', '-nodes'];
  const { stdout, stderr, status } = spawnSync('openssl', args, { input: password });
  expect(status, stderr.toString()).toBe(0);
  return (stdout.toString().match(/^-----BEGIN[^]*?-----END.*\n/gmu) ?? []).join('');
}

function expectError(result: Result, status: number, message: RegExp, hint: RegExp): void {
  expect(result.stderr).toMatch(message);
  expect(result.stderr.split('\n').find((line) => line.startsWith('relaycerts: hint: '))).toMatch(hint);
  expect([result.status, result.stdout]).toEqual([status, '']);
}

const openOn = async (...words: readonly string[]): Promise<Terminal> =>
  (terminal = await openTerminal({
    command: [process.execPath, program, 'export', 'p12', 'mailhost', ...words],
    cwd: project.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: project.home, LANG: 'C.UTF-8' },
  }));

describe('the file', () => {
  it('holds certificate, CA and key, and only its owner can read it', () => {
    const result = exportHost();
    expect([result.status, result.stdout]).toEqual([0, '']);
    expect(result.stderr).toBe(
      `relaycerts: made the PKCS#12 file of mailhost.example.org, with its private key:\nrelaycerts:   ${name}\n`,
    );
    expect(statSync(project.path(name)).mode & 0o7777).toBe(0o600);
    const files = [
      'smtp-client/mailhost.example.org.crt.pem',
      'ca/example.org-ca.crt.pem',
      'smtp-client/mailhost.example.org.key.pem',
    ];
    expect(contentsOf(name)).toBe(files.map((file) => project.read('certs', file)).join(''));
  });

  it('is never overwritten, nor is what a link names', () => {
    project.write(name, 'mine');
    expectError(exportHost(), 1, /p12" exists and is not overwritten/u, /--out FILE$/u);
    expect(project.read(name)).toBe('mine');
    rmSync(project.path(name));
    symlinkSync('settings.json', project.path(name));
    expectError(exportHost(), 1, /is not overwritten/u, /--out FILE$/u);
  });

  it('goes where --out says, and through a pipe with -', () => {
    expect(exportHost('--out', 'other.pfx').status).toBe(0);
    const expected = contentsOf('other.pfx');
    const piped = project.spawn(['export', 'p12', 'MAILHOST.example.org', '--out', '-', '--password-fd', '0'], {
      input: secret,
      under: ['sh', '-c', `umask 077; "$@" >${name}`, 'sh'],
    });
    expect([piped.status, piped.stderr]).toEqual([0, '']);
    expect(contentsOf(name)).toBe(expected);
    const nowhere = exportHost('--out', 'no/such/folder.p12');
    expect(nowhere.stderr).toMatch(/error: cannot write ".*": no such file or folder/u);
    expect(nowhere.status).toBe(1);
  });

  it('--legacy: the same in an old form, with a warning', () => {
    expect(exportHost().status).toBe(0);
    const result = exportHost('--legacy', '--out', 'other.pfx');
    expect(result.status, result.stderr).toBe(0);
    expect(result.stderr).toMatch(/warning: .* triple DES and SHA-1 only.*\nrelaycerts: hint: use a random password/u);
    expect(contentsOf('other.pfx')).toBe(contentsOf(name));
  });

  it('--json names it', () => {
    const result = project.spawn(['--json', 'export', 'p12', 'mailhost', '--password-fd', '0'], { input: secret });
    expect(JSON.parse(result.stdout)).toMatchObject({ host: 'mailhost.example.org', file: project.path(name) });
    const both = project.spawn(['--json', 'export', 'p12', 'mailhost', '--out', '-', '--password-fd', '0'], {
      input: secret,
    });
    expect(answerOf(both.stdout)).toMatchObject({
      error: { code: 'usage', hint: expect.stringContaining(`--out ${name}`) as string },
    });
    expectError({ ...both, stdout: '' }, 2, /cannot hold the file and JSON/u, /--out mailhost/u);
  });

  it('is made for a relay too', () => {
    const result = project.spawn(['export', 'p12', 'relayhost', '--out', name, '--password-fd', '0'], {
      input: secret,
    });
    expect(result.status, result.stderr).toBe(0);
    expect(contentsOf(name)).toContain(project.read('certs/smtpd-server/relayhost.example.org.key.pem'));
  });
});

describe('the password', () => {
  it('is warned of if somebody may guess it, and opens the file all the same', () => {
    const weak = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: 'ab\n' });
    expect(weak.stderr).toContain(
      'relaycerts: warning: the password is short or simple: anyone who gets a copy of the PKCS#12 file may guess it\n',
    );
    expect([weak.status, contentsOf(name, 'ab').length > 0]).toEqual([0, true]);
  });

  it('is asked for twice on a terminal, and not shown', async () => {
    const screen = await openOn();
    await screen.waitFor('Password of the PKCS#12 file:');
    screen.type(secret);
    screen.press('Enter');
    await screen.waitFor('The same again:');
    screen.type(secret);
    screen.press('Enter');
    expect(await screen.ended()).toBe(0);
    expect(screen.sent()).not.toContain(secret);
    expect(contentsOf(name)).toContain('PRIVATE KEY');
  });

  it('must not be empty, and has to come from somewhere', async () => {
    const screen = await openOn();
    await screen.waitFor('Password of the PKCS#12 file:');
    screen.press('Enter');
    expect(await screen.ended()).toBe(2);
    await screen.waitFor('an empty password protects nothing');
    const hint = /relaycerts export p12 mailhost\.example\.org --password-fd 3 3< PASSWORD-FILE$/u;
    expectError(await project.run(['export', 'p12', 'mailhost']), 2, /here is no terminal to ask on/u, hint);
    for (const [input, what] of [
      ['', /the password of the PKCS#12 file from "file descriptor 0" is empty/u],
      ['\n', /is empty/u],
      ['two\nlines', /more than one line/u],
      [Buffer.from([0x70, 0xe4, 0x73]), /not text in UTF-8/u],
    ] as const) {
      const result = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input });
      expectError(result, 1, what, /./u);
    }
    expectError(project.spawn(['export', 'p12', 'mailhost', '--password-fd', '99']), 2, /not open for reading/u, /./u);
  });

  it.each([4, 6, 8])("is not waited for on descriptor %d, which is Node's own if nothing was redirected", (fd) => {
    const args = [program, 'export', 'p12', 'mailhost', '--password-fd', String(fd)];
    const options = { cwd: project.folder, env: { HOME: project.home }, encoding: 'utf8', timeout: 120_000 } as const;
    const { status, stderr } = spawnSync(process.execPath, args, options);
    expect([status, stderr]).toEqual([2, expect.stringContaining(`--password-fd ${fd}: not open for reading`)]);
  });

  it('may be in any alphabet, with a warning that Java cannot open it', () => {
    const result = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: 'päss \u{1f511}' });
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('relaycerts: warning: the password has characters beyond ASCII');
    contentsOf(name, 'päss \u{1f511}');
    const list = ['-J-Dfile.encoding=UTF-8', '-list', '-storetype', 'PKCS12', '-keystore', project.path(name)];
    const java = runTool('keytool', list, 'päss \u{1f511}\n');
    expect(java.status).not.toBe(0);
  });

  it('on a terminal, the file itself is not printed', async () => {
    const screen = await openOn('--out', '-');
    expect(await screen.ended()).toBe(2);
    await screen.waitFor('a PKCS#12 file is binary, and would garble the terminal');
  });
});

describe('what the system sees, under umask 000', () => {
  it('mode 0600 from its first instant, and the password nowhere', () => {
    requireTools('strace');
    const trace = join(project.home, 'trace');
    const calls = 'trace=execve,open,openat,creat,chmod,fchmod,fchmodat,link,linkat,rename,write,writev,pwrite64';
    const strace = ['strace', '-f', '-qq', '-v', '-s', '65536', '-o', trace, '-e', calls];
    const result = project.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], {
      input: secret,
      under: ['sh', '-c', 'umask 000; exec "$@"', 'sh', ...strace],
    });
    expect(result.status, result.stderr).toBe(0);
    const text = readFileSync(trace, 'utf8');
    rmSync(trace);
    const lines = text.split('\n');
    const created = lines.filter((line) => /\bopen(at)?\(.*O_CREAT/u.test(line));
    expect(created).toHaveLength(1);
    expect(created[0]).toMatch(/mailhost\.example\.org\.p12\..*O_EXCL.*, 0600 ?\)/u);
    expect(lines.filter((line) => /chmod/u.test(line)).every((line) => /, 0600 ?\)/u.test(line))).toBe(true);
    expect(text).toContain('execve(');
    expect(text).not.toContain(secret);
    expect(result.stdout + result.stderr).not.toContain(secret);
  });
});

describe('refused', () => {
  it('a host or format that does not exist', async () => {
    expectError(
      project.spawn(['export', 'p12', 'nobody', '--password-fd', '0'], { input: secret }),
      2,
      /the settings have no host "nobody"/u,
      /mailhost/u,
    );
    expectError(await runExport(), 2, /export needs a format: p12/u, /--help/u);
    expectError(await runExport('p13'), 2, /unknown command "p13", did you mean p12\?/u, /relaycerts export p12/u);
    expectError(await runExport('p12'), 2, /missing required argument/u, /--help/u);
    expectError(await runExport('p12', 'mailhost', 'relayhost'), 2, /too many arguments/u, /--help/u);
  });

  it('no certificate, an expired one, an open key, a wrong key', async () => {
    const other = makeProject();
    try {
      const run = (env: Record<string, string> = {}): Result =>
        other.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], { input: secret, env });
      expectError(run(), 1, /there is no certificate yet for mailhost\.example\.org/u, /relaycerts make$/u);
      expect((await other.run(['make'])).status).toBe(0);
      const key = other.path('certs/smtp-client/mailhost.example.org.key.pem');
      chmodSync(key, 0o644);
      expectError(run(), 1, /can be read or changed by others \(mode 0644\)/u, /chmod 600/u);
      chmodSync(key, 0o600);
      const mine = readFileSync(key);
      other.write(
        'certs/smtp-client/mailhost.example.org.key.pem',
        project.read('certs/smtp-client/mailhost.example.org.key.pem'),
      );
      expectError(run(), 1, /does not belong to the certificate/u, /make --dry-run/u);
      other.write('certs/smtp-client/mailhost.example.org.key.pem', mine);
      requireTools('faketime');
      const late = other.spawn(['export', 'p12', 'mailhost', '--password-fd', '0'], {
        input: secret,
        under: ['faketime', '-f', '+500d'],
      });
      expectError(late, 1, /expired on/u, /./u);
    } finally {
      other.remove();
    }
  });
});
