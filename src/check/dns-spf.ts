// SPF records, evaluated as a receiver does it: every address of every relay has to pass, and a stranger must not. How
// the record is written does not matter, so one that allows other senders, too, is right.

import { evaluateSpf, type SpfVerdict } from '../dns/spf.js';
import { isSpf } from '../dns/spf-record.js';
import { findingOf, type Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import { insteadOf, unknownFinding, valuesIn, type DnsWork, type LocatedRelay } from './dns-answer.js';
import { reportOf, type Report } from './report.js';

/** Addresses of nobody (RFC 5737, RFC 3849). */
const strangers: readonly string[] = ['203.0.113.254', '2001:db8::fe'];

/** The SPF record of a domain, or of a relay's HELO name: then `relays` is that relay. */
export async function checkSpf(
  host: HostName,
  relays: readonly LocatedRelay[],
  { lookup, settings: { smtpdServers } }: DnsWork,
): Promise<Report> {
  const isHelo = smtpdServers.some(({ hostname }) => hostname === host);
  const answer = await lookup.txt(host);
  const unknown = unknownFinding(host, 'TXT', host, answer);
  const records = valuesIn(answer).filter(isSpf);
  if (unknown.length > 0) return reportOf(host, ...unknown);
  if (records.length === 0) {
    return reportOf(
      host,
      findingOf(isHelo ? 'spf-helo-missing' : 'spf-missing', host, { found: insteadOf(valuesIn(answer)) }),
    );
  }
  if (records.length > 1) return reportOf(host, findingOf('spf-several', host, { count: String(records.length) }));
  const evaluate = (address: string, helo: string): Promise<SpfVerdict> =>
    evaluateSpf({ address, domain: host, sender: `postmaster@${host}`, helo }, lookup);
  const tried = relays.flatMap(({ relay, addresses }) =>
    addresses.map((address) => ({ address, helo: relay.hostname })),
  );
  const verdicts = await Promise.all(
    tried.map(async ({ address, helo }) => ({ address, helo, verdict: await evaluate(address, helo) })),
  );
  const ofStrangers = await Promise.all(
    strangers
      .filter((address) => !tried.some((one) => one.address === address))
      .map(async (address) => ({ address, helo: '', verdict: await evaluate(address, 'mail.example.net') })),
  );
  const byMessage = new Map<string, Finding>();
  const judged = tried.length === 0 ? ofStrangers : verdicts;
  for (const finding of judged.flatMap((one) => judgeVerdict(host, one))) byMessage.set(finding.message, finding);
  const open = ofStrangers.find(({ verdict }) => verdict.result === 'pass')?.verdict;
  // Of both families: a name without records of one of them counts against the limit of that family only.
  const isVoid = byMessage.size === 0 && ofStrangers.every(({ verdict }) => verdict.result === 'permerror');
  const late = isVoid ? ofStrangers[0]?.verdict : undefined;
  return {
    host,
    fine: `DNS: SPF passes for ${tried.map(({ address }) => address).join(', ')}`,
    findings: [
      ...byMessage.values(),
      ...(open === undefined ? [] : [findingOf('spf-open', host, { found: open.why })]),
      ...(late === undefined ? [] : [findingOf('spf-late-error', host, { found: late.why })]),
    ],
  };
}

interface Tried {
  readonly address: string;
  readonly helo: string;
  readonly verdict: SpfVerdict;
}

function judgeVerdict(host: string, { address, helo, verdict: { result, why } }: Tried): readonly Finding[] {
  if (result === 'permerror') return [findingOf('spf-permerror', host, { found: why })];
  if (result === 'temperror') return [findingOf('dns-unknown', host, { type: 'SPF', name: host, found: why })];
  if (result === 'pass' || strangers.includes(address)) return [];
  const values = { address, peer: helo, result, found: why === '' ? 'no term matches' : why };
  return [findingOf(result === 'fail' ? 'spf-fail' : 'spf-no-pass', host, values)];
}
