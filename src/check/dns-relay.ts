// The records of a relay's own name: its addresses, and the names of these addresses (PTR). Big receivers refuse mail
// from an address that has no name, or whose name does not lead back to it.

import { BlockList } from 'node:net';
import { reverseName } from '../dns/lookup.js';
import { findingOf } from '../findings/finding.js';
import { isIP, findHostName } from '../names.js';
import type { SmtpdServer } from '../settings/settings.js';
import { unknownFinding, valuesIn, type DnsWork, type LocatedRelay } from './dns-answer.js';
import { reportOf, type Report } from './report.js';

/** Addresses of one relay, and names of one address, that are looked at. */
const most = 16;

/** The addresses of a relay, and what is wrong with them. */
export async function locateRelay(
  relay: SmtpdServer,
  { lookup }: DnsWork,
): Promise<LocatedRelay & { readonly report: Report }> {
  const { hostname: host } = relay;
  const [alias, four, six] = await Promise.all([lookup.cname(host), lookup.a(host), lookup.aaaa(host)]);
  const addresses = [...valuesIn(four).slice(0, most), ...valuesIn(six).slice(0, most)];
  const unknown = [...unknownFinding(host, 'A', host, four), ...unknownFinding(host, 'AAAA', host, six)];
  const findings = [
    ...unknown,
    ...(addresses.length === 0 && unknown.length === 0 ? [findingOf('relay-no-address', host)] : []),
    ...(valuesIn(alias).length === 0
      ? []
      : [findingOf('relay-alias', host, { found: findHostName(valuesIn(alias)[0] ?? '') ?? 'another name' })]),
    ...addresses.filter(isPrivate).map((address) => findingOf('relay-private-address', host, { address })),
  ];
  return { relay, addresses, report: { host, fine: `DNS: has the address ${addresses.join(', ')}`, findings } };
}

const privateNetworks = new BlockList();
for (const network of [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
]) {
  const [address = '', bits] = network.split('/');
  privateNetworks.addSubnet(address, Number(bits), 'ipv4');
}
for (const [address, bits] of [
  ['::1', 128],
  ['fc00::', 7],
  ['fe80::', 10],
] as const) {
  privateNetworks.addSubnet(address, bits, 'ipv6');
}

/** RFC 1918, 6598, 3927 and 4193: no other network reaches them. */
function isPrivate(address: string): boolean {
  return privateNetworks.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6');
}

/** The PTR record of one address of a relay. */
export async function checkReverse({ relay: { hostname: host } }: LocatedRelay, address: string, { lookup }: DnsWork) {
  const name = reverseName(address);
  const answer = await lookup.ptr(name);
  const report = (id: string, found = ''): Report => reportOf(host, findingOf(id, host, { address, found }));
  if (answer.kind === 'unknown') return reportOf(host, ...unknownFinding(host, 'PTR', name, answer));
  if (answer.kind === 'absent') return report('ptr-missing');
  const names = answer.values.slice(0, most).map((one) => findHostName(one));
  const usable = names.filter((one) => one !== undefined);
  if (usable.length === 0) return report('ptr-no-name');
  const ways = await Promise.all(
    usable.map(async (one) => ({ one, back: await (isIP(address) === 4 ? lookup.a(one) : lookup.aaaa(one)) })),
  );
  const confirmed = ways.filter(({ back }) => valuesIn(back).some((found) => reverseName(found) === name));
  if (confirmed.some(({ one }) => one === host)) {
    const others = usable.filter((one) => one !== host);
    if (others.length > 0) return report('ptr-several', others.join(', '));
    return { host, fine: `DNS: ${address} has the right PTR record`, findings: [] };
  }
  if (confirmed.length > 0) return report('ptr-other-name', confirmed.map(({ one }) => one).join(', '));
  const unknown = ways.flatMap(({ one, back }) => unknownFinding(host, isIP(address) === 4 ? 'A' : 'AAAA', one, back));
  return unknown.length > 0 ? reportOf(host, ...unknown) : report('ptr-not-back', usable.join(', '));
}
