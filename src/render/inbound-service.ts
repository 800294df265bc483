// Inbound mail on its way home, as data: a service with both locks at home, which takes mail from the relays and
// for its own domains only; and on each relay a transport to it, with what its port 25 has to know. It is what
// relay-service.ts and postfix.ts do in the other direction, under other names. No mistake on either host makes mail
// bounce or loop: home defers what it does not hold, and the relay waits for everything but an unknown recipient.

import { peersName } from '../plan/inbound.js';
import type { Inbound, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { syslogName, transportService, type Configuration, type ListToken } from './postfix.js';
import type { Parameter, Service } from './postfix.js';
import { guardedServices } from './relay-service.js';
import { madeLine } from './step.js';

/** The name under which the service at home logs, and by which it is recognised as ours. */
const inboundSyslogName = `${syslogName}_in`;

/** The mailboxes that always accept mail (RFC 5321 4.5.1, RFC 2142). */
const alwaysThere = ['postmaster', 'abuse'];

const set = (name: string, value: string): Parameter => ({ name, value });

/** The first column of home's service. With the tunnel, only ssh reaches it. */
export function inboundPlace({ via, port }: Inbound): string {
  return via === 'tunnel' ? `127.0.0.1:${port}` : String(port);
}

/** The services at home. */
export function inboundServices(
  settings: Settings,
  inbound: Inbound,
  home: SmtpClient,
): readonly [Service, ...Service[]] {
  const { directory } = settings.postfix;
  return guardedServices(settings, {
    host: home,
    port: inbound.port,
    place: inboundPlace(inbound),
    own: [
      set('syslog_name', inboundSyslogName),
      set('relay_clientcerts', `texthash:${directory}/${peersName}`),
      set('smtpd_client_restrictions', 'permit_tls_clientcerts,defer'),
      // Through the tunnel every relay has the address of this host.
      set('mynetworks', ''),
      set('smtpd_relay_restrictions', 'defer_unauth_destination'),
      set('smtpd_recipient_restrictions', ''),
      set('smtpd_etrn_restrictions', 'reject'),
      set('smtpd_reject_unlisted_recipient', 'yes'),
      // The relay asks whether a recipient exists, and would never learn that one does not.
      set('soft_bounce', 'no'),
      set('smtpd_client_connection_count_limit', String(10 * settings.smtpdServers.length)),
    ],
    ownCleanup: [],
  });
}

const first = (name: string, token: string): ListToken => ({ name, place: 'first', token });

/** Postfix's folder, for files of ours beside main.cf. */
const folder = '/etc/postfix';

/** The transport of a relay. It is named after the port, like all that belongs to one project there. */
export const homeTransport = ({ port }: SmtpdServer): string => `relaycerts-${port}-home`;

/** What is set on a relay: what its port 25 accepts, and the transport home. */
export function inboundOf(settings: Settings, inbound: Inbound, relay: SmtpdServer): Configuration {
  const { domains, recipients } = inbound;
  const isAsked = recipients === 'verify';
  const name = homeTransport(relay);
  const question = `relaycerts_${relay.port}_home`;
  const hop = `${name}:${nextHopOf(settings, inbound)}`;
  const replies = { name: `${name}-replies`, lines: replyLines(inbound) };
  const known = { name: `${name}-domains`, lines: domainLines(domains) };
  const listed = { name: `${name}-recipients`, lines: isAsked ? [] : recipientLines(domains, recipients) };
  const transport = transportService(settings, relay, name, [
    set('syslog_name', `${syslogName}_home`),
    // Whatever the next hop is called: an address, with the tunnel.
    set('smtp_tls_secure_cert_match', inbound.home),
    set('smtp_delivery_status_filter', `regexp:${folder}/${replies.name}`),
    set('soft_bounce', 'no'),
  ]);
  return {
    main: isAsked
      ? [
          set(question, `check_recipient_access regexp:${folder}/${known.name}`),
          // An unknown recipient is refused for good, not for five days.
          set('unverified_recipient_reject_code', '550'),
        ]
      : [],
    tokens: [
      first('relay_domains', `regexp:${folder}/${known.name}`),
      first('transport_maps', `inline:{${domains.map((domain) => `${domain}=${hop}`).join(',')}}`),
      ...(isAsked
        ? [first('smtpd_restriction_classes', question), first('smtpd_recipient_restrictions', question)]
        : [first('relay_recipient_maps', `texthash:${folder}/${listed.name}`)]),
    ],
    services: [transport],
    files: isAsked ? [known, replies] : [known, replies, listed],
  };
}

/** Where the relay finds home. */
export function nextHopOf({ tunnel }: Settings, { via, home, port }: Inbound): string {
  return via === 'tunnel' ? `[127.0.0.1]:${tunnel.listen}` : `[${home}]:${port}`;
}

/**
 * relay_domains, and whose recipients are asked for. As plain names there, parent_domain_matches_subdomains would open
 * the relay to their subdomains, for mail to wherever the DNS sends it.
 */
function domainLines(domains: readonly string[]): readonly string[] {
  const patterns = domains.map((domain) => domain.replaceAll('.', String.raw`\.`));
  return [madeLine, ...patterns.map((one) => `/^(.*@)?${one}$/ reject_unverified_recipient`)];
}

/** relay_recipient_maps: who gets mail at home. */
function recipientLines(domains: readonly string[], recipients: readonly string[]): readonly string[] {
  const always = domains.flatMap((domain) => alwaysThere.map((name) => `${name}@${domain}`));
  return [madeLine, ...[...new Set([...recipients, ...always])].map((one) => `${one} x`)];
}

/** For postconf(5) smtp_delivery_status_filter: a permanent error becomes a temporary one. */
export const waitLine = String.raw`/^5(\..*)$/ 4$1`;

/** With `verify`, what home says of a recipient stays: it says it only after both certificates were checked. */
function replyLines({ recipients }: Inbound): readonly string[] {
  if (recipients !== 'verify') return [madeLine, waitLine];
  return [madeLine, String.raw`if !/^5\.1\.[0-9]+ .*\(in reply to RCPT TO command\)$/`, waitLine, 'endif'];
}
