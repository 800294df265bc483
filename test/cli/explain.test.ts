// `relaycerts explain` as a user runs it: files, gzip, standard input, this machine's and hosts' logs, with and without
// settings; its text and its JSON; --follow on a log that grows, is rotated and is truncated.

import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeProject, program, sharedCache, smallSettings, type Project } from '../support/project.js';
import { succeed } from '../support/succeed.js';

const reject =
  'Nov 27 00:37:48 relayhost postfix/relaycerts/smtpd[380]: NOQUEUE: reject: RCPT from mailhost.example.org[192.0.2.31]: 450 4.3.2 <bob@example.net>: Recipient address rejected: Try again later; from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<mailhost.example.org>\n';
const left =
  'Nov 27 00:37:49 relayhost postfix/relaycerts/smtpd[380]: disconnect from mailhost.example.org[192.0.2.31] ehlo=2 starttls=1 mail=1 rcpt=0/1 quit=1 commands=5/6\n';
const expired =
  'Nov 27 00:38:48 mailhost postfix/relaycerts/smtp[416]: server certificate verification failed for relayhost.example.org[192.0.2.11]:2500: certificate has expired\n';
const symptom =
  'Nov 27 00:38:48 mailhost postfix/relaycerts/smtp[416]: B47F390: to=<bob@example.net>, relay=relayhost.example.org[192.0.2.11]:2500, delay=3.7, delays=0.68/2/1/0, dsn=4.7.5, status=deferred (Server certificate not verified)\n';
const fine =
  'Nov 27 00:40:00 relayhost postfix/relaycerts/smtpd[381]: 9A4D61: client=mailhost.example.org[192.0.2.31]\n';
const odd = 'Nov 27 00:39:00 mailhost postfix/relaycerts/smtp[416]: warning: the moon \u001B[2J is full\u0007\n';

let project: Project;
let bare: Project;
beforeAll(() => {
  project = makeProject();
  bare = makeProject(null);
});
afterAll(() => {
  project.remove();
  bare.remove();
});
beforeEach(() => project.write('mail.log', reject + reject + expired + symptom + odd + fine));

