// The DNS records that mail of these settings needs, as data: what for, and who publishes them. Addresses of relays come
// from the DNS, because the settings have none. Pure; render/dns-records.ts prints them, check/ compares them with the
// DNS.

import { isIP, findHostName, type HostName } from '../names.js';
import type { Settings } from '../settings/settings.js';
import { dkimRecordName, dkimRecordValue, type DkimKey } from './dkim-record.js';
import { reverseName } from './lookup.js';
import type { MtaStsMode } from './mta-sts-mode.js';
import { mtaStsFile, mtaStsValue, type WebFile } from './mta-sts.js';

export interface DnsRecord {
  /** Without a trailing dot. */
  readonly name: string;
  readonly type: 'A' | 'AAAA' | 'MX' | 'TXT' | 'PTR' | 'TLSA';
  /** As web forms take it: a text without quotes, a name without a trailing dot; undefined: only the user knows it. */
  readonly value: string | undefined;
  /** What it is for. */
  readonly purpose: string;
  /** Who publishes it: the DNS of this domain, or the provider of this address. */
  readonly place: { readonly domain: HostName } | { readonly provider: string };
  /** Why it must not be published as it is; undefined: it may. */
  readonly held: string | undefined;
  /** What a web server has to show first. */
  readonly file?: WebFile;
}

/** Addresses of relays that the DNS knows, and what TLSA records need. */
export interface RelayFacts {
  readonly addresses: readonly string[];
  /** SHA-256 of the public key of its certificate; undefined: no TLSA records. */
  readonly keyDigest: Buffer | undefined;
}

/** The domains whose mail the settings are about. */
export function mailDomainsOf({ domain, inbound, dkim }: Settings): readonly HostName[] {
  return [...new Set([domain, ...(inbound?.domains ?? []), ...(dkim?.domains ?? [])])];
}

/** True if the settings are about more than relaying; a section `dns` that only has defaults is as none. */
export function asksForDns({ inbound, dkim, dns: { spf, dmarc, resolver } }: Settings): boolean {
  const isChanged = spf !== 'mx' || dmarc.policy !== 'none' || dmarc.reportTo !== undefined || resolver !== undefined;
  return inbound !== undefined || dkim !== undefined || isChanged;
}

/** All records, domain by domain, then the relays' own. */
export function dnsRecords(
  settings: Settings,
  keys: readonly DkimKey[],
  factsOf: ReadonlyMap<HostName, RelayFacts>,
  mtaSts?: MtaStsMode,
): readonly DnsRecord[] {
  const domains = mailDomainsOf(settings);
  return [
    ...domains.flatMap((domain) => [
      ...domainRecords(settings, domain, keys),
      ...(mtaSts === undefined ? [] : mtaStsRecords(settings, domain, mtaSts)),
    ]),
    ...settings.smtpdServers.flatMap(({ hostname, port }) => {
      const facts = factsOf.get(hostname) ?? { addresses: [], keyDigest: undefined };
      const records = relayRecords(settings, hostname, facts);
      return [
        ...records,
        ...(facts.keyDigest === undefined ? [] : tlsaRecords(settings, hostname, port, facts.keyDigest)),
      ];
    }),
  ];
}

function domainRecords(settings: Settings, domain: HostName, keys: readonly DkimKey[]): readonly DnsRecord[] {
  const { inbound, smtpdServers, dns } = settings;
  const place = { domain };
  const record = (type: 'MX' | 'TXT', name: string, value: string, purpose: string): DnsRecord => ({
    name,
    type,
    value,
    purpose,
    place,
    held: undefined,
  });
  const isInbound = inbound?.domains.includes(domain) ?? false;
  const { policy, reportTo } = dns.dmarc;
  return [
    ...(isInbound
      ? smtpdServers.map(({ hostname }, at) =>
          record('MX', domain, `${10 * (at + 1)} ${hostname}`, 'inbound mail goes to this relay'),
        )
      : []),
    record('TXT', domain, domainSpf(settings, domain), spfPurpose(settings, isInbound)),
    ...keys
      .filter((key) => key.domain === domain)
      .map((key) => record('TXT', dkimRecordName(key), dkimRecordValue(key), dkimPurposes[key.state])),
    record(
      'TXT',
      `_dmarc.${domain}`,
      ['v=DMARC1', `p=${policy}`, ...(reportTo === undefined ? [] : [`rua=mailto:${reportTo}`])].join('; '),
      'DMARC: what receivers do with mail that passes neither SPF nor DKIM',
    ),
    ...reportRecords(domain, reportTo),
    ...(isInbound && reportTo !== undefined
      ? [
          record(
            'TXT',
            `_smtp._tls.${domain}`,
            `v=TLSRPTv1; rua=mailto:${reportTo}`,
            'TLS-RPT: senders report when TLS to the relays fails',
          ),
        ]
      : []),
  ];
}

