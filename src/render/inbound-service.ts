// Mail from the world on its way home, as data: a service with both locks at home, which takes mail from the relays and
// for its own domains only; and on each relay a transport to it, with what its port 25 has to know. It is what
// relay-service.ts and postfix.ts do in the other direction, under other names. No mistake on either host makes mail
// bounce or loop: home defers what it does not hold, and the relay waits for everything but an unknown recipient.

import { peersName, recipientsName, repliesName } from '../plan/bundle-names.js';
import type { Inbound, Settings, SmtpClient, SmtpdServer } from '../settings/settings.js';
import { syslogName, transportService, type ListItem, type Parameter, type Service } from './postfix.js';
import { guardedServices } from './relay-service.js';

/** The name under which the service at home logs, and by which it is recognised as ours. */
export const inboundSyslogName = `${syslogName}_in`;

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
  const { directory, tableType } = settings.postfix;
  return guardedServices(settings, {
    host: home,
    port: inbound.port,
    place: inboundPlace(inbound),
    own: [
      set('syslog_name', inboundSyslogName),
      set('relay_clientcerts', `${tableType}:${directory}/${peersName}`),
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

/** The transport on a relay. */
export function inboundTransport(settings: Settings, inbound: Inbound, relay: SmtpdServer): Service {
  return transportService(settings, relay, transportName(relay), [
    set('syslog_name', `${syslogName}_home`),
    // Whatever the next hop is called: an address, with the tunnel.
    set('smtp_tls_secure_cert_match', inbound.home),
    set('smtp_delivery_status_filter', `regexp:${settings.postfix.directory}/${repliesName}`),
    set('soft_bounce', 'no'),
  ]);
}

/** Named after the port, like all that belongs to one project on a relay. */
function transportName({ port }: SmtpdServer): string {
  return `relaycerts-${port}-home`;
}

/** main.cf of a relay: what port 25 accepts, and where that goes. */
export function inboundItems(settings: Settings, inbound: Inbound, relay: SmtpdServer): readonly ListItem[] {
  const { directory, tableType } = settings.postfix;
  const { domains, recipients } = inbound;
  const isAsked = recipients === 'verify';
  const nextHop = nextHopOf(settings, inbound);
  const inline = (value: string): string => `inline:{${domains.map((domain) => `${domain}=${value}`).join(',')}}`;
  const item = (name: string, text: string, isIfUsed = false): ListItem => ({ name, item: text, isIfUsed });
  return [
    ...domains.map((domain) => item('relay_domains', domain)),
    item('transport_maps', inline(`${transportName(relay)}:${nextHop}`)),
    // An empty relay_recipient_maps accepts every recipient, of any domain.
    item('relay_recipient_maps', `${tableType}:${directory}/${recipientsName}`, isAsked),
    ...(isAsked
      ? [item('smtpd_recipient_restrictions', `check_recipient_access ${inline('reject_unverified_recipient')}`)]
      : []),
  ];
}

/** An unknown recipient is refused for good, not for five days. */
export function inboundParameters({ recipients }: Inbound): readonly Parameter[] {
  return recipients === 'verify' ? [set('unverified_recipient_reject_code', '550')] : [];
}

/** Where the relay finds home. */
export function nextHopOf({ tunnel }: Settings, { via, home, port }: Inbound): string {
  return via === 'tunnel' ? `[127.0.0.1]:${tunnel.listen}` : `[${home}]:${port}`;
}

/** The text of relay_recipients: with `verify`, every address, because home is asked. */
export function renderRecipients(settings: Settings, { domains, recipients }: Inbound): string {
  const all =
    recipients === 'verify'
      ? domains.map((domain) => `@${domain}`)
      : [...recipients, ...domains.flatMap((domain) => alwaysThere.map((name) => `${name}@${domain}`))];
  const head = `# relaycerts ${settings.domain}: who gets mail at home; the relay refuses all others`;
  return `${[head, ...[...new Set(all)].map((address) => `${address} x`)].join('\n')}\n`;
}

/**
 * The text of inbound_replies (postconf(5) smtp_delivery_status_filter): a permanent error becomes a temporary one. With
 * `verify`, what home says of a recipient stays: it is known only after both certificates were checked.
 */
export function renderReplies(settings: Settings, { recipients }: Inbound): string {
  const wait = '/^5(\\..*)$/ 4$1';
  const rules =
    recipients === 'verify' ? ['if !/^5\\.1\\.[0-9]+ .*\\(in reply to RCPT TO command\\)$/', wait, 'endif'] : [wait];
  return `${[`# relaycerts ${settings.domain}: what does not reach home waits`, ...rules].join('\n')}\n`;
}
