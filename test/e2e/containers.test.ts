// Hosts in containers: what `export docker` writes for four images is applied as these images do, to real Postfix
// hosts. As a relay, both locks hold; as a home, mail goes to our relay and to no other. With RELAYCERTS_DEEP=1 also on
// the Postfix releases of older and newer images.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCa, makeCertificate } from './lab/certificates.js';
import type { Credential } from './lab/certificates.js';
import { images, startContainer, type Image } from './lab/containers.js';
import { programMs, runProcess } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, openCa, send } from './lab/operator.js';
import { startStandIn } from './lab/stand-in.js';
import { badServerCertificate } from './lab/words.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
/** One home for each image. */
let homes: readonly (readonly [MailHost, Image])[];
/** Clients that each lack one key to the relay. */
let unlisted: Credential;
let stranger: Credential;

/** The relay is another image each time. */
const settingsFor = (container: Image) => ({
  smtpdServers: [{ hostname: 'relayhost', container }],
  smtpClients: images.map((image, at) => ({ hostname: `mailhost${at === 0 ? '' : at + 1}`, container: image })),
});

async function exportFor({ hostname }: MailHost): Promise<string> {
  const folder = `${hostname}-docker`;
  await desk.run(`rm -rf ${folder} && relaycerts --quiet export docker ${hostname}`);
  return folder;
}

/** The last reply of the relay to a client, up to RCPT. */
async function replyTo(client: Credential | 'nobody' | 'plain'): Promise<string> {
  const tls =
    client === 'plain'
      ? []
      : client === 'nobody'
        ? ['--tls']
        : ['--tls', '--tls-cert', '/tmp/client.crt', '--tls-key', '/tmp/client.key'];
  if (typeof client !== 'string') {
    await lab.operator.writeFile('/tmp/client.crt', client.certificate);
    await lab.operator.writeFile('/tmp/client.key', client.key, '0600');
  }
  const swaks = ['swaks', '--server', relay.hostname, '--port', '2500', '--quit-after', 'RCPT', ...tls];
  const { stdout } = await lab.operator.exec([...swaks, '--from', 'ann@example.org', '--to', 'bob@example.net'], {
    anyExit: true,
  });
  return stdout.match(/^<[~*-]* +\d{3} .*$/gmu)?.findLast((line) => !/ 221 /u.test(line)) ?? stdout;
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: images.length, faults: 'any' });
  [relay] = lab.relays;
  homes = lab.homes.map((host, at) => [host, images[at] ?? 'boky'] as const);
  // mailcow's image has 3.10, and takes no protocols in the words that an older Postfix knows.
  const { stdout: version } = await relay.exec(['postconf', '-dh', 'mail_version']);
  if (/^3\.[0-5]\./u.test(version)) homes = homes.filter(([, image]) => image !== 'mailcow');
  desk = new Desk(lab.operator);
  await desk.make(settingsFor('mail-gateway'));
  const ca = await openCa(desk);
  const client = { name: 'mailhost.example.org', purpose: 'clientAuth' as const };
  unlisted = await makeCertificate(lab.operator, { ...client, issuer: ca });
  stranger = await makeCertificate(lab.operator, { ...client, issuer: await makeCa(lab.operator, 'other') });
  for (const [host, image] of homes) await startContainer(desk, await exportFor(host), host, image);
});
afterAll(() => lab.stop());

async function ownCertificate({ hostname }: MailHost): Promise<Credential> {
  const read = async (kind: string) => (await desk.run(`cat certs/smtp-client/${hostname}.${kind}.pem`)).stdout;
  const [certificate, key] = [await read('crt'), await read('key')];
  return { certificate, key, chain: key + certificate, publicKeySha256: '', certificateSha256: '' };
}

