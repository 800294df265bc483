// Judges the ssh tunnel of inbound: what each end has by itself, then both ends together, because the cause of a tunnel
// that is down is often on the other host. Pure.

import { sshFingerprint } from '../certificate/ssh-key.js';
import { findingOf, type Finding } from '../findings/finding.js';
import { isTunnelEnd } from '../plan/tunnel.js';
import type { HostSettings, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { linesOf, sectionOf, type HostFacts } from './host-facts.js';
import type { Report } from './report.js';

/** Files, account and settings of sshd at a host's end. */
export function judgeTunnelEnd(settings: Settings, host: HostSettings, facts: HostFacts): readonly Finding[] {
  if (!isTunnelEnd(settings, host)) return [];
  const ends = facts.sections.filter(({ name }) => name === 'tunnel');
  return ends.some(({ lines }) => lines.includes('stale')) ? [findingOf('tunnel-differs', host.hostname)] : [];
}

/** The hosts that were looked at. */
export type Looked = readonly { readonly host: HostSettings; readonly facts: HostFacts | undefined }[];

/** Whether the tunnel is up, and home's service answers through it: a report for home, and one for each relay. */
export function judgeTunnel(settings: Settings, looked: Looked): readonly Report[] {
  const ends = looked.filter(({ host }) => isTunnelEnd(settings, host));
  const factsOf = (host: HostSettings): HostFacts | undefined => ends.find((one) => one.host === host)?.facts;
  const home = ends.map(({ host }) => host).find((host) => host.role === 'smtp-client');
  const found = settings.smtpdServers.map((relay) => ({
    relay,
    atHome: home === undefined ? [] : judgeHome(settings, home, factsOf(home), { relay, facts: factsOf(relay) }),
  }));
  const reports = found.flatMap(({ relay, atHome }) => {
    const facts = factsOf(relay);
    const said = wordsOf(facts, settings.tunnel.user, 'said');
    if (facts === undefined || said === undefined) return [];
    // What keeps home from opening it is said there.
    const findings = atHome.length > 0 ? [] : judgeAnswer(settings, relay, said);
    return [{ host: relay.hostname, fine: 'the service at home answers through the tunnel', findings }];
  });
  const homeFacts = home && factsOf(home);
  if (home === undefined || homeFacts === undefined || sectionOf(homeFacts, 'tunnel') === undefined) return reports;
  const fine = 'ssh runs for the tunnel, and knows the relays';
  return [{ host: home.hostname, fine, findings: found.flatMap(({ atHome }) => atHome) }, ...reports];
}

/** What follows a word in the lines of an end's section; undefined without the section. */
function wordsOf(facts: HostFacts | undefined, end: string, word: string): readonly string[] | undefined {
  if (facts === undefined || sectionOf(facts, 'tunnel', end) === undefined) return undefined;
  return linesOf(facts, 'tunnel', end).flatMap((line) =>
    line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : [],
  );
}

function judgeHome(
  settings: Settings,
  home: SmtpClient,
  facts: HostFacts | undefined,
  { relay, facts: there }: { readonly relay: SmtpdServer; readonly facts: HostFacts | undefined },
): readonly Finding[] {
  const { hostname } = home;
  const known = wordsOf(facts, relay.hostname, 'key');
  if (facts === undefined || known === undefined) return [];
  const peer = relay.hostname;
  const shown = wordsOf(there, settings.tunnel.user, 'key') ?? [];
  if (known.length === 0) return [findingOf('tunnel-host-key', hostname, { peer, found: 'none' })];
  // ssh prefers the types that it knows, so each of them has to be right.
  const other = known.find((one) => shown.some((key) => typeOf(key) === typeOf(one)) && !shown.includes(one));
  if (shown.length > 0 && (other !== undefined || !known.some((one) => shown.includes(one)))) {
    return [findingOf('tunnel-host-key', hostname, { peer, found: sshFingerprint(other ?? known[0] ?? '') })];
  }
  const section = sectionOf(facts, 'tunnel', peer);
  if (section?.lines.includes('stopped') !== true) return [];
  return [findingOf('tunnel-stopped', hostname, { peer, unit: section.words[1] ?? '' })];
}

const typeOf = (key: string): string => key.split(' ')[0] ?? '';

/** @source openssl-s_client(1): after a verified handshake it shows the server's answer to QUIT. */
function judgeAnswer(settings: Settings, { hostname }: SmtpdServer, said: readonly string[]): readonly Finding[] {
  if (said.some((line) => line.startsWith('221 '))) return [];
  const values = { peer: settings.inbound?.home ?? '', listen: `127.0.0.1:${settings.tunnel.listen}` };
  if (said.some((line) => /connection refused|errno=(?:111|61)$/iu.test(line))) {
    return [findingOf('tunnel-down', hostname, values)];
  }
  return [findingOf('tunnel-silent', hostname, { ...values, found: said.at(-1) ?? 'no answer' })];
}
