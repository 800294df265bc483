// Hosts that were issued a certificate here but are no longer in the settings. They are known from the ledger and from
// the files left of them; they can still be undone, revoked and removed. Pure.

import { findHostName, parseSshHost, parseSshUser, type HostName } from '../names.js';
import { hostsOf, programUsers, type HostSettings, type Role, type Settings, type Ssh } from '../settings/settings.js';
import type { MailProgram } from '../settings/settings.js';
import type { SeenHost } from './installed.js';
import type { IssuedCertificate, Stranger } from './inventory.js';

export interface FormerHost {
  readonly hostname: HostName;
  readonly role: Role;
  /** As in the ledger. */
  readonly program: MailProgram;
  /**
   * Its last certificate is revoked or retired and none of its files are left, so its installation should be undone by
   * now.
   */
  readonly isOver: boolean;
}

/** All former hosts, those in the ledger first, in its order. */
export function formerHosts(
  settings: Settings,
  issued: readonly IssuedCertificate[],
  strangers: readonly Stranger[],
): readonly FormerHost[] {
  const named = new Set<string>(hostsOf(settings).map(({ hostname }) => hostname));
  const found = new Map<string, FormerHost>();
  for (const { role, name, program, revokedAt, retiredAt } of issued) {
    const hostname = role === 'ca' || named.has(name) ? undefined : findHostName(name);
    if (role === 'ca' || hostname === undefined) continue;
    found.set(hostname, { hostname, role, program, isOver: (revokedAt ?? retiredAt) !== undefined });
  }
  for (const { hostname, role, nowRole } of strangers) {
    if (nowRole === undefined)
      found.set(hostname, { program: 'postfix', ...found.get(hostname), hostname, role, isOver: false });
  }
  return [...found.values()];
}

/** The settings as if this host were still in them; `known` is what was last noted of it. */
export function withFormerHost(
  settings: Settings,
  { hostname, role, program }: FormerHost,
  known: Pick<SeenHost, 'ssh' | 'container'> | undefined,
): Settings {
  const root: Ssh = {
    isLocal: false,
    needsSudo: false,
    user: parseSshUser('root'),
    host: parseSshHost(hostname),
    port: 22,
  };
  const host = {
    hostname,
    altNames: [],
    container: known?.container,
    isInbound: false,
    ssh: known?.ssh ?? root,
    tlsLogLevel: 1,
  };
  const [{ port }] = settings.smtpdServers;
  if (role === 'smtpd-server') {
    return { ...settings, smtpdServers: [...settings.smtpdServers, { ...host, role, port, overrides: {} }] };
  }
  const client = { ...host, role, program, programUser: parseSshUser(programUsers[program]), senders: [] };
  return { ...settings, smtpClients: [...settings.smtpClients, client] };
}

/** True if the settings no longer name this host. */
export function isFormer(settings: Settings, { hostname }: Pick<HostSettings, 'hostname'>): boolean {
  return !hostsOf(settings).some((host) => host.hostname === hostname);
}
