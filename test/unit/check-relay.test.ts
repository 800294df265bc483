// What a relay's answers mean: each kind of conversation, and its finding.

import { describe, expect, it } from 'vitest';
import { checkRelay } from '../../src/check/relay-check.js';
import { judgeClient, judgeConnection, judgePort25, judgeStranger } from '../../src/check/relay.js';
import type { HostName } from '../../src/names.js';
import type { Call, Conversation, Stage } from '../../src/probe/conversation.js';
import type { BreakKind, Reply } from '../../src/probe/lines.js';
import type { SmtpdServer } from '../../src/settings/settings.js';
import { threeHosts } from '../support/inventory.js';

const relay: SmtpdServer = threeHosts.smtpdServers[0];
const call: Call = {
  address: '192.0.2.11',
  port: 2500,
  helo: 'check.example.org',
  tls: { name: relay.hostname, ca: '', shown: undefined },
  mail: { from: 'a@example.org', to: 'b@example.com' },
};
const expected = { relay, certificate: undefined, names: [relay.hostname] };
const greeting: Reply = { code: 220, lines: ['relayhost.example.org ESMTP Postfix'] };
const ehlo: Reply = { code: 250, lines: ['relayhost.example.org', 'STARTTLS'] };

function talk(stage: Stage, replies: Conversation['replies'], broken?: readonly [BreakKind, string]): Conversation {
  const [kind, words = ''] = broken ?? [];
  return { call, from: undefined, replies, tls: undefined, stage, broken: kind && { kind, words } };
}

describe('a relay without an address', () => {
  it('is not said to show its certificate', async () => {
    // No resolver is asked for a name with a label this long.
    const nowhere = { ...relay, hostname: `${'a'.repeat(64)}.example.org` as HostName };
    const visitors = { strangers: [], missing: [], clients: [], absent: [] };
    const work = { settings: threeHosts, ca: '', certificate: undefined, visitors, facts: undefined };
    const reports = await checkRelay(nowhere, { ...work, otherAddresses: [] });
    expect(reports.map(({ findings }) => idsOf(findings))).toEqual([['name-not-found']]);
    const [message] = reports.flatMap(({ findings }) => findings.map((one) => one.message));
    expect(message).toMatch(
      /^no address of \S+ was found in DNS: the (?:look-up found none|name server does not answer)$/u,
    );
  });
});

const idsOf = (findings: readonly { readonly id: string }[]): readonly string[] => findings.map(({ id }) => id);

describe('a connection', () => {
  it.each([
    ['connection-refused', talk('connect', {}, ['refused', 'ECONNREFUSED'])],
    ['no-connection', talk('connect', {}, ['slow', 'no answer'])],
    ['no-connection', talk('connect', {}, ['unreachable', 'EHOSTUNREACH'])],
    ['no-route-here', talk('connect', {}, ['unreachable', 'ENETUNREACH'])],
    ['no-greeting', talk('greeting', {}, ['slow', ''])],
    ['no-greeting', talk('greeting', {}, ['closed', ''])],
    ['not-smtp', talk('greeting', {}, ['not-smtp', 'SSH-2.0-OpenSSH'])],
    ['banner-foreign', talk('greeting', { greeting: { code: 554, lines: ['no service here'] } })],
    [
      'greeting-refused',
      talk('greeting', { greeting: { code: 421, lines: ['4.3.0 relayhost.example.org Server local error'] } }),
    ],
    [
      'greeting-refused',
      talk('ehlo', { greeting, ehlo: { code: 451, lines: ['4.7.1 Service unavailable - try again later'] } }),
    ],
    ['greeting-refused', talk('ehlo', { greeting, ehlo }, ['closed', 'it closed the connection'])],
    ['not-smtp', talk('ehlo', { greeting }, ['not-smtp', 'x'])],
    ['handshake-failed', talk('starttls', { greeting, ehlo }, ['closed', 'it closed the connection'])],
    ['tls-not-offered', talk('mail', { greeting, ehlo: { code: 250, lines: ['relayhost.example.org', 'SIZE'] } })],
    ['tls-not-offered', talk('starttls', { greeting, ehlo, starttls: { code: 502, lines: [''] } })],
    [
      'banner-foreign',
      talk('ehlo', { greeting: { code: 220, lines: ['**********'] }, ehlo: { code: 250, lines: ['x'] } }),
    ],
    [
      'banner-foreign',
      talk('ehlo', { greeting: { code: 220, lines: ['mx.provider.example'] }, ehlo: { code: 250, lines: ['x'] } }),
    ],
    [
      'relay-tls-off',
      talk('starttls', { greeting, ehlo, starttls: { code: 454, lines: ['4.7.0 TLS not available'] } }),
    ],
    [
      'handshake-failed',
      talk('tls', { greeting, ehlo, starttls: { code: 220, lines: [''] } }, ['tls', 'wrong version number']),
    ],
    [
      'no-shared-cipher',
      talk('tls', { greeting, ehlo, starttls: { code: 220, lines: [''] } }, ['tls', 'sslv3 alert handshake failure']),
    ],
  ])('%s', (id, conversation) => {
    expect(idsOf(judgeConnection(conversation, expected))).toEqual([id]);
  });
});

