// A mail log from its octets to its summary: the forms of a line, whose a fault is, what is kept apart and counted, and
// what limits memory. The words of the lines have their own tests (log-lines.test.ts).

import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { ordinaryLines } from '../../src/log/judge.js';
import { logKinds } from '../../src/log/log-lines.js';
import { logTally, type LogSummary } from '../../src/log/tally.js';
import { renderLogSummary } from '../../src/render/explain.js';
import { unpacked } from '../../src/sys/chunks.js';
import { lineSplitter, mostOctets } from '../../src/sys/lines.js';

const hosts = new Set(['relayhost.example.org', 'mailhost.example.org']);
const reject =
  'NOQUEUE: reject: RCPT from mailhost.example.org[192.0.2.31]: 450 4.3.2 <bob@example.net>: Recipient address rejected: Try again later; from=<ann@example.org> to=<bob@example.net> proto=ESMTP helo=<mailhost.example.org>';
const tag = 'postfix/relaycerts/smtpd[380]: ';

function summaryOf(log: string | Buffer, names: ReadonlySet<string> = new Set()): LogSummary {
  const { sink, summary } = logTally(names);
  sink.add(Buffer.from(log));
  sink.end();
  return summary();
}

const relayLine = (text: string, program = 'postfix/relaycerts/smtpd', pid = 380) =>
  `Nov 27 00:37:48 relayhost ${program}[${pid}]: ${text}\n`;

const noteOf = (log: string) => /^note.*$/mu.exec(renderLogSummary('x', summaryOf(log), []))?.[0];

const idsIn = (log: string, names?: ReadonlySet<string>) => summaryOf(log, names).faults.map(({ kind }) => kind.id);

function exported(fields: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts = Object.entries(fields).map(([name, value]) => {
    if (typeof value === 'string') return Buffer.from(`${name}=${value}\n`);
    const size = Buffer.alloc(8);
    size.writeUInt32LE(value.length);
    return Buffer.concat([Buffer.from(`${name}\n`), size, value, Buffer.from('\n')]);
  });
  return Buffer.concat([...parts, Buffer.from('\n')]);
}

const journal = {
  __CURSOR: 's=1;i=2',
  __REALTIME_TIMESTAMP: '1795739868123456',
  _HOSTNAME: 'relayhost',
  SYSLOG_IDENTIFIER: 'postfix/relaycerts/smtpd',
  SYSLOG_PID: '380',
  PRIORITY: '6',
};

