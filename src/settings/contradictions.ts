// Checks the values of a settings file against each other: names that occur twice or are outside the permitted domains,
// a certificate that is due as soon as it is made. It works on the raw value and skips whatever is wrong by itself, so
// that these problems are reported together with the others.

import { dirname, isAbsolute, resolve } from 'node:path';
import { quote } from '../errors.js';
import { findHostName, type HostName } from '../names.js';
import type { Path, Words } from './kinds.js';
import { formatPath, items, member, resolvePath } from './raw-value.js';

/** One problem between values, reported at the later of the two. */
export interface Contradiction extends Words {
  readonly path: Path;
}

interface Named {
  readonly path: Path;
  readonly name: HostName;
}

/** All contradictions in a settings file's JSON value; `domain` is undefined if the file has no valid one. */
export function findContradictions(
  value: unknown,
  domain: HostName | undefined,
  context: { readonly file: string; readonly home: string },
  placeOf = formatPath,
): readonly Contradiction[] {
  const names = domain === undefined ? [] : namesIn(value, domain);
  const [ca, passphrase] = [member(value, 'ca'), member(value, 'passphrase')];
  return [
    ...findTwins(names, placeOf),
    ...findBadFileNames(names, domain),
    ...findOutsiders(names, member(ca, 'permittedDomains')),
    ...findCaNamedLikeHost(names, member(ca, 'commonName')),
    ...findEarlyRenewal(member(value, 'certificates')),
    ...findManySenders(member(value, 'smtpClients'), domain),
    ...findInboundContradictions(value, domain),
    ...findContainerContradictions(value, domain),
    ...findPortTwins(value),
    ...findMachineTwins(value, placeOf),
    ...findIdleKeys(value),
    ...findBadPassphrasePath(member(passphrase, 'file'), context),
  ];
}

/** The hostname and altNames of every host, if they are valid names; all hostnames first. */
function namesIn(value: unknown, domain: HostName): readonly Named[] {
  const hosts = ['smtpdServers', 'smtpClients'].flatMap((key) =>
    items(member(value, key)).map((host, index) => ({ host, path: [key, index] })),
  );
  const written = [
    ...hosts.map(({ host, path }) => ({ text: member(host, 'hostname'), path: [...path, 'hostname'] })),
    ...hosts.flatMap(({ host, path }) =>
      items(member(host, 'altNames')).map((text, index) => ({ text, path: [...path, 'altNames', index] })),
    ),
  ];
  return written.flatMap(({ text, path }) => {
    const name = findHostName(text, domain);
    return name === undefined ? [] : [{ path, name }];
  });
}

function findTwins(names: readonly Named[], placeOf: (path: Path) => string): readonly Contradiction[] {
  const first = new Map(names.toReversed().map(({ path, name }) => [name, path]));
  return names.flatMap(({ path, name }) => {
    const twin = first.get(name) ?? path;
    if (twin === path) return [];
    const what = `is already at ${placeOf(twin)}: ${quote(name)}`;
    return [{ path, what, hint: 'give it another name, or remove one of the two' }];
  });
}

/** Octets: FQDN-SERIAL.old.crt.pem has to fit into the 255 octets of a file name. */
const longestFileName = 200;

function findBadFileNames(names: readonly Named[], domain: HostName | undefined): readonly Contradiction[] {
  const hosts = names.filter(({ path }) => path.at(-1) === 'hostname');
  const named = domain === undefined ? hosts : [{ path: ['domain'], name: domain }, ...hosts];
  const long = named.filter(({ name }) => name.length > longestFileName);
  // FQDN.old.crt.pem is FQDN's previous certificate, DOMAIN-ca.crt.pem the CA's.
  const taken = hosts.filter(({ name }) => /\.(?:old|new)$/u.test(name) || name === `${domain ?? ''}-ca`);
  return [
    ...nameProblems(long, 'is too long for the names of its files', `use a name of at most ${longestFileName} octets`),
    ...nameProblems(taken, 'would take the file names of another', 'use another name'),
  ];
}

