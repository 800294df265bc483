// Compares postconf's output on a host with what should be set there: main.cf, the services of master.cf and their
// overrides, and settings that bypass them. For the important settings, the effect of another value is known. Pure.

import { asksForDns } from '../dns/records.js';
import { findingOf, type Finding } from '../findings/finding.js';
import { oldestRelease } from '../render/postfix.js';
import type { HostSettings, Settings } from '../settings/settings.js';
import { linesOf, sectionOf, valuesOf, type HostFacts } from './host-facts.js';

/** What is wrong with the configuration of a Postfix host. */
export function judgeConfiguration(settings: Settings, host: HostSettings, facts: HostFacts): readonly Finding[] {
  const { hostname } = host;
  return [
    ...linesOf(facts, 'errors').map((found) => findingOf('postfix-check', hostname, { found })),
    ...judgeRelease(settings, host, facts),
    ...judgeMain(host, facts),
    ...facts.sections.flatMap(({ name, words: [id = '', ...line], lines }) =>
      name === 'service' ? judgeService(settings, host, facts, { id, wanted: line.join(' '), found: lines[0] }) : [],
    ),
    ...judgeDisabled(host, facts),
    ...linesOf(facts, 'left').map((line) => judgeLeft(hostname, line)),
    ...judgePorts(settings, host, facts),
    ...(host.role === 'smtpd-server' ? judgeWayOn(settings, host, facts) : judgeRoutes(host, facts)),
    ...(host.role === 'smtpd-server' && asksForDns(settings) ? judgeHelo(host, facts) : []),
  ];
}

/** A service, and its line as it should be. */
function judgeLeft(hostname: string, line: string): Finding {
  const [service = '', ...rest] = line.split(' ');
  return findingOf('settings-left', hostname, { service, entry: `${service}=${rest.join(' ')}` });
}

/** A relay that has a home as its own relayhost gets its mail back. */
function judgeWayOn({ smtpClients }: Settings, { hostname }: HostSettings, facts: HostFacts): readonly Finding[] {
  const next = valuesOf(linesOf(facts, 'values')).get('relayhost') ?? '';
  const names = next.split(/[\s,]+/u).map((one) => one.replace(/^\[?([^\]:]*).*$/u, '$1').toLowerCase());
  const home = smtpClients.find((client) => names.includes(client.hostname));
  return home === undefined ? [] : [findingOf('relay-loops', hostname, { found: home.hostname })];
}

/** The SPF record for bounces, and the name of the relay's address, are of the name in the settings. */
function judgeHelo({ hostname }: HostSettings, facts: HostFacts): readonly Finding[] {
  const found = valuesOf(linesOf(facts, 'values')).get('smtp_helo_name') ?? '';
  return found === '' || found.toLowerCase() === hostname ? [] : [findingOf('helo-differs', hostname, { found })];
}

function judgeRelease(settings: Settings, { hostname, role }: HostSettings, facts: HostFacts): readonly Finding[] {
  const [found = ''] = sectionOf(facts, 'postfix')?.words ?? [];
  const [major = 0, minor = 0] = found.split('.').map(Number);
  const wanted = oldestRelease(settings, role);
  const isOld = major < wanted[0] || (major === wanted[0] && minor < wanted[1]);
  return isOld ? [findingOf('postfix-old', hostname, { found, wanted: wanted.join('.') })] : [];
}

function judgeMain({ hostname, role }: HostSettings, facts: HostFacts): readonly Finding[] {
  const found = valuesOf(linesOf(facts, 'found', 'main.cf'));
  return [...valuesOf(linesOf(facts, 'wanted', 'main.cf'))].flatMap(([name, wanted]) => {
    const value = found.get(name) ?? '';
    if (value === wanted) return [];
    const values = { found: value, wanted };
    if (role === 'smtpd-server' || !['default_transport', 'relayhost'].includes(name)) {
      return [findingOf('main-cf-differs', hostname, { ...values, name })];
    }
    if (name === 'default_transport') return [findingOf('transport-differs', hostname, values)];
    const isBare = value !== '' && value === wanted.replaceAll(/[[\]]/gu, '');
    return [findingOf(isBare ? 'relayhost-brackets' : 'relayhost-differs', hostname, values)];
  });
}

/** Services of ours that main.cf turns off. @source postconf(5) master_service_disable, defer_transports */
function judgeDisabled({ hostname }: HostSettings, facts: HostFacts): readonly Finding[] {
  const values = valuesOf(linesOf(facts, 'values'));
  const services = facts.sections.flatMap(({ name, words: [id = ''] }) => (name === 'service' ? [id] : []));
  const isIn = (name: string, meant: readonly string[]): boolean => {
    const words = (values.get(name) ?? '').split(/[\s,]+/u);
    return words.find((word) => meant.includes(word.replace(/^!/u, '')))?.startsWith('!') === false;
  };
  return services.flatMap((service) => {
    const [label = '', type = ''] = service.split('/');
    const names = [
      ...(isIn('master_service_disable', [`${label}.${type}`, type]) ? ['master_service_disable'] : []),
      ...(isIn('defer_transports', [label]) ? ['defer_transports'] : []),
    ];
    return names.map((name) =>
      findingOf('service-disabled', hostname, { service, name, found: values.get(name) ?? '' }),
    );
  });
}

interface FoundService {
  readonly id: string;
  readonly wanted: string;
  readonly found: string | undefined;
}

