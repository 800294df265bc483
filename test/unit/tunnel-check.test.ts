// What both ends of the tunnel were seen to have, and what follows from it.

import { expect, it } from 'vitest';
import { parseFacts } from '../../src/check/host-facts.js';
import { judgeTunnel, judgeTunnelEnd } from '../../src/check/tunnel.js';
import { parseSettings } from '../../src/settings/schema.js';

const settings = parseSettings(
  {
    domain: 'example.org',
    smtpdServers: [{ hostname: 'relayhost' }],
    smtpClients: [{ hostname: 'mailhost' }],
    inbound: { home: 'mailhost', via: 'tunnel' },
  },
  { file: '/project/settings.json', home: '/home/operator', program: 'relaycerts', command: 'relaycerts' },
);
const [relay] = settings.smtpdServers;
const [home] = settings.smtpClients;

/** The facts of a host with these lines about its end of the tunnel. */
function seen(host: typeof relay | typeof home, lines: readonly string[] | undefined) {
  const end = host.role === 'smtp-client' ? 'relayhost.example.org the.service' : 'relaycerts-tunnel';
  const section = lines === undefined ? [] : [`@tunnel ${end}`, ...lines.map((line) => ` ${line}`)];
  return { host, facts: parseFacts([...section, '@end', ''].join('\n')) };
}

const [one, other] = ['ssh-ed25519 AAAA', 'ssh-ed25519 BBBB'];
const right = { home: [`key ${one}`], relay: [`key ${one}`] };

it.each([
  ['all is right', right.home, right.relay, []],
  ['home knows more types', [`key ${one}`, 'key ssh-rsa AAAA'], right.relay, []],
  ['home knows no key', ['stopped'], right.relay, ['tunnel-host-key']],
  ['home knows another key', [`key ${other}`], right.relay, ['tunnel-host-key']],
  ['home knows only types that are gone', ['key ssh-rsa AAAA'], right.relay, ['tunnel-host-key']],
  ['ssh does not run', [`key ${one}`, 'stopped'], right.relay, ['tunnel-stopped']],
  ['only home was looked at', right.home, undefined, []],
  ['only the relay was looked at', undefined, right.relay, []],
  ['neither has anything', undefined, undefined, []],
])('%s', (_, atHome, atRelay, ids) => {
  const reports = judgeTunnel(settings, [seen(relay, atRelay), seen(home, atHome)]);
  expect(reports.flatMap(({ findings }) => findings.map(({ id }) => id))).toEqual(ids);
});

it('an end whose files or account are not right is to be installed again', () => {
  for (const host of [relay, home]) {
    const { facts } = seen(host, ['stale']);
    if (facts === undefined) throw new TypeError('no facts');
    expect(judgeTunnelEnd(settings, host, facts).map(({ id }) => id)).toEqual(['tunnel-differs']);
    expect(judgeTunnelEnd({ ...settings, inbound: undefined }, host, facts)).toEqual([]);
  }
});
