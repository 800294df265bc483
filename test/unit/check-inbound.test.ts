// What the answers of a relay and of home mean for mail from the world, for cases that no lab shows.

import { describe, expect, it } from 'vitest';
import { parseFacts, type HostFacts } from '../../src/check/host-facts.js';

import { judgeInbound, judgeLimits } from '../../src/check/host-inbound.js';
import { judgeState } from '../../src/check/host-state.js';
import { judgeHandOver, judgeOwnDoor } from '../../src/check/inbound.js';
import { judgeSizes } from '../../src/check/sizes.js';
import { parseSettings } from '../../src/settings/schema.js';
import { hostName } from '../support/chain.js';

const settingsOf = (inbound: object) =>
  parseSettings(
    {
      domain: 'example.org',
      smtpdServers: [{ hostname: 'relayhost' }],
      smtpClients: [{ hostname: 'mailhost' }],
      inbound: { home: 'mailhost', ...inbound },
    },
    { file: '/p/settings.json', home: '/home/o', program: 'relaycerts', command: 'relaycerts' },
  );
const listed = settingsOf({ recipients: ['ann@example.org'] });
const asked = settingsOf({});
const tunnel = settingsOf({ via: 'tunnel' });
const [relay] = listed.smtpdServers;
const [home] = listed.smtpClients;
const inboundOf = ({ inbound }: typeof listed) => {
  if (inbound === undefined) throw new TypeError('settings without inbound');
  return inbound;
};

function factsOf(...lines: readonly string[]): HostFacts {
  const facts = parseFacts([...lines, '@end', ''].join('\n'));
  if (facts === undefined) throw new TypeError('facts without an end');
  return facts;
}

const rcpt = (to: string, reply: string): readonly string[] => [`> RCPT TO:<${to}>`, reply];

const host = (hostname: typeof home.hostname, size: string, delimiter: string, ...more: readonly string[]) => ({
  hostname,
  facts: factsOf('@values', ` message_size_limit=${size}`, ` recipient_delimiter=${delimiter}`, ...more),
});

const idsOf = (findings: readonly { readonly id: string }[]): readonly string[] => findings.map(({ id }) => id);

describe('a relay that tries home', () => {
  const start = ['250 CHUNKING', '> EHLO relayhost.example.org', '250 DSN', '> MAIL FROM:<>', '250 2.1.0 Ok'];
  const outside = rcpt('postmaster@example.com', '454 4.7.1 <postmaster@example.com>: Relay access denied');
  const good = rcpt('postmaster@example.org', '250 2.1.5 Ok');
  const end = ['221 2.0.0 Bye'];
  it.each([
    ['and is heard', listed, [...start, ...outside, ...good, ...end], []],
    ['and nothing answers', listed, ['connect: Connection refused'], ['connection-refused']],
    ['and no tunnel answers', tunnel, ['connect: Connection refused'], ['inbound-no-tunnel']],
    ['and does not find it', listed, ['BIO_lookup_ex: Name or service not known'], ['name-not-found']],
    ['and finds another', listed, ['verify error:num=20:unable to get local issuer certificate'], ['served-untrusted']],
    ['and finds an old one', listed, ['verify error:num=10:certificate has expired'], ['served-expired']],
    ['and is cut off', listed, ['250 CHUNKING', '> EHLO relayhost.example.org'], ['inbound-deferred']],
    [
      'and is not listed',
      listed,
      [...start, ...rcpt('postmaster@example.org', '450 4.3.2 <x>: Client host rejected: Try again later'), ...end],
      ['inbound-deferred'],
    ],
    [
      'and home does not know a recipient',
      listed,
      [...start, ...outside, ...good, ...rcpt('ann@example.org', '550 5.1.1 <ann@example.org>: User unknown'), ...end],
      ['inbound-unknown-recipient'],
    ],
    [
      'and may go anywhere from there',
      listed,
      [...start, ...rcpt('postmaster@example.com', '250 2.1.5 Ok'), ...good, ...end],
      ['open-relay'],
    ],
  ] as const)('%s', (_, settings, said, ids) => {
    const facts = factsOf(
      '@with mailhost.example.org',
      ...said.map((line) => ` ${line}`),
      '@without mailhost.example.org',
    );
    expect(idsOf(judgeHandOver(settings, inboundOf(settings), relay, facts))).toEqual(ids);
  });

  it('and names the day on which an old one expired', () => {
    const old = [' verify error:num=10:certificate has expired', ' notAfter=Jun 20 09:04:36 2030 GMT', ' 40D6:error'];
    const facts = factsOf('@with mailhost.example.org', ...old);
    const [finding] = judgeHandOver(listed, inboundOf(listed), relay, facts);
    expect(finding?.message).toContain('expired on Jun 20 09:04:36 2030 GMT');
  });

  it('and needs no certificate there', () => {
    const said = [...start, ...good].map((line) => ` ${line}`);
    const facts = factsOf('@with mailhost.example.org', ...said, '@without mailhost.example.org', ' 250 2.1.5 Ok');
    expect(idsOf(judgeHandOver(listed, inboundOf(listed), relay, facts))).toEqual(['inbound-open']);
  });
});