function judgeService(
  { postfix: { tableType } }: Settings,
  { hostname }: HostSettings,
  facts: HostFacts,
  { id: service, wanted: line, found: foundLine }: FoundService,
): readonly Finding[] {
  if (foundLine === undefined) return [findingOf('service-missing', hostname, { service })];
  const command = foundLine.trim().split(' ')[7] ?? '';
  if (command !== line.split(' ')[7]) return [findingOf('service-replaced', hostname, { service, found: command })];
  const isOther = foundLine.trim() !== line;
  const findings = isOther
    ? [findingOf('service-differs', hostname, { service, found: foundLine.trim(), wanted: line })]
    : [];
  const wanted = valuesOf(linesOf(facts, 'wanted', service));
  const found = valuesOf(linesOf(facts, 'found', service));
  const inherited = valuesOf(linesOf(facts, 'inherited', service));
  const maps = linesOf(facts, 'maps');
  for (const [name, value] of wanted) {
    const own = found.get(name);
    if (own === value) continue;
    const values = { service, name, found: own ?? inherited.get(name) ?? '', wanted: value };
    if (values.found === value) {
      findings.push(findingOf('setting-inherited', hostname, values));
      continue;
    }
    const isFilter = own === undefined && filters.has(name) && values.found !== '';
    findings.push(findingOf(isFilter ? 'filter-inherited' : kindOf(name, values.found, maps), hostname, values));
  }
  const added = [...found.keys()].filter((name) => !wanted.has(name));
  if (added.length > 0) findings.push(findingOf('setting-added', hostname, { service, found: added.join(', ') }));
  const isTypeless = maps.length > 0 && wanted.has('relay_clientcerts') && !maps.includes(tableType);
  return isTypeless ? [...findings, findingOf('map-type', hostname)] : findings;
}

const filters: ReadonlySet<string> = new Set([
  'smtpd_milters',
  'smtpd_milter_maps',
  'content_filter',
  'smtpd_proxy_filter',
  'receive_override_options',
  'header_checks',
  'mime_header_checks',
  'nested_header_checks',
  'body_checks',
]);

/** The effect of a parameter's other value. */
const effects: Readonly<Record<string, string>> = {
  smtp_tls_security_level: 'level-differs',
  smtp_tls_policy_maps: 'level-differs',
  smtp_tls_secure_cert_match: 'level-differs',
  smtpd_tls_security_level: 'level-differs',
  smtp_tls_wrappermode: 'wrapper-mode',
  smtpd_tls_wrappermode: 'wrapper-mode',
  smtp_tls_trust_anchor_file: 'trust-anchor',
  smtp_tls_mandatory_protocols: 'protocol',
  smtpd_tls_mandatory_protocols: 'protocol',
  smtpd_tls_fingerprint_digest: 'md5-pins',
  smtpd_tls_req_ccert: 'ca-lock-open',
  smtp_tls_CApath: 'ca-lock-open',
  smtpd_tls_CApath: 'ca-lock-open',
  tls_append_default_CA: 'ca-lock-open',
  smtpd_relay_restrictions: 'pin-lock-open',
  smtpd_sasl_auth_enable: 'pin-lock-open',
  smtpd_authorized_xclient_hosts: 'pin-lock-open',
};

function kindOf(name: string, found: string, maps: readonly string[]): string {
  if (/_tls_(?:CAfile|chain_files)$/u.test(name)) {
    const isRelative = !found.startsWith('/');
    if (name.endsWith('CAfile')) return isRelative ? 'ca-file' : 'ca-lock-open';
    return isRelative ? 'chain-file' : 'setting-differs';
  }
  if (name === 'relay_clientcerts') {
    const [type = ''] = found.split(':');
    return maps.length > 0 && found !== '' && !maps.includes(type) ? 'map-type' : 'pin-lock-open';
  }
  return effects[name] ?? 'setting-differs';
}

/** The port of our service; a home has one only for inbound mail. */
function judgePorts({ inbound }: Settings, host: HostSettings, facts: HostFacts): readonly Finding[] {
  if (host.role === 'smtpd-server') return judgePort(host, { port: String(host.port), isForOthers: true }, facts);
  if (!host.isInbound || inbound === undefined) return [];
  return judgePort(host, { port: String(inbound.port), isForOthers: inbound.via === 'direct' }, facts);
}

/** `isForOthers`: other hosts connect to it. */
function judgePort(
  { hostname }: HostSettings,
  { port, isForOthers }: { readonly port: string; readonly isForOthers: boolean },
  facts: HostFacts,
): readonly Finding[] {
  const own = isForOthers ? `${port}/inet` : `127.0.0.1:${port}/inet`;
  const others = linesOf(facts, 'port').filter((found) => found !== own);
  const listeners = linesOf(facts, 'listener').filter((line) => line.startsWith('users:'));
  const isTaken = listeners.length > 0 && !listeners.some((line) => line.includes('"master"'));
  const interfaces = valuesOf(linesOf(facts, 'values')).get('inet_interfaces') ?? '';
  return [
    ...others.map((found) => findingOf('second-service', hostname, { port, found })),
    ...(isTaken ? [findingOf('port-taken', hostname, { port, found: listeners.join(', ') })] : []),
    ...(isForOthers && ['loopback-only', 'localhost', '127.0.0.1'].includes(interfaces)
      ? [findingOf('interfaces', hostname, { port, found: interfaces })]
      : []),
  ];
}

function judgeRoutes({ hostname }: HostSettings, facts: HostFacts): readonly Finding[] {
  return linesOf(facts, 'routes').flatMap((line) => {
    const [kind, ...found] = line.split(' ');
    const id = kind === 'stops' ? 'route-stops' : kind === 'passes' ? 'route-around' : undefined;
    return id === undefined ? [] : [findingOf(id, hostname, { found: found.join(' ') })];
  });
}
