// The records of a mail domain besides SPF and DKIM: no CNAME, MX (with inbound), DMARC, reports about TLS, and a sign
// of MTA-STS, whose policy is on a web server and cannot be judged here.

import { findParentDmarc, readDmarc, dmarcPolicies, type FoundDmarc } from '../dns/dmarc.js';
import { reverseName } from '../dns/lookup.js';
import { reportDomain } from '../dns/records.js';
import { hasVersion, parseTags } from '../dns/tags.js';
import { findingOf, type Finding } from '../findings/finding.js';
import { findHostName, type HostName } from '../names.js';
import { insteadOf, unknownFinding, valuesIn, type DnsWork, type LocatedRelay } from './dns-answer.js';
import { reportOf, type Report } from './report.js';

/** MX records, and report addresses, that are followed. */
const most = 16;

export async function checkDomain(
  host: HostName,
  relays: readonly LocatedRelay[],
  work: DnsWork,
): Promise<readonly Report[]> {
  const reports = await Promise.all([
    checkAlias(host, work),
    checkMx(host, relays, work),
    checkDmarc(host, work),
    checkTlsReports(host, work),
    checkMtaSts(host, work),
  ]);
  return reports.flat();
}

function isInbound({ settings: { inbound } }: DnsWork, domain: HostName): boolean {
  return inbound?.domains.includes(domain) ?? false;
}

async function checkAlias(host: HostName, { lookup }: DnsWork): Promise<readonly Report[]> {
  const answer = await lookup.cname(host);
  const [found] = valuesIn(answer);
  if (found === undefined) return [];
  return [reportOf(host, findingOf('domain-alias', host, { found: findHostName(found) ?? 'another name' }))];
}

async function checkMx(host: HostName, relays: readonly LocatedRelay[], work: DnsWork): Promise<readonly Report[]> {
  const answer = await work.lookup.mx(host);
  const exchanges = valuesIn(answer).toSorted((a, b) => a.priority - b.priority);
  const names = exchanges.slice(0, most).map(({ exchange }) => findHostName(exchange));
  const usable = names.filter((name) => name !== undefined);
  const leads = await Promise.all(usable.map((name) => leadsToRelay(name, relays, work)));
  const named = usable.filter((_, at) => leads[at] === true);
  const report = (...findings: readonly Finding[]): readonly Report[] => [reportOf(host, ...findings)];
  const isNull = exchanges.some(({ exchange }) => exchange === '');
  if (!isInbound(work, host)) {
    if (isNull) return report(findingOf('mx-null-sender', host));
    return named.length === 0 ? [] : report(findingOf('mx-without-inbound', host, { found: named.join(', ') }));
  }
  if (answer.kind === 'unknown') return report(...unknownFinding(host, 'MX', host, answer));
  if (answer.kind === 'absent') return report(findingOf('mx-missing', host));
  if (isNull) return report(findingOf('mx-null', host));
  const others = usable.filter((_, at) => leads[at] === false).join(', ');
  const findings = [
    ...(names.includes(undefined) ? [findingOf('mx-bad-name', host)] : []),
    ...(others === '' ? [] : [findingOf(named.length > 0 ? 'mx-other' : 'mx-no-relay', host, { found: others })]),
    ...(await Promise.all(usable.map((name) => checkExchange(host, name, work)))).flat(),
  ];
  return [{ host, fine: `DNS: MX names ${usable.join(', ')}`, findings }];
}

/** If it is a relay, under any name (mail only cares about addresses); undefined: its addresses are not known. */
async function leadsToRelay(
  name: HostName,
  relays: readonly LocatedRelay[],
  { lookup }: DnsWork,
): Promise<boolean | undefined> {
  if (relays.some(({ relay: { hostname, altNames } }) => [hostname, ...altNames].includes(name))) return true;
  const [four, six] = await Promise.all([lookup.a(name), lookup.aaaa(name)]);
  const theirs = relays.flatMap(({ addresses }) => addresses).map(reverseName);
  if ([...valuesIn(four), ...valuesIn(six)].some((address) => theirs.includes(reverseName(address)))) return true;
  return four.kind === 'unknown' || six.kind === 'unknown' ? undefined : false;
}

async function checkExchange(host: HostName, name: HostName, { lookup }: DnsWork): Promise<readonly Finding[]> {
  const [alias, four, six] = await Promise.all([lookup.cname(name), lookup.a(name), lookup.aaaa(name)]);
  const isThere = four.kind === 'found' || six.kind === 'found';
  const unknown = [...unknownFinding(host, 'A', name, four), ...unknownFinding(host, 'AAAA', name, six)];
  return [
    ...(alias.kind === 'found' ? [findingOf('mx-alias', host, { name })] : []),
    ...(isThere ? [] : unknown.length > 0 ? unknown : [findingOf('mx-no-address', host, { name })]),
  ];
}