describe('a line of any form', () => {
  const zoned = '2026-11-27T00:37:48.123456+01:00';
  const forms: readonly (readonly [string, string | Buffer, string, string])[] = [
    ['traditional', `Nov 27 00:37:48 relayhost ${tag}${reject}`, 'Nov 27 00:37:48', 'relayhost'],
    ['with a day of one digit', `Nov  7 00:37:48 relayhost ${tag}${reject}`, 'Nov  7 00:37:48', 'relayhost'],
    ['German', `Mär 27 00:37:48 relayhost ${tag}${reject}`, 'Mär 27 00:37:48', 'relayhost'],
    ['French', `déc. 27 00:37:48 relayhost ${tag}${reject}`, 'déc. 27 00:37:48', 'relayhost'],
    ['Japanese', `11月 27 00:37:48 relayhost ${tag}${reject}`, '11月 27 00:37:48', 'relayhost'],
    ['Russian', `ноя 27 00:37:48 relayhost ${tag}${reject}`, 'ноя 27 00:37:48', 'relayhost'],
    ["busybox's", `Nov 27 00:37:48 relayhost mail.info ${tag}${reject}`, 'Nov 27 00:37:48', 'relayhost'],
    ["busybox's with -S", `Nov 27 00:37:48 ${tag}${reject}`, 'Nov 27 00:37:48', ''],
    ["metalog's", `Nov 27 00:37:48 [postfix/relaycerts/smtpd] ${reject}`, 'Nov 27 00:37:48', ''],
    ["FreeBSD's with -v", `Nov 27 00:37:48 <mail.info> relayhost ${tag}${reject}`, 'Nov 27 00:37:48', 'relayhost'],
    [
      "socklog's",
      `2026-11-27_00:37:48.12345 mail.info: Nov 27 00:37:48 ${tag}${reject}`,
      '2026-11-27_00:37:48.12345',
      '',
    ],
    ['forwarded', `Nov 27 00:37:48 loghost Nov 27 00:37:47 relayhost ${tag}${reject}`, 'Nov 27 00:37:48', ''],
    ['with a priority', `<22>Nov 27 00:37:48 relayhost ${tag}${reject}`, 'Nov 27 00:37:48', 'relayhost'],
    ['with a year', `Nov 27 2026 00:37:48 relayhost ${tag}${reject}`, 'Nov 27 2026 00:37:48', 'relayhost'],
    ['RFC 3339', `${zoned} relayhost ${tag}${reject}`, zoned, 'relayhost'],
    [
      'RFC 5424',
      `<22>1 ${zoned} relayhost postfix/relaycerts/smtpd 380 - [a@1 b="]\\""] \u{FEFF}${reject}`,
      zoned,
      'relayhost',
    ],
    ['short-iso', `2026-11-27T00:37:48+0000 relayhost ${tag}${reject}`, '2026-11-27T00:37:48+0000', 'relayhost'],
    ['short-full', `Fri 2026-11-27 00:37:48 UTC relayhost ${tag}${reject}`, 'Fri 2026-11-27 00:37:48 UTC', 'relayhost'],
    ['short-unix', `1795739868.123456 relayhost ${tag}${reject}`, '1795739868.123456', 'relayhost'],
    ['short-monotonic', `[12345.678901] relayhost ${tag}${reject}`, '[12345.678901]', 'relayhost'],
    ['of a container', `2026-11-27T00:37:48Z INFO    ${tag}${reject}`, '2026-11-27T00:37:48Z', ''],
    ['of compose', `mail-1  | ${tag}${reject}`, '', ''],
    [
      "of Docker's json-file",
      JSON.stringify({ log: `Nov 27 00:37:48 relayhost ${tag}${reject}\n`, stream: 'stdout' }),
      'Nov 27 00:37:48',
      'relayhost',
    ],
    ['without a head', reject, '', ''],
    ['json', JSON.stringify({ ...journal, MESSAGE: reject }), '2026-11-27T00:37:48.123Z', 'relayhost'],
    [
      'json with octets',
      `\u001E${JSON.stringify({ ...journal, MESSAGE: [...Buffer.from(reject)] })}`,
      '2026-11-27T00:37:48.123Z',
      'relayhost',
    ],
    ['export', exported({ ...journal, MESSAGE: reject }), '2026-11-27T00:37:48.123Z', 'relayhost'],
    [
      'export with octets',
      exported({ ...journal, OTHER: Buffer.from('x\n\ny\n'), MESSAGE: Buffer.from(`${reject}\n\n__CURSOR=x\n`) }),
      '2026-11-27T00:37:48.123Z',
      'relayhost',
    ],
  ];

  it.each(forms)('%s', (_, line, time, host) => {
    const text = Buffer.concat([Buffer.from(line), Buffer.from('\n')]);
    const { faults } = summaryOf(Buffer.concat([text, text]), hosts);
    expect(faults.map(({ kind, count, first, last, host: found }) => [kind.id, count, first, last, found])).toEqual([
      ['pin-not-listed', 2, time, time, host],
    ]);
  });

  it('with \\r\\n is the same', () => {
    const log = [`Nov 27 00:37:48 relayhost ${tag}${reject}`, JSON.stringify({ ...journal, MESSAGE: reject }), ''];
    expect(summaryOf(log.join('\r\n')).faults[0]?.count).toBe(2);
  });

  it("with Exim's, with time zone and process", () => {
    const line =
      logKinds.flatMap(({ programs }) => programs).find(({ program }) => program.startsWith('Exim'))?.line ?? '';
    const [day, time, ...rest] = line.split(' ');
    const log = [line, `${day} ${time}.123 +0100 [77] ${rest.join(' ')}`].join('\n');
    expect(summaryOf(log).faults.map(({ count, last }) => [count, last])).toEqual([[2, `${day} ${time}.123 +0100`]]);
  });
});