/** Only for a domain whose mail comes to the relays. */
function mtaStsRecords({ inbound, smtpdServers }: Settings, domain: HostName, mode: MtaStsMode): readonly DnsRecord[] {
  if (inbound?.domains.includes(domain) !== true) return [];
  const file = mtaStsFile(
    domain,
    smtpdServers.map(({ hostname }) => hostname),
    mode,
  );
  return [
    {
      name: `_mta-sts.${domain}`,
      type: 'TXT',
      value: mtaStsValue(file),
      purpose: 'MTA-STS: senders require TLS, and a certificate from a public CA on the relays',
      place: { domain },
      held: `publish it once ${file.url} shows the lines below, and port 25 of each relay presents a certificate from a public CA`,
      file,
    },
  ];
}

const dkimPurposes: Readonly<Record<DkimKey['state'], string>> = {
  'published-next': 'DKIM: the next key; it signs once this is published',
  active: 'DKIM: a key in use',
  retired: 'DKIM: revokes a key that is no longer used; or remove the record',
};

/** The SPF record of a mail domain. */
function domainSpf({ dns, smtpdServers }: Settings, domain: HostName): string {
  const isOwn = smtpdServers.some(({ hostname }) => hostname === domain);
  const others = smtpdServers.filter(({ hostname }) => hostname !== domain);
  const words = dns.spf === 'mx' ? ['mx'] : others.map(({ hostname }) => `a:${hostname}`);
  return ['v=spf1', ...words, ...(isOwn ? ['a'] : []), '-all'].join(' ');
}

function spfPurpose({ dns, smtpdServers }: Settings, isInbound: boolean): string {
  const what = 'SPF: only the relays send mail of the domain';
  if (dns.spf === 'mx' && !isInbound) {
    return `${what}; this holds only if an MX record of the domain names each relay, otherwise set dns.spf to "a"`;
  }
  return dns.spf === 'a' && smtpdServers.length > 10
    ? `${what}; more than ten names are too many: use ip4: and ip6:`
    : what;
}

/** A domain that gets reports about another one has to agree (RFC 7489 7.1). */
function reportRecords(domain: HostName, reportTo: string | undefined): readonly DnsRecord[] {
  const target = reportDomain(domain, reportTo);
  if (target === undefined) return [];
  return [
    {
      name: `${domain}._report._dmarc.${target}`,
      type: 'TXT',
      value: 'v=DMARC1',
      purpose: `DMARC: ${target} agrees to get the reports about ${domain}`,
      place: { domain: target },
      held: undefined,
    },
  ];
}

/**
 * The other domain that gets the DMARC reports of a domain; undefined if none does. Domains with the last two labels in
 * common count as one organization, because a list of public suffixes is too long to have here.
 */
export function reportDomain(domain: string, reportTo: string | undefined): HostName | undefined {
  if (reportTo === undefined) return undefined;
  const target = findHostName(reportTo.slice(reportTo.lastIndexOf('@') + 1));
  return target === undefined || organizationOf(target) === organizationOf(domain) ? undefined : target;
}

function organizationOf(name: string): string {
  return name.split('.').slice(-2).join('.');
}

function addressType(address: string): 'A' | 'AAAA' {
  return isIP(address) === 4 ? 'A' : 'AAAA';
}

function relayRecords(settings: Settings, hostname: HostName, { addresses }: RelayFacts): readonly DnsRecord[] {
  const place = { domain: zoneOf(settings, hostname) };
  const purpose = 'the public address of the relay';
  const ptr = 'the name of the address, which receivers look up; the provider sets it';
  const unknown = 'fill in the public address: the DNS gave none';
  return [
    ...(addresses.length === 0
      ? [{ name: hostname, type: 'A' as const, value: undefined, purpose, place, held: unknown }]
      : addresses.map((value) => ({
          name: hostname,
          type: addressType(value),
          value,
          purpose,
          place,
          held: undefined,
        }))),
    ...(mailDomainsOf(settings).includes(hostname)
      ? []
      : [
          {
            name: hostname,
            type: 'TXT' as const,
            value: 'v=spf1 a -all',
            purpose: 'SPF of the name that the relay says in HELO, for bounces',
            place,
            held: undefined,
          },
        ]),
    ...addresses.map((address) => ({
      name: reverseName(address),
      type: 'PTR' as const,
      value: hostname,
      purpose: ptr,
      place: { provider: address },
      held: undefined,
    })),
  ];
}

/** The nearest mail domain above a relay, or its own name. */
function zoneOf(settings: Settings, hostname: HostName): HostName {
  const above = mailDomainsOf(settings).filter((domain) => hostname === domain || hostname.endsWith(`.${domain}`));
  const [nearest] = above.toSorted((a, b) => b.length - a.length);
  return nearest ?? hostname;
}

function tlsaRecords(settings: Settings, hostname: HostName, port: number, digest: Buffer): readonly DnsRecord[] {
  const value = `3 1 1 ${digest.toString('hex')}`;
  const place = { domain: zoneOf(settings, hostname) };
  const record = { type: 'TLSA', value, place } as const;
  return [
    {
      ...record,
      name: `_${port}._tcp.${hostname}`,
      purpose: "DANE: the public key of the relay's certificate; it needs DNSSEC",
      held: undefined,
    },
    {
      ...record,
      name: `_25._tcp.${hostname}`,
      purpose: 'DANE for inbound mail',
      held: 'publish it only if port 25 presents this certificate: otherwise senders that use DANE deliver no mail',
    },
  ];
}