describe('explain FILE', () => {
  it('names the cause, count, last time, and commands for these hosts', async () => {
    const { status, stdout, stderr } = await project.run(['explain', 'mail.log']);
    expect([status, stderr]).toEqual([3, '']);
    expect(stdout)
      .toBe(`error    the pin of mailhost.example.org is not in the table of relayhost.example.org: mailhost.example.org is new, its key is new, it was revoked, or the digest is not sha256 [pin-not-listed]
         2 times, first Nov 27 00:37:48, last Nov 27 00:37:48, in the log of relayhost, with mailhost.example.org; mail went through since
         postfix/relaycerts/smtpd: NOQUEUE: reject: RCPT from mailhost.example.org[192.0.2.31]: 450 4.3.2 <bob@example.net>: Recipient address rejected: Try again later; from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<mailhost.examp...
             relaycerts make
             relaycerts deploy relayhost.example.org
error    the certificate of relayhost.example.org has expired, or a clock is wrong [expired]
         once, Nov 27 00:38:48, in the log of mailhost, with relayhost.example.org; mail went through since
         postfix/relaycerts/smtp: server certificate verification failed for relayhost.example.org[192.0.2.11]:2500: certificate has expired
             relaycerts renew relayhost.example.org
             relaycerts deploy relayhost.example.org
         also once, Nov 27 00:38:48: the certificate of the relay did not verify, or has another name [not-verified]
unknown  postfix/relaycerts/smtp: warning: the moon \\u001b[2J is full\\u0007
         once, Nov 27 00:39:00
mail.log: 3 faults; 6 lines from Nov 27 00:37:48 to Nov 27 00:40:00; 1 of them fine; 1 message went through, the last Nov 27 00:40:00
`);
  });

  it('of a relay that sends mail back to the home: says so', async () => {
    project.write(
      'loop.log',
      'Nov 27 00:37:48 relayhost postfix/smtp[423]: B47F390: to=<bob@example.net>, relay=mailhost.example.org[192.0.2.31]:25, delay=3.8, delays=0.68/1.9/0.73/0.51, dsn=4.7.1, status=deferred (host mailhost.example.org[192.0.2.31] said: 454 4.7.1 <bob@example.net>: Relay access denied (in reply to RCPT TO command))\n',
    );
    const { status, stdout } = await project.run(['explain', 'loop.log']);
    expect(status).toBe(3);
    expect(stdout).toMatch(
      /^error {4}relayhost\.example\.org sends mail on to mailhost\.example\.org, .*\[relay-loops\]\n/u,
    );
    expect(stdout).toMatch(/^ +ssh root@relayhost\.example\.org 'postconf -X relayhost && postfix reload'$/mu);
  });

  it('of a relay that refuses the home on port 25: names the port', async () => {
    project.write(
      'refused.log',
      'Nov 27 00:37:48 relayhost postfix/smtpd[423]: NOQUEUE: reject: RCPT from mailhost.example.org[192.0.2.31]: 454 4.7.1 <bob@example.net>: Relay access denied; from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<mailhost.example.org>\n',
    );
    const { stdout } = await project.run(['explain', 'refused.log']);
    expect(stdout).toMatch(/^error {4}mail reached port 25 of the relay, .*\[port-25\]\n/u);
    expect(stdout).not.toContain('postconf -X relayhost');
  });

  it('has its cure in words without settings', async () => {
    bare.write('mail.log', reject);
    const { status, stdout } = await bare.run(['explain', 'mail.log']);
    expect(status).toBe(3);
    expect(stdout).toContain('the pin of the home host is not in the table of the relay');
    expect(stdout).toContain('fix: relaycerts make, then relaycerts deploy.');
  });

  it('with --json is one object, safe for a terminal', async () => {
    const { status, stdout } = await project.run(['explain', 'mail.log', '--json']);
    expect(status).toBe(3);
    // oxlint-disable-next-line no-control-regex -- what must not be there
    expect(stdout).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F]/u);
    const answer: unknown = JSON.parse(stdout);
    expect(answer).toMatchObject({
      version: 1,
      command: 'explain',
      log: project.path('mail.log'),
      lines: 6,
      sent: { count: 1 },
      findings: [
        { id: 'pin-not-listed', severity: 'error', host: 'mailhost.example.org', count: 2, isSymptom: false },
        { id: 'expired', host: 'relayhost.example.org', count: 1, sentSince: true },
        { id: 'not-verified', isSymptom: true },
      ],
      unknown: [{ count: 1 }],
    });
  });

  it('ends with 0 if nothing is wrong, and with a hint if nothing is there', async () => {
    project.write('fine.log', fine);
    expect(await project.run(['explain', 'fine.log'])).toMatchObject({
      status: 0,
      stdout:
        'fine.log: no fault; 1 line from Nov 27 00:40:00 to Nov 27 00:40:00; 1 of them fine; 1 message went through, the last Nov 27 00:40:00\n',
    });
    expect((await project.run(['explain', 'settings.json'])).stdout).toMatch(
      /^note {5}no line has a time: is this a mail log\?\nsettings\.json: no fault; \d+ lines; no mail went through\n$/u,
    );
    const { status, stderr } = await project.run(['explain', 'no.log']);
    expect([status, stderr]).toEqual([
      2,
      'relaycerts: error: there is no such file, and no such host in the settings: "no.log"\nrelaycerts: hint: relaycerts explain --help\n',
    ]);
    expect((await project.run(['explain', '.'])).status).toBe(2);
  });

  it('reads gzip, also from standard input, and an empty log', async () => {
    const packed = gzipSync(reject);
    project.write('mail.log.2.gz', packed);
    for (const [log, input] of [
      ['mail.log.2.gz', ''],
      ['-', packed],
      ['-', Buffer.from(reject)],
    ] as const) {
      const { status, stdout } = await project.run(['explain', log], { input });
      expect([status, stdout.includes('[pin-not-listed]')]).toEqual([3, true]);
    }
    expect((await project.run(['explain', '-'])).status).toBe(0);
    project.write('cut.gz', packed.subarray(0, 40));
    expect((await project.run(['explain', 'cut.gz'])).stderr).toContain('is not a whole gzip file');
  });
});

