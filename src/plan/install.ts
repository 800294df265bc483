// What must be installed after a change: the hosts whose bundle has changed, and what is new in it. store/installed.ts
// knows whether a host has it by now. Pure.

import type { HostName } from '../names.js';
import { hostsOf, type HostSettings, type Settings } from '../settings/settings.js';
import { bundleNames, tableName } from './bundle-names.js';
import { dkimFiles } from './dkim.js';
import { peersName } from './inbound.js';
import { port25Files } from './port25.js';
import { tunnelKeysName } from './tunnel.js';

/** The host's key or certificate, the CA's certificates, the table of pins, what it signs with, or its block lists. */
const kindsOfNews = ['key', 'certificate', 'ca', 'table', 'dkim', 'dnsbl'] as const;

/** What is new in a bundle. */
export type News = (typeof kindsOfNews)[number];

/** One host to install. */
export interface Install {
  readonly host: HostName;
  readonly why: readonly News[];
}

/** The hosts with something new, relays first; `files` are the ones that a change writes, by host. */
export function installOf(settings: Settings, files: ReadonlyMap<HostName, readonly string[]>): readonly Install[] {
  return hostsOf(settings).flatMap((one) => {
    const { hostname: host } = one;
    const names = files.get(host);
    return names === undefined ? [] : [{ host, why: newsOf(settings, one, new Set(names)) }];
  });
}

/** The same for several changes: `news` is all that is new at each host. */
export function installOfAll(settings: Settings, news: ReadonlyMap<HostName, readonly News[]>): readonly Install[] {
  return hostsOf(settings).flatMap(({ hostname: host }) => {
    const why = news.get(host);
    return why === undefined ? [] : [{ host, why }];
  });
}

export function joinNews(before: readonly News[], after: readonly News[]): readonly News[] {
  return oneList(kindsOfNews.filter((kind) => before.includes(kind) || after.includes(kind)));
}

const lists = new Map<string, readonly News[]>();

/** The same value for equal lists, because a fleet has one a host. */
function oneList(news: readonly News[]): readonly News[] {
  const name = news.join(' ');
  const known = lists.get(name) ?? news;
  lists.set(name, known);
  return known;
}

/** Their names. */
export function hostsIn(install: readonly Install[]): readonly HostName[] {
  return install.map(({ host }) => host);
}

function newsOf(settings: Settings, host: HostSettings, files: ReadonlySet<string>): readonly News[] {
  const { key, certificate, chain, ca } = bundleNames(settings.domain, host.hostname);
  const filesOf: Readonly<Record<News, readonly string[]>> = {
    key: [key],
    certificate: [certificate, chain],
    ca: [ca],
    table: [tableName, peersName, tunnelKeysName],
    dkim: dkimFiles(settings, host),
    dnsbl: port25Files(settings, host),
  };
  return kindsOfNews.filter((kind) => filesOf[kind].some((name) => files.has(name)));
}