describe("Exim's list of hosts ends with one that takes no mail:", () => {
  const head = '2026-11-28 07:07:47 1xXCXD-0000mB-0L';
  const relay = 'H=relayhost.example.org [192.0.2.11]';

  it.each([
    ['the relay said why', `${head} ${relay}: ${reject}\n`, ` ${relay}`, ['pin-not-listed']],
    ['it refused the connection', `${head} ${relay} Connection refused\n`, '', ['connection-refused']],
    ['Exim says nothing of TLS', '', ` ${relay}`, ['handshake-failed']],
    ['the relay was not tried', '', '', []],
  ])('%s', (_, said, of, ids) => {
    const log = `${said}${head} H=255.255.255.255 [255.255.255.255] Network is unreachable
${head} == bob@example.net R=smarthost T=remote_smtp_smarthost defer (101): Network is unreachable${of}\n`;
    for (const names of [hosts, new Set<string>()]) {
      const { faults, unknown } = summaryOf(log, names);
      expect([faults.map(({ kind, count }) => [kind.id, count]), unknown]).toEqual([ids.map((id) => [id, 1]), []]);
    }
  });
});

describe('Postfix under any syslog_name', () => {
  const missing = 'warning: connect to transport private/relaycerts: No such file or directory';
  const at25 =
    '4Q2: to=<x@example.net>, relay=relayhost.example.org[192.0.2.11]:25, delay=1, status=deferred (host relayhost.example.org[192.0.2.11] said: 454 4.7.1 <x@example.net>: Relay access denied (in reply to RCPT TO command))';

  it.each(['postfix', 'postfix-out', 'mail', 'mail/out', 'MX.1'])('%s is known by its daemons', (name) => {
    expect(idsIn(relayLine(missing, `${name}/qmgr`), hosts)).toEqual(['service-missing']);
    expect(idsIn(relayLine(at25, `${name}/smtp`), hosts)).toEqual(['port-25']);
  });

  it.each(['qmgr', 'mail', 'mail/qmgr/x', 'mail/imap', '/qmgr'])('%s is another program', (program) => {
    const { faults, unknown } = summaryOf(relayLine(missing, program) + relayLine(at25, program), hosts);
    expect([faults, unknown]).toEqual([[], []]);
  });

  it.each([
    ['postfix/smtpd', true],
    ['mail/out/smtpd', true],
    ['mail/relaycerts/smtpd', true],
    ['smtpd', false],
    ['exim4', false],
  ])('an ordinary line of %s is skipped without reading it: %j', (program, isSkipped) => {
    const line = relayLine('connect from mail.example.net[203.0.113.1]', program).trimEnd();
    expect(ordinaryLines(() => false)(line, 0, line.length)).toBe(isSkipped);
  });

  it('is not what another program says after its own name', () => {
    for (const before of ['dovecot: imap-login: user=', 'sshd[1]: Invalid user 00:00:00 h ']) {
      const line = `Nov 27 00:37:48 relayhost ${before}mail/qmgr[2]: ${missing}\n`;
      expect(summaryOf(line, hosts).faults).toEqual([]);
    }
  });
});

describe('every sample', () => {
  const all = logKinds.flatMap((kind) =>
    [...kind.samples, ...kind.programs].map(({ line }) => [kind.id, line] as const),
  );

  it.each([
    ['without settings', new Set<string>()],
    // The name that Postfix uses if DNS has none.
    ['with settings', new Set([...hosts, 'nohost.example.org'])],
  ])('%s is a fault of its kind', (_, names) => {
    const wrong = all.filter(([id, line]) => idsIn(`${line}\n`, names).join() !== id);
    expect(wrong).toEqual([]);
  });

  it('is reported when it is seen', () => {
    const seen: string[] = [];
    const { sink } = logTally(hosts, { fault: ({ kind, count }) => seen.push(`${kind.id} ${count}`) });
    for (const [, line] of all) sink.add(Buffer.from(`${line}\n`));
    sink.end();
    expect(new Set(seen)).toEqual(new Set(logKinds.map(({ id }) => `${id} 1`)));
  });
});

