// What must be installed after a change: the hosts whose bundle has changed, and what is new in it. store/installed.ts
// knows whether a host has it by now. Pure.

import type { HostName } from '../names.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { bundleNames, tableName } from './bundle-names.js';
import { dkimFiles } from './dkim.js';
import { peersName } from './inbound.js';
import { port25Files } from './port25.js';
import { tunnelKeysName } from './tunnel.js';

/** What is new in a bundle: the host's key or certificate, the CA's certificates, the table of pins, or what it signs with. */
export type News = 'key' | 'certificate' | 'ca' | 'table' | 'dkim' | 'dnsbl';

/** One host to install. */
export interface Install {
  readonly host: HostName;
  readonly why: readonly News[];
}

/** The hosts with something new, relays first; `files` are the ones that a change writes, by host. */
export function installOf(settings: Settings, files: ReadonlyMap<HostName, ReadonlySet<string>>): readonly Install[] {
  return hostsOf(settings).flatMap((one) => {
    const { hostname: host } = one;
    const names = files.get(host);
    return names === undefined ? [] : [{ host, why: newsOf(settings, one, names) }];
  });
}

/** Their names. */
export function hostsIn(install: readonly Install[]): readonly HostName[] {
  return install.map(({ host }) => host);
}

function newsOf(settings: Settings, host: HostSettings, files: ReadonlySet<string>): readonly News[] {
  const { key, certificate, chain, ca } = bundleNames(settings.domain, host.hostname);
  const news: readonly (readonly [News, boolean])[] = [
    ['key', files.has(key)],
    ['certificate', files.has(certificate) || files.has(chain)],
    ['ca', files.has(ca)],
    ['table', [tableName, peersName, tunnelKeysName].some((name) => files.has(name))],
    ['dkim', dkimFiles(settings, host).some((name) => files.has(name))],
    ['dnsbl', port25Files(settings, host).some((name) => files.has(name))],
  ];
  return news.flatMap(([what, isNew]) => (isNew ? [what] : []));
}
