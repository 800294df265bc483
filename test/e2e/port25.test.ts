// What a relay's port 25 does with relayPort25, on real daemons: block lists and their error codes, a key that nobody
// sees, SPF, SRS and postscreen; and undo gives back every file.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { blocksOf } from '../support/blocks.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';

const dqsKey = 'abcdefghij0123456789klmnop';
const settings = {
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [{ hostname: 'mailhost' }],
  relayPort25: { dnsbl: ['zen.spamhaus.org', 'bl.example.net'], dqsKeyFile: 'dqs-key', spf: 'reject', srs: true },
};
/** Strangers' addresses. */
const [listed, codes, keyed, clean] = ['192.0.2.201', '192.0.2.202', '192.0.2.203', '192.0.2.204'] as const;
const reversed = (address: string): string => address.split('.').toReversed().join('.');
const answers: readonly (readonly [address: string, list: string, answer: string])[] = [
  [listed, 'bl.example.net', '127.0.0.2'],
  [codes, 'bl.example.net', '127.255.255.254'],
  [codes, `${dqsKey}.zen.dq.spamhaus.net`, '127.255.255.252'],
  [keyed, `${dqsKey}.zen.dq.spamhaus.net`, '127.0.0.4'],
  // Our home: on our own port nobody asks.
  ['192.0.2.31', 'bl.example.net', '127.0.0.2'],
];

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let stock: string;
let count = 0;

/** All files that may change, byte for byte, and which there are. */
async function files(): Promise<string> {
  const script = `cd /etc && for file in postfix/main.cf postfix/master.cf default/postsrsd; do
stat -c '%n %u:%g %a' $file && cat $file; done; ls postfix default | grep -v relaycerts; ss -Hltn | awk '{ print $4 }' | sort`;
  return (await relay.sh(script)).stdout;
}

interface Attempt {
  readonly from?: string;
  readonly to?: string;
  readonly until?: 'RCPT' | 'QUIT';
}

/** What the relay's port 25 says to a stranger with this address. */
async function attempt(
  address: string,
  { from = 'x@none.example', to, until = 'RCPT' }: Attempt = {},
): Promise<string> {
  const words = ['--server', `${relay.hostname}:25`, '--local-interface', address, '--helo', 'mx.example.net'];
  const mail = ['--from', from, '--to', to ?? `root@${relay.hostname}`, '--header', `Subject: port 25, ${++count}`];
  const quit = until === 'QUIT' ? [] : ['--quit-after', until];
  return (await lab.outside.exec(['swaks', ...words, ...mail, ...quit], { anyExit: true })).stdout;
}

/** A mail through the relay; resolves with the sender that the outside sees. */
async function senderOutside(from: string): Promise<string> {
  const subject = `forwarded ${++count}`;
  await home.sendMail({ from, to: 'bob@example.net', subject });
  const text = await lab.outside.waitForMail(subject);
  return /^Return-Path: <(.*)>$/mu.exec(text)?.[1] ?? text;
}

async function run(words: '' | '--undo' = ''): Promise<string> {
  const { stdout, stderr, code } = await desk.script(relay, words);
  expect(code, stderr).toBe(0);
  return stdout + stderr;
}

