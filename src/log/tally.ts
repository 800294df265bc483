// The summary of a log: what went wrong, how often, first and last, in groups of one kind, host and side. Everything
// that is kept is limited, whatever the log contains; the rest is counted.

import { copyOf, lineSplitter, mostOctets, utf8Of, type LineSink } from '../sys/lines.js';
import { logJudge, ordinaryLines, type Side, type Verdict } from './judge.js';
import type { LogKind } from './log-lines.js';
import type { LogRecord } from './log-record.js';
import { nothing, readRecord, recordReader } from './record.js';
import { Sessions } from './sessions.js';

/** Similar lines. Texts are UTF-8 in a summary, and may contain anything. */
export interface Sighting {
  count: number;
  /** As written in the log; '' if missing. */
  first: string;
  last: string;
  /** The number of the last line, and its program and text, cut. */
  lastLine: number;
  line: string;
}

export interface Fault extends Sighting {
  readonly kind: LogKind;
  readonly side: Side;
  /** Who logged it, as named in the log; '' if it does not say, or for too many hosts. */
  readonly host: string;
  /** The hosts at the other end, as the lines name them, and how many lines name each. */
  readonly peers: Map<string, number>;
}

export interface LogSummary {
  readonly lines: number;
  /** The first and last of the lines' times in the log. */
  readonly first: string;
  readonly last: string;
  /** Mails that were handed to the relay, or accepted by it. */
  readonly sent: { readonly count: number; readonly last: string; readonly lastLine: number };
  /** Causes before symptoms, the most frequent first. */
  readonly faults: readonly Fault[];
  /** Faults of other mail, in a log that has lines of ours. */
  readonly otherLines: number;
  /** Refusals that a check or a try by hand caused on purpose. */
  readonly trialLines: number;
  /** Faults caused by clients without a certificate of ours. */
  readonly strangers: { readonly lines: number; readonly addresses: number };
  /** About TLS or the relay, in unknown words. */
  readonly unknown: readonly Sighting[];
  /** Lines of that kind for which there was no room. */
  readonly moreUnknown: number;
  /** Whether a service of ours, or another home program, logged anything at all. */
  readonly hasOurs: boolean;
  /** Whether any line says which program logged it. */
  readonly hasPrograms: boolean;
}

export interface Tally {
  readonly sink: LineSink;
  readonly summary: () => LogSummary;
}

type Sight = Extract<Verdict, { is: 'fault' }>;
type Counted = Extract<Verdict, { is: 'fault' | 'sent' | 'trusted' }>;

const [mostFaults, mostUnknown, mostPeers, mostOfLine] = [2000, 20, 200, 400];

