// What a record of a mail log says about the relaying: mail was delivered, a fault of a known kind, something about TLS
// or the relay that is not known, or nothing that matters. Only our own services (`postfix/relaycerts`), the hosts in
// the settings and the mail programs of a home host are judged. A relay's port 25 sees strangers and their faults all
// day, and so does our own port: what clients without a certificate of ours cause is kept apart.

import { copyOf } from '../sys/lines.js';
import { findLogKind, logKinds, type LogKind } from './log-lines.js';
import { Recent } from './recent.js';
import { sessionKind, type SessionKind } from './sessions.js';
import type { LogRecord } from './log-record.js';

/** Which of the two hosts logged it. */
export type Side = 'home' | 'relay';

export type Verdict =
  | { readonly is: 'fine' }
  | { readonly is: 'sent' }
  | { readonly is: 'unknown' }
  /** An address that showed a certificate of our CA. */
  | { readonly is: 'trusted'; readonly address: string }
  /** The end of a connection to an SMTP server. */
  | { readonly is: 'end'; readonly as: SessionKind; readonly address: string }
  | {
      readonly is: 'fault';
      readonly kind: LogKind;
      readonly side: Side;
      /** The host at the other end, if the line names it; otherwise ''. */
      readonly peer: string;
      /** Certainly ours; or another mail service's; or from a client that may be anybody, and its address. */
      readonly of: 'ours' | 'others' | { readonly client: string };
    };

export interface Judge {
  (record: LogRecord): Verdict;
  /** Counts an address as that of a client of ours. */
  readonly noteKnown: (address: string) => void;
  readonly isKnown: (address: string) => boolean;
  /** Whether any address did. */
  readonly hasKnown: () => boolean;
  /** Whether our own services logged anything. */
  readonly hasOurs: () => boolean;
}

const otherName = logKinds.find(({ id }) => id === 'other-name');
const fine: Verdict = { is: 'fine' };
const sent: Verdict = { is: 'sent' };
const unknown: Verdict = { is: 'unknown' };
const ourTag = /^postfix[\w.-]*\/relaycerts/;
/** Under another syslog_name, a daemon that may log what matters here. */
const postfixTag = /^postfix[\w.-]*\/|.\/(?:qmgr|smtpd?|error|cleanup|trivial-rewrite|tlsmgr|tlsproxy|proxymap)$/;
const homePrograms = new Set(['exim', 'exim4', 'smtpd', 'msmtp', 'nullmailer', 'nullmailer-send']);

/** What Postfix logs about mail in normal operation, by its beginning. */
const ordinary =
  /(?:connect from |disconnect from |[0-9A-Za-z]{5,24}: (?:client=|uid=|message-id=|removed|from=<[^>]*>, size=|to=<[^>]*>, .{20,900} status=sent |resent-message-id=)|(?:Trusted|Verified|Untrusted|Anonymous) TLS connection established |statistics: |setting up TLS connection )/y;
/** Of those, what says nothing even of mail that is ours. */
const idle = /[0-9A-Za-z]{5,24}: (?:uid=|message-id=|removed|from=<|resent-)/y;
/** Marks a line of ours that deserves a look even if its words are not known. */
const alarm =
  /^(?:warning|error|fatal|panic): |certificate verification failed for |status=(?:deferred|SOFTBOUNCE|bounced|expired|undeliverable)|^NOQUEUE: (?:reject|abort)|: (?:milter-)?reject: /;
/**
 * Of those, the ones caused by strangers, their DNS, upgrades, a replaced setting, a reload or an installation that ends
 * connections and processes, mail that is deleted while it is sent, or what the next line or the one before names.
 */
const noise =
  /hostname \S+ does not resolve|hostname \S+ verification failed|[Cc]onnection (?:rate|concurrency|count) limit|run-time library|numeric (?:host|domain) name|relayhost configuration problem|too many errors|Unable to look up|CONNECT|read timeout|smtp_tls_per_site ignored|TCP map|connect to Milter service|milter \S+: (?:can't read|read error)|Recipient address rejected: User unknown|status=undeliverable .*[Uu]ser unknown|status=deferred \((?:delivery temporarily suspended: )?lost connection with |Service currently unavailable|premature end-of-input on (?:private|public)\/|(?:private|public)\/\S+ socket: malformed response|problem talking to (?:server|service) \S+: (?:Success|Connection reset|Broken pipe)|open active \w+: No such file|file system clock is \d+ seconds? ahead|resetting file time stamps|dict_nis_init: NIS domain name not set|dict_proxy_open: service \w+: Connection reset|system library:.*fopen|BIO routines:\S*:no such file|x509 certificate routines:\S*:(?:system|BIO) lib/;
/** What a client wrote, in a server's line about it. */
const wordsOfClient =
  /^(?:warning: )?(?:non-SMTP command|improper command pipelining|Illegal address syntax|malformed BDAT|bad ETRN) | subject(?:_CN)?=/;
/** The same for addresses, and the name in HELO. */
const givenName = /<(?:"(?:[^"\\]|\\.){0,400}"|[^<>"]){0,400}>/g;
/** The same for the other programs: what they log about mail that waits or is returned. */
const alarmElsewhere =
  /^[\w-]{16,23} (?:==|\*\*) |result="(?:Temp|Perm)Fail"|mta error reason=|errormsg=|smtp: Failed: /;
