// `relaycerts explain` on real hosts: the log of a healthy pair has no fault and nothing unknown, a fault is named on
// both sides, and its printed cure fixes it.

import { afterAll, beforeAll, expect, test } from 'vitest';

import { unasked } from '../support/now-run.js';
import { startLab } from './lab.js';
import type { Lab } from './lab.js';
import type { MailHost } from './lab/mail-host.js';
import { Desk, deliver, send } from './lab/operator.js';

interface Answer {
  readonly lines: number;
  readonly hasOurs: boolean;
  readonly sent: { readonly count: number };
  readonly findings: readonly {
    readonly id: string;
    readonly host: string;
    readonly sentSince: boolean;
    readonly cure: readonly { readonly kind: string; readonly text: string }[];
  }[];
  readonly unknown: readonly unknown[];
  readonly strangers: { readonly lines: number };
}

let lab: Lab;
let desk: Desk;
let relay: MailHost;
let home: MailHost;

beforeAll(async () => {
  lab = await startLab({ relays: 1, homes: 1, faults: 'any' });
  [relay] = lab.relays;
  [home] = lab.homes;
  desk = new Desk(lab.operator);
  await desk.make({
    smtpdServers: [{ hostname: 'relayhost', tlsLogLevel: 2 }],
    smtpClients: [{ hostname: 'mailhost' }],
  });
  await desk.install(relay, home);
});
afterAll(() => lab.stop());

async function explain(host: string, code: number): Promise<Answer> {
  const result = await desk.run(`relaycerts explain ${host} --json`, true);
  expect([result.code, result.stderr]).toEqual([code, '']);
  return JSON.parse(result.stdout) as Answer;
}

test('a healthy pair has no fault, with strangers at the door', async () => {
  await deliver(home, lab.outside);
  await deliver(home, lab.outside);
  await relay.markLog();
  const knock = 'openssl s_client -starttls smtp -connect relayhost.example.org:2500 < /dev/null > /dev/null 2>&1';
  await desk.run(`${knock}; ${knock} -tls1_1`, true);
  await relay.waitForLog(/No client certificate presented/u);
  for (const host of ['relayhost', 'mailhost']) {
    const { findings, unknown, sent, hasOurs } = await explain(host, 0);
    expect([host, findings, unknown, sent.count, hasOurs]).toEqual([host, [], [], 2, true]);
  }
  expect((await explain('relayhost', 0)).strangers.lines).toBeGreaterThan(0);
});

test('an unlisted pin is named on both sides, and the printed cure works', async () => {
  await relay.sh(': > /etc/postfix/relaycerts/example.org/relay_clientcerts');
  await relay.reload();
  const subject = await send(home);
  await home.waitForDeferred();
  const answers = await Promise.all(['relayhost', 'mailhost'].map((host) => explain(host, 3)));
  for (const { findings } of answers)
    expect(findings.map(({ id, host }) => [id, host])).toEqual([['pin-not-listed', home.hostname]]);
  for (const { kind, text } of answers[0]?.findings[0]?.cure ?? []) {
    expect(kind).toBe('command');
    await desk.run(unasked(text));
  }
  await lab.outside.waitForFlushed(home, subject);
  expect((await explain('mailhost', 3)).findings.map(({ sentSince }) => sentSince)).toEqual([true]);
});