function nameProblems(names: readonly Named[], what: string, hint: string): readonly Contradiction[] {
  return names.map(({ path, name }) => ({ path, what: `${what}: ${quote(name)}`, hint }));
}

function findOutsiders(names: readonly Named[], permittedDomains: unknown): readonly Contradiction[] {
  const permitted = items(permittedDomains).flatMap((text) => findHostName(text) ?? []);
  if (permitted.length === 0 || permitted.length < items(permittedDomains).length) return [];
  const domains = new Set<string>(permitted);
  const isInside = (name: HostName) => {
    const labels = name.split('.');
    return labels.some((_, index) => domains.has(labels.slice(index).join('.')));
  };
  const outsiders = names.filter(({ name }) => !isInside(name));
  const hint = `add its domain to ca.permittedDomains, or use a name under ${permitted[0] ?? ''}`;
  return nameProblems(outsiders, 'is outside ca.permittedDomains', hint);
}

function findCaNamedLikeHost(names: readonly Named[], commonName: unknown): readonly Contradiction[] {
  const twin = names.find(({ name }) => typeof commonName === 'string' && name === commonName.toLowerCase());
  if (twin === undefined) return [];
  const what = `is the name of a host (${formatPath(twin.path)}): ${quote(commonName)}`;
  return [{ path: ['ca', 'commonName'], what, hint: 'remove the key: the default names the domain' }];
}

function findEarlyRenewal(certificates: unknown): readonly Contradiction[] {
  const validDays = member(certificates, 'validDays') ?? 398;
  const renewBeforeDays = member(certificates, 'renewBeforeDays') ?? 30;
  if (typeof validDays !== 'number' || typeof renewBeforeDays !== 'number') return [];
  // A value outside its own range is reported by the schema.
  if (validDays < 1 || renewBeforeDays < validDays || renewBeforeDays > 3649) return [];
  const what = `must be less than certificates.validDays (${String(validDays)}): ${String(renewBeforeDays)}`;
  const hint = `write "renewBeforeDays": ${String(Math.floor(validDays / 12))}`;
  return [{ path: ['certificates', 'renewBeforeDays'], what, hint }];
}

/** Octets: each sender and host name, with a few octets more, goes into one argument, which Linux limits to 128 KiB. */
const mostSenderText = 25_000;

function findManySenders(clients: unknown, domain: HostName | undefined): readonly Contradiction[] {
  const lengths = items(clients).flatMap((client) => {
    const senders = items(member(client, 'senders'));
    if (senders.length === 0) return [];
    return [findHostName(member(client, 'hostname'), domain)?.length ?? 0, ...senders.map(lengthOfSender)];
  });
  if (lengths.reduce((sum, length) => sum + length, 0) <= mostSenderText) return [];
  const what = `have over ${String(mostSenderText)} octets of senders, their host names included`;
  return [{ path: ['smtpClients'], what, hint: 'list domains instead of addresses, or split it into several files' }];
}

function lengthOfSender(sender: unknown): number {
  if (typeof sender !== 'string') return 0;
  const host = sender.lastIndexOf('@') + 1;
  return host + (findHostName(sender.slice(host))?.length ?? 0);
}

