// The home host's other mail: a content filter, a route to the LAN and another provider work as before, with the
// settings of main.cf, while ours goes to the relay through a separate transport, at the level "secure", whatever
// main.cf says about it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, contentOf, deliver, send } from './lab/operator.js';
import { folder } from '../support/folder.js';

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let second: MailHost;
let home: MailHost;
/** A mail server of the LAN, which accepts mail for lan.example.net and has no certificate of ours. */
let lan: MailHost;

beforeAll(async () => {
  lab = await startLab({
    relays: 2,
    homes: 2,
    faults: ['connection-refused', 'other-name', 'name-not-found', 'untrusted-issuer', 'not-verified'],
  });
  const [first, other] = lab.relays;
  const [mailhost, neighbour] = lab.homes;
  if (other === undefined || neighbour === undefined) throw new TypeError('the lab has two of each');
  [relay, second, home, lan] = [first, other, mailhost, neighbour];
  desk = new Desk(lab.operator);
  await lan.setMainCf({
    mydestination: '$myhostname, lan.example.net',
    local_recipient_maps: '',
    luser_relay: 'root@localhost',
  });
  await lan.reload();
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost' }, { hostname: 'relayhost2' }],
    smtpClients: [{ hostname: 'mailhost' }],
  });
  await desk.install(relay, second);
});
afterAll(() => lab.stop());

describe('beside a content filter, routes to the LAN and other TLS settings', () => {
  let before: string;

  beforeAll(async () => {
    // A filter like amavis: it accepts all mail on its own port and returns it.
    await home.exec(['postconf', '-M', 'scan/unix=scan unix - - y - - smtp']);
    await home.exec(['postconf', '-M', '10024/inet=127.0.0.1:10024 inet n - y - - smtpd']);
    await home.exec(['postconf', '-P', '127.0.0.1:10024/inet/content_filter=']);
    await home.setMainCf({
      content_filter: 'scan:[127.0.0.1]:10024',
      transport_maps: `inline:{{lan.example.net=smtp:[${lan.address}]}}`,
      smtp_tls_policy_maps: 'inline:{{[relayhost.example.org]:2500=none},{[relayhost2.example.org]:2500=none}}',
      smtp_tls_security_level: 'may',
      smtp_tls_loglevel: '1',
      smtp_fallback_relay: `[${lan.address}]`,
    });
    before = await contentOf(home);
    await desk.copy(home);
  });

  test('the script lists what stays, and sets two parameters in main.cf', async () => {
    const { stdout, stderr, code } = await desk.script(home);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toContain(
      'relaycerts: 1 route has a transport of its own and keeps working as before: transport_maps: ',
    );
    const changed = await home.sh(`diff ${folder}/saved/before/main.cf /etc/postfix/main.cf | grep '^[<>]'; true`);
    expect(
      changed.stdout
        .replaceAll(/^[<>] (\w+) = ?.*$/gmu, '$1')
        .trim()
        .split('\n')
        .toSorted(),
    ).toEqual(['default_transport', 'relayhost', 'relayhost']);
  });

  test('mail for the world passes the filter, then the relay over TLS', async () => {
    await deliver(home, lab.outside);
    const log = await home.mailLog();
    expect(log).toMatch(/postfix\/scan\/smtp|postfix\/smtp\[\d+\]: \w+: to=<bob@example\.net>, relay=127\.0\.0\.1/);
    expect(log).toMatch(
      /relaycerts\/smtp\[\d+\]: Verified TLS connection established to relayhost\.example\.org\S*:2500: /,
    );
    expect(log).not.toMatch(/status=(?:deferred|bounced)/);
  });

  test('mail for the LAN goes there, with the settings of main.cf', async () => {
    await home.markLog();
    await home.sendMail({ from: 'ann@example.org', to: 'carl@lan.example.net', subject: 'to the LAN' });
    // After the filter, which is 127.0.0.1.
    await home.waitForLog(
      new RegExp(`postfix/smtp\\[\\d+\\]: \\w+: to=<carl@lan\\.example\\.net>, relay=${lan.address}.* status=sent`),
    );
  });

  test('with the first relay down, the second is verified by its own name', async () => {
    await relay.exec(['postfix', 'stop']);
    await deliver(home, lab.outside);
    expect(await home.mailLog()).toMatch(/Verified TLS connection established to relayhost2\.example\.org\S*:2500: /);
    await relay.exec(['postfix', 'start']);
  });

  test("the first relay with the second's key and certificate gets no mail", async () => {
    const chain = `${folder}/${relay.hostname}.chain.pem`;
    const kept = await relay.readFile(chain);
    await relay.writeFile(chain, await second.readFile(`${folder}/${second.hostname}.chain.pem`), '0600');
    await relay.reload();
    await second.exec(['postfix', 'stop']);
    const subject = await send(home);
    expect(await home.waitForDeferred()).toMatch(/Server certificate not verified|refused/);
    expect(await home.mailLog()).toMatch(
      /relayhost\.example\.org\S*:2500: .*hostname mismatch|Server certificate not verified/,
    );
    await second.exec(['postfix', 'start']);
    await relay.writeFile(chain, kept, '0600');
    await relay.reload();
    await lab.outside.waitForFlushed(home, subject);
  });

  test('--undo gives back both files byte by byte', async () => {
    expect((await desk.script(home, '--undo')).code).toBe(0);
    expect(await contentOf(home)).toBe(before);
  });
});