const trusted = relayLine(
  'Trusted TLS connection established from mailhost.example.org[192.0.2.31]: TLSv1.3 with cipher TLS_AES_256_GCM_SHA384',
);
const client = relayLine('9A4D61: client=mailhost.example.org[192.0.2.31]');

describe('what is not a fault', () => {
  const healthy = [
    'Nov 27 00:37:47 mailhost postfix/smtp[455]: Untrusted TLS connection established to mx.example.net[192.0.2.25]:25: X',
    'Nov 27 00:37:47 mailhost postfix/relaycerts/smtp[455]: Verified TLS connection established to relayhost.example.org[192.0.2.11]:2500: X',
    'Nov 27 00:37:47 mailhost postfix/relaycerts/smtp[455]: 1627397: to=<bob@example.net>, relay=relayhost.example.org[192.0.2.11]:2500, delay=2.3, delays=1.5/0.48/0.29/0.01, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 5A247A0)',
    'Nov 27 00:37:47 relayhost postfix/relaycerts/smtpd[399]: warning: hostname dsl.example.net does not resolve to address 192.0.2.31',
    'Nov 27 00:37:47 relayhost postfix/relaycerts/smtpd[399]: lost connection after CONNECT from unknown[203.0.113.7]',
    'Nov 27 00:37:47 relayhost postfix/smtpd[399]: NOQUEUE: reject: RCPT from unknown[203.0.113.7]: 554 5.7.1 <x@example.net>: Relay access denied; from=<a@example.net>',
    'Nov 27 00:37:47 relayhost postfix/smtpd[399]: SSL_accept error from unknown[203.0.113.7]: -1',
    'Nov 27 00:37:47 relayhost postfix/smtp[399]: connect to mx.example.net[203.0.113.9]:25: Connection timed out',
    'Nov 27 00:37:47 relayhost postfix/relaycerts/smtpd[399]: warning: Unable to look up MX host example.org for Recipient address x@example.org: No address',
    'Nov 27 00:37:47 relayhost sshd[399]: error: Relay access denied',
    'Nov 27 00:37:47 mailhost kernel: TLS is required, but was not offered by host',
  ];

  it('is a line of every day, on both hosts', () => {
    const { faults, unknown, sent } = summaryOf(`${healthy.join('\n')}\n`, hosts);
    expect([faults, unknown, sent.count]).toEqual([[], [], 1]);
  });

  it('is what strangers do at our port, once home was seen', () => {
    const strange = [
      relayLine('SSL_accept error from unknown[203.0.113.7]: -1', undefined, 381),
      relayLine('warning: TLS library problem: error:0A0000C1:SSL routines::no shared cipher:x.c:1:', undefined, 381),
      relayLine('NOQUEUE: abort: TLS from unknown[203.0.113.8]: No client certificate presented', undefined, 382),
    ].join('');
    expect(idsIn(strange).toSorted()).toEqual(['handshake-failed', 'no-client-certificate', 'no-shared-cipher']);
    const { faults, strangers } = summaryOf(strange + trusted);
    expect([faults, strangers]).toEqual([[], { lines: 3, addresses: 2 }]);
  });

  const end = (counts: string, pid = 380) =>
    relayLine(`disconnect from mailhost.example.org[192.0.2.31] ${counts} quit=1 commands=9`, undefined, pid);
  const abort = relayLine('NOQUEUE: abort: TLS from mailhost.example.org[192.0.2.31]: No client certificate presented');

  it('is what check tries, from wherever it runs', () => {
    const trials = [
      abort + end('ehlo=1 noop=2 starttls=1'),
      trusted + relayLine(reject) + end('ehlo=2 starttls=1 mail=1 rcpt=0/1 rset=1 noop=2'),
      trusted + client + end('ehlo=2 starttls=1 mail=1 rcpt=1 rset=1 noop=2'),
    ];
    const { faults, strangers, sent, trialLines } = summaryOf(trials.join(''), hosts);
    expect([faults, strangers.lines, sent.count, trialLines]).toEqual([[], 0, 0, 2]);
    // Nor does it make its address one of ours.
    const stranger = abort.replaceAll('mailhost.example.org', 'unknown').replaceAll('.31', '.32');
    expect(idsIn(trials.join('') + stranger)).toEqual(['no-client-certificate']);
  });

  it('is a try by hand with the certificate, and one without', () => {
    const [tried, second] = [
      trusted + client + end('ehlo=2 starttls=1 mail=1 rcpt=1'),
      abort + relayLine('disconnect from mailhost.example.org[192.0.2.31] ehlo=1 starttls=1 commands=2'),
    ];
    const { faults, sent } = summaryOf(tried + second, hosts);
    expect([faults, sent.count]).toEqual([[], 0]);
    expect(idsIn(tried + second + second, hosts)).toEqual(['no-client-certificate']);
  });

  it('but a fault counts in a session with mail, and in one that goes on', () => {
    const mail = end('ehlo=2 starttls=1 mail=2 rcpt=1/2 data=1 noop=2');
    for (const log of [abort + mail, abort + end('ehlo=1 starttls=1'), abort, abort + end('noop=2', 381)]) {
      expect(idsIn(log, hosts)).toEqual(['no-client-certificate']);
    }
    expect(summaryOf(client + mail + client + end('mail=1 rcpt=1 bdat=2')).sent.count).toBe(2);
    const broken = relayLine('warning: unsupported dictionary type: ldbm');
    expect(idsIn(broken + end('noop=2'))).toEqual(['map-type']);
  });

  it('but home is known by the address of its certificate, by then or later', () => {
    const early = relayLine('NOQUEUE: abort: TLS from dsl.example.net[192.0.2.31]: No client certificate presented');
    for (const log of [trusted + early, early + trusted]) expect(idsIn(log)).toEqual(['no-client-certificate']);
    expect(summaryOf(trusted + early.replace('192.0.2.31', '192.0.2.32')).faults).toEqual([]);
  });
});

