// What a client with `senders` may send as on a real relay: other senders' mail waits at home and does not bounce,
// whatever main.cf says, and clients without `senders` are not limited.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { requireTools } from '../support/require-tools.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk } from './lab/operator.js';

const settings = {
  smtpdServers: [{ hostname: 'relayhost' }],
  smtpClients: [{ hostname: 'mailhost', senders: ['Ann@Example.org', 'lists.example.org'] }, { hostname: 'mailhost2' }],
};
/** Settings that would match other senders, look up <> by another key, or reject permanently. */
const mainCf = {
  parent_domain_matches_subdomains: '',
  smtpd_null_access_lookup_key: 'none',
  defer_code: '550',
  access_map_defer_code: '550',
  smtpd_sender_restrictions: 'reject_unknown_sender_domain',
};

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;
let free: MailHost;
let said: string;
let count = 0;

async function sendAs(host: MailHost, from: string): Promise<string> {
  const subject = `from a sender ${++count}`;
  await host.markLog();
  await host.sendMail({ from, to: 'bob@example.net', subject });
  return subject;
}

/** Mail with this sender gets to the outside. */
async function expectRelayed(host: MailHost, from: string): Promise<void> {
  await lab.outside.waitForMail(await sendAs(host, from));
}

/** Mail with this sender stays at home. */
async function expectWaiting(from: string): Promise<void> {
  await sendAs(home, from);
  expect(await home.waitForDeferred()).toMatch(/said: 450 4\.7\.1 <[^>]+>: Sender address rejected/u);
  expect(await home.mailLog()).not.toContain('status=bounced');
  await home.sh('postsuper -d ALL 2> /dev/null');
}

beforeAll(async () => {
  requireTools('openssl');
  lab = await startLab({ relays: 1, homes: 2, faults: ['sender-refused'] });
  [relay] = lab.relays;
  [home, free = home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make(settings);
  await relay.setMainCf(mainCf);
  await desk.copy(relay);
  const { stdout, stderr, code } = await desk.script(relay);
  expect(code, stderr).toBe(0);
  said = stdout + stderr;
  await desk.install(home, free);
});
afterAll(() => lab.stop());

describe('a client with senders', () => {
  test.each(['ann@example.org', 'ANN@EXAMPLE.ORG', 'x@lists.example.org', 'x@a.lists.example.org', '<>'])(
    'relays mail from %s',
    (from) => expectRelayed(home, from),
  );

  test.each(['eve@example.org', 'ann@example.net', 'x@example.org', 'x@xlists.example.org'])(
    'keeps mail from %s',
    expectWaiting,
  );

  test('the script warns that the restrictions of main.cf do not apply', () => {
    expect(said).toContain(
      'does not use this setting of main.cf: smtpd_sender_restrictions = reject_unknown_sender_domain',
    );
  });

  test('a client without is free', async () => {
    await expectRelayed(free, 'eve@example.org');
    await expectRelayed(free, '<>');
  });

  test('is bound with both pins, before and after a new key', async () => {
    await desk.run('relaycerts renew mailhost --rekey');
    await desk.install(relay);
    await expectRelayed(home, 'ann@example.org');
    await expectWaiting('eve@example.org');
    await desk.install(home);
    await expectRelayed(home, 'ann@example.org');
    await expectWaiting('eve@example.org');
  });

  test('waits with `unlisted: "reject"` too, a hash table, and the pasted text', async () => {
    await desk.make({ ...settings, postfix: { tableType: 'hash', unlisted: 'reject' } });
    await desk.paste(relay);
    await expectRelayed(home, 'ann@example.org');
    await expectWaiting('eve@example.org');
    await expectRelayed(free, 'eve@example.org');
  });

  test('is free again once its senders are gone from the settings', async () => {
    await desk.make({ ...settings, smtpClients: [{ hostname: 'mailhost' }, { hostname: 'mailhost2' }] });
    await desk.install(relay);
    await expectRelayed(home, 'eve@example.org');
    expect((await relay.exec(['postconf', '-P', '2500/inet/*'])).stdout).not.toMatch(/relaycerts_senders|pipemap/u);
  });
});
