// Who is refused, with relaycerts' own configuration on both sides: the relay accepts no client but ours, home sends
// its mail to no relay but ours, and whatever is wrong, the mail waits at home and is delivered after the fix.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCa, makeCertificate } from './lab/certificates.js';
import type { Authority, CertificateOptions, Credential } from './lab/certificates.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver, send, openCa } from './lab/operator.js';
import { startStandIn } from './lab/stand-in.js';
import { badServerCertificate, otherIssuer, otherName } from './lab/words.js';
import { folder } from '../support/folder.js';

const settings = { smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] };

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let ca: Authority;
let otherCa: Authority;
let port25Before: string;
/** Each host's own chain file. */
const right = new Map<MailHost, string>();

/** The replies of the relay's port 25 to a stranger, to the last one. */
async function port25(...options: readonly string[]): Promise<string> {
  const swaks = ['swaks', '--server', relay.hostname, '--from', 'a@example.org', '--quit-after', 'RCPT', ...options];
  return (await lab.operator.exec(swaks, { anyExit: true })).stdout;
}

/** A certificate of our CA for the home host, with any differences. */
function ofClient(options: Partial<CertificateOptions>): Promise<Credential> {
  return makeCertificate(lab.operator, { name: home.hostname, purpose: 'clientAuth', issuer: ca, ...options });
}

/** A certificate of our CA for the relay, with any differences. */
function ofServer(options: Partial<CertificateOptions>): Promise<Credential> {
  return makeCertificate(lab.operator, { name: relay.hostname, purpose: 'serverAuth', issuer: ca, ...options });
}

/** Makes the host show this chain file instead of its own. */
async function show(host: MailHost, chain = right.get(host) ?? ''): Promise<void> {
  await host.writeFile(`${folder}/${host.hostname}.chain.pem`, chain, '0600');
  await host.reload();
}

/** Adds these public keys to the relay's table. */
async function list(...credentials: readonly Credential[]): Promise<void> {
  const lines = credentials.map(({ publicKeySha256 }, at) => `${publicKeySha256} extra${at}\n`).join('');
  await relay.exec(['sh', '-c', `cat >> ${folder}/relay_clientcerts`], { input: lines });
  await relay.reload();
}

interface Refusal {
  /** Why it waits, according to the home queue. */
  readonly reason: string;
  /** What home said on the relay's service before the connection ended: `ehlo=2 starttls=1 ...`. */
  readonly commands: string;
  /** Both hosts' log. */
  readonly log: string;
}

/** Sends a mail that must wait at home; fixes things, and it must arrive. */
async function waits(putRight: () => Promise<void>): Promise<Refusal> {
  await relay.markLog();
  const subject = await send(home);
  const reason = await home.waitForDeferred();
  expect(await home.queue()).toHaveLength(1);
  const [, commands = ''] = await relay.waitForLog(/postfix\/relaycerts\/smtpd\[\d+\]: disconnect from \S+ (.*)$/m);
  const log = `${await home.mailLog()}${await relay.mailLog()}`;
  await putRight();
  await lab.outside.waitForFlushed(home, subject);
  expect(await home.mailLog()).not.toContain('status=bounced');
  return { reason, commands, log };
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  port25Before = await port25('--to', 'b@example.net');
  await desk.make(settings);
  await desk.install(relay, home);
  // Each connection is to show its own certificate, and not the last one's session.
  await home.setMainCf({ smtp_tls_session_cache_database: '' });
  await home.reload();
  for (const host of [relay, home]) right.set(host, await host.readFile(`${folder}/${host.hostname}.chain.pem`));

  ca = await openCa(desk);
  otherCa = await makeCa(lab.operator, 'example.org relay CA');
});
afterAll(() => lab.stop());

