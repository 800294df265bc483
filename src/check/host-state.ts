// Judges the state of a host: Postfix runs, the clock is right, the disk has room, and no mail for the relay waits.
// Other mail in the queue is not this project's business. Pure.

import { findingOf, type Finding } from '../findings/finding.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { dkimUnit } from '../render/dkim.js';
import { linesOf, sectionOf, valuesOf, type HostFacts } from './host-facts.js';
import { judgeInbound } from './host-inbound.js';

/** When the host was asked, in milliseconds: its clock was read between the two. */
export interface Asked {
  readonly from: number;
  readonly to: number;
}

/** Seconds; certificates begin an hour before they are made, so a clock this far off does no harm for long. */
const clockTolerance = 300;

/** What is wrong with the state of a host. */
export function judgeState(settings: Settings, host: HostSettings, facts: HostFacts, asked: Asked): readonly Finding[] {
  const { hostname } = host;
  const isStopped = sectionOf(facts, 'running')?.words[0] === 'no';
  const instances = linesOf(facts, 'instances');
  return [
    ...(isStopped ? [findingOf('postfix-stopped', hostname)] : []),
    ...(instances.length === 0 ? [] : [findingOf('other-instances', hostname, { found: instances.join(', ') })]),
    ...judgeSigner(settings, hostname, facts),
    ...judgeParts(hostname, facts),
    ...judgeInbound(host, facts),
    ...judgeClock(hostname, facts, asked),
    ...judgeDisk(hostname, facts),
    ...judgeQueue(settings, hostname, linesOf(facts, 'queue')),
    ...judgeHeld(hostname, linesOf(facts, 'queue')),
    ...linesOf(facts, 'queue-error')
      .slice(0, 1)
      .map((found) => findingOf('queue-unknown', hostname, { found })),
    ...judgePort25Out(hostname, facts),
  ];
}

/** OpenDKIM has the files of the bundle, and runs. */
function judgeSigner(settings: Settings, hostname: string, facts: HostFacts): readonly Finding[] {
  const [folder, lines] = [sectionOf(facts, 'dkim')?.words[0] ?? '', linesOf(facts, 'dkim')];
  if (lines.includes('left')) return [findingOf('dkim-left', hostname, { file: folder })];
  if (lines.includes('down') || lines.includes('deaf'))
    return [findingOf('dkim-down', hostname, { file: `${folder}/opendkim.conf`, unit: dkimUnit(settings) })];
  return lines.includes('stale') ? [findingOf('dkim-differs', hostname, { file: folder })] : [];
}

/** Programs of a relay's port 25 (port25.sh). */
const partKinds = ['postscreen-differs', 'srs-differs', 'srs-down', 'policyd-spf-missing'] as const;

function judgeParts(hostname: string, facts: HostFacts): readonly Finding[] {
  const found = linesOf(facts, 'port25-parts');
  return partKinds.filter((id) => found.includes(id)).map((id) => findingOf(id, hostname));
}

function judgeClock(hostname: string, facts: HostFacts, { from, to }: Asked): readonly Finding[] {
  const seconds = Number(sectionOf(facts, 'clock')?.words[0] ?? Number.NaN);
  const off = Math.max(from / 1000 - seconds, seconds - to / 1000);
  if (!(off > clockTolerance)) return [];
  const ahead = seconds > to / 1000 ? 'ahead' : 'behind';
  return [findingOf('clock-differs', hostname, { found: `${durationOf(off)} (it is ${ahead})` })];
}

function durationOf(seconds: number): string {
  if (seconds >= 2 * 86_400) return `${Math.round(seconds / 86_400)} days`;
  return seconds >= 2 * 3600 ? `${Math.round(seconds / 3600)} hours` : `${Math.round(seconds / 60)} minutes`;
}

/** @source postconf(5) queue_minfree: without it, 1.5 times message_size_limit */
function judgeDisk(hostname: string, facts: HostFacts): readonly Finding[] {
  const [free = ''] = linesOf(facts, 'disk');
  if (!/^\d+$/u.test(free)) return [];
  const values = valuesOf(linesOf(facts, 'values'));
  const numberOf = (name: string): number => Number(values.get(name) ?? 0);
  const wanted = numberOf('queue_minfree') > 0 ? numberOf('queue_minfree') : 1.5 * numberOf('message_size_limit');
  const octets = Number(free) * 1024;
  if (octets > wanted) return [];
  return [findingOf('disk-full', hostname, { found: inMebibytes(octets), wanted: inMebibytes(wanted) })];
}

