// What relaycerts assumes about Postfix, reproduced on real hosts with certificates made by openssl. Each test is one
// fact: why there are two locks, which replies lose mail, what pins and files must look like.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCa, makeCertificate } from './lab/certificates.js';
import type { Authority, Credential } from './lab/certificates.js';
import type { MailHost } from './lab/mail-host.js';
import { badServerCertificate, otherIssuer } from './lab/words.js';

const clientFile = '/etc/postfix/client.pem';
const caFile = '/etc/postfix/ca.pem';
/** One service for each pair of settings that the facts compare. */
const ports = { requireAndDefer: 2500, askAndDefer: 2501, requireAndReject: 2502 } as const;

let lab: Lab;
let relay: MailHost;
let home: MailHost;
let ca: Authority;
let good: Credential;
let pinnedByCertificate: Credential;
let unlisted: Credential;
let expired: Credential;
let selfSigned: Credential;
let serverOnly: Credential;
let mailCount = 0;

/** A service in the relay's main.cf or master.cf: the common settings, and the two that differ. */
async function addService(
  port: number,
  certificate: 'ask' | 'require',
  unlistedReply: 'defer' | 'reject',
): Promise<void> {
  const service = `${port}/inet`;
  const parameters = {
    syslog_name: `postfix/${port}`,
    smtpd_tls_security_level: 'encrypt',
    [certificate === 'ask' ? 'smtpd_tls_ask_ccert' : 'smtpd_tls_req_ccert']: 'yes',
    smtpd_tls_CAfile: caFile,
    smtpd_tls_chain_files: '/etc/postfix/server.pem',
    smtpd_tls_fingerprint_digest: 'sha256',
    smtpd_tls_loglevel: '1',
    relay_clientcerts: 'texthash:/etc/postfix/relay_clientcerts',
    smtpd_relay_restrictions: `permit_tls_clientcerts,${unlistedReply}`,
  };
  await relay.exec(['postconf', '-M', `${service}=${port} inet n - y - - smtpd`]);
  for (const [name, value] of Object.entries(parameters)) {
    await relay.exec(['postconf', '-P', `${service}/${name}=${value}`]);
  }
}

/** Sends one mail from home with this client certificate; resolves with how its queue took it, and the reply. */
async function send(
  port: number,
  client: Credential | 'none',
): Promise<{ readonly status: string; readonly reply: string; readonly subject: string }> {
  const subject = `mail ${++mailCount}`;
  if (client !== 'none') await home.writeFile(clientFile, client.chain, '0600');
  await home.setMainCf({
    relayhost: `[${relay.hostname}]:${port}`,
    smtp_tls_chain_files: client === 'none' ? '' : clientFile,
  });
  await home.reload();
  await Promise.all([home.markLog(), relay.markLog()]);
  await home.sendMail({ from: 'ann@example.org', to: 'bob@example.net', subject });
  const [, status = '', reply = ''] = await home.waitForLog(/to=<bob@example\.net>.* status=(\w+) \((.*)\)$/m);
  // So that it does not mix with the next mail's log lines.
  await home.sh('postsuper -d ALL 2> /dev/null');
  return { status, reply, subject };
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  const bench = lab.operator;
  ca = await makeCa(bench, 'example.org relay CA');
  const name = home.hostname;
  const server = await makeCertificate(bench, { name: relay.hostname, purpose: 'serverAuth', issuer: ca });
  good = await makeCertificate(bench, { name, purpose: 'clientAuth', issuer: ca });
  pinnedByCertificate = await makeCertificate(bench, { name, purpose: 'clientAuth', issuer: ca });
  unlisted = await makeCertificate(bench, { name, purpose: 'clientAuth', issuer: ca });
  expired = await makeCertificate(bench, { name, purpose: 'clientAuth', issuer: ca, expired: true });
  selfSigned = await makeCertificate(bench, { name, purpose: 'clientAuth', issuer: 'self' });
  serverOnly = await makeCertificate(bench, { name, purpose: 'serverAuth', issuer: ca });

  const table = [good, expired, selfSigned, serverOnly].map((client) => `${client.publicKeySha256} ${name}\n`);
  const byCertificate = `${pinnedByCertificate.certificateSha256.toLowerCase()} ${name}\n`;
  await relay.writeFile('/etc/postfix/relay_clientcerts', `# pins\n${table.join('')}${byCertificate}`);
  await relay.writeFile('/etc/postfix/server.pem', server.chain, '0600');
  await relay.writeFile(caFile, ca.certificate);
  await addService(ports.requireAndDefer, 'require', 'defer');
  await addService(ports.askAndDefer, 'ask', 'defer');
  await addService(ports.requireAndReject, 'require', 'reject');
  await relay.reload();

  await home.writeFile(caFile, ca.certificate);
  await home.setMainCf({
    smtp_tls_security_level: 'secure',
    smtp_tls_secure_cert_match: relay.hostname,
    smtp_tls_CAfile: caFile,
    smtp_tls_CApath: '',
    smtp_tls_loglevel: '1',
    smtp_tls_session_cache_database: '',
  });
});
afterAll(() => lab.stop());