describe('what a stranger writes is not taken for words of the mail program', () => {
  const from = 'from unknown[203.0.113.9]';
  const quoted = '<"a> map x: Relay access denied"@example.net>';
  const given: readonly (readonly [string, string, string])[] = [
    ['a command', 'relaycerts/smtpd', `warning: non-SMTP command ${from}: open database x: No such file or directory`],
    [
      'a command too early',
      'relaycerts/smtpd',
      `improper command pipelining after EHLO ${from}: 452 4.3.1 Insufficient system storage`,
    ],
    ['a certificate', 'relaycerts/smtpd', `unknown[203.0.113.9]: subject_CN=key values mismatch, issuer=x`],
    [
      'a sender, through the relay',
      'relaycerts_in/smtpd',
      `NOQUEUE: reject: RCPT from relayhost.example.org[192.0.2.11]: 550 5.1.1 <x@example.org>: Recipient address rejected: User unknown; from=${quoted} to=<x@example.org>`,
    ],
    [
      'a recipient, through the relay',
      'relaycerts_home/smtp',
      `4Q2: to=${quoted}, relay=mailhost.example.org[192.0.2.2]:2525, delay=1, status=undeliverable (host mailhost.example.org[192.0.2.2] said: 550 5.1.1 ${quoted}: Recipient address rejected: User unknown)`,
    ],
    [
      'HELO, at port 25',
      'smtpd',
      `NOQUEUE: reject: RCPT ${from}: 554 5.7.1 <x@example.net>: Relay access denied; from=<> to=<x@example.net> helo=<mailhost.example.org[192.0.2.31]>`,
    ],
    [
      'the answer of another server',
      'smtp',
      '4Q2: to=<x@example.net>, relay=mx.example.net[203.0.113.25]:25, delay=1, status=deferred (host mx.example.net[203.0.113.25] said: 450 4.7.1 <relayhost.example.org[192.0.2.11]>: Client host rejected: Try again later)',
    ],
  ];
  const elsewhere: readonly (readonly [string, string])[] = [
    [
      'a command, in a log without heads',
      `warning: non-SMTP command ${from}: open database x: No such file or directory`,
    ],
    [
      'a sender, to Exim',
      '2026-11-27 03:22:06 1xWmXF-0000Ey-35 <= "00:00:00 h postfix/relaycerts/smtp[1]: Relay access denied"@example.net H=x [203.0.113.9]',
    ],
    [
      'a subject, to Exim',
      '2026-11-27 03:22:06 1xWmXF-0000Ey-35 <= a@example.net H=x [203.0.113.9] T="** Relay access denied ** "',
    ],
    ['HELO, to Exim', '2026-11-27 03:22:06 H=(Relay access denied) [203.0.113.9] rejected MAIL <x@example.net>'],
    [
      'a recipient, to OpenSMTPD',
      'Nov 27 03:24:30 mailhost smtpd[601]: dc91495abe63771a smtp failed-command command="RCPT TO:<Relay access denied>" result="550 Invalid recipient"',
    ],
  ];

  it.each([
    ...['postfix', 'mail'].flatMap((mail) =>
      given.map(([name, program, text]) => [`${name} (${mail})`, relayLine(text, `${mail}/${program}`)] as const),
    ),
    ...elsewhere,
  ])('%s', (_, line) => {
    const { faults, unknown } = summaryOf(`${trusted}${line}\n`, hosts);
    expect([faults, unknown]).toEqual([[], []]);
  });
});

