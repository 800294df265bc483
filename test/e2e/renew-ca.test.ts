// A CA's new certificate, and a CA with a new key in its three stages, installed on one host after the other while mail
// flows: before, during and after every single installation. Nothing bounces, everything arrives once, and the printed
// checks show what the text says.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { commandsIn, installs } from '../support/now-run.js';
import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { reloadFaults, reloadReason, repeatsIn, waitsIn } from './lab/mail-flow.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, send } from './lab/operator.js';
import { folder } from '../support/folder.js';

const isDeep = process.env['RELAYCERTS_DEEP'] === '1';
const [first, second] = ['example.org relay CA', 'example.org relay CA 2'];

let lab: Lab;
let relayLog = '';
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let otherHome: MailHost;
const sent: string[] = [];

beforeAll(async () => {
  requireTools('swaks');
  lab = await startLab({ relays: 1, homes: 2, faults: reloadFaults });
  [relay] = lab.relays;
  const [one, two] = lab.homes;
  if (two === undefined) throw new TypeError('a lab with two homes');
  [home, otherHome] = [one, two];
  desk = new Desk(lab.operator);
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }],
  });
  await desk.install(relay, home, otherHome);
  await flow();
});
afterAll(() => lab.stop());

interface Sent {
  readonly from: MailHost;
  readonly subject: string;
}

/** Sends a mail from each home; resolves with them at once. */
async function sendAll(): Promise<readonly Sent[]> {
  const mails = await Promise.all([home, otherHome].map(async (from) => ({ from, subject: await send(from) })));
  sent.push(...mails.map(({ subject }) => subject));
  return mails;
}

/** Waits until all are at the outside MX; what a reload deferred is tried again. */
async function arrive(mails: readonly Sent[]): Promise<void> {
  for (const { from, subject } of mails) await lab.outside.waitForFlushed(from, subject);
}

async function flow(): Promise<void> {
  await arrive(await sendAll());
}

/** Installs one host after the other; mail flows while each is installed, and with each state in between. */
async function installWhileMailFlows(...hosts: readonly MailHost[]): Promise<void> {
  for (const host of hosts) {
    const before = await sendAll();
    const [, during] = await Promise.all([desk.install(host), sendAll()]);
    await arrive([...before, ...during]);
    await flow();
  }
}

/** How many CAs a host trusts. */
async function authoritiesAt(host: MailHost): Promise<string> {
  return (await host.sh(`grep -c BEGIN ${folder}/example.org-ca.crt.pem`)).stdout;
}

/** openssl 3.0 and 3.1 write `CN = x`, later ones `CN=x`. */
function unspaced(text: string): string {
  return text.replaceAll(' = ', '=');
}

/** What the relay answers to a client that shows the key and certificate of a file on the home. */
async function answerTo(chain: string): Promise<string> {
  const shown = ['--tls', '--tls-cert', chain, '--tls-key', chain];
  const mail = ['--from', 'ann@example.org', '--to', 'bob@example.net', '--quit-after', 'RCPT'];
  const swaks = ['swaks', '--server', 'relayhost.example.org:2500', ...mail, ...shown];
  return (await home.exec(swaks, { anyExit: true })).stdout;
}

const serialAt = async (host: MailHost): Promise<string> =>
  (await host.sh(`openssl x509 -noout -serial -in ${folder}/example.org-ca.crt.pem`)).stdout;

const issuerAt = async (host: MailHost): Promise<string> =>
  unspaced((await host.sh(`openssl x509 -noout -issuer -in ${folder}/${host.hostname}.crt.pem`)).stdout);