describe('with the older table for TLS levels', () => {
  test('mail still goes to the relay over verified TLS', async () => {
    await home.restorePostfix();
    await home.setMainCf({ smtp_tls_per_site: 'inline:{{relayhost.example.org=NONE},{relayhost2.example.org=NONE}}' });
    await desk.install(home);
    await deliver(home, lab.outside);
    await home.waitForLog(/relaycerts\/smtp\[\d+\]: Verified TLS connection established to relayhost\.example\.org/);
  });
});

describe('with two relays whose names no longer exist', () => {
  test('mail waits, and leaves once they exist again', async () => {
    await home.restorePostfix();
    await desk.install(home);
    const [relayhost] = /(?<=^relayhost = ).*$/mu.exec((await home.exec(['postconf', 'relayhost'])).stdout) ?? [''];
    await home.setMainCf({ relayhost: '[gone1.example.org]:2500, [gone2.example.org]:2500' });
    await home.reload();
    const subject = await send(home);
    expect(await home.waitForDeferred()).toMatch(/gone[12]\.example\.org.*Host not found/u);
    expect(await home.mailLog()).not.toContain('status=bounced');
    await home.setMainCf({ relayhost });
    await home.reload();
    await lab.outside.waitForFlushed(home, subject);
  });
});

describe('a sender with another provider', () => {
  test('is refused before anything changes; the hint installs, and his mail stops', async () => {
    await home.restorePostfix();
    await desk.copy(home);
    await home.setMainCf({ sender_dependent_relayhost_maps: `inline:{{@other.example=[${lan.address}]}}` });
    const before = await contentOf(home);
    const { code, stderr } = await desk.script(home);
    expect(stderr).toMatch(
      /^relaycerts: error: this mail will stop, .*sender_dependent_relayhost_maps: @other\.example \[/,
    );
    expect(code).toBe(1);
    expect(await contentOf(home)).toBe(before);

    const [, hint = ''] = /; or, to install anyway: (.*)$/mu.exec(stderr) ?? [];
    const forced = await desk.run(hint, true);
    expect(forced.stderr).toMatch(/^relaycerts: warning: this mail will stop, /);
    expect(forced.code).toBe(0);
    await home.markLog();
    await home.sendMail({ from: 'eve@other.example', to: 'bob@example.net', subject: 'by another provider' });
    expect(await home.waitForDeferred()).not.toBe('');
    expect(await lan.mailLog()).not.toContain('eve@other.example');
    await home.sh('postsuper -d ALL 2> /dev/null');
  });

  test('with a separate transport, as the hint says, works as before', async () => {
    await home.setMainCf({
      sender_dependent_default_transport_maps: `inline:{{@other.example=smtp:[${lan.address}]}}`,
    });
    const { code, stderr } = await desk.script(home);
    expect([code, stderr]).toEqual([0, '']);
    await home.reload();
    await home.markLog();
    await home.sendMail({ from: 'eve@other.example', to: 'carl@lan.example.net', subject: 'by its own transport' });
    await home.waitForLog(/postfix\/smtp\[\d+\]: \w+: to=<carl@lan\.example\.net>.* status=sent/m);
    await deliver(home, lab.outside);
  });
});
