// Inbound mail on its way home, as the hosts' own settings have it: what keeps it from going home, and limits in
// which a relay and home differ. Pure; inbound.ts tries the way itself.

import { findingOf, type Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import type { HostSettings, Inbound } from '../settings/settings.js';
import { linesOf, valuesOf, type HostFacts } from './host-facts.js';
import { sizeOf } from './sizes.js';

/** What a host says of itself (inbound-relay.sh, inbound-home.sh). */
const ownKinds: ReadonlySet<string> = new Set([
  'inbound-domain-here',
  'inbound-overridden',
  'inbound-refuses',
  'inbound-no-verify',
  'inbound-accepts-all',
  'inbound-catch-all',
  'inbound-refuses-others',
  'inbound-route',
  'inbound-not-held',
]);

/** What is wrong with a host's own lists and tables. Pure. */
export function judgeInbound({ hostname }: HostSettings, facts: HostFacts): readonly Finding[] {
  return linesOf(facts, 'inbound').flatMap((line) => {
    const [id = '', name = '', ...found] = line.split(' ');
    return ownKinds.has(id) ? [findingOf(id, hostname, { name, found: found.join(' ').replace(/^= /u, '') })] : [];
  });
}

/** Where a relay and home have different limits, so that one accepts what the other refuses. Pure. */
export function judgeLimits(
  { port, recipients }: Inbound,
  relay: { readonly hostname: HostName; readonly facts: HostFacts },
  home: { readonly hostname: HostName; readonly facts: HostFacts },
): readonly Finding[] {
  const { hostname } = relay;
  const peer = home.hostname;
  const here = valuesOf(linesOf(relay.facts, 'values'));
  const there = valuesOf(linesOf(home.facts, 'values'));
  const own = home.facts.sections.flatMap(({ name, words: [id = ''], lines }) =>
    name === 'found' && id.endsWith(`${port}/inet`) ? lines : [],
  );
  const [found = '0', wanted = '0'] = [
    here.get('message_size_limit'),
    valuesOf(own).get('message_size_limit') ?? there.get('message_size_limit'),
  ];
  const isLarger = /^\d+$/u.test(wanted) && sizeOf(found) > sizeOf(wanted);
  const [one = '', other = ''] = [here.get('recipient_delimiter'), there.get('recipient_delimiter')];
  const isOther = one.split('').toSorted().join('') !== other.split('').toSorted().join('');
  return [
    ...(isLarger ? [findingOf('inbound-size', hostname, { peer, found, wanted })] : []),
    // If home is asked, its delimiter is the one that counts.
    ...(isOther && recipients !== 'verify'
      ? [findingOf('inbound-delimiter', hostname, { peer, found: one, wanted: other })]
      : []),
  ];
}