/** Home is a client with Postfix; recipients are in the domains whose mail goes home. */
function findInboundContradictions(value: unknown, domain: HostName | undefined): readonly Contradiction[] {
  const inbound = member(value, 'inbound');
  const home = findHostName(member(inbound, 'home'), domain);
  if (domain === undefined || home === undefined) return [];
  const client = items(member(value, 'smtpClients')).find(
    (one) => findHostName(member(one, 'hostname'), domain) === home,
  );
  const program = member(client, 'program') ?? 'postfix';
  const path = ['inbound', 'home'];
  const domains = member(inbound, 'domains') ?? [domain];
  const known = new Set(items(domains).map((one) => findHostName(one)));
  const recipients = items(member(inbound, 'recipients'));
  const strangers = recipients.flatMap((text, index) => {
    const at = typeof text === 'string' ? findHostName(text.split('@').at(-1)) : undefined;
    if (at === undefined || known.has(at)) return [];
    const what = `is not in inbound.domains: ${quote(text)}`;
    return [{ path: ['inbound', 'recipients', index], what, hint: `add ${at} to inbound.domains, or remove it` }];
  });
  if (client === undefined) {
    const what = `is not one of smtpClients: ${quote(home)}`;
    return [{ path, what, hint: 'write the hostname of one of them' }, ...strangers];
  }
  if (program === 'postfix') return strangers;
  const what = `has another mail program than Postfix (${quote(program)}): ${quote(home)}`;
  return [{ path, what, hint: 'write the hostname of a client with Postfix' }, ...strangers];
}

/** What is set up beside the service and the transport is only for hosts that are not containers. */
function findContainerContradictions(value: unknown, domain: HostName | undefined): readonly Contradiction[] {
  const [inbound, dkim] = [member(value, 'inbound'), member(value, 'dkim')];
  const home = findHostName(member(inbound, 'home'), domain);
  const signers = member(dkim, 'signAt') === 'home' ? 'smtpClients' : 'smtpdServers';
  const hint = 'remove one of the two';
  return (['smtpdServers', 'smtpClients'] as const).flatMap((key) =>
    items(member(value, key)).flatMap((host, index) => {
      if (member(host, 'container') === undefined) return [];
      const path = [key, index, 'container'];
      const program = member(host, 'program') ?? 'postfix';
      const isRelay = key === 'smtpdServers';
      const isInbound = isRelay || (home !== undefined && findHostName(member(host, 'hostname'), domain) === home);
      const rules: readonly (readonly [isBroken: boolean, what: string])[] = [
        [program !== 'postfix', `runs Postfix, and not ${quote(program)}`],
        [inbound !== undefined && isInbound, 'cannot pass on inbound mail (inbound)'],
        [dkim !== undefined && key === signers, "is not set up to sign (dkim): use the image's own DKIM"],
        [isRelay && member(value, 'relayPort25') !== undefined, 'has no port 25 to set up (relayPort25)'],
      ];
      return rules.flatMap(([isBroken, what]) => (isBroken ? [{ path, what, hint }] : []));
    }),
  );
}

/** Where postsrsd 1.x listens (render/port25.ts). */
const srsPorts: readonly unknown[] = [10001, 10002];

type Port = readonly [path: Path, port: unknown];
const portIf = (isThere: boolean, path: Path, port: unknown): readonly Port[] => (isThere ? [[path, port]] : []);

/** Two programs cannot listen on one port of a host, and Postfix ends if one of them is Postfix. */
function findPortTwins(value: unknown): readonly Contradiction[] {
  const [inbound, dkim] = [member(value, 'inbound'), member(value, 'dkim')];
  const socket = member(dkim, 'socket') ?? 'inet:127.0.0.1:8891';
  const signer = typeof socket === 'string' ? Number(socket.split(':').at(-1)) : undefined;
  const isAtHome = member(dkim, 'signAt') === 'home';
  const tunnel = member(member(value, 'tunnel'), 'listen') ?? 2525;
  const isForwarding = member(member(value, 'relayPort25'), 'srs') === true;
  const groups = [
    [
      ...portIf(inbound !== undefined, ['inbound', 'port'], member(inbound, 'port') ?? 2525),
      ...portIf(dkim !== undefined && isAtHome, ['dkim', 'socket'], signer),
    ],
    ...items(member(value, 'smtpdServers')).map((relay, at) => [
      ...srsPorts.flatMap((port) => portIf(isForwarding, ['relayPort25', 'srs'], port)),
      ...portIf(true, ['smtpdServers', at, 'port'], member(relay, 'port') ?? 2500),
      ...portIf(dkim !== undefined && !isAtHome, ['dkim', 'socket'], signer),
      ...portIf(member(inbound, 'via') === 'tunnel', ['tunnel', 'listen'], tunnel),
    ]),
  ];
  const twins = groups.flatMap((group) =>
    group.flatMap(([path, port], index): readonly Contradiction[] => {
      const [twin] = group.slice(0, index).find(([, other]) => other === port) ?? [];
      if (twin === undefined) return [];
      const what = `is a port of ${formatPath(twin)} on the same host: ${String(port)}`;
      return [{ path, what, hint: 'write another port' }];
    }),
  );
  return [...new Map(twins.map((one) => [formatPath(one.path), one])).values()];
}