const reply = (code: number): Reply => ({ code, lines: ['4.7.1 no'] });

describe('a stranger', () => {
  it.each([
    ['relays: open-relay', talk('rcpt', { rcpt: reply(250) }), false, ['open-relay']],
    ['relays for later: open-relay', talk('rcpt', { rcpt: reply(251) }), false, ['open-relay']],
    ['is deferred: nothing', talk('rcpt', { rcpt: reply(450) }), false, []],
    ['is deferred before: nothing', talk('ehlo-tls', { 'ehlo-tls': reply(421) }), false, []],
    ['is refused for good: bounces', talk('rcpt', { rcpt: reply(554) }), false, ['bounces']],
    ['is refused for good, as the settings ask: nothing', talk('rcpt', { rcpt: reply(554) }), true, []],
    ['gets no handshake: nothing', talk('tls', {}, ['tls', 'alert unknown ca']), false, []],
    ['gets no answer: not known', talk('rcpt', {}, ['slow', '']), false, ['limit-unknown']],
    ['is out of reach: not known', talk('connect', {}, ['refused', '']), false, ['limit-unknown']],
  ] as const)('%s', (_, conversation, mayBounce, ids) => {
    expect(idsOf(judgeStranger(relay, 'no certificate', conversation, mayBounce))).toEqual(ids);
  });
});

describe('a client', () => {
  it.each([
    ['relays', talk('rcpt', { rcpt: { code: 250, lines: ['ok'] } }), []],
    ['is deferred', talk('rcpt', { rcpt: { code: 450, lines: ['4.3.2 Try again later'] } }), ['client-refused']],
    ['is refused for good', talk('rcpt', { rcpt: { code: 554, lines: ['5.7.1 no'] } }), ['client-bounced']],
    ['is cut off', talk('mail', {}, ['closed', '']), ['client-refused']],
  ] as const)('%s', (_, conversation, ids) => {
    expect(idsOf(judgeClient(relay, 'mailhost.example.org', conversation))).toEqual(ids);
  });
});

describe('port 25', () => {
  const rcpt = (code: number, text: string): Conversation => talk('rcpt', { rcpt: { code, lines: [text] } });
  it.each([
    ['relays for strangers', rcpt(250, 'ok'), false, ['open-relay-25']],
    ['relays for us, whom it trusts', rcpt(250, 'ok'), true, ['port-25-unknown']],
    ['denies', rcpt(454, '4.7.1 <b@example.com>: Relay access denied'), false, []],
    ['denies as Exim does', rcpt(550, 'relay not permitted'), false, []],
    ['has a filter that is down', rcpt(451, '4.7.1 Service unavailable - try again later'), false, ['port-25-unknown']],
    [
      'blocks this address',
      rcpt(554, '5.7.1 Service unavailable; Client host [192.0.2.1] blocked by relay.example.org'),
      false,
      ['port-25-unknown'],
    ],
    [
      'knows no such domain',
      rcpt(450, '4.1.2 <b@example.com>: Recipient address rejected: Domain not found'),
      false,
      ['port-25-unknown'],
    ],
    ['knows that the domain takes no mail', rcpt(556, '5.1.10 nullMX'), false, ['port-25-unknown']],
    ['is closed', talk('connect', {}, ['refused', '']), false, []],
    ['is blocked from here', talk('connect', {}, ['slow', '']), false, ['port-25-unknown']],
  ] as const)('%s', (_, conversation, isTrusted, ids) => {
    expect(idsOf(judgePort25(relay, conversation, isTrusted))).toEqual(ids);
  });
});
