// The main job with the script: one make for two relays and two homes, the rsync lines and the piped scripts run as
// they are printed, and mail flows over verified TLS from both homes, past a relay that is down. Then once for each kind
// of other settings: a login that is not root on another ssh port, tables that postmap makes, pins of certificates, other
// key types.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { warningsIn } from './lab/logs.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver } from './lab/operator.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;

beforeAll(async () => {
  lab = await startLab({ relays: 2, homes: 2, faults: ['connection-refused'] });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }],
  });
});
afterAll(() => lab.stop());

describe('two relays and two homes', () => {
  test('the printed rsync lines bring each host its own files, for root only', async () => {
    await Promise.all(
      [...lab.relays, ...lab.homes].map(async (host) => {
        await desk.copy(host);
        const name = host.hostname;
        const own = ['example.org-ca.crt.pem', `${name}.chain.pem`, `${name}.crt.pem`, `${name}.key.pem`];
        const table = name.startsWith('relayhost') ? ['relay_clientcerts'] : [];
        const files = [...own, ...table].toSorted().map((file) => `./${file} root:root 600\n`);
        const { stdout } = await host.sh(
          `cd /etc/postfix/relaycerts/example.org && find . -printf '%p %u:%g %m\n' | LC_ALL=C sort`,
        );
        expect(stdout).toBe(`. root:root 700\n${files.join('')}`);
      }),
    );
  });

  test('the script, as printed, sets every host up', async () => {
    await Promise.all(
      [...lab.relays, ...lab.homes].map(async (host) => {
        const { code, stdout, stderr } = await desk.script(host);
        expect(stderr).toBe('');
        expect(stdout).toContain(`relaycerts: ${host.hostname} is set up: `);
        expect(code).toBe(0);
        const modes = await host.sh(
          `stat -c '%U:%G %a' /etc/postfix/relaycerts/example.org /etc/postfix/relaycerts/example.org/*.key.pem`,
        );
        expect(modes.stdout).toBe('root:root 700\nroot:root 600\n');
        expect((await host.sh('postfix check 2>&1')).stdout).toBe('');
      }),
    );
  });

  test('mail from each home arrives, Verified at home and Trusted at the relay', async () => {
    for (const each of lab.homes) {
      await relay.markLog();
      const mail = await deliver(each, lab.outside);
      expect(mail).toMatch(/^Received: from relayhost\.example\.org .*\n.*by mx\.example\.net/m);
      expect(mail).toMatch(/by relayhost\.example\.org \(Postfix\)/);
      expect(mail.includes(each.address)).toBe(!(await relay.knows('smtpd_hide_client_session')));
      await each.waitForLog(/smtp\[\d+\]: Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
      const from = each.hostname.replaceAll('.', String.raw`\.`);
      await relay.waitForLog(new RegExp(`postfix/relaycerts/smtpd\\[\\d+\\]: Trusted TLS connection .* ${from}\\[`));
    }
  });

  test('the second relay accepts it while the first is down', async () => {
    const [first, second] = lab.relays;
    await first.exec(['postfix', 'stop']);
    for (const each of lab.homes) {
      const mail = await deliver(each, lab.outside);
      expect(mail).toMatch(/by relayhost2\.example\.org \(Postfix\)/);
      await each.waitForLog(/Verified TLS connection established to relayhost2\.example\.org\S*:2500: /);
    }
    expect(await second?.mailLog()).toContain('Trusted TLS connection established from mailhost2.example.org');
    await first.exec(['postfix', 'start']);
    expect(await deliver(home, lab.outside)).toContain('by relayhost.example.org (Postfix)');
  });

  test('no host logs a warning', async () => {
    for (const host of [...lab.relays, ...lab.homes]) {
      expect(warningsIn(await host.readFile('/var/log/mail.log'))).toEqual([]);
    }
  });
});

/** A separate project, with one relay and one home. */
async function project(
  name: string,
  ssh: Readonly<Record<string, unknown>>,
  settings: Readonly<Record<string, unknown>>,
): Promise<Desk> {
  const own = new Desk(lab.operator, `/home/operator/${name}`);
  await own.make({
    smtpdServers: [{ hostname: 'relayhost', ...ssh }],
    smtpClients: [{ hostname: 'mailhost', ...ssh }],
    passphrase: { file: `${own.folder}/passphrase.gpg` },
    ...settings,
  });
  return own;
}

/** What postmap makes by default: hash, or lmdb in a release whose Postfix has no Berkeley DB. */
async function indexedType(): Promise<string> {
  return (await relay.exec(['postconf', '-dh', 'default_database_type'])).stdout.trim();
}

async function publicKeyOf(host: MailHost): Promise<string> {
  const chain = `/etc/postfix/relaycerts/example.org/${host.hostname}.chain.pem`;
  return (await host.sh(`openssl x509 -in ${chain} -noout -text | grep 'Public Key Algorithm\\|Public-Key'`)).stdout;
}

/** Mail flows with both locks in place, and no warning. */
async function relays(): Promise<void> {
  await Promise.all([relay.markLog(), home.markLog()]);
  await deliver(home, lab.outside);
  await home.waitForLog(/Verified TLS connection established to relayhost\.example\.org\S*:2500: /);
  await relay.waitForLog(/postfix\/relaycerts\/smtpd\[\d+\]: Trusted TLS connection established from mailhost/);
  for (const host of [relay, home]) expect(warningsIn(await host.mailLog())).toEqual([]);
}

describe('other settings', () => {
  beforeEach(async () => {
    await Promise.all([relay, home].map((host) => host.restorePostfix()));
  });

  test('admin on port 2222, indexed tables, Ed25519: by the script', async () => {
    const tableType = await indexedType();
    const own = await project(
      'admin',
      { sshUser: 'admin', sshPort: 2222 },
      { certificates: { keyType: 'ed25519' }, postfix: { tableType, pin: 'certificate' } },
    );
    const text = await own.show('relayhost');
    expect(text).toContain("--rsh='ssh -p 2222'");
    expect(text).toContain('| ssh -p 2222 admin@relayhost.example.org sudo sh\n');
    await own.install(relay, home);
    for (const host of [relay, home]) {
      expect(await publicKeyOf(host)).toContain('ED25519');
      const { stdout } = await host.sh(
        `stat -c '%U:%G %a' /etc/postfix/relaycerts/example.org /etc/postfix/relaycerts/example.org/*.key.pem`,
      );
      expect(stdout).toBe('root:root 700\nroot:root 600\n');
    }
    expect(
      await relay.machine.exists(
        `/etc/postfix/relaycerts/example.org/relay_clientcerts.${tableType === 'hash' ? 'db' : tableType}`,
      ),
    ).toBe(true);
    expect((await relay.exec(['postconf', '-P', '2500/inet/relay_clientcerts'])).stdout).toContain(`${tableType}:`);
    const digest =
      'openssl x509 -in /etc/postfix/relaycerts/example.org/mailhost.example.org.crt.pem -noout -fingerprint -sha256';
    const pin = (await home.sh(digest)).stdout.trim().replace(/^.*=/, '');
    expect(await relay.readFile('/etc/postfix/relaycerts/example.org/relay_clientcerts')).toContain(
      `\n${pin} mailhost.example.org`,
    );
    await relays();
  });

  test('indexed tables and RSA-2048: by the text', async () => {
    const tableType = await indexedType();
    const own = await project('rsa', {}, { certificates: { keyType: 'rsa-2048' }, postfix: { tableType } });
    expect(await own.paste(relay)).toContain('mailhost.example.org\n');
    expect((await own.paste(home)).join('')).toContain('\n250 2.1.5 Ok\r\n221 ');
    expect(await publicKeyOf(home)).toMatch(/rsaEncryption\n.*2048 bit/);
    await relays();
  });

  test('P-384 for CA and leaves, no chroot, another folder: by the script', async () => {
    const own = await project(
      'p384',
      {},
      {
        ca: { keyType: 'ecdsa-p384', permittedDomains: ['example.org'] },
        certificates: { keyType: 'ecdsa-p384' },
        postfix: { directory: '/etc/relaycerts', masterChroot: 'n' },
      },
    );
    await own.install(relay, home);
    expect((await home.sh('ls -d /etc/postfix/relaycerts/example.org; true', { anyExit: true })).stdout).toBe('');
    await relays();
  });
});