describe('the relay', () => {
  test('accepts a mail from home', async () => {
    await deliver(home, lab.outside);
  });

  test('defers a client without a certificate, before MAIL FROM', async () => {
    await home.exec(['postconf', '-P', 'relaycerts/unix/smtp_tls_chain_files=']);
    await home.reload();
    const { reason, commands } = await waits(async () => {
      await home.exec(['postconf', '-P', `relaycerts/unix/smtp_tls_chain_files=${folder}/${home.hostname}.chain.pem`]);
      await home.reload();
    });
    expect(reason).toMatch(/421 4\.7\.1 .*No client certificate presented/);
    expect(commands).toContain('starttls=1');
    expect(commands).not.toContain('mail=');
  });

  test.each([
    ['of another CA with the same names', otherIssuer, () => ({ issuer: otherCa })],
    ['that has expired', 'certificate has expired', () => ({ expired: true })],
    [
      'for serverAuth',
      'not designated for use as a client certificate|unsupported certificate purpose',
      () => ({ purpose: 'serverAuth' as const }),
    ],
  ])('defers a certificate %s before MAIL FROM, though its pin is listed', async (_what, logged, options) => {
    const client = await ofClient(options());
    await list(client);
    await show(home, client.chain);
    const { reason, commands, log } = await waits(() => show(home));
    expect(reason).toMatch(/421 4\.7\.1 .*Client certificate not trusted/);
    expect(log).toMatch(new RegExp(`relaycerts/smtpd\\[\\d+\\]: .*(${logged})`));
    expect(commands).toContain('starttls=1');
    expect(commands).not.toContain('mail=');
  });

  test('defers a certificate of ours that is not listed, at RCPT, until it is', async () => {
    const client = await ofClient({});
    await show(home, client.chain);
    const { reason, log } = await waits(() => list(client));
    expect(reason).toMatch(/said: 450 4\.3\.2 .*\(in reply to RCPT TO command\)/);
    expect(log).toContain('Trusted TLS connection established from mailhost');
    await show(home);
  });

  test('answers on port 25 as before, and accepts mail for itself', async () => {
    expect(port25Before).toContain('454 4.7.1 <b@example.net>: Relay access denied');
    expect(await port25('--to', 'b@example.net')).toBe(port25Before);
    const mine = `/home/operator/hosts/${home.hostname}/${home.hostname}`;
    const tls = ['--tls', '--tls-cert', `${mine}.crt.pem`, '--tls-key', `${mine}.key.pem`];
    const withCertificate = await port25('--to', 'b@example.net', ...tls);
    expect(withCertificate).toContain('=== TLS started');
    expect(withCertificate).toContain('454 4.7.1 <b@example.net>: Relay access denied');
    await relay.markLog();
    const own = ['--server', relay.hostname, '--from', 'a@example.net', '--to', `root@${relay.hostname}`];
    await lab.operator.exec(['swaks', ...own]);
    await relay.waitForLog(/to=<root@relayhost\.example\.org>.* status=sent/);
  });

  test('with postfix.unlisted "reject", bounces what is not listed, only that', async () => {
    await desk.make({ ...settings, postfix: { unlisted: 'reject' } });
    await desk.install(relay, home);
    const client = await ofClient({});
    await show(home, client.chain);
    const subject = await send(home);
    const [, reply] = await home.waitForLog(/to=<bob@example\.net>.* status=bounced \((.*)\)$/m);
    expect(reply).toMatch(/said: 554 5\.7\.1 .*\(in reply to RCPT TO command\)/);
    expect((await lab.outside.mails()).join('')).not.toContain(`Subject: ${subject}\n`);
    await home.sh('postsuper -d ALL 2> /dev/null');

    const stranger = await ofClient({ issuer: otherCa });
    await show(home, stranger.chain);
    expect((await waits(() => show(home))).reason).toMatch(/421 4\.7\.1 .*Client certificate not trusted/);
  });
});

describe('the home host', () => {
  beforeAll(async () => {
    await desk.make(settings);
    await desk.install(relay, home);
    // What admins have so that mail is returned at once if TLS fails (postconf(5) smtp_delivery_status_filter).
    await home.setMainCf({ smtp_skip_5xx_greeting: 'no', smtp_delivery_status_filter: 'inline:{{4.7.4=5.7.4}}' });
    await home.reload();
  });

  test.each([
    ['does not greet it', '554 no', /refused to talk to me: 554 no/],
    ['refuses all it says', '220 x ESMTP', /refused to talk to me: 550 no/],
  ])('keeps its mail if another server in the place of the relay %s', async (_what, greeting, reason) => {
    const stop = await startStandIn(relay, greeting);
    const subject = await send(home);
    expect(await home.waitForDeferred()).toMatch(reason);
    expect(await home.mailLog()).not.toContain('status=bounced');
    await stop();
    await desk.script(relay);
    await lab.outside.waitForFlushed(home, subject);
    // explain does not know what a foreign server says.
    await home.emptyLog();
  });

  test.each([
    ['of another CA with the same names', otherIssuer, () => ({ issuer: otherCa })],
    ['that has expired', 'certificate has expired', () => ({ expired: true })],
    ['with another name', otherName, () => ({ name: 'relayhost2.example.org' })],
  ])('keeps its mail if the relay shows a certificate %s', async (_what, logged, options) => {
    await show(relay, (await ofServer(options())).chain);
    const { reason, commands, log } = await waits(() => show(relay));
    expect(reason).toMatch(badServerCertificate);
    expect(log).toMatch(new RegExp(`postfix/relaycerts/smtp\\[\\d+\\]: .*(${logged})`));
    expect(commands).toContain('starttls=1');
    expect(commands).not.toContain('mail=');
  });

  test('and also a mail that asks to be sent without TLS (RFC 8689)', async () => {
    await show(relay, (await ofServer({ issuer: otherCa })).chain);
    await relay.markLog();
    const mail = 'TLS-Required: no\nSubject: in the clear\n\n.\n';
    await home.exec(['/usr/sbin/sendmail', '-f', 'ann@example.org', 'bob@example.net'], { input: mail });
    expect(await home.waitForDeferred()).toMatch(badServerCertificate);
    expect(await relay.mailLog()).not.toContain(' mail=');
    await show(relay);
    await lab.outside.waitForFlushed(home, 'in the clear');
  });
});