describe('two locks', () => {
  test('a certificate of our CA with its public key listed may relay', async () => {
    const { status, subject } = await send(ports.requireAndDefer, good);
    expect(status).toBe('sent');
    await lab.outside.waitForMail(subject);
    expect(await relay.mailLog()).toMatch(/smtpd\[\d+\]: Trusted TLS connection established from mailhost/);
    expect(await home.mailLog()).toMatch(/smtp\[\d+\]: Verified TLS connection established to relayhost/);
  });

  test('so does one whose certificate digest is listed, in lower case', async () => {
    expect((await send(ports.requireAndDefer, pinnedByCertificate)).status).toBe('sent');
  });

  test('and from any address, whether DNS knows it or not', async () => {
    const move = (from: string, to: string): Promise<unknown> =>
      home.sh(`ip address del ${from}/24 dev eth0 && ip address add ${to}/24 dev eth0`);
    await move(home.address, '192.0.2.99');
    const { status } = await send(ports.requireAndDefer, good);
    await move('192.0.2.99', home.address);
    expect(status).toBe('sent');
    expect(await relay.mailLog()).toContain('client=unknown[192.0.2.99]');
  });

  test.each([
    ['expired', () => expired],
    ['self-signed', () => selfSigned],
    ['for serverAuth only', () => serverOnly],
  ] as const)('with ask_ccert, a listed certificate that is %s may relay', async (_what, client) => {
    const { status, subject } = await send(ports.askAndDefer, client());
    expect(status).toBe('sent');
    await lab.outside.waitForMail(subject);
    expect(await relay.mailLog()).toContain('Untrusted TLS connection established');
  });

  test.each([
    ['expired', () => expired, 'Client certificate not trusted'],
    ['self-signed', () => selfSigned, 'Client certificate not trusted'],
    ['for serverAuth only', () => serverOnly, 'Client certificate not trusted'],
    ['not sent at all', (): Credential | 'none' => 'none', 'No client certificate presented'],
  ] as const)('with req_ccert, one that is %s gets 421 before MAIL FROM', async (_what, client, why) => {
    const { status, reply } = await send(ports.requireAndDefer, client());
    expect(status).toBe('deferred');
    expect(reply).toMatch(new RegExp(`421 4\\.7\\.1 .*${why}`));
    const [, commands = ''] = await relay.waitForLog(/disconnect from mailhost\S+ (.*)$/m);
    expect(commands).toContain('starttls=1');
    expect(commands).not.toContain('mail=');
  });

  test('with defer, an unlisted one of our CA gets 450 at RCPT', async () => {
    const { status, reply } = await send(ports.requireAndDefer, unlisted);
    expect(status).toBe('deferred');
    expect(reply).toMatch(/said: 450 4\.3\.2 .*\(in reply to RCPT TO command\)/);
    expect(await relay.mailLog()).toContain('Trusted TLS connection established');
  });

  test('with reject it gets 554, and the home queue bounces the mail', async () => {
    const { status, reply } = await send(ports.requireAndReject, unlisted);
    expect(status).toBe('bounced');
    expect(reply).toMatch(/said: 554 5\.7\.1 /);
  });

  test('taking the line out and reloading revokes; texthash needs no postmap', async () => {
    const table = await relay.readFile('/etc/postfix/relay_clientcerts');
    await relay.writeFile(
      '/etc/postfix/relay_clientcerts',
      table.replaceAll(good.publicKeySha256, unlisted.publicKeySha256),
    );
    await relay.reload();
    expect((await send(ports.requireAndDefer, good)).reply).toContain('450 4.3.2');
    expect((await send(ports.requireAndDefer, unlisted)).status).toBe('sent');
    await relay.writeFile('/etc/postfix/relay_clientcerts', table);
    await relay.reload();
  });

  test('a line without a value is dropped', async () => {
    await relay.writeFile('/tmp/pins', `${good.publicKeySha256}\n${unlisted.publicKeySha256} name\n`);
    const look = (key: string): Promise<{ readonly code: number }> =>
      relay.exec(['postmap', '-q', key, 'texthash:/tmp/pins'], { anyExit: true });
    expect((await look(unlisted.publicKeySha256)).code).toBe(0);
    expect((await look(good.publicKeySha256)).code).toBe(1);
  });
});

