// What `dns` and `check` ask the DNS about, and whom: the settings say which server, the command line may name another.
// Nothing is asked here.

import type { DnsWork } from '../check/dns-answer.js';
import { asRecord } from '../dns/dkim-record.js';
import { makeLookup } from '../dns/lookup.js';
import type { FoundDkimKey } from '../plan/dkim.js';
import type { Settings } from '../settings/settings.js';

/** `resolver` is the server to ask, if not the settings'. */
export function makeDnsWork(
  settings: Settings,
  dkim: readonly FoundDkimKey[],
  resolver: string | undefined,
  blockLists: readonly string[],
): DnsWork {
  const lookup = makeLookup(resolver ?? settings.dns.resolver);
  return { settings, keys: dkim.map(asRecord), lookup, blockLists };
}
