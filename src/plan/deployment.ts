// Which hosts get what, in which order, so that no mail stops: derived from what each host was last seen to have. A
// host gets its whole bundle once every host it talks to trusts its new certificate. Until then it gets only its CA
// file and its table of pins, next to the old key and certificate. Pure; a failed host stays as it is, and the others
// proceed without it.

import type { HostName } from '../names.js';
import type { Role } from '../settings/settings.js';
import { scriptNames } from './bundle-names.js';
import { signingFiles } from './dkim.js';
import { judgeInstallation, type HostContent, type SeenHost } from './installed.js';

/** `trust`: the CA file and the table; the key and the certificate there are not changed. */
export type VisitFiles = 'trust' | 'all';

export interface DeployedHost {
  readonly hostname: HostName;
  readonly role: Role;
  readonly expected: HostContent;
  /** The SHA-256 of the CA certificate that verifies the new certificate. */
  readonly issuer: string;
  readonly seen: SeenHost | undefined;
}

/** A relay that cannot be installed yet: clients wait for it. */
export function unmadeRelay(hostname: HostName): DeployedHost {
  const expected = { certificate: '', authorities: [], table: undefined, configuration: undefined };
  return { hostname, role: 'smtpd-server', expected, issuer: '', seen: undefined };
}

export interface Visit {
  readonly hostname: HostName;
  readonly files: VisitFiles;
}

export interface Choice {
  /** Hosts whose visit failed: they are not visited again, and no host waits for them. */
  readonly failed: ReadonlySet<HostName>;
  /** The hosts that may be visited; undefined: all. */
  readonly only: ReadonlySet<HostName> | undefined;
}

/**
 * The hosts that can be visited now, in parallel; none if all have what they should have, or the rest must wait for
 * hosts that may not be visited. Relays come before clients, because a relay must know things before a client uses
 * them.
 */
export function nextVisits(all: readonly DeployedHost[], { failed, only }: Choice): readonly Visit[] {
  const hosts = all.map((host) => (trustsNobody(host) ? { ...host, seen: undefined } : host));
  const reached = hosts.filter(({ hostname }) => !failed.has(hostname));
  const open = reached.filter((host) => !isDone(host) && only?.has(host.hostname) !== false);
  const relays = reached.filter(({ role }) => role === 'smtpd-server');
  const clients = reached.filter(({ role }) => role === 'smtp-client');
  // What matters for each relay is the same for all clients, and the other way round.
  const [ofRelays, ofClients] = [summaryOf(relays), summaryOf(clients)];
  const isListed = relays.length > 0 && relays.every(knowsPins);
  // Each visit brings the settings too, and with them the names of the relays.
  const isKnown = clients.some((host) => host.seen !== undefined && !isReconfigured(host));
  const wave = (role: Role, files: VisitFiles): readonly Visit[] =>
    open
      .filter((host) => host.role === role)
      .filter((host) => {
        const peers = role === 'smtpd-server' ? ofClients : ofRelays;
        if (!keepsPeers(host, peers)) return false;
        if (role === 'smtp-client' && !isListed && (files === 'all' || isReconfigured(host))) return false;
        if (files === 'trust') return host.seen !== undefined && !hasTrust(host);
        return peers.trusted(host.issuer) || (role === 'smtpd-server' && host.seen === undefined && !isKnown);
      })
      .map(({ hostname }) => ({ hostname, files }));
  // A relay sends inbound mail to a home, which has a table of relays: it has to know their pins first.
  const homes = new Set(clients.filter((host) => host.seen !== undefined && !knowsPins(host)).map(nameOf));
  const visitsHome = wave('smtp-client', 'all').filter(({ hostname }) => homes.has(hostname));
  if (visitsHome.length > 0) return visitsHome;
  const order = [
    ['smtpd-server', 'all'],
    ['smtpd-server', 'trust'],
    ['smtp-client', 'all'],
    ['smtp-client', 'trust'],
  ] as const;
  for (const [role, files] of order) {
    const visits = wave(role, files);
    if (visits.length > 0) return visits;
  }
  // A host that may not be visited may have to come first.
  if (relays.length === 0 || hosts.some((host) => !isDone(host) && only?.has(host.hostname) === false)) return [];
  // Another CA altogether: no host can trust it beforehand, so mail waits from the first host to the last.
  const [first] = open.toSorted((one, other) => rank(one) - rank(other));
  return open.filter((host) => host.role === first?.role).map(({ hostname }) => ({ hostname, files: 'all' }));
}

/** Nothing works there that a visit could stop, such as on a host that has only made its key: it is as one never seen. */
const trustsNobody = ({ seen }: DeployedHost): boolean => seen?.authorities.length === 0;

const nameOf = ({ hostname }: DeployedHost): HostName => hostname;

