// What `dns` and `check` ask the DNS about, and whom.

import type { DnsWork } from '../check/dns-answer.js';
import { makeLookup } from '../dns/lookup.js';
import type { FoundDkimKey } from '../plan/dkim.js';
import type { Settings } from '../settings/settings.js';
import { asRecord } from './dkim-stage.js';

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
