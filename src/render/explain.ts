// What `explain` found in a log, as findings with their cures: as text and as an object. A host in a log line is one of
// the settings', or the only one in its role; without settings the cure is in words.

import { howMany } from '../errors.js';
import { findingOf, shorten, type Finding } from '../findings/finding.js';
import type { Fault, LogSummary, Sighting } from '../log/tally.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { cureLines, type CureLine, type NamesToDeploy } from './cure.js';

/** A fault in the log, with its meaning and what to do about it. */
export interface Explanation {
  readonly fault: Fault;
  readonly finding: Finding;
  readonly cure: readonly CureLine[];
}

/** What the state here says of the hosts. */
export interface KnownHosts {
  readonly revoked: ReadonlySet<string>;
  readonly names: NamesToDeploy;
  /** The CA has expired, and no other one is on its way. */
  readonly isCaOver: boolean;
}

/** What a fault means for the hosts in the settings, if there are settings; `known` if the state here could be read. */
export function explainFault(fault: Fault, settings: Settings | undefined, known?: KnownHosts): Explanation {
  const { kind, side, line } = fault;
  const all = settings === undefined ? [] : hostsOf(settings);
  const revoked = known?.revoked ?? new Set();
  const hosts = all.filter(({ hostname }) => !revoked.has(hostname));
  const isRelay = side === 'relay';
  const here = findHost(hosts, isRelay, [fault.host]);
  const peer = findHost(hosts, !isRelay, [...fault.peers.keys()]);
  const [home, relay] = isRelay ? [peer, here] : [here, peer];
  const target = { here, peer, home, relay }[kind.at];
  const other = target === here ? peer : here;
  const isTargetRelay = kind.at === 'relay' || (kind.at === 'here' ? isRelay : kind.at === 'peer' && !isRelay);
  const [, address = 'address unknown', port] = /\[([\da-fA-F.:]{2,45})\](?::(\d{1,5}))?/.exec(line) ?? [];
  const instead =
    (kind.id === 'port-25' ? loopIn(fault, hosts) : undefined) ??
    revokedIn(fault, here, all, revoked) ??
    (kind.id === 'expired' && known?.isCaOver === true ? findingOf('ca-expired', '') : undefined);
  if (settings !== undefined && instead !== undefined)
    return { fault, finding: instead, cure: cureLines(settings, instead, known?.names) };
  const finding = findingOf(kind.id, nameOf(target, isTargetRelay), {
    peer: nameOf(other, !isTargetRelay),
    // A relay's log has the address of the client.
    address: isRelay ? `for ${address}` : address,
    port: (isRelay ? undefined : port) ?? String(relay?.role === 'smtpd-server' ? relay.port : 2500),
    found: reasonIn(line),
    service: 'relaycerts/unix',
  });
  const cure =
    settings === undefined || target === undefined
      ? [{ kind: 'words', text: kind.fix } as const]
      : cureLines(settings, finding, known?.names);
  return { fault, finding, cure };
}

/** The line is about a mail of a relay's own, which a home did not relay: it was on its way back. */
function loopIn({ host, side, peers }: Fault, hosts: readonly HostSettings[]): Finding | undefined {
  // A relay that refuses a home logs the same words.
  if (side === 'relay') return undefined;
  const relay = findHost(hosts, true, [host]);
  const home = hosts.find(({ role, hostname }) => role === 'smtp-client' && peers.has(hostname));
  return relay && home && findingOf('relay-loops', relay.hostname, { found: home.hostname });
}

/** What fails because it should: the lines are of a host that is revoked, or all hosts at the other end are. */
function revokedIn(
  { host, peers }: Fault,
  here: HostSettings | undefined,
  all: readonly HostSettings[],
  revoked: ReadonlySet<string>,
): Finding | undefined {
  const own = new Set([host.toLowerCase()]);
  const there = [...peers.keys()].map((name) => name.toLowerCase());
  const [first] = there.every((name) => revoked.has(name)) ? there : [];
  const isOther = here !== undefined && isNamed(here, own);
  const gone = all.find(
    (one) => revoked.has(one.hostname) && ((!isOther && isNamed(one, own)) || one.hostname === first),
  );
  return gone && findingOf(gone.role === 'smtpd-server' ? 'revoked-relay' : 'revoked-client', gone.hostname);
}