function rank({ role }: DeployedHost): number {
  return role === 'smtpd-server' ? 0 : 1;
}

/** What a host has after a visit. */
export function afterVisit({ expected, seen }: DeployedHost, { files }: Visit, at: Date): SeenHost {
  const certificate = files === 'all' ? expected.certificate : (seen?.certificate ?? expected.certificate);
  return { ...expected, certificate, seen: at };
}

/**
 * A host that kept these files of its configuration, because the ssh key may only renew: nothing else can be expected of
 * it now. Of what they decide it has what was `noted` before, if that is known.
 */
export function withKept(host: DeployedHost, kept: readonly string[], noted: SeenHost | undefined): DeployedHost {
  const { expected } = host;
  const configuration = kept.includes(scriptNames.install) ? noted?.configuration : expected.configuration;
  const dkim = kept.some((name) => signingFiles.includes(name)) ? noted?.dkim : expected.dkim;
  return { ...host, expected: { ...expected, configuration, dkim } };
}

const sentScripts: readonly string[] = Object.values(scriptNames);

/** True if these files make a difference: a script may differ that sets the same. */
export function isBehind({ expected, seen }: DeployedHost, kept: readonly string[]): boolean {
  return (
    kept.some((name) => !sentScripts.includes(name)) ||
    (kept.includes(scriptNames.install) && seen?.configuration !== expected.configuration)
  );
}

/** True if the host has what it should have, as last seen. */
export function isDone({ expected, seen }: DeployedHost): boolean {
  return judgeInstallation(expected, seen).kind === 'installed';
}

/** True if a host needs nothing but the other pins: a revocation does not wait for another host's failure to be fixed. */
export function needsOnlyPins({ expected, seen }: DeployedHost): boolean {
  const judged = judgeInstallation(expected, seen);
  return judged.kind === 'differs' && judged.parts.every((part) => part === 'table');
}

/** All visits in their order, if none fails; a host may occur twice. */
export function allVisits(all: readonly DeployedHost[], only: Choice['only'], at: Date): readonly Visit[] {
  const state = new Map(all.map((host) => [host.hostname, host]));
  const visits: Visit[] = [];
  for (;;) {
    const next = nextVisits([...state.values()], { failed: new Set(), only });
    if (next.length === 0) return visits;
    for (const visit of next) {
      const host = state.get(visit.hostname);
      if (host !== undefined) state.set(visit.hostname, { ...host, seen: afterVisit(host, visit, at) });
    }
    visits.push(...next);
  }
}

/**
 * The hosts to name so that `deploy` installs one, wrong or not as last seen; none if it has to install several that it
 * finds by itself.
 */
export function namesToDeploy(all: readonly DeployedHost[], hostname: HostName): readonly HostName[] {
  const open = all.filter((host) => !isDone(host)).map((host) => host.hostname);
  if (open.includes(hostname)) return open.length > 1 ? [] : [hostname];
  const named = all.map((host) => (host.hostname === hostname ? { ...host, seen: undefined } : host));
  const visits = nextVisits(named, { failed: new Set(), only: new Set([hostname]) });
  return open.length === 0 || visits.some(({ files }) => files === 'all') ? [hostname] : [...open, hostname];
}

interface Peers {
  /** True if every host that was seen has this CA. */
  readonly trusted: (authority: string) => boolean;
  /** True if each host that was seen has its new certificate. */
  readonly isRenewed: boolean;
}

function summaryOf(hosts: readonly DeployedHost[]): Peers {
  const seen = hosts.flatMap((host) => (host.seen === undefined ? [] : [{ ...host, seen: host.seen }]));
  const known = new Map<string, boolean>();
  return {
    trusted: (authority) => {
      const answer = known.get(authority) ?? seen.every(({ seen: { authorities } }) => authorities.includes(authority));
      known.set(authority, answer);
      return answer;
    },
    isRenewed: seen.every(({ expected, seen: { certificate } }) => certificate === expected.certificate),
  };
}

/** A CA is removed only when no host uses a certificate of it any more. */
function keepsPeers({ expected, seen }: DeployedHost, { isRenewed }: Peers): boolean {
  return isRenewed || seen === undefined || seen.authorities.every((one) => expected.authorities.includes(one));
}

function isReconfigured({ expected, seen }: DeployedHost): boolean {
  return seen?.configuration !== expected.configuration;
}

function hasTrust({ expected, seen }: DeployedHost): boolean {
  return (
    seen !== undefined &&
    expected.authorities.every((one) => seen.authorities.includes(one)) &&
    (expected.table === undefined || expected.table === seen.table)
  );
}

function knowsPins({ expected, seen }: DeployedHost): boolean {
  return seen !== undefined && (expected.table === undefined || expected.table === seen.table);
}