/** Their lines about a client: OpenSMTPD's, Exim's about a mail, and Exim's without one. */
const clientElsewhere = /^(?:[\da-f]{16} smtp |[\w-]{16,23} (?:<=|H=)|H=|SMTP |rejected |unexpected )/;
/**
 * Exim's line about a host that did not take a mail, but for the last of our list (home-programs.ts), which never does; and
 * the line at the end, with what the last one said.
 */
const eximHost =
  /^([\w-]{16,23}) H=(?!255)([\w.-]{1,255}) \[[\da-fA-F.:]{2,45}\](?:: | (?:Connection|Network|Permission) )/;
const eximEnd = /^([\w-]{16,23}) == /;
const eximLast = 'defer (101): Network is unreachable';
const sentElsewhere = / => \S+ .* C="250|result="Ok"|exitcode=EX_OK|^Sent file\./;
/** What another line says better: the previous one, or that of the attempt after which a mail was not retried. */
const echoElsewhere =
  /retry time not reached|454 4\.5\.1 Error: no valid recipients|defer \(101\): Network is unreachable$|smtp: Failed: Connect failed|TLS session: NULL|lookup of host \S+ failed in/;
const peerInLine = /(?:from|to|for|host|with|relay=) ?([\w.-]{1,255})\[([\da-fA-F.:]{2,45})\]/;
/** A server's peer has no port. */
const clientInLine = / (?:from|for) [\w.-]{1,255}\[[\da-fA-F.:]{2,45}\](?!:\d)/;
const peerElsewhere = /(?:H=|host=|host: |relay="[^"(]*\()([\w.-]{1,255})/;

/** Judges the records of one log, in order. `hosts` are the FQDNs in the settings, relays and homes. */
export function logJudge(hosts: ReadonlySet<string>): Judge {
  const known = new Recent<true>();
  const clients = new Recent<string>();
  /** Processes whose last connection was to a server that the CA trusts, under whatever name. */
  const nameless = new Recent<true>();
  /** Exim's mails of which a line says what a host of ours had against them. */
  const reasons = new Recent<true>();
  let hasOurs = false;

  const noteKnown = (address: string): void => {
    if (!known.has(address)) known.set(copyOf(address), true);
  };

  const namesOurs = (text: string): boolean =>
    (text.startsWith('warning: ') && text.includes('private/relaycerts')) || hosts.has(peerIn(text).name.toLowerCase());

  const judgePostfix = ({ program, pid, text: whole }: LogRecord): Verdict => {
    const text = withoutNames(whole);
    const isOurs = ourTag.test(program);
    const isServer = program.endsWith('/smtpd');
    hasOurs ||= isOurs;
    if (beginsOrdinary(text, 0)) {
      if (isServer && text.startsWith('disconnect ')) {
        return { is: 'end', as: sessionKind(text), address: peerIn(text).address };
      }
      const isTrusted = isOurs && text.startsWith('Trusted ');
      if (isTrusted && isServer) return { is: 'trusted', address: peerIn(text).address };
      if (isTrusted) nameless.set(copyOf(pid), true);
      else if (text.includes(' TLS connection ')) nameless.delete(pid);
      return isOurs && (isServer ? text.includes(': client=') : text.includes(' status=sent ')) ? sent : fine;
    }
    if (isServer && wordsOfClient.test(text)) return fine;
    if (!isOurs && !alarm.test(text) && !text.includes('TLS')) return fine;
    let kind = findLogKind(text);
    // Postfix 3.5 has no line of its own for this.
    if (kind?.id === 'not-verified' && !isServer && nameless.has(pid)) kind = otherName;
    if (kind === undefined) {
      if (!alarm.test(text) || noise.test(text)) return fine;
      // The detail of a handshake that failed, which the line before says.
      if (text.startsWith('warning: TLS library problem: ') && clients.has(pid)) return fine;
      // error(8) logs this for any transport, and does not name it.
      return isOurs || namesOurs(text) || text.endsWith('(deferred transport)') ? unknown : fine;
    }
    const side = isServer ? 'relay' : 'home';
    let { name, address } = peerIn(text);
    // OpenSSL's lines follow this one, and do not name the peer.
    if (/^SSL_(?:accept|connect) error /.test(text)) clients.set(copyOf(pid), copyOf(`${name} ${address}`));
    else if (isServer && address === '') [name = '', address = ''] = (clients.get(pid) ?? '').split(' ');
    const fault = { is: 'fault', kind, side, peer: name } as const;
    if (!isOurs) return { ...fault, of: namesOurs(text) || known.has(address) ? 'ours' : 'others' };
    if (side === 'home' || kind.fromStrangers !== true) return { ...fault, of: 'ours' };
    const isHome = known.has(address) || hosts.has(name.toLowerCase());
    return { ...fault, of: isHome ? 'ours' : { client: address } };
  };

  const judgeElsewhere = ({ text }: LogRecord): Verdict => {
    hasOurs = true;
    const [, mail = '', host = ''] = eximHost.exec(text) ?? [];
    const isOfHost = hosts.size === 0 ? host !== '' : hosts.has(host.toLowerCase());
    if (isOfHost) reasons.set(copyOf(mail), true);
    else if (clientElsewhere.test(text)) return fine;
    if (reasons.delete(eximEnd.exec(text)?.[1] ?? '') && text.includes(eximLast)) return fine;
    // Exim's own lines begin with the mail's ID.
    if (sentElsewhere.test(text)) return sent;
    const kind = findLogKind(text);
    const isAlarm = (isOfHost || alarmElsewhere.test(text)) && !echoElsewhere.test(text);
    if (kind === undefined && !isAlarm) return fine;
    const name = peerElsewhere.exec(text)?.[1]?.toLowerCase() ?? '';
    const isOurs = hosts.size === 0 || name === '' || /^[\d.:]+$/.test(name) || hosts.has(name);
    if (kind === undefined) return isOurs ? unknown : fine;
    return { is: 'fault', kind, side: 'home', peer: name, of: isOurs ? 'ours' : 'others' };
  };

  const judge = (record: LogRecord): Verdict => {
    if (postfixTag.test(record.program)) return judgePostfix(record);
    if (homePrograms.has(record.program)) return judgeElsewhere(record);
    return record.program === '' ? judgeUntagged(record) : fine;
  };
  return Object.assign(judge, {
    noteKnown,
    isKnown: (address: string) => known.has(address),
    hasKnown: () => known.size > 0,
    hasOurs: () => hasOurs,
  });
}

/**
 * Tells whether a line at a place of a text can be ignored. This is for speed: most lines of a log can be. It is called
 * for one line after the other. `isAwaited`: something waits for the end of a connection.
 */
export function ordinaryLines(isAwaited: () => boolean): (text: string, from: number, to: number) => boolean {
  // The next end of a process's number, so that a text without one is searched once.
  let [searched, end] = ['', -1];
  return (text, from, to) => {
    if (text !== searched || end < from) {
      searched = text;
      end = text.indexOf(']: ', from);
      if (end < 0) end = Number.MAX_SAFE_INTEGER;
    }
    if (end > to || !beginsOrdinary(text, end + 3)) return false;
    const bracket = text.lastIndexOf('[', end);
    const at = text.lastIndexOf(' ', bracket) + 1;
    if (at < from) return false;
    const program = text.slice(at, bracket);
    // Postfix under any syslog_name, and no other program of a home host.
    if (!program.includes('/')) return false;
    // Of our lines, those about known clients and delivered mail matter.
    const first = text.charCodeAt(end + 3);
    if (first === 0x64) return !isAwaited();
    return first === 0x63 || isAt(idle, text, end + 3) || !ourTag.test(program);
  };
}

function beginsOrdinary(text: string, at: number): boolean {
  return isAt(ordinary, text, at);
}

/** `pattern` is sticky. */
function isAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
}

function peerIn(text: string): { readonly name: string; readonly address: string } {
  const [, name = '', address = ''] = peerInLine.exec(text) ?? [];
  return { name, address };
}

function withoutNames(text: string): string {
  return text.replaceAll(givenName, '<?>');
}

/** A line that does not say who logged it. */
function judgeUntagged(record: LogRecord): Verdict {
  const text = withoutNames(record.text);
  const kind = wordsOfClient.test(text) ? undefined : findLogKind(text);
  const side = clientInLine.test(text) ? 'relay' : 'home';
  return kind === undefined ? fine : { is: 'fault', kind, side, peer: peerIn(text).name, of: 'ours' };
}
