// The main job where the settings are not the defaults: a login that is not root on another ssh port, tables that
// postmap makes, pins of certificates, other key types.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';

let lab: Lab;
let relay: MailHost;
let home: MailHost;

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1 });
  [relay] = lab.relays;
  [home] = lab.homes;
}, 60_000);
beforeEach(() => lab.restore());
afterAll(() => lab.stop());

/** A project of its own, with one relay and one home. */
async function project(
  name: string,
  ssh: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
): Promise<Desk> {
  const desk = new Desk(lab.operator, `/home/operator/${name}`);
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost', ...ssh }],
    smtpClients: [{ hostname: 'mailhost', ...ssh }],
    passphrase: { file: `${desk.folder}/passphrase.gpg` },
    ...settings,
  });
  return desk;
}

async function publicKeyOf(host: MailHost): Promise<string> {
  const chain = `/etc/postfix/relaycerts/${host.hostname}.chain.pem`;
  return (await host.sh(`openssl x509 -in ${chain} -noout -text | grep 'Public Key Algorithm\\|Public-Key'`)).stdout;
}

/** Mail flows with both locks in place, and no warning. */
async function relays(): Promise<void> {
  await Promise.all([relay.markLog(), home.markLog()]);
  await deliver(home, lab.outside);
  await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
  await relay.waitForLog(/postfix\/relaycerts\/smtpd\[\d+\]: Trusted TLS connection established from mailhost/);
  for (const host of [relay, home]) expect(await host.mailLog()).not.toMatch(/warning|legacy|backwards-compatible/);
}

describe('other settings', { timeout: 60_000 }, () => {
  test('admin on port 2222, hash tables, pins of certificates, Ed25519: by the script', async () => {
    const desk = await project(
      'admin',
      { sshUser: 'admin', sshPort: 2222 },
      { certificates: { keyType: 'ed25519' }, postfix: { tableType: 'hash', pin: 'certificate' } },
    );
    const text = await desk.show('relayhost');
    expect(text).toContain("--rsh='ssh -p 2222'");
    expect(text).toContain('| ssh -p 2222 admin@relayhost.example.org sudo sh\n');
    await desk.install(relay, home);
    for (const host of [relay, home]) {
      expect(await publicKeyOf(host)).toContain('ED25519');
      const { stdout } = await host.sh(`stat -c '%U:%G %a' /etc/postfix/relaycerts /etc/postfix/relaycerts/*.key.pem`);
      expect(stdout).toBe('root:root 700\nroot:root 600\n');
    }
    expect(await relay.machine.exists('/etc/postfix/relaycerts/relay_clientcerts.db')).toBe(true);
    expect((await relay.exec(['postconf', '-P', '2500/inet/relay_clientcerts'])).stdout).toContain('hash:');
    const digest = 'openssl x509 -in /etc/postfix/relaycerts/mailhost.example.org.crt.pem -noout -fingerprint -sha256';
    const pin = (await home.sh(digest)).stdout.trim().replace(/^.*=/, '');
    expect(await relay.readFile('/etc/postfix/relaycerts/relay_clientcerts')).toContain(
      `\n${pin} mailhost.example.org`,
    );
    await relays();
  });

  test('hash tables and RSA-2048: by the text', async () => {
    const desk = await project('rsa', {}, { certificates: { keyType: 'rsa-2048' }, postfix: { tableType: 'hash' } });
    const table = (await desk.paste(relay)).at(-2);
    expect(table).toBe('mailhost.example.org\n');
    expect((await desk.paste(home)).join('')).toContain('\n250 2.1.5 Ok\r\n221 ');
    expect(await publicKeyOf(home)).toMatch(/rsaEncryption\n.*2048 bit/);
    await relays();
  });

  test('a CA and certificates of P-384, no chroot, a folder elsewhere: by the script', async () => {
    const desk = await project(
      'p384',
      {},
      {
        ca: { keyType: 'ecdsa-p384', permittedDomains: ['example.org'] },
        certificates: { keyType: 'ecdsa-p384' },
        postfix: { directory: '/etc/relaycerts', masterChroot: 'n' },
      },
    );
    await desk.install(relay, home);
    expect((await home.sh('ls -d /etc/postfix/relaycerts; true', { anyExit: true })).stdout).toBe('');
    await relays();
  });
});
