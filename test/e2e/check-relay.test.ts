// Faults put into a relay on purpose, one by one: `relaycerts check` names each by its own id, `relaycerts explain` those
// that show in a log, and what is printed to do, run to the letter, makes everything right. A healthy pair has no finding,
// before and after.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCa, makeCertificate } from './lab/certificates.js';
import type { Authority, CertificateOptions } from './lab/certificates.js';
import {
  changeHost,
  emptyLogs,
  expectFound,
  expectGreen,
  expectLogged,
  findAll,
  orRestored,
  runCure,
} from './lab/check.js';
import type { Logged } from './lab/check.js';
import { rootAccount } from './lab/machine.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, configurationOf, openCa } from './lab/operator.js';
import { folder } from '../support/folder.js';

const settings = { smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] };
const chain = `${folder}/relayhost.example.org.chain.pem`;
const caFile = `${folder}/example.org-ca.crt.pem`;

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let ca: Authority;
let otherCa: Authority;

const set = (...overrides: readonly string[]): string =>
  overrides.map((one) => `postconf -P '2500/inet/${one}'`).join('\n');
const drop = (name: string): string => `postconf -PX 2500/inet/${name}`;

interface Fault {
  readonly what: string;
  readonly id: string;
  /** Shell on the relay; the reload comes by itself. */
  readonly put: string;
  /** Does what a cure asks for in words, without a command. */
  readonly mend?: string;
  /** The host of the cure, if it is not the finding's: this finding only follows from another. */
  readonly cause?: string;
  /** What explain says of it. */
  readonly logged?: readonly Logged[];
}

