// What `dns` and `check` ask the DNS about, and whom. The keys come from one place.

import type { DnsWork } from '../check/dns-answer.js';
import type { DkimKey } from '../dns/dkim-record.js';
import { makeLookup } from '../dns/lookup.js';
import type { Settings } from '../settings/settings.js';

/** The DKIM keys whose records are published. */
function dkimKeysOf(_: Settings): readonly DkimKey[] {
  return [];
}

/** `resolver` is the server to ask, if not the settings'. */
export function makeDnsWork(settings: Settings, resolver: string | undefined, blockLists: readonly string[]): DnsWork {
  return { settings, keys: dkimKeysOf(settings), lookup: makeLookup(resolver ?? settings.dns.resolver), blockLists };
}