async function checkDmarc(host: HostName, work: DnsWork): Promise<readonly Report[]> {
  const own = await readDmarc(host, work.lookup);
  const found = own.kind === 'none' ? await findParentDmarc(host, work.lookup) : own;
  if (found.kind === 'record') {
    const { record, at } = found;
    const policy = own.kind === 'none' ? record.subdomains : record.policy;
    const { policy: wanted } = work.settings.dns.dmarc;
    const isWeaker = dmarcPolicies.indexOf(policy) < dmarcPolicies.indexOf(wanted);
    const findings = [
      ...(isWeaker ? [findingOf('dmarc-weaker', host, { name: at, policy, found: wanted })] : []),
      ...(wanted === 'none' || isWeaker || record.exemption === ''
        ? []
        : [findingOf('dmarc-exempts', host, { name: at, policy, found: record.exemption })]),
      ...(await checkReportTargets(host, found, work)),
    ];
    return [{ host, fine: `DNS: DMARC says ${policy}, at ${at}`, findings }];
  }
  const values = valuesIn(await work.lookup.txt(`_dmarc.${host}`));
  return [reportOf(host, dmarcFinding(host, found, insteadOf(values)))];
}

function dmarcFinding(host: HostName, found: Exclude<FoundDmarc, { kind: 'record' }>, instead: string): Finding {
  if (found.kind === 'none') return findingOf('dmarc-missing', host, { found: instead });
  if (found.kind === 'several') return findingOf('dmarc-several', host, { name: found.at, found: String(found.count) });
  if (found.kind === 'flawed') return findingOf('dmarc-flawed', host, { name: found.at, found: found.flaw });
  return findingOf('dns-unknown', host, { name: found.at, type: 'TXT', found: found.why });
}

/** Other domains have to agree to get reports: about the domain that has the record (RFC 7489 7.1). */
async function checkReportTargets(
  host: HostName,
  { at, record }: Extract<FoundDmarc, { kind: 'record' }>,
  { lookup }: DnsWork,
): Promise<readonly Finding[]> {
  const about = at.replace(/^_dmarc\./u, '');
  const addresses = record.reportTo.slice(0, most).map((uri) => uri.replace(/^mailto:/iu, '').replace(/!.*$/u, ''));
  const targets = new Set(addresses.map((address) => reportDomain(about, address)));
  const findings = await Promise.all(
    [...targets].map(async (target) => {
      if (target === undefined) return [];
      const name = `${about}._report._dmarc.${target}`;
      const answer = await lookup.txt(name);
      const isAgreed = valuesIn(answer).some((text) => hasVersion(text, 'DMARC1'));
      if (isAgreed) return [];
      const unknown = unknownFinding(host, 'TXT', name, answer);
      return unknown.length > 0 ? unknown : [findingOf('dmarc-no-reports', host, { name, peer: target, found: about })];
    }),
  );
  return findings.flat();
}

async function checkTlsReports(host: HostName, work: DnsWork): Promise<readonly Report[]> {
  if (!isInbound(work, host) || work.settings.dns.dmarc.reportTo === undefined) return [];
  const name = `_smtp._tls.${host}`;
  const answer = await work.lookup.txt(name);
  const unknown = unknownFinding(host, 'TXT', name, answer);
  const records = valuesIn(answer).filter((text) => hasVersion(text, 'TLSRPTv1'));
  const parsed = parseTags(records[0] ?? '');
  const isRight = records.length === 1 && 'tags' in parsed && /^(?:mailto|https):/iu.test(parsed.tags.get('rua') ?? '');
  const id = records.length === 0 ? 'tlsrpt-missing' : 'tlsrpt-flawed';
  const findings = isRight ? [] : unknown.length > 0 ? unknown : [findingOf(id, host, { name })];
  return [{ host, fine: 'DNS: senders report failures of TLS (TLS-RPT)', findings }];
}

async function checkMtaSts(host: HostName, work: DnsWork): Promise<readonly Report[]> {
  if (!isInbound(work, host)) return [];
  const answer = await work.lookup.txt(`_mta-sts.${host}`);
  const isThere = valuesIn(answer).some((text) => hasVersion(text, 'STSv1'));
  return isThere ? [reportOf(host, findingOf('mta-sts-there', host))] : [];
}