describe.each(['mail-gateway', 'boky', 'docker-mailserver'] as const)('a relay in %s', (image) => {
  beforeAll(async () => {
    await relay.restorePostfix();
    await desk.settings(settingsFor(image));
    await startContainer(desk, await exportFor(relay), relay, image);
  });

  test('takes mail of every home, and each checks its name and CA', async () => {
    const mails = await Promise.all(homes.map(async ([host]) => [host, await send(host)] as const));
    for (const [host, subject] of mails) {
      await lab.outside.waitForMail(subject);
      expect(await host.mailLog()).toContain('Verified TLS connection established to relayhost.example.org');
    }
  });

  test('opens only with both keys', async () => {
    expect(await replyTo(await ownCertificate(lab.homes[0]))).toContain(' 250 2.1.5 ');
    expect(await replyTo(unlisted)).toContain(' 450 4.3.2 ');
    expect(await replyTo('nobody')).toContain(' 421 4.7.1 ');
    const table = image === 'mail-gateway' ? 'tls/relay_clientcerts' : 'relaycerts/relay_clientcerts';
    await relay.sh(`echo '${stranger.publicKeySha256} stranger' >> /etc/postfix/${table}`);
    await relay.reload();
    expect(await replyTo(stranger)).toContain(' 421 4.7.1 ');
    // Only a service of its own can answer for now.
    expect(await replyTo('plain')).toContain(image === 'docker-mailserver' ? ' 430 ' : ' 530 ');
  });

  test('resumes no session', async () => {
    const base = 'certs/smtp-client/mailhost.example.org';
    const client = (session: string): string =>
      `openssl s_client -starttls smtp -tls1_2 -connect relayhost.example.org:2500 -cert ${base}.crt.pem -key ${base}.key.pem ${session} < /dev/null 2>&1`;
    const { stdout } = await desk.run(`${client('-sess_out session')} > /dev/null; ${client('-sess_in session')}`);
    expect(stdout).toMatch(/^New, TLSv1\.2/mu);
  });
});

/** All send, all mails wait; then the relay is right again, and all arrive. */
async function allWait(chain: string, says: RegExp): Promise<void> {
  const path = '/etc/postfix/relaycerts/example.org/relayhost.example.org.chain.pem';
  const right = await relay.readFile(path);
  await relay.writeFile(path, chain, '0600');
  await relay.reload();
  const mails = await Promise.all(homes.map(async ([host]) => [host, await send(host)] as const));
  for (const [host] of mails) expect(await host.waitForDeferred()).toMatch(says);
  await relay.writeFile(path, right, '0600');
  await relay.reload();
  await Promise.all(mails.map(([host, subject]) => lab.outside.waitForFlushed(host, subject)));
  for (const [host] of mails) expect(await host.mailLog()).not.toContain('status=bounced');
}

describe('a home in each image', () => {
  test('waits if a relay of another CA answers', async () => {
    const issuer = await makeCa(lab.operator, 'example.org relay CA');
    const other = await makeCertificate(lab.operator, { name: relay.hostname, purpose: 'serverAuth', issuer });
    await allWait(other.chain, badServerCertificate);
  });

  test('waits if a host of our CA with another name answers', async () => {
    const issuer = await openCa(desk);
    const other = await makeCertificate(lab.operator, { name: 'other.example.org', purpose: 'serverAuth', issuer });
    await allWait(other.chain, badServerCertificate);
  });

  test.each([
    ['does not greet it', '554 no'],
    ['refuses all it says', '220 x ESMTP'],
  ])('waits if a stranger in the place of the relay %s', async (_what, greeting) => {
    const service = (await relay.exec(['postconf', '-M', '2500/inet'])).stdout.trim();
    const stop = await startStandIn(relay, greeting);
    const mails = await Promise.all(homes.map(async ([host]) => [host, await send(host)] as const));
    for (const [host] of mails) expect(await host.waitForDeferred()).toMatch(/refused to talk to me: 55[04] no/u);
    await stop();
    await relay.exec(['postconf', '-M', `2500/inet=${service}`]);
    await relay.reload();
    await Promise.all(mails.map(([host, subject]) => lab.outside.waitForFlushed(host, subject)));
    for (const [host] of mails) {
      expect(await host.mailLog()).not.toContain('status=bounced');
      // explain does not know what a foreign server says.
      await host.emptyLog();
    }
  });
});

// Images have older and newer releases of Postfix than this machine.
const releases = process.env['RELAYCERTS_DEEP'] === '1' ? ['bullseye', 'trixie'] : [];
test.each(releases)('all of this on Debian %s', async (release) => {
  const words = ['scripts/in-release.sh', release, 'vitest', 'run', '--project', 'e2e', 'test/e2e/containers.test.ts'];
  const env = { PATH: process.env['PATH'] ?? '', HOME: '/root' };
  const { code, stdout, stderr } = await runProcess(words, env, { timeoutMs: 4 * programMs });
  expect(code, stdout + stderr).toBe(0);
});
