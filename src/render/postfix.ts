// The Postfix configuration as data: what is set, to what value, since which release. The home host's is here; the
// relay's, with both locks, is in relay-service.ts. postconf(5) and TLS_README explain the parameters.

import type { HostSettings, Settings, SmtpClient } from '../settings/settings.js';
import { bundleNames } from '../plan/bundle-names.js';

/** A Postfix release: major, minor. */
export type Release = readonly [number, number];

export interface Parameter {
  readonly name: string;
  /** '' empties the parameter. */
  readonly value: string;
  /** Older releases do not know it, and log a warning. */
  readonly since?: Release;
}

/** The name under which our services log, and by which the relay's is recognised as ours. */
export const syslogName = 'postfix/relaycerts';

/** `>=TLSv1.2` would be clearer, but needs 3.6. */
export const protocols = ['!SSLv2', '!SSLv3', '!TLSv1', '!TLSv1.1'].join(',');

/** An item of a list in main.cf that also has others; it has no white space, and a comma only within braces. */
export interface ListToken {
  readonly name: string;
  /** In a list of restrictions, the last place is before a final permit or reject. */
  readonly place: 'first' | 'last';
  readonly token: string;
}

/** The oldest Postfix: chain files came with 3.4, several relayhosts with 3.5. */
export function oldestRelease(settings: Settings, role: 'smtp-client' | 'smtpd-server'): Release {
  return role === 'smtp-client' && settings.smtpdServers.length > 1 ? [3, 5] : [3, 4];
}

/** A service of master.cf, with its overrides. */
export interface Service {
  /** The first two columns of master.cf: `2500/inet`. */
  readonly id: string;
  /** The line without its overrides. */
  readonly line: string;
  /** Without white space in any value: 3.7's `postconf -P` refuses it. */
  readonly overrides: readonly Parameter[];
}

/** What is set on a host, or a part of it. */
export interface Configuration {
  readonly main: readonly Parameter[];
  readonly tokens: readonly ListToken[];
  readonly services: readonly Service[];
  /** Our own files beside main.cf; everybody may read them. */
  readonly files: readonly { readonly name: string; readonly lines: readonly string[] }[];
}

/**
 * The parameters, overridden by those in `own`. Those of later releases come last, because the text sets each of them
 * separately, and must give the script's result.
 */
export function overridden(parameters: readonly Parameter[], own: readonly Parameter[]): readonly Parameter[] {
  const all = new Map([...parameters, ...own].map((one) => [one.name, one]));
  return [...all.values()].toSorted(
    (one, other) => Number(one.since !== undefined) - Number(other.since !== undefined),
  );
}

/** The name of the home host's transport to the relay. */
const homeTransport = 'relaycerts';

/** main.cf of a home host: where mail for the world goes, and through which transport. */
export function homeParameters({ smtpdServers }: Settings): readonly Parameter[] {
  return [
    { name: 'default_transport', value: homeTransport },
    // The brackets turn off MX lookups.
    { name: 'relayhost', value: smtpdServers.map(({ hostname, port }) => `[${hostname}]:${port}`).join(', ') },
  ];
}

/**
 * The transport to the relay, in master.cf. In main.cf its TLS settings would apply to every other smtp client of the
 * host too: content filters, routes to the LAN, other providers.
 */
export function homeService(settings: Settings, client: SmtpClient): Service {
  return transportService(settings, client, homeTransport, []);
}

/** A transport that shows our certificate and checks the next hop's; `own` are the parameters that differ. */
export function transportService(
  settings: Settings,
  host: HostSettings,
  transport: string,
  own: readonly Parameter[],
): Service {
  const { directory, masterChroot } = settings.postfix;
  const names = bundleNames(settings.domain, host.hostname);
  // With `unlisted: "reject"` the user asks for bounces.
  const mayBounce = settings.postfix.unlisted === 'reject' && settings.smtpdServers.length === 1;
  const overrides: readonly Parameter[] = [
    { name: 'syslog_name', value: syslogName },
    { name: 'smtp_tls_security_level', value: 'secure' },
    // Another table could set another level for our relay. With a policy table, the older smtp_tls_per_site is ignored.
    { name: 'smtp_tls_policy_maps', value: 'static:secure' },
    // Left over from a provider's port 465, it would prevent STARTTLS.
    { name: 'smtp_tls_wrappermode', value: 'no' },
    ...['smtp_discard_ehlo_keywords', 'smtp_discard_ehlo_keyword_address_maps'].map((name) => ({ name, value: '' })),
    { name: 'smtp_never_send_ehlo', value: 'no' },
    // The name in relayhost, not one from DNS; with several relays, each one only its own.
    { name: 'smtp_tls_secure_cert_match', value: 'nexthop' },
    { name: 'smtp_cname_overrides_servername', value: 'no' },
    { name: 'smtp_tls_CAfile', value: `${directory}/${names.ca}` },
    // With the system's store, or a trust anchor, another CA could vouch for the relay.
    { name: 'smtp_tls_CApath', value: '' },
    { name: 'tls_append_default_CA', value: 'no' },
    { name: 'smtp_tls_trust_anchor_file', value: '' },
    { name: 'smtp_tls_chain_files', value: `${directory}/${names.chain}` },
    // Ignored if there are chain files, but each connection would log a warning.
    ...['cert', 'key', 'eccert', 'eckey'].map((kind) => ({ name: `smtp_tls_${kind}_file`, value: '' })),
    { name: 'smtp_tls_mandatory_protocols', value: protocols },
    // tlsproxy makes shared connections, and does not read what is set here.
    { name: 'smtp_tls_connection_reuse', value: 'no' },
    { name: 'smtp_tls_loglevel', value: String(host.tlsLogLevel) },
    // Another provider's password must not go to this relay, and a fallback host has no certificate of ours.
    { name: 'smtp_sasl_auth_enable', value: 'no' },
    { name: 'smtp_fallback_relay', value: '' },
    // Any server in the relay's place could return mail by what it says before TLS, main.cf by smtp_delivery_status_filter,
    // and smtp(8) itself if it has tried several relays whose names do not exist.
    { name: 'soft_bounce', value: mayBounce ? 'no' : 'yes' },
    // A raw public key would be accepted in place of a certificate.
    { name: 'smtp_tls_enable_rpk', value: 'no', since: [3, 9] },
    // A message with the header `TLS-Required: no` would lower the level.
    { name: 'tls_required_enable', value: 'no', since: [3, 10] },
  ];
  return {
    id: `${transport}/unix`,
    // As many processes as our services accept connections from one address.
    line: `${transport} unix - - ${masterChroot} - 10 smtp`,
    overrides: overridden(overrides, own),
  };
}
