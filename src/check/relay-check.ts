// Looks at a relay from outside, as a client does: each of its addresses, the clients and the strangers that try to
// relay, and port 25. Nothing is sent that could become a mail.

import { lookup } from 'node:dns/promises';
import { BlockList } from 'node:net';
import type { CertificateInfo } from '../certificate/certificate.js';
import { systemCode } from '../errors.js';
import { findingOf, type Finding } from '../findings/finding.js';
import { isIP, type HostName } from '../names.js';
import { converse, type Conversation } from '../probe/conversation.js';
import type { Reply } from '../probe/lines.js';
import type { Settings, SmtpdServer } from '../settings/settings.js';
import { inParallel } from '../sys/all-ended.js';
import { linesOf, valuesOf, type HostFacts } from './host-facts.js';
import { judgeClient, judgeConnection, judgePort25, judgeStranger, lastReply } from './relay.js';
import { reportOf, type Report } from './report.js';
import { callOf, type Visitors } from './trials.js';

export interface RelayWork {
  readonly settings: Settings;
  /** The PEM of the CAs that hosts trust. */
  readonly ca: string;
  readonly certificate: CertificateInfo | undefined;
  readonly visitors: Visitors;
  /** What ssh found there, if it got there. */
  readonly facts: HostFacts | undefined;
  /** Addresses that only home hosts have for it. */
  readonly otherAddresses: readonly string[];
}

/** Parallel connections to one relay; its service accepts ten from one address. */
const mostConnections = 4;

/** After this many clients that got no answer in time, the others are not tried. */
const mostSlow = 8;

/** Addresses of one relay that are tried: DNS and the home hosts may name any number. */
const mostAddresses = 16;

/** Looks at one relay. */
export async function checkRelay(relay: SmtpdServer, work: RelayWork): Promise<readonly Report[]> {
  const { hostname: host, port } = relay;
  const found = await addressesOf(host);
  const addresses = 'addresses' in found ? found.addresses : [];
  const others = work.otherAddresses.filter((address) => isIP(address) !== 0 && !addresses.includes(address));
  const name: Report = {
    host,
    fine: `has the address ${addresses.join(', ')}`,
    findings: 'why' in found ? [findingOf('name-not-found', host, { found: found.why })] : [],
  };
  const talks = await inParallel([...addresses, ...others].slice(0, mostAddresses), mostConnections, (address) =>
    converse(callOf(work.settings, relay, { address, ca: work.ca }, { withTls: true, shown: undefined })),
  );
  const judged = talks.map((talk) => ({ talk, findings: judgeConnection(talk, expectedOf(relay, work)) }));
  const good = judged.find(({ findings }) => findings.length === 0)?.talk;
  const findings = judged.flatMap((one) => locate(one.talk, one.findings, good !== undefined, others));
  const port25 = await checkPort25(relay, work, addresses[0]);
  // Without an address, or with one that only home reaches, nothing is known of the port, and nothing is said.
  if (good === undefined) return [name, ...(findings.length === 0 ? [] : [reportOf(host, ...findings)]), ...port25];
  const { protocol, cipher } = good.tls ?? {};
  const fine = `port ${port} presents the certificate that was made for it (${protocol}, ${cipher})`;
  return [name, { host, fine, findings }, ...(await checkVisitors(relay, work, good)), ...port25];
}

/**
 * If another address of the relay is right, the address is what is wrong; one that only home has may be unreachable.
 */
function locate(
  { call: { address } }: Conversation,
  findings: readonly Finding[],
  isOtherGood: boolean,
  others: readonly string[],
): readonly Finding[] {
  const isReached = findings.every(({ id }) => !['no-connection', 'connection-refused', 'no-route-here'].includes(id));
  if (!isReached) return others.includes(address) ? [] : findings;
  if (!isOtherGood) return findings;
  return findings.map((finding) =>
    ['served-stale', 'served-expired', 'relay-tls-off'].includes(finding.id)
      ? finding
      : findingOf('address-differs', finding.host, { address, found: finding.message }),
  );
}

function expectedOf(relay: SmtpdServer, { certificate, facts }: RelayWork) {
  const values = facts === undefined ? new Map<string, string>() : valuesOf(linesOf(facts, 'values'));
  const [bannerName = ''] = (values.get('smtpd_banner') ?? '').split(' ');
  return { relay, certificate, names: [relay.hostname, ...relay.altNames, values.get('myhostname') ?? '', bannerName] };
}