const oddLine = (id: number) =>
  `Nov 27 00:37:4${id} mailhost postfix/relaycerts/smtp[${id}]: 4A${id}B61: to=<b${id}@example.net>, relay=none, status=deferred (the ${id} moons)\n`;

describe('a summary', () => {
  it('counts lines, mails and faults, with the first and last time', () => {
    const early = relayLine(reject).replace('00:37:48', '00:30:00');
    const { lines, first, last, sent, faults } = summaryOf(early + trusted + client + relayLine(reject) + trusted);
    expect([lines, first, last, sent]).toEqual([
      5,
      'Nov 27 00:30:00',
      'Nov 27 00:37:48',
      { count: 1, last: 'Nov 27 00:37:48', lastLine: 3 },
    ]);
    expect(faults[0]).toMatchObject({ count: 2, first: 'Nov 27 00:30:00', last: 'Nov 27 00:37:48', lastLine: 4 });
    expect([...(faults[0]?.peers ?? [])]).toEqual([['mailhost.example.org', 2]]);
  });

  it('puts causes before symptoms', () => {
    const symptom = relayLine('NOQUEUE: abort: TLS from a[192.0.2.31]: Client certificate not trusted');
    expect(idsIn(symptom.repeat(3) + relayLine(reject))).toEqual(['pin-not-listed', 'client-not-trusted']);
  });

  it('shows unknown lines of ours, alike ones together', () => {
    const { unknown } = summaryOf(oddLine(1) + oddLine(2));
    expect(unknown.map(({ count, last }) => [count, last])).toEqual([[2, 'Nov 27 00:37:42']]);
  });

  it('shows a certificate that was not verified for a reason that is not known', () => {
    const because = 'certificate verification failed for relayhost.example.org[192.0.2.11]:2500: num=47:permitted';
    const log = ['relaycerts/', ''].map(
      (ours) => `Nov 27 00:37:42 mailhost postfix/${ours}smtp[6]: server ${because}\n`,
    );
    expect(summaryOf(log.join('')).unknown.map(({ count }) => count)).toEqual([1]);
  });

  it('says that lines without their programs are not told apart', () => {
    expect(noteOf(`${reject}\n`)).toMatch(/no line names its program/u);
    expect(noteOf('Nov 27 00:37:47 relayhost postfix/smtpd[399]: statistics: max\n')).toMatch(/was it installed/u);
    expect(noteOf(trusted)).toBeUndefined();
  });

  it('reports whether any line is ours', () => {
    expect(summaryOf(trusted).hasOurs).toBe(true);
    expect(summaryOf('Nov 27 00:37:47 relayhost postfix/smtpd[399]: statistics: max\n').hasOurs).toBe(false);
  });
});

