// Whether a home host gets through to the relays, according to openssl on that host. Its messages are interpreted here;
// what they do not say is reported as unknown.

import { findingOf, type Finding } from '../findings/finding.js';
import type { HostName } from '../names.js';
import { renderLookOut } from '../render/probe-from.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import type { Sys } from '../sys/sys.js';
import { linesOf, parseFacts, sectionOf, type HostFacts } from './host-facts.js';
import { lookAtHost, unseenFinding } from './host.js';
import { reportOf, type Report } from './report.js';

/** Looks at every relay from one home host. */
export async function checkFrom(settings: Settings, client: SmtpClient, sys: Sys): Promise<readonly Report[]> {
  return judgeLook(settings, client, await tryFrom(client, renderLookOut(settings, client), sys));
}

/** What is wrong between one home host and each relay. Pure. */
export function judgeLook(settings: Settings, client: SmtpClient, facts: HostFacts | Report): readonly Report[] {
  if ('findings' in facts) return [facts];
  const { hostname } = client;
  return settings.smtpdServers.map((relay) => ({
    host: hostname,
    fine: `relays through ${relay.hostname}, and is refused there without its certificate`,
    findings: judgeFrom(relay, client, facts),
  }));
}

/** Lets a host try others with a script of render/probe-from.ts; gives what it printed, or why it printed nothing. */
export async function tryFrom(host: HostSettings, script: string, sys: Sys): Promise<HostFacts | Report> {
  // Each try takes a minute at most (probe-from.sh).
  return factsFrom(host, await lookAtHost(host, { script, seconds: 300 }, sys));
}

/** The same of a host that has tried. Pure. */
export function factsFrom(host: HostSettings, outcome: Awaited<ReturnType<typeof lookAtHost>>): HostFacts | Report {
  const facts = outcome.kind === 'ran' ? parseFacts(outcome.stdout) : undefined;
  const { hostname } = host;
  if (facts === undefined) return reportOf(hostname, unseenFinding(host, outcome));
  if (sectionOf(facts, 'no-openssl') === undefined) return facts;
  return reportOf(hostname, findingOf('openssl-missing', hostname));
}

/** What is wrong between the two. Pure. */
export function judgeFrom(relay: SmtpdServer, { hostname: peer }: SmtpClient, facts: HostFacts): readonly Finding[] {
  const { hostname, port } = relay;
  // A host that may only renew looks with the script from before, which may not know this relay.
  if (sectionOf(facts, 'with', hostname) === undefined) {
    return [findingOf('probe-failed', peer, { found: `nothing about ${hostname}` })];
  }
  const said = linesOf(facts, 'with', hostname);
  const kind = tlsFaultOf(said);
  if (kind !== undefined) return [tlsFinding(kind, relay, peer, said)];
  const replies = said.filter((line) => /^\d{3} /u.test(line));
  const isTaken = replies.some((line) => line.startsWith('250 2.1.5'));
  if (!isTaken) {
    const found = replies.findLast((line) => !line.startsWith('221')) ?? lastOf(said);
    return [findingOf(found.startsWith('5') ? 'client-bounced' : 'client-refused', hostname, { peer, found })];
  }
  const isOpen = linesOf(facts, 'without', hostname).some((line) => line.startsWith('250 2.1.5'));
  return isOpen ? [findingOf('open-relay', hostname, { port: String(port), found: 'no certificate' })] : [];
}

/** @source OpenSSL 1.1.1 to 3.5: s_client.c, x509_txt.c */
const words: readonly (readonly [string, RegExp])[] = [
  [
    'name-not-found',
    /Name or service not known|Temporary failure in name resolution|No address associated|Host not found/iu,
  ],
  ['connection-refused', /Connection refused/iu],
  ['no-connection', /Connection timed out|No route to host|Network is unreachable/iu],
  ['served-expired', /verify error.*certificate has expired/iu],
  ['served-other-name', /verify error.*hostname mismatch/iu],
  ['served-untrusted', /verify error|certificate verify failed/iu],
  ['tls-not-offered', /didn't find STARTTLS/iu],
  ['handshake-failed', /SSL routines|wrong version number|handshake failure/iu],
];

/** What kept TLS from beginning; undefined if it began. */
export function tlsFaultOf(lines: readonly string[]): string | undefined {
  const text = lines.join('\n');
  return words.find(([, pattern]) => pattern.test(text))?.[0];
}

/** The same as a finding about the host that was tried. */
export function tlsFinding(
  kind: string,
  { hostname, port }: Pick<SmtpdServer, 'hostname' | 'port'>,
  peer: HostName,
  said: readonly string[],
): Finding {
  if (kind === 'name-not-found') return findingOf(kind, hostname, { found: `as ${peer} sees it` });
  // s_client(1) says when, below the error.
  const until = kind === 'served-expired' ? said.find((line) => line.startsWith('notAfter=')) : undefined;
  const found = until?.slice('notAfter='.length) ?? lastOf(said);
  return findingOf(kind, hostname, { port: String(port), address: `from ${peer}`, found });
}

/** The last answer, if any; lines with `>` are what was asked. */
export const lastOf = (lines: readonly string[]): string =>
  lines.findLast((line) => line.trim() !== '' && !line.startsWith('> ')) ?? 'nothing';
