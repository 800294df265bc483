// What a relay's main.cf has for strangers, as in published configurations, and what strangers do: neither stops a
// listed client's mail on our port, and nothing there is rejected permanently.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { forStrangers } from './lab/for-strangers.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';

const settings = { smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] };

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
/** The script's messages about main.cf. */
let said: string;

beforeAll(async () => {
  requireTools('openssl', 'swaks', 'perl');
  lab = await startLab({ relays: 1, homes: 1, faults: ['no-client-certificate'] });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make(settings);
  await relay.setMainCf(forStrangers);
  await desk.copy(relay);
  const { stdout, stderr, code } = await desk.script(relay);
  expect(code, stderr).toBe(0);
  said = stdout + stderr;
  await desk.install(home);
});
afterAll(() => lab.stop());

describe('what main.cf has for strangers', () => {
  test('does not stop mail from home', async () => {
    await deliver(home, lab.outside);
    await deliver(home, lab.outside);
    expect(await relay.mailLog()).not.toMatch(/milter|proxy-reject|notify/u);
  });

  test.each(['smtpd_milters', 'content_filter', 'header_checks', 'smtpd_recipient_restrictions', 'smtpd_proxy_filter'])(
    'the script prints that %s does not apply',
    (name) => {
      const value = (forStrangers[name] ?? '').replaceAll(/[.[\]]/gu, String.raw`\$&`);
      expect(said).toMatch(
        new RegExp(`^relaycerts: port 2500 does not use this setting of main.cf: ${name} = ${value}$`, 'mu'),
      );
    },
  );

  test('the script warns of unsigned mail, and of local delivery', () => {
    expect(said).toMatch(/^relaycerts: warning: the milters of port 25 do not see mail from home; .*overrides/mu);
    expect(said).toMatch(/^relaycerts: warning: mydestination lists example\.org: /mu);
  });
});

describe('what a stranger does', () => {
  test('without TLS, the answer is temporary', async () => {
    const words = ['--server', `${relay.hostname}:2500`, '--from', 'a@example.org', '--to', 'b@example.net'];
    const { stdout } = await lab.operator.exec(['swaks', ...words, '--quit-after', 'RCPT'], { anyExit: true });
    expect(stdout).toMatch(/^<\*\* 430 5\.7\.0|^<\*\* 430 4\.7\.0/mu);
    expect(stdout).not.toMatch(/^<\*\* 5/mu);
  });

  test.each(['tls1_2', 'tls1_3'])('a session of %s cannot be resumed', async (version) => {
    const own = `hosts/${home.hostname}/${home.hostname}`;
    const connect = `openssl s_client -starttls smtp -connect ${relay.hostname}:2500 -${version}`;
    const first = `{ sleep 1; printf 'EHLO x\\r\\nQUIT\\r\\n'; sleep 1; } | ${connect} -cert ${own}.crt.pem -key ${own}.key.pem -sess_out session 2>&1`;
    expect((await desk.run(first, true)).stdout).toContain('New, TLSv1.');
    const second = `{ sleep 1; echo QUIT; } | ${connect} -sess_in session 2>&1`;
    // With no session to keep, openssl writes no file.
    if (await lab.operator.exists('/home/operator/session')) {
      const { stdout } = await desk.run(second, true);
      expect(stdout).toContain('New, TLSv1.');
      expect(stdout).not.toContain('Reused');
    }
    await desk.run('rm -f session');
  });

  test('150 half-open connections do not hold up mail from home', async () => {
    const addresses = ['192.0.2.201', '192.0.2.202', '192.0.2.203'];
    for (const address of addresses) await lab.outside.exec(['ip', 'address', 'add', `${address}/24`, 'dev', 'eth0']);
    // Each sends what a client sends up to its TLS handshake, which never comes. It stops when nobody answers any more.
    const flood = `use IO::Socket::INET; my @open; $SIG{ALRM} = sub { die }; eval { for my $from (@ARGV) { for (1 .. 50) {
      alarm 8; my $s = IO::Socket::INET->new(PeerAddr => '${relay.address}:2500', LocalAddr => $from) or next;
      push @open, $s; $s->autoflush(1); <$s> =~ /^220/ or next;
      print $s "EHLO x\\r\\n"; while (<$s>) { last if /^250 / }
      print $s "STARTTLS\\r\\n"; <$s> } } }; alarm 0;
      open my $f, '>', '/run/lab/flooding'; close $f; sleep 3600`;
    await lab.outside.sh(`perl -e '${flood.replaceAll("'", String.raw`'\''`)}' ${addresses.join(' ')} > /dev/null 2>&1 &
echo $! > /run/lab/flood.pid
until [ -e /run/lab/flooding ]; do sleep 0.1; done`);
    // Ten per address, of the service's hundred. Without limits they hold all, and mail waits until they time out.
    const held = (await relay.exec(['ss', '-Htn', 'state', 'established', 'sport = :2500'])).stdout.trim().split('\n');
    expect(held.length).toBeGreaterThan(20);
    expect(held.length).toBeLessThanOrEqual(30);
    await deliver(home, lab.outside);
    await lab.outside.sh('kill $(cat /run/lab/flood.pid)');
  });
});