/** What a line says, without the program and the mail. */
function reasonIn(line: string): string {
  return (
    / status=\w+ \((.*)\)$/.exec(line)?.[1] ?? line.replace(/^[\w./-]{1,200}: (?:[0-9A-Za-z]{5,24}: (?=to=))?/, '')
  );
}

function nameOf(host: HostSettings | undefined, isRelay: boolean): string {
  return host?.hostname ?? (isRelay ? 'the relay' : 'the home host');
}

/** The host of a role that the log names, by its name or first label; or the only one in the role. */
function findHost(
  hosts: readonly HostSettings[],
  isRelay: boolean,
  names: readonly string[],
): HostSettings | undefined {
  const ofRole = hosts.filter(({ role }) => (role === 'smtpd-server') === isRelay);
  const lower = new Set(names.map((name) => name.toLowerCase()));
  const [first, ...more] = ofRole.filter((host) => isNamed(host, lower));
  if (first !== undefined && more.length === 0) return first;
  return ofRole.length === 1 ? ofRole[0] : first;
}

/** True if one of the names, in lower case, is the host's or its first label. */
function isNamed({ hostname }: HostSettings, names: ReadonlySet<string>): boolean {
  return names.has(hostname) || names.has(hostname.split('.')[0] ?? '');
}

/**
 * One fault as text: what, how often, the last line, and what to do. `sentLine`: the last line about delivered mail.
 */
export function renderExplanation({ fault, finding, cure }: Explanation, sentLine: number): string {
  const since = sentLine > fault.lastLine ? '; mail went through since' : '';
  return lines(
    `${finding.severity.padEnd(8)} ${finding.message} [${finding.id}]`,
    `         ${timesOf(fault)}${onHost(fault)}${since}`,
    `         ${shorten(fault.line)}`,
    ...cure.map(({ kind, text }) => (kind === 'words' ? `         fix: ${text}` : `             ${text}`)),
  );
}

/** A line about TLS or the relay that is not known here. */
export function renderUnknown(sighting: Sighting): string {
  return lines(`unknown  ${shorten(sighting.line)}`, `         ${timesOf(sighting)}`);
}

function timesOf({ count, first, last }: Sighting): string {
  const often = count === 1 ? 'once' : `${count} times`;
  if (last === '') return often;
  const from = count === 1 || first === '' ? '' : ` first ${shorten(first)}, last`;
  return `${often},${from} ${shorten(last)}`;
}

function onHost({ host, peers }: Fault): string {
  const [most, ...more] = [...peers].toSorted(([, one], [, other]) => other - one).map(([name]) => name);
  const others = more.length === 0 ? '' : ` and ${more.length} more`;
  return `${host === '' ? '' : `, in the log of ${shorten(host)}`}${most === undefined ? '' : `, with ${shorten(most)}${others}`}`;
}

/** The whole summary as text. */
export function renderLogSummary(name: string, summary: LogSummary, explained: readonly Explanation[]): string {
  const { sent } = summary;
  const causes = explained.filter(({ fault }) => fault.kind.isSymptom !== true);
  const symptoms = explained.filter(({ fault }) => fault.kind.isSymptom === true);
  // A symptom's cure belongs to another line; this is for a log without that line.
  const whole = causes.length > 0 ? causes : symptoms;
  const also = causes.length > 0 ? symptoms : [];
  return [
    ...whole.map((one) => renderExplanation(one, sent.lastLine)),
    ...also.map(({ finding, fault }) =>
      lines(`${' '.repeat(8)} also ${timesOf(fault)}: ${finding.message} [${finding.id}]`),
    ),
    ...summary.unknown.map(renderUnknown),
    ...notesOf(summary).map((note) => lines(note)),
    lines(`${shorten(name)}: ${sumOf(summary, explained)}`),
  ].join('');
}

