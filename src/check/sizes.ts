// Whether each relay accepts mail as large as its homes do: what is larger than the relay says in EHLO waits at home until
// it is returned. Pure.

import { findingOf } from '../findings/finding.js';
import type { HostSettings } from '../settings/settings.js';
import { linesOf, valuesOf, type HostFacts } from './host-facts.js';
import { reportOf, type Report } from './report.js';

/** The largest mail as the host says it, its service before main.cf; undefined if it says nothing. */
function limitIn(facts: HostFacts, service = ''): string | undefined {
  const name = 'message_size_limit';
  const found = valuesOf(linesOf(facts, 'found', service)).get(name) ?? valuesOf(linesOf(facts, 'values')).get(name);
  return /^\d+$/u.test(found ?? '') ? found : undefined;
}

/** postconf(5) message_size_limit: 0 is no limit. */
export function sizeOf(text: string): number {
  return Number(text) || Number.POSITIVE_INFINITY;
}

/** A finding for each relay that accepts less than some home: it names the home that accepts most. */
export function judgeSizes(
  looked: readonly { readonly host: HostSettings; readonly facts: HostFacts | undefined }[],
): readonly Report[] {
  const homes = looked.flatMap(({ host, facts }) => {
    const limit = host.role === 'smtp-client' && facts !== undefined ? limitIn(facts) : undefined;
    return limit === undefined ? [] : [{ peer: host.hostname, limit }];
  });
  const [first, ...rest] = homes;
  if (first === undefined) return [];
  const largest = rest.reduce((one, other) => (sizeOf(other.limit) > sizeOf(one.limit) ? other : one), first);
  return looked.flatMap(({ host, facts }): readonly Report[] => {
    if (host.role !== 'smtpd-server' || facts === undefined) return [];
    const found = limitIn(facts, `${host.port}/inet`);
    if (found === undefined || sizeOf(found) >= sizeOf(largest.limit)) return [];
    const values = { peer: largest.peer, found, wanted: largest.limit };
    return [reportOf(host.hostname, findingOf('relay-size', host.hostname, values))];
  });
}