/** Counts the lines of a log. `see` is called with each group and each unknown kind when it first appears. */
export function logTally(
  hosts: ReadonlySet<string>,
  see: { readonly fault?: (found: Fault) => void; readonly unknown?: (found: Sighting) => void } = {},
): Tally {
  const records = recordReader();
  const sessions = new Sessions();
  const isOrdinary = ordinaryLines(() => !sessions.isEmpty);
  const judge = logJudge(hosts);
  const [faults, others] = [new Map<string, Fault>(), new Map<string, Fault>()];
  /** By client, because a later line may show who it is. */
  const strangers = new Map<string, Map<string, Fault>>();
  const unknown = new Map<string, Sighting>();
  const sent = { count: 0, last: '', lastLine: 0 };
  let [lines, moreUnknown, otherLines, trialLines, first, last] = [0, 0, 0, 0, '', ''];
  let hasPrograms = false;
  const hasOthers = (): boolean => hosts.size > 0 || judge.hasOurs();

  const groupsOf = ({ of }: Sight): Map<string, Fault> => {
    if (of === 'ours') return faults;
    if (of === 'others') return others;
    const client = strangers.size < mostFaults ? copyOf(of.client) : '';
    const groups = strangers.get(client) ?? new Map<string, Fault>();
    strangers.set(client, groups);
    return groups;
  };
  const isSeen = ({ of }: Sight): boolean => of === 'ours' || of === 'others' || !judge.hasKnown();

  const addFault = (record: LogRecord, sight: Sight, line: number): void => {
    if (sight.of === 'others') {
      otherLines += 1;
      if (hasOthers()) return;
    }
    const fault = faultIn(groupsOf(sight), record, sight);
    note(fault, record, line);
    if (fault.count === 1 && isSeen(sight)) see.fault?.(shown(fault));
  };

  const addUnknown = (record: LogRecord): void => {
    const alike = likenessOf(record.text);
    const known = unknown.get(alike);
    if (known === undefined && unknown.size >= mostUnknown) {
      moreUnknown += 1;
      return;
    }
    const sighting = known ?? newSighting(record);
    unknown.set(alike, sighting);
    note(sighting, record, lines);
    if (known === undefined) see.unknown?.(shown(sighting));
  };

  /** The last line that was skipped, if its time is the last. */
  let skipped = '';
  const skip = (text: string, from: number, to: number): boolean => {
    if (first === '' || records.isInside() || !isOrdinary(text, from, to)) return false;
    lines += 1;
    if (text.length - to < mostOctets) skipped = text.slice(from, to);
    return true;
  };
  const take = (line: string, octets: number): void => {
    lines += 1;
    const record = records.read(line, octets);
    if (record === undefined) return;
    hasPrograms ||= record.program !== '';
    if (first === '') first = copyOf(record.time);
    if (record.time !== '') {
      last = record.time;
      skipped = '';
    }
    const verdict = judge(record);
    if (verdict.is === 'end') sessions.end(sessionOf(record), verdict.as, verdict.address);
    else if (verdict.is === 'unknown') addUnknown(record);
    else if (verdict.is !== 'fine') countOnce(record, verdict);
  };
  const countOnce = (record: LogRecord, verdict: Counted): void => {
    const [line, session] = [lines, sessionOf(record)];
    // A line that names no client is about this host.
    const isOfSession = verdict.is !== 'fault' || (verdict.peer !== '' && verdict.of !== 'others');
    if (!isOfSession || !record.program.endsWith('/smtpd') || !sessions.hasRoom(session)) {
      add(record, verdict, line);
      return;
    }
    const [kept, keptVerdict] = copyOfCounted(record, verdict);
    sessions.hold(session, (kind) => {
      if (kind === 'trial') trialLines += verdict.is === 'fault' ? 1 : 0;
      else if (verdict.is !== 'sent' || kind === 'mail') add(kept, keptVerdict, line);
    });
  };
  const add = (record: LogRecord, verdict: Counted, line: number): void => {
    if (verdict.is === 'trusted') judge.noteKnown(verdict.address);
    else if (verdict.is === 'fault') addFault(record, verdict, line);
    else {
      sent.count += 1;
      if (line > sent.lastLine) [sent.last, sent.lastLine] = [record.time, line];
    }
  };

  const summary = (): LogSummary => {
    sessions.endAll();
    if (skipped !== '') last = readRecord(skipped).time;
    const isHome = (client: string): boolean => !judge.hasKnown() || judge.isKnown(client);
    const [homes, left] = [true, false].map((wanted) =>
      [...strangers].filter(([client]) => isHome(client) === wanted).map(([, groups]) => groups),
    );
    return {
      lines,
      first: utf8Of(first),
      last: utf8Of(last),
      hasOurs: judge.hasOurs(),
      hasPrograms,
      sent: { ...sent, last: utf8Of(sent.last) },
      faults: mergedFaults([faults, ...(homes ?? []), ...(hasOthers() ? [] : [others])]),
      otherLines: hasOthers() ? otherLines : 0,
      trialLines,
      strangers: {
        lines: (left ?? []).flatMap((groups) => [...groups.values()]).reduce((sum, { count }) => sum + count, 0),
        addresses: left?.length ?? 0,
      },
      unknown: [...unknown.values()].map(shown),
      moreUnknown,
    };
  };
  const splitter = lineSplitter(take, skip);
  const sink: LineSink = {
    add: (chunk) => splitter.add(chunk),
    end: () => {
      splitter.end();
      sessions.endAll();
    },
  };
  return { sink, summary };
}

