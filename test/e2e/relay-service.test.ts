// The script on a relay over time: an existing service, manual additions, a client that is revoked while connected, an
// old table that comes back, and mail that would loop.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { patienceMs } from './lab/machine.js';
import { Desk, contentOf, deliver, send } from './lab/operator.js';

const twoHomes = { smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }] };
const settings = { smtpdServers: [{ hostname: 'relayhost' }], ...twoHomes };
/** What earlier versions of relaycerts set up, and what how-tos print. */
const oldService = `postconf -M '2500/inet=2500 inet n - n - - smtpd'
postconf -P 2500/inet/syslog_name=postfix/relay 2500/inet/smtpd_tls_security_level=encrypt 2500/inet/smtpd_tls_ask_ccert=yes \\
  2500/inet/smtpd_tls_fingerprint_digest=sha256 2500/inet/relay_clientcerts=hash:/etc/postfix/relay_clientcerts \\
  2500/inet/smtpd_relay_restrictions=permit_tls_clientcerts,reject`;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let second: MailHost;

/** Runs the relay's script, which must succeed. Resolves with all its output. */
async function runScript(words: '' | '--undo' = ''): Promise<string> {
  const { code, stdout, stderr } = await desk.script(relay, words);
  expect(code, stderr).toBe(0);
  return stdout + stderr;
}

/** Copies the bundle to the relay, and runs the script there. */
async function install(): Promise<string> {
  await desk.copy(relay);
  return runScript();
}

/** Opens a session from a home on our port that stays open; resolves once MAIL FROM was accepted. */
async function openSession(host: MailHost): Promise<void> {
  const own = `/etc/postfix/relaycerts/example.org/${host.hostname}`;
  await host.sh(`rm -f /run/lab/in /run/lab/out; mkfifo /run/lab/in
sleep 3600 > /run/lab/in 2> /dev/null &
openssl s_client -quiet -crlf -starttls smtp -connect ${relay.hostname}:2500 -cert ${own}.crt.pem -key ${own}.key.pem \\
  < /run/lab/in > /run/lab/out 2> /dev/null &
echo $! > /run/lab/session.pid
exec 3> /run/lab/in
await() { until grep -q "$1" /run/lab/out; do sleep 0.1; done; }
echo 'EHLO x' >&3
await '^250-PIPELINING'
echo 'MAIL FROM:<ann@example.org>' >&3
await '^250 2.1.0'
while sleep 15; do echo NOOP >&3; done > /dev/null 2>&1 &`);
}

