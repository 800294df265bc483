// What the facts of a host mean that no real host of the lab has: each section of probe.sh that is unusual, and its finding.

import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { unseenFinding } from '../../src/check/host.js';
import { judgeConfiguration } from '../../src/check/host-configuration.js';
import { parseFacts, type HostFacts } from '../../src/check/host-facts.js';
import { judgeFiles } from '../../src/check/host-files.js';
import { judgeState } from '../../src/check/host-state.js';
import { cureLines } from '../../src/render/cure.js';
import { threeHosts } from '../support/inventory.js';

const [relay] = threeHosts.smtpdServers;
const [home] = threeHosts.smtpClients;

function factsOf(...lines: readonly string[]): HostFacts {
  const facts = parseFacts([...lines, '@end', ''].join('\n'));
  if (facts === undefined) throw new TypeError('facts without an end');
  return facts;
}

const idsOf = (findings: readonly { readonly id: string }[]): readonly string[] => findings.map(({ id }) => id);

describe('files', () => {
  const wanted = new Map([['example.org-ca.crt.pem', Buffer.from('ca')]]);

  it('in a folder that is missing are missing', () => {
    const [finding, ...more] = judgeFiles(
      threeHosts,
      relay,
      wanted,
      factsOf('@folder /etc/postfix/relaycerts/example.org'),
    );
    expect([finding?.id, finding?.values['file'], more]).toEqual([
      'file-missing',
      '/etc/postfix/relaycerts/example.org/example.org-ca.crt.pem',
      [],
    ]);
  });

  const chain = '/etc/postfix/relaycerts/example.org/mailhost.example.org.chain.pem';
  it.each([
    ['garbage', ['first '], 'chain-differs'],
    ['with lines of another system', ['first PRIVATE KEY\r', 'pair'], 'chain-differs'],
    ['with the certificate first', ['first CERTIFICATE', 'pair'], 'key-not-first'],
    ['of another key', ['first PRIVATE KEY'], 'key-mismatch'],
    ['another one, without an openssl', ['first PRIVATE KEY', 'unread'], 'chain-differs'],
  ])('a chain: %s', (_, lines, id) => {
    const facts = factsOf(
      `@file ${chain} 0:0 600`,
      ' names root:root',
      ' mode -rw-------',
      ' owner 0:0',
      ' sha256 00',
      `@chain ${chain}`,
      ...lines.map((line) => ` ${line}`),
    );
    const bundle = new Map([['mailhost.example.org.chain.pem', Buffer.from('chain')]]);
    expect(idsOf(judgeFiles(threeHosts, home, bundle, facts))).toEqual([id]);
  });
});

describe('a service', () => {
  const service = '@service relaycerts/unix relaycerts unix - - y - 10 smtp';
  const found = ' relaycerts unix - - y - 10 smtp';
  it.each([
    ['defer_transports=uucp, relaycerts', ['service-disabled']],
    ['defer_transports=uucp', []],
    ['defer_transports=!relaycerts', []],
    ['master_service_disable=relaycerts.unix', ['service-disabled']],
    ['master_service_disable=unix', ['service-disabled']],
    ['master_service_disable=!relaycerts.unix, unix', []],
    ['master_service_disable=inet', []],
  ])('with %s in main.cf: %j', (value, ids) => {
    const facts = factsOf('@postfix 3.7', service, found, '@values', ` ${value}`);
    expect(idsOf(judgeConfiguration(threeHosts, home, facts))).toEqual(ids);
  });

  it.each([
    ['no', 'setting-inherited'],
    ['yes', 'wrapper-mode'],
  ])('without an override, when main.cf has %s: %s', (value, id) => {
    const facts = factsOf(
      '@postfix 3.7',
      service,
      found,
      '@wanted relaycerts/unix',
      ' smtp_tls_wrappermode=no',
      '@inherited relaycerts/unix',
      ` smtp_tls_wrappermode=${value}`,
    );
    expect(idsOf(judgeConfiguration(threeHosts, home, facts))).toEqual([id]);
  });

  it('of another program under its name is replaced, and its settings are of no interest', () => {
    const other = found.replace('smtp', 'error');
    const facts = factsOf('@postfix 3.7', service, other, '@wanted relaycerts/unix', ' smtp_tls_security_level=secure');
    expect(idsOf(judgeConfiguration(threeHosts, home, facts))).toEqual(['service-replaced']);
  });

  it('of others that has our settings is named', () => {
    const facts = factsOf('@postfix 3.7', '@left', ' mailman/unix');
    const [finding] = judgeConfiguration(threeHosts, home, facts);
    expect([finding?.id, finding?.values['service']]).toEqual(['settings-left', 'mailman/unix']);
  });

  it('of others that has them gets its own line back, quoted for a shell', () => {
    const line = "mailman/unix mailman unix - n n - - pipe argv=/x '$(id)' ${nexthop}";
    const [finding] = judgeConfiguration(threeHosts, home, factsOf('@postfix 3.7', '@left', ` ${line}`));
    const commands = finding === undefined ? [] : cureLines(threeHosts, finding).map(({ text }) => text);
    const inner = /^ssh root@mailhost\.example\.org ('.*')$/u.exec(commands.at(-1) ?? '')?.[1] ?? '';
    const run = spawnSync('sh', ['-c', `postconf() { printf '%s\\n' "$@"; }; postfix() { :; }; eval ${inner}`]);
    expect(run.stdout.toString()).toBe(`-M\nmailman/unix=${line.slice('mailman/unix '.length)}\n`);
  });
});