describe('home that tries itself, with a pin that is not listed', () => {
  it.each([
    ['waits', '> RCPT TO:<a@example.org>', '450 4.3.2 <x>: Client host rejected: Try again later', []],
    [
      'is refused for good',
      '> RCPT TO:<a@example.org>',
      '554 5.7.1 <x>: Client host rejected: Access denied',
      ['bounces'],
    ],
    ['gets in', '> RCPT TO:<a@example.org>', '250 2.1.5 Ok', ['inbound-open']],
    ['is not heard', '', 'connect: Connection refused', ['limit-unknown']],
  ])('%s', (_, command, reply, ids) => {
    const facts = factsOf('@with mailhost.example.org', ` ${command}`, ` ${reply}`, ' 221 Bye');
    expect(idsOf(judgeOwnDoor(inboundOf(listed), home, facts))).toEqual(ids);
  });
});

describe('limits of a relay and of home', () => {
  type Limits = readonly [size: string, delimiter: string];
  it.each<readonly [string, Limits, Limits, readonly string[]]>([
    ['are the same', ['1000', '+'], ['1000', '+'], []],
    ['home takes more', ['1000', '+'], ['2000', '+'], []],
    ['home takes all', ['1000', '+'], ['0', '+'], []],
    ['home takes less', ['2000', '+'], ['1000', '+'], ['inbound-size']],
    ['the relay takes all', ['0', ''], ['1000', ''], ['inbound-size']],
    ['another delimiter', ['0', '+'], ['0', '-'], ['inbound-delimiter']],
    ['the same two delimiters', ['0', '+-'], ['0', '-+'], []],
  ])('%s', (_, here, there, ids) => {
    const [one, other] = [host(relay.hostname, ...here), host(home.hostname, ...there)];
    expect(idsOf(judgeLimits(inboundOf(listed), one, other))).toEqual(ids);
    expect(idsOf(judgeLimits(inboundOf(asked), one, other))).toEqual(ids.filter((id) => id !== 'inbound-delimiter'));
  });

  it("home's service has a limit of its own", () => {
    const other = host(home.hostname, '0', '', '@found 2525/inet', ' message_size_limit=10');
    expect(idsOf(judgeLimits(inboundOf(listed), host(relay.hostname, '20', ''), other))).toEqual(['inbound-size']);
  });
});

describe('the size of mail from home', () => {
  const second = { ...home, hostname: hostName('mailhost2.example.org') };
  it.each<readonly [string, relay: readonly string[], homes: readonly [string, string], says: string | undefined]>([
    ['is the same', ['@values', ' message_size_limit=10240000'], ['10240000', '1'], undefined],
    ['is not limited at the relay', ['@values', ' message_size_limit=0'], ['0', '1'], undefined],
    ['is larger at a home', ['@values', ' message_size_limit=10'], ['1', '20'], 'mailhost2.example.org up to 20 '],
    ['is not limited at a home', ['@values', ' message_size_limit=10'], ['0', '20'], 'mailhost.example.org up to 0 '],
    ['is not known', ['@values', ' message_size_limit='], ['0', '20'], undefined],
    [
      "is that of the relay's service",
      ['@values', ' message_size_limit=0', '@found 2500/inet', ' message_size_limit=15'],
      ['1', '20'],
      'message_size_limit = 15, ',
    ],
  ])('%s', (_, own, sizes, says) => {
    const homes = [home, second].map((one, at) => ({
      host: one,
      facts: factsOf('@values', ` message_size_limit=${sizes[at] ?? ''}`),
    }));
    const messages = judgeSizes([{ host: relay, facts: factsOf(...own) }, ...homes])
      .flatMap(({ findings }) => findings)
      .map(({ id, message }) => `${id}: ${message}`);
    expect(messages).toEqual(
      says === undefined ? [] : [expect.stringMatching(new RegExp(`^relay-size: relayhost.*${says}`, 'u'))],
    );
  });

  it('is nothing of a host that was not seen', () => {
    expect(
      judgeSizes([
        { host: relay, facts: undefined },
        { host: home, facts: undefined },
      ]),
    ).toEqual([]);
  });
});

describe('what a host says of itself', () => {
  it('is a finding of these kinds, and nothing else', () => {
    const facts = factsOf(
      '@inbound',
      ' inbound-not-held example.org',
      ' open-relay x y',
      ' ',
      ' inbound-no-verify verify/unix',
    );
    expect(judgeInbound(home, facts).map(({ message }) => message)).toEqual([
      'mailhost.example.org is not the final destination of example.org, so inbound mail for it waits at the relay',
      'master.cf on mailhost.example.org has no service verify/unix, so home is not asked about recipients, and inbound mail waits at its senders',
    ]);
  });

  it.each([
    ['@port25-parts', ' srs-down', 'srs-down'],
    ['@port25-parts', ' srs-differs', 'srs-differs'],
    ['@port25-parts', ' postscreen-differs', 'postscreen-differs'],
    ['@port25-parts', ' policyd-spf-missing', 'policyd-spf-missing'],
    ['@dkim /etc/relaycerts-opendkim/example.org', ' left', 'dkim-left'],
    ['@dkim /etc/relaycerts-opendkim/example.org', ' deaf', 'dkim-down'],
  ])('%s%s', (section, line, id) => {
    expect(idsOf(judgeState(listed, relay, factsOf(section, line), { from: 0, to: 0 }))).toEqual([id]);
  });
});