beforeAll(async () => {
  requireTools('openssl', 'swaks', 'postsrsd', 'policyd-spf', 'dnsmasq', 'fail2ban-regex', 'perl');
  lab = await startLab({
    relays: 1,
    homes: 1,
    faults: ['rewrite-failed', 'no-client-certificate', 'pin-not-listed', 'untrusted-issuer', 'not-verified'],
  });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  const [wire] = lab.machines;
  const records = [
    ...answers.map(([address, list, answer]) => `address=/${reversed(address)}.${list}/${answer}`),
    'txt-record=fails.example,v=spf1 ip4:192.0.2.99 -all',
    'txt-record=passes.example,v=spf1 ip4:192.0.2.0/24 -all',
    `txt-record=broken.example,v=spf1 nonsense -all`,
    `txt-record=example.org,v=spf1 -all`,
  ];
  await wire?.writeFile('/run/lab/records', `${records.join('\n')}\n`);
  await wire?.sh(`pid=$(cat /run/dnsmasq.pid)
tr '\\0' '\\n' < /proc/$pid/cmdline | sed 's,^--conf-file=.*,--conf-file=/run/lab/records,' > /run/lab/words
kill $pid
while [ -e /proc/$pid ]; do sleep 0.02; done
xargs -d '\\n' sh -c 'exec "$0" "$@"' < /run/lab/words`);
  for (const address of [listed, codes, keyed, clean]) {
    await lab.outside.exec(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
  }
  // What the packages' postinst does outside /etc.
  await relay.sh('mkdir -p /var/lib/postsrsd && service postsrsd start < /dev/null > /dev/null 2>&1');
  stock = await files();
  await desk.run(`umask 077 && echo ${dqsKey} > dqs-key`);
  await desk.make(settings);
  await Promise.all([desk.paste(relay), desk.install(home)]);
});
afterAll(() => lab.stop());

describe('block lists', () => {
  test('a listed address is refused', async () => {
    expect(await attempt(listed)).toMatch(/^<\*\* 554 5\.7\.1 .* blocked using bl\.example\.net/mu);
  });

  test('error codes refuse nobody', async () => {
    expect(await attempt(codes)).toMatch(/^<- {2}250 2\.1\.5 Ok/mu);
  });

  test('the key is in no answer, log, setting or argument', async () => {
    const said = await attempt(keyed);
    expect(said).toMatch(/^<\*\* 554 5\.7\.1 .* blocked using zen\.spamhaus\.org$/mu);
    const shown = (
      await desk.run('relaycerts show relayhost; relaycerts show relayhost --format sh; relaycerts show --json')
    ).stdout;
    const there = (
      await relay.sh(
        'cat /etc/postfix/*.cf /var/log/mail.log; postconf -n; stat -c %a /etc/postfix/relaycerts/example.org/dnsbl*',
      )
    ).stdout;
    for (const text of [said, shown, there]) expect(text).not.toContain(dqsKey);
    expect(there).toMatch(/^600\n600\n$/mu);
  });

  test('mail from home passes, from an address that is listed', async () => {
    expect(await attempt('192.0.2.25')).toMatch(/^<- {2}250 2\.1\.5 Ok/mu);
    await deliver(home, lab.outside);
  });
});

describe('SPF', () => {
  test('a sender whose record forbids it is refused, and only that', async () => {
    expect(await attempt(clean, { from: 'x@fails.example' })).toMatch(/^<\*\* 550 5\.7\.23 /mu);
    for (const from of ['x@passes.example', 'x@broken.example', 'x@none.example', '<>']) {
      expect(await attempt(clean, { from })).toMatch(/^<- {2}250 2\.1\.5 Ok/mu);
    }
  });

  test('is not asked about mail that is not for this host', async () => {
    expect(await attempt(clean, { from: 'x@fails.example', to: 'x@elsewhere.example' })).toMatch(
      /^<\*\* 454 4\.7\.1 .*Relay access denied/mu,
    );
  });
});

describe('SRS', () => {
  test('only mail from our port gets another sender, and our own senders stay', async () => {
    expect(await senderOutside('ann@example.org')).toBe('ann@example.org');
    expect(await senderOutside('eve@example.net')).toMatch(/^SRS0=\S+=example\.net=eve@relayhost\.example\.org$/u);
    await relay.markLog();
    await attempt(clean, { from: 'eve@passes.example', until: 'QUIT' });
    await relay.waitForLog(/from=<eve@passes\.example>/u);
  });

  test('a bounce comes back, a forged one is refused', async () => {
    const sender = await senderOutside('eve@example.net');
    const forged = sender.replace(/^SRS0=(.)/u, (_, letter: string) => `SRS0=${letter === 'A' ? 'B' : 'A'}`);
    expect(await attempt(clean, { from: '<>', to: forged })).toMatch(/^<\*\* 550 5\.1\.1 /mu);
    await attempt(clean, { from: '<>', to: sender, until: 'QUIT' });
    expect(await lab.outside.waitForMail(`port 25, ${count}`)).toMatch(
      /^X-Original-To: eve@example\.net$|^Delivered-To: .*eve@example\.net$/mu,
    );
  });

  test('without postsrsd, only what needs it waits', async () => {
    // One process each serves an open connection of Postfix.
    await relay.sh(`service postsrsd stop < /dev/null > /dev/null 2>&1
while pids=$(pidof postsrsd); do kill $pids 2> /dev/null; sleep 0.05; done`);
    await home.markLog();
    await home.sendMail({ from: 'eve@example.net', to: 'bob@example.net', subject: 'without postsrsd' });
    const [why, mail, bounce] = await Promise.all([
      home.waitForDeferred(),
      attempt(clean, { until: 'QUIT' }),
      attempt(clean, { from: '<>', to: 'SRS0=a=b=c=d@relayhost.example.org' }),
    ]);
    expect(why).toContain('451 4.3.0');
    expect(mail).toMatch(/^<- {2}250 2\.0\.0 Ok/mu);
    expect(bounce).toMatch(/^<\*\* 451 4\.3\.0 /mu);
    expect((await desk.run('relaycerts check relayhost --json', true)).stdout).toContain('"srs-down"');
    await relay.sh('service postsrsd start < /dev/null > /dev/null 2>&1');
    await lab.outside.waitForFlushed(home, 'without postsrsd');
  });
});

test('what was pasted goes by the pasted undo', async () => {
  await desk.paste(relay, '--undo');
  expect(await files()).toBe(stock);
});

describe('what is missing is said before anything changes', () => {
  test.each(['/usr/bin/policyd-spf', '/usr/sbin/postsrsd'])('%s', async (program) => {
    await relay.sh(`mount --bind /dev/null ${program}`);
    const { code, stderr } = await desk.script(relay);
    await relay.sh(`umount ${program}`);
    expect([code, await files()]).toEqual([1, stock]);
    expect(stderr).toMatch(
      / is not installed on relayhost\.example\.org, which needs it to .*; nothing was changed\n.*hint: install it: apt-get install/u,
    );
  });
});

/** The ids of what check says differs on the relay. */
async function differences(): Promise<readonly string[]> {
  const { stdout } = await desk.run('relaycerts check relayhost --json', true);
  return [...stdout.matchAll(/"id": "([^"]+-differs)"/gu)].map(([, id = '']) => id).toSorted();
}

describe('postscreen, with SPF that only marks', () => {
  beforeAll(async () => {
    await desk.make({ ...settings, relayPort25: { ...settings.relayPort25, postscreen: true, spf: 'mark' } });
    // The answers of the block lists have to be there by then.
    await relay.setMainCf({ postscreen_greet_wait: '3s' });
    await desk.run('relaycerts deploy relayhost --yes');
  });

  test('refuses listed addresses, and takes no error code for an answer', async () => {
    expect(await attempt(listed)).toMatch(/^<\*\* 550 5\.7\.1 .* blocked using bl\.example\.net/mu);
    expect(await attempt(codes)).toMatch(/^<- {2}250 2\.1\.5 Ok/mu);
    expect(await attempt(keyed)).toMatch(/^<\*\* 554 5\.7\.1 .* blocked using zen\.spamhaus\.org$/mu);
    expect(await relay.readFile('/var/log/mail.log')).not.toContain(dqsKey);
  });

  test('marks what SPF forbids', async () => {
    await relay.markLog();
    expect(await attempt(clean, { from: 'x@fails.example', until: 'QUIT' })).toMatch(/^<- {2}250 2\.0\.0 Ok/mu);
    await relay.waitForLog(/status=sent/u);
    expect((await relay.sh('cat /var/mail/*')).stdout).toMatch(/^Received-SPF: (?:Soft)?[Ff]ail .*fails\.example/mu);
  });

  test('leaves our port alone, and a second run changes nothing', async () => {
    await deliver(home, lab.outside);
    expect(await run()).toContain('nothing to change on relayhost.example.org');
  });

  test('check finds an item that somebody took out, and a file with another key', async () => {
    expect(await differences()).toEqual([]);
    await relay.setMainCf({ rbl_reply_maps: '' });
    await relay.sh(`echo >> /etc/postfix/relaycerts/example.org/dnsbl
cp /etc/default/postsrsd /run/lab/srs && sed -i '/relaycerts: begin/,/relaycerts: end/d' /etc/default/postsrsd
postconf -MX tlsproxy/unix; mount --bind /dev/null /usr/bin/policyd-spf`);
    const { stdout } = await desk.run('relaycerts check relayhost --json', true);
    for (const id of ['dnsbl-differs', 'main-cf-differs', 'srs-differs', 'postscreen-differs', 'policyd-spf-missing']) {
      expect(stdout).toContain(`"id": "${id}"`);
    }
    await relay.sh(`umount /usr/bin/policyd-spf; cat /run/lab/srs > /etc/default/postsrsd
postconf -M 'tlsproxy/unix=tlsproxy unix - - y - 0 tlsproxy'`);
  });

  test('goes when the settings drop it, and what somebody edited since stays', async () => {
    await relay.sh(`postconf -P smtpd/pass/smtpd_timeout=77
postconf -e 'smtpd_recipient_restrictions = reject_unlisted_recipient, relaycerts_2500_port25' 'rbl_reply_maps ='
echo SRS_HASHLENGTH=6 >> /etc/default/postsrsd`);
    await desk.make({ ...settings, relayPort25: undefined });
    const before = await files();
    const failed = await relay.withFailingReload(async () => desk.script(relay));
    expect([failed.code, await files()]).toEqual([1, before]);
    await run();
    const { stdout } = await relay.sh('postconf -M; postconf -n; cat /etc/default/postsrsd; ls /etc/postfix');
    expect(stdout.replaceAll(/ +/gu, ' ')).toContain('smtp inet n - y - - smtpd -o smtpd_timeout=77\n');
    expect(stdout).toContain('smtpd_recipient_restrictions = reject_unlisted_recipient\n');
    expect(stdout).toContain('SRS_HASHLENGTH=6\n');
    expect(stdout).not.toMatch(
      /postscreen_(?:dnsbl|greet)_action|tlsproxy|relaycerts_2500_port25|2500-s|SRS_DOMAIN=relayhost/u,
    );
    expect(await run()).toContain('nothing to change on relayhost.example.org');
  });
});

/** What strangers send to our port. */
const strangers: Readonly<Record<string, string>> = {
  'lost connection after CONNECT': '',
  'lost connection after UNKNOWN': 'WHO IS THERE\r\n',
  'lost connection after EHLO': 'EHLO x\r\n',
  'lost connection after STARTTLS': 'EHLO x\r\nSTARTTLS\r\n',
  'improper command pipelining after ': 'EHLO x\r\nNOOP\r\nNOOP\r\n',
  'non-SMTP command from ': 'GET / HTTP/1.0\r\n\r\n',
};

/** Makes home trust the CAs in this file. */
async function trust(file: string): Promise<void> {
  await home.exec(['postconf', '-P', `relaycerts/unix/smtp_tls_CAfile=${file}`]);
  await home.reload();
}

describe('fail2ban and the firewall', () => {
  test('every kind of stranger is counted, and no home with an old pin', async () => {
    const inSteps = String.raw`use IO::Socket::INET; my ($text) = @ARGV; $text =~ s/\r/\r/g;
my $s = IO::Socket::INET->new(PeerAddr => '${relay.address}:2500') or die; $s->autoflush(1); <$s>;
if ($text =~ /NOOP/) { print $s $text; <$s> for 1 .. 2 } else { for my $line (split /(?<=\n)/, $text) { print $s $line; while (<$s>) { last if /^\d+ / } } }`;
    for (const text of Object.values(strangers)) await lab.outside.exec(['perl', '-e', inSteps, text]);
    const connect = ['swaks', '--server', `${relay.address}:2500`, '--tls', '--to', 'x@example.net'];
    await lab.outside.exec(connect, { anyExit: true });
    // The pin of home is not listed, as in a rotation in the wrong order.
    const table = '/etc/postfix/relaycerts/example.org/relay_clientcerts';
    await relay.sh(`cp ${table} /run/lab/table; sed -i 's/^[0-9A-F]/#&/' ${table}`);
    await relay.reload();
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'in a rotation' });
    expect(await home.waitForDeferred()).toMatch(/Try again later/u);
    await relay.sh(`cp /run/lab/table ${table}`);
    await relay.reload();
    await lab.outside.waitForFlushed(home, 'in a rotation');
    // Home trusts another CA.
    await trust('/etc/ssl/certs/ssl-cert-snakeoil.pem');
    await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject: 'with another CA' });
    expect(await home.waitForDeferred()).toMatch(/not verified|not trusted/u);
    await trust('/etc/postfix/relaycerts/example.org/example.org-ca.crt.pem');
    await lab.outside.waitForFlushed(home, 'with another CA');
    const blocks = blocksOf(await desk.show('relayhost --section fail2ban'));
    for (const block of blocks) if (block.where === 'file') await relay.writeFile(block.file, block.text);
    // As Postfix 3.10 and later log it, whichever this is.
    await relay.sh(`sed 's/]: lost connection/]: NOQUEUE: lost connection/' /var/log/mail.log > /run/lab/newer.log`);
    for (const file of ['/var/log/mail.log', '/run/lab/newer.log']) {
      const words = `--print-all-matched ${file} /etc/fail2ban/filter.d/relaycerts.conf`;
      const { stdout } = await relay.sh(`fail2ban-regex ${words} | sed -n 's/^| *//; /smtpd/p'`);
      for (const kind of [...Object.keys(strangers), 'No client certificate presented']) expect(stdout).toContain(kind);
      expect(stdout).not.toContain(home.address);
    }
    await relay.sh('touch /var/log/auth.log && fail2ban-client --test > /dev/null');
  });
});
