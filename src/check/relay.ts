// Judges the answers of a relay's port: it is this relay, with its certificate, clients may relay, and nobody else may.
// A wrong client must be refused with a temporary code, so that a mistake bounces no mail. Pure.

import { X509Certificate } from 'node:crypto';
import { findingOf, type Finding } from '../findings/finding.js';
import type { SmtpdServer } from '../settings/settings.js';
import type { Conversation } from '../probe/conversation.js';
import type { Reply } from '../probe/lines.js';

/** What the relay should show, and its names. */
export interface ExpectedRelay {
  readonly relay: SmtpdServer;
  /** For the newest certificate made for it. */
  readonly certificate: { readonly der: Buffer; readonly serial: string } | undefined;
  /** Names that its greeting may have. */
  readonly names: readonly string[];
}

/** What is wrong with the connection, up to TLS; empty if this is the relay, and it shows what it should. */
export function judgeConnection(talk: Conversation, expected: ExpectedRelay): readonly Finding[] {
  const { hostname, port } = expected.relay;
  const { address } = talk.call;
  const where = { port: String(port), address };
  const find = (id: string, values: Readonly<Record<string, string>> = {}) => [
    findingOf(id, hostname, { ...where, ...values }),
  ];
  const { broken, stage, replies } = talk;
  const banner = wordsOf(replies.greeting);
  const isForeign = !isOwnBanner(replies.greeting, expected.names);
  if (stage === 'connect') return find(connectKind(broken));
  if (stage === 'greeting' && broken !== undefined && broken.kind !== 'not-smtp') return find('no-greeting');
  if (stage === 'greeting' || stage === 'ehlo') {
    if (broken?.kind === 'not-smtp') return find('not-smtp', { found: broken.words });
    if (isForeign) return find('banner-foreign', { found: banner });
    return find('greeting-refused', { found: broken?.words ?? wordsOf(replies[stage]) });
  }
  const features = replies.ehlo?.lines.slice(1).map((line) => line.toUpperCase().trim()) ?? [];
  if (!features.includes('STARTTLS') || talk.call.tls === undefined) {
    return isForeign ? find('banner-foreign', { found: banner }) : find('tls-not-offered');
  }
  if (stage === 'starttls') {
    if (replies.starttls?.code === 454) return [findingOf('relay-tls-off', hostname)];
    if (broken !== undefined && !isForeign) return find('handshake-failed', { found: broken.words });
    return find(isForeign ? 'banner-foreign' : 'tls-not-offered', { found: banner });
  }
  if (talk.tls === undefined) {
    const isCertless = /handshake failure|alert number 40/iu.test(broken?.words ?? '');
    return isCertless
      ? [findingOf('no-shared-cipher', hostname)]
      : find('handshake-failed', { found: broken?.words ?? '' });
  }
  return judgeCertificate(talk, expected).flatMap(({ id, found, wanted = '' }) =>
    isForeign && id === 'served-untrusted' ? find('banner-foreign', { found: banner }) : find(id, { found, wanted }),
  );
}

function connectKind(broken: Conversation['broken']): string {
  if (broken?.kind === 'refused') return 'connection-refused';
  const isHere = broken?.kind === 'unreachable' && /ENETUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT/u.test(broken.words);
  return isHere ? 'no-route-here' : 'no-connection';
}

/** A greeting begins with the host's own name for itself; a firewall that rewrites it leaves asterisks. */
function isOwnBanner(greeting: Reply | undefined, names: readonly string[]): boolean {
  const text = wordsOf(greeting).toLowerCase();
  return names.some((name) => name !== '' && text.includes(name.toLowerCase()));
}

interface Flaw {
  readonly id: string;
  readonly found: string;
  readonly wanted?: string;
}