const putSsh = (script: string): void => {
  project.write('ssh', `#!/bin/sh\n${script}\n`);
  chmodSync(project.path('ssh'), 0o755);
};
const runWithSsh = (host: string) =>
  project.spawn(['explain', host], { env: { PATH: `${project.folder}:${process.env['PATH'] ?? ''}` } });

const from = (client: string): string => reject.replaceAll('mailhost.example.org', client);

describe('explain after a revocation', () => {
  const atHome = expired.replaceAll('relayhost', 'second');
  let cut: Project;
  beforeAll(async () => {
    const [servers, clients] = [
      ['relayhost', 'second'],
      ['mailhost', 'laptop', 'other'],
    ].map((names) => names.map((hostname) => ({ hostname })));
    cut = makeProject(smallSettings({ smtpdServers: servers, smtpClients: clients }));
    succeed(await cut.run(['make']));
    for (const host of ['laptop', 'second']) succeed(await cut.run(['revoke', host]));
  });
  afterAll(() => cut.remove());
  const explained = async (log: string): Promise<string> => {
    cut.write('mail.log', log);
    const { status, stdout } = await cut.run(['explain', 'mail.log']);
    expect(status).toBe(3);
    return stdout;
  };

  it('of a client: says that its refusal is expected, and no command', async () => {
    for (const log of [from('laptop.example.org'), expired.replaceAll('mailhost', 'laptop')]) {
      const stdout = await explained(log);
      expect(stdout).toContain('warning  laptop.example.org is revoked and still tries to relay, which is expected');
      expect(stdout).toContain('fix: none is needed: the relays refuse it, as they should\n');
      expect(stdout).not.toMatch(/deploy|make/u);
    }
  });

  it('of a host whose CA has expired too: begins with the CA', async () => {
    cut.write('mail.log', expired);
    const explainedIn = async (days: number): Promise<string> => {
      const now = new Date(Date.now() + days * 86_400_000);
      return (await cut.run(['explain', 'mail.log'], { now })).stdout;
    };
    expect(await explainedIn(3600)).toContain('[expired]');
    const stdout = await explainedIn(3700);
    expect(stdout).toContain('error    the CA has expired, and with it every certificate that it signed [ca-expired]');
    expect(stdout).toMatch(/\n +relaycerts renew --ca\n +relaycerts renew --due\n +relaycerts deploy\n/u);
  });

  it.each(['other.example.org', 'unknown'])('takes nothing for expected that %s has too', async (client) => {
    const stdout = await explained(from('laptop.example.org') + from(client));
    expect(stdout).toContain('[pin-not-listed]');
    expect(stdout).not.toContain('revoked-client');
  });

  it('of a relay: deploys the homes that still use it, and names it in no command', async () => {
    const stdout = await explained(atHome);
    expect(stdout).toContain('warning  second.example.org is revoked, but a client still uses it [revoked-relay]');
    expect(stdout).toContain('\n             relaycerts deploy\n');
  });
});

describe('explain HOST', () => {
  it('reads the log there, by a script that ssh runs', () => {
    putSsh(`echo "$*" > asked\ncat > script\necho 'relaycerts: reading the mail log' >&2\ncat mail.log`);
    const { status, stdout } = runWithSsh('relayhost');
    expect(stdout).toContain('relayhost.example.org: 3 faults; 6 lines');
    expect(status).toBe(3);
    expect(project.read('asked')).toBe(
      '-T -a -x -o BatchMode=yes -o RemoteCommand=none -o ClearAllForwardings=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 root@relayhost.example.org sh\n',
    );
    expect(project.read('script')).toContain('journalctl');
  });

  it('reports why it cannot', () => {
    putSsh(`cat > script\necho 'root@relayhost.example.org: Permission denied (publickey).' >&2\nexit 255`);
    const { status, stderr } = runWithSsh('relayhost');
    expect([status, stderr.split('\n')[0]]).toEqual([
      1,
      'relaycerts: error: cannot read the mail log of relayhost.example.org: root@relayhost.example.org: Permission denied (publickey).',
    ]);
  });

  it.each(['', 'echo Last login: today'])('takes a login that runs no script for no log: "%s"', (script) => {
    putSsh(`cat > script\n${script}`);
    const { status, stdout, stderr } = runWithSsh('relayhost');
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('relayhost.example.org: the login ended with 0, and ran no script\n');
  });
});

