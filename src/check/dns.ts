// All DNS records that mail of these settings needs: each is right, wrong or not known. Only questions are asked; the
// judgements are in the files beside this one.

import { mailDomainsOf } from '../dns/records.js';
import { inParallel } from '../sys/all-ended.js';
import { checkBlockList } from './block-lists.js';
import type { DnsWork } from './dns-answer.js';
import { checkDkimRecord } from './dns-dkim.js';
import { checkDomain } from './dns-domain.js';
import { checkReverse, locateRelay } from './dns-relay.js';
import { checkSpf } from './dns-spf.js';
import type { Report } from './report.js';

/** Domains, relays and keys that are looked at at the same time. */
const atOnce = 8;

/** The reports: the relays', the domains', the keys', and the block lists'. */
export async function checkDns(work: DnsWork): Promise<readonly Report[]> {
  const { settings, keys, lookup } = work;
  const domains = mailDomainsOf(settings);
  const located = await inParallel(settings.smtpdServers, atOnce, (relay) => locateRelay(relay, work));
  const asked = located
    .filter(({ addresses }) => addresses.length > 0)
    .flatMap((relay) => work.blockLists.map((list) => ({ ...relay, list })));
  // Side by side, because a slow server makes each of them wait.
  const parts = await Promise.all([
    inParallel(located, atOnce, async ({ report, ...relay }) => {
      const { hostname } = relay.relay;
      const reverse = await Promise.all(relay.addresses.map((address) => checkReverse(relay, address, work)));
      const helo = domains.includes(hostname) ? [] : [await checkSpf(hostname, [relay], work)];
      return [report, ...reverse, ...helo];
    }),
    inParallel(domains, atOnce, async (domain) => {
      const [reports, spf] = await Promise.all([checkDomain(domain, located, work), checkSpf(domain, located, work)]);
      return [...reports, spf];
    }),
    inParallel(keys, atOnce, async (key) => [await checkDkimRecord(key, lookup)]),
    inParallel(asked, atOnce, async ({ relay, addresses, list }) => [
      await checkBlockList(list, relay.hostname, addresses, lookup),
    ]),
  ]);
  return parts.flat(2);
}