/** False for a file that is no mail log, and for one without lines. */
function isLog({ first, hasOurs }: LogSummary): boolean {
  return first !== '' || hasOurs;
}

function notesOf(summary: LogSummary): readonly string[] {
  const { strangers, otherLines, trialLines, moreUnknown, hasOurs, hasPrograms, faults } = summary;
  const isUntagged = !hasPrograms && faults.length > 0;
  const whyNotOurs = isUntagged
    ? 'no line names its program, so strangers and tests count as faults of yours: use journalctl -o short-iso'
    : isLog(summary) || summary.lines === 0
      ? 'no line is from a service of relaycerts: was it installed on this host?'
      : 'no line has a time: is this a mail log?';
  return [
    ...(moreUnknown > 0 ? [`unknown  ${howMany(moreUnknown, 'more line')} about TLS or the relay`] : []),
    ...(strangers.lines > 0
      ? [
          `note     ${howMany(strangers.lines, 'line')} about clients without a certificate of this CA, from ${howMany(strangers.addresses, 'address', 'es')}: strangers, who are refused`,
        ]
      : []),
    ...(trialLines > 0
      ? [
          `note     ${howMany(trialLines, 'refusal')} of connections that sent no mail: relaycerts check, or a test with openssl`,
        ]
      : []),
    ...(otherLines > 0
      ? [`note     ${howMany(otherLines, 'line')} about mail that does not go through the relay`]
      : []),
    ...(hasOurs ? [] : [`note     ${whyNotOurs}`]),
  ];
}

function sumOf(summary: LogSummary, explained: readonly Explanation[]): string {
  const { lines: all, first, last, sent, faults, unknown, moreUnknown } = summary;
  const bad = faults.reduce((sum, { count }) => sum + count, 0);
  const odd = unknown.reduce((sum, { count }) => sum + count, moreUnknown);
  const when = first === '' ? '' : ` from ${shorten(first)} to ${shorten(last)}`;
  return [
    explained.length === 0 ? 'no fault' : howMany(explained.length, 'fault'),
    `${howMany(all, 'line')}${when}`,
    ...(isLog(summary) ? [`${all - bad - odd} of them fine`] : []),
    sent.count === 0
      ? 'no mail went through'
      : `${howMany(sent.count, 'message')} went through, the last ${shorten(sent.last)}`,
  ].join('; ');
}

function lines(...all: readonly string[]): string {
  return all.map((line) => `${line}\n`).join('');
}

/** The summary as data: what --json prints inside its envelope. */
export function explainObject(name: string, summary: LogSummary, explained: readonly Explanation[]): object {
  return {
    log: name,
    lines: summary.lines,
    first: orNull(summary.first),
    last: orNull(summary.last),
    sent: { count: summary.sent.count, last: orNull(summary.sent.last) },
    findings: explained.map(({ fault, finding, cure }) => ({
      id: finding.id,
      severity: finding.severity,
      host: /[^\w.-]/.test(finding.host) ? null : finding.host,
      message: finding.message,
      cure,
      isSymptom: fault.kind.isSymptom === true,
      log: orNull(fault.host),
      peers: [...fault.peers.keys()],
      ...sightingObject(fault),
      sentSince: summary.sent.lastLine > fault.lastLine,
    })),
    unknown: summary.unknown.map(sightingObject),
    moreUnknown: summary.moreUnknown,
    strangers: summary.strangers,
    otherLines: summary.otherLines,
    hasOurs: summary.hasOurs,
  };
}

function sightingObject({ count, first, last, line }: Sighting): object {
  return { count, first: orNull(first), last: orNull(last), line };
}

function orNull(text: string): string | null {
  return text === '' ? null : text;
}