describe('bounds', () => {
  it('a line of any length is cut, and the next one is whole', () => {
    const found: (readonly [string, number])[] = [];
    const sink = lineSplitter((line, octets) => found.push([line, octets]));
    const long = 'x'.repeat(mostOctets * 3);
    for (const part of [long, long, '\nshort\n\n', 'end']) sink.add(Buffer.from(part));
    sink.end();
    expect(found).toEqual([
      [long.slice(0, mostOctets), long.length * 2],
      ['short', 5],
      ['', 0],
      ['end', 3],
    ]);
  });

  it('any number of hosts, clients and unknown lines is limited and counted', () => {
    const { sink, summary } = logTally(new Set());
    sink.add(Buffer.from(trusted));
    for (let at = 0; at < 5000; at += 1) {
      const odd = `${'abcdefghij'[at % 10]}${'klmnopqrst'[Math.floor(at / 10) % 10]}${'uvwxyz'[Math.floor(at / 100) % 6]}`;
      sink.add(
        Buffer.from(
          relayLine(reject).replace(' relayhost ', ` host${at} `) +
            relayLine(
              `NOQUEUE: abort: TLS from unknown[2001:db8::${at.toString(16)}]: No client certificate presented`,
            ) +
            relayLine(`warning: ${odd}`),
        ),
      );
    }
    const all = summary();
    const { faults, unknown, moreUnknown, strangers, lines } = all;
    expect(renderLogSummary('a log', all, [])).toContain('; 5001 of them fine;');
    expect(lines).toBe(15_001);
    expect(faults.reduce((sum, { count }) => sum + count, 0)).toBe(5000);
    expect(faults.length).toBeLessThan(2100);
    expect(unknown.length).toBe(20);
    expect(unknown.reduce((sum, { count }) => sum + count, 0) + moreUnknown).toBe(5000);
    expect(strangers.lines).toBe(5000);
    expect(strangers.addresses).toBeLessThan(2100);
  });

  it('many lines need no more memory than a few', async () => {
    const { sink, summary } = logTally(hosts);
    const some = Buffer.from((trusted + client + relayLine(reject)).repeat(100));
    for (let at = 0; at < 100; at += 1) sink.add(some);
    const before = process.memoryUsage().rss;
    for (let at = 0; at < 900; at += 1) {
      sink.add(some);
      if (at % 100 === 0) await new Promise(setImmediate);
    }
    expect(summary().lines).toBe(300_000);
    expect(process.memoryUsage().rss - before).toBeLessThan(100 * 2 ** 20);
  });
});

const unpack = async (parts: readonly Buffer[]): Promise<string> => {
  const chunks: Buffer[] = [];
  const source = (async function* () {
    yield* parts;
  })();
  for await (const chunk of unpacked(source, 'log')) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};

describe('gzip', () => {
  const packed = Buffer.concat([gzipSync('one\n'), gzipSync('two\n')]);

  it('is recognised by its first octets, in pieces and in members', async () => {
    expect(await unpack([packed.subarray(0, 1), packed.subarray(1, 9), packed.subarray(9)])).toBe('one\ntwo\n');
    expect(await unpack([Buffer.from('p'), Buffer.from('lain')])).toBe('plain');
    expect(await unpack([])).toBe('');
    expect(await unpack([Buffer.from([0x1f])])).toBe('\u001F');
  });

  it('of another program is an error', async () => {
    const xz = Buffer.concat([Buffer.from([0xfd]), Buffer.from('7zXZ\0rest')]);
    await expect(unpack([xz])).rejects.toThrow('log is packed with xz');
    await expect(unpack([Buffer.from('B'), Buffer.from('Zh9')])).rejects.toThrow('log is packed with bzip2');
  });

  it('that is cut off is an error', async () => {
    await expect(unpack([packed.subarray(0, 30)])).rejects.toThrow('log is not a whole gzip file');
  });
});

