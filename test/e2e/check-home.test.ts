// Faults put into a home host on purpose, one by one: `relaycerts check` names each by its own id, `relaycerts explain` those
// that show in a log, and what is printed to do, run to the letter, makes everything right.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import { makeCa, makeCertificate } from './lab/certificates.js';
import {
  changeHost,
  emptyLogs,
  expectFound,
  expectGreen,
  expectLogged,
  findAll,
  orRestored,
  runCure,
  runCures,
} from './lab/check.js';
import type { Logged } from './lab/check.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, openCa, send } from './lab/operator.js';
import { folder } from '../support/folder.js';

const settings = { smtpdServers: [{ hostname: 'relayhost' }], smtpClients: [{ hostname: 'mailhost' }] };
const chain = `${folder}/mailhost.example.org.chain.pem`;
const caFile = `${folder}/example.org-ca.crt.pem`;

let lab: Lab;
let desk: Desk;
let home: MailHost;

const set = (override: string): string => `postconf -P 'relaycerts/unix/${override}'`;
const route = (parameter: string, entry: string): string =>
  `printf '%s\\n' '${entry}' >/etc/postfix/routes\npostconf -e '${parameter}=texthash:/etc/postfix/routes'`;

interface Fault {
  readonly what: string;
  readonly id: string;
  readonly put: string;
  readonly mend?: string;
  /** What explain says of it. */
  readonly logged?: readonly Logged[];
}