const faults: readonly Fault[] = [
  {
    what: 'a pin missing',
    id: 'table-differs',
    logged: [
      ['pin-not-listed', 'home'],
      ['pin-not-listed', 'relay'],
    ],
    put: `sed -i '/^[0-9A-F]/d' ${folder}/relay_clientcerts`,
  },
  {
    what: 'a pin too many',
    id: 'table-differs',
    put: `echo "$(printf 'AA:%.0s' $(seq 31))AA evil" >>${folder}/relay_clientcerts`,
  },
  {
    what: 'the key after the certificate',
    id: 'key-not-first',
    logged: [
      ['key-not-first', 'relay'],
      ['relay-tls-off', 'home'],
    ],
    put: `sed -n '/BEGIN CERT/,$p' ${chain} >/tmp/c; sed '/BEGIN CERT/,$d' ${chain} >>/tmp/c; cat /tmp/c >${chain}`,
  },
  {
    what: 'the key of another',
    id: 'key-mismatch',
    logged: [['key-mismatch', 'relay']],
    put: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 >/tmp/k; sed -n '/BEGIN CERT/,$p' ${chain} >>/tmp/k; cat /tmp/k >${chain}`,
  },
  {
    what: 'an encrypted key',
    id: 'encrypted-key',
    logged: [['encrypted-key', 'relay']],
    put: `openssl pkey -in ${chain} -aes128 -passout pass:secret >/tmp/e; sed -n '/BEGIN CERT/,$p' ${chain} >>/tmp/e; cat /tmp/e >${chain}`,
  },
  { what: 'no chain', id: 'file-missing', logged: [['chain-file', 'relay']], put: `rm ${chain}` },
  {
    what: 'a link to the table',
    id: 'file-missing',
    put: `mv ${folder}/relay_clientcerts /etc/postfix/theirs; ln -s /etc/postfix/theirs ${folder}/relay_clientcerts`,
  },
  { what: 'a chain that anybody reads', id: 'mode-differs', put: `chmod 644 ${chain}` },
  { what: 'a chain of another owner', id: 'owner-differs', put: `chown postfix ${chain}` },
  { what: 'a folder above that anybody changes', id: 'folder-open', put: 'chmod o+w /etc/postfix' },
  { what: 'md5 pins', id: 'md5-pins', put: set('smtpd_tls_fingerprint_digest=md5') },
  {
    what: 'a map type that is not there',
    id: 'map-type',
    logged: [['map-type', 'relay']],
    put: set(`relay_clientcerts=ldbm:${folder}/relay_clientcerts`),
  },
  {
    what: 'another table',
    id: 'pin-lock-open',
    put: `cp ${folder}/relay_clientcerts /etc/postfix/mine\n${set('relay_clientcerts=texthash:/etc/postfix/mine')}`,
  },
  {
    what: 'everybody permitted',
    id: 'open-relay',
    put: set('smtpd_relay_restrictions=permit_tls_all_clientcerts,defer'),
  },
  { what: 'no certificate asked for', id: 'ca-lock-open', put: set('smtpd_tls_req_ccert=no') },
  { what: 'every public CA trusted', id: 'ca-lock-open', put: set('smtpd_tls_CApath=/etc/ssl/certs') },
  { what: 'a permanent code for strangers', id: 'bounces', put: set('soft_bounce=no') },
  { what: 'a relative path of the chain', id: 'chain-file', put: set('smtpd_tls_chain_files=relaycerts/chain.pem') },
  {
    what: 'a relative path of the CA',
    id: 'ca-file',
    logged: [['ca-file', 'relay']],
    put: set('smtpd_tls_CAfile=relaycerts/ca.pem'),
  },
  { what: 'no service', id: 'service-missing', put: 'postconf -MX 2500/inet' },
  { what: 'no tlsmgr of our own', id: 'service-missing', put: 'postconf -MX relaycerts-2500-tlsmgr/unix' },
  { what: 'another chroot', id: 'service-differs', put: "postconf -F '2500/inet/chroot=n'" },
  {
    what: 'an inherited milter',
    id: 'filter-inherited',
    put: `${drop('smtpd_milters')}\npostconf -e smtpd_milters=inet:127.0.0.1:8891 milter_default_action=accept`,
  },
  {
    what: 'an inherited content filter',
    id: 'filter-inherited',
    put: `${drop('content_filter')}\npostconf -e content_filter=scan:[127.0.0.1]:10024`,
  },
  { what: 'a setting by hand', id: 'setting-added', put: set('always_bcc=spy@example.net') },
  { what: 'wrapper mode', id: 'wrapper-mode', put: set('smtpd_tls_wrappermode=yes') },
  {
    what: 'STARTTLS stripped',
    id: 'tls-not-offered',
    logged: [['tls-not-offered', 'home']],
    put: set('smtpd_discard_ehlo_keywords=starttls'),
  },
  {
    what: "a proxy's banner, without TLS",
    id: 'banner-foreign',
    put: set('smtpd_banner=mx.provider.example', 'smtpd_tls_security_level=none'),
    cause: 'setting-added',
  },
  { what: 'a level that is open', id: 'level-differs', put: set('smtpd_tls_security_level=may') },
  { what: 'old protocols', id: 'protocol', put: set('smtpd_tls_mandatory_protocols=!SSLv2') },
  {
    what: 'a second service on the port',
    id: 'second-service',
    put: "postconf -M '192.0.2.11:2500/inet=192.0.2.11:2500 inet n - y - - smtpd'",
  },
  {
    what: 'no other interface',
    id: 'interfaces',
    put: 'postconf -e inet_interfaces=loopback-only; postfix stop; postfix start',
  },
  {
    what: 'an open relay on port 25',
    id: 'open-relay-25',
    put: 'postconf -e mynetworks=0.0.0.0/0; postfix stop; postfix start',
    mend: 'postconf -X mynetworks',
  },
  {
    what: 'a disk without room',
    id: 'disk-full',
    logged: [
      ['queue-full', 'home'],
      ['queue-full', 'relay'],
    ],
    put: "mount -o remount,size=$(($(df -Pk /var | awk 'END { print $3 }') + 5000))k /var",
    mend: 'mount -o remount,size=50% /var',
  },
  { what: 'Postfix stopped', id: 'postfix-stopped', logged: [['connection-refused', 'home']], put: 'postfix stop' },
  {
    what: 'a file that Postfix cannot parse',
    id: 'postfix-check',
    put: 'echo nonsense >>/etc/postfix/main.cf',
    mend: "sed -i '$d' /etc/postfix/main.cf; postfix stop; postfix start",
  },
];

/** Changes the desk's machine, which the operator may not. */
const asRoot = (script: string) => lab.operator.execAs(rootAccount, ['sh', '-euc', script]);

/** Replaces the relay's key and certificate. */
async function showInstead(options: Omit<CertificateOptions, 'purpose'>): Promise<void> {
  const { chain: text } = await makeCertificate(lab.operator, { ...options, purpose: 'serverAuth' });
  await relay.writeFile(chain, text, '0600');
}

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make(settings);
  ca = await openCa(desk);
  otherCa = await makeCa(lab.operator, 'another CA');
});
afterAll(() => lab.stop());

test('before anything is installed, both hosts are named; one command is the cure', async () => {
  const findings = [];
  for (const host of [relay, home]) findings.push(await expectFound(desk, 'not-installed', host.hostname));
  const [finding] = findings;
  for (const { cure } of findings) expect(cure).toEqual([{ kind: 'command', text: 'relaycerts deploy' }]);
  if (finding !== undefined) await runCure(desk, finding);
  await expectGreen(desk);
});

test('a check of a healthy pair writes nothing there and queues nothing', async () => {
  const before = [await configurationOf(relay), await configurationOf(home)];
  const files =
    "find /etc /root /home /tmp /var/lib /var/spool -newer /tmp/mark -type f ! -name prng_exch ! -path '*/pid/*' | sort";
  for (const host of [relay, home]) await host.sh('touch /tmp/mark; sleep 0.02');
  await expectGreen(desk);
  expect([await configurationOf(relay), await configurationOf(home)]).toEqual(before);
  for (const host of [relay, home]) {
    expect(await host.queue()).toEqual([]);
    expect((await host.sh(files)).stdout).toBe('');
  }
});

describe('on the relay', () => {
  test.each(faults)('$what: $id', async ({ id, put, mend, cause = id, logged = [] }) => {
    await orRestored(desk, relay, async () => {
      if (logged.length > 0) await emptyLogs(home, relay);
      await changeHost(relay, put);
      const finding = await expectFound(desk, id, relay.hostname);
      if (logged.length > 0) await expectLogged(desk, { home, relay }, logged);
      expect(finding.cure).not.toEqual([]);
      if (mend === undefined)
        await runCure(desk, cause === id ? finding : await expectFound(desk, cause, relay.hostname));
      else await changeHost(relay, mend);
      await expectGreen(desk, relay.hostname);
    });
  });

  test.each([
    {
      what: 'another CA',
      id: 'ca-differs',
      logged: 'untrusted-issuer',
      log: 'relay',
      put: () => relay.writeFile(caFile, otherCa.certificate),
    },
    {
      what: 'an expired certificate',
      id: 'served-expired',
      logged: 'expired',
      put: () => showInstead({ name: relay.hostname, issuer: ca, expired: true }),
    },
    {
      what: 'a certificate from another CA',
      id: 'served-untrusted',
      logged: 'untrusted-issuer',
      put: () => showInstead({ name: relay.hostname, issuer: otherCa }),
    },
    {
      what: 'a certificate for another name',
      id: 'served-other-name',
      logged: 'other-name',
      put: () => showInstead({ name: 'other.example.org', issuer: ca }),
    },
    {
      what: 'a certificate that was copied and not loaded',
      id: 'served-stale',
      put: async () => {
        // An smtpd with the old certificate is there, from the previous check.
        await desk.run('relaycerts renew --force relayhost');
        await desk.copy(relay);
      },
      isLoaded: true,
    },
  ] as const)('$what: $id', async (fault) => {
    await orRestored(desk, relay, async () => {
      await emptyLogs(home, relay);
      await fault.put();
      if (!('isLoaded' in fault)) await changeHost(relay, ':');
      const finding = await expectFound(desk, fault.id, relay.hostname);
      if ('logged' in fault) {
        await expectLogged(desk, { home, relay }, [[fault.logged, 'log' in fault ? fault.log : 'home']]);
      }
      await runCure(desk, finding);
      await expectGreen(desk, relay.hostname);
    });
  });
});

test('status then says what differs', async () => {
  await changeHost(relay, `sed -i '/^[0-9A-F]/d' ${folder}/relay_clientcerts`);
  await changeHost(home, "postconf -P 'relaycerts/unix/smtp_tls_security_level=may'");
  await findAll(desk);
  const { stdout } = await desk.run('relaycerts status', true);
  expect(stdout).toMatch(/seen (?:just now|\d+ minutes? ago) with another relay_clientcerts/u);
  expect(stdout).toMatch(/seen (?:just now|\d+ minutes? ago) with another configuration/u);
  await desk.install(relay, home);
  await expectGreen(desk);
  expect((await desk.run('relaycerts status', true)).code).toBe(0);
});

describe('the way there', () => {
  test('a firewall that drops: no-connection', async () => {
    await relay.sh('ip rule add ipproto tcp sport 2500 blackhole');
    await expectFound(desk, 'no-connection', relay.hostname);
    await relay.sh('ip rule del ipproto tcp sport 2500 blackhole');
    await expectGreen(desk, relay.hostname);
  });

  test('a firewall that refuses: no-connection', async () => {
    // Before the table of what is this host's own.
    await relay.sh(
      'ip rule add pref 2 lookup local; ip rule del pref 0; ip rule add pref 1 ipproto tcp dport 2500 prohibit',
    );
    await emptyLogs(home, relay);
    await expectFound(desk, 'no-connection', relay.hostname);
    await expectLogged(desk, { home, relay }, [['no-connection', 'home']]);
    await relay.sh(
      'ip rule add pref 0 lookup local; ip rule del pref 1; ip rule del pref 2; echo 0 >/proc/sys/net/ipv4/ip_forward',
    );
    await expectGreen(desk, relay.hostname);
  });

  test.each([
    ['192.0.2.11', '192.0.2.25'],
    ['192.0.2.11', 'fd00::25'],
  ])('%s, and also %s, where another program answers: address-differs', async (own, other) => {
    await lab.outside.sh(
      "postconf -M '2500/inet=2500 inet n - y - - smtpd'; ip address replace fd00::25/64 dev eth0 nodad",
    );
    await lab.outside.sh('postfix stop; postfix start');
    await asRoot('ip address replace fd00::2/64 dev eth0 nodad; cp /etc/hosts /tmp/hosts');
    await asRoot(`printf '%s relayhost.example.org\\n' ${own} ${other} >>/etc/hosts`);
    const { message } = await expectFound(desk, 'address-differs', relay.hostname);
    expect(message).toContain(`also has the address ${other},`);
    await asRoot('cat /tmp/hosts >/etc/hosts');
    await expectGreen(desk, relay.hostname);
  });

  test('DNS that gives another address, where another server answers: banner-foreign', async () => {
    const [wire] = lab.machines;
    const answer = async (from: string, to: string): Promise<void> => {
      await wire?.sh(`sed -i 's/^${from} /${to} /' /run/lab/names; kill -HUP "$(cat /run/dnsmasq.pid)"`);
      // dnsmasq reads its file a moment later.
      await lab.operator.sh(`until getent ahostsv4 ${relay.hostname} | grep -q '^${to} '; do sleep 0.02; done`);
    };
    await emptyLogs(home, relay);
    await answer(relay.address, lab.outside.address);
    await expectFound(desk, 'banner-foreign', relay.hostname);
    // Home does not reach that one.
    await expectLogged(desk, { home, relay }, [['no-connection', 'home']]);
    await lab.outside.sh('postconf -MX 2500/inet; postfix stop; postfix start');
    await answer(lab.outside.address, relay.address);
    await expectGreen(desk, relay.hostname);
  });

  test('a passphrase that nobody opens: what that keeps from being tried is said', async () => {
    await desk.run('mv .config/relaycerts .config/away; mv .gnupg .gnupg-away');
    const found = await findAll(desk, 'relayhost');
    await desk.run('mv .config/away .config/relaycerts; rm -rf .gnupg; mv .gnupg-away .gnupg');
    expect(found.map((one) => one.id)).toEqual(['limit-unknown']);
    expect(found[0]?.message).toContain('whose pin is not listed');
  });

  test('a clock that is a day off: clock-differs', async () => {
    await relay.sh('mount -t tmpfs tmpfs /usr/local/sbin');
    await relay.writeFile('/usr/local/sbin/date', '#!/bin/sh\nexec /bin/date -d "1 day" "$@"\n', '0755');
    const { message } = await expectFound(desk, 'clock-differs', relay.hostname);
    expect(message).toContain('24 hours (it is ahead)');
    await relay.sh('umount /usr/local/sbin');
    await expectGreen(desk, relay.hostname);
  });

  test.each([
    {
      what: 'no sshd',
      id: 'ssh-unreachable',
      put: 'mv .ssh/config .ssh/c; sed -i "s/$/ /" .ssh/known_hosts; cp settings.json s; sed -i \'s/"hostname": "relayhost"/"hostname": "relayhost", "sshPort": 9/\' settings.json',
      back: 'mv .ssh/c .ssh/config; mv s settings.json',
    },
    {
      what: 'another host key',
      id: 'ssh-host-key',
      put: 'mv .ssh/config .ssh/c; cp .ssh/known_hosts .ssh/k; ssh-keygen -q -t ed25519 -N "" -f .ssh/x; echo "relayhost.example.org,192.0.2.11 $(cut -d " " -f 1-2 .ssh/x.pub)" >.ssh/known_hosts',
      back: 'mv .ssh/c .ssh/config; mv .ssh/k .ssh/known_hosts',
    },
    {
      what: 'no key of ours',
      id: 'ssh-denied',
      put: 'mv .ssh/config .ssh/c; mv .ssh/id_ed25519 .ssh/i',
      back: 'mv .ssh/c .ssh/config; mv .ssh/i .ssh/id_ed25519',
    },
  ])('$what: $id, and the rest is checked all the same', async ({ id, put, back }) => {
    await desk.run(put);
    const found = await findAll(desk, 'relayhost');
    await desk.run(back);
    expect(found.map((one) => one.id)).toEqual([id]);
    expect(found.map(({ severity }) => severity)).toEqual(['unknown']);
    await expectGreen(desk, relay.hostname);
  });
});
