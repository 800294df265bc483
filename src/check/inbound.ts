// Inbound mail on its way home: whether a relay can hand mail over to home, and whether the service at home
// refuses everybody else. Nothing is sent that could become a mail. host-inbound.ts is about the hosts' settings.

import { findingOf, type Finding } from '../findings/finding.js';
import { mostAtOnce } from '../remote/script-run.js';
import { nextHopOf } from '../render/inbound-service.js';
import { renderProbeFrom } from '../render/probe-from.js';
import type { Inbound, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { inParallel } from '../sys/all-ended.js';
import type { Sys } from '../sys/sys.js';
import { lastOf, tlsFaultOf, tlsFinding, tryFrom } from './from-home.js';
import { linesOf, sectionOf, type HostFacts } from './host-facts.js';
import { judgeLimits } from './host-inbound.js';
import type { HostCheck } from './host.js';
import type { Report } from './report.js';

/** Listed recipients that are tried. */
const mostRecipients = 100;

/** RFC 2606: belongs to nobody, and not to home. */
const outside = 'postmaster@example.com';

/** Looks at the way home from each relay among these hosts, and at home; nothing if the settings do not ask. */
export async function checkWayHome(
  settings: Settings,
  checked: readonly HostCheck[],
  sys: Sys,
): Promise<readonly Report[]> {
  const { inbound } = settings;
  if (inbound === undefined) return [];
  const seen = checked.flatMap(({ host, facts, isThere }) =>
    host.isInbound && isThere && facts !== undefined ? [{ host, facts, hostname: host.hostname }] : [],
  );
  const home = seen.find(({ hostname }) => hostname === inbound.home);
  const limits = seen.flatMap((relay): readonly Report[] => {
    if (home === undefined || relay.host.role !== 'smtpd-server') return [];
    const fine = `accepts no mail that ${home.hostname} would refuse for its size or its address`;
    return [{ host: relay.hostname, fine, findings: judgeLimits(inbound, relay, home) }];
  });
  // At a home whose Postfix is stopped there is no door to try.
  const tried = seen.filter(
    ({ host, facts }) => host.role === 'smtpd-server' || sectionOf(facts, 'running')?.words[0] !== 'no',
  );
  const tries = await inParallel(tried, mostAtOnce, ({ host }) => {
    sys.detail(`trying ${inbound.home} from ${host.hostname}`);
    return host.role === 'smtpd-server'
      ? checkHandOver(settings, inbound, host, sys)
      : checkOwnDoor(settings, inbound, host, sys);
  });
  return [...limits, ...tries];
}

/** Tries the service at home from a relay, as that relay. */
async function checkHandOver(settings: Settings, inbound: Inbound, relay: SmtpdServer, sys: Sys): Promise<Report> {
  const listed = inbound.recipients === 'verify' ? [] : inbound.recipients.slice(0, mostRecipients);
  const always = inbound.domains.map((domain) => `postmaster@${domain}`);
  const script = renderProbeFrom(settings, relay, {
    peers: [{ hostname: inbound.home, place: nextHopOf(settings, inbound).replaceAll(/[[\]]/gu, '') }],
    sender: '',
    recipients: [outside, ...new Set([...always, ...listed])],
    isTrial: true,
  });
  const facts = await tryFrom(relay, script, sys);
  if ('findings' in facts) return facts;
  const fine = `delivers inbound mail to ${inbound.home}, which refuses it without its certificate`;
  return { host: relay.hostname, fine, findings: judgeHandOver(settings, inbound, relay, facts) };
}

/** What is wrong between a relay and home. Pure. */
export function judgeHandOver(
  settings: Settings,
  inbound: Inbound,
  { hostname: peer }: SmtpdServer,
  facts: HostFacts,
): readonly Finding[] {
  const { home } = inbound;
  const said = linesOf(facts, 'with', home);
  const kind = tlsFaultOf(said);
  const isUnreached = kind === 'connection-refused' || kind === 'no-connection';
  if (isUnreached && inbound.via === 'tunnel') {
    return [findingOf('inbound-no-tunnel', home, { peer, found: nextHopOf(settings, inbound) })];
  }
  if (kind !== undefined) return [tlsFinding(kind, { hostname: home, port: inbound.port }, peer, said)];
  const values = { port: String(inbound.port), address: `from ${peer}` };
  const answers = answersIn(said);
  const deferred = (found: string, reply: string): Finding =>
    findingOf('inbound-deferred', home, { peer, found, reply });
  if (answers.size === 0) return [deferred(inbound.domains.join(', '), lastOf(said))];
  const refused = [...answers].filter(([to, reply]) => to !== outside && !isGood(reply));
  const unknown = refused.filter(([, reply]) => /^5\d\d 5\.1\./u.test(reply));
  const [other] = refused.filter(([, reply]) => !/^5\d\d 5\.1\./u.test(reply));
  const isOpen = linesOf(facts, 'without', home).some((line) => line.startsWith('250 2.1.5'));
  return [
    ...(isGood(answers.get(outside))
      ? [findingOf('open-relay', home, { ...values, found: `the certificate of ${peer}` })]
      : []),
    ...(other === undefined ? [] : [deferred(...other)]),
    ...unknown.map(([found, reply]) => findingOf('inbound-unknown-recipient', home, { peer, found, reply })),
    ...(isOpen ? [findingOf('inbound-open', home, { ...values, found: 'no certificate' })] : []),
  ];
}

function isGood(reply = ''): boolean {
  return reply.startsWith('2');
}

/** The answer to each recipient. */
function answersIn(lines: readonly string[]): ReadonlyMap<string, string> {
  const answers = new Map<string, string>();
  let recipient: string | undefined;
  for (const line of lines) {
    const [, asked] = /^> (?:RCPT TO:<(.*)>|.*)$/u.exec(line) ?? [];
    if (line.startsWith('> ')) recipient = asked;
    if (recipient === undefined || !/^\d{3} /u.test(line)) continue;
    answers.set(recipient, line);
    recipient = undefined;
  }
  return answers;
}

/** Tries the service at home on home itself, whose certificate is of our CA, and is not listed there. */
async function checkOwnDoor(settings: Settings, inbound: Inbound, home: SmtpClient, sys: Sys): Promise<Report> {
  const script = renderProbeFrom(settings, home, {
    peers: [{ hostname: home.hostname, place: `127.0.0.1:${inbound.port}` }],
    sender: '',
    recipients: inbound.domains.slice(0, 1).map((domain) => `postmaster@${domain}`),
    isTrial: true,
  });
  const facts = await tryFrom(home, script, sys);
  if ('findings' in facts) return facts;
  const fine = `port ${inbound.port} refuses a certificate of this CA whose pin is not listed`;
  return { host: home.hostname, fine, findings: judgeOwnDoor(inbound, home, facts) };
}

/** What is wrong if home's service gives this answer to home itself. Pure. */
export function judgeOwnDoor({ port }: Inbound, { hostname }: SmtpClient, facts: HostFacts): readonly Finding[] {
  const said = linesOf(facts, 'with', hostname);
  const values = { port: String(port), found: 'a certificate of this CA whose pin is not listed' };
  const reply = [...answersIn(said).values()][0] ?? '';
  if (isGood(reply)) return [findingOf('inbound-open', hostname, values)];
  if (reply.startsWith('5')) return [findingOf('bounces', hostname, { ...values, reply })];
  // It may be closed, or on another address; the relays' tries say so.
  return reply.startsWith('4') ? [] : [findingOf('limit-unknown', hostname, { ...values, reason: lastOf(said) })];
}