const faults: readonly Fault[] = [
  {
    what: 'a relayhost without brackets',
    id: 'relayhost-brackets',
    put: 'postconf -e relayhost=relayhost.example.org:2500',
  },
  {
    what: 'a relayhost with another port',
    id: 'relayhost-differs',
    logged: [['untrusted-issuer', 'home']],
    put: "postconf -e 'relayhost=[relayhost.example.org]:25'",
  },
  { what: 'no relayhost', id: 'relayhost-differs', put: 'postconf -X relayhost' },
  { what: 'another transport', id: 'transport-differs', put: 'postconf -e default_transport=smtp' },
  {
    what: 'no transport of ours',
    id: 'service-missing',
    logged: [['service-missing', 'home']],
    put: 'postconf -MX relaycerts/unix',
  },
  { what: 'a transport that is deferred', id: 'service-disabled', put: 'postconf -e defer_transports=relaycerts' },
  { what: 'level may', id: 'level-differs', put: set('smtp_tls_security_level=may') },
  {
    what: 'a policy map of the admin',
    id: 'level-differs',
    put: set('smtp_tls_policy_maps=texthash:/etc/postfix/policy'),
  },
  {
    what: 'another name',
    id: 'level-differs',
    logged: [['other-name', 'home']],
    put: set('smtp_tls_secure_cert_match=other.example.org'),
  },
  { what: 'every public CA trusted', id: 'ca-lock-open', put: set('smtp_tls_CApath=/etc/ssl/certs') },
  { what: 'another CA file', id: 'ca-lock-open', put: set('smtp_tls_CAfile=/etc/ssl/certs/ssl-cert-snakeoil.pem') },
  { what: 'a relative path of the CA', id: 'ca-file', put: set('smtp_tls_CAfile=relaycerts/ca.pem') },
  {
    what: 'a relative path of the chain',
    id: 'chain-file',
    logged: [
      ['chain-file', 'home'],
      ['no-client-certificate', 'relay'],
    ],
    put: set('smtp_tls_chain_files=relaycerts/chain.pem'),
  },
  {
    what: 'a trust anchor',
    id: 'trust-anchor',
    logged: [['trust-anchor', 'home']],
    put: set('smtp_tls_trust_anchor_file=/etc/ssl/x.pem'),
  },
  {
    what: 'wrapper mode',
    id: 'wrapper-mode',
    logged: [['wrapper-mode', 'home']],
    put: set('smtp_tls_wrappermode=yes'),
  },
  { what: 'old protocols', id: 'protocol', put: set('smtp_tls_mandatory_protocols=!SSLv2') },
  {
    what: 'a fallback without a certificate',
    id: 'setting-differs',
    put: set('smtp_fallback_relay=[mx.example.net]'),
  },
  { what: 'a setting by hand', id: 'setting-added', put: set('smtp_bind_address=192.0.2.31') },
  {
    what: 'a transport map that goes around',
    id: 'route-around',
    put: route('transport_maps', '* smtp:'),
    mend: 'postconf -X transport_maps',
  },
  {
    what: 'a sender that goes around',
    id: 'route-stops',
    put: route('sender_dependent_relayhost_maps', '@example.org [smtp.provider.example]:587'),
    mend: 'postconf -X sender_dependent_relayhost_maps',
  },
  {
    what: 'the key after the certificate',
    id: 'key-not-first',
    logged: [['key-not-first', 'home']],
    put: `sed -n '/BEGIN CERT/,$p' ${chain} >/tmp/c; sed '/BEGIN CERT/,$d' ${chain} >>/tmp/c; cat /tmp/c >${chain}`,
  },
  {
    what: 'an encrypted key',
    id: 'encrypted-key',
    put: `openssl pkey -in ${chain} -aes128 -passout pass:secret >/tmp/e; sed -n '/BEGIN CERT/,$p' ${chain} >>/tmp/e; cat /tmp/e >${chain}`,
  },
  {
    what: 'another certificate beside the chain',
    id: 'certificate-differs',
    put: `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /tmp/k -subj /CN=x -days 9 -out ${folder}/mailhost.example.org.crt.pem`,
  },
  {
    what: 'another key beside the chain',
    id: 'key-differs',
    put: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 >${folder}/mailhost.example.org.key.pem`,
  },
  {
    what: 'key and certificate swapped',
    id: 'key-differs',
    put: `cd ${folder}; mv mailhost.example.org.key.pem /tmp/k; mv mailhost.example.org.crt.pem mailhost.example.org.key.pem; mv /tmp/k mailhost.example.org.crt.pem`,
  },
  {
    what: 'a chain of another key and its certificate',
    id: 'chain-differs',
    logged: [['untrusted-issuer', 'relay']],
    put: `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${chain} -subj /CN=x -days 9 -out /tmp/x; cat /tmp/x >>${chain}`,
  },
  { what: 'Postfix stopped', id: 'postfix-stopped', put: 'postfix stop' },
];

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make(settings);
  await desk.install(lab.relays[0], home);
});
afterAll(() => lab.stop());

describe('at home', () => {
  test.each(faults)('$what: $id', async ({ id, put, mend, logged = [] }) => {
    await orRestored(desk, home, async () => {
      if (logged.length > 0) await emptyLogs(home, lab.relays[0]);
      await changeHost(home, put);
      const finding = await expectFound(desk, id, home.hostname);
      if (logged.length > 0) await expectLogged(desk, { home, relay: lab.relays[0] }, logged);
      expect(finding.cure).not.toEqual([]);
      if (mend === undefined) await runCure(desk, finding);
      else await changeHost(home, mend);
      await expectGreen(desk, home.hostname);
    });
  });

  test('our settings below another service: settings-left', async () => {
    await orRestored(desk, home, async () => {
      const stock = (await home.exec(['postconf', '-M'])).stdout;
      await changeHost(home, "sed -i 's/^relaycerts /#&/' /etc/postfix/master.cf");
      await runCure(desk, await expectFound(desk, 'settings-left', home.hostname));
      await runCures(desk);
      await expectGreen(desk);
      expect((await home.exec(['postconf', '-M'])).stdout).toBe(stock);
    });
  });

  test('another CA: ca-differs', async () => {
    const { certificate } = await makeCa(lab.operator, 'example.org relay CA');
    await home.writeFile(caFile, certificate);
    await runCure(desk, await expectFound(desk, 'ca-differs', home.hostname));
    await expectGreen(desk);
  });

  test('an expired certificate: expired', async () => {
    const issuer = await openCa(desk);
    const { chain: text } = await makeCertificate(lab.operator, {
      name: home.hostname,
      issuer,
      purpose: 'clientAuth',
      expired: true,
    });
    await emptyLogs(home, lab.relays[0]);
    await home.writeFile(chain, text, '0600');
    const finding = await expectFound(desk, 'expired', home.hostname);
    await expectLogged(desk, { home, relay: lab.relays[0] }, [['expired', 'relay']]);
    await runCure(desk, finding);
    await expectGreen(desk);
  });

  test('mail that waits for the relay: queue-deferred, and why', async () => {
    const [relay] = lab.relays;
    await relay.sh('postfix stop >/dev/null 2>&1');
    const subject = await send(home);
    await home.waitForDeferred();
    await relay.sh('postfix start >/dev/null 2>&1');
    const finding = await expectFound(desk, 'queue-deferred', home.hostname);
    expect(finding.message).toMatch(/^mail for relayhost.example.org waits .*\(1\).*Connection refused/u);
    await home.exec(['postsuper', '-h', 'ALL']);
    await runCure(desk, await expectFound(desk, 'queue-held', home.hostname));
    await runCure(desk, finding);
    await lab.outside.waitForMail(subject);
    await expectGreen(desk);
  });

  test('from home, with openssl there: right, and what is in the way', async () => {
    const [relay] = lab.relays;
    expect(await findAll(desk, '--from mailhost')).toEqual([]);
    const idsFrom = async (): Promise<readonly string[]> =>
      (await findAll(desk, '--from mailhost')).map(({ id }) => id);
    await relay.sh('postfix stop >/dev/null 2>&1');
    expect(await idsFrom()).toEqual(['connection-refused']);
    await relay.sh('postfix start >/dev/null 2>&1');
    await relay.sh(`sed -i.before '/^[0-9A-F]/d' ${folder}/relay_clientcerts`);
    await relay.reload();
    expect(await idsFrom()).toEqual(['client-refused']);
    await relay.sh(`mv ${folder}/relay_clientcerts.before ${folder}/relay_clientcerts`);
    await relay.reload();
    const { certificate } = await makeCa(lab.operator, 'example.org relay CA');
    await home.writeFile(caFile, certificate);
    expect(await idsFrom()).toEqual(['served-untrusted']);
    await desk.install(home);
    expect(await findAll(desk, '--from mailhost')).toEqual([]);
  });

  test('names only what is asked for', async () => {
    await changeHost(home, set('smtp_tls_security_level=may'));
    expect(await findAll(desk, 'relayhost')).toEqual([]);
    const found = await findAll(desk, 'mailhost');
    expect(found.map(({ id }) => id)).toEqual(['level-differs']);
    expect(await findAll(desk, '--offline')).toEqual([]);
    await desk.install(home);
  });
});