describe('the home host', () => {
  test('does not load a chain file with the certificate first: the mail waits', async () => {
    const { status, reply } = await send(ports.requireAndDefer, { ...good, chain: good.certificate + good.key });
    expect(status).toBe('deferred');
    expect(reply).toContain('TLS is required, but our TLS engine is unavailable');
    expect(await home.mailLog()).toMatch(/error loading chain from \/etc\/postfix\/client\.pem: key not first/);
  });

  test('looks a relative path up in the queue directory: the mail waits', async () => {
    await home.setMainCf({ smtp_tls_CAfile: 'ca.pem' });
    const { status, reply } = await send(ports.requireAndDefer, good);
    await home.setMainCf({ smtp_tls_CAfile: caFile });
    expect(status).toBe('deferred');
    expect(reply).toContain('our TLS engine is unavailable');
    expect(await home.mailLog()).toMatch(
      /cannot load Certification Authority data, CAfile="ca\.pem".*disabling TLS support/,
    );
  });

  test('with secure, defers if the certificate has another name, despite DNS', async () => {
    await home.setMainCf({ smtp_tls_secure_cert_match: 'relayhost2.example.org' });
    const { status, reply } = await send(ports.requireAndDefer, good);
    await home.setMainCf({ smtp_tls_secure_cert_match: relay.hostname });
    expect(status).toBe('deferred');
    expect(reply).toMatch(badServerCertificate);
  });

  test('with secure, defers if the relay is of another CA', async () => {
    const other = await makeCa(lab.operator, 'example.org relay CA');
    await home.writeFile(caFile, other.certificate);
    const { status, reply } = await send(ports.requireAndDefer, good);
    await home.writeFile(caFile, ca.certificate);
    expect(status).toBe('deferred');
    expect(reply).toMatch(badServerCertificate);
    expect(await home.mailLog()).toMatch(
      new RegExp(`certificate verification failed for relayhost\\S+ (?:num=\\d+:)?(?:${otherIssuer})`),
    );
  });

  test('with CApath left set, also accepts a relay of a CA in there', async () => {
    const other = await makeCa(lab.operator, 'another CA');
    await home.writeFile(caFile, other.certificate);
    await home.writeFile('/var/spool/postfix/etc/public-cas/ca.pem', ca.certificate);
    await home.sh('openssl rehash /var/spool/postfix/etc/public-cas && mkdir -p /etc/public-cas');
    await home.setMainCf({ smtp_tls_CApath: '/etc/public-cas' });
    const { status } = await send(ports.requireAndDefer, good);
    await home.setMainCf({ smtp_tls_CApath: '' });
    await home.writeFile(caFile, ca.certificate);
    expect(status).toBe('sent');
  });
});

describe('postconf and port 25', () => {
  test('a service on its own port leaves port 25 as it was', async () => {
    const swaks = ['swaks', '--server', relay.hostname, '--from', 'a@example.org', '--to', 'b@example.net'];
    const { stdout } = await lab.operator.exec([...swaks, '--quit-after', 'RCPT'], { anyExit: true });
    expect(stdout).toContain('454 4.7.1 <b@example.net>: Relay access denied');
  });

  test('-M replaces a service together with its -o lines', async () => {
    await relay.exec(['postconf', '-M', '2503/inet=2503 inet n - y - - smtpd']);
    await relay.exec(['postconf', '-P', '2503/inet/syslog_name=postfix/old']);
    expect((await relay.exec(['postconf', '-M', '2503/inet'])).stdout).toContain('postfix/old');
    await relay.exec(['postconf', '-M', '2503/inet=2503 inet n - y - - smtpd']);
    expect((await relay.exec(['postconf', '-M', '2503/inet'])).stdout).not.toContain('-o');
    await relay.exec(['postconf', '-MX', '2503/inet']);
    expect(await relay.readFile('/etc/postfix/master.cf')).not.toContain('2503');
  });

  test('what matches nothing exits 0, with a warning', async () => {
    const { stderr } = await relay.exec(['postconf', '-P', '2599/inet/syslog_name=postfix/none']);
    expect(stderr).toContain('warning');
    expect(await relay.readFile('/etc/postfix/master.cf')).not.toContain('postfix/none');
  });

  test('postfix check passes with a chain file that is missing', async () => {
    await relay.exec(['postconf', '-M', '2503/inet=2503 inet n - y - - smtpd']);
    await relay.exec(['postconf', '-P', '2503/inet/smtpd_tls_chain_files=/etc/postfix/missing.pem']);
    const { code } = await relay.exec(['postfix', 'check']);
    await relay.exec(['postconf', '-MX', '2503/inet']);
    expect(code).toBe(0);
  });

  test('posttls-finger exits 0 even if nothing is verified', async () => {
    const finger = ['posttls-finger', '-c', '-l', 'secure', '-P', '', '-F', '/etc/ssl/certs/ssl-cert-snakeoil.pem'];
    const { code, stdout, stderr } = await home.exec([...finger, `[${relay.hostname}]:${ports.askAndDefer}`]);
    expect(code).toBe(0);
    expect(stdout + stderr).toMatch(/certificate verification failed|Untrusted TLS connection/);
    expect(stdout + stderr).not.toContain('Verified TLS connection');
  });
});