const inMebibytes = (octets: number): string => `${Math.floor(octets / (1 << 20))} MiB`;

/**
 * The way out. A provider's proxy greets with its own name; a mail server's greeting has the domain of its own name.
 * @source posttls-finger(1)
 */
function judgePort25Out(hostname: string, facts: HostFacts): readonly Finding[] {
  const lines = sectionOf(facts, 'port25')?.lines;
  if (lines === undefined) return [];
  if (lines[0] === 'missing') return [findingOf('posttls-finger-missing', hostname)];
  const greeting = lines.find((line) => line.startsWith('< 220'))?.slice(2);
  const [, peer] = /^Connected to ([^[\s]+)/u.exec(lines.find((line) => line.startsWith('Connected to ')) ?? '') ?? [];
  if (greeting === undefined || peer === undefined) {
    return [findingOf('port-25-blocked', hostname, { found: lines.at(-1) ?? 'no answer' })];
  }
  const domain = peer.split('.').slice(-2).join('.').toLowerCase();
  return greeting.toLowerCase().includes(domain)
    ? []
    : [findingOf('port-25-proxied', hostname, { peer, found: greeting })];
}

/**
 * One finding for each relay, one for mail that does not get as far as a relay because of this host, and one for mail to a
 * server that is not known. Each has its most frequent reason. @source postqueue(1) JSON OBJECT FORMAT
 */
function judgeQueue({ smtpdServers }: Settings, hostname: string, lines: readonly string[]): readonly Finding[] {
  const mails = lines.map(reasonsIn);
  const judgeWaiting = (
    id: string,
    isMeant: (reason: string) => boolean,
    values: Readonly<Record<string, string>> = {},
  ): readonly Finding[] => {
    const counts = new Map<string, number>();
    const about = mails.flatMap((reasons) => reasons.find(isMeant) ?? []);
    for (const reason of about) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    const [most] = [...counts].toSorted(([, one], [, other]) => other - one);
    return most === undefined
      ? []
      : [findingOf(id, hostname, { ...values, count: String(about.length), found: most[0] })];
  };
  return [
    ...smtpdServers.flatMap(({ hostname: peer }) =>
      judgeWaiting('queue-deferred', (reason) => reason.includes(peer), { peer }),
    ),
    ...judgeWaiting('queue-stuck', (reason) => ownReasons.test(reason)),
    ...judgeWaiting('queue-tls', (reason) => tlsReasons.test(reason)),
  ];
}

/** These name no other host. @source qmgr_transport.c, qmgr_message.c, qmgr_deliver.c, smtp_proto.c, smtp_connect.c */
const ownReasons =
  /^(?:delivery temporarily suspended: )?(?:mail transport unavailable|unknown mail transport error|deferred transport|TLS is required, but our TLS engine is unavailable)/u;

/** These name no server, which may be a relay or another one. @source smtp_proto.c */
const tlsReasons = /^(?:delivery temporarily suspended: )?(?:Server certificate not |Cannot start TLS: )/u;

/** Mail on hold has no reason and no next hop, so of all of it. */
function judgeHeld(hostname: string, lines: readonly string[]): readonly Finding[] {
  const count = lines.filter((line) => mailIn(line)?.queue === 'hold').length;
  return count === 0 ? [] : [findingOf('queue-held', hostname, { count: String(count) })];
}

/** Why a deferred mail waits, for each recipient. */
function reasonsIn(line: string): readonly string[] {
  const mail = mailIn(line);
  if (mail?.queue !== 'deferred') return [];
  return mail.recipients.flatMap((one) =>
    typeof one === 'object' && one !== null && 'delay_reason' in one && typeof one.delay_reason === 'string'
      ? [one.delay_reason]
      : [],
  );
}

function mailIn(line: string): { readonly queue: unknown; readonly recipients: readonly unknown[] } | undefined {
  let mail: unknown;
  try {
    mail = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof mail !== 'object' || mail === null || !('queue_name' in mail) || !('recipients' in mail)) return undefined;
  return Array.isArray(mail.recipients) ? { queue: mail.queue_name, recipients: mail.recipients } : undefined;
}