async function checkVisitors(relay: SmtpdServer, work: RelayWork, good: Conversation): Promise<readonly Report[]> {
  const { settings, ca, visitors } = work;
  const { hostname: host, port } = relay;
  const place = { address: good.call.address, ca };
  const strangers = await inParallel(visitors.strangers, mostConnections, async (visitor) => {
    const talk = await converse(callOf(settings, relay, place, visitor));
    const reply = lastReply(talk);
    const said = reply === undefined ? '' : ` (${codesOf(reply)})`;
    return {
      host,
      fine: `port ${port} refuses a client with ${visitor.who}${said}`,
      findings: judgeStranger(relay, visitor.who, talk, settings.postfix.unlisted === 'reject'),
    };
  });
  const untried = (peer: HostName, reason: string): Report =>
    reportOf(host, findingOf('not-tried', host, { peer, reason }));
  let slow = 0;
  const clients = await inParallel(visitors.clients, mostConnections, async (client) => {
    const peer = client.host.hostname;
    // A fleet would wait for a minute each.
    if (slow >= mostSlow) return untried(peer, 'it took too long to answer for others');
    const visitor = { withTls: true, shown: client.shown };
    const talk = await converse(callOf(settings, relay, place, visitor, client.host));
    if (talk.broken?.kind === 'slow') slow += 1;
    return { host, fine: `relays for ${peer}`, findings: judgeClient(relay, peer, talk) };
  });
  const absent = visitors.absent.map((peer) => untried(peer, 'its key is not here'));
  const missing = visitors.missing.map(({ who: found, why: reason }) =>
    reportOf(host, findingOf('limit-unknown', host, { port: String(port), found, reason })),
  );
  return [...strangers, ...missing, ...clients, ...absent];
}

async function checkPort25(
  relay: SmtpdServer,
  { settings, facts }: RelayWork,
  address: string | undefined,
): Promise<readonly Report[]> {
  if (address === undefined) return [];
  const { hostname: host } = relay;
  const call = callOf(
    settings,
    { hostname: host, port: 25 },
    { address, ca: '' },
    { withTls: false, shown: undefined },
  );
  const talk = await converse(call);
  const reply = lastReply(talk);
  const fine =
    reply === undefined ? 'port 25 accepts no connection' : `port 25 does not relay for strangers (${codesOf(reply)})`;
  return [{ host, fine, findings: judgePort25(relay, talk, isTrusted(talk.from, facts)) }];
}

/** `450 4.3.2` */
function codesOf({ code, lines: [text = ''] }: Reply): string {
  const [enhanced] = /^\d\.\d{1,3}\.\d{1,3}(?= )/u.exec(text) ?? [];
  return [code, ...(enhanced === undefined ? [] : [enhanced])].join(' ');
}

/** True if the relay's mynetworks includes this address. */
function isTrusted(from: string | undefined, facts: HostFacts | undefined): boolean {
  if (from === undefined || facts === undefined) return false;
  const list = new BlockList();
  const plain = from.replace(/^::ffff:/u, '');
  const words = (valuesOf(linesOf(facts, 'values')).get('mynetworks') ?? '').split(/[\s,]+/u);
  for (const word of words) {
    const [, address = '', bits] = /^\[?([\da-fA-F.:]+)\]?(?:\/(\d{1,3}))?$/u.exec(word) ?? [];
    const family = isIP(address);
    if (family === 0) continue;
    const length = Number(bits ?? (family === 4 ? 32 : 128));
    // Trusting the whole internet means trusting strangers.
    if (length >= 8 && length <= (family === 4 ? 32 : 128))
      list.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  }
  return list.check(plain, isIP(plain) === 4 ? 'ipv4' : 'ipv6');
}

const lookupWords: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the look-up found none',
  EAI_AGAIN: 'the name server does not answer',
};

async function addressesOf(
  name: string,
): Promise<{ readonly addresses: readonly string[] } | { readonly why: string }> {
  try {
    const found = await lookup(name, { all: true });
    return { addresses: [...new Set(found.map(({ address }) => address))] };
  } catch (error) {
    const code = systemCode(error) ?? '';
    return { why: lookupWords[code] ?? `the look-up failed (${code})` };
  }
}