/** Lines of one process on one host, one connection after the other. */
function sessionOf({ host, pid }: LogRecord): string {
  return `${host} ${pid}`;
}

/** Waiting lines must not hold the piece of the log they were cut from in memory. */
function copyOfCounted(record: LogRecord, verdict: Counted): readonly [LogRecord, Counted] {
  const time = copyOf(record.time);
  if (verdict.is === 'sent') return [{ ...nothing, time }, verdict];
  if (verdict.is === 'trusted')
    return [
      { ...nothing, time },
      { ...verdict, address: copyOf(verdict.address) },
    ];
  const [host, program, text] = [copyOf(record.host), copyOf(record.program), copyOf(record.text.slice(0, mostOfLine))];
  const of = typeof verdict.of === 'string' ? verdict.of : { client: copyOf(verdict.of.client) };
  return [
    { ...nothing, time, host, program, text },
    { ...verdict, peer: copyOf(verdict.peer), of },
  ];
}

function newSighting({ time }: LogRecord): Sighting {
  return { count: 0, first: copyOf(time), last: '', lastLine: 0, line: '' };
}

function note(sighting: Sighting, { time, program, text }: LogRecord, line: number): void {
  sighting.count += 1;
  if (line < sighting.lastLine) return;
  sighting.last = copyOf(time);
  sighting.lastLine = line;
  sighting.line = copyOf(`${program === '' ? '' : `${program}: `}${text.slice(0, mostOfLine)}`);
}

/** The group of a fault; a host's name may be anything, and there may be any number of names. */
function faultIn(groups: Map<string, Fault>, record: LogRecord, { kind, side, peer }: Sight): Fault {
  const host = groups.size < mostFaults ? copyOf(record.host) : '';
  const key = keyOf({ kind, side, host });
  const fault = groups.get(key) ?? { ...newSighting(record), kind, side, host, peers: new Map<string, number>() };
  groups.set(key, fault);
  if (peer !== '' && (fault.peers.size < mostPeers || fault.peers.has(peer))) {
    fault.peers.set(copyOf(peer), (fault.peers.get(peer) ?? 0) + 1);
  }
  return fault;
}

function keyOf({ kind, side, host }: Pick<Fault, 'kind' | 'side' | 'host'>): string {
  return `${kind.id} ${side} ${host}`;
}

/** All groups, with those of one kind, host and side merged, as they are shown. */
function mergedFaults(all: readonly Map<string, Fault>[]): readonly Fault[] {
  const merged = new Map<string, Fault>();
  for (const fault of all.flatMap((groups) => [...groups.values()])) {
    const key = keyOf(fault);
    const known = merged.get(key);
    merged.set(key, known === undefined ? fault : mergeFaults(known, fault));
  }
  return [...merged.values()]
    .map(shown)
    .toSorted((one, other) => isSymptom(one) - isSymptom(other) || other.count - one.count);
}

function isSymptom({ kind }: Fault): number {
  return kind.isSymptom === true ? 1 : 0;
}

function mergeFaults(one: Fault, other: Fault): Fault {
  const [before, after] = one.lastLine < other.lastLine ? [one, other] : [other, one];
  const peers = new Map(one.peers);
  for (const [name, count] of other.peers) peers.set(name, (peers.get(name) ?? 0) + count);
  return { ...after, first: before.first, count: one.count + other.count, peers };
}

function shown<Kind extends Sighting>(sighting: Kind): Kind {
  const { first, last, line } = sighting;
  return { ...sighting, first: utf8Of(first), last: utf8Of(last), line: utf8Of(line) };
}

/** The common part of lines that differ only in addresses, numbers and identifiers. */
function likenessOf(text: string): string {
  return text
    .slice(0, mostOfLine)
    .replaceAll(/<[^>]*>|\[[^\]]*\]|"[^"]*"/g, '?')
    .replaceAll(/\b(?:[0-9A-F]{5,}|[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}|[0-9a-f]{16})\b|\d+/g, '#');
}