describe('Postfix 3.5, to which a relay of this CA with another name is only not verified', () => {
  const smtp = 'Nov 27 11:32:23 mailhost postfix/relaycerts/smtp[380]: ';
  const established = (how: string): string =>
    `${smtp}${how} TLS connection established to relayhost.example.org[192.0.2.11]:2500: TLSv1.3 with cipher x\n`;
  const deferred = `${smtp}478AF99: to=<bob@example.net>, relay=relayhost.example.org[192.0.2.11]:2500, delay=0.1, dsn=4.7.5, status=deferred (Server certificate not verified)\n`;

  it.each([
    [['other-name'], established('Trusted') + deferred + deferred],
    [['not-verified'], established('Trusted') + established('Untrusted') + deferred],
    [['not-verified'], established('Trusted').replace('380', '381') + deferred],
    [[], established('Trusted')],
  ])('%j', (ids, log) => {
    expect(idsIn(log)).toEqual(ids);
  });
});

describe('the detail of a handshake that failed', () => {
  const detail = 'warning: TLS library problem: error:0A0000F4:SSL routines::unexpected message:../ssl/record/x.c:855:';
  it.each([
    [`Nov 27 11:49:35 relayhost ${tag}`, 'SSL_accept error from unknown[203.0.113.9]: -1'],
    [
      'Nov 27 11:49:35 mailhost postfix/relaycerts/smtp[380]: ',
      'SSL_connect error to relayhost.example.org[192.0.2.11]:2500: -1',
    ],
  ])('is not another line that is unknown: %s', (begin, failed) => {
    expect(summaryOf(`${begin}${detail}\n`).unknown).toHaveLength(1);
    expect(summaryOf(`${begin}${failed}\n${begin}${detail}\n`).unknown).toEqual([]);
  });
});

it('what a reload ends is neither a fault nor unknown', () => {
  const waits = '4Q2: to=<bob@example.net>, relay=none, delay=3, delays=1/2/0/0, dsn=4.4.2, status=deferred ';
  const lines = [
    `relaycerts/smtp[1]: ${waits}(lost connection with relayhost.example.org[192.0.2.11] while receiving the initial server greeting)`,
    `relaycerts/smtp[1]: ${waits}(host relayhost.example.org[192.0.2.11] refused to talk to me: 421 4.3.2 Service currently unavailable)`,
    `error[2]: ${waits}(delivery temporarily suspended: lost connection with relayhost.example.org[192.0.2.11] while sending RCPT TO)`,
    'qmgr[3]: warning: premature end-of-input on private/relaycerts socket while reading input attribute name',
    'qmgr[3]: warning: private/relaycerts socket: malformed response',
    'relaycerts/smtp[1]: warning: problem talking to server private/tlsmgr: Connection reset by peer',
    'relaycerts/smtp[1]: warning: problem talking to service rewrite: Success',
  ];
  const { faults, unknown } = summaryOf(
    lines.map((line) => `Nov 27 11:49:35 mailhost postfix/${line}\n`).join(''),
    hosts,
  );
  expect([faults, unknown]).toEqual([[], []]);
  // What keeps a service from being reached is not.
  const refused = 'warning: problem talking to server private/relaycerts-2500-tlsmgr: Connection refused';
  expect(summaryOf(`Nov 27 11:49:35 relayhost ${tag}${refused}\n`).unknown).toHaveLength(1);
});

it('a recipient that home does not know is refused, as it should be', () => {
  const [rejected, begin] = ['Recipient address rejected: User unknown in local recipient table', 'Nov 27 11:49:35'];
  const said = `550 5.1.1 <x@example.org>: ${rejected}`;
  const log = [
    `${begin} mailhost postfix/relaycerts_in/smtpd[41]: NOQUEUE: reject: RCPT from relayhost.example.org[192.0.2.1]: ${said}; from=<>`,
    `${begin} relayhost postfix/relaycerts_home/smtp[42]: 4Q2: to=<x@example.org>, relay=mailhost.example.org[192.0.2.2]:2525, delay=1, delays=1/0/0/0, dsn=5.1.1, status=undeliverable (host mailhost.example.org[192.0.2.2] said: ${said} (in reply to RCPT TO command))`,
  ];
  const { faults, unknown } = summaryOf(`${log.join('\n')}\n`);
  expect([faults, unknown]).toEqual([[], []]);
});