it.each([
  ['[mailhost.example.org]:25', ['relay-loops']],
  ['Mailhost.example.org', ['relay-loops']],
  ['[smtp.provider.example]:587, mailhost.example.org:2525', ['relay-loops']],
  ['[smtp.provider.example]:587', []],
  ['', []],
])('a relay with the relayhost %s: %j', (value, ids) => {
  const facts = factsOf('@postfix 3.7', '@values', ` relayhost=${value}`);
  expect(idsOf(judgeConfiguration(threeHosts, relay, facts))).toEqual(ids);
});

it.each([
  ['vps.example.net', 'a', ['helo-differs']],
  ['RelayHost.example.org', 'a', []],
  ['vps.example.net', 'mx', []],
] as const)('a relay that says %s in HELO, with SPF by %s: %j', (name, spf, ids) => {
  const facts = factsOf('@postfix 3.7', '@values', ` smtp_helo_name=${name}`);
  const settings = { ...threeHosts, dns: { ...threeHosts.dns, spf } };
  expect(idsOf(judgeConfiguration(settings, relay, facts))).toEqual(ids);
});

it('mail on hold is named, and counted', () => {
  const held = '{"queue_name":"hold","queue_id":"A","recipients":[{"address":"bob@example.net"}]}';
  const facts = factsOf('@queue', ` ${held}`, ` ${held}`, ' {"queue_name":"active","recipients":[]}', ' {', ' null');
  const [finding, ...more] = judgeState(threeHosts, home, facts, { from: 0, to: 0 });
  expect([finding?.id, finding?.values['count'], more]).toEqual(['queue-held', '2', []]);
});

it.each([
  [['mail transport unavailable'], ['queue-stuck']],
  [['delivery temporarily suspended: TLS is required, but our TLS engine is unavailable'], ['queue-stuck']],
  [['user unknown', 'deferred transport'], ['queue-stuck']],
  [['Server certificate not verified'], ['queue-tls']],
  [['delivery temporarily suspended: Cannot start TLS: handshake failure'], ['queue-tls']],
  [['elsewhere', 'connect to relayhost.example.org[192.0.2.11]:2500: Connection refused'], ['queue-deferred']],
  [['connect to lan.example.net[192.0.2.32]:25: Connection refused', 'the transport map is unavailable'], []],
])('mail that waits because of %j: %j', (reasons, ids) => {
  const recipients = reasons.map((reason) => ({ address: 'bob@example.net', delay_reason: reason }));
  const mail = JSON.stringify({ queue_name: 'deferred', queue_id: 'A', recipients });
  const findings = judgeState(threeHosts, home, factsOf('@queue', ` ${mail}`, ` ${mail}`), { from: 0, to: 0 });
  expect(findings.map(({ id, values }) => [id, values['count']])).toEqual(ids.map((id) => [id, '2']));
});

it('of a host here, it is this user who may not use sudo', () => {
  const here = { ...home, ssh: { ...home.ssh, isLocal: true } };
  const { values } = unseenFinding(here, { kind: 'no-sudo', words: 'sudo: a password is required' });
  expect(values['found']).toBe('this user');
});

it('without posttls-finger, the way out is unknown', () => {
  const [finding] = judgeState(threeHosts, relay, factsOf('@port25 example.net', ' missing'), { from: 0, to: 0 });
  expect([finding?.id, finding?.severity]).toEqual(['posttls-finger-missing', 'unknown']);
});

it('other instances of Postfix are unknown', () => {
  const [finding, ...more] = judgeState(threeHosts, home, factsOf('@instances', ' /etc/postfix-out'), {
    from: 0,
    to: 0,
  });
  expect([finding?.id, finding?.severity, more]).toEqual(['other-instances', 'unknown', []]);
});

it('a queue that cannot be listed is unknown', () => {
  const facts = factsOf('@queue', '@queue-error', ' Queue report unavailable - mail system is down');
  const [finding] = judgeState(threeHosts, home, facts, { from: 0, to: 0 });
  expect([finding?.id, finding?.severity]).toEqual(['queue-unknown', 'unknown']);
});
