// Judges the ends of the ssh tunnel of inbound: what each has by itself, and whether home knows the host keys that the
// relays have. inbound.ts tries the way through it. Pure.

import { sshFingerprint } from '../certificate/ssh-key.js';
import { findingOf, type Finding } from '../findings/finding.js';
import { isTunnelEnd } from '../plan/tunnel.js';
import type { HostSettings, Settings, SmtpdServer } from '../settings/settings.js';
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

/** Whether ssh runs at home for each relay, and knows that relay's host keys; nothing if home was not looked at. */
export function judgeTunnel(settings: Settings, looked: Looked): readonly Report[] {
  const ends = looked.filter(({ host }) => isTunnelEnd(settings, host));
  const home = ends.find(({ host }) => host.role === 'smtp-client');
  if (home?.facts === undefined || sectionOf(home.facts, 'tunnel') === undefined) return [];
  const { facts, host } = home;
  const findings = settings.smtpdServers.flatMap((relay) =>
    judgeHome(settings, host.hostname, facts, { relay, facts: ends.find((one) => one.host === relay)?.facts }),
  );
  return [{ host: host.hostname, fine: 'ssh runs for the tunnel, and knows the relays', findings }];
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
  hostname: string,
  facts: HostFacts,
  { relay, facts: there }: { readonly relay: SmtpdServer; readonly facts: HostFacts | undefined },
): readonly Finding[] {
  const known = wordsOf(facts, relay.hostname, 'key');
  if (known === undefined) return [];
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