beforeAll(async () => {
  requireTools('openssl', 'dig', 'pkill');
  lab = await startLab({ relays: 1, homes: 2, faults: ['pin-not-listed'] });
  [relay] = lab.relays;
  [home, second = home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make(settings);
  await Promise.all([desk.install(home), desk.install(second), desk.copy(relay)]);
});
afterAll(() => lab.stop());

describe('a service that was on the port before', () => {
  test('that relays by certificates is replaced, and undo brings it back', async () => {
    await relay.sh(oldService);
    await relay.reload();
    const before = await contentOf(relay);
    expect(await runScript()).toMatch(
      /^relaycerts: the service 2500\/inet in master\.cf already relays for certificates/mu,
    );
    await deliver(home, lab.outside);
    await runScript('--undo');
    expect(await contentOf(relay)).toBe(before);
  });

  test('also if somebody edited master.cf in between', async () => {
    const before = (await relay.exec(['postconf', '-M', '2500/inet'])).stdout;
    await runScript();
    await relay.sh('echo "# a comment" >> /etc/postfix/master.cf');
    await runScript();
    await relay.sh('echo "# another" >> /etc/postfix/master.cf');
    await runScript('--undo');
    expect((await relay.exec(['postconf', '-M', '2500/inet'])).stdout).toBe(before);
    expect((await relay.exec(['postconf', '-M'])).stdout).not.toContain('relaycerts');
    await relay.restorePostfix();
    await relay.sh('rm -rf /etc/postfix/relaycerts/example.org');
    await desk.copy(relay);
  });

  test.each(['2500', '0.0.0.0:2500'])('%s that does not: the hint makes room', async (name) => {
    await relay.sh(`postconf -M '${name}/inet=${name} inet n - n - - smtpd'`);
    await relay.reload();
    const { code, stderr } = await desk.script(relay);
    expect(code).toBe(1);
    const [, hint = ''] = /remove it: (.*)$/mu.exec(stderr) ?? [];
    await relay.sh(`${hint} > /dev/null 2>&1`);
    const isFree = async () => (await relay.exec(['ss', '-Hltn', 'sport = :2500'])).stdout === '';
    await expect.poll(isFree, { timeout: patienceMs }).toBe(true);
    await install();
    await deliver(home, lab.outside);
    await runScript('--undo');
  });
});

describe('once the service is ours', () => {
  beforeAll(async () => {
    await install();
  });

  test('what was added by hand is named and removed; overrides stay', async () => {
    await relay.exec(['postconf', '-P', '2500/inet/smtpd_milters=inet:127.0.0.1:9', '2500/inet/smtpd_sasl_type=cyrus']);
    expect(await runScript()).toMatch(
      /2500\/inet loses settings that were added to it by hand: smtpd_sasl_type; .*overrides/u,
    );
    expect((await relay.exec(['postconf', '-P', '2500/inet/*'])).stdout).not.toMatch(/127\.0\.0\.1:9|smtpd_sasl_type/u);

    const overrides = { message_size_limit: '20480000', smtpd_client_message_rate_limit: '100' };
    await desk.make({ ...settings, smtpdServers: [{ hostname: 'relayhost', overrides }] });
    expect(await install()).not.toContain('loses');
    // More than the relay's own limit of 10240000 octets: smtpd, cleanup and home would have refused it.
    await home.setMainCf({ message_size_limit: '0' });
    await home.reload();
    await relay.markLog();
    await home.sh(`{ printf 'Subject: large\\n\\n'; yes 123456789012345678901234567890 | head -c 11000000; } |
  /usr/sbin/sendmail -f ann@example.org bob@example.net`);
    await relay.waitForLog(/from=<ann@example\.org>, size=11\d{6}/u);
    await desk.make(settings);
    await install();
  });

  test('mail for a domain whose MX is the relay waits; the script says why', async () => {
    const [wire] = lab.machines;
    await wire?.sh(`pid=$(cat /run/dnsmasq.pid)
tr '\\0' '\\n' < /proc/$pid/cmdline > /run/lab/dnsmasq
kill $pid
while kill -0 $pid 2> /dev/null; do sleep 0.1; done
xargs -d '\\n' sh -c 'exec "$@" --mx-host=example.org,relayhost.example.org,10 --mx-host=example.org,mx.example.com,20 \\
  --address=/mx.example.com/${relay.address}' sh < /run/lab/dnsmasq`);
    const said = await runScript();
    expect(said).toContain('relaycerts: warning: the MX of example.org is this relay, which accepts no mail for it');
    expect(said).toContain('relaycerts: warning: the MX of example.org is this relay as mx.example.com, ');
    await home.markLog();
    await home.sendMail({ from: 'ann@example.org', to: 'ben@example.org', subject: 'to ourselves' });
    expect(await home.waitForDeferred()).toMatch(/said: 450 /u);
    expect(await home.mailLog()).not.toContain('status=bounced');
    await home.sh('postsuper -d ALL 2> /dev/null');
    await deliver(home, lab.outside);
  });

  test('a revoked client loses its open session, on our port only', async () => {
    await openSession(second);
    await relay.sh(`bash -c 'exec 3<> /dev/tcp/127.0.0.1/25; read -r line <&3; echo "$line" > /run/lab/port25
while sleep 1; do :; done' > /dev/null 2>&1 & echo $! > /run/lab/port25.pid; until [ -s /run/lab/port25 ]; do sleep 0.1; done`);
    await desk.run('mkdir before && cp -p hosts/relayhost.example.org/relay_clientcerts before/');
    await desk.run('relaycerts revoke mailhost2');

    expect(await install()).toContain('closed the open connections to port 2500');
    await second.sh('while kill -0 $(cat /run/lab/session.pid) 2> /dev/null; do sleep 0.1; done');
    expect((await relay.exec(['ss', '-Htn', 'state', 'established', 'sport = :25'])).stdout).not.toBe('');
    // Postfix closes a service for a minute if a process in its first session is killed.
    expect(await relay.mailLog()).not.toMatch(/killed by signal|throttling/u);
    await second.markLog();
    await send(second);
    expect(await second.waitForDeferred()).toMatch(/said: 450 4\.3\.2/u);
    await deliver(home, lab.outside);
  });

  test('one more client ends no session; an old table is seen', async () => {
    await openSession(home);
    await desk.run('cp -p before/relay_clientcerts hosts/relayhost.example.org/');
    const said = await install();
    expect(said).toContain('new in the table, may now relay: mailhost2.example.org');
    expect(said).not.toContain('have ended');
    await home.sh('kill -0 $(cat /run/lab/session.pid)');
    // The same by hand: the printed text ends sessions as well.
    await desk.make({ ...settings, smtpClients: [{ hostname: 'mailhost' }] });
    await desk.paste(relay);
    await home.sh('while kill -0 $(cat /run/lab/session.pid) 2> /dev/null; do sleep 0.1; done');
  });
});
