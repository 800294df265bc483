// `relaycerts dns`: the DNS records that mail of these settings needs, or whether they are there. It publishes nothing,
// and of certs/ it reads only the DKIM keys, and certificates for TLSA records.

import { usualBlockLists } from '../check/block-lists.js';
import { checkDns } from '../check/dns.js';
import { locateRelay } from '../check/dns-relay.js';
import { checkObject, hasFault, renderCheck } from '../check/text.js';
import type { MtaStsMode } from '../dns/mta-sts-mode.js';
import { dnsRecords, type RelayFacts } from '../dns/records.js';
import { RelaycertsError } from '../errors.js';
import { writeAnswer } from '../json-text.js';
import type { CertifiedHost } from '../plan/inventory.js';
import { byItself } from '../render/cure.js';
import { dnsRecordObject, renderPlain, renderZone, type DnsFormat } from '../render/dns-records.js';
import { parseDnsServer } from '../settings/domain-mail.js';
import { readCertifiedHosts, readDkim } from '../store/read.js';
import type { Sys } from '../sys/sys.js';
import { makeDnsWork } from './dns-work.js';
import { notCertifiedError } from './hosts.js';
import { contradiction, reading, type GlobalOptions } from './run.js';

export interface DnsOptions extends GlobalOptions {
  readonly check: boolean;
  readonly format: DnsFormat;
  /** The DNS server to ask, as typed; undefined: as in the settings. */
  readonly resolver: string | undefined;
  /** With `check`: also ask block lists. */
  readonly dnsbl: boolean;
  /** Also the TLSA records of the relays' certificates. */
  readonly tlsa: boolean;
  /** Also the record of MTA-STS, and the file that belongs to it. */
  readonly mtaSts: MtaStsMode | undefined;
}

/** Exit code 0, or 3 if a check found an error or a warning. @throws name, settings, contradiction, certificate, files */
export async function dns(options: DnsOptions, sys: Sys): Promise<void> {
  const resolver = options.resolver === undefined ? undefined : parseDnsServer(options.resolver);
  const { settings, found } = await reading(options, sys, async (one) => ({
    hosts: options.tlsa ? (await readCertifiedHosts(one, sys)).hosts : [],
    ...readDkim(one, sys),
  }));
  if (found.problems.length > 0) throw contradiction(found.problems);
  if (options.mtaSts !== undefined && settings.inbound === undefined) {
    throw new RelaycertsError('usage', 'MTA-STS is about inbound mail, and the settings have no "inbound"', {
      hint: 'add "inbound" to the settings, or leave out --mta-sts',
    });
  }
  const lists = [...new Set([...usualBlockLists, ...(settings.relayPort25?.dnsbl ?? [])])];
  const work = makeDnsWork(settings, found.dkim, resolver, options.dnsbl ? lists : []);
  const located = await Promise.all(settings.smtpdServers.map((relay) => locateRelay(relay, work)));
  const facts = new Map(
    located.map(({ relay: { hostname }, addresses }): [typeof hostname, RelayFacts] => [
      hostname,
      { addresses, keyDigest: options.tlsa ? keyDigest(found.hosts, hostname) : undefined },
    ]),
  );
  const records = dnsRecords(settings, work.keys, facts, options.mtaSts);
  const reports = options.check ? await checkDns(work) : undefined;
  if (options.json || options.format === 'json') {
    const check = reports === undefined ? null : checkObject(settings, reports, byItself);
    sys.write(writeAnswer('dns', { records: records.map(dnsRecordObject), check }));
  } else if (reports !== undefined) {
    sys.write(renderCheck(settings, reports, byItself, (style, word) => sys.paint(style, word)));
  } else {
    sys.write(options.format === 'zone' ? renderZone(records) : renderPlain(records));
  }
  if (hasFault(reports ?? [])) sys.endWith(3);
}

function keyDigest(hosts: readonly CertifiedHost[], hostname: string): Buffer {
  const certificate = hosts.find(({ host }) => host.hostname === hostname)?.certificate;
  if (certificate === undefined) throw notCertifiedError([hostname]);
  return certificate.info.digest('public-key');
}