describe('renew --ca', () => {
  // A home before the relay and one after it. With RELAYCERTS_DEEP=1 also every home after the relay, and before it.
  const orders = [
    ['one home before the relay', (): readonly MailHost[] => [home, relay, otherHome]],
    ['the relay first', (): readonly MailHost[] => [relay, home, otherHome]],
    ['the relay last', (): readonly MailHost[] => [otherHome, home, relay]],
  ] as const;

  test.each(isDeep ? orders : orders.slice(0, 1))('the same key: mail flows with %s', async (_what, orderOf) => {
    const order = orderOf();
    const before = await serialAt(relay);
    const plan = (await desk.run('relaycerts renew --ca')).stdout;
    expect(commandsIn(plan)).toEqual([installs()]);
    await installWhileMailFlows(...order);
    const serials = await Promise.all(order.map(serialAt));
    expect(new Set(serials).size).toBe(1);
    expect(serials[0]).not.toBe(before);
  });
});

describe('renew --ca --rekey', () => {
  const old = '/root/old.chain.pem';

  test('stage 1: every host trusts both CAs', async () => {
    await home.sh(`umask 077; cp ${folder}/${home.hostname}.chain.pem ${old}`);
    const plan = (await desk.run('relaycerts renew --ca --rekey')).stdout;
    expect(plan).toContain('stage 1 of 3');
    await flow();
    await installWhileMailFlows(home, relay, otherHome);
    for (const host of [home, relay, otherHome]) {
      expect(await authoritiesAt(host)).toBe('2\n');
      expect(await issuerAt(host)).toBe(`issuer=CN=${first}\n`);
    }
  });

  test('stage 2: leaves of either CA are taken, whichever host comes first', async () => {
    const plan = (await desk.run('relaycerts renew --ca --rekey')).stdout;
    expect(plan).toContain('stage 2 of 3');
    await flow();
    await installWhileMailFlows(home, relay, otherHome);
    for (const host of [home, relay, otherHome]) {
      expect(await authoritiesAt(host)).toBe('2\n');
      expect(await issuerAt(host)).toBe(`issuer=CN=${second}\n`);
    }
    expect(await answerTo(old)).toContain('250 2.1.5 Ok');
  });

  test('stage 3: the old CA no longer counts', async () => {
    const plan = (await desk.run('relaycerts renew --ca --rekey')).stdout;
    expect(plan).toContain('stage 3 of 3');
    await flow();
    await installWhileMailFlows(otherHome, relay, home);
    for (const host of [home, relay, otherHome]) expect(await authoritiesAt(host)).toBe('1\n');
    expect(await answerTo(`${folder}/${home.hostname}.chain.pem`)).toContain('250 2.1.5 Ok');
    expect(await answerTo(old)).toMatch(/^<\S+ +421 4\.7\.1 .*Client certificate not trusted/mu);
    // Before check runs, which tries what must be refused.
    relayLog = await relay.readFile('/var/log/mail.log');
    await desk.run('relaycerts check', true);
    expect((await desk.run('relaycerts status')).stdout).toMatch(/^3 hosts: 3 ok; CA ok; passphrase ok\n/u);
  });

  test('every mail arrived once, over verified TLS; only reloads deferred any', async () => {
    const arrived = (await lab.outside.mails()).map((text) => /^Subject: (.*)$/mu.exec(text)?.[1]);
    expect(new Set(arrived)).toEqual(new Set(sent));
    const logs = await Promise.all([home, otherHome].map((host) => host.readFile('/var/log/mail.log')));
    expect(arrived.length - sent.length).toBeLessThanOrEqual(repeatsIn(logs.join('')));
    expect(waitsIn(logs.join('')).filter((why) => !reloadReason.test(why))).toEqual([]);
    expect(sent.length).toBeGreaterThan(70);
    for (const host of [home, otherHome]) {
      await host.waitForEmptyQueue();
      const log = await host.readFile('/var/log/mail.log');
      expect(log).not.toMatch(/status=bounced|Untrusted|not verified|certificate verification failed/u);
    }
    // The refused one is the old certificate, in the third stage.
    expect(relayLog.match(/(?:Untrusted|Anonymous) TLS connection|NOQUEUE: reject/gu)).toEqual([
      'Untrusted TLS connection',
    ]);
  });
});
