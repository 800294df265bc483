// Healthy hosts, with everything that real configurations also have, and with every kind of our own settings: check
// finds nothing wrong, and reports what it cannot see as unknown.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { expectFound, expectGreen, findAll, runCure } from './lab/check.js';
import { forStrangers } from './lab/for-strangers.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk } from './lab/operator.js';
import { folder } from '../support/folder.js';

/** RELAYCERTS_DEEP=1: all variants of the settings. */
const isDeep = process.env['RELAYCERTS_DEEP'] === '1';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;

const settings = { smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] };

/** Findings that are not "unknown". */
async function faults(): Promise<readonly string[]> {
  return (await findAll(desk)).flatMap(({ severity, message }) => (severity === 'unknown' ? [] : [message]));
}

beforeAll(async () => {
  lab = await startLab({ relays: 2, homes: 2, faults: ['map-file', 'lookup-failed'] });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
});
afterAll(() => lab.stop());

describe('a pair', () => {
  test("with a main.cf full of strangers' settings, and a busy home", async () => {
    await desk.make(settings);
    await relay.setMainCf({
      ...forStrangers,
      milter_macro_daemon_name: 'ORIGINATING',
      message_size_limit: '50000000',
      compatibility_level: '2',
    });
    await relay.sh(`postconf -M 'smtp/inet=smtp inet n - y - 1 postscreen' 'smtpd/pass=smtpd pass - - y - - smtpd'`);
    // As docs/hosts.md has it: another domain's project has a port of its own.
    const theirs = '-o syslog_name=postfix/relaycerts';
    await relay.sh(`postconf -M '2601/inet=2601 inet n - y - - smtpd ${theirs} -o relay_clientcerts=texthash:/etc/postfix/relaycerts/example.net/relay_clientcerts' \\
      'relaycerts-2601-cleanup/unix=relaycerts-2601-cleanup unix n - y - 0 cleanup ${theirs}_cleanup'`);
    await home.exec(['postconf', '-M', 'scan/unix=scan unix - - y - - smtp']);
    await home.setMainCf({
      content_filter: 'scan:[127.0.0.1]:10024',
      transport_maps: 'inline:{{lan.example.net=smtp:[192.0.2.32]}}',
      virtual_transport: 'lmtp:unix:private/dovecot-lmtp',
      sender_dependent_default_transport_maps: 'inline:{{@shop.example=smtp:[smtp.provider.example]:587}}',
      sender_dependent_relayhost_maps: 'inline:{{@shop.example=[smtp.provider.example]:587}}',
      smtp_tls_policy_maps: 'inline:{{[relayhost.example.org]:2500=none}}',
      smtp_tls_per_site: 'inline:{{relayhost.example.org=NONE}}',
      smtp_tls_security_level: 'may',
      inet_interfaces: 'loopback-only',
      mynetworks: '127.0.0.0/8, 10.0.0.0/8',
      smtp_tls_CApath: '/etc/ssl/certs',
      smtp_tls_session_cache_database: 'btree:${data_directory}/smtp_scache',
      smtpd_tls_cert_file: '/etc/ssl/certs/ssl-cert-snakeoil.pem',
      smtpd_tls_key_file: '/etc/ssl/private/ssl-cert-snakeoil.key',
      myhostname: 'mail.elsewhere.example',
      inet_protocols: 'ipv4',
    });
    // A parameter twice, and no line feed at the end. With one value, because Postfix warns of two, and its postlogd,
    // which the lab has in place of a syslog daemon, hangs at times if it warns while it starts.
    await home.sh("printf 'disable_vrfy_command = yes\\ndisable_vrfy_command = yes' >>/etc/postfix/main.cf");
    await desk.install(relay, home);
    expect(await faults()).toEqual([]);
    const { stdout } = await desk.run('relaycerts check relayhost', true);
    expect(stdout).toMatch(/^ok +relayhost\.example\.org: delivers mail for example\.org itself \(mydestination\), /mu);
    for (const host of [relay, home]) await host.restorePostfix();
  });

  const variants = [
    {
      what: 'pins of certificates, a table that postmap makes, RSA',
      more: { postfix: { tableType: 'hash', pin: 'certificate' }, certificates: { keyType: 'rsa-2048' } },
    },
    {
      what: 'who is not listed refused for good, no chroot',
      more: { postfix: { unlisted: 'reject', masterChroot: 'n' } },
    },
    {
      what: 'another folder, another port',
      more: { postfix: { directory: '/etc/postfix/ours' }, smtpdServers: [{ hostname: 'relayhost', port: 2525 }] },
    },
    {
      what: 'a login with sudo on another port of ssh',
      more: {
        smtpdServers: [{ hostname: 'relayhost', sshUser: 'admin', sshPort: 2222 }],
        smtpClients: [{ hostname: 'mailhost', sshUser: 'admin', senders: ['example.org', 'ann@example.net'] }],
      },
    },
    {
      what: 'overrides for the relay',
      more: {
        smtpdServers: [
          {
            hostname: 'relayhost',
            tlsLogLevel: 2,
            overrides: { smtpd_client_message_rate_limit: '100', message_size_limit: '20000000' },
          },
        ],
      },
    },
  ];
  test.each(variants.filter((_, at) => isDeep || at % 3 === 0))('with $what', async ({ more }) => {
    for (const host of [relay, home]) await host.restorePostfix();
    await desk.run('rm -rf certs hosts .example.org-relaycerts-passphrase.gpg');
    await desk.make({ ...settings, ...more });
    await desk.install(relay, home);
    await expectGreen(desk);
  });

  test('that is checked without a password for sudo: no-sudo', async () => {
    await desk.settings({ ...settings, smtpClients: [{ hostname: 'mailhost', sshUser: 'admin' }] });
    await home.sh('mv /etc/sudoers.d/admin /root/');
    const found = await findAll(desk, 'mailhost');
    await home.sh('mv /root/admin /etc/sudoers.d/');
    expect(found.map(({ id }) => id)).toEqual(['no-sudo']);
  });

  test('whose postmap was not run since the table changed: map-file', async () => {
    for (const host of [relay, home]) await host.restorePostfix();
    await desk.make({ ...settings, postfix: { tableType: 'hash' } });
    await desk.install(relay, home);
    for (const put of [
      `rm ${folder}/relay_clientcerts.db`,
      `: >/tmp/none; postmap hash:/tmp/none; cp /tmp/none.db ${folder}/relay_clientcerts.db`,
    ]) {
      await relay.sh(put);
      await runCure(desk, await expectFound(desk, 'map-file', relay.hostname));
      await expectGreen(desk);
    }
  });
});