function judgeCertificate({ tls }: Conversation, { certificate }: ExpectedRelay): readonly Flaw[] {
  if (tls?.certificate === undefined) return [{ id: 'served-untrusted', found: 'none' }];
  const shown = new X509Certificate(tls.certificate);
  if (tls.flaw === 'CERT_HAS_EXPIRED') return [{ id: 'served-expired', found: shown.validTo }];
  if (tls.flaw === 'CERT_NOT_YET_VALID') return [{ id: 'served-not-yet-valid', found: shown.validFrom }];
  if (tls.flaw !== undefined) {
    return [{ id: 'served-untrusted', found: `${oneLine(shown.subject)}, issued by ${oneLine(shown.issuer)}` }];
  }
  if (!tls.hasName) return [{ id: 'served-other-name', found: shown.subjectAltName ?? oneLine(shown.subject) }];
  if (certificate === undefined || certificate.der.equals(tls.certificate)) return [];
  return [{ id: 'served-stale', found: shown.serialNumber.toLowerCase(), wanted: certificate.serial }];
}

/** @source node:crypto gives undefined for a name without parts */
const oneLine = (name: string | undefined): string => name?.split('\n').join(', ') ?? 'nobody';

/** What is wrong if a client that is not one of ours got this answer; `who` continues "a client with". */
export function judgeStranger(
  { hostname, port }: SmtpdServer,
  who: string,
  talk: Conversation,
  mayBounce: boolean,
): readonly Finding[] {
  const values = { port: String(port), found: who };
  const reply = lastReply(talk);
  if (talk.replies.rcpt !== undefined && isGood(talk.replies.rcpt)) return [findingOf('open-relay', hostname, values)];
  if (reply !== undefined && reply.code >= 500 && !mayBounce) {
    return [findingOf('bounces', hostname, { ...values, reply: replyWords(reply) })];
  }
  // If the relay breaks off the handshake, that is a refusal too.
  if (reply !== undefined && reply.code >= 400) return [];
  if (talk.broken?.kind === 'tls' || (talk.broken?.kind === 'closed' && talk.stage === 'ehlo-tls')) return [];
  return [findingOf('limit-unknown', hostname, { ...values, reason: talk.broken?.words ?? 'it did not answer' })];
}

/** What is wrong if one of our clients got this answer. */
export function judgeClient({ hostname }: SmtpdServer, peer: string, talk: Conversation): readonly Finding[] {
  if (talk.replies.rcpt !== undefined && isGood(talk.replies.rcpt)) return [];
  const reply = lastReply(talk);
  const found = reply === undefined || isGood(reply) ? (talk.broken?.words ?? 'no answer') : replyWords(reply);
  const isBounce = reply !== undefined && reply.code >= 500;
  return [findingOf(isBounce ? 'client-bounced' : 'client-refused', hostname, { peer, found })];
}

/** Port 25, as a stranger sees it; `isTrusted`: the relay treats this machine as one of its own. */
export function judgePort25({ hostname }: SmtpdServer, talk: Conversation, isTrusted: boolean): readonly Finding[] {
  const unknown = (found: string) => [findingOf('port-25-unknown', hostname, { found })];
  if (talk.stage === 'connect') {
    return talk.broken?.kind === 'refused' ? [] : unknown('it does not answer here; outgoing port 25 may be blocked');
  }
  const { rcpt } = talk.replies;
  if (rcpt !== undefined && isGood(rcpt)) {
    return isTrusted
      ? unknown('it trusts the address of this machine (mynetworks)')
      : [findingOf('open-relay-25', hostname)];
  }
  const reply = lastReply(talk);
  if (reply === undefined || isGood(reply)) return unknown(talk.broken?.words ?? 'it did not answer');
  // A refusal for another reason (a blocklist, a filter that is down, this one domain) says nothing about other
  // strangers.
  return /\brelay(?:ing)?\b(?![.-]\w)|unauth/iu.test(replyWords(reply)) ? [] : unknown(replyWords(reply));
}

const isGood = ({ code }: Reply): boolean => code >= 200 && code < 300;

/** The answer to the last command. */
export function lastReply({ replies, stage }: Conversation): Reply | undefined {
  return replies[stage];
}

function replyWords({ code, lines }: Reply): string {
  return `${code} ${lines.join(' ')}`;
}

function wordsOf(reply: Reply | undefined): string {
  return reply === undefined ? '' : replyWords(reply);
}