const isSpamhaus = (list: unknown): boolean => typeof list === 'string' && /\.spamhaus\.org(?:=|$)/iu.test(list);
const isPostfix = (client: unknown): boolean => (member(client, 'program') ?? 'postfix') === 'postfix';

/** A machine has one Postfix, and each host's script would replace what that of the other set up. */
function findMachineTwins(value: unknown, placeOf: (path: Path) => string): readonly Contradiction[] {
  const here = (['smtpdServers', 'smtpClients'] as const).flatMap((key) =>
    items(member(value, key)).flatMap((host, index) =>
      member(host, 'local') === true && member(host, 'container') === undefined && isPostfix(host)
        ? [[key, index, 'local']]
        : [],
    ),
  );
  const [first = []] = here;
  const what = `is true already at ${placeOf(first)}, and this machine has one Postfix`;
  return here.slice(1).map((path) => ({ path, what, hint: 'remove one of the two' }));
}

/** What would change nothing, although it looks as if it did. */
function findIdleKeys(value: unknown): readonly Contradiction[] {
  const [port25, dkim] = [member(value, 'relayPort25'), member(value, 'dkim')];
  const clients = items(member(value, 'smtpClients'));
  const rules: readonly (readonly [isBroken: boolean, path: Path, what: string, hint: string])[] = [
    [
      member(port25, 'dqsKeyFile') !== undefined && !items(member(port25, 'dnsbl')).some(isSpamhaus),
      ['relayPort25', 'dqsKeyFile'],
      "is for Spamhaus' lists, and relayPort25.dnsbl has none",
      'add "zen.spamhaus.org" to relayPort25.dnsbl, or remove it',
    ],
    [
      member(dkim, 'signAt') === 'home' && clients.length > 0 && !clients.some(isPostfix),
      ['dkim', 'signAt'],
      'no smtp-client has Postfix, so nothing would be signed: "home"',
      'write "relay"',
    ],
  ];
  return rules.flatMap(([isBroken, path, what, hint]) => (isBroken ? [{ path, what, hint }] : []));
}

function findBadPassphrasePath(
  path: unknown,
  { file, home }: { readonly file: string; readonly home: string },
): readonly Contradiction[] {
  const at = ['passphrase', 'file'];
  if (path !== undefined && typeof path !== 'string') return [];
  if ((path === undefined || path.startsWith('~/')) && !isAbsolute(home)) {
    const what = `there is no home folder for "~/": ${quote(home)}`;
    return [{ path: at, what, hint: 'set HOME, or write an absolute path there' }];
  }
  if (path === undefined) return [];
  const resolved = resolvePath(path, dirname(file), home);
  if (resolved === file) {
    const what = `is the settings file itself: ${quote(path)}`;
    return [{ path: at, what, hint: 'write a path of its own, or remove it' }];
  }
  // `make` would overwrite what is there.
  const ours = ['certs', 'hosts', '.relaycerts.lock'];
  const taken = ours.find((name) => `${resolved}/`.startsWith(`${resolve(dirname(file), name)}/`));
  if (taken === undefined) return [];
  const what = `is within what relaycerts writes itself (${taken}): ${quote(path)}`;
  return [{ path: at, what, hint: 'write a path outside, or remove it' }];
}