// fleet.test.ts has as many that answer.
test.runIf(isDeep)('2 relays and 20 clients, most of them unreachable: no findings', async () => {
  const others = Array.from({ length: 18 }, (_, at) => ({
    hostname: `client${at + 3}`,
    sshPort: 9,
    sshHost: 'mailhost.example.org',
  }));
  for (const host of [...lab.relays, ...lab.homes]) await host.restorePostfix();
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
    smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }, ...others],
  });
  await desk.install(...lab.relays, ...lab.homes);
  const found = await findAll(desk);
  expect([...new Set(found.map(({ id }) => id))]).toEqual(['ssh-unreachable']);
  expect(found).toHaveLength(18);
  const { stdout } = await desk.run('relaycerts check', true);
  expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^18 not known, \d+ ok$/u);
});

test('relays that reach the world on port 25, and one that does not', async () => {
  expect(await findAll(desk, 'relayhost --port25 example.net')).toEqual([]);
  await relay.exec(['ip', 'route', 'add', 'prohibit', lab.outside.address]);
  const found = await findAll(desk, 'relayhost --port25 example.net');
  expect(found.map(({ id }) => id)).toEqual(['port-25-blocked']);
  await relay.exec(['ip', 'route', 'del', 'prohibit', lab.outside.address]);
  await lab.outside.setMainCf({ smtpd_banner: 'proxy.provider.test ESMTP' });
  await lab.outside.reload();
  const proxied = await findAll(desk, 'relayhost --port25 example.net');
  expect(proxied.map(({ id }) => id)).toEqual(['port-25-proxied']);
});

test('a relay without an address: name-not-found', async () => {
  await desk.make({ ...settings, smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'nowhere' }] });
  const ids = (await findAll(desk, 'nowhere')).map(({ id }) => id);
  expect(ids).toContain('name-not-found');
  expect(ids).toContain('ssh-unreachable');
});