describe('explain --follow', () => {
  let child: ChildProcess;
  let [out, ended]: [string, Promise<number | null>] = ['', Promise.resolve(null)];

  function follow(log: string): void {
    child = spawn(process.execPath, [program, 'explain', log, '--follow'], {
      cwd: project.folder,
      env: { PATH: process.env['PATH'], HOME: project.home, ...sharedCache },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    out = '';
    child.stdout?.on('data', (chunk: Buffer) => (out += chunk.toString()));
    ended = new Promise((fulfil) => child.on('close', fulfil));
  }
  async function until(words: string): Promise<void> {
    for (const end = Date.now() + 240_000; !out.includes(words);) {
      if (Date.now() > end) throw new Error(`never said: ${words}\n${out}`);
      await sleep(20);
    }
  }

  it('reports each new kind across rotation, and sums up on Ctrl-C', async () => {
    const log = project.path('grows.log');
    writeFileSync(log, fine + reject + left);
    follow('grows.log');
    await until('[pin-not-listed]');
    appendFileSync(log, expired.slice(0, 80));
    appendFileSync(log, expired.slice(80));
    await until('[expired]');
    renameSync(log, `${log}.1`);
    mkdirSync(log);
    appendFileSync(`${log}.1`, symptom);
    await until('[not-verified]');
    await sleep(500);
    rmdirSync(log);
    writeFileSync(log, expired.replace('certificate has expired', 'certificate not yet valid'));
    await until('[not-yet-valid]');
    truncateSync(log);
    // Shorter than what was there, so that it does not matter when that is noticed.
    appendFileSync(log, odd);
    await until('the moon');
    child.kill('SIGINT');
    expect(await ended).toBe(3);
    expect(out.split('\n').slice(-2)[0]).toBe(
      'grows.log: 4 faults; 7 lines from Nov 27 00:40:00 to Nov 27 00:39:00; 2 of them fine; 1 message went through, the last Nov 27 00:40:00',
    );
    expect(out.match(/\[expired\]/gu)).toHaveLength(2);
  });

  it('ends if nobody reads what it finds', async () => {
    const log = project.path('unread.log');
    writeFileSync(log, reject + left);
    follow('unread.log');
    await until('[pin-not-listed]');
    child.stdout?.destroy();
    appendFileSync(log, expired);
    expect(await ended).toBe(3);
  });

  it('takes only a file: a pipe is read by standard input', async () => {
    execFileSync('mkfifo', [project.path('pipe')]);
    symlinkSync('pipe', project.path('link'));
    const { status, stderr } = await project.run(['explain', '--follow', 'link']);
    expect([status, stderr]).toEqual([
      2,
      expect.stringMatching(/is not a file that grows\n.*hint: cat \S+\/link \| relaycerts explain - --follow\n/u),
    ]);
  });

  it('unpacks what is packed', async () => {
    project.write('mail.log.1.gz', gzipSync(reject + left));
    follow('mail.log.1.gz');
    await until('[pin-not-listed]');
    child.kill('SIGINT');
    expect(await ended).toBe(3);
  });

  it('on standard input ends on Ctrl-C too', async () => {
    follow('-');
    child.stdin?.write(reject + left);
    await until('[pin-not-listed]');
    child.kill('SIGINT');
    expect(await ended).toBe(3);
    expect(out).toContain('standard input: 1 fault');
  });
});
